"""Devices that came back: sold again, or of an order that is cancelled."""

from odoo import fields
from odoo.tests import tagged

from .common import IusedCase


@tagged("post_install", "-at_install")
class TestDevicesBack(IusedCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.phone = cls._make_phone("PHONE", 1)

    def _send(self, updates):
        updates.sudo().write({"state": "sent", "attempts": 1, "body": "{}", "sent_at": fields.Datetime.now()})

    def _warning(self, order):
        picking = order.picking_ids.filtered(lambda picking: picking.state not in ("done", "cancel"))
        picking.carrier_tracking_ref = "3SNEXT"
        picking.invalidate_recordset(["iused_warning"])
        return picking.iused_warning

    # Sold again ------------------------------------------------------------------------------------------------------

    def test_returned_phone_is_sold_again_without_a_warning(self):
        for grouping in ("device", "delivery"):
            with self.subTest(grouping=grouping):
                self.company.iused_grouping = grouping
                first = self._ship()
                self._send(first.iused_update_ids)
                serial = first.move_line_ids.lot_id.name
                self._return(first)
                second = self._receive(self._make_order(self.phone))
                self.assertEqual(second.picking_ids.move_line_ids.lot_id.name, serial, "the only one")
                self.assertFalse(self._warning(second))
                delivery = self._deliver(second)
                self.assertEqual(delivery.iused_update_ids.mapped("state"), ["pending"])
                self._return(delivery)

    def test_returned_phone_whose_tracking_was_corrected_later_is_sold_again_without_a_warning(self):
        first = self._ship()
        self._send(first.iused_update_ids)
        self._return(first)
        first.carrier_tracking_ref = "3SCORRECTED"
        self._send(first.iused_update_ids._find_live())
        self.assertFalse(self._warning(self._receive(self._make_order(self.phone))))

    def test_phone_that_is_out_warns_though_it_was_returned_once(self):
        first = self._ship()
        self._send(first.iused_update_ids)
        lot = first.move_line_ids.lot_id
        self._return(first)
        second = self._ship()
        self._send(second.iused_update_ids)
        self._put_in_stock(self.phone, 1)
        third = self._receive(self._make_order(self.phone))
        third.picking_ids.move_line_ids.lot_id = lot
        warning = self._warning(third)
        self.assertIn(second.iused_update_ids.order_id.name, warning)
        self.assertNotIn(first.iused_update_ids.order_id.name, warning)

    def test_phone_whose_return_is_expected_still_warns(self):
        first = self._ship()
        self._send(first.iused_update_ids)
        self._return(first, done=False)
        self._put_in_stock(self.phone, 1)
        second = self._receive(self._make_order(self.phone))
        second.picking_ids.move_line_ids.lot_id = first.move_line_ids.lot_id
        self.assertIn("was told to iUsed", self._warning(second))

    def test_serial_number_that_was_corrected_is_free_for_another_order(self):
        first = self._ship()
        told = first.iused_update_ids
        self._send(told)
        lot = first.move_line_ids.lot_id
        self._put_in_stock(self.phone, 1)
        other = self.env["stock.lot"].search([("product_id", "=", self.phone.id), ("id", "!=", lot.id)])
        first.move_line_ids.lot_id = other  # the one that had really left
        self._send(told._find_live() or told.correction_ids)
        second = self._receive(self._make_order(self.phone))
        self.assertEqual(second.picking_ids.move_line_ids.lot_id, lot)
        self.assertFalse(self._warning(second))

    # Cancelled orders ------------------------------------------------------------------------------------------------

    def test_cancelled_order_still_tells_what_left(self):
        order = self._ship(tracking=False).move_ids.sale_line_id.order_id
        update = order.iused_update_ids
        salesperson = self._new_user("seller", "sales_team.group_sale_salesman_all_leads")
        order.with_user(salesperson).action_cancel()
        self.assertEqual((order.state, update.state), ("cancel", "waiting"))
        update.picking_id.carrier_tracking_ref = "3SLATE"
        self.assertEqual(update.state, "pending")

    def test_cancelled_order_of_which_a_part_left_still_tells_that(self):
        self._put_in_stock(self.phone, 1)
        order = self._receive(self._make_order((self.phone, 2)))
        picking = order.picking_ids
        picking.carrier_tracking_ref = "3SABC"
        picking.move_line_ids[0].picked = True
        action = picking.button_validate()
        self.env[action["res_model"]].with_context(**action["context"]).create({}).process()
        order.action_cancel()
        self.assertEqual(order.iused_update_ids.mapped("state"), ["pending"])
        self.assertEqual(sorted(order.picking_ids.mapped("state")), ["cancel", "done"])

    def test_cancelled_order_drops_what_came_back_untold_with_a_trace(self):
        for grouping in ("device", "delivery"):
            with self.subTest(grouping=grouping):
                self.company.iused_grouping = grouping
                picking = self._ship(tracking=False)
                order = picking.move_ids.sale_line_id.order_id
                self._return(picking)
                self.assertEqual(order.iused_update_ids.mapped("state"), ["waiting"])
                order.action_cancel()
                self.assertEqual(order.iused_update_ids.mapped("state"), ["dropped"])
                self.assertIn("cancelled", order.iused_update_ids.reason)
                self.assertTrue(order.message_ids.filtered(lambda message: "1 shipment update" in message.body))

    def test_cancelled_order_of_pieces_without_serial_numbers(self):
        phone = self._make_phone("UNTRACKED", tracking="none")
        self._put_in_stock(phone, 2)
        for returned, state in ((1, "waiting"), (2, "dropped")):
            with self.subTest(returned=returned):
                picking = self._ship(2, phone)
                self._return(picking, returned)
                order = picking.move_ids.sale_line_id.order_id
                order.action_cancel()
                self.assertEqual(order.iused_update_ids.mapped("state"), [state] * 2)
                self._put_in_stock(phone, 1)
