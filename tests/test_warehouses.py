"""Several warehouses: who delivers an order, as Odoo installs itself: all of the company's are offered."""

from odoo import Command
from odoo.tests import Form, tagged

from .common import IusedHttpCase


@tagged("post_install", "-at_install")
class TestWarehouses(IusedHttpCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.responsible = cls._new_user("responsible", "sales_team.group_sale_salesman_all_leads")
        cls.company.iused_responsible_id = cls.responsible
        cls.second = cls._make_warehouse("Second", "SEC")
        cls.phone = cls._make_phone("PHONE")
        cls.tablet = cls._make_phone("TABLET")

    @classmethod
    def _make_warehouse(cls, name, code):
        return cls.env["stock.warehouse"].create({"name": name, "code": code, "company_id": cls.company.id})

    def _stock(self, product, first=0, second=0):
        self._put_in_stock(product, first)
        self._put_in_stock(product, second, location=self.second.lot_stock_id)

    def _order(self, *lines, status=201, **values):
        document = self._make_order(*lines, **values)
        answer = self._push(document)
        self.assertEqual(answer.status_code, status, answer.text)
        return self.env["sale.order"].search([("iused_reference", "=", document["order_id"])])

    def _delivered_from(self, order):
        """Return what each warehouse delivers: dict of its code to a list of (SKU, pieces)."""
        return {
            picking.picking_type_id.warehouse_id.code: [
                (move.product_id.default_code, move.product_uom_qty) for move in picking.move_ids.sorted("id")
            ]
            for picking in order.picking_ids
        }

    def test_order_is_delivered_from_where_the_stock_is(self):
        self._stock(self.phone, second=1)
        self.assertEqual(self._offers()["PHONE"]["stock_available"], 1)
        order = self._order(self.phone)
        self.assertEqual(order.warehouse_id, self.second)
        self.assertEqual(order.picking_ids.picking_type_id.warehouse_id, self.second)
        self.assertEqual(order.picking_ids.state, "assigned")
        self.assertFalse(order.activity_ids, "nothing is short")
        self.assertEqual(self._offers()["PHONE"]["stock_available"], 0)

    def test_the_warehouses_sequence_is_the_order_of_preference(self):
        self._stock(self.phone, first=2, second=2)
        self.assertEqual(self._order(self.phone).warehouse_id, self.warehouse)
        self.second.sequence = self.warehouse.sequence - 1
        self.assertEqual(self._order(self.phone).warehouse_id, self.second)
        self.company.iused_warehouse_ids = [Command.set((self.warehouse + self.second).ids)]
        self.assertEqual(self._order(self.phone).warehouse_id, self.second)

    def test_warehouse_that_is_not_chosen_delivers_nothing(self):
        self.company.iused_warehouse_ids = self.warehouse
        self._stock(self.phone, second=2)
        order = self._order(self.phone)
        self.assertEqual(order.warehouse_id, self.warehouse)
        self.assertIn("0 left, 1 ordered", order.activity_ids.note)

    def test_lines_are_delivered_from_several(self):
        self.company.iused_shortage_policy = "refuse"
        self._stock(self.phone, first=1)
        self._stock(self.tablet, second=1)
        order = self._order(self.phone, self.tablet)
        self.assertEqual(self._delivered_from(order), {"SEC": [("TABLET", 1)], self.warehouse.code: [("PHONE", 1)]})
        self.assertEqual(order.picking_ids.mapped("state"), ["assigned"] * 2)
        self.assertFalse(order.activity_ids)

    def test_line_is_split_and_told_as_it_was_pushed(self):
        self.company.iused_shortage_policy = "refuse"
        self._stock(self.phone, first=1, second=2)
        document = self._make_order((self.phone, 3))
        self.assertEqual(self._push(document).status_code, 201)
        order = self.env["sale.order"].search([("iused_reference", "=", document["order_id"])])
        self.assertEqual(self._delivered_from(order), {"SEC": [("PHONE", 2)], self.warehouse.code: [("PHONE", 1)]})
        self.assertEqual(order.amount_untaxed, 3 * 199)
        self.assertEqual(set(order.order_line.mapped("iused_line_reference")), {"1"})
        self.assertEqual(self._push(document).status_code, 200, "no other lines: a repeat of the same push")
        # Each delivery is told for the line, and counts to it.
        first, second = order.picking_ids
        first.carrier_tracking_ref = "3SFIRST"
        first.button_validate()
        [line] = self._call("GET", f"/orders/{document['order_id']}").json()["lines"]
        shipped = int(first.move_ids.quantity)
        self.assertEqual(
            (line["line_id"], line["quantity"], line["quantity_shipped"], line["price"]), ("1", 3, shipped, 199.0)
        )
        second.carrier_tracking_ref = "3SSECOND"
        second.button_validate()
        told = self._call("GET", f"/orders/{document['order_id']}").json()
        self.assertEqual([line["quantity_shipped"] for line in told["lines"]], [3])
        self.assertEqual({each["track_and_trace"] for each in told["shipments"]}, {"3SFIRST", "3SSECOND"})
        self.assertEqual(len(order.iused_update_ids), 3)

    def test_two_equal_lines_are_told_apart(self):
        self._stock(self.phone, first=3)
        order = self._order((self.phone, 1), (self.phone, 2))
        told = self._call("GET", f"/orders/{order.iused_reference}").json()
        self.assertEqual([(line["line_id"], line["quantity"]) for line in told["lines"]], [("1", 1), ("2", 2)])

    def test_lines_without_a_number_and_of_a_person_are_told_apart(self):
        self._stock(self.phone, first=3)
        document = self._make_order((self.phone, 1), (self.phone, 1))
        for line in document["lines"]:
            del line["line_id"]
        self._push(document)
        order = self.env["sale.order"].search([("iused_reference", "=", document["order_id"])])
        for _line in range(2):
            order.order_line = [Command.create({"product_id": self.phone.id, "product_uom_qty": 1})]
        self.assertEqual(len(self._call("GET", f"/orders/{document['order_id']}").json()["lines"]), 4)

    def test_shortage_is_what_all_of_them_lack(self):
        self._stock(self.phone, first=1, second=2)
        order = self._order((self.phone, 4))
        self.assertIn("3 left, 4 ordered", order.activity_ids.note)
        self.assertEqual(self._delivered_from(order), {"SEC": [("PHONE", 3)], self.warehouse.code: [("PHONE", 1)]})
        self.assertEqual(self._offers()["PHONE"]["stock_available"], 0)

    def test_refusal_counts_what_the_feed_tells(self):
        self.company.iused_shortage_policy = "refuse"
        self._stock(self.phone, first=1, second=1)
        self.assertProblem(self._push(self._make_order((self.phone, 3))), 409, "/lines/0/quantity")
        self._order((self.phone, 2))
        self.assertProblem(self._push(self._make_order(self.phone)), 409, "/lines/0/quantity")

    def test_quotation_keeps_what_was_chosen(self):
        self.company.iused_order_policy = "quotation"
        self._stock(self.phone, first=1, second=1)
        self._stock(self.tablet, second=1)
        order = self._order((self.phone, 2), self.tablet)
        self.assertEqual((order.state, order.warehouse_id), ("draft", self.second))
        with Form(order) as form:
            form.user_id = self.responsible
        order.action_confirm()
        self.assertEqual(
            self._delivered_from(order),
            {"SEC": [("PHONE", 1), ("TABLET", 1)], self.warehouse.code: [("PHONE", 1)]},
        )
        self.assertEqual(order.picking_ids.mapped("state"), ["assigned"] * 2)

    def test_a_person_may_choose_another_warehouse(self):
        self.company.iused_order_policy = "quotation"
        self._stock(self.phone, first=1, second=1)
        order = self._order((self.phone, 2))
        third = self._make_warehouse("Third", "THI")
        order.warehouse_id = third
        order.action_confirm()
        self.assertEqual(self._delivered_from(order), {"THI": [("PHONE", 1), ("PHONE", 1)]})

    def test_service_comes_with_the_rest(self):
        service = self._make_phone("SERVICE", type="service", is_storable=False, tracking="none")
        self._stock(self.phone, second=1)
        order = self._order(service, self.phone)
        self.assertEqual((order.warehouse_id, order.order_line.warehouse_id), (self.second, self.second))

    def test_changed_address_and_carrier_reach_every_delivery(self):
        parcel = self.env["product.product"].create({"name": "Parcel", "type": "service"})
        self.company.iused_carrier_id = self.env["delivery.carrier"].create(
            {"name": "PostNL", "product_id": parcel.id, "company_id": self.company.id}
        )
        self._stock(self.phone, first=1, second=1)
        document = self._make_order((self.phone, 2))
        self._push(document)
        order = self.env["sale.order"].search([("iused_reference", "=", document["order_id"])])
        self.assertEqual(len(order.picking_ids), 2)
        self.assertEqual(order.picking_ids.mapped("carrier_id"), self.company.iused_carrier_id)
        moved = {**document, "shipping_address": {**document["shipping_address"], "city": "Assen"}}
        self.assertEqual(self._push(moved).status_code, 200)
        self.env.invalidate_all()
        self.assertEqual(order.picking_ids.mapped("partner_id.city"), ["Assen"])
        self.assertEqual(order.picking_ids.partner_id, order.partner_shipping_id)
        self._push({"order_id": document["order_id"], "status": "cancelled"})
        self.env.invalidate_all()
        self.assertEqual(order.picking_ids.mapped("state"), ["cancel"] * 2)

    def test_feed_is_fetched_again_when_stock_moves_between_warehouses(self):
        """What is promised too much in one warehouse is not made good by the other: where pieces lie counts."""
        self._stock(self.phone, first=1)
        self._order((self.phone, 2))
        tag = self._call("GET", "/offers").headers["ETag"]
        self._stock(self.phone, second=1)
        answer = self._call("GET", "/offers", If_None_Match=tag)
        self.assertEqual((answer.status_code, answer.json()[0]["stock_available"]), (200, 1))
        tag = answer.headers["ETag"]
        lot = self.env["stock.quant"].search([("location_id", "=", self.second.lot_stock_id.id)]).lot_id
        quants = self.env["stock.quant"]
        quants._update_available_quantity(self.phone, self.second.lot_stock_id, -1, lot_id=lot)
        quants._update_available_quantity(self.phone, self.stock, 1, lot_id=lot)
        answer = self._call("GET", "/offers", If_None_Match=tag)
        self.assertEqual((answer.status_code, answer.json()[0]["stock_available"]), (200, 0))
