"""Consumers' data: made anonymous in time, erased on request, found by Odoo's look-up, absent from copies."""

import json
from datetime import timedelta
from unittest.mock import patch

from odoo import fields
from odoo.exceptions import AccessError, UserError
from odoo.modules.neutralize import get_neutralization_queries
from odoo.tests import tagged
from odoo.tools import mute_logger

from ..models import iused_privacy
from .common import IusedCase, IusedHttpCase

NAME, STREET, EMAIL = "Jürgen Vandersteen", "Kastanjelaan", "juergen.v@example.org"
FACE = b"iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
PERSONAL = (NAME, json.dumps(NAME)[1:-1], STREET, EMAIL, "Bel bij de buren aan")


class PrivacyCase(IusedCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.phone = cls._make_phone("PHONE", 20)
        cls.company.iused_anonymize_months = 6
        cls.privacy = cls.env["iused.privacy"].sudo()

    @classmethod
    def _document(cls, **values):
        document = cls._make_order(cls.phone, note="Bel bij de buren aan")
        document["customer"] = {"name": NAME, "email": EMAIL, "phone": "0612345678"}
        document["shipping_address"] |= {"name": NAME, "street": STREET}
        return {**document, **values}

    @classmethod
    def _sell(cls, document=None, log=True):
        """Take an order in as a push does, its row of the log included."""
        document = document or cls._document()
        order = cls._receive(document)
        if log:
            push = {"method": "POST", "path": "/iused/v1/orders", "request_body": json.dumps(document)}
            cls.env["iused.exchange"].sudo()._log_accepted(cls.company, push, 201, {"order_id": "x"}, order)
        return order

    @classmethod
    def _make_old(cls, *records, days=400):
        """Let orders and contacts have been made, and have left, so long ago."""
        cls.env.flush_all()
        then = fields.Datetime.now() - timedelta(days=days)
        for record in records:
            cls.env.cr.execute(f"UPDATE {record._table} SET create_date = %s WHERE id = %s", [then, record.id])
            if record._name == "sale.order":
                cls.env.cr.execute("UPDATE sale_order SET date_order = %s WHERE id = %s", [then, record.id])
                cls.env.cr.execute(
                    "UPDATE stock_move SET date = %s WHERE id = ANY(%s)", [then, record.order_line.move_ids.ids]
                )
        cls.env.invalidate_all()

    def _sell_old(self, **values):
        """Return an order that left long ago and of which iUsed was told."""
        order = self._sell(self._document(**values))
        self._deliver(order)
        self._tell(order)
        self._make_old(order, order.partner_shipping_id)
        return order

    def _tell(self, order):
        order.iused_update_ids.sudo().write({"state": "sent", "body": '{"serial_number": "x"}', "last_answer": NAME})

    def _vacuum(self):
        """Run what the autovacuum runs, as long as it says that there is more."""
        rounds = 0
        while self.privacy._gc_consumers()[1]:
            rounds += 1
            self.assertLess(rounds, 50)
        return rounds

    def _residues(self):
        """Return the tables and columns of the whole database in which something of the person still stands."""
        self.env.flush_all()
        self.env.cr.execute(
            """
            SELECT table_name, column_name FROM information_schema.columns
              JOIN information_schema.tables USING (table_schema, table_name)
             WHERE table_schema = 'public' AND table_type = 'BASE TABLE'
               AND data_type IN ('text', 'character varying', 'jsonb', 'bytea')
            """
        )
        found = set()
        for table, column in self.env.cr.fetchall():
            self.env.cr.execute(
                f'SELECT 1 FROM "{table}" WHERE "{column}"::text ILIKE ANY(%s) LIMIT 1',
                [[f"%{text}%".replace("\\", "\\\\") for text in PERSONAL]],
            )
            if self.env.cr.fetchone():
                found.add((table, column))
        return found

    def _fill(self, order):
        """Write the person wherever people and Odoo write it."""
        consumer, picking = order.partner_shipping_id, order.picking_ids
        consumer.write({"comment": f"<p>{NAME}</p>", "function": NAME, "image_1920": FACE})
        picking.note = f"<p>Voor {NAME}</p>"
        for record in (consumer, order, picking):
            record.with_context(tracking_disable=False).message_post(
                body=f"{NAME} belde", subject=NAME, email_from=EMAIL
            )
            self.env["ir.attachment"].create(
                {"name": f"Label {NAME}.pdf", "raw": NAME.encode(), "res_model": record._name, "res_id": record.id}
            )
            activity = record.activity_schedule("mail.mail_activity_data_todo", summary=NAME, note=STREET)
            activity.action_feedback(feedback=NAME)
        message = order.message_ids[0]
        field = self.env["ir.model.fields"]._get("sale.order", "partner_shipping_id")
        state = self.env["ir.model.fields"]._get("sale.order", "state")
        self.env["mail.tracking.value"].sudo().create(
            [
                {"field_id": field.id, "mail_message_id": message.id, "old_value_char": NAME, "new_value_char": STREET},
                {"field_id": state.id, "mail_message_id": message.id, "old_value_char": "Quotation"},
            ]
        )
        self.env["mail.mail"].sudo().create({"mail_message_id": message.id, "body_html": NAME, "email_to": EMAIL})
        order.message_subscribe(consumer.ids)
        self.env["iused.exchange"].sudo().create(
            {
                "company_id": order.company_id.id,
                "kind": "order",
                "reference": order.iused_reference,
                "state": "refused",
                "status": 422,
                "cause": "abc",
                "request_body": json.dumps(self._document()),
                "answer_body": json.dumps({"detail": NAME}),
                "detail": f'"{NAME}" is no name',
            }
        )


@tagged("post_install", "-at_install")
class TestAnonymizing(PrivacyCase):
    def test_nothing_of_the_person_is_left_and_the_order_stays(self):
        order = self._sell_old()
        self._fill(order)
        consumer, picking = order.partner_shipping_id, order.picking_ids
        serial, amount = picking.move_line_ids.lot_id.name, order.amount_total
        before = self._residues()
        self.assertIn(("res_partner", "email"), before)
        self.assertIn(("iused_exchange", "request_body"), before, "or this test sees nothing")
        self.assertIn(("mail_activity", "feedback"), before)
        self._make_old(order, consumer)
        self._vacuum()
        self.assertEqual(self._residues(), set())
        self.assertFalse(
            self.env["ir.attachment"].search([("res_model", "=", "res.partner"), ("res_id", "=", consumer.id)])
        )
        self.assertTrue(consumer.iused_anonymized_at and order.iused_anonymized_at)
        self.assertFalse(consumer.active or consumer.street or consumer.zip or consumer.city or consumer.image_1920)
        self.assertEqual((consumer.name, consumer.country_id.code), ("Anonymous consumer", "NL"))
        self.assertEqual((order.partner_shipping_id, order.amount_total), (consumer, amount))
        self.assertEqual(picking.move_line_ids.lot_id.name, serial)
        self.assertEqual(order.iused_update_ids.serial_number, serial)
        self.assertEqual(len(order.iused_address_digest), 2, "a whole digest can be guessed")
        values = order.message_ids.sudo().tracking_value_ids
        self.assertEqual(values.mapped("old_value_char"), ["Quotation"], "what is no person stays")

    def test_off_by_default(self):
        self.assertEqual(self._make_company("New").iused_anonymize_months, 0)
        order = self._sell_old()
        self.company.iused_anonymize_months = 0
        self.assertEqual(self._vacuum(), 0)
        self.assertEqual(order.partner_shipping_id.name, NAME)

    def test_recent_or_open_orders_keep_their_consumer(self):
        def recent(order):
            self._make_old(order, days=100)

        def untold(order):
            order.iused_update_ids.sudo().state = "pending"

        def activity(order):
            order.picking_ids.activity_schedule("mail.mail_activity_data_todo")

        def coming_back(order):
            self._return(order.picking_ids, done=False)

        def came_back_recently(order):
            self._return(order.picking_ids)

        def another_order(order):
            second = self._sell(log=False)
            self.assertEqual(second.partner_shipping_id, order.partner_shipping_id)
            self._make_old(second)

        for hinder in (recent, untold, activity, coming_back, came_back_recently, another_order):
            with self.subTest(hinder.__name__), self.env.cr.savepoint() as savepoint:
                order = self._sell_old()
                hinder(order)
                self._vacuum()
                self.assertEqual(order.partner_shipping_id.name, NAME)
                self.assertEqual(order.iused_note, "Bel bij de buren aan")
                self.env.flush_all()
                savepoint.rollback()
                self.env.invalidate_all()

    def test_cancelled_long_ago_counts_by_its_date(self):
        order = self._sell()
        order._action_cancel()
        self._vacuum()
        self.assertFalse(order.iused_anonymized_at)
        self._make_old(order, order.partner_shipping_id)
        self._vacuum()
        self.assertEqual(order.partner_shipping_id.name, "Anonymous consumer")
        with self.assertRaises(UserError):
            order.action_draft()

    def test_open_quotation_keeps_its_consumer(self):
        self.company.iused_order_policy = "quotation"
        order = self._sell()
        self._make_old(order, order.partner_shipping_id)
        self._vacuum()
        self.assertFalse(order.iused_anonymized_at)

    def test_contact_that_is_known_otherwise_is_not_touched(self):
        order = self._sell_old()
        consumer = order.partner_shipping_id

        def customer():
            self.env["sale.order"].create({"partner_id": consumer.id})

        def user():
            self.env["res.users"].create({"name": NAME, "login": "juergen", "partner_id": consumer.id})

        def paid():
            self.env["res.partner.bank"].create({"acc_number": "NL91ABNA0417164300", "partner_id": consumer.id})

        def of_a_family():
            self.env["res.partner"].create({"name": "Child", "parent_id": consumer.id})

        def untagged():
            consumer.category_id = False

        for make in (customer, user, paid, of_a_family, untagged):
            with self.subTest(make.__name__), self.env.cr.savepoint() as savepoint:
                make()
                self._vacuum()
                self.assertEqual((consumer.name, consumer.email), (NAME, EMAIL))
                self.assertTrue(order.iused_anonymized_at, "the log and the remark are the order's")
                self.assertFalse(order.iused_note)
                self.assertEqual(self._vacuum(), 0, "and not again and again")
                self.env.flush_all()
                savepoint.rollback()
                self.env.invalidate_all()

    def test_contact_of_a_former_address_goes_too(self):
        document = self._document()
        order = self._sell(document)
        former = order.partner_shipping_id
        moved = json.loads(json.dumps(document))
        moved["shipping_address"]["street"] = "Elders"
        self._receive(moved)
        self.assertNotEqual(order.partner_shipping_id, former)
        self._make_old(former)
        self._vacuum()
        self.assertEqual(former.name, "Anonymous consumer")
        self.assertEqual(order.partner_shipping_id.name, NAME)

    def test_other_company_is_not_touched(self):
        order = self._sell_old()
        self.company.iused_anonymize_months = 0
        other = self._make_company("Another")
        other.iused_anonymize_months = 1
        self._vacuum()
        self.assertEqual(order.partner_shipping_id.name, NAME)
        self.assertIn("Nobody", self.privacy._preview(other, 6))
        self.assertIn("1 consumers of 1 orders", self.privacy._preview(self.company, 6))

    def test_another_order_of_the_same_person_makes_a_new_contact(self):
        old = self._sell_old()
        self._vacuum()
        order = self._sell()
        self.assertNotEqual(order.partner_shipping_id, old.partner_shipping_id)
        self.assertEqual(order.partner_shipping_id.name, NAME)

    def test_preview_counts_and_changes_nothing(self):
        first, second = self._sell_old(), self._sell_old()
        self.assertEqual(first.partner_shipping_id, second.partner_shipping_id)
        waiting = self._sell()
        waiting_document = self._document()
        waiting_document["shipping_address"]["street"] = "Elders"
        other = self._sell(waiting_document)
        self._make_old(other)
        self._make_old(first, days=500)
        waiting.partner_shipping_id = other.partner_shipping_id
        text = self.privacy._preview(self.company, 6)
        oldest = fields.Date.to_string(fields.Date.today() - timedelta(days=500))
        self.assertIn("1 consumers of 2 orders", text)
        self.assertIn(oldest, text)
        self.assertIn("1 orders as old are left alone", text)
        self.assertEqual(first.partner_shipping_id.name, NAME)
        self.assertIn("Off", self.privacy._preview(self.company, 0))

    def test_many_go_in_batches_with_a_protocol_that_names_nobody(self):
        orders = self.env["sale.order"]
        for number in range(5):
            document = self._document()
            document["shipping_address"]["street"] = f"{STREET} {number}"
            order = self._sell(document)
            self._deliver(order)
            self._tell(order)
            self._make_old(order, order.partner_shipping_id)
            orders |= order
        with patch.object(iused_privacy, "BATCH", 2):
            self.assertEqual(self._vacuum(), 3)
        self.assertTrue(all(orders.mapped("iused_anonymized_at")))
        protocols = self.env["iused.erasure"].search([("company_id", "=", self.company.id)])
        self.assertEqual((sum(protocols.mapped("orders")), sum(protocols.mapped("consumers"))), (5, 5))
        self.assertEqual(set(protocols.mapped("reason")), {"age"})
        self.assertEqual(self._residues(), set())

    def test_no_stored_field_of_another_model_keeps_what_is_erased_by_plain_sql(self):
        erased = {
            "res.partner": self.env["iused.erasure"]._erased_columns(),
            "sale.order": ["iused_note", "iused_address_digest", "iused_former_addresses", "signed_by"],
            "stock.picking": ["note"],
            "iused.exchange": ["request_body", "answer_body", "detail"],
            "iused.shipment.update": ["body", "last_answer"],
            "mail.message": ["body", "subject", "email_from"],
            "mail.activity": ["note", "summary", "feedback", "res_name"],
        }
        self.assertIn("phone_sanitized", erased["res.partner"])
        kept = {
            dependent
            for model, names in erased.items()
            for name in names
            for dependent in self.registry.get_dependent_fields(self.env[model]._fields[name])
            if dependent.store and dependent.type in ("char", "text", "html")
            if dependent.name not in (*erased.get(dependent.model_name, ()), "complete_name")
            # Of who is a company, is invoiced, or is written by a server action: no consumer is.
            if dependent.model_name not in ("res.company", "account.move", "ir.actions.server")
        }
        self.assertFalse(kept)

    def test_setting_is_proposed_in_the_set_up(self):
        overview = self.env["iused.overview"]
        self.company.iused_anonymize_months = 0
        page = overview.get_overview()
        self.assertEqual([proposal["name"] for proposal in page["proposals"]], ["privacy"])
        self.assertEqual(page["proposals"][0]["door"], "settings")
        self.company.iused_anonymize_months = 12
        self.assertFalse(overview.get_overview()["proposals"])


@tagged("post_install", "-at_install")
class TestErasing(PrivacyCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.manager = cls._new_user("privacy_manager", "sale_iused.group_iused_manager")
        cls.seller = cls._new_user("privacy_seller", "sales_team.group_sale_salesman_all_leads")

    def _wizard(self, user=None, **values):
        user = user or self.manager
        context = {"allowed_company_ids": user.company_id.ids}
        return self.env["iused.erase.consumer"].with_user(user).with_context(**context).create(values)

    def _ship_told(self):
        order = self._sell()
        self._deliver(order)
        self._tell(order)
        return order

    def test_manager_erases_by_reference_and_a_protocol_stays(self):
        order = self._ship_told()
        self._fill(order)
        order.activity_schedule("mail.mail_activity_data_todo", note=NAME)  # hinders nobody who is asked to erase
        wizard = self._wizard(reference=order.iused_reference)
        self.assertIn(NAME, wizard.findings)
        self.assertIn(order.name, wizard.findings)
        self.assertTrue(wizard.can_erase)
        self.assertFalse(wizard.obstacles)
        action = wizard.action_erase()
        wizard.sudo().unlink()
        self.assertEqual(self._residues(), set())
        protocol = self.env["iused.erasure"].with_user(self.manager).browse(action["res_id"])
        self.assertEqual((protocol.reference, protocol.reason), (order.iused_reference, "request"))
        self.assertEqual((protocol.user_id, protocol.orders, protocol.consumers), (self.manager, 1, 1))
        self.assertIn("Contacts", protocol.erased)
        self.assertIn("tax law", protocol.kept)
        with self.assertRaises(UserError):
            protocol.sudo().unlink()
        self.assertIn("erased before", self._wizard(reference=order.iused_reference).remarks)

    def test_contact_brings_all_of_the_same_e_mail(self):
        first = self._ship_told()
        document = self._document()
        document["shipping_address"]["street"] = "Elders"
        second = self._sell(document)
        second._action_cancel()
        self.assertNotEqual(first.partner_shipping_id, second.partner_shipping_id)
        self._wizard(partner_id=first.partner_shipping_id.id).action_erase()
        self.assertTrue(first.iused_anonymized_at and second.iused_anonymized_at)
        self.assertFalse(second.partner_shipping_id.email)

    def test_refused_push_without_an_order_is_erased_by_its_reference(self):
        exchange = self.env["iused.exchange"].sudo().create(
            {
                "company_id": self.company.id,
                "kind": "order",
                "reference": "IU-LOST",
                "state": "refused",
                "status": 422,
                "request_body": json.dumps(self._document()),
            }
        )  # fmt: skip
        self._wizard(reference="IU-LOST").action_erase()
        self.assertFalse(exchange.request_body)
        with self.assertRaisesRegex(UserError, "erased"):
            exchange.with_user(self.manager).action_process_again()

    def test_open_order_cannot_be_erased(self):
        order = self._sell()
        wizard = self._wizard(reference=order.name)
        self.assertIn(order.name, wizard.obstacles)
        self.assertFalse(wizard.can_erase)
        with self.assertRaises(UserError):
            wizard.action_erase()
        self.assertEqual(order.partner_shipping_id.name, NAME)

    def test_contact_that_is_known_otherwise_is_said_and_stays(self):
        order = self._ship_told()
        self.env["sale.order"].create({"partner_id": order.partner_shipping_id.id})
        wizard = self._wizard(reference=order.iused_reference)
        self.assertIn("is known otherwise (Sales Order)", wizard.remarks)
        wizard.action_erase()
        self.assertEqual(order.partner_shipping_id.name, NAME)
        self.assertFalse(order.iused_note)

    def test_nobody_else_may(self):
        order = self._ship_told()
        for user in (self.seller, self.iused_user):
            with self.subTest(user.login), self.assertRaises(AccessError):
                self._wizard(user, reference=order.iused_reference)
        wizard = self._wizard(reference=order.iused_reference)
        with self.assertRaises(AccessError):
            wizard.with_user(self.seller).action_erase()
        with self.assertRaises(AccessError):
            self.env["iused.erasure"].with_user(self.seller).search([])
        with self.assertRaises(AccessError):
            self.env["iused.erasure"].with_user(self.manager).create({"company_id": self.company.id, "reason": "age"})
        with self.assertRaises(AccessError):
            self.env["iused.privacy.preview"].with_user(self.seller).create({"months": 1})

    def test_another_company_is_out_of_reach(self):
        order = self._ship_told()
        other = self._make_company("Another")
        foreign = self._new_user("foreign", "sale_iused.group_iused_manager", company=other)
        wizard = self._wizard(foreign, reference=order.iused_reference)
        self.assertFalse(wizard.can_erase)
        self.assertIn("No consumer", wizard.remarks)
        with self.assertRaises(AccessError):
            self._wizard(foreign, reference=order.iused_reference, company_id=self.company.id).action_erase()
        self._wizard(reference=order.iused_reference).action_erase()
        protocols = self.env["iused.erasure"].with_user(foreign).with_context(allowed_company_ids=other.ids)
        self.assertFalse(protocols.search([]))

    def test_privacy_lookup_finds_and_erases_bodies(self):
        if "privacy.lookup.wizard" not in self.env:
            self.skipTest("privacy_lookup is not installed")
        order = self._ship_told()
        self.env.flush_all()
        exchange = self.env["iused.exchange"].sudo().search([("order_id", "=", order.id)])
        wizard = self.env["privacy.lookup.wizard"].create({"name": NAME, "email": EMAIL})
        wizard.action_lookup()
        line = wizard.line_ids.filtered(lambda line: line.res_model == "iused.exchange")
        self.assertEqual(line.mapped("res_id"), exchange.ids)
        line.action_unlink_all()
        self.assertFalse(exchange.exists())
        stranger = self.env["privacy.lookup.wizard"].create({"name": "Nobody", "email": "juergen%v@example.org"})
        self.assertFalse(self.privacy._find_bodies([stranger.email]), "a percent sign stands for itself")

    def test_neutralized_copy_keeps_no_bodies(self):
        order = self._ship_told()
        self._fill(order)
        self.env.flush_all()
        with self.env.cr.savepoint() as savepoint:
            for query in get_neutralization_queries(["sale_iused"]):
                self.env.cr.execute(query)
            self.env.invalidate_all()
            found = {(table, column) for table, column in self._residues() if table.startswith("iused_")}
            self.assertEqual(found, set())
            self.assertTrue(order.iused_update_ids.sudo().body, "that iUsed may know is not forgotten")
            savepoint.rollback()


@tagged("post_install", "-at_install")
class TestPushesAfter(IusedHttpCase, PrivacyCase):
    def test_repeated_push_is_answered_as_before_and_brings_nothing_back(self):
        document = self._document()
        self.assertEqual(self._push(document).status_code, 201)
        order = self.env["sale.order"].search([("iused_reference", "=", document["order_id"])])
        self._deliver(order)
        self._tell(order)
        moved = json.loads(json.dumps(document))
        moved["shipping_address"]["street"] = "Elders"
        lines = json.loads(json.dumps(document))
        lines["lines"][0]["quantity"] = 2
        faulty = json.loads(json.dumps(document))
        faulty["customer"]["email"] = faulty["shipping_address"]["email"] = f"{NAME} no e-mail"
        faulty["lines"][0]["quantity"] = NAME
        cancelled = {"order_id": document["order_id"], "status": "cancelled"}
        pushes = (document, moved, lines, faulty, cancelled)

        def answers():
            with mute_logger("odoo.http"):
                return [(answer.status_code, answer.json().get("detail")) for answer in map(self._push, pushes)]

        before = answers()
        self.assertEqual([status for status, _detail in before], [200, 409, 409, 422, 409])
        self._make_old(order, order.partner_shipping_id)
        self.env["mail.activity"].search([]).action_feedback()
        self._make_old(order, order.partner_shipping_id)
        self._vacuum()
        self.assertTrue(order.iused_anonymized_at)
        self.assertEqual(answers(), before)
        self.env.invalidate_all()
        self.assertEqual(self._residues(), set())
