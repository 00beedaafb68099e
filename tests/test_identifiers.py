from odoo.tests import BaseCase

from ..tools import identifiers


class TestIdentifiers(BaseCase):
    def test_an_imei_is_fifteen_digits_with_a_luhn_digit(self):
        for value in ("356938035643809", "490154203237518", "000000000000018"):
            with self.subTest(value):
                self.assertTrue(identifiers.is_imei(value))

    def test_whatever_else_is_no_imei(self):
        for value in (
            "356938035643808",  # wrong check digit
            "000000000000000",  # a placeholder that passes Luhn
            "35693803564380",
            "3569380356438090",  # 14 and 16 digits, which stdnum takes
            "35-693803-564380-9",
            "356938035643809 ",
            "356938035643809\n",
            "٣٥٦٩٣٨٠٣٥٦٤٣٨٠٩",
            "C39X1234ABCD",
            "",
            None,
            False,
            356938035643809,
        ):
            with self.subTest(repr(value)):
                self.assertFalse(identifiers.is_imei(value))

    def test_an_ean_has_8_12_13_or_14_digits_with_a_check_digit(self):
        for value in ("96385074", "036000291452", "8712345678906", "0036000291452", "10036000291459"):
            with self.subTest(value):
                self.assertTrue(identifiers.is_ean(value))

    def test_whatever_else_is_no_ean(self):
        for value in (
            "8712345678905",
            "0000000000000",
            "00000000",
            "871234567890",
            "87123456789",
            " 8712345678906",
            "978-0-471-11709-4",
            "8712345678906\n",
            "",
            None,
            8712345678906,
        ):
            with self.subTest(repr(value)):
                self.assertFalse(identifiers.is_ean(value))


class TestEanSpellings(BaseCase):
    def test_the_lengths_of_one_gtin_differ_by_zeros_in_front(self):
        for digits, texts in (
            ("12348", {"12348", "00012348", "000000012348", "0000000012348", "00000000012348"}),
            ("0194252707531", {"194252707531", "0194252707531", "00194252707531"}),
            ("4006381333931", {"4006381333931", "04006381333931"}),
            ("14006381333938", {"14006381333938"}),
        ):
            with self.subTest(digits):
                self.assertEqual(identifiers.ean_spellings(digits), texts)

    def test_anything_else_is_spelled_as_it_is(self):
        for code in ("", "0000", "12A", "1" * 15, "\u0664" * 8, "4006381333931\n"):
            with self.subTest(code):
                self.assertEqual(identifiers.ean_spellings(code), {code})
