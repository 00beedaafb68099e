"""What fresh readers proved on a running Odoo, and may not come back."""

from odoo import Command
from odoo.exceptions import UserError
from odoo.tests import tagged

from .common import IusedHttpCase


@tagged("post_install", "-at_install")
class TestFoundFromOutside(IusedHttpCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.responsible = cls._new_user("responsible", "sales_team.group_sale_manager")
        cls.company.iused_responsible_id = cls.responsible
        cls.phone = cls._make_phone("PHONE", 9, list_price=499.0)

    def _make_manager(self):
        return self._new_user("iused manager", "sale_iused.group_iused_manager")

    def test_price_that_iused_pays_stays_when_a_person_changes_the_quantity(self):
        order = self._receive(self._make_order((self.phone, 3)))
        for quantity in (2, 4):
            order.order_line.product_uom_qty = quantity
            self.env.flush_all()
            self.assertEqual(order.order_line.price_unit, 199.0)

    def test_refused_order_that_was_pushed_again_or_cancelled_since_is_not_made_from_the_old_push(self):
        manager = self._make_manager()
        document = self._make_order(self.phone, lines=[{"sku": "LATER", "quantity": 1, "price": 199.0}])
        cancel = {"order_id": document["order_id"], "status": "cancelled"}
        self.assertEqual([self._push(body).status_code for body in (document, cancel)], [422, 404])
        self._make_phone("LATER", 1)
        first = self.env["iused.exchange"].search([("reference", "=", document["order_id"])], order="id")[0]
        with self.assertRaisesRegex(UserError, "again"):
            first.with_user(manager).action_process_again()
        self.assertFalse(self.env["sale.order"].search([("iused_reference", "=", document["order_id"])]))

    def test_latest_refused_push_of_an_order_can_be_processed_again(self):
        manager = self._make_manager()
        document = self._make_order(self.phone, lines=[{"sku": "LATER", "quantity": 1, "price": 199.0}])
        self._push(document)
        document["shipping_address"]["street"] = "Nieuwstraat"
        self._push(document)
        self._make_phone("LATER", 1)
        older, newer = self.env["iused.exchange"].search([("reference", "=", document["order_id"])], order="id")
        with self.assertRaises(UserError):
            older.with_user(manager).action_process_again()
        newer.with_user(manager).action_process_again()
        order = self.env["sale.order"].search([("iused_reference", "=", document["order_id"])])
        self.assertIn("Nieuwstraat", order.partner_shipping_id.street)

    def test_activity_of_a_withdrawn_product_closes_when_the_order_is_confirmed(self):
        self.phone.iused_offered = False
        order = self._receive(self._make_order(self.phone))
        self.assertEqual((order.state, len(order.activity_ids)), ("draft", 1))
        order.action_confirm()
        self._run_cron("watch")
        self.assertFalse(order.activity_ids)

    def test_cancelling_tells_of_a_label_that_may_be_printed(self):
        order = self._receive(self._make_order(self.phone))
        order.picking_ids.carrier_tracking_ref = "3SLABEL"
        self._push({"order_id": order.iused_reference, "status": "cancelled"})
        self.assertEqual(order.state, "cancel")
        self.assertIn("3SLABEL", order.activity_ids.note)
        self.assertEqual(order.activity_ids.user_id, self.responsible)

    def test_cancelling_tells_of_goods_that_were_picked(self):
        self.warehouse.delivery_steps = "pick_ship"
        order = self._receive(self._make_order(self.phone))
        pick = order.picking_ids.filtered(lambda picking: picking.state == "assigned")
        pick.button_validate()
        self._push({"order_id": order.iused_reference, "status": "cancelled"})
        self.assertEqual(order.state, "cancel")
        self.assertIn(pick.name, order.activity_ids.note)

    def test_cancelling_tells_of_an_invoice_that_is_posted(self):
        self.env["account.chart.template"].try_loading("nl", self.company, install_demo=False)
        order = self._receive(self._make_order(self.phone))
        payment = self.env["sale.advance.payment.inv"].with_context(active_ids=order.ids)
        payment.create({"advance_payment_method": "percentage", "amount": 50}).create_invoices()
        invoice = order.invoice_ids
        invoice.action_post()
        self._push({"order_id": order.iused_reference, "status": "cancelled"})
        self.assertEqual(order.state, "cancel")
        self.assertIn(invoice.name, order.activity_ids.note)

    def test_cancelling_what_nobody_touched_tells_nobody(self):
        order = self._receive(self._make_order(self.phone))
        self._push({"order_id": order.iused_reference, "status": "cancelled"})
        self.assertEqual((order.state, len(order.activity_ids)), ("cancel", 0))

    def test_salesperson_gets_no_mail_for_each_order(self):
        self.company.iused_salesperson_id = self._new_user("salesperson", "sales_team.group_sale_salesman")
        mails = self.env["mail.mail"].search([])
        order = self._receive(self._make_order(self.phone))
        self.assertEqual(order.user_id, self.company.iused_salesperson_id)
        self.assertFalse(order.message_ids.notified_partner_ids & order.user_id.partner_id)
        self.assertFalse(self.env["mail.mail"].search([]) - mails)

    def test_company_on_the_label_is_that_of_the_order(self):
        def receive(company):
            document = self._make_order(self.phone)
            document["shipping_address"]["company"] = company
            return self._receive(document).partner_shipping_id.company_name

        self.assertEqual(
            [receive(name) for name in ("Oude Zaak BV", "", "Nieuwe Zaak BV")],
            ["Oude Zaak BV", False, "Nieuwe Zaak BV"],
        )

    def test_tag_of_consumers_cannot_be_deleted_and_orders_come_without_their_source(self):
        with self.assertRaisesRegex(UserError, "iUsed"):
            self.env.ref("sale_iused.partner_category_consumer").unlink()
        self.env.ref("sale_iused.utm_source_iused").unlink()
        self.assertEqual(self._push(self._make_order(self.phone)).status_code, 201)

    def test_nobody_gets_into_the_portal_as_one_of_iuseds_people(self):
        child = self.env["res.partner"].create(
            {"name": "Stranger", "email": "stranger@example.com", "parent_id": self.iused_partner.id}
        )
        wizard = self.env["portal.wizard"].create({"partner_ids": [Command.set(child.ids)]})
        with self.assertRaisesRegex(UserError, "stands for iUsed"):
            wizard.user_ids.action_grant_access()

    def test_activity_of_a_changed_address_says_how_it_is_by_now(self):
        order = self._receive(self._make_order(self.phone))
        order.picking_ids.printed = True
        for tracking in (False, "3SLATER"):
            order.picking_ids.carrier_tracking_ref = tracking
            document = self._make_order(self.phone, order_id=order.iused_reference)
            document["shipping_address"]["street"] = f"Street of {tracking}"
            self.assertEqual(self._push(document).status_code, 200)
        self.assertIn("3SLATER", order.picking_ids.activity_ids.note)

    def test_delivery_follows_an_address_that_a_person_set_on_the_order_alone(self):
        document = self._make_order(self.phone)
        order = self._receive(document)
        first = order.partner_shipping_id
        street = document["shipping_address"]["street"]
        document["shipping_address"]["street"] = "Bstraat"
        self.assertEqual(self._push(document).status_code, 200)
        document["shipping_address"]["street"] = street
        self.assertEqual(self._push(document).status_code, 409, "it may be a late repeat")
        order.partner_shipping_id = first
        self.assertEqual(self._push(document).status_code, 200)
        self.assertEqual((order.picking_ids.partner_id, order.picking_ids.move_ids.partner_id), (first, first))

    def test_order_that_was_cancelled_before_it_came_is_not_taken_in(self):
        document = self._make_order(self.phone)
        self.assertEqual(self._push({"order_id": document["order_id"], "status": "cancelled"}).status_code, 404)
        self.assertProblem(self._push(document), 409)
        self.assertFalse(self.env["sale.order"].search([("iused_reference", "=", document["order_id"])]))
        self.assertEqual(self._push(self._make_order(self.phone)).status_code, 201)

    def test_order_is_not_confirmed_by_a_signature_in_the_portal(self):
        order = self._receive(self._make_order(self.phone))
        self.assertFalse(order.require_signature or order.require_payment)

    def test_orders_are_taken_in_at_our_own_address_alone(self):
        answer = self.url_open(
            "/en/iused/v1/orders", method="POST", data="{}", headers={"Authorization": f"Bearer {self.key}"}
        )
        self.assertProblem(answer, 404)

    def test_activity_of_somebody_else_does_not_keep_a_trouble_from_being_told(self):
        colleague = self._new_user("colleague", "stock.group_stock_user")
        coming = self._receive(self._make_order(self.phone)).id + 1
        # As anybody could once.
        self.env["mail.activity"].create(
            {"summary": "x", "user_id": colleague.id, "iused_key": f"prices sale.order,{coming}"}
        )
        document = self._make_order(self.phone)
        document["lines"][0]["price"] = 1.0
        order = self._receive(document)
        self.assertEqual((order.id, order.activity_ids.user_id), (coming, self.responsible))

    def test_words_about_a_refused_poll_have_an_end(self):
        self._call("GET", "/offers?" + "&".join(f"{'p' * 90}{number}=1" for number in range(90)))
        row = self.env["iused.exchange"].search([("kind", "=", "offers")], limit=1)
        self.assertLessEqual(len(row.detail), 1000)
