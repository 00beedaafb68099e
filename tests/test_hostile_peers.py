"""What a hostile webhook or sFTP server leaves: states, schedules, and words that can be written down."""

import logging
import re
from datetime import timedelta
from unittest.mock import patch

import psycopg2
from psycopg2.errors import SerializationFailure

from odoo import fields
from odoo.tests import tagged
from odoo.tools import mute_logger

from ..dev.hostile_ssh import HostileSsh
from ..dev.portal import HOSTILE
from ..dev.sshd import Sshd
from ..models import iused_connection
from ..tools import sftp, webhook
from .common import IusedHttpCase

UNWRITABLE = re.compile(r"[\0-\x1f\x7f-\x9f\u2028\u2029\u202e\ud800-\udfff]")


@tagged("post_install", "-at_install")
class TestHostileWebhook(IusedHttpCase):
    LOGGER = "odoo.addons.sale_iused.models.iused_shipment_sender"

    def setUp(self):
        super().setUp()
        self.phone = self._make_phone("PHONE", 30)
        self.patch(webhook, "TIMEOUT", (0.5, 0.5))

    def _run_and_read(self):
        """Run the scheduled action; return each text that it left in the log, the database and the activities."""
        with self.assertLogs(self.LOGGER, logging.INFO) as logged:
            self._run_cron()
        updates = self.env["iused.shipment.update"].search([("company_id", "=", self.company.id)])
        return [
            *(record.getMessage() for record in logged.records),
            *updates.mapped("last_answer"),
            *updates.exchange_ids.mapped("answer_body"),
            *updates.order_id.activity_ids.mapped("note"),
            self.company.sudo().iused_sending_stopped,
        ]

    def test_each_harm_is_a_state_whose_words_can_be_written_down_and_the_next_update_is_sent(self):
        for name, status in (*((name, 422) for name in HOSTILE), ("controls", 401), ("controls", 503)):
            with self.subTest(name=name, status=status):
                bad = self._ship_updates()
                self.portal.fail(status=status, times=1, hostile=name, pace=0.05)
                for text in filter(None, self._run_and_read()):
                    self.assertNotRegex(text, UNWRITABLE)
                    self.assertNotIn(self.portal.token, text)
                self.assertNotEqual(bad.state, "sent")
                self.assertTrue(bad.last_answer)
                self.company.sudo()._iused_resume_sending()
                bad.action_send_now()
                self._run_cron()
                self.assertEqual(bad.state, "sent")

    def test_harm_of_an_accepted_answer_does_not_repeat_the_update(self):
        for name in ("endless-body", "gzip-bomb", "dripped-body", "nested-json", "controls"):
            with self.subTest(name=name):
                update = self._ship_updates()
                self.portal.fail(status=None, times=1, hostile=name, pace=0.05)
                self._run_cron()
                self.assertEqual((update.state, update.attempts), ("sent", 1))

    def test_address_is_tested_against_a_hostile_answer(self):
        probe = webhook.probe
        settings = self.env["res.config.settings"].create({})
        for name in HOSTILE:
            with self.subTest(name=name), patch.object(self.registry["ir.cron"], "_commit_progress"):
                self.portal.fail(status=302, times=1, hostile=name, pace=0.05)
                with patch.object(iused_connection, "probe", lambda *args: probe(*args[:2], (0.5, 0.5), args[3])):
                    answer = settings.action_iused_test_webhook()["params"]
                self.assertEqual(answer["type"], "danger")
                self.portal.heal()


@tagged("post_install", "-at_install")
class TestHostileSftp(IusedHttpCase):
    LOGGER = "odoo.addons.sale_iused.models.iused_sftp_location"

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.server = Sshd()
        cls.addClassCleanup(cls.server.__exit__)
        cls.server.start()
        cls.other = cls._make_company("Another refurbisher")

    def setUp(self):
        super().setUp()
        # The bad one comes first.
        self.bad = self._make_location(self.company, next_try=fields.Datetime.now() - timedelta(hours=1))
        self.good = self._make_location(self.other)
        for name in ("BANNER_TIMEOUT", "AUTH_TIMEOUT", "CHANNEL_TIMEOUT", "SESSION_TIMEOUT", "TEST_TIMEOUT"):
            self.patch(sftp, name, 1)

    def _make_location(self, company, **values):
        return self.env["iused.sftp.location"].create(
            {
                "company_id": company.id,
                "enabled": True,
                "host": "127.0.0.1",
                "port": self.server.port,
                "username": self.server.user,
                "new_private_key": self.server.client_key,
                "folder": str(self.server.folder),
                "file_name": f"{company.id}.json",
                "host_key": self.server.host_key,
                **values,
            }
        )

    def _go_to(self, server):
        self.bad.write({"port": server.port, "username": "somebody", "new_password": "SECRET-WORD"})
        self.bad.write({"host_key": server.host_key, "seen_host_key": False})
        self.bad.next_try = fields.Datetime.now() - timedelta(hours=1)

    def _upload(self):
        self.good.write({"last_feed": False, "last_upload": False, "next_try": fields.Datetime.now()})
        self._run_cron("upload_offers")

    def _check_turns(self, error):
        """The bad location waits for its next try, in these words; the good one had its turn."""
        self.assertRegex(self.bad.last_error, error)
        self.assertNotRegex(self.bad.last_error, UNWRITABLE)
        self.assertEqual((self.bad.state, self.bad.attempts), ("retry", 1))
        self.assertGreater(self.bad.next_try, fields.Datetime.now())
        self.assertTrue(self.bad.failing_since)
        self.assertTrue(self.good.last_upload)
        self.assertFalse(self.good.last_error)

    def test_hostile_server_is_a_state_and_the_others_have_their_turn(self):
        for name, error in (
            ("malformed-key", "one two forged line"),
            ("refused-in-words", "one two forged line"),
            ("bad-version", "outdated"),
            ("endless-greeting", "no SSH server"),
            ("endless-packet", "says more than"),
            ("silent-files", "longer than"),
        ):
            with self.subTest(name=name), HostileSsh(name) as server:
                self._go_to(server)
                with self.assertLogs(self.LOGGER, logging.INFO) as logged:
                    self._upload()
                self._check_turns(error)
                for record in logged.records:
                    self.assertNotRegex(record.getMessage(), UNWRITABLE)
                exchange = self.env["iused.exchange"].search([("company_id", "=", self.company.id)], limit=1)
                self.assertEqual(exchange.detail, self.bad.last_error)

    def test_what_paramiko_raises_unforeseen_is_a_state_too_and_logged_with_the_calls_that_led_to_it(self):
        for name, kind in (("garbled-files", "SFTPError"), ("short-version", "error")):
            with self.subTest(name=name), HostileSsh(name) as server:
                self._go_to(server)
                with self.assertLogs(self.LOGGER, "ERROR") as logged:
                    self._upload()
                self._check_turns(f"Unexpected error: {kind}")
                [record] = logged.records
                first, *calls = record.getMessage().split("\n")
                self.assertIn(kind, first)
                self.assertIn("in upload", "\n".join(calls))

    def _crash_for_bad(self, error):
        upload = type(self.bad)._upload_if_changed

        def crash(location, end):
            if location == self.bad:
                location.last_size = 1
                location.flush_recordset()
                raise error
            return upload(location, end)

        self.patch(type(self.bad), "_upload_if_changed", crash)

    def test_error_of_ours_is_a_state_too_without_its_words_in_the_log(self):
        self._crash_for_bad(KeyError("a\0b\r\nforged line"))
        with self.assertLogs(self.LOGGER, "ERROR") as logged:
            self._upload()
        self._check_turns("Unexpected error: KeyError")
        self.assertFalse(self.bad.last_size, "what it began is rolled back")
        self.assertNotIn("\nforged", logged.records[0].getMessage())

    def test_settings_that_changed_meanwhile_leave_the_others_their_turn(self):
        self._crash_for_bad(SerializationFailure())
        self._upload()
        self.assertTrue(self.good.last_upload)
        self.assertFalse(self.bad.attempts)

    def test_database_that_is_gone_is_no_state(self):
        self._crash_for_bad(psycopg2.OperationalError("gone"))
        with (
            self.assertRaises(psycopg2.OperationalError),
            patch.object(self.registry["ir.cron"], "_commit_progress"),
        ):
            self.env["iused.sftp.location"]._cron_upload()

    def test_location_that_is_deleted_meanwhile_leaves_the_others_their_turn(self):
        upload = type(self.bad)._upload_if_changed

        def vanish(location, end):
            if location == self.bad:
                location.unlink()
                location.env.cr.commit()
                location.env.flush_all()
                raise KeyError
            return upload(location, end)

        self.patch(type(self.bad), "_upload_if_changed", vanish)
        with self.assertLogs(self.LOGGER, "ERROR"):
            self._upload()
        self.assertFalse(self.bad.exists())
        self.assertTrue(self.good.last_upload)

    def test_test_of_a_hostile_server_is_an_answer(self):
        for name in ("malformed-key", "refused-in-words", "garbled-files", "silence", "silent-files", "endless-packet"):
            with (
                self.subTest(name=name),
                HostileSsh(name) as server,
                patch.object(self.registry["ir.cron"], "_commit_progress"),
                mute_logger(self.LOGGER),
            ):
                self._go_to(server)
                answer = self.bad.action_test()["params"]
                self.assertEqual(answer["type"], "danger")
                self.assertNotRegex(answer["message"], UNWRITABLE)
