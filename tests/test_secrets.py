"""Secrets are in no statement, log, cache or answer, and open only with the server's key."""

import os
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

from cryptography.fernet import Fernet
from psycopg2.errors import CheckViolation

from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.modules.neutralize import get_neutralization_queries
from odoo.tests import tagged
from odoo.tests.common import Form
from odoo.tools import config

from ..models import iused_secret
from ..models.iused_secret import KEY_FILE, SETTING, VARIABLE, SecretLost
from ..tools.secret_keys import make_key_file, read_key_file, read_keys
from .common import WEBHOOK, IusedCase, IusedHttpCase

TOKEN = "SECRET-TOKEN"
SFTP_SECRETS = ("password", "private_key", "passphrase")


class SecretCase(IusedCase):
    """A server of its own: a data folder without a key, and nothing in its configuration."""

    def setUp(self):
        super().setUp()
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.enterContext(patch.dict(config.options, {SETTING: ""}))
        # Odoo keeps the sessions of other tests in the real one.
        self.patch(self.registry["iused.secret"], "_key_path", lambda _secrets: str(self.folder / KEY_FILE))
        self.enterContext(patch.dict(os.environ, {VARIABLE: ""}))
        self.enterContext(patch.object(iused_secret, "LOGGED", set()))
        self.secrets = self.env["iused.secret"]
        self.company.sudo().iused_webhook_url = WEBHOOK
        self.location = self.env["iused.sftp.location"].create({"host": "sftp.invalid", "username": "refurb"})

    def _set_keys(self, *keys):
        """Configure keys, as after a restart of the server."""
        config.options[SETTING] = ",".join(key.decode() for key in keys)
        self.env.invalidate_all()

    def _lose_key(self):
        """As on another server, or where the data folder was not restored."""
        (self.folder / KEY_FILE).rename(self.folder / "away")
        self.env.invalidate_all()

    def _find_key(self):
        (self.folder / "away").rename(self.folder / KEY_FILE)
        self.env.invalidate_all()

    def _rows(self):
        self.env.cr.execute(
            "SELECT name, value FROM iused_secret WHERE company_id = %s OR location_id = %s ORDER BY name",
            (self.company.id, self.location.id),
        )
        return dict(self.env.cr.fetchall())

    @contextmanager
    def assertNotSaid(self, *secrets):
        """Neither a statement that is sent to PostgreSQL nor a line of Odoo's log, at any level, holds one of these."""
        statements, thread = [], threading.current_thread()
        hooks = list(getattr(thread, "query_hooks", ()))
        thread.query_hooks = [*hooks, lambda _cr, query, params, *_times: statements.append(f"{query} {params}")]
        try:
            with self.assertLogs("odoo", "DEBUG") as log:
                yield
        finally:
            thread.query_hooks = hooks
        self.assertTrue(statements)
        for secret in secrets:
            self.assertFalse([line for line in (*log.output, *statements) if secret in line])


@tagged("post_install", "-at_install")
class TestSecretsUnseen(SecretCase):
    def test_webhook_url_is_not_logged_by_a_write_that_breaks_a_constraint(self):
        with (
            self.assertLogs("odoo.sql_db", "ERROR") as log,
            self.assertRaises(CheckViolation),
            self.env.cr.savepoint(),
        ):
            self.company.sudo().write({"iused_webhook_url": WEBHOOK + "-2", "iused_stock_buffer": -1})
            self.env.flush_all()
        self.assertIn("iused_stock_buffer", log.output[0])
        self.assertNotIn(TOKEN, log.output[0])

    def test_sftp_secrets_are_not_logged_by_a_write_that_breaks_a_constraint(self):
        with (
            self.assertLogs("odoo.sql_db", "ERROR") as log,
            self.assertRaises(CheckViolation),
            self.env.cr.savepoint(),
        ):
            self.location.write({"new_password": TOKEN, "port": 0})
            self.env.flush_all()
        self.assertIn("port", log.output[0])
        self.assertNotIn(TOKEN, log.output[0])

    def test_no_statement_and_no_line_of_the_log_holds_a_secret(self):
        with self.assertNotSaid(TOKEN, "SECRET-WORD", "SECRET-PHRASE"):
            self.company.sudo().iused_webhook_url = WEBHOOK + "-2"
            self.env["res.company"].sudo().create({"name": "Another", "iused_webhook_url": WEBHOOK + "-3"})
            self.location.write({"new_password": "SECRET-WORD", "new_passphrase": "SECRET-PHRASE"})
            self.env["res.config.settings"].create({"iused_new_webhook_url": WEBHOOK + "-4"}).execute()
            self.env.flush_all()
            self.company._iused_connection()
            self.location._prepare_target()

    def test_what_was_written_is_not_read_back_in_the_same_transaction(self):
        self.company.sudo().iused_webhook_url = WEBHOOK + "-2"
        self.assertFalse(self.company.sudo().iused_webhook_url)
        self.assertNotIn(TOKEN, str(self.company.sudo().read()))
        made = self.env["res.company"].sudo().create({"name": "Another", "iused_webhook_url": WEBHOOK})
        self.assertFalse(made.iused_webhook_url)
        self.assertTrue(made.iused_webhook_is_set)
        self.assertEqual(made._iused_webhook_address(), WEBHOOK)
        self.location.sudo().write({"password": TOKEN, "passphrase": TOKEN})
        self.assertNotIn(TOKEN, str(self.location.sudo().read()))
        self.assertEqual(self.location._prepare_target().passphrase, TOKEN)

    def test_browser_gets_nothing_back_when_it_saves(self):
        answer = self.location.web_save({"new_password": TOKEN}, {"new_password": {}, "password_is_set": {}})
        self.assertEqual((answer[0]["new_password"], answer[0]["password_is_set"]), (False, True))
        answer = self.env["res.config.settings"].web_save(
            {"iused_new_webhook_url": WEBHOOK}, {"iused_new_webhook_url": {}, "iused_webhook_is_set": {}}
        )
        self.assertEqual((answer[0]["iused_new_webhook_url"], answer[0]["iused_webhook_is_set"]), (False, True))

    def test_a_copy_has_no_secret(self):
        self.location.new_password = "SECRET-WORD"
        copy = self.location.copy({"company_id": self._make_company("Another").id})
        self.assertFalse(copy.password_is_set)

    def test_nobody_reads_the_table_not_even_encrypted(self):
        administrator = self._new_user("administrator", "base.group_system")
        secrets = self.secrets.with_user(administrator)
        for call in (
            lambda: secrets.search_read([]),
            lambda: secrets.create({"company_id": self.company.id, "name": "iused_webhook_url", "value": "x"}),
        ):
            with self.assertRaises(AccessError):
                call()

    def test_what_is_kept_is_encrypted(self):
        self.location.new_password = "SECRET-WORD"
        rows = self._rows()
        self.assertEqual(set(rows), {"iused_webhook_url", "password"})
        for value in rows.values():
            self.assertFalse("SECRET" in value or "webhook" in value)

    def test_no_column_holds_a_secret(self):
        self.env.cr.execute(
            "SELECT column_name FROM information_schema.columns"
            " WHERE table_name IN ('res_company', 'iused_sftp_location') AND column_name = ANY(%s)",
            [["iused_webhook_url", *SFTP_SECRETS]],
        )
        self.assertFalse(self.env.cr.fetchall())

    def test_secret_goes_with_what_it_belongs_to(self):
        self.location.new_password = "SECRET-WORD"
        self.location.unlink()
        self.assertEqual(set(self._rows()), {"iused_webhook_url"})
        self.env.cr.execute(
            "SELECT confdeltype FROM pg_constraint WHERE contype = 'f' AND conrelid = 'iused_secret'::regclass"
        )
        self.assertEqual(self.env.cr.fetchall(), [("c",)] * 2, "PostgreSQL deletes them, too")

    def test_neutralized_copy_has_none(self):
        self.location.new_password = "SECRET-WORD"
        self.env.flush_all()
        for query in get_neutralization_queries(["sale_iused"]):
            self.env.cr.execute(query)
        self.env.invalidate_all()
        self.assertFalse(self._rows() or self.company.iused_webhook_is_set or self.location.password_is_set)

    def test_what_is_no_text_is_refused_without_repeating_it(self):
        for word in ("SECRET\0", "SECRET\ud800"):
            with self.subTest(word=word), self.assertRaises(ValidationError) as caught:
                self.location.new_password = word
            self.assertNotIn("SECRET", str(caught.exception.args))

    def test_validating_a_delivery_touches_no_secret(self):
        self.phone = self._make_phone("PHONE", 1)
        order = self._receive(self._make_order(self.phone))
        self.env.flush_all()
        self.env.invalidate_all()
        with self.assertNotSaid("iused_secret"):
            self._deliver(order)
            self.env.flush_all()
        self.assertTrue(order.iused_update_ids)


@tagged("post_install", "-at_install")
class TestSecretKeys(SecretCase):
    def test_key_is_made_in_the_data_folder_for_odoo_alone(self):
        path = self.folder / KEY_FILE
        self.assertEqual(path.stat().st_mode & 0o777, 0o600)
        self.assertEqual(os.listdir(self.folder), [KEY_FILE], "no draft is left behind")
        made = path.read_bytes()
        self.company.sudo().iused_webhook_url = WEBHOOK + "-2"
        self.assertEqual(path.read_bytes(), made)

    def test_many_processes_at_once_agree_on_one_key(self):
        with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(8) as pool:
            path = os.path.join(folder, KEY_FILE)
            barrier = threading.Barrier(8, timeout=30)

            def make(_number):
                barrier.wait()
                make_key_file(path)
                return Path(path).read_bytes()

            self.assertEqual(len(set(pool.map(make, range(8)))), 1)
            self.assertEqual(len(read_key_file(path)), 1)

    def test_looking_makes_no_key(self):
        self._lose_key()
        self.assertTrue(self.company.iused_webhook_is_lost)
        self.assertFalse((self.folder / KEY_FILE).exists())

    def test_folder_that_cannot_be_written_says_what_to_set(self):
        self._lose_key()
        self.folder /= "missing"
        with self.assertRaises(UserError) as caught:
            self.company.sudo().iused_webhook_url = WEBHOOK
        self.assertIn(SETTING, str(caught.exception))
        self.assertNotIn(TOKEN, str(caught.exception))

    def test_key_of_the_configuration_comes_before_the_environment_and_the_file(self):
        first, second = Fernet.generate_key(), Fernet.generate_key()
        for place, options, environment in (
            ("configuration", first.decode(), second.decode()),
            ("environment", "", second.decode()),
        ):
            config.options[SETTING], os.environ[VARIABLE] = options, environment
            self.company.sudo().iused_webhook_url = f"{WEBHOOK}-{place}"
            key = Fernet(options or environment)
            self.assertIn(place, key.decrypt(self._rows()["iused_webhook_url"].encode()).decode())

    def test_malformed_key_is_told_by_its_setting_and_not_by_its_value(self):
        good = Fernet.generate_key().decode()
        for text in ("TOP", "TOP-KEY" * 7, f"{good},TOP", f"{good},", "é" * 44, ","):
            config.options[SETTING] = text
            self.env.invalidate_all()
            with self.subTest(text=text), self.assertRaises(UserError) as caught:
                self.company.sudo().iused_webhook_url = WEBHOOK + "-2"
            self.assertIn(SETTING, str(caught.exception))
            self.assertNotIn(text, str(caught.exception))
            self.assertTrue(self.company.iused_webhook_is_lost)

    def test_malformed_key_file_is_told_by_its_path(self):
        (self.folder / KEY_FILE).write_text("TOP-SECRET")
        with self.assertRaises(UserError) as caught:
            self.company.sudo().iused_webhook_url = WEBHOOK + "-2"
        self.assertIn(KEY_FILE, str(caught.exception))
        self.assertNotIn("TOP", str(caught.exception))

    def test_new_key_is_rolled_in(self):
        old, new = Fernet.generate_key(), Fernet.generate_key()
        self._set_keys(old)
        self.company.sudo().iused_webhook_url = WEBHOOK
        self.location.new_password = "SECRET-WORD"
        self._set_keys(new, old)
        self.assertEqual(self.company._iused_webhook_address(), WEBHOOK)
        self.secrets._gc_old_keys()
        self._set_keys(new)
        self.assertEqual(self.company._iused_webhook_address(), WEBHOOK)
        self.assertEqual(self.location._prepare_target().password, "SECRET-WORD")
        self._set_keys(old)
        self.assertTrue(self.company.iused_webhook_is_lost)

    def test_key_of_the_data_folder_is_replaced_by_one_of_the_configuration(self):
        self._set_keys(Fernet.generate_key())
        self.assertEqual(self.company._iused_webhook_address(), WEBHOOK)
        self.secrets._gc_old_keys()
        self._lose_key()
        self.assertEqual(self.company._iused_webhook_address(), WEBHOOK)

    def test_rolling_in_a_key_leaves_what_is_lost_as_it_is(self):
        lost = self._rows()
        self._lose_key()
        self._set_keys(Fernet.generate_key(), Fernet.generate_key())
        self.secrets._gc_old_keys()
        self.assertEqual(self._rows(), lost)

    def test_secret_does_not_open_in_the_place_of_another(self):
        self.location.write({"new_password": "SECRET-WORD", "new_passphrase": "SECRET-PHRASE"})
        self.env.cr.execute(
            "UPDATE iused_secret SET value = %s WHERE location_id = %s AND name = 'passphrase'",
            (self._rows()["password"], self.location.id),
        )
        with self.assertRaises(SecretLost):
            self.secrets._take(self.location, "passphrase")

    def test_keys_may_be_in_either_base64(self):
        self.assertEqual(len(read_keys("+/" * 21 + "w=, " + "-_" * 21 + "w=")), 2)

    def test_columns_of_an_older_version_move_over(self):
        self.env.cr.execute("ALTER TABLE res_company ADD COLUMN iused_webhook_url varchar")
        self.env.cr.execute(
            "UPDATE res_company SET iused_webhook_url = %s WHERE id = %s", (WEBHOOK + "-OLD", self.company.id)
        )
        self.env.cr.execute("ALTER TABLE iused_sftp_location ADD COLUMN password varchar")
        self.env.cr.execute("UPDATE iused_sftp_location SET password = 'SECRET-WORD'")
        with self.assertNotSaid(TOKEN, "SECRET-WORD"):
            for model, name in (("res.company", "iused_webhook_url"), ("iused.sftp.location", "password")):
                self.secrets._take_over(model, name)
                self.secrets._take_over(model, name)  # another upgrade finds nothing more to do
        self.env.invalidate_all()
        self.assertEqual(self.company._iused_webhook_address(), WEBHOOK + "-OLD")
        self.assertEqual(self.location._prepare_target().password, "SECRET-WORD")
        TestSecretsUnseen.test_no_column_holds_a_secret(self)


@tagged("post_install", "-at_install")
class TestSecretLost(IusedHttpCase, SecretCase):
    """The key is gone: that is told, and breaks nothing else."""

    def setUp(self):
        super().setUp()
        self.company.sudo().iused_webhook_url = self.portal.webhook_url
        self.location.new_password = "SECRET-WORD"
        self.phone = self._make_phone("PHONE", 5)

    def test_updates_wait_unharmed_and_go_once_the_address_was_entered_again(self):
        update = self._ship_updates()
        before = update.read(["state", "attempts", "next_try", "blame", "holds", "last_answer"])
        self._lose_key()
        with self.assertLogs("odoo.addons.sale_iused", "WARNING") as log:
            for _run in range(3):
                self._run_cron()
        self.assertEqual(len(log.output), 1, log.output)
        self.assertEqual(update.read(["state", "attempts", "next_try", "blame", "holds", "last_answer"]), before)
        self.assertFalse(update.exchange_ids or self.portal.received)
        self.assertIn("enter it again", update._describe_trouble())
        self.env["res.config.settings"].create({"iused_new_webhook_url": self.portal.webhook_url}).execute()
        self._run_cron()
        self.assertEqual(update.state, "sent")

    def test_updates_go_once_the_key_is_back(self):
        update = self._ship_updates()
        self._lose_key()
        self._run_cron()
        self._find_key()
        self._run_cron()
        self.assertEqual(update.state, "sent")

    def test_run_without_a_key_does_not_call_for_the_next_one(self):
        update = self._ship_updates()
        update.state = "retry"
        self._lose_key()
        self.env["ir.cron.trigger"].search([]).unlink()
        self._run_cron()
        self.assertFalse(self.env["ir.cron.trigger"].search([]))
        self._find_key()
        with patch.object(type(self.env["iused.shipment.sender"]), "_due_domain", lambda _self: [("id", "=", 0)]):
            self._run_cron()
        self.assertTrue(self.env["ir.cron.trigger"].search([]), "with a key it does, or this test proves nothing")

    def test_everything_else_works(self):
        self._lose_key()
        self.assertEqual(len(self._offers()), 1)
        order = self._make_order(self.phone)
        self.assertEqual(self._push(order).status_code, 201)
        with Form(self.env["res.config.settings"]) as form:
            form.iused_stock_buffer = 1
        form.record.execute()
        self.assertEqual(self.company.iused_stock_buffer, 1)
        with Form(self.location) as form:
            form.interval = 30
        self.assertTrue(self.location.secrets_are_lost)
        self.assertTrue(self._ship_updates().ids)
        self.company.iused_webhook_method = "PUT"  # a setting of the webhook, which may wake the sender
        self.env["res.config.settings"].create({}).action_iused_forget_webhook()
        self.assertFalse(self.company.iused_webhook_is_set or self.company.iused_webhook_is_lost)
        self.location.action_forget_secrets()
        self.assertFalse(self.location.secrets_are_lost)

    def test_it_is_a_trouble_until_it_is_over(self):
        overview = self.env["iused.overview"]
        self.assertNotIn("webhook_lost", overview._find_troubles(self.company, overview._read_facts(self.company)))
        self._lose_key()
        self.env["iused.trouble"]._watch(self.company)
        trouble = self.env["iused.trouble"].search([("kind", "=", "webhook_lost"), ("ended_at", "=", False)])
        self.assertIn("enter it again", trouble.activity_ids.note)
        facts = overview._read_facts(self.company)
        rows = overview._prepare_health(self.company, facts, overview._find_troubles(self.company, facts))
        self.assertIn("webhook", [row["name"] for row in rows if row["state"] == "trouble"])
        self.company.sudo().iused_webhook_url = WEBHOOK
        self.env["iused.trouble"]._watch(self.company)
        self.assertTrue(trouble.ended_at)

    def test_webhook_test_says_so(self):
        self._lose_key()
        kind, text = self.env["iused.connection"]._test_webhook(self.company)
        self.assertEqual(kind, "danger")
        self.assertIn("enter it again", text)

    def test_uploads_wait_and_that_is_told_at_once(self):
        self.location.write({"enabled": True, "host_key": "ssh-ed25519 AAAA"})
        self._lose_key()
        self._run_cron("upload_offers")
        self.assertEqual(self.location.state, "retry")
        self.assertIn("enter it again", self.location.last_error)
        self.assertIn("enter it again", self.location.activity_ids.note)
        self.assertEqual(self.location.action_test()["params"]["type"], "danger")
        self.location.new_password = "SECRET-WORD"
        self.assertEqual(self.location._prepare_target().password, "SECRET-WORD")
        self.assertEqual((self.location.attempts, self.location.secrets_are_lost), (0, False))
