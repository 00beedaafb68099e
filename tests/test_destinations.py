"""Webhook and sFTP server are called on the public internet and in named networks, whatever a name server says."""

import logging
import socket
from datetime import timedelta
from unittest.mock import patch

from odoo import fields
from odoo.exceptions import ValidationError
from odoo.tests import tagged
from odoo.tests.common import _super_send

from ..dev.sshd import Sshd
from ..tools import destination
from .common import IusedHttpCase

NEAR = ("127.0.0.1", "localhost", "10.0.0.5", "192.168.1.1", "169.254.169.254", "[::1]", "[fd00::1]", "2130706433")


class Destinations(IusedHttpCase):
    @classmethod
    def _request_handler(cls, session, request, /, **kwargs):
        """Let all calls through: that they do not get far is what is tested."""
        return _super_send(session, request, **kwargs)

    def setUp(self):
        super().setUp()
        self._name_networks(False)
        self.asked = []
        lookup = socket.getaddrinfo

        def answer(host, port, *args, **kwargs):
            """Give each name the address of this computer."""
            if str(host).endswith(("localhost", ".example")):
                self.asked.append(host)
                host = "127.0.0.1"
            return lookup(host, port, *args, **kwargs)

        self.patch(socket, "getaddrinfo", answer)

    def _name_networks(self, text):
        self.env["ir.config_parameter"].sudo().set_param(destination.PARAMETER, text)

    def _assert_words(self, text, address="127.0.0.1"):
        self.assertIn(f"{address}, which is not on the public internet", text)
        self.assertIn(destination.PARAMETER, text)


@tagged("post_install", "-at_install")
class TestWebhookDestination(Destinations):
    def setUp(self):
        super().setUp()
        # Saved while it was allowed. A name for which no certificate is needed: of others the same is true.
        self._name_networks("127.0.0.0/8")
        self.company.sudo().iused_webhook_url = self.portal.webhook_url.replace("127.0.0.1", "localhost")
        self._name_networks(False)

    def test_address_that_is_near_is_not_saved(self):
        for host in NEAR:
            for url in (f"https://{host}/webhook/SECRET", f"https://user:SECRET@{host}:8443/webhook"):
                with self.subTest(url=url), self.assertRaises(ValidationError) as caught:
                    self.company.sudo().iused_webhook_url = url
                self.assertIn(destination.PARAMETER, str(caught.exception))
                self.assertNotIn("SECRET", str(caught.exception))
        self.assertFalse(self.asked)
        self._name_networks("10.0.0.0/24")
        self.company.sudo().iused_webhook_url = "https://10.0.0.5/webhook/SECRET"

    def test_name_is_not_looked_up_in_the_users_transaction(self):
        self.company.sudo().iused_webhook_url = "https://portal.example/webhook"
        self.assertFalse(self.asked)

    def test_update_for_a_name_that_leads_here_waits_and_is_sent_once_the_network_is_named(self):
        updates = self._ship_two()
        for _try in range(15):  # more often than any other failure is tried
            updates.write({"next_try": fields.Datetime.now()})
            self._run_cron()
        self.assertEqual(set(updates.mapped("state")), {"retry", "pending"}, "one tries for both")
        self._assert_words(updates.filtered("holds").last_answer)
        self.assertFalse(self.portal.received)
        self.assertFalse(self.company.iused_sending_stopped)
        self._name_networks("127.0.0.1")
        self._run_cron()
        self._run_cron()
        self.assertEqual(set(updates.mapped("state")), {"sent"})

    def _ship_two(self):
        self.phone = self._make_phone("PHONE", 2)
        return self._ship_updates() + self._ship_updates()

    def test_button_says_so_and_calls_nobody(self):
        with patch.object(self.registry["ir.cron"], "_commit_progress"):
            answer = self.env["res.config.settings"].create({}).action_iused_test_webhook()["params"]
        self.assertEqual(answer["type"], "danger")
        self._assert_words(answer["message"])
        self.assertFalse(self.portal.received)

    def test_name_is_looked_up_once_for_a_run(self):
        updates = self._ship_two()
        self._name_networks("127.0.0.0/8")
        self.asked.clear()
        self._run_cron()
        self.assertEqual(set(updates.mapped("state")), {"sent"})
        self.assertEqual(self.asked, ["localhost"])

    def test_own_address_may_be_near_but_not_the_clouds_metadata(self):
        settings = self.env["res.config.settings"].create({})
        with patch.object(self.registry["ir.cron"], "_commit_progress"):
            answer = settings.action_iused_test_addresses()["params"]
            self.assertEqual(answer["type"], "warning")
            self.assertIn("only on this computer", answer["message"])
            self.env["ir.config_parameter"].sudo().set_param("web.base.url", "http://169.254.169.254")
            answer = settings.action_iused_test_addresses()["params"]
        self.assertEqual(answer["type"], "danger")
        self._assert_words(answer["message"], "169.254.169.254")


@tagged("post_install", "-at_install")
class TestSftpDestination(Destinations):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.server = Sshd()
        cls.addClassCleanup(cls.server.__exit__)
        cls.server.start()

    def _make_location(self, **values):
        return self.env["iused.sftp.location"].create(
            {
                "enabled": True,
                "host": "sftp.example",
                "port": self.server.port,
                "username": self.server.user,
                "new_private_key": self.server.client_key,
                "folder": str(self.server.folder),
                "host_key": self.server.host_key,
                **values,
            }
        )

    def test_address_that_is_near_is_not_saved(self):
        location = self._make_location()
        for host in NEAR:
            with self.subTest(host=host), self.assertRaises(ValidationError) as caught:
                location.host = host
            self.assertIn(destination.PARAMETER, str(caught.exception))
        self.assertFalse(self.asked)

    def test_upload_to_a_name_that_leads_here_waits_and_is_done_once_the_network_is_named(self):
        location = self._make_location()
        self._run_cron("upload_offers")
        self.assertEqual((location.state, location.attempts), ("retry", 1))
        self._assert_words(location.last_error)
        self.assertFalse(location.last_upload)
        self._name_networks("127.0.0.1/32")
        self.assertLessEqual(location.next_try, fields.Datetime.now() + timedelta(seconds=1))
        self._run_cron("upload_offers")
        self.assertTrue(location.last_upload)
        self.assertFalse(location.last_error)

    def test_button_says_so(self):
        for host_key in (self.server.host_key, False):
            location = self._make_location(host_key=host_key)
            with patch.object(self.registry["ir.cron"], "_commit_progress"):
                answer = location.action_test()["params"]
            self.assertEqual(answer["type"], "danger")
            self._assert_words(answer["message"])
            location.unlink()


@tagged("post_install", "-at_install")
class TestNamedNetworks(IusedHttpCase):
    def test_what_is_no_network_is_not_saved(self):
        parameters = self.env["ir.config_parameter"].sudo()
        for text in ("intranet", "10.0.0.0/33", "10.0.0.0/8, https://10.0.0.5"):
            with self.subTest(text=text), self.assertRaises(ValidationError) as caught:
                parameters.set_param(destination.PARAMETER, text)
            self.assertIn("10.1.0.0/16", str(caught.exception))
        parameters.set_param("another.parameter", "intranet")

    def test_what_is_no_network_all_the_same_names_none(self):
        statement = "UPDATE ir_config_parameter SET value = '127.0.0.0/8, intranet' WHERE key = %s"
        self.env.cr.execute(statement, (destination.PARAMETER,))
        self.registry.clear_cache("stable")
        with self.assertLogs("odoo.addons.sale_iused.models.iused_connection", logging.ERROR) as logged:
            self.assertEqual(self.env["iused.connection"]._allowed_networks(), ())
        self.assertIn("intranet", logged.output[0])
