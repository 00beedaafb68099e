"""Uploading the offers by sFTP: when, what, and what becomes of trouble. The server is a real OpenSSH."""

import os
import sys
import time
import unittest
from datetime import timedelta
from unittest.mock import patch

from psycopg2.errors import CheckViolation

from odoo import fields
from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.modules.neutralize import get_neutralization_queries
from odoo.tests import Form, tagged
from odoo.tools import mute_logger

from ..dev.sshd import Sshd, make_key, why_no_passwords
from ..tools import sftp
from ..tools.delivery import RETRY_MINUTES
from .common import IusedHttpCase

PASSWORD = "correct horse é"


@tagged("post_install", "-at_install")
class TestSftp(IusedHttpCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.server = Sshd()
        cls.addClassCleanup(cls.server.__exit__)
        cls.server.start()

    def setUp(self):
        super().setUp()
        for path in self.server.folder.iterdir():
            path.unlink()
        self.location = self._make_location(self.server)
        self._make_phone("PHONE", 2)
        self._make_phone("ÜMLAUT-é", name='Näme; with "quotes" and 📱', iused_consumer_price=1249.5)

    def _make_location(self, server, **values):
        return self.env["iused.sftp.location"].create(
            {
                "enabled": True,
                "host": "127.0.0.1",
                "port": server.port,
                "username": server.user,
                "new_private_key": server.client_key,
                "folder": str(server.folder),
                "host_key": server.host_key,
                **values,
            }
        )

    def _upload(self):
        """Run the scheduled action; return what is in the log."""
        self._run_cron("upload_offers")
        return self._exchanges()

    def _exchanges(self):
        return self.env["iused.exchange"].search([("company_id", "=", self.company.id), ("method", "=", "SFTP")])

    def _file(self, name="offers.json"):
        return (self.server.folder / name).read_bytes()

    def _due(self):
        self.location.next_try = fields.Datetime.now()

    # What --------------------------------------------------------------------------------------------------------

    def test_file_is_what_http_serves(self):
        dutch = self.env["res.lang"].with_context(active_test=False).search([("code", "=", "nl_NL")])
        for file_format, lang, query in (
            ("json", False, ""),
            ("csv", False, "?format=csv"),
            ("csv", dutch, "?format=csv&locale=nl_NL"),
        ):
            with self.subTest(query=query):
                self.location.write({"file_format": file_format, "lang_id": lang, "file_name": f"o.{file_format}"})
                self._upload()
                self.assertFalse(self.location.last_error)
                served = self._call("GET", f"/offers{query}", Accept_Encoding="identity").content
                self.assertEqual(self._file(f"o.{file_format}"), served)
                self.assertIn("ÜMLAUT-é".encode(), served)

    def test_upload_is_logged(self):
        exchange = self._upload()
        self.assertRecordValues(
            exchange,
            [
                {
                    "kind": "offers",
                    "direction": "out",
                    "path": f"{self.server.folder}/offers.json",
                    "size": len(self._file()),
                    "offers": 2,
                    "detail": False,
                }
            ],
        )
        self.assertGreater(exchange.duration, 0)
        self.assertEqual((self.location.last_size, self.location.last_offers), (exchange.size, 2))
        self.assertTrue(self.location.last_upload)
        self.assertEqual(self.location.state, "ready")

    # When --------------------------------------------------------------------------------------------------------

    def test_nothing_is_uploaded_before_the_interval_passed(self):
        self._upload()
        self._make_phone("ANOTHER", 1)
        self.assertEqual(len(self._upload()), 1)
        self._due()
        self.assertEqual(len(self._upload()), 2)
        self.assertIn(b"ANOTHER", self._file())

    def test_unchanged_offers_are_uploaded_at_the_heartbeat_only(self):
        self._upload()
        self._due()
        self.assertEqual(len(self._upload()), 1)
        self.assertGreater(self.location.next_try, fields.Datetime.now(), "it must look again later, not at once")
        self.location.last_upload -= timedelta(hours=11, minutes=58)
        self._due()
        self.assertEqual(len(self._upload()), 1)
        self.location.last_upload -= timedelta(minutes=3)
        self._due()
        self.assertEqual(len(self._upload()), 2)

    def test_another_place_gets_the_unchanged_offers_at_once(self):
        self._upload()
        self.location.file_name = "stock.json"
        self._upload()
        self.assertEqual(self._file("stock.json"), self._file())

    def test_upload_now_uploads_unchanged_offers(self):
        self._upload()
        self.location.action_upload_now()
        self.assertEqual(len(self._upload()), 2)

    def test_off_or_without_an_accepted_key_nothing_is_uploaded(self):
        self.location.enabled = False
        self.assertFalse(self._upload())
        self.location.write({"enabled": True, "host_key": False})
        self.assertFalse(self._upload())
        self.assertEqual(self.location.state, "test")
        with self.assertRaises(UserError):
            self.location.action_upload_now()

    def test_each_company_has_its_own_place(self):
        other = self._make_company("Other refurbisher")
        self._make_location(self.server, company_id=other.id, file_name="other.json")
        self._upload()
        self.assertEqual(self._file("other.json"), b"[]\n")
        self.assertIn(b"PHONE", self._file())

    def test_run_that_takes_long_leaves_the_others_for_later(self):
        other = self._make_company("Other refurbisher")
        self._make_location(self.server, company_id=other.id, file_name="other.json")
        self.patch(self.registry["iused.sftp.location"], "_run_seconds", lambda _self: 1)
        upload = sftp.upload

        def slow(*args):
            upload(*args)
            time.sleep(0.6)

        with patch.object(sftp, "upload", slow):
            self._upload()
            self.assertEqual(len(list(self.server.folder.iterdir())), 1)
            self._upload()
        self.assertEqual(len(list(self.server.folder.iterdir())), 2)

    def test_settings_changed_during_an_upload_stay(self):
        upload = sftp.upload

        def meddle(*args):
            upload(*args)
            self.env["iused.sftp.location"].browse(self.location.id).file_name = "changed.json"
            self.env.flush_all()

        with patch.object(sftp, "upload", meddle):
            self._upload()
        self.assertFalse(self.location.last_feed)
        self._upload()
        self.assertEqual(self._file("changed.json"), self._file())

    # Trouble -----------------------------------------------------------------------------------------------------

    def test_trouble_follows_the_shipments_schedule(self):
        self.location.folder = "/missing/folder"
        for number, minutes in enumerate((*RETRY_MINUTES, RETRY_MINUTES[-1]), 1):
            self._due()
            before = fields.Datetime.now()
            self._upload()
            self.assertEqual((self.location.attempts, self.location.state), (number, "retry"))
            delay = (self.location.next_try - before).total_seconds()
            self.assertTrue(minutes * 60 <= delay <= minutes * 66 + 10, f"try {number}: {delay} s")
        self.assertIn("no such folder", self.location.last_error)
        self.assertEqual(self._exchanges()[0].detail, self.location.last_error)

    def test_lasting_trouble_is_told_once_and_ends_with_the_next_upload(self):
        user = self._new_user("responsible", "sales_team.group_sale_salesman")
        self.company.iused_responsible_id = user
        self._upload()
        good = self.location.last_upload
        self.location.write({"folder": "/missing", "alarm_after": 4})
        self._upload()
        self.assertFalse(self.location.activity_ids)
        for hours in (5, 6):
            self.location.failing_since = fields.Datetime.now() - timedelta(hours=hours)
            self._due()
            self._upload()
            self.assertEqual(self.location.activity_ids.user_id, user)
            self.assertEqual(len(self.location.activity_ids), 1)
        self.assertEqual(self.location.last_upload, good)
        self.assertTrue(self.location.activity_ids.with_user(user).res_name, "the responsible can open it")
        self.location.folder = str(self.server.folder)
        self._upload()
        self.assertFalse(self.location.activity_ids)
        self.assertFalse(self.location.failing_since or self.location.last_error or self.location.attempts)

    def test_switching_off_ends_the_trouble(self):
        self.location.write({"folder": "/missing", "failing_since": fields.Datetime.now() - timedelta(hours=5)})
        self._upload()
        self.assertTrue(self.location.activity_ids)
        self.location.enabled = False
        self.assertFalse(self.location.activity_ids)
        self.location.enabled = True
        self._upload()
        self.assertEqual(self.location.state, "retry")
        self.assertFalse(self.location.activity_ids, "the trouble is counted from now on")

    def test_trouble_is_told_in_the_users_language(self):
        """The server's words are taken apart, so that each part can be translated."""
        dutch = {
            "The file %(path)s cannot be written: %(cause)s": "%(path)s kan niet worden geschreven: %(cause)s",
            "there is no such folder.": "die map is er niet.",
        }
        translate = patch.object(type(self.env), "_", lambda _env, text, **values: dutch.get(text, text) % values)
        self.location.folder = "/missing"
        with translate:
            self._upload()
        self.assertEqual(
            self.location.last_error, "/missing/.offers.json.part kan niet worden geschreven: die map is er niet."
        )

    def test_changed_host_key_stops_until_it_is_accepted(self):
        self._upload()
        self.addCleanup(self._restart_with_new_key)
        self._restart_with_new_key()
        self.location.action_upload_now()
        self._upload()
        self.assertEqual(self.location.state, "stopped")
        self.assertEqual(self.location.seen_fingerprint, sftp.fingerprint(self.server.host_key))
        self.assertEqual(len(self.location.activity_ids), 1)
        self._due()
        self.assertEqual(len(self._upload()), 2, "nothing more is tried")
        self.assertNotIn("userauth", self.server.log().rpartition("Server listening")[2].lower())
        self.location.action_accept_host_key()
        self._upload()
        self.assertEqual(self.location.state, "ready")
        self.assertFalse(self.location.activity_ids)

    def test_changed_host_key_is_told_while_another_trouble_is_open(self):
        self.location.write({"folder": "/missing", "failing_since": fields.Datetime.now() - timedelta(hours=5)})
        self._upload()
        upload = self.location.activity_ids
        self.assertEqual(len(upload), 1)
        self.addCleanup(self._restart_with_new_key)
        self._restart_with_new_key()
        self._due()
        self._upload()
        self.assertEqual(self.location.state, "stopped")
        self.assertEqual(len(self.location.activity_ids), 2, "somebody must accept the new key")
        self.location.action_accept_host_key()
        self.assertEqual(self.location.activity_ids, upload)

    def _restart_with_new_key(self):
        self.server.stop()
        self.server.make_host_key()
        self.server.start()

    def test_without_paramiko_the_screens_say_what_to_install(self):
        with patch.dict(sys.modules, {"paramiko": None}):
            self.assertFalse(self._upload())
            self.location.invalidate_recordset()
            self.assertEqual(self.location.state, "missing")
            for button in ("action_test", "action_upload_now"):
                with self.assertRaisesRegex(UserError, "pip install -U paramiko"):
                    getattr(self.location, button)()
            self.assertFalse(self.env["res.config.settings"].create({}).iused_sftp_is_available)
            self.location.new_private_key = "cannot be checked"
            self.assertEqual(self._call("GET", "/offers").status_code, 200)

    # Settings ----------------------------------------------------------------------------------------------------

    def _test_connection(self):
        # In a test nothing may be committed; over several processes it is tested in dev/tests.
        with patch.object(self.registry["ir.cron"], "_commit_progress", lambda *_args, **_kwargs: 0):
            return self.location.action_test()["params"]

    def test_connection_shows_the_key_then_tries_the_folder(self):
        self.location.host_key = False
        self.assertEqual(self._test_connection()["type"], "warning")
        self.assertFalse(self.location.host_key)
        self.assertEqual(self.location.seen_fingerprint, sftp.fingerprint(self.server.host_key))
        self.location.action_accept_host_key()
        self.assertEqual(self.location.host_key, self.server.host_key)
        self.assertEqual(self._test_connection()["type"], "success")
        self.assertFalse(list(self.server.folder.iterdir()), "the try leaves nothing behind")
        self.location.folder = "/missing"
        answer = self._test_connection()
        self.assertEqual(answer["type"], "danger")
        self.assertIn("no such folder", answer["message"])

    def test_another_server_has_another_key(self):
        self.location.username = "somebody"
        self.assertTrue(self.location.host_key)
        self.location.port = 1
        self.assertFalse(self.location.host_key)

    def test_password(self):
        if reason := why_no_passwords():
            if os.environ.get("CI"):
                self.fail(reason)
            raise unittest.SkipTest(reason)
        with Sshd(password=PASSWORD) as server:
            other = self._make_company("Password refurbisher")
            location = self._make_location(server, company_id=other.id, new_private_key=False, new_password=PASSWORD)
            self.location.enabled = False
            self._upload()
            self.assertFalse(location.last_error)
            self.assertEqual((server.folder / "offers.json").read_bytes(), b"[]\n")

    def test_secrets_are_taken_and_never_given_back(self):
        key = make_key(self.server.home / self.id(), passphrase="SECRET-PASSPHRASE")
        self.location.write(
            {"new_password": "SECRET-WORD", "new_private_key": key, "new_passphrase": "SECRET-PASSPHRASE"}
        )
        self.assertEqual(self.location._prepare_target().password, "SECRET-WORD")
        administrator = self._new_user("administrator", "base.group_system")
        values = self.location.with_user(administrator).read()[0]
        self.assertTrue(values["password_is_set"] and values["private_key_is_set"] and values["passphrase_is_set"])
        self.assertFalse([name for name, value in values.items() if "SECRET" in str(value) or "BEGIN" in str(value)])
        for name in ("password", "private_key", "passphrase"):
            with self.assertRaises(AccessError):
                self.location.with_user(administrator).read([name])
        self.assertNotIn("SECRET", repr(self.location.sudo()._prepare_target()))
        self.location.interval = 30
        self.assertEqual(self.location._prepare_target().password, "SECRET-WORD")
        self.location.action_forget_secrets()
        self.assertFalse(self.location.password_is_set or self.location.private_key_is_set)

    def test_private_key_that_cannot_be_used_is_refused_without_repeating_it(self):
        key = make_key(self.server.home / self.id(), passphrase="SECRET")
        for values in (
            {"new_private_key": "SECRET nonsense"},
            {"new_private_key": key},
            {"new_private_key": key, "new_passphrase": "SECRET-WRONG"},
        ):
            with self.subTest(values=list(values)), self.assertRaises(ValidationError) as caught:
                self.location.write(values)
            self.assertNotIn("SECRET", str(caught.exception))
            self.assertNotIn("BEGIN", str(caught.exception))

    def test_only_administrators_change_it(self):
        for group in ("sales_team.group_sale_manager", "stock.group_stock_manager"):
            user = self._new_user(group, group)
            location = self.location.with_user(user)
            self.assertEqual(location.state, "ready")
            for call in (
                lambda location=location: location.write({"host": "evil.example.com"}),
                location.action_test,
                location.action_upload_now,
                location.action_accept_host_key,
                location.action_forget_secrets,
                location.action_open,
            ):
                with self.assertRaises(AccessError):
                    call()

    def test_settings_open_the_companys_own_place(self):
        settings = self.env["res.config.settings"].create({})
        self.assertEqual(settings.iused_sftp_location_id, self.location)
        self.assertEqual(settings.action_iused_set_up_sftp()["res_id"], self.location.id)
        self.location.unlink()
        made = self.env["iused.sftp.location"].browse(settings.action_iused_set_up_sftp()["res_id"])
        self.assertEqual((made.company_id, made.state), (self.company, "off"))
        with Form(made) as form:
            form.enabled, form.host, form.username = True, "sftp.example.com", "refurbisher"
            form.new_password = PASSWORD
            form.file_format = "csv"
        self.assertEqual(made.file_name, "offers.csv")
        self.assertEqual(made._prepare_target().password, PASSWORD)

    def test_places_that_cannot_be(self):
        for values in (
            {"file_name": "../offers.json"},
            {"file_name": ".."},
            {"file_name": "a\nb"},
            {"folder": "a\0b"},
            {"host": False},
            {"username": False},
        ):
            with self.subTest(values=values), self.assertRaises(ValidationError):
                self.location.write(values)

    @mute_logger("odoo.sql_db")
    def test_numbers_that_cannot_be(self):
        for values in ({"port": 0}, {"port": 70_000}, {"interval": 1}, {"heartbeat": -1}, {"alarm_after": -1}):
            with self.subTest(values=values), self.assertRaises(CheckViolation):
                self.location.write(values)
                self.env.flush_all()

    def test_neutralized_copy_uploads_nothing(self):
        self.env.flush_all()
        for query in get_neutralization_queries(["sale_iused"]):
            self.env.cr.execute(query)
        self.env.invalidate_all()
        self.assertEqual(self.location.state, "off")
        self.assertFalse(self.location.private_key_is_set or self.location.host_key)
