"""Fields that the admin says where to find."""

import json

from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.tests import tagged

from .common import IusedHttpCase


@tagged("post_install", "-at_install")
class TestMapping(IusedHttpCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.phone = cls._make_phone("PHONE", 5)
        cls.admin = cls._new_user("admin of settings", "base.group_system")

    def _map(self, company=None, **paths):
        names = {"sku": "lines[].sku", "reference": "order_id", "postcode": "shipping_address.postal_code"}
        return self.env["iused.field.mapping"].create(
            [
                {"company_id": (company or self.company).id, "field": names[name], "path": path}
                for name, path in paths.items()
            ]
        )

    def _odd_order(self):
        document = self._make_order(self.phone)
        document["x"] = {"ref": document.pop("order_id"), "pc": document["shipping_address"].pop("postal_code")}
        document["lines"][0]["handle"] = document["lines"][0].pop("sku")
        return document

    def test_mapped_fields_are_read_from_their_path(self):
        document = self._odd_order()
        self.assertEqual(self._push(document).status_code, 422)
        self._map(sku="lines[].handle", reference="x.ref", postcode="x.pc")
        answer = self._push(document)
        self.assertEqual((answer.status_code, answer.json()["order_id"]), (201, document["x"]["ref"]), answer.text)
        order = self.env["sale.order"].search([("name", "=", answer.json()["external_order_id"])])
        self.assertEqual(order.partner_shipping_id.zip, "9711 AB")

    def test_mapping_wins_over_the_known_names_and_has_an_order(self):
        self._map(reference="x.nowhere").sequence = 1
        self._map(reference="x.ref").sequence = 2
        document = self._make_order(self.phone, x={"ref": "MINE"})
        self.assertEqual(self._push(document).json()["order_id"], "MINE")

    def test_mapping_of_another_company_does_not_count(self):
        self._map(self._make_company("Other refurbisher"), reference="x.ref")
        document = self._make_order(self.phone, x={"ref": "THEIRS"})
        self.assertEqual(self._push(document).json()["order_id"], document["order_id"])

    def test_path_that_is_none_is_refused(self):
        for path in ("a..b", ".", " ", "a."):
            with self.assertRaises(ValidationError):
                self._map(reference=path)

    def test_sample_is_shown_field_by_field_and_makes_nothing(self):
        counts = [self.env[model].search_count([]) for model in ("sale.order", "res.partner", "iused.exchange")]
        test = self.env["iused.mapping.test"].with_user(self.admin).create({"sample": json.dumps(self._odd_order())})
        test.action_explain()
        rows = {line.field: line for line in test.line_ids}
        self.assertEqual(rows["shipping_address.city"].value, "Groningen")
        self.assertEqual(rows["shipping_address.city"].pointer, "/shipping_address/city")
        self.assertIn("is missing", rows["shipping_address.postal_code"].fault)
        self.assertEqual(test.fault_count, 3)
        self._map(sku="lines[].handle", reference="x.ref", postcode="x.pc")
        test.action_explain()
        self.assertEqual(test.fault_count, 0, test.line_ids.mapped("fault"))
        self.assertEqual(
            counts, [self.env[model].search_count([]) for model in ("sale.order", "res.partner", "iused.exchange")]
        )

    def test_sample_that_is_no_json_says_so(self):
        for sample in ("", "{", '{"a": NaN}'):
            test = self.env["iused.mapping.test"].create({"sample": sample})
            with self.assertRaises(UserError):
                test.action_explain()

    def test_only_administrators_map(self):
        salesman = self._new_user("salesman", "sales_team.group_sale_manager")
        with self.assertRaises(AccessError):
            self.env["iused.field.mapping"].with_user(salesman).create({"field": "order_id", "path": "x"})
        with self.assertRaises(AccessError):
            self.env["iused.mapping.test"].with_user(salesman).create({"sample": "{}"})
