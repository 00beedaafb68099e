"""How shipment updates are sent when something breaks: the portal, the settings, or a row of our own."""

import json
from datetime import timedelta
from unittest.mock import patch

from odoo import fields
from odoo.tests import tagged
from odoo.tools import mute_logger

from odoo.addons.base.models import ir_cron

from .common import WEBHOOK, IusedHttpCase


@tagged("post_install", "-at_install")
class TestRetries(IusedHttpCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.phone = cls._make_phone("PHONE", 20)

    def _run_later(self):
        """Run the scheduled action when all that waits for its next try is due."""
        self.env["iused.shipment.update"].search([("state", "=", "retry")]).next_try = fields.Datetime.now()
        self._run_cron()

    def _go_away(self):
        self.company.sudo().iused_webhook_url = WEBHOOK

    def _come_back(self):
        """The portal returns at the same address: no setting changes that would wake anybody."""
        self.env["iused.secret"]._put(self.company, "iused_webhook_url", self.portal.webhook_url)
        self.env.invalidate_all()

    # A try -----------------------------------------------------------------------------------------------------------

    def test_each_try_is_kept_with_status_duration_and_answer(self):
        self.portal.fail(status=503, times=1)
        update = self._ship_updates()
        self._run_cron()
        self._run_later()
        tries = update.exchange_ids.sorted("id")
        self.assertEqual(tries.mapped("status"), [503, 200])
        self.assertEqual(set(tries.mapped("path")), {"/webhook/shipment/18/***"})
        self.assertEqual(set(tries.mapped("method")), {"POST"})
        self.assertIn("told to fail", tries[0].answer_body)
        self.assertEqual(json.loads(tries[1].request_body)["serial_number"], update.serial_number)
        self.assertTrue(all(duration > 0 for duration in tries.mapped("duration")))
        self.assertEqual((tries.company_id, tries.order_id), (self.company, update.order_id))

    def test_answer_that_echoes_the_address_is_masked(self):
        secret = self.portal.webhook_url
        with patch.object(self.portal, "_check_route", side_effect=lambda call: None):
            self.company.sudo().iused_webhook_url = secret.replace("/18/", "/19/")
            update = self._ship_updates()
            self._run_cron()
        for text in (update.last_answer, *update.exchange_ids.mapped("answer_body")):
            self.assertNotIn(self.portal.token, text)
            self.assertNotIn("127.0.0.1", text)

    def test_method_is_the_companys(self):
        self.company.iused_webhook_method = "PATCH"
        self._ship_updates()
        self._run_cron()
        self.assertEqual([call["method"] for call in self.portal.received], ["PATCH"])

    def test_repeat_carries_the_body_of_the_first_try(self):
        self.portal.fail(status=500, times=1)
        update = self._ship_updates()
        self._run_cron()
        self.company.iused_extra_keys = True
        self._run_later()
        first, second = self.portal.received
        self.assertEqual((first["body"], first["idempotency_key"]), (second["body"], second["idempotency_key"]))
        self.assertEqual(update.state, "sent")

    def test_sending_a_stopped_update_again_takes_the_new_settings(self):
        self.portal.fail(status=422, times=1)
        update = self._ship_updates()
        self._run_cron()
        self.assertEqual(update.state, "stopped")
        self.company.iused_extra_keys = True
        update.action_send_now()
        self._run_cron()
        self.assertIn("sku", self.portal.received[1]["body"])

    def test_correction_is_told_after_what_it_corrects(self):
        self.portal.fail(status=500, times=1)
        told = self._ship_updates()
        self._run_cron()
        self._run_later()
        told.picking_id.carrier_tracking_ref = "3SNEW"
        self._run_cron()
        self.assertEqual([update["track_and_trace"] for update in self.portal.updates], ["3SABC123", "3SNEW"])

    # Order -----------------------------------------------------------------------------------------------------------

    def test_order_of_a_sale_order_is_kept(self):
        self.portal.fail(status=500, times=1)
        first, second = self._ship_updates(2)
        other = self._ship_updates()
        self._run_cron()
        self.assertEqual((first.state, second.state, other.state), ("retry", "pending", "sent"))
        self._run_cron()
        self.assertEqual(second.state, "pending", "the first one is not due yet")
        self._run_later()
        self.assertEqual((first.state, second.state), ("sent", "sent"))
        told = [update["serial_numbers"] for update in self.portal.updates][1:]
        self.assertEqual(told, [[first.serial_number], [second.serial_number]])

    # Refusals --------------------------------------------------------------------------------------------------------

    def test_refusal_raises_one_activity_with_the_answer(self):
        self.portal.fail(status=422, times=2)
        update = self._ship_updates()
        self._run_cron()
        update.action_send_now()
        self._run_cron()
        activity = update.order_id.activity_ids
        self.assertEqual(len(activity), 1)
        self.assertIn("422", activity.note)
        self.assertTrue(update.reason.endswith("The portal was told to fail."), "a sentence, not the JSON around it")

    def test_sending_is_resumed_by_an_administrator(self):
        self.portal.fail(status=401, times=1)
        update = self._ship_updates()
        self._run_cron()
        self.assertEqual(update.state, "pending")
        self.env["res.config.settings"].create({}).action_iused_resume_sending()
        self._run_cron()
        self.assertEqual(update.state, "sent")

    def test_refusal_of_an_address_that_was_replaced_stops_nothing(self):
        self.assertFalse(self.company._iused_stop_sending("HTTP 401", "https://portal.iused.nl/old"))
        self.assertFalse(self.company.iused_sending_stopped)

    # A portal that is down -------------------------------------------------------------------------------------------

    def test_dead_portal_is_tried_once_until_the_next_try(self):
        updates = self._ship_updates() | self._ship_updates() | self._ship_updates()
        self._go_away()
        self._run_cron()
        self._run_cron()
        self.assertEqual(sorted(updates.mapped("attempts")), [0, 0, 1])
        holder = updates.filtered("holds")
        self.assertEqual(holder.state, "retry")
        self._come_back()
        self._run_cron()
        self.assertFalse(self.portal.received, "until the failed row's next try")
        self._run_later()
        self.assertEqual(set(updates.mapped("state")), {"sent"})
        self.assertFalse(updates.filtered("holds"))

    def test_next_run_is_at_the_holders_next_try(self):
        self._ship_updates(2)
        self._go_away()
        cron = self.env.ref("sale_iused.ir_cron_send_shipment_updates")
        self.env["ir.cron.trigger"].search([("cron_id", "=", cron.id)]).unlink()
        self._run_cron()
        holder = self.env["iused.shipment.update"].search([("holds", "=", True)])
        triggers = self.env["ir.cron.trigger"].search([("cron_id", "=", cron.id)])
        self.assertEqual(min(triggers.mapped("call_at")), holder.next_try)

    def test_outage_of_any_length_gives_up_nothing(self):
        updates = self._ship_updates() | self._ship_updates()
        self._go_away()
        for _try in range(13):
            self._run_later()
        self.assertEqual(set(updates.mapped("state")), {"retry", "pending"})
        self.assertEqual(len(updates.order_id.activity_ids), 1, "somebody is told after three days")
        self._come_back()
        self._run_later()
        self.assertEqual(set(updates.mapped("state")), {"sent"})

    def test_server_errors_in_a_row_hold_the_company(self):
        updates = self.env["iused.shipment.update"].union(*(self._ship_updates() for _number in range(8)))
        self.portal.fail(status=502, times=None)
        self._run_cron()
        self.assertEqual(len(self.portal.received), 5)
        for _try in range(12):
            self._run_later()
        self.assertNotIn("stopped", updates.mapped("state"))
        self.portal.heal()
        self._run_later()
        self._run_later()
        self.assertEqual(set(updates.mapped("state")), {"sent"})

    def test_server_errors_in_a_row_hold_the_company_though_the_time_of_the_run_is_over(self):
        updates = self.env["iused.shipment.update"].union(*(self._ship_updates() for _number in range(7)))
        self.portal.fail(status=502, times=None)
        self.patch(ir_cron, "MIN_TIME_PER_JOB", 0)  # as if each call took long
        self._run_cron()
        self.assertEqual(len(self.portal.received), 5)
        self.assertTrue(updates.filtered("holds"))
        self.portal.heal()
        self._run_later()
        self._run_later()
        self.assertEqual(set(updates.mapped("state")), {"sent"})

    def test_one_row_that_always_fails_does_not_stop_the_others(self):
        self.portal.fail(status=500, times=1)
        bad, good = self._ship_updates(), self._ship_updates()
        self._run_cron()
        self.assertEqual((bad.state, good.state), ("retry", "sent"))
        for _try in range(10):
            self.portal.fail(status=500, times=1)
            self._run_later()
        self.assertEqual((bad.state, bad.attempts), ("stopped", 10))
        self.assertEqual(len(bad.order_id.activity_ids), 1)

    def test_retry_after_holds_for_everybody(self):
        self.portal.fail(status=429, times=1, retry_after=600)
        first, second = self._ship_updates(), self._ship_updates()
        self._run_cron()
        self.assertEqual((first.state, second.state, len(self.portal.received)), ("retry", "pending", 1))
        self.assertGreaterEqual(first.next_try, fields.Datetime.now() + timedelta(seconds=590))

    def test_send_now_ends_the_waiting(self):
        updates = self._ship_updates() | self._ship_updates()
        self._go_away()
        self._run_cron()
        self._come_back()
        updates.filtered(lambda update: update.state == "pending").action_send_now()
        self.assertFalse(self.portal.received, "only the scheduled action sends")
        self._run_cron()
        self.assertEqual(set(updates.mapped("state")), {"sent"})

    # Our own trouble -------------------------------------------------------------------------------------------------

    LOGGER = "odoo.addons.sale_iused.models.iused_shipment_sender"

    def _crash_for(self, bad, crash):
        prepare = type(bad)._prepare_body
        self.patch(type(bad), "_prepare_body", lambda update: crash(update) if update == bad else prepare(update))

    def test_unexpected_error_of_one_row_does_not_stop_the_others(self):
        def crash_in_python(_update):
            raise KeyError("inner matter")

        def crash_in_the_database(update):
            update.env.cr.execute("SELECT 1/0")

        for crash in (crash_in_python, crash_in_the_database):
            with self.subTest(crash=crash.__name__):
                before, bad, after = self._ship_updates(), self._ship_updates(), self._ship_updates()
                self._crash_for(bad, crash)
                with self.assertLogs(self.LOGGER, "ERROR") as logged, mute_logger("odoo.sql_db"):
                    self._run_cron()
                self.assertEqual(len(logged.records), 1)
                self.assertEqual((before.state, bad.state, after.state), ("sent", "stopped", "sent"))
                self.assertIn("Unexpected", bad.reason)
                activity = bad.order_id.activity_ids
                self.assertEqual(activity.mapped("user_id"), self.company._iused_responsible())
                self.assertIn("Unexpected", activity.note)
                bad.action_send_now()
                with self.assertLogs(self.LOGGER, "ERROR"), mute_logger("odoo.sql_db"):
                    self._run_cron()
                self.assertEqual(bad.order_id.activity_ids, activity, "one, not one for each try")

    def test_error_is_written_down_though_nobody_can_be_told(self):
        bad = self._ship_updates()
        self._crash_for(bad, lambda update: {}[update])
        self.patch(self.registry["mail.activity"], "action_notify", lambda activities, *_args: {}[activities])
        with (
            self.assertLogs(self.LOGGER, "ERROR"),
            self.assertLogs("odoo.addons.sale_iused.models.iused_trouble", "ERROR"),
        ):
            self._run_cron()
        self.assertEqual(bad.state, "stopped")

    def test_unexpected_error_of_one_company_does_not_stop_the_others(self):
        bad = self._ship_updates()
        other = self._make_company("Another refurbisher")
        other.sudo().iused_webhook_url = self.portal.webhook_url
        order = self.env["sale.order"].create({"company_id": other.id, "partner_id": other._iused_ensure_partner().id})
        good = bad.copy({"order_id": order.id, "state": "pending"})
        self.portal.register_orders(good.order_id.name)
        connect = type(other)._iused_connection

        def crash(company):
            if company == self.company:
                raise KeyError("inner matter")
            return connect(company)

        self.patch(type(other), "_iused_connection", crash)
        with self.assertLogs(self.LOGGER, "ERROR"):
            self._run_cron()
        self.assertEqual((bad.state, good.state), ("pending", "sent"))
