"""Connecting a company: the token, the webhook's address, trying both, and who may see what."""

import logging
from datetime import timedelta
from unittest.mock import patch

from odoo import fields
from odoo.exceptions import AccessError, ValidationError
from odoo.modules.neutralize import get_neutralization_queries
from odoo.tests import tagged
from odoo.tests.common import Form

from ..const import KEY_SCOPE
from ..models import iused_connection
from ..tools.webhook import Probe
from .common import WEBHOOK, IusedCase, IusedHttpCase


@tagged("post_install", "-at_install")
class TestSettings(IusedCase):
    def _make_token(self, user=None):
        settings = self.env["res.config.settings"].with_user(user or self.env.user)
        wizard = self.env[settings.action_iused_make_token()["res_model"]].with_user(settings.env.user).create({})
        # The password that Odoo asks for first is its own matter.
        action = type(wizard).action_make.__wrapped__(wizard)
        return action["context"]["default_key"]

    def test_token_is_a_key_of_the_companys_iused_user(self):
        key = self._make_token()
        keys = self.env["res.users.apikeys"]
        self.assertEqual(keys._check_credentials(scope=KEY_SCOPE, key=key), self.company.iused_user_id.id)
        self.assertFalse(keys._check_credentials(scope="rpc", key=key), "the token must not open RPC")
        self.assertTrue(self.company.iused_partner_id)

    def test_token_asks_for_the_password_first(self):
        for model, method in (
            ("iused.token.new", "action_make"),
            ("res.users.apikeys", "iused_revoke"),
        ):
            self.assertTrue(getattr(getattr(self.env[model], method), "__has_check_identity"), method)

    def test_first_token_makes_a_user_that_can_do_nothing_else(self):
        company = self._make_company("New refurbisher")
        user = company._iused_ensure_user()
        self.assertEqual(company._iused_ensure_user(), user)
        self.assertTrue(user.share)
        self.assertEqual((user.company_id, user.company_ids), (company, company))
        self.assertFalse(user.has_group("base.group_user"))

    def test_tokens_are_listed_and_revoked(self):
        before = self.env["res.config.settings"].create({}).iused_token_ids
        self._make_token()
        settings = self.env["res.config.settings"].create({})
        made = settings.iused_token_ids - before
        self.assertEqual(len(made), 1)
        made._remove()
        self.assertEqual(self.env["res.config.settings"].create({}).iused_token_ids, before)

    def test_webhook_url_is_taken_and_never_given_back(self):
        self.company.sudo().iused_webhook_url = False
        settings = self.env["res.config.settings"].create({"iused_new_webhook_url": f" {WEBHOOK} "})
        settings.execute()
        self.assertEqual(self.company._iused_webhook_address(), WEBHOOK)
        self.assertTrue(self.company.iused_webhook_is_set)
        values = self.env["res.config.settings"].create({}).read()[0]
        self.assertTrue(values["iused_webhook_is_set"])
        self.assertFalse([name for name, value in values.items() if "SECRET" in str(value)])
        admin = self.env.ref("base.user_admin")
        with self.assertRaises(AccessError):
            self.company.with_user(admin).read(["iused_webhook_url"])
        self.assertNotIn("iused_webhook_url", self.company.with_user(admin).fields_get())
        self.assertFalse(settings.read(["iused_new_webhook_url"])[0]["iused_new_webhook_url"])

    def test_saving_without_a_webhook_url_keeps_the_one_that_is_set(self):
        self.env["res.config.settings"].create({}).execute()
        self.assertEqual(self.company._iused_webhook_address(), WEBHOOK)
        self.env["res.config.settings"].create({}).action_iused_forget_webhook()
        self.assertFalse(self.company.iused_webhook_is_set)

    def test_webhook_url_must_be_https_and_is_not_repeated_in_the_error(self):
        for url in (
            "http://portal.iused.nl/webhook/shipment/18/SECRET",
            "ftp://portal.iused.nl/SECRET",
            "SECRET",
            "https://",
            "https://[SECRET",
            "https://host:SECRET/",
        ):
            with self.subTest(url=url), self.assertRaises(ValidationError) as caught:
                self.company.sudo().iused_webhook_url = url
            self.assertNotIn("SECRET", str(caught.exception))
        self.company.sudo().iused_webhook_url = "https://portal.iused.nl/webhook/shipment/18/SECRET"

    def test_only_administrators_reach_the_settings(self):
        user = self._new_user("sales manager", "sales_team.group_sale_manager")
        with self.assertRaises(AccessError):
            self.env["res.config.settings"].with_user(user).create({"iused_order_policy": "quotation"}).execute()
        with self.assertRaises(AccessError):
            self.company.with_user(user).iused_order_policy = "quotation"
        with self.assertRaises(AccessError):
            self.env["res.config.settings"].with_user(user).action_iused_forget_webhook()
        with self.assertRaises(AccessError):
            self._make_token(user)

    def test_user_serves_one_company_only(self):
        other = self._make_company("Other refurbisher")
        with self.assertRaises(ValidationError):
            other.iused_user_id = self.iused_user

    def test_warehouses_are_the_companys_own(self):
        other = self._make_company("Other refurbisher")
        warehouse = self.env["stock.warehouse"].search([("company_id", "=", other.id)], limit=1)
        with self.assertRaises(ValidationError):
            self.company.iused_warehouse_ids = warehouse

    def test_settings_form_saves_what_was_chosen(self):
        with Form(self.env["res.config.settings"]) as form:
            form.iused_order_policy = "quotation"
            form.iused_new_webhook_url = "https://portal.iused.nl/webhook/shipment/18/NEW"
        form.record.execute()
        self.assertEqual(self.company.iused_order_policy, "quotation")
        self.assertTrue(self.company._iused_webhook_address().endswith("/NEW"))

    def test_neutralized_copy_reports_nothing(self):
        key = self._make_token()
        order = self.env["sale.order"].create({"partner_id": self.iused_partner.id, "iused_reference": "IU-1"})
        values = {"order_id": order.id, "serial_number": "1", "tracking_reference": "3S"}
        updates = self.env["iused.shipment.update"].create([values, values])
        updates[1].state = "sent"
        self.env.flush_all()
        for query in get_neutralization_queries(["sale_iused"]):
            self.env.cr.execute(query)
        self.env.invalidate_all()
        self.assertFalse(self.company._iused_webhook_address())
        self.assertEqual(updates.exists(), updates[1])
        self.assertFalse(self.env["res.users.apikeys"]._check_credentials(scope=KEY_SCOPE, key=key))


@tagged("post_install", "-at_install")
class TestTrying(IusedHttpCase):
    """The settings' buttons that try the connection, and the use of tokens."""

    def setUp(self):
        super().setUp()
        self.company.sudo().iused_webhook_url = self.portal.webhook_url

    def _press(self, name):
        """Press a button of the settings; return the kind of the notification and its text."""
        # In a test nothing may be committed.
        with (
            patch.object(self.registry["ir.cron"], "_commit_progress", lambda *_args, **_kwargs: 0),
            self.allow_requests(all_requests=True),
        ):
            action = getattr(self.env["res.config.settings"].create({}), name)()
        self.assertEqual(action["tag"], "display_notification")
        return action["params"]["type"], action["params"]["message"]

    def test_webhook_is_asked_and_told_nothing(self):
        kind, _text = self._press("action_iused_test_webhook")
        self.assertEqual(kind, "success")
        self.assertTrue(self.company.iused_webhook_tested_at)
        call = self.portal.received[-1]
        self.assertEqual(call["method"], "OPTIONS")
        self.assertFalse(call["body"])
        self.assertFalse(self.portal.updates)

    def test_another_webhook_address_is_not_tested_yet(self):
        self._press("action_iused_test_webhook")
        self.company.sudo().iused_webhook_url = WEBHOOK
        self.assertFalse(self.company.iused_webhook_tested_at)

    def test_wrong_webhook_address_is_told_without_repeating_it(self):
        for url, expected in (
            (f"{self.portal.webhook_url}-WRONG-SECRET", "HTTP 404"),
            (f"{self.portal.url}/SECRET", "HTTP 404"),
            ("http://127.0.0.1:9/SECRET", "could not be reached"),
        ):
            self.company.sudo().iused_webhook_url = url
            with self.subTest(url=url), self.assertLogs(level="DEBUG") as logs:
                kind, text = self._press("action_iused_test_webhook")
                logging.getLogger("marker").debug("an empty log would be a failure")
                self.assertEqual(kind, "danger")
                self.assertIn(expected, text)
                self.assertNotIn("127.0.0.1", text)
                ours = [record.getMessage() for record in logs.records if record.name != "iused.portal"]
                self.assertFalse([line for line in (text, *ours) if "SECRET" in line])
                self.assertFalse(self.company.iused_webhook_tested_at)

    def test_what_the_webhook_answers_is_told_in_words(self):
        self.company.iused_webhook_method = "PUT"
        for answer, kind in (
            (Probe(204, frozenset({"OPTIONS", "PUT"})), "success"),
            (Probe(200), "success"),
            (Probe(405), "success"),
            (Probe(405, frozenset({"POST"})), "warning"),
            (Probe(200, frozenset({"OPTIONS", "POST"})), "warning"),
            (Probe(501), "success"),
            (Probe(429), "warning"),
            (Probe(503), "warning"),
            (Probe(302), "danger"),
            (Probe(401), "danger"),
            (Probe(403), "danger"),
            (Probe(410), "danger"),
            (Probe(trouble="timeout"), "danger"),
            (Probe(trouble="certificate"), "danger"),
        ):
            with self.subTest(answer=answer):
                self.assertEqual(self.env["iused.connection"]._judge_webhook(self.company, answer)[0], kind)

    def test_redirect_of_the_webhook_is_not_followed(self):
        self.portal.fail(status=302)
        kind, text = self._press("action_iused_test_webhook")
        self.assertEqual(kind, "danger")
        self.assertIn("HTTP 302", text)
        self.assertEqual(len(self.portal.received), 1)

    def test_no_transaction_is_open_while_others_are_asked(self):
        events = []

        def commit(*_args, **_kwargs):
            events.append("commit")

        def ask(method, *_args):
            events.append(method)
            return Probe(500)

        with (
            patch.object(self.registry["ir.cron"], "_commit_progress", commit),
            patch.object(iused_connection, "probe", ask),
        ):
            self.env["iused.connection"]._test_webhook(self.company)
            self.env["iused.connection"]._test_addresses(self.company)
        self.assertEqual(events, ["commit", "OPTIONS", "commit", "GET"])

    def test_without_a_webhook_there_is_nothing_to_test(self):
        self.company.sudo().iused_webhook_url = False
        self.assertEqual(self._press("action_iused_test_webhook")[0], "warning")

    def test_own_addresses_answer(self):
        kind, text = self._press("action_iused_test_addresses")
        self.assertEqual(kind, "warning", text)
        self.assertIn("only on this computer", text)

    def test_own_addresses_that_something_else_answers(self):
        for base_url, expected in (
            (self.portal.url, "Something else answers"),
            (f"{self.base_url()}/odoo", "HTTP"),
            ("http://127.0.0.1:9", "could not be reached"),
        ):
            self.env["ir.config_parameter"].sudo().set_param("web.base.url", base_url)
            with self.subTest(base_url=base_url):
                kind, text = self._press("action_iused_test_addresses")
                self.assertEqual(kind, "danger")
                self.assertIn(f"{base_url}/iused/v1/offers", text)
                self.assertIn(expected, text)

    def test_what_own_addresses_answer_is_told_in_words(self):
        ours = Probe(401, media_type="application/problem+json")
        for url, answer, kind, expected in (
            ("https://odoo.example", ours, "success", "as seen from this server"),
            ("http://odoo.example", ours, "warning", "https://"),
            ("https://odoo.example", Probe(401, media_type="text/html"), "danger", "Something else"),
            ("https://odoo.example", Probe(404, media_type="text/html"), "danger", "dbfilter"),
            ("https://odoo.example", Probe(301), "danger", "web.base.url"),
            ("https://odoo.example", Probe(502), "danger", "proxy"),
            ("https://odoo.example", Probe(trouble="timeout"), "danger", "single worker"),
            ("https://odoo.example", Probe(trouble="certificate"), "danger", "certificate"),
        ):
            self.env["ir.config_parameter"].sudo().set_param("web.base.url", url)
            with (
                self.subTest(url=url, answer=answer),
                patch.object(iused_connection, "probe", lambda *_args, answer=answer: answer),
            ):
                told, text = self._press("action_iused_test_addresses")
                self.assertEqual(told, kind)
                self.assertIn(expected, text)

    def test_only_administrators_test(self):
        user = self._new_user("manager", "sale_iused.group_iused_manager")
        settings = self.env["res.config.settings"].with_user(user)
        for name in ("action_iused_test_webhook", "action_iused_test_addresses"):
            with self.subTest(name=name), self.assertRaises(AccessError):
                getattr(settings, name)()

    # Use of tokens ---------------------------------------------------------------------------------------------------

    def _last_use(self):
        self.env.invalidate_all()
        return self.env["res.config.settings"].create({}).iused_token_ids.iused_last_use

    def test_use_of_a_token_is_shown(self):
        self.assertFalse(self._last_use())
        self._call("GET", "/offers", key="0" * 40)
        self.assertFalse(self._last_use(), "a wrong key is no use of this one")
        self.assertEqual(self._call("GET", "/offers").status_code, 200)
        self.assertLess(fields.Datetime.now() - self._last_use(), timedelta(minutes=5))

    def test_use_of_a_token_is_written_once_an_hour(self):
        for minutes, expected in ((30, False), (90, True)):
            moment = fields.Datetime.now() - timedelta(minutes=minutes)
            self.env.cr.execute(
                "UPDATE res_users_apikeys SET iused_last_use = %s WHERE user_id = %s", [moment, self.iused_user.id]
            )
            with self.subTest(minutes=minutes):
                self.assertEqual(self._push({}).status_code, 422)
                self.assertEqual(self._last_use() > moment, expected)

    def test_each_token_has_its_own_use(self):
        other = self._make_key()
        self._call("GET", "/offers", key=other)
        used = self.env["res.config.settings"].create({}).iused_token_ids.mapped("iused_last_use")
        self.assertEqual(len(used), 2)
        self.assertEqual(len([moment for moment in used if moment]), 1)
