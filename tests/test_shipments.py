"""Shipment updates: written with the delivery, sent after it, kept until iUsed knows."""

import logging
from contextlib import contextmanager
from datetime import timedelta
from unittest.mock import patch

from psycopg2 import OperationalError

from odoo import fields
from odoo.exceptions import AccessError
from odoo.tests import tagged
from odoo.tests.common import new_test_user

from odoo.addons.base.tests.test_ir_cron import CronMixinCase

from ..models.iused_shipment_sender import WAKER, _wake_up
from ..tools.webhook import Outcome, judge
from .common import IusedCase, IusedHttpCase


@tagged("post_install", "-at_install")
class TestOutbox(CronMixinCase, IusedCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.phone = cls._make_phone("PHONE", 5)
        cls.cron = cls.env.ref("sale_iused.ir_cron_send_shipment_updates")

    def test_each_device_that_left_is_one_update(self):
        order = self._receive(self._make_order((self.phone, 2)))
        picking = self._deliver(order, "3SABC")
        updates = picking.iused_update_ids
        self.assertEqual(sorted(updates.mapped("serial_number")), sorted(picking.move_line_ids.lot_id.mapped("name")))
        self.assertEqual(len(set(updates.mapped("event_id"))), 2)
        self.assertEqual(updates.mapped("tracking_reference"), ["3SABC"] * 2)
        self.assertEqual(updates.mapped("state"), ["pending"] * 2)
        self.assertEqual((updates.order_id, updates.company_id), (order, self.company))
        self.assertEqual(picking.iused_state, "pending")

    @contextmanager
    def _woken_up(self):
        """Yield the moments for which the scheduled action is triggered by what is done inside, and by its commit."""
        self.env.cr.postcommit.clear()
        moments = []
        # The thread's own connection would see nothing of a test's transaction.
        at_once = patch.object(WAKER, "submit", lambda call, *args: call(*args))
        with self.capture_triggers(self.cron.id) as captured, at_once:
            yield moments
            self.assertFalse(captured.records, "nobody waits for it before the commit")
            with self.enter_registry_test_mode():
                self.env.cr.postcommit.run()
            moments += captured.records.mapped("call_at")

    def test_cron_is_triggered_at_once(self):
        order = self._receive(self._make_order((self.phone, 2)))
        with self._woken_up() as moments:
            self._deliver(order)
        self.assertEqual(len(moments), 1, "once for both")
        self.assertLessEqual(moments[0], fields.Datetime.now())

    def test_waking_up_that_fails_is_no_trouble_of_the_warehouses(self):
        with (
            patch.object(type(self.env["ir.cron"]), "_trigger", side_effect=OperationalError("the database is away")),
            self.enter_registry_test_mode(),
            self.assertLogs("odoo.addons.sale_iused.models.iused_shipment_sender", "WARNING") as logs,
        ):
            _wake_up(self.env.cr.dbname)
        self.assertIn("wait for the scheduled action's next run", logs.output[0])

    def test_odoos_own_reads_fetch_none_of_iuseds_settings(self):
        order = self._receive(self._make_order(self.phone))
        for record, own, needed in (
            (self.phone, "name", set()),
            (self.phone, "standard_price", set()),
            (self.company, "name", {"iused_grouping", "iused_notify_consumers"}),
            (order, "name", {"iused_reference"}),
            (order.order_line, "name", set()),
        ):
            with self.subTest(record=record, own=own):
                self.env.invalidate_all()
                record.mapped(own)
                fetched = {name for name in record._cache if name.startswith("iused_")}
                self.assertEqual(fetched, needed)

    def test_warehouse_user_without_other_rights_can_validate(self):
        user = self._new_user("warehouse", "stock.group_stock_user")
        order = self._receive(self._make_order(self.phone))
        picking = self._deliver(order, user=user)
        self.assertEqual(picking.with_user(user).iused_update_ids.mapped("state"), ["pending"])

    def test_order_that_is_not_iuseds_is_not_told(self):
        order = self.env["sale.order"].create(
            {
                "partner_id": self.iused_partner.id,
                "order_line": [fields.Command.create({"product_id": self.phone.id})],
            }
        )
        order.action_confirm()
        self.assertFalse(self._deliver(order).iused_update_ids)

    def test_without_tracking_it_waits_until_it_is_written(self):
        order = self._receive(self._make_order(self.phone))
        picking = self._deliver(order, tracking=False)
        self.assertEqual((picking.iused_state, bool(picking.iused_trouble)), ("waiting", True))
        with self._woken_up() as moments:
            picking.carrier_tracking_ref = "3SLATE"
        self.assertEqual(picking.iused_update_ids.mapped("state"), ["pending"])
        self.assertEqual(picking.iused_update_ids.tracking_reference, "3SLATE")
        self.assertTrue(moments)

    def test_device_without_a_serial_number_waits(self):
        phone = self._make_phone("UNTRACKED", tracking="none")
        self._put_in_stock(phone, 2)
        picking = self._deliver(self._receive(self._make_order((phone, 2))))
        self.assertEqual(picking.iused_update_ids.mapped("state"), ["waiting"] * 2)

    def test_pick_pack_ship_tells_once_at_the_last_step(self):
        self.warehouse.delivery_steps = "pick_pack_ship"
        order = self._receive(self._make_order(self.phone))
        steps = 0
        while open_pickings := order.picking_ids.filtered(lambda picking: picking.state == "assigned"):
            self.assertFalse(order.iused_update_ids)
            open_pickings.carrier_tracking_ref = "3SABC"
            open_pickings.button_validate()
            steps += 1
        self.assertEqual((steps, len(order.iused_update_ids)), (3, 1))

    def test_return_is_not_told(self):
        order = self._receive(self._make_order(self.phone))
        picking = self._deliver(order)
        wizard = (
            self.env["stock.return.picking"]
            .with_context(active_id=picking.id, active_ids=picking.ids, active_model="stock.picking")
            .create({})
        )
        wizard.product_return_moves.quantity = 1
        returned = self.env["stock.picking"].browse(wizard.action_create_returns()["res_id"])
        returned.button_validate()
        self.assertEqual(returned.state, "done")
        self.assertEqual(order.iused_update_ids.picking_id, picking)

    def test_partial_delivery_tells_what_left(self):
        order = self._receive(self._make_order((self.phone, 3)))
        picking = order.picking_ids
        picking.carrier_tracking_ref = "3SFIRST"
        picking.move_line_ids[0].picked = True
        wizard_action = picking.button_validate()
        wizard = self.env[wizard_action["res_model"]].with_context(**wizard_action["context"]).create({})
        wizard.process()
        self.assertEqual(len(order.iused_update_ids), 1)
        self._deliver(order, "3SSECOND")
        self.assertEqual(
            sorted(order.iused_update_ids.mapped("tracking_reference")), ["3SFIRST", "3SSECOND", "3SSECOND"]
        )
        self.assertEqual(len(set(order.iused_update_ids.mapped("serial_number"))), 3)

    def test_updates_are_seen_by_warehouse_and_sales_and_written_by_nobody(self):
        update = self._deliver(self._receive(self._make_order(self.phone))).iused_update_ids
        for group in ("stock.group_stock_user", "sales_team.group_sale_salesman_all_leads"):
            user = self._new_user(f"user of {group}", group)
            self.assertTrue(update.with_user(user).serial_number)
            with self.assertRaises(AccessError):
                update.with_user(user).state = "sent"
            with self.assertRaises(AccessError):
                update.with_user(user).unlink()
        with self.assertRaises(AccessError):
            _serial = update.with_user(new_test_user(self.env, "accountant")).serial_number

    def test_updates_of_another_company_are_not_seen(self):
        update = self._deliver(self._receive(self._make_order(self.phone))).iused_update_ids
        other = self._make_company("Other refurbisher")
        user = self._new_user("other warehouse", "stock.group_stock_user", company=other)
        updates = update.with_user(user).with_context(allowed_company_ids=other.ids)
        self.assertNotIn(update, updates.search([]))
        with self.assertRaises(AccessError):
            _serial = updates.serial_number

    def test_answer_decides_what_happens(self):
        for status, verdict in (
            (200, Outcome.ACCEPTED),
            (204, Outcome.ACCEPTED),
            (301, Outcome.REFUSED),
            (400, Outcome.REFUSED),
            (401, Outcome.CLOSED),
            (403, Outcome.CLOSED),
            (404, Outcome.CLOSED),
            (409, Outcome.REFUSED),
            (410, Outcome.CLOSED),
            (408, Outcome.RETRY),
            (425, Outcome.RETRY),
            (429, Outcome.RETRY),
            (500, Outcome.RETRY),
            (503, Outcome.RETRY),
        ):
            with self.subTest(status=status):
                self.assertEqual(judge(status, "", "").verdict, verdict)

    def test_retry_after_is_seconds_or_a_date(self):
        self.assertEqual(judge(503, "", "", "120").retry_after, 120)
        self.assertEqual(judge(503, "", "", "soon").retry_after, None)
        self.assertEqual(judge(503, "", "", "nan").retry_after, None)
        self.assertEqual(judge(503, "", "", "Wed, 21 Oct 2015 07:28:00 GMT").retry_after, 0)
        self.assertLessEqual(judge(503, "", "", "Wed, 21 Oct 2099 07:28:00 GMT").retry_after, 24 * 3600)


@tagged("post_install", "-at_install")
class TestSending(IusedHttpCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.phone = cls._make_phone("PHONE", 5)

    def test_portal_receives_the_three_fields_of_the_guide(self):
        picking = self._ship()
        update = picking.iused_update_ids
        self._run_cron()
        (received,) = self.portal.received
        self.assertEqual((received["status"], received["method"]), (200, "POST"))
        self.assertEqual(
            received["body"],
            {
                "serial_number": update.serial_number,
                "track_and_trace": "3SABC123",
                "external_order_id": update.order_id.name,
            },
        )
        self.assertEqual(received["idempotency_key"], update.event_id)
        self.assertTrue(received["headers"]["user-agent"].startswith("sale_iused/"))
        self.assertEqual((update.state, update.attempts, picking.iused_state), ("sent", 1, "sent"))
        self.assertTrue(update.sent_at)

    def test_sent_update_is_not_sent_again(self):
        self._ship()
        self._run_cron()
        self._run_cron()
        self.assertEqual(len(self.portal.received), 1)

    def test_failing_portal_leaves_the_update_to_retry_with_its_error(self):
        self.portal.fail(status=503, times=1, retry_after=7200)
        picking = self._ship()
        update = picking.iused_update_ids
        self._run_cron()
        self.assertEqual((update.state, update.attempts, picking.iused_state), ("retry", 1, "retry"))
        self.assertIn("503", picking.iused_trouble)
        self.assertGreaterEqual(update.next_try, fields.Datetime.now() + timedelta(seconds=7100))
        self._run_cron()
        self.assertEqual(len(self.portal.received), 1)
        update.next_try = fields.Datetime.now()
        self._run_cron()
        self.assertEqual((update.state, update.attempts), ("sent", 2))
        self.assertEqual(len({call["idempotency_key"] for call in self.portal.received}), 1)

    def test_lost_answer_is_repeated_with_the_same_event(self):
        self.portal.fail(times=1, drop="after")
        update = self._ship().iused_update_ids
        self._run_cron()
        self.assertEqual(update.state, "retry")
        update.next_try = fields.Datetime.now()
        self._run_cron()
        self.assertEqual((update.state, len(self.portal.updates), len(self.portal.received)), ("sent", 1, 2))

    def test_refusal_stops_the_update_and_sending_goes_on(self):
        self.portal.fail(status=422, times=1)
        first, second = self._ship().iused_update_ids, self._ship().iused_update_ids
        self._run_cron()
        self.assertEqual((first.state, second.state), ("stopped", "sent"))
        self.assertIn("422", first.reason)
        first.with_user(self._new_user("warehouse", "stock.group_stock_user")).action_send_now()
        self._run_cron()
        self.assertEqual(first.state, "sent")

    def test_redirect_is_not_followed(self):
        self.portal.fail(status=307, times=1)
        update = self._ship().iused_update_ids
        self._run_cron()
        self.assertEqual((update.state, len(self.portal.received)), ("stopped", 1))

    def test_unreachable_portal_costs_one_try_per_run(self):
        updates = self._ship(3).iused_update_ids
        self.company.sudo().iused_webhook_url = "http://127.0.0.1:9/webhook/shipment/18/SECRET-TOKEN"
        self._run_cron()
        self.assertEqual(sorted(updates.mapped("attempts")), [0, 0, 1])
        self.assertEqual(sorted(updates.mapped("state")), ["pending", "pending", "retry"])

    def test_one_companys_trouble_does_not_stop_another(self):
        trouble = self._ship().iused_update_ids
        self.company.sudo().iused_webhook_url = "http://127.0.0.1:9/webhook/shipment/18/SECRET-TOKEN"
        other = self._make_company("Other refurbisher")
        other.sudo().iused_webhook_url = self.portal.webhook_url
        order = self.env["sale.order"].create(
            {"partner_id": other._iused_ensure_partner().id, "company_id": other.id, "iused_reference": "IU-OTHER"}
        )
        self.portal.register_orders(order.name)
        fine = self.env["iused.shipment.update"].create(
            {"order_id": order.id, "serial_number": "356938035643809", "tracking_reference": "3S"}
        )
        self._run_cron()
        self.assertEqual((trouble.state, fine.state), ("retry", "sent"))

    def test_without_a_webhook_url_updates_wait(self):
        update = self._ship().iused_update_ids
        self.company.sudo().iused_webhook_url = False
        self._run_cron()
        self.assertEqual((update.state, update.attempts), ("pending", 0))
        self.assertIn("webhook URL", update.reason)
        self.company.sudo().iused_webhook_url = self.portal.webhook_url
        self._run_cron()
        self.assertEqual(update.state, "sent")

    def test_secret_address_appears_nowhere(self):
        self.company.sudo().iused_webhook_url = "http://127.0.0.1:9/webhook/shipment/18/SECRET-TOKEN"
        update = self._ship().iused_update_ids
        records = []
        handler = logging.Handler()
        handler.emit = records.append
        for name in ("urllib3.connectionpool", "odoo.addons.sale_iused.models.iused_shipment_sender"):
            logger = logging.getLogger(name)
            self.addCleanup(logger.setLevel, logger.level)
            self.addCleanup(logger.removeHandler, handler)
            logger.setLevel("DEBUG")
            logger.addHandler(handler)
        self._run_cron()
        self.company.sudo().iused_webhook_url = self.portal.webhook_url
        update.next_try = fields.Datetime.now()
        self._run_cron()
        self.assertEqual((update.state, len(records)), ("sent", 2), "one line for each try, none of the library's")
        for text in (update.last_answer, *(record.getMessage() for record in records)):
            for secret in ("SECRET-TOKEN", self.portal.token, "127.0.0.1"):
                self.assertNotIn(secret, text)
