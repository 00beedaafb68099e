"""What becomes of purchase and manufacturing orders behind an order of iUsed that is changed or cancelled.

Run by `dev/tests/test_module_tests.py` on a database that has those addons; not part of the addon's own tests.
"""

from datetime import timedelta

from odoo import Command, fields
from odoo.tests import tagged

from odoo.addons.sale_iused.tests.common import IusedHttpCase


class Case(IusedHttpCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.supplier = cls.env["res.partner"].create({"name": "Supplier", "email": "supplier@example.com"})
        cls.responsible = cls._new_user("responsible", "sales_team.group_sale_salesman_all_leads")
        cls.company.iused_responsible_id = cls.responsible

    def _make_routed_phone(self, *routes):
        phone = self._make_phone(f"ROUTED-{len(routes)}")
        phone.write(
            {
                "route_ids": [Command.set([route.id for route in routes])],
                "seller_ids": [Command.create({"partner_id": self.supplier.id, "price": 100})],
            }
        )
        return phone

    def _dropship(self, *lines):
        """Receive an order of a phone that is dropshipped; return the order and its purchase."""
        phone = self._make_routed_phone(self.env.ref("stock_dropshipping.route_drop_shipping"))
        self.document = self._make_order(phone, *lines)
        order = self._receive(self.document)
        return order, order.order_line.purchase_line_ids.order_id

    def _make_to_order(self, action):
        """Return a phone that is bought or made for each order.

        :param str action: of the rule: `buy` or `manufacture`
        """
        to_order = self.env.ref("stock.route_warehouse0_mto")
        to_order.active = True
        rule = self.env["stock.rule"].search(
            [("action", "=", action), ("warehouse_id", "=", self.warehouse.id), ("company_id", "=", self.company.id)],
            limit=1,
        )
        return self._make_routed_phone(to_order, rule.route_id)

    def _cancel(self):
        answer = self._push({"order_id": self.document["order_id"], "status": "cancelled"})
        self.assertEqual(answer.status_code, 200, answer.text)
        self.env.invalidate_all()

    def _move(self, city):
        address = {**self.document["shipping_address"], "city": city}
        answer = self._push({**self.document, "shipping_address": address})
        self.assertEqual(answer.status_code, 200, answer.text)
        self.env.invalidate_all()

    def _assertTold(self, record, *words):
        [activity] = record.activity_ids
        self.assertEqual(activity.user_id, self.responsible, "told to somebody who exists")
        for word in words:
            self.assertIn(word, activity.note)


@tagged("post_install", "-at_install")
class TestCancellations(Case):
    def test_purchase_for_the_order_is_told_of(self):
        for confirmed in (False, True):
            phone = self._make_to_order("buy")
            self.document = self._make_order(phone)
            order = self._receive(self.document)
            purchase = order._get_purchase_orders()
            self.assertEqual(len(purchase), 1)
            if confirmed:
                purchase.button_confirm()
            self._cancel()
            self.assertEqual(order.state, "cancel")
            self._assertTold(purchase, order.name)
            purchase.button_cancel()
            phone.active = False
            phone.default_code = False

    def test_buyer_of_the_purchase_is_told(self):
        buyer = self._new_user("buyer", "purchase.group_purchase_user")
        self.supplier.buyer_id = buyer
        self.document = self._make_order(self._make_to_order("buy"))
        purchase = self._receive(self.document)._get_purchase_orders()
        self._cancel()
        self.assertEqual(purchase.activity_ids.user_id, buyer)

    def test_dropshipment_is_told_of(self):
        order, purchase = self._dropship()
        purchase.button_confirm()
        self._cancel()
        self._assertTold(purchase, order.name)

    def test_dropshipment_that_was_not_ordered_yet_is_told_of(self):
        order, purchase = self._dropship()
        self._cancel()
        self._assertTold(purchase, order.name)

    def test_manufacturing_order_is_told_of(self):
        phone = self._make_to_order("manufacture")
        component = self._make_phone("COMPONENT", 0, tracking="none")
        self.env["mrp.bom"].create(
            {
                "product_tmpl_id": phone.product_tmpl_id.id,
                "company_id": self.company.id,
                "bom_line_ids": [Command.create({"product_id": component.id, "product_qty": 1})],
            }
        )
        self.document = self._make_order(phone)
        order = self._receive(self.document)
        production = self.env["mrp.production"].search([("product_id", "=", phone.id)])
        self.assertEqual(len(production), 1)
        self._cancel()
        self.assertNotEqual(production.state, "done")
        self._assertTold(production, order.name)

    def test_delivery_from_stock_needs_nobody(self):
        phone = self._make_phone("STOCKED", 2)
        self.document = self._make_order(phone)
        order = self._receive(self.document)
        self._cancel()
        self.assertEqual(order.picking_ids.state, "cancel")
        self.assertFalse(order.activity_ids | order.picking_ids.activity_ids)


@tagged("post_install", "-at_install")
class TestAddresses(Case):
    def test_dropshipment_that_was_not_ordered_yet_goes_to_the_new_address(self):
        order, purchase = self._dropship()
        self._move("Assen")
        self.assertEqual(purchase.dest_address_id, order.partner_shipping_id)
        self.assertEqual(purchase.dest_address_id.city, "Assen")
        self.assertFalse(purchase.activity_ids, "the supplier does not know of it yet")
        purchase.button_confirm()
        self.assertEqual(purchase.picking_ids.move_ids.partner_id.city, "Assen")
        self.assertEqual(purchase.picking_ids.partner_id, self.supplier)

    def test_supplier_that_has_the_order_must_be_told(self):
        order, purchase = self._dropship()
        purchase.button_confirm()
        picking = purchase.picking_ids
        self.assertIn(picking, order.picking_ids)
        self._move("Assen")
        self.assertEqual(purchase.dest_address_id.city, "Assen")
        self.assertEqual(picking.move_ids.partner_id.city, "Assen")
        self.assertEqual(picking.partner_id, self.supplier, "a dropshipment is from a vendor")
        self._assertTold(purchase, order.name)

    def test_request_that_was_sent_must_be_told(self):
        _order, purchase = self._dropship()
        purchase.state = "sent"
        self._move("Assen")
        self.assertEqual(purchase.dest_address_id.city, "Assen")
        self._assertTold(purchase)

    def test_purchase_for_several_orders_keeps_its_address(self):
        order, purchase = self._dropship()
        self.document, first = self._make_order(order.order_line.product_id), self.document
        second = self._receive(self.document)
        second.order_line.purchase_line_ids.order_id = purchase
        self.document = first
        self._move("Assen")
        self.assertEqual(purchase.dest_address_id, second.partner_shipping_id)
        self._assertTold(purchase, order.name)

    def test_cancelled_purchase_is_left_alone(self):
        order, purchase = self._dropship()
        purchase.button_cancel()
        order.activity_ids.unlink()
        self._move("Assen")
        self.assertFalse(purchase.activity_ids)

    def test_receipt_for_the_order_stays_the_vendors(self):
        self.document = self._make_order(self._make_to_order("buy"))
        order = self._receive(self.document)
        purchase = order._get_purchase_orders()
        purchase.button_confirm()
        receipt = purchase.picking_ids
        self.assertEqual(receipt.partner_id, self.supplier)
        self._move("Assen")
        self.assertEqual(receipt.partner_id, self.supplier)
        self.assertFalse(purchase.dest_address_id)
        self.assertEqual(
            order.picking_ids.filtered(lambda p: p.picking_type_code == "outgoing").partner_id.city, "Assen"
        )
        self.assertFalse(purchase.activity_ids)


@tagged("post_install", "-at_install")
class TestPrivacy(Case):
    def test_purchase_that_a_vendor_ships_forgets_the_consumer(self):
        order, purchase = self._dropship()
        consumer = order.partner_shipping_id
        purchase.button_confirm()
        message = purchase.message_post(body=f"Ship to {consumer.name}")
        self.env["ir.attachment"].create(
            {"name": "Purchase.pdf", "raw": b"%PDF", "res_model": purchase._name, "res_id": purchase.id}
        )
        self._cancel()
        purchase.button_cancel()
        order.activity_ids.unlink()
        self.env.flush_all()
        self.env.cr.execute(
            "UPDATE sale_order SET date_order = %s WHERE id = %s",
            [fields.Datetime.now() - timedelta(days=400), order.id],
        )
        self.env.invalidate_all()
        self.company.iused_anonymize_months = 6
        self.assertTrue(self.env["iused.privacy"].sudo()._gc_consumers()[0])
        self.assertEqual(consumer.name, "Anonymous consumer")
        self.assertEqual(self.supplier.name, "Supplier")
        self.assertFalse(message.body)
        self.assertFalse(
            self.env["ir.attachment"].search([("res_model", "=", purchase._name), ("res_id", "=", purchase.id)])
        )
