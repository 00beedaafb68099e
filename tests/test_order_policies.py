"""What the company chose: salesperson, team, carrier, warehouse, prices, and what happens when stock is short."""

from odoo import Command
from odoo.exceptions import ValidationError
from odoo.tests import tagged

from .common import IusedHttpCase


@tagged("post_install", "-at_install")
class TestOrderPolicies(IusedHttpCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.phone = cls._make_phone("PHONE", 2)
        cls.responsible = cls._new_user("responsible", "sales_team.group_sale_salesman_all_leads")
        cls.company.iused_responsible_id = cls.responsible

    def _order_of(self, answer):
        self.assertIn(answer.status_code, (200, 201), answer.text)
        return self.env["sale.order"].search([("name", "=", answer.json()["external_order_id"])])

    def _priced(self, price, **values):
        document = self._make_order(self.phone, **values)
        document["lines"][0]["price"] = price
        return document

    def test_order_has_what_the_company_chose(self):
        salesperson = self._new_user("salesperson", "sales_team.group_sale_salesman")
        team = self.env["crm.team"].create({"name": "iUsed team", "company_id": self.company.id})
        product = self.env["product.product"].create({"name": "Parcel", "type": "service"})
        carrier = self.env["delivery.carrier"].create(
            {"name": "PostNL", "product_id": product.id, "company_id": self.company.id}
        )
        second = self.env["stock.warehouse"].create({"name": "Second", "code": "WH2", "company_id": self.company.id})
        self.company.write(
            {
                "iused_salesperson_id": salesperson.id,
                "iused_team_id": team.id,
                "iused_carrier_id": carrier.id,
                "iused_warehouse_ids": [Command.set(second.ids)],
            }
        )
        document = self._make_order(self.phone, requested_date="2026-12-24", note="Ring <twice>\nThank you")
        order = self._order_of(self._push(document))
        self.assertEqual((order.user_id, order.team_id, order.carrier_id), (salesperson, team, carrier))
        self.assertEqual(order.picking_ids.carrier_id, carrier)
        self.assertEqual((order.warehouse_id, order.picking_ids.picking_type_id.warehouse_id), (second, second))
        self.assertEqual(order.source_id, self.env.ref("sale_iused.utm_source_iused"))
        self.assertEqual(order.client_order_ref, document["order_id"])
        self.assertEqual(str(order.commitment_date.date()), "2026-12-24")
        self.assertEqual(str(order.iused_ordered_at), "2026-11-23 08:00:00")
        self.assertEqual(order.iused_note, "Ring <twice>\nThank you")

    def test_price_within_the_tolerance_is_confirmed(self):
        self.company.iused_price_tolerance = 1
        for price in (200.98, 197.02):
            with self.subTest(price=price):
                order = self._order_of(self._push(self._priced(price)))
                self.assertEqual((order.state, order.order_line.price_unit), ("sale", price))
                self.assertFalse(order.activity_ids.filtered(lambda activity: "price" in activity.summary))

    def test_other_price_is_a_quotation_with_both_prices_told(self):
        self.company.iused_price_tolerance = 1
        answer = self._push(self._priced(150.5))
        self.assertEqual((answer.status_code, answer.json()["status"]), (201, "quotation"))
        order = self._order_of(answer)
        self.assertEqual((order.state, order.order_line.price_unit), ("draft", 150.5))
        activity = order.activity_ids
        self.assertEqual(activity.user_id, self.responsible)
        for text in ("PHONE", "150.50", "199.00"):
            self.assertIn(text, activity.note)
        self.assertEqual(self._order_of(self._push(self._priced(150.5, order_id=order.iused_reference))), order)
        self.assertEqual(len(order.activity_ids), 1)

    def test_no_price_at_all_is_a_quotation(self):
        self.phone.iused_purchase_price = 0
        document = self._make_order(self.phone)
        del document["lines"][0]["price"]
        self.assertEqual(self._push(document).json()["status"], "quotation")

    def test_negative_tolerance_is_refused(self):
        with self.assertRaises(ValidationError):
            self.company.iused_price_tolerance = -1

    def test_shortage_is_accepted_with_a_warning(self):
        order = self._order_of(self._push(self._make_order((self.phone, 3))))
        self.assertEqual(order.state, "sale")
        self.assertEqual(order.activity_ids.user_id, self.responsible)
        self.assertIn("2 left, 3 ordered.", order.activity_ids.note)

    def test_shortage_is_refused_with_what_is_left(self):
        self.company.iused_shortage_policy = "refuse"
        document = self._make_order((self.phone, 1), (self.phone, 2))
        problem = self.assertProblem(self._push(document), 409, "/lines/1/quantity")
        self.assertEqual((problem["errors"][0]["sku"], problem["errors"][0]["available"]), ("PHONE", 1))
        self.assertFalse(self.env["sale.order"].search([("iused_reference", "=", document["order_id"])]))
        self.assertEqual(self._push(self._make_order((self.phone, 2))).status_code, 201)
        self.assertProblem(self._push(self._make_order(self.phone)), 409, "/lines/0/quantity")
        self._put_in_stock(self.phone, 1)
        self.assertEqual(self._push(document | {"lines": document["lines"][:1]}).status_code, 201)

    def test_services_are_never_short(self):
        self.company.iused_shortage_policy = "refuse"
        service = self._make_phone("SERVICE", type="service", is_storable=False, tracking="none")
        self.assertEqual(self._push(self._make_order(service)).status_code, 201)

    def test_responsible_without_a_choice_is_the_salesperson_or_a_manager_of_the_company(self):
        self.company.iused_responsible_id = False
        manager = self._new_user("manager", "sales_team.group_sale_manager")
        self.assertIn(self.company, self.company._iused_responsible().company_ids)
        self.assertTrue(self.company._iused_responsible().has_group("sale_iused.group_iused_manager"))
        self.company.iused_salesperson_id = manager
        self.assertEqual(self.company._iused_responsible(), manager)

    def test_notice_of_an_order_does_not_invite_iused_to_sign_up(self):
        self.env["ir.config_parameter"].set_param("auth_signup.invitation_scope", "b2c")
        order = self._order_of(self._push(self._make_order((self.phone, 3))))
        self.assertIn("short", order.activity_ids.summary)
        self.assertFalse(self.iused_partner.signup_type, "each notice would write the contact, and collide with others")
        other = self.env["res.partner"].create({"name": "Somebody else"})
        self.assertIn("auth_signup_token", other.signup_get_auth_param()[other.id])
