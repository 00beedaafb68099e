"""Orders of so many lines that Odoo needs longer to confirm them than iUsed should wait."""

from unittest.mock import patch

from psycopg2.errors import SerializationFailure

from odoo.exceptions import UserError
from odoo.tests import tagged
from odoo.tools import mute_logger

from odoo.addons.base.tests.test_ir_cron import CronMixinCase

from ..models import iused_order_inbox
from .common import IusedHttpCase


@tagged("post_install", "-at_install")
class TestLargeOrders(IusedHttpCase, CronMixinCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.phone = cls._make_phone("PHONE", 9)
        cls.cron = cls.env.ref("sale_iused.ir_cron_confirm_orders")

    def setUp(self):
        super().setUp()
        self.patch(iused_order_inbox, "MOST_AT_ONCE", 2)
        self.document = self._make_order(self.phone, self.phone, self.phone)

    def _push_large(self):
        answer = self._push(self.document)
        self.assertEqual(answer.status_code, 201, answer.text)
        return self.env["sale.order"].search([("name", "=", answer.json()["external_order_id"])]), answer.json()

    def test_large_order_is_answered_as_a_quotation_and_confirmed_by_the_scheduled_action(self):
        with self.capture_triggers(self.cron.id) as triggers:
            order, answer = self._push_large()
        self.assertTrue(triggers.records)
        self.assertEqual((order.state, answer["status"]), ("draft", "quotation"))
        self._run_cron("confirm_orders")
        self.assertEqual((order.state, order.picking_ids.state), ("sale", "assigned"))
        self.assertFalse(order.activity_ids)
        again = self._push(self.document)
        self.assertEqual((again.status_code, again.json()["status"]), (200, "confirmed"))

    def test_order_that_is_small_enough_is_confirmed_at_once(self):
        answer = self._push(self._make_order(self.phone, self.phone))
        self.assertEqual(answer.json()["status"], "confirmed")

    def test_large_order_stays_a_quotation_where_the_company_wants_that_or_its_prices_differ(self):
        self.company.iused_order_policy = "quotation"
        kept = self._push_large()[0]
        self.company.iused_order_policy = "confirm"
        self.document = self._make_order(self.phone, self.phone, self.phone)
        self.document["lines"][0]["price"] = 1
        differing = self._push_large()[0]
        self._run_cron("confirm_orders")
        self.assertEqual((kept.state, differing.state), ("draft", "draft"))

    def test_large_order_that_was_cancelled_or_confirmed_meanwhile_is_left_alone(self):
        cancelled = self._push_large()[0]
        self._push({"order_id": self.document["order_id"], "status": "cancelled"})
        self.document = self._make_order(self.phone, self.phone, self.phone)
        confirmed = self._push_large()[0]
        confirmed.action_confirm()
        self._run_cron("confirm_orders")
        self.assertEqual((cancelled.state, confirmed.state), ("cancel", "sale"))
        cancelled.action_draft()
        self._run_cron("confirm_orders")
        self.assertEqual(cancelled.state, "draft", "a person has it now")

    def test_large_order_that_cannot_be_confirmed_is_told_and_leaves_the_others_their_turn(self):
        bad = self._push_large()[0]
        self.document = self._make_order(self.phone, self.phone, self.phone)
        good = self._push_large()[0]
        confirm, error = type(bad).action_confirm, "Not <today>."

        def fail(order):
            if order == bad:
                order.note = "half done"
                raise UserError(error)
            return confirm(order)

        self.patch(type(bad), "action_confirm", fail)
        with mute_logger("odoo.addons.sale_iused.models.iused_order_inbox"):
            self._run_cron("confirm_orders")
        self.assertEqual((bad.state, good.state), ("draft", "sale"))
        self.assertFalse(bad.note, "what it began is rolled back")
        self.assertIn("Not &lt;today&gt;.", bad.activity_ids.note)
        self._run_cron("confirm_orders")
        self.assertEqual(len(bad.activity_ids), 1)
        self.assertEqual(bad.state, "draft", "a person has it now")

    def test_lost_race_is_tried_again(self):
        order = self._push_large()[0]
        with (
            patch.object(type(order), "action_confirm", side_effect=SerializationFailure()),
            self.capture_triggers(self.cron.id) as triggers,
        ):
            self._run_cron("confirm_orders")
        self.assertTrue(triggers.records)
        self.assertFalse(order.activity_ids)
        self._run_cron("confirm_orders")
        self.assertEqual(order.state, "sale")
