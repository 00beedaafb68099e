"""Which goods are told to iUsed, by whatever way they leave. What needs other addons is in dev/module_tests."""

from odoo import Command
from odoo.tests import tagged

from .common import IusedCase


@tagged("post_install", "-at_install")
class TestRoutes(IusedCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.phone = cls._make_phone("PHONE", 5)

    def _told(self, order):
        return sorted(order.iused_update_ids.mapped("serial_number"))

    def test_moves_merged_from_two_orders_are_told_for_their_own(self):
        first, second = (self._receive(self._make_order(self.phone)) for _number in range(2))
        picking = first.picking_ids
        second.picking_ids.move_ids.write({"picking_id": picking.id})
        self._deliver(first)
        self.assertEqual(picking.iused_update_ids.order_id, first | second)
        for order in (first, second):
            self.assertEqual(self._told(order), order.order_line.move_ids.lot_ids.mapped("name"))

    def test_delivery_validated_by_code_is_told(self):
        order = self._receive(self._make_order(self.phone))
        moves = order.order_line.move_ids
        moves.picked = True
        moves._action_done()
        self.assertEqual(self._told(order), moves.lot_ids.mapped("name"))
        self.assertEqual(order.iused_update_ids.state, "waiting")
        moves.picking_id.carrier_tracking_ref = "3SCODE"
        self.assertEqual(order.iused_update_ids.state, "pending")

    def test_several_deliveries_validated_together_are_told_each_for_its_order(self):
        orders = [self._receive(self._make_order(self.phone)) for _number in range(3)]
        pickings = self.env["stock.picking"].union(*(order.picking_ids for order in orders))
        pickings.carrier_tracking_ref = "3SABC"
        pickings.button_validate()
        for order in orders:
            self.assertEqual(self._told(order), order.picking_ids.move_line_ids.lot_id.mapped("name"))

    def test_scrap_and_inner_transfer_are_not_told(self):
        order = self._receive(self._make_order(self.phone))
        lot = order.picking_ids.move_line_ids.lot_id
        picking = self._deliver(order)
        spare = self.env["stock.quant"].search(
            [("product_id", "=", self.phone.id), ("location_id", "=", self.stock.id), ("lot_id", "!=", lot.id)], limit=1
        )
        scrap = self.env["stock.scrap"].create(
            {"product_id": self.phone.id, "lot_id": spare.lot_id.id, "scrap_qty": 1, "picking_id": picking.id}
        )
        scrap.do_scrap()
        shelf = self.env["stock.location"].create({"name": "Shelf", "location_id": self.stock.id})
        inner = self.env["stock.picking"].create(
            {
                "picking_type_id": self.warehouse.int_type_id.id,
                "location_id": self.stock.id,
                "location_dest_id": shelf.id,
                "move_ids": [
                    Command.create(
                        {
                            "product_id": self.phone.id,
                            "product_uom_qty": 1,
                            "location_id": self.stock.id,
                            "location_dest_id": shelf.id,
                            # As a transfer made for an order by hand.
                            "sale_line_id": order.order_line.id,
                        }
                    )
                ],
            }
        )
        inner.action_confirm()
        inner.action_assign()
        inner.button_validate()
        self.assertEqual((scrap.state, inner.state), ("done", "done"))
        self.assertEqual(self._told(order), [lot.name])

    def test_backorder_without_a_rest_tells_what_left(self):
        order = self._receive(self._make_order((self.phone, 2)))
        picking = order.picking_ids
        picking.carrier_tracking_ref = "3SABC"
        picking.move_line_ids[0].picked = True
        picking.with_context(skip_backorder=True, picking_ids_not_to_backorder=picking.ids).button_validate()
        self.assertEqual(self._told(order), picking.move_line_ids.lot_id.mapped("name"))

    def test_a_lot_of_several_pieces_is_no_serial_number(self):
        covers = self._make_phone("LOT", tracking="lot")
        lot = self.env["stock.lot"].create({"name": "LOT-1", "product_id": covers.id, "company_id": self.company.id})
        self.env["stock.quant"]._update_available_quantity(covers, self.stock, 2, lot_id=lot)
        order = self._receive(self._make_order((covers, 2)))
        self._deliver(order)
        self.assertEqual(order.iused_update_ids.mapped("serial_number"), [False, False])
        self.assertEqual(order.iused_update_ids.mapped("state"), ["waiting", "waiting"])

    def test_one_update_for_a_delivery_when_the_company_wants_it(self):
        self.company.iused_grouping = "delivery"
        order = self._receive(self._make_order((self.phone, 2)))
        picking = self._deliver(order)
        update = picking.iused_update_ids
        serials = picking.move_line_ids.lot_id.mapped("name")
        self.assertEqual((len(update), update.pieces, update.state), (1, 2, "pending"))
        self.assertEqual(update._prepare_body()["serial_number"], update._serials())
        self.assertEqual(sorted(update._serials()), sorted(serials))

    def test_delivery_with_a_device_without_number_waits_as_a_whole(self):
        self.company.iused_grouping = "delivery"
        other = self._make_phone("UNTRACKED", tracking="none")
        self._put_in_stock(other, 1)
        update = self._deliver(self._receive(self._make_order(self.phone, other))).iused_update_ids
        self.assertEqual((len(update), update.pieces, update.state), (1, 2, "waiting"))
        self.assertIn("serial number", update.reason)
        update._type_serial(f"{update.serial_number}\nSN-2")
        self.assertEqual((update.state, update._serials()[1]), ("pending", "SN-2"))

    def test_order_without_an_iused_reference_is_not_told(self):
        order = self._receive(self._make_order(self.phone))
        order.iused_reference = False
        self.assertFalse(self._deliver(order).iused_update_ids)
