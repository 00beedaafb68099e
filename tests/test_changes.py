"""Who made or revoked a token, or changed where goods and data go, is written down where an administrator finds it."""

from datetime import timedelta
from unittest.mock import patch

from odoo import fields
from odoo.exceptions import AccessError, ValidationError
from odoo.tests import tagged

from ..hooks import uninstall_hook
from ..models import iused_change
from ..tools import sftp
from .common import WEBHOOK, IusedCase

HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGPKSUTyz1HwHReFVvD5obVsALAgJRNarH4TRpNePnAS"
SECRETS = ("SECRET", "hunter2", "AAAAC3")


@tagged("post_install", "-at_install")
class TestChanges(IusedCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.admin = cls._new_user("an administrator", "base.group_system")

    def setUp(self):
        super().setUp()
        self.changes = self.env["iused.change"].search([])
        self.as_admin = self.env(user=self.admin)

    def _new(self):
        """Return what was written down since the last look, the oldest first."""
        self.env.invalidate_all()
        new = self.env["iused.change"].search([], order="id") - self.changes
        self.changes |= new
        return new

    def assertNew(self, *expected, user=None):
        """These (kind, before, after) were written down, of our company and by the administrator, without a secret."""
        new = self._new()
        self.assertEqual([(change.kind, change.old or False, change.new or False) for change in new], list(expected))
        self.assertLessEqual(new.company_id, self.company)
        user = user or self.admin
        self.assertEqual({(change.user_id, change.login) for change in new}, {(user, user.login)} if new else set())
        for secret in SECRETS:
            self.assertNotIn(secret, str(new.read()))

    # The webhook, the user, the customer -----------------------------------------------------------------------------

    def test_webhook_set_in_the_settings(self):
        settings = self.as_admin["res.config.settings"]
        values = {
            "iused_new_webhook_url": "https://who:hunter2@portal.iused.nl:444/webhook/shipment/18/SECRET?key=SECRET",
            "iused_webhook_method": "PUT",
        }
        settings.create(values).execute()
        self.assertNew(
            ("webhook", "127.0.0.1:9/webhook/shipment/18/***", "portal.iused.nl:444/webhook/shipment/18/***?***"),
            ("webhook_method", "POST", "PUT"),
        )
        settings.create({}).execute()
        self.assertNew()
        settings.create({}).action_iused_forget_webhook()
        self.assertNew(("webhook", "portal.iused.nl:444/webhook/shipment/18/***?***", False))

    def test_change_of_a_secret_part_alone_is_seen(self):
        self.company.with_user(self.admin).sudo().iused_webhook_url = WEBHOOK + "-2"
        self.assertNew(("webhook", "127.0.0.1:9/webhook/shipment/18/***", "127.0.0.1:9/webhook/shipment/18/***"))

    def test_import_and_rpc(self):
        company = self.company.with_user(self.admin)
        xmlid = self.company.export_data(["id"])["datas"][0][0]
        result = company.load(["id", "iused_order_policy"], [[xmlid, "quotation"]])
        self.assertFalse(result["messages"])
        self.assertNew(("order_policy", "Confirm at once", "Leave as quotation"))
        company.web_save({"iused_partner_id": False}, {})
        self.assertNew(("partner", self.iused_partner.display_name, False))

    def test_user_of_the_calls(self):
        self.company.with_user(self.admin).iused_user_id = False
        self.assertNew(("user", f"{self.iused_user.name}", False))
        self.company.with_user(self.admin).iused_user_id = self.iused_user
        self.assertNew(("user", False, self.iused_user.name))
        self.iused_user.with_user(self.admin).sudo().active = False
        self.assertNew(("user_active", "Active", "Archived"))
        self.iused_user.with_user(self.admin).sudo().active = True
        self.assertNew(("user_active", "Archived", "Active"))

    def test_company_that_is_made_with_settings(self):
        company = self.as_admin["res.company"].sudo().create({"name": "Zuid", "iused_webhook_url": WEBHOOK})
        self.assertEqual(
            [(change.kind, change.new, change.company_id) for change in self._new()],
            [("webhook", "127.0.0.1:9/webhook/shipment/18/***", company)],
        )

    def test_sending_stopped_and_resumed(self):
        self.company._iused_stop_sending("HTTP 410", self.company._iused_webhook_address())
        self.assertNew(("sending", False, "HTTP 410"), user=self.env.user)
        self.company.with_user(self.admin).action_iused_resume_sending()
        self.assertNew(("sending", "HTTP 410", False))

    # sFTP ------------------------------------------------------------------------------------------------------------

    def test_sftp_location(self):
        location = self.as_admin["iused.sftp.location"].create(
            {"company_id": self.company.id, "host": "sftp.example", "username": "18"}
        )
        self.assertNew(("sftp_host", False, "sftp.example"), ("sftp_username", False, "18"))
        location.write({"new_password": "hunter2", "folder": "offers"})
        self.assertNew(("sftp_password", False, "Set"), ("sftp_folder", False, "offers"))
        location.write({"new_password": "hunter22"})
        self.assertNew(("sftp_password", "Set", "Set"))
        location.sudo().seen_host_key = HOST_KEY
        self.assertNew()
        location.action_accept_host_key()
        self.assertNew(("sftp_host_key", False, sftp.fingerprint(HOST_KEY)))
        location.enabled = True
        self.assertNew(("sftp_enabled", "Off", "On"))
        location.host = "other.example"
        self.assertNew(
            ("sftp_host", "sftp.example", "other.example"), ("sftp_host_key", sftp.fingerprint(HOST_KEY), False)
        )
        location.action_forget_secrets()
        self.assertNew(("sftp_password", "Set", False))

    # Tokens ----------------------------------------------------------------------------------------------------------

    def _make_token(self, **values):
        wizard = self.as_admin["iused.token.new"].create(values)
        type(wizard).action_make.__wrapped__(wizard)
        return self.env["res.users.apikeys"].search([], order="id desc", limit=1)

    def test_token_made_and_revoked(self):
        token = self._make_token(name="Portal")
        made = self._new()
        self.assertEqual((made.kind, made.name, made.user_id, made.new), ("token_made", "Portal", self.admin, ""))
        token.with_user(self.admin)._remove()
        revoked = self._new()
        self.assertEqual((revoked.kind, revoked.name, revoked.user_id), ("token_revoked", "Portal", self.admin))

    def test_token_with_an_end(self):
        self._make_token(end_date=fields.Date.today() + timedelta(days=30))
        self.assertIn("Valid until", self._new().new)

    def test_an_end_is_told_in_the_time_zone_of_who_made_it(self):
        """The token is iUsed's user's, whose time zone is none of the administrator's."""
        self.admin.tz, self.iused_user.tz = "America/New_York", "Asia/Tokyo"
        self._make_token(end_date=fields.Date.today() + timedelta(days=30))
        self.assertRegex(self._new().new, r"11:59\W+PM$")

    def test_token_that_goes_by_another_way(self):
        for name, remove in (
            ("unlink", lambda token: token.with_user(self.admin).sudo().unlink()),
            ("the user's screen", lambda token: self.iused_user.with_user(self.admin).api_key_ids._remove()),
            ("a user that is revived", lambda token: self._archive_and_revive()),
            ("an uninstall", lambda token: uninstall_hook(self.as_admin(su=True))),
        ):
            with self.subTest(name):
                token = self._make_token(name=name)
                self._new()
                remove(token)
                revoked = self._new().filtered(lambda change: change.kind == "token_revoked")
                self.assertFalse(token.exists())
                self.assertEqual((revoked.name, revoked.user_id, revoked.company_id), (name, self.admin, self.company))

    def _archive_and_revive(self):
        self.iused_user.active = False
        self.company.with_user(self.admin)._iused_ensure_user()

    def test_token_whose_user_is_deleted(self):
        token = self._make_token(name="Portal")
        self._new()
        self.company.with_user(self.admin).iused_user_id = False
        self.iused_user.with_user(self.admin).sudo().unlink()
        self.assertFalse(token.exists())
        kinds = self._new().mapped(lambda change: (change.kind, change.name, change.user_id, change.company_id))
        self.assertEqual(
            kinds,
            [("user", False, self.admin, self.company), ("token_revoked", "Portal", self.admin, self.company)],
        )

    def test_token_that_ended(self):
        token = self._make_token(name="Portal")
        end = fields.Datetime.now() - timedelta(hours=5)
        self.env.cr.execute("UPDATE res_users_apikeys SET expiration_date = %s WHERE id = %s", [end, token.id])
        self._new()
        token._gc_user_apikeys()
        ended = self._new()
        self.assertEqual((ended.kind, ended.name, ended.date), ("token_ended", "Portal", end))
        self.assertFalse(ended.user_id or ended.login, "nobody did it")
        token._gc_user_apikeys()
        self.assertNew()

    def test_keys_of_others_are_not_ours(self):
        keys = self.as_admin["res.users.apikeys"]
        keys._generate("rpc", "a script", fields.Datetime.now() + timedelta(days=1))
        keys.search([("user_id", "=", self.admin.id)])._remove()
        self.assertNew()

    # Who reads it, and who cannot write it ---------------------------------------------------------------------------

    def test_nobody_writes_or_deletes_it(self):
        self.company.with_user(self.admin).iused_order_policy = "quotation"
        change = self._new().with_user(self.admin)
        for forbidden in (
            lambda: change.write({"new": "nothing"}),
            lambda: change.unlink(),
            lambda: change.create({"company_id": self.company.id, "kind": "webhook"}),
            lambda: change.copy(),
        ):
            with self.assertRaises(AccessError):
                forbidden()

    def test_who_reads_it(self):
        self.company.with_user(self.admin).iused_order_policy = "quotation"
        change = self._new()
        manager = self._new_user("manager of iUsed", "sale_iused.group_iused_manager")
        self.assertTrue(change.with_user(manager).read(["kind", "user_id", "old", "new"]))
        self.assertIn(change, self.env["iused.change"].with_user(self.admin).search([("kind", "=", "order_policy")]))
        for user in (self._new_user("seller", "sales_team.group_sale_salesman"), self.iused_user):
            with self.subTest(user.login), self.assertRaises(AccessError):
                change.with_user(user).read(["kind"])
        company = self._make_company("Zuid")
        other = self._new_user("other manager", "base.group_system", company=company)
        changes = self.env["iused.change"].with_user(other).with_context(allowed_company_ids=company.ids)
        self.assertNotIn(change, changes.search([]))

    def test_deleted_user_stays_by_login(self):
        self.company.with_user(self.admin).iused_order_policy = "quotation"
        change = self._new()
        self.env.flush_all()
        login = self.admin.login
        self.admin.unlink()
        self.env.invalidate_all()
        self.assertEqual((change.user_id, change.login), (self.env["res.users"], login))

    def test_what_failed_leaves_nothing(self):
        with self.assertRaises(ValidationError), self.env.cr.savepoint():
            self.company.with_user(self.admin).sudo().write(
                {"iused_order_policy": "quotation", "iused_webhook_url": "http://SECRET.example/"}
            )
        self.assertNew()

    def test_servers_log_names_who_once_it_is_committed(self):
        self.env.cr.postcommit.clear()
        with patch.object(iused_change, "_logger") as logger:
            self.company.with_user(self.admin).sudo().iused_webhook_url = "https://portal.iused.nl/hook/18/SECRET"
            logger.info.assert_not_called()  # it may still be rolled back
            self.env.cr.postcommit.run()
        ((text, *values),) = [call.args for call in logger.info.call_args_list]
        line = text % tuple(values)
        for words in ("webhook", self.company.name, self.admin.login, "from n/a", "portal.iused.nl/hook/18/***"):
            self.assertIn(words, line)
        self.assertNotIn("SECRET", line)
