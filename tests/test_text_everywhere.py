"""What comes from outside is text wherever it is shown, though it be HTML."""

import json
from unittest.mock import patch
from urllib.parse import quote

from lxml import html

from odoo import fields
from odoo.tests import tagged
from odoo.tools import SQL

from ..tools import sftp
from ..tools.webhook import Webhook
from .common import IusedHttpCase

HARM = "<img src=x onerror=iusedHarm=1><b class=harm>b</b>"


class Harmful(IusedHttpCase):
    """A refurbisher to whom HTML came by each way there is; what each left is kept on the test."""

    def _let_harm_in(self):
        self.phone = self._make_phone(f"SKU {HARM}", 9, name=f"Phone {HARM}")
        self.order = self._receive_harmful(order_id=f"IU {HARM}")
        changed = self._make_order((self.phone, 1), order_id=self.order.iused_reference)
        changed["shipping_address"] |= {"name": f"Other {HARM}", "city": f"City {HARM}"}
        self._receive(changed)
        self.quotation = self._receive_harmful(price=1.0)
        self.refusal = self._refuse()
        self.poll = self._poll_wrongly()
        self.update = self._ship_to_harmful_webhook()
        self.location = self._upload_to_harmful_server()
        self.env.flush_all()

    def _receive_harmful(self, price=199.0, **values):
        document = self._make_order((self.phone, 1), note=f"Remark {HARM}", **values)
        document["customer"] |= {"name": f"Customer {HARM}"}
        document["shipping_address"] |= {"name": f"Consumer {HARM}", "company": f"Company {HARM}", "street": HARM}
        document["lines"][0]["price"] = price
        return self._receive(document)

    def _refuse(self):
        document = self._make_order((self.phone, 1))
        document["lines"][0]["sku"] = f"Unknown {HARM}"
        answer = self._push(document)
        self.assertProblem(answer, 422, "/lines/0/sku")
        self.assertIn("<img", answer.json()["errors"][0]["detail"], "it is not HTML and need not be escaped")
        return self.env["iused.exchange"].search([("kind", "=", "order"), ("state", "=", "refused")], limit=1)

    def _poll_wrongly(self):
        answer = self._call("GET", f"/offers?{quote(HARM)}=1")
        self.assertEqual(answer.status_code, 400)
        return self.env["iused.exchange"].search([("kind", "=", "offers")], limit=1)

    def _ship_to_harmful_webhook(self):
        answer = (422, f"Reason {HARM}", json.dumps({"detail": f"Detail {HARM}"}), None)
        update = self._deliver(self.order, tracking=f"3S {HARM}").iused_update_ids
        with patch.object(Webhook, "_exchange", lambda *_args: answer):
            self._run_cron()
        self.assertEqual(update.state, "stopped")
        return update

    def _upload_to_harmful_server(self):
        location = self.env["iused.sftp.location"].create(
            {
                "enabled": True,
                "host": "sftp.example",
                "username": "user",
                "host_key": "ssh-ed25519 AAAA",
                "new_password": "secret",
                "file_name": f"{HARM.replace('/', '')}.json",
                "failing_since": fields.Datetime.subtract(fields.Datetime.now(), days=1),
            }
        )
        with patch.object(sftp, "upload", side_effect=sftp.SftpError("%(detail)s", detail=f"Words {HARM}")):
            self._run_cron("upload_offers")
        return location


@tagged("post_install", "-at_install")
class TestTextEverywhere(Harmful):
    def setUp(self):
        super().setUp()
        self._let_harm_in()

    def assertText(self, markup, words):
        """HTML shows some harmful words as they are, and has no element that was in them."""
        tree = html.fromstring(f"<div>{markup}</div>")
        self.assertIn(f"{words}{HARM}", tree.text_content())
        self.assertFalse(tree.xpath("//img[@src='x'] | //*[@onerror] | //b[contains(@class, 'harm')]"))

    def test_order_in_chatter_and_activities(self):
        messages = self.order.message_ids.filtered(lambda message: "delivery address" in (message.body or ""))
        self.assertText(messages[:1].body, "Other ")
        activities = self.quotation.activity_ids.filtered("iused_key")
        self.assertText(activities[:1].note, "SKU ")

    def test_remark_on_the_delivery(self):
        self.assertText(self.order.picking_ids[:1].note, "Remark ")

    def test_withdrawn_and_short_products_in_activities(self):
        self.company.iused_withdrawn_policy = "quotation"
        self.phone.iused_offered = False
        order = self._receive_harmful()
        self.assertText(order.activity_ids.filtered("iused_key")[:1].note, "Phone ")

    def test_refused_order_in_log_and_activity(self):
        self.assertIn(HARM, self.refusal.problem)
        self.assertText(self.refusal.activity_id.note, "Unknown ")

    def test_name_of_a_parameter_in_the_log(self):
        self.assertIn("<img src=x", self.poll.problem)

    def test_answer_of_the_webhook_in_log_and_activity(self):
        self.assertIn(f"Detail {HARM}", self.update.last_answer)
        told = self.order.activity_ids.filtered(lambda activity: "update_stopped" in (activity.iused_key or ""))
        self.assertText(told.note, "Detail ")

    def test_words_of_an_sftp_server_in_log_and_activity(self):
        self.assertIn(f"Words {HARM}", self.location.last_error)
        self.assertText(self.location.activity_ids.note, "Words ")

    def test_activity_that_is_done_says_so_in_the_chatter(self):
        activity = self.location.activity_ids
        activity.action_feedback(feedback=f"Feedback {HARM}")
        self.assertText(self.location.message_ids[:1].body, "Feedback ")
        self.assertText(self.location.message_ids[:1].body, "Words ")

    def test_notification_is_no_markup(self):
        with (
            patch.object(sftp, "probe", side_effect=sftp.SftpError("%(detail)s", detail=HARM)),
            patch.object(self.registry["ir.cron"], "_commit_progress"),
        ):
            answer = self.location.action_test()["params"]
        self.assertIs(type(answer["message"]), str)
        self.assertEqual(answer["message"], HARM)

    def test_page_for_iuseds_it(self):
        self.company.name = f"Refurb {HARM}"
        self.env.ref("base.user_admin").write(
            {"company_ids": [(4, self.company.id)], "company_id": self.company.id, "password": "admin"}
        )
        self.env["product.product"].search([("id", "!=", self.phone.id)]).iused_offered = False
        self.env.flush_all()
        self.authenticate("admin", "admin")
        page = self.url_open(f"/iused/share/{self.company.id}")
        self.assertEqual(page.status_code, 200)
        self.assertText(page.text, "Refurb ")
        self.assertIn("Phone <img src=x", html.fromstring(page.content).text_content())

    def test_mails_and_all_html_in_the_database(self):
        """Whatever was written anywhere: activities, chatter, mails to who is told, notes on documents."""
        escaped = 0
        for model in self.registry.values():
            if model._abstract or not model._auto or model._transient:
                continue
            for name, field in model._fields.items():
                if field.type != "html" or not field.store or not field.column_type or field.translate:
                    continue
                column = SQL.identifier(field.name)
                query = SQL(
                    "SELECT %s FROM %s WHERE %s LIKE '%%iusedHarm%%'", column, SQL.identifier(model._table), column
                )
                for (value,) in self.env.execute_query(query):
                    with self.subTest(field=f"{model._name}.{name}"):
                        tree = html.fromstring(f"<div>{value}</div>")
                        self.assertFalse(tree.xpath("//img[@src='x'] | //*[@onerror]"))
                        self.assertIn("<img src=x", tree.text_content())
                    escaped += 1
        self.assertGreater(escaped, 5, "else nothing was looked at")
