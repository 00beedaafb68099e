"""Answers by which iUsed shuts the company out, and those of which that may be one update's own trouble."""

from datetime import timedelta
from functools import partial
from unittest.mock import patch

from odoo import fields
from odoo.tests import tagged

from ..dev.portal import Refusal
from .common import IusedHttpCase


@tagged("post_install", "-at_install")
class TestShutOut(IusedHttpCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.phone = cls._make_phone("PHONE", 30)

    def _refuse(self, updates, status=404, also=False):
        """Let the portal answer so where it is told of these, until the test is over or it is given others.

        :param bool also: besides those that it was given before
        """
        serials = set(updates.mapped("serial_number"))
        read = self.portal._read_update if also else partial(type(self.portal)._read_update, self.portal)

        def read_or_refuse(body):
            if body["serial_number"] in serials:
                raise Refusal(status, "There is no such order.")
            return read(body)

        patcher = patch.object(self.portal, "_read_update", read_or_refuse)
        patcher.start()
        self.addCleanup(patcher.stop)

    def _run_later(self):
        """Run the scheduled action when all that waits for its next try is due."""
        self.env["iused.shipment.update"].search([("state", "=", "retry")]).next_try = fields.Datetime.now()
        self._run_cron()

    def _resume(self):
        self.env["res.config.settings"].create({}).action_iused_resume_sending()
        self._run_later()

    def _tried(self):
        return [call["body"]["serial_number"] for call in self.portal.received]

    def _told(self, updates, kind):
        return updates.order_id.activity_ids.filtered(lambda activity: activity.iused_key.startswith(f"{kind} "))

    # One update's own trouble ----------------------------------------------------------------------------------------

    def test_one_refused_update_does_not_stop_the_others(self):
        for status in (403, 404):
            with self.subTest(status=status):
                self.portal.reset()
                bad, good, last = self._ship_updates(), self._ship_updates(), self._ship_updates()
                self._refuse(bad, status)
                self._run_cron()
                self.assertEqual((bad.state, good.state, last.state), ("retry", "sent", "sent"))
                self.assertFalse(self.company.iused_sending_stopped)
                self.assertIn(str(status), bad.reason)
                minute = fields.Datetime.now() + timedelta(seconds=70)
                self.assertLess(bad.next_try, minute, "the first pause")
                self._run_later()
                self.assertEqual(bad.state, "stopped", "another one was accepted")
                self.assertEqual(len(self._told(bad, "update_stopped")), 1)
                self.assertFalse(self._told(bad | good, "closed"))
                self.assertFalse(self.company.iused_sending_stopped)

    def test_refused_update_that_is_accepted_at_its_next_try_leaves_nothing(self):
        bad, good = self._ship_updates(), self._ship_updates()
        self._refuse(bad)
        self._run_cron()
        self._refuse(bad.browse())
        self._run_later()
        self.assertEqual((bad.state, good.state), ("sent", "sent"))
        self.assertFalse((bad | good).order_id.activity_ids)

    def test_several_bad_ones_among_good_ones_do_not_stop_the_company(self):
        updates = self.env["iused.shipment.update"].union(*(self._ship_updates() for _number in range(6)))
        bad = updates[0] | updates[2] | updates[4]
        self._refuse(bad)
        self._run_cron()
        self._run_later()
        self.assertEqual(set(bad.mapped("state")), {"stopped"})
        self.assertEqual(set((updates - bad).mapped("state")), {"sent"})
        self.assertFalse(self.company.iused_sending_stopped)

    def test_devices_of_one_order_are_no_proof_for_each_other(self):
        bad, good = self._ship_updates(3), self._ship_updates()
        self._refuse(bad)
        self._run_cron()
        self.assertEqual(bad.mapped("state"), ["retry", "pending", "pending"])
        self.assertEqual(self._tried(), [bad[0].serial_number, good.serial_number])
        self.assertFalse(self.company.iused_sending_stopped)

    def test_server_error_proves_nothing(self):
        bad, failing, other = self._ship_updates(), self._ship_updates(), self._ship_updates()
        self._refuse(bad | other)
        self._refuse(failing, 500, also=True)
        self._run_cron()
        self.assertEqual((bad.state, failing.state, other.state), ("retry", "retry", "pending"))
        self.assertTrue(self.company.iused_sending_stopped)

    # The company is shut out -----------------------------------------------------------------------------------------

    def test_two_different_updates_shut_the_company_out(self):
        for status in (403, 404):
            with self.subTest(status=status):
                self.portal.reset()
                self.portal.fail(status=status, times=None)
                updates = self._ship_updates() | self._ship_updates() | self._ship_updates()
                self._run_cron()
                self._run_later()
                self.assertEqual(self._tried(), updates[:2].mapped("serial_number"), "nothing more after that")
                self.assertEqual(updates.mapped("state"), ["retry", "pending", "pending"])
                self.assertIn(str(status), self.company.iused_sending_stopped)
                self.assertEqual(len(self._told(updates, "closed")), 1)
                self.assertFalse(self._told(updates, "update_stopped"))
                self.company.iused_webhook_method = "PUT" if self.company.iused_webhook_method == "POST" else "POST"
                self.portal.reset()
                self.portal.register_orders(*updates.order_id.mapped("name"))
                self._run_later()
                self.assertEqual(set(updates.mapped("state")), {"sent"})

    def test_only_update_shuts_the_company_out_at_its_second_try(self):
        self.portal.fail(status=404, times=None)
        only = self._ship_updates()
        self._run_cron()
        self.assertEqual((only.state, self.company.iused_sending_stopped), ("retry", False))
        self._run_cron()
        self.assertEqual(len(self.portal.received), 1, "not before the pause")
        self._run_later()
        self.assertEqual((only.state, len(self.portal.received)), ("pending", 2))
        self.assertIn("404", self.company.iused_sending_stopped)

    def test_later_update_of_another_run_counts_as_another(self):
        self.portal.fail(status=404, times=None)
        first = self._ship_updates()
        self._run_cron()
        second = self._ship_updates()
        self._run_cron()
        self.assertEqual((first.state, second.state), ("retry", "pending"))
        self.assertTrue(self.company.iused_sending_stopped)

    def test_answer_about_the_token_shuts_the_company_out_at_once(self):
        for status in (401, 410):
            with self.subTest(status=status):
                self.portal.reset()
                self.portal.fail(status=status, times=None)
                updates = self._ship_updates() | self._ship_updates()
                self._run_cron()
                self.assertEqual(self._tried(), [updates[0].serial_number])
                self.assertEqual(updates.mapped("state"), ["pending", "pending"])
                self.assertIn(str(status), self.company.iused_sending_stopped)
                self.company.iused_webhook_method = "PUT" if self.company.iused_webhook_method == "POST" else "POST"
                updates.unlink()

    # Resume ----------------------------------------------------------------------------------------------------------

    def test_resume_sets_aside_what_closed_twice_and_goes_on_with_others(self):
        bad, twin, good = self._ship_updates(), self._ship_updates(), self._ship_updates()
        self._refuse(bad | twin)
        self._run_cron()
        self.assertTrue(self.company.iused_sending_stopped)
        self._resume()
        self.assertEqual((bad.state, twin.state, good.state), ("stopped", "stopped", "sent"))
        self.assertFalse(self.company.iused_sending_stopped)
        self.assertEqual(len(self._told(bad, "update_stopped") | self._told(twin, "update_stopped")), 2)

    def test_resume_sets_aside_the_only_update_and_takes_later_ones(self):
        for status in (401, 404):
            with self.subTest(status=status):
                bad = self._ship_updates()
                self._refuse(bad, status)
                self._run_cron()
                self._run_later()
                self.assertTrue(self.company.iused_sending_stopped)
                self._resume()
                self.assertEqual(bad.state, "stopped")
                self.assertTrue(self._told(bad, "update_stopped"))
                good = self._ship_updates()
                self._run_cron()
                self.assertEqual(good.state, "sent")
                self.assertFalse(self.company.iused_sending_stopped)

    def test_resume_too_early_stops_again_without_trying_everything(self):
        self.portal.fail(status=404, times=None)
        updates = self.env["iused.shipment.update"].union(*(self._ship_updates() for _number in range(6)))
        self._run_cron()
        self._resume()
        self.assertEqual(len(self.portal.received), 6, "two that are set aside, and two others")
        self.assertEqual(updates.mapped("state"), ["stopped", "stopped", "retry", "pending", "pending", "pending"])
        self.assertTrue(self.company.iused_sending_stopped)

    def test_send_now_of_what_was_set_aside_does_not_stop_the_company_again(self):
        bad = self._ship_updates()
        self._refuse(bad)
        self._run_cron()
        self._run_later()
        self._resume()
        bad.action_send_now()
        self._run_cron()
        self.assertEqual(bad.state, "stopped")
        self.assertFalse(self.company.iused_sending_stopped)

    def test_change_of_the_settings_gives_what_was_set_aside_another_chance(self):
        updates = self._ship_updates() | self._ship_updates()
        self.portal.fail(status=401, times=None)
        self._run_cron()
        self._resume()
        self.assertEqual(updates.mapped("state"), ["stopped", "pending"])
        self.portal.heal()
        self.company.iused_webhook_method = "PUT"
        self.assertEqual(updates.mapped("state"), ["pending", "pending"])
        self._run_cron()
        self.assertEqual(updates.mapped("state"), ["sent", "sent"])

    def test_what_was_refused_for_itself_stays_stopped_when_the_settings_change(self):
        bad = self._ship_updates()
        self._refuse(bad, 422)
        self._run_cron()
        self.company.iused_webhook_method = "PUT"
        self.assertEqual(bad.state, "stopped")

    # Beside an outage ------------------------------------------------------------------------------------------------

    def test_what_waits_since_an_outage_goes_out_though_the_first_answer_is_a_refusal(self):
        first, second, third = self._ship_updates(), self._ship_updates(), self._ship_updates()
        self.portal.fail(times=1, drop="before")
        self._run_cron()
        self.assertTrue(first.holds)
        self._refuse(first)
        self._run_later()
        self.assertEqual((first.state, second.state, third.state), ("retry", "sent", "sent"))
        self.assertFalse(first.holds)
