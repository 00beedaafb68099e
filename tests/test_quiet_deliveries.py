"""Nobody but iUsed writes to its consumers: what Odoo sends by itself once goods leave, with Odoo's defaults on."""

from types import SimpleNamespace
from unittest.mock import patch

from odoo import Command
from odoo.tests import Form, tagged

from .common import IusedCase


@tagged("post_install", "-at_install")
class TestQuietDeliveries(IusedCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.phone = cls._make_phone("PHONE", 6)
        cls.company.write({"stock_move_email_validation": True, "stock_text_confirmation": True})
        # It installs itself with Inventory; without it these tests would pass whatever the addon does.
        template = cls.env.ref("stock_sms.sms_template_data_stock_delivery")
        cls.company.write({"stock_sms_confirmation_template_id": template.id, "has_received_warning_stock_sms": True})

    def setUp(self):
        super().setUp()
        # It does nothing while Odoo tests.
        untested = SimpleNamespace(module=SimpleNamespace(current_test=None))
        self.startPatcher(patch("odoo.addons.stock_sms.models.stock_picking.modules", untested))
        self.startPatcher(patch("odoo.addons.sms.models.sms_sms.SmsSms.send"))  # what would be sent stays in the queue

    def _sell(self, name="Jan Jansen"):
        """Return a confirmed order of a customer of the company's own."""
        customer = self.env["res.partner"].create(
            {"name": name, "email": "jan@example.com", "phone": "+31687654321", "company_id": self.company.id}
        )
        order = self.env["sale.order"].create(
            {"partner_id": customer.id, "order_line": [Command.create({"product_id": self.phone.id})]}
        )
        order.action_confirm()
        return order

    def _written_to(self, *orders):
        """Return whom Odoo texted and mailed from the deliveries of these orders: (contacts, numbers)."""
        messages = self.env["sale.order"].union(*orders).picking_ids.message_ids
        mails = messages.filtered(lambda message: message.message_type != "sms").notified_partner_ids
        texts = self.env["sms.sms"].search([("mail_message_id", "in", messages.ids)])
        return mails, texts.mapped("number")

    def test_consumer_is_neither_texted_nor_mailed(self):
        order = self._receive(self._make_order(self.phone))
        self.assertTrue(order.partner_shipping_id.phone and order.partner_shipping_id.email)
        self._deliver(order)
        self.assertEqual(self._written_to(order), (self.env["res.partner"], []))

    def test_nothing_is_asked_before_the_first_delivery(self):
        self.company.has_received_warning_stock_sms = False
        order = self._receive(self._make_order(self.phone))
        self.assertEqual(self._deliver(order).state, "done")
        own = self._sell()
        question = (own.picking_ids | self._receive(self._make_order(self.phone)).picking_ids).button_validate()
        asked = self.env[question["res_model"]].browse(question["res_id"]).pick_ids
        self.assertEqual(asked, own.picking_ids, "asked about the company's own customers alone")

    def test_others_of_the_same_validation_are_written_to(self):
        own, order = self._sell(), self._receive(self._make_order(self.phone))
        (order.picking_ids | own.picking_ids).button_validate()
        self.assertEqual((own | order).picking_ids.mapped("state"), ["done", "done"])
        self.assertEqual(self._written_to(own), (own.partner_id, ["+31687654321"]))
        self.assertEqual(self._written_to(order), (self.env["res.partner"], []))

    def test_company_may_write_to_consumers(self):
        self.company.iused_notify_consumers = True
        self.company.has_received_warning_stock_sms = False
        order = self._receive(self._make_order(self.phone))
        question = order.picking_ids.button_validate()
        self.assertEqual(question["res_model"], "confirm.stock.sms")
        self.company.has_received_warning_stock_sms = True
        self._deliver(order)
        self.assertEqual(self._written_to(order), (order.partner_shipping_id, ["+31612345678"]))

    def test_the_switch_is_a_setting(self):
        self.assertFalse(self.company.iused_notify_consumers)
        self.env.user.group_ids += self.env.ref("base.group_system")
        with Form(self.env["res.config.settings"]) as settings:
            settings.iused_notify_consumers = True
        settings.record.execute()
        self.assertTrue(self.company.iused_notify_consumers)

    def test_labels_are_made_all_the_same(self):
        carrier = self.env["delivery.carrier"].create(
            {
                "name": "Labels",
                "product_id": self.env["product.product"].create({"name": "Delivery", "type": "service"}).id,
                "integration_level": "rate_and_ship",
            }
        )
        self.company.iused_carrier_id = carrier
        self.warehouse.out_type_id.print_label = True
        order = self._receive(self._make_order(self.phone))

        def send_shipping(carrier, pickings):
            return [{"exact_price": 5.0, "tracking_number": f"LABEL-{picking.id}"} for picking in pickings]

        with patch.object(type(carrier), "fixed_send_shipping", send_shipping):
            picking = self._deliver(order, tracking=False)
        self.assertEqual(picking.carrier_tracking_ref, f"LABEL-{picking.id}")
        self.assertEqual(order.iused_update_ids.tracking_reference, f"LABEL-{picking.id}")
        self.assertEqual(self._written_to(order), (self.env["res.partner"], []))

    def test_a_person_may_still_write(self):
        order = self._receive(self._make_order(self.phone))
        picking, consumer = self._deliver(order), order.partner_shipping_id
        picking.message_post(body="Where shall we leave it?", partner_ids=consumer.ids, subtype_xmlid="mail.mt_comment")
        self.env["sms.composer"].with_context(active_model="stock.picking", active_id=picking.id).create(
            {"body": "Where shall we leave it?", "composition_mode": "comment"}
        ).action_send_sms()
        self.assertEqual(self._written_to(order), (consumer, ["+31612345678"]))
