"""Faults of a push: wrong types are none but faults, and all of them come in one answer."""

from odoo.tests import tagged

from ..tools.order_payload import MAX_IDEMPOTENCY_KEY
from .common import IusedHttpCase


@tagged("post_install", "-at_install")
class TestOrderFaults(IusedHttpCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.phone = cls._make_phone("PHONE", 5)

    def _unnamed(self):
        """Return an order without a reference."""
        document = self._make_order(self.phone)
        del document["order_id"]
        return document

    def test_reference_of_a_wrong_type_is_a_fault_beside_a_key_too(self):
        for wrong in ({}, [], {"id": "7"}, ["7"], True, False):
            for more in ({}, {"order_number": "7"}):
                for headers in ({"Idempotency_Key": "K-1"}, {}):
                    with self.subTest(wrong=wrong, more=more, headers=headers):
                        answer = self._push({**self._unnamed(), "order_id": wrong, **more}, **headers)
                        problem = self.assertProblem(answer, 422, "/order_id")
                        self.assertIn("order_id must be text", problem["errors"][0]["detail"])
                with self.subTest(wrong=wrong, more=more, method="PUT"):
                    answer = self._call("PUT", "/orders/IU-7", data={**self._unnamed(), "order_id": wrong, **more})
                    self.assertProblem(answer, 422, "/order_id")
        self.assertFalse(self.env["sale.order"].search([("company_id", "=", self.company.id)]))

    def test_reference_of_a_wrong_type_cancels_nothing(self):
        answer = self._push({"order_id": [], "status": "cancelled"}, Idempotency_Key="K-1")
        self.assertProblem(answer, 422, "/order_id")

    def test_reference_that_is_empty_is_absent(self):
        for number, empty in enumerate((None, "", "  ")):
            answer = self._push({**self._unnamed(), "order_id": empty}, Idempotency_Key=f"EMPTY-{number}")
            self.assertEqual((answer.status_code, answer.json()["order_id"]), (201, f"key-EMPTY-{number}"))

    def test_other_fields_of_a_wrong_type_are_faults(self):
        for field in ("note", "currency", "created_at", "requested_date", "status"):
            for wrong in ({}, [], ["x"], {"x": "y"}, True):
                with self.subTest(field=field, wrong=wrong):
                    self.assertProblem(self._push(self._make_order(self.phone, **{field: wrong})), 422, f"/{field}")
        for field in ("sku", "ean", "quantity", "price", "line_id"):
            for wrong in ({}, [], True):
                with self.subTest(field=field, wrong=wrong):
                    document = self._make_order(self.phone)
                    document["lines"][0][field] = wrong
                    self.assertProblem(self._push(document), 422, f"/lines/0/{field}")

    def test_key_of_255_characters_is_taken_and_a_longer_one_refused(self):
        self.assertEqual(MAX_IDEMPOTENCY_KEY, 255)
        for key in ("x" * 255, f'"{"y" * 255}"'):
            self.assertEqual(self._push(self._unnamed(), Idempotency_Key=key).status_code, 201)
        for document in (self._unnamed(), self._make_order(self.phone)):
            for length in (256, 5000):
                problem = self.assertProblem(self._push(document, Idempotency_Key="x" * length), 400)
                self.assertIn("Idempotency-Key is longer than 255 characters", problem["detail"])
        self._push(self._unnamed(), Idempotency_Key="x" * 5000)
        row = self.env["iused.exchange"].search([("company_id", "=", self.company.id)], limit=1)
        self.assertEqual((row.status, row.reference), (400, False))
        self.assertLess(len(row.idempotency_key), 600)

    def test_key_that_is_empty_is_none(self):
        for key in ('""', '" "', '"'):
            with self.subTest(key=key):
                self.assertProblem(self._push(self._unnamed(), Idempotency_Key=key), 422, "")

    def test_faults_of_shape_products_and_currency_come_together(self):
        withdrawn = self._make_phone("WITHDRAWN", iused_offered=False, iused_purchase_price=0)
        document = self._make_order(self.phone, self.phone, withdrawn, self.phone, currency="USD")
        del document["shipping_address"]["city"]
        lines = document["lines"]
        lines[0]["sku"] = "NOWHERE"
        lines[1]["quantity"] = 0
        lines[3] = {"sku": ["PHONE"], "ean": "4006381333931", "quantity": 1}
        problem = self._push(document)
        self.assertEqual(problem.status_code, 422)
        told = {error["pointer"] for error in problem.json()["errors"]}
        self.assertEqual(
            told,
            {
                "/shipping_address",
                "/lines/1/quantity",
                "/lines/3/sku",
                "/currency",
                "/lines/0/sku",
                "/lines/2/sku",
            },
            "and no fault for what could not be read",
        )

    def test_faults_of_a_known_order_are_not_those_of_todays_products(self):
        document = self._make_order(self.phone)
        self.assertEqual(self._push(document).status_code, 201)
        self.phone.active = False
        broken = {**document, "shipping_address": {**document["shipping_address"], "city": ""}}
        self.assertProblem(self._push(broken), 422, "/shipping_address")

    def test_many_faults_of_both_kinds_are_counted_once(self):
        lines = [{"sku": f"NO-{number}", "quantity": 0} for number in range(150)]
        problem = self._push(self._make_order(lines=lines))
        self.assertEqual(problem.status_code, 422)
        self.assertLess(len(problem.content), 2**16)
        errors = problem.json()["errors"]
        self.assertEqual(len(errors), 101)
        self.assertEqual(errors[-1]["detail"], "… and 200 more faults.")
