"""Which orders of iUsed have not left yet, and what iUsed reads back of those that did."""

import json

from odoo import fields
from odoo.tests import tagged

from .common import IusedHttpCase


@tagged("post_install", "-at_install")
class TestOpenOrders(IusedHttpCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.phone = cls._make_phone("PHONE", 6)

    def _open(self):
        return self.env["sale.order"].search(self.env["iused.overview"]._open_orders_domain(self.company))

    def _order(self, quantity=1):
        return self._receive(self._make_order((self.phone, quantity)))

    def test_order_is_open_until_all_of_it_left(self):
        order = self._order(2)
        self.assertIn(order, self._open())
        picking = order.picking_ids
        picking.carrier_tracking_ref = "3SABC"
        picking.move_line_ids[0].picked = True
        action = picking.button_validate()
        self.env[action["res_model"]].with_context(**action["context"]).create({}).process()
        self.assertIn(order, self._open())
        self._deliver(order)
        self.assertNotIn(order, self._open())

    def test_waiting_return_does_not_open_a_shipped_order(self):
        order = self._order()
        receipt = self._return(self._deliver(order), done=False)
        self.assertEqual(order.delivery_status, "partial")
        self.assertNotIn(order, self._open())
        receipt.button_validate()
        self.assertNotIn(order, self._open())

    def test_delivery_of_an_exchange_opens_the_order(self):
        order = self._order()
        picking = self._deliver(order)
        self._return(picking)
        picking.copy({"move_ids": []}).move_ids = [
            fields.Command.create(
                picking.move_ids.copy_data({"state": "draft", "sale_line_id": order.order_line[:1].id})[0]
            )
        ]
        order.picking_ids.filtered(lambda picking: picking.state == "draft").action_confirm()
        self.assertIn(order, self._open())

    def test_return_that_waits_beside_a_backorder_leaves_the_order_open(self):
        order = self._order(2)
        picking = order.picking_ids
        picking.carrier_tracking_ref = "3SABC"
        picking.move_line_ids[0].picked = True
        action = picking.button_validate()
        self.env[action["res_model"]].with_context(**action["context"]).create({}).process()
        self._return(picking, done=False)
        self.assertIn(order, self._open())

    def test_inner_steps_of_a_delivery_are_open(self):
        self.warehouse.delivery_steps = "pick_pack_ship"
        order = self._order()
        for _step in range(3):
            self.assertIn(order, self._open())
            self._deliver(order)
        self.assertNotIn(order, self._open())
        self._return(order.picking_ids.filtered(lambda picking: picking.location_dest_id == self.customers), done=False)
        self.assertNotIn(order, self._open())

    def test_order_of_services_alone_is_not_open(self):
        repair = self._make_phone("REPAIR", type="service", is_storable=False, tracking="none")
        order = self._receive(self._make_order(repair))
        self.assertEqual((order.state, order.delivery_status), ("sale", False))
        self.assertNotIn(order, self._open())

    def test_order_without_any_delivery_is_open_as_long_as_it_has_goods(self):
        order = self._order()
        order.picking_ids.action_cancel()
        self.assertEqual((order.state, order.delivery_status), ("sale", False))
        self.assertIn(order, self._open())
        order.action_cancel()
        self.assertNotIn(order, self._open())

    def test_quotation_is_open(self):
        self.company.iused_order_policy = "quotation"
        order = self._order()
        self.assertEqual(order.state, "draft")
        self.assertIn(order, self._open())

    def test_salesperson_opens_the_list_of_them(self):
        order, shipped = self._order(), self._order()
        self._return(self._deliver(shipped), done=False)
        user = self._new_user("seller", "sales_team.group_sale_salesman_all_leads")
        action = self.env["iused.overview"].with_user(user).open_door("open_orders")
        domain = json.loads(json.dumps(action["domain"]))
        self.assertEqual(self.env["sale.order"].with_user(user).search(domain), order)

    # What iUsed reads back -------------------------------------------------------------------------------------------

    def _read_back(self, order):
        answer = self._call("GET", f"/orders/{order.iused_reference}")
        self.assertEqual(answer.status_code, 200, answer.text)
        return answer.json()["shipments"]

    def test_delivery_done_without_a_date_is_read_back(self):
        order = self._order()
        moves = order.order_line.move_ids
        moves.picked = True
        moves._action_done()  # as other addons do
        self.assertFalse(moves.picking_id.date_done)
        [shipment] = self._read_back(order)
        self.assertEqual(shipment["shipped_at"], f"{moves.date.isoformat(timespec='seconds')}Z")
        self.assertEqual(shipment["serial_numbers"], moves.lot_ids.mapped("name"))

    def test_goods_that_left_without_a_delivery_are_read_back(self):
        order = self._order()
        moves = order.order_line.move_ids
        moves.write({"picking_id": False, "picked": True})
        moves.move_line_ids.picking_id = False
        moves._action_done()
        [shipment] = self._read_back(order)
        self.assertEqual((shipment["carrier"], shipment["track_and_trace"]), ("", ""))
        self.assertEqual(shipment["shipped_at"], f"{moves.date.isoformat(timespec='seconds')}Z")

    def test_device_that_was_taken_off_is_not_read_back(self):
        order = self._order(2)
        picking = self._deliver(order)
        picking.is_locked = False
        off, left = picking.move_line_ids
        off.quantity = 0
        self.assertEqual([shipment["serial_numbers"] for shipment in self._read_back(order)], [[left.lot_id.name]])
        left.quantity = 0
        self.assertEqual(self._read_back(order), [])
