"""Kits, dropshipping and batches: what is told of goods that leave by ways that other addons bring.

Run by `dev/tests/test_module_tests.py` on a database that has those addons; not part of the addon's own tests.
"""

from odoo import Command
from odoo.tests import tagged

from odoo.addons.sale_iused.tests.common import IusedCase


@tagged("post_install", "-at_install")
class TestKits(IusedCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.phone = cls._make_phone("PHONE", 4)
        cls.charger = cls._make_phone("CHARGER", tracking="none")
        cls._put_in_stock(cls.charger, 10)
        cls.kit = cls._make_phone("PHONE-SET", tracking="none")
        cls.env["mrp.bom"].create(
            {
                "product_tmpl_id": cls.kit.product_tmpl_id.id,
                "type": "phantom",
                "company_id": cls.company.id,
                "bom_line_ids": [
                    Command.create({"product_id": cls.phone.id, "product_qty": 1}),
                    Command.create({"product_id": cls.charger.id, "product_qty": 1}),
                ],
            }
        )

    def test_kit_is_told_by_its_devices_own_serial_and_the_ordered_sku(self):
        self.company.iused_extra_keys = True
        order = self._receive(self._make_order((self.kit, 2)))
        picking = self._deliver(order)
        serials = picking.move_line_ids.lot_id.mapped("name")
        updates = order.iused_update_ids
        self.assertEqual(sorted(updates.mapped("serial_number")), sorted(serials))
        self.assertEqual(len(serials), 2)
        bodies = [update._prepare_body() for update in updates]
        self.assertEqual([(body["sku"], body["line_id"]) for body in bodies], [("PHONE-SET", "1")] * 2)

    def test_kit_which_has_no_stock_of_its_own_is_never_short(self):
        for policy in ("refuse", "accept"):
            self.company.iused_shortage_policy = policy
            order = self._receive(self._make_order(self.kit))
            self.assertEqual(order.state, "sale")
            self.assertFalse(order.activity_ids)

    def test_component_sent_later_is_no_device(self):
        order = self._receive(self._make_order(self.kit))
        picking = order.picking_ids
        picking.carrier_tracking_ref = "3SABC"
        picking.move_ids.filtered(lambda move: move.product_id == self.phone).picked = True
        action = picking.button_validate()
        self.env[action["res_model"]].with_context(**action["context"]).create({}).process()
        self._deliver(order, "3SCHARGER")
        self.assertEqual(order.iused_update_ids.mapped("product_id"), self.phone)
        self.assertEqual(order.iused_update_ids.mapped("tracking_reference"), ["3SABC"])

    def test_kit_in_a_delivery_told_as_a_whole(self):
        self.company.iused_grouping = "delivery"
        update = self._deliver(self._receive(self._make_order((self.kit, 2)))).iused_update_ids
        self.assertEqual((update.pieces, update.state, len(update._serials())), (2, "pending", 2))

    def test_warning_is_about_the_device_only(self):
        picking = self._receive(self._make_order(self.kit)).picking_ids
        picking.carrier_tracking_ref = "3SABC"
        self.assertFalse(picking.iused_warning)


@tagged("post_install", "-at_install")
class TestDropshipping(IusedCase):
    def test_dropshipped_device_is_told(self):
        supplier = self.env["res.partner"].create({"name": "Supplier"})
        phone = self._make_phone("DROPSHIPPED")
        phone.write(
            {
                "route_ids": [Command.link(self.env.ref("stock_dropshipping.route_drop_shipping").id)],
                "seller_ids": [Command.create({"partner_id": supplier.id, "price": 100})],
            }
        )
        order = self._receive(self._make_order(phone))
        purchase = order.order_line.purchase_line_ids.order_id
        purchase.button_confirm()
        picking = purchase.picking_ids
        self.assertEqual((picking.location_id.usage, picking.location_dest_id.usage), ("supplier", "customer"))
        picking.carrier_tracking_ref = "3SDROP"
        picking.move_ids.move_line_ids.write({"lot_name": "356938035643809", "quantity": 1, "picked": True})
        if not picking.move_line_ids:
            picking.move_ids.move_line_ids = [
                Command.create({"product_id": phone.id, "lot_name": "356938035643809", "quantity": 1, "picked": True})
            ]
        picking.button_validate()
        self.assertEqual(picking.state, "done")
        update = order.iused_update_ids
        self.assertEqual(
            (update.serial_number, update.tracking_reference, update.state), ("356938035643809", "3SDROP", "pending")
        )

    def test_quotation_that_a_supplier_delivers_holds_no_pieces(self):
        phone = self._make_phone("PHONE", 2)
        self.company.iused_order_policy = "quotation"
        order = self._receive(self._make_order(phone))
        self.assertEqual(phone.iused_stock, 1)
        order.order_line.route_ids = self.env.ref("stock_dropshipping.route_drop_shipping")
        phone.invalidate_recordset()
        self.assertEqual(phone.iused_stock, 2)


@tagged("post_install", "-at_install")
class TestBatches(IusedCase):
    def test_batch_tells_every_delivery(self):
        phone = self._make_phone("PHONE", 4)
        orders = [self._receive(self._make_order(phone)) for _number in range(3)]
        pickings = self.env["stock.picking"].union(*(order.picking_ids for order in orders))
        batch = self.env["stock.picking.batch"].create(
            {"picking_ids": [Command.set(pickings.ids)], "company_id": self.company.id}
        )
        batch.action_confirm()
        for number, picking in enumerate(pickings):
            picking.carrier_tracking_ref = f"3S{number}"
        batch.action_done()
        self.assertEqual(batch.state, "done")
        for order in orders:
            picking = order.picking_ids
            self.assertEqual(order.iused_update_ids.serial_number, picking.move_line_ids.lot_id.name)
            self.assertEqual(order.iused_update_ids.tracking_reference, picking.carrier_tracking_ref)
