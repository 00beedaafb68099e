"""What a refusal tells has an end, whatever was sent, and says where it was cut."""

from odoo.tests import BaseCase

from ..tools.problem import MAX_ANSWER, problem


class TestProblem(BaseCase):
    def answer(self, *args, **kwargs):
        """Return the JSON of a problem, which must not be too long."""
        response = problem(*args, **kwargs).response
        self.assertLessEqual(len(response.get_data()), MAX_ANSWER)
        return response.json

    def test_ordinary_words_are_told_whole(self):
        errors = [
            {"pointer": f"/lines/{number}/sku", "detail": "SKU X is not known.", "sku": "X"} for number in range(100)
        ]
        answer = self.answer(422, "The order is refused.", errors)
        self.assertEqual((answer["status"], answer["detail"]), (422, "The order is refused."))
        self.assertEqual(answer["errors"], errors)
        self.assertNotIn("errors", self.answer(404, "Order X is not known."))

    def test_more_than_a_hundred_errors_are_counted(self):
        errors = [{"pointer": f"/lines/{number}", "detail": "no"} for number in range(1000)]
        for told, more, words in (
            (101, 0, "1 more fault."),
            (1000, 0, "900 more faults."),
            (100, 1, "1 more fault."),
            (100, 1234, "1,234 more faults."),
        ):
            with self.subTest(words):
                answer = self.answer(422, "No.", errors[:told], more=more)
                self.assertEqual(answer["errors"][:-1], errors[:100])
                self.assertEqual(answer["errors"][-1], {"pointer": "", "detail": f"… and {words}"})

    def test_long_texts_are_cut_and_say_so(self):
        for character in ("x", "é", "\U0001f600", "\x01", '"'):
            with self.subTest(character):
                long = character * 100_000
                errors = [
                    {"pointer": long, "detail": long, "sku": long, "available": 3},
                    {"parameter": long, "detail": ""},
                ]
                answer = self.answer(404, f"Order {long} is not known.", errors)
                self.assertEqual(answer["detail"], f"Order {character * 993}…")
                self.assertEqual(answer["errors"][0]["available"], 3)
                for text in (*list(answer["errors"][0].values())[:3], answer["errors"][1]["parameter"]):
                    self.assertEqual(text, character * 511 + "…")

    def test_errors_are_left_out_where_the_answer_would_get_too_long(self):
        errors = [{"pointer": "\x01" * 500, "detail": "\U0001f600" * 500}] * 100
        answer = self.answer(422, "\x01" * 5000, errors, more=50)
        told = len(answer["errors"]) - 1
        self.assertGreater(told, 5)
        self.assertEqual(answer["errors"][-1]["detail"], f"… and {150 - told} more faults.")
