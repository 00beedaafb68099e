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
