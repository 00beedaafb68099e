"""Connecting a company: the token, the webhook's address, and who may see what."""

from odoo.exceptions import AccessError, ValidationError
from odoo.modules.neutralize import get_neutralization_queries
from odoo.tests import tagged
from odoo.tests.common import Form

from ..models.ir_http import KEY_SCOPE
from .common import WEBHOOK, IusedCase


@tagged("post_install", "-at_install")
class TestSettings(IusedCase):
    def _make_token(self, user=None):
        settings = self.env["res.config.settings"].with_user(user or self.env.user)
        # The password that Odoo asks for first is its own matter.
        action = type(settings).action_iused_make_token.__wrapped__(settings)
        return action["context"]["default_key"]

    def test_token_is_a_key_of_the_companys_iused_user(self):
        key = self._make_token()
        keys = self.env["res.users.apikeys"]
        self.assertEqual(keys._check_credentials(scope=KEY_SCOPE, key=key), self.company.iused_user_id.id)
        self.assertFalse(keys._check_credentials(scope="rpc", key=key), "the token must not open RPC")
        self.assertTrue(self.company.iused_partner_id)

    def test_token_asks_for_the_password_first(self):
        for model, method in (
            ("res.config.settings", "action_iused_make_token"),
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
        self.assertEqual(self.company.sudo().iused_webhook_url, WEBHOOK)
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
        self.assertEqual(self.company.sudo().iused_webhook_url, WEBHOOK)
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
        self.assertTrue(self.company.sudo().iused_webhook_url.endswith("/NEW"))

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
        self.assertFalse(self.company.sudo().iused_webhook_url)
        self.assertEqual(updates.exists(), updates[1])
        self.assertFalse(self.env["res.users.apikeys"]._check_credentials(scope=KEY_SCOPE, key=key))
