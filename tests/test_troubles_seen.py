"""Whatever keeps iUsed waiting is on the overview, once, with its door, and gone when it is over."""

from datetime import timedelta

from odoo import Command, fields
from odoo.tests import tagged

from .test_overview import OverviewCase


class TroublesCase(OverviewCase):
    """Base of the tests of troubles: a company that is connected, and what is seen of its troubles."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.company.iused_responsible_id = cls.seller
        cls.env["iused.trouble"].search([]).unlink()

    def setUp(self):
        super().setUp()
        self.phone, self.first = self._connect()
        self.cron = self.env.ref("sale_iused.ir_cron_send_shipment_updates")
        self.cron.write({"active": True, "nextcall": fields.Datetime.now() + timedelta(minutes=5), "failure_count": 0})

    def _watch(self):
        """Look for troubles as the scheduled action does; return the kinds of those that last."""
        self.env.flush_all()
        troubles = self.env["iused.trouble"]
        self._run_cron("watch")
        return troubles.search([("company_id", "=", self.company.id), ("ended_at", "=", False)]).mapped("kind")

    def _activities(self):
        """Return the open activities that the connector gave somebody."""
        return self.env["mail.activity"].search([("iused_key", "!=", False)])

    def assertSeen(self, row, kind, records, words, user=None):
        """The overview has one trouble, whose door leads to its records, and exactly one activity."""
        page = self._page(user)
        troubles = [health for health in page["health"] if health["state"] == "trouble"]
        self.assertEqual([health["name"] for health in troubles], [row])
        self.assertEqual(page["summary"], {"kind": "trouble", "text": "One thing needs attention"})
        self.assertIn(words, troubles[0]["note"])
        if records is not None:
            self.assertEqual(self._behind(troubles[0]["door"], user), records)
        for _check in range(2):
            self.assertEqual(self._watch(), [kind])
            self.assertEqual(len(self._activities()), 1, self._activities().mapped("iused_key"))

    def _behind(self, door, user=None):
        """Return what the list behind a door shows."""
        env = self.env(user=user or self.env.user)
        action = env["iused.overview"].open_door(door)
        return env[action["res_model"]].search(action["domain"]).with_env(self.env)

    def assertOver(self):
        """All is well, and nobody has anything left to do."""
        self.assertEqual(self._watch(), [])
        self.assertFalse(self._activities())
        self.assertEqual(self._page()["summary"]["kind"], "well")


@tagged("post_install", "-at_install")
class TestTroublesSeen(TroublesCase):
    def _ship_with(self, **values):
        """Deliver one more order; return its shipment updates with these values."""
        updates = self._ship().iused_update_ids.sudo()
        updates.write(values)
        return updates

    def _fail(self, updates, hours, status=503):
        """Write down that updates were tried so many hours ago."""
        updates.write({"state": "retry", "attempts": 1, "last_answer": f"HTTP {status}"})
        for update in updates:
            self.env["iused.exchange"]._insert(
                {
                    "company_id": self.company.id,
                    "kind": "shipment",
                    "direction": "out",
                    "method": "POST",
                    "path": "/webhook",
                    "status": status,
                    "update_id": update.id,
                    "order_id": update.order_id.id,
                }
            )
            self._move_back(self.env["iused.exchange"].search([("update_id", "=", update.id)], limit=1), hours=hours)

    # Shipment updates ------------------------------------------------------------------------------------------

    def test_updates_without_an_address_to_go_to(self):
        self.company.sudo().iused_webhook_url = False
        self.assertEqual(self._page()["summary"]["kind"], "open", "nothing waits yet")
        updates = self._ship_with()
        self.assertSeen("updates", "no_webhook", updates, "no webhook address")
        self.company.sudo().iused_webhook_url = "https://iused.example/webhook"
        self.assertOver()

    def test_updates_whose_scheduled_action_is_switched_off(self):
        self.cron.active = False
        self.assertEqual(self._page()["summary"]["kind"], "well", "nothing waits yet")
        updates = self._ship_with()
        self.assertSeen("updates", "no_sending", updates, "is switched off")
        self.cron.active = True
        self.assertOver()

    def test_updates_whose_scheduled_action_does_not_run(self):
        now = fields.Datetime.now()
        updates = self._ship_with(next_try=now - timedelta(hours=2))
        self.cron.nextcall = now - timedelta(minutes=50)
        self.assertEqual(self._page()["summary"]["kind"], "well", "it may be busy")
        self.cron.nextcall = now - timedelta(hours=2)
        self.assertSeen("updates", "no_sending", updates, "Do scheduled actions run")
        updates.write({"state": "sent", "sent_at": now})
        self.assertOver()

    def test_scheduled_action_that_always_fails(self):
        self.cron.failure_count = 3
        updates = self._ship_with(next_try=fields.Datetime.now() - timedelta(hours=2))
        self.assertSeen("updates", "no_sending", updates, "fails")
        self.cron.failure_count = 0
        self.assertOver()

    def test_long_backlog_that_is_being_sent_is_no_trouble(self):
        now = fields.Datetime.now()
        self.cron.nextcall = now - timedelta(hours=2)
        self._ship_with(next_try=now - timedelta(hours=2))
        self._ship_with(state="sent", sent_at=now - timedelta(minutes=5))
        self.assertOver()

    def test_iused_that_is_down_for_a_day(self):
        later = fields.Datetime.now() + timedelta(hours=3)
        failing, waiting = self._ship_with(next_try=later, holds=True), self._ship_with()
        self._fail(failing, hours=23)
        self.assertOver()
        self._fail(failing, hours=25)
        self.assertSeen("updates", "down", failing | waiting, "HTTP 503")
        (failing | waiting).write({"state": "sent"})
        self.assertOver()

    def test_iused_that_is_down_for_a_day_of_which_no_log_is_left(self):
        failing = self._ship_with(state="retry", holds=True, attempts=7)
        self.assertOver()
        failing.attempts = 8  # 1 and 5 minutes, half an hour, 2, 5, 10 and 14 hours lie between them
        self.assertSeen("updates", "down", failing, failing.order_id.name)

    def test_iused_that_is_down_is_told_once_however_long(self):
        failing = self._ship_with(holds=True)
        self._fail(failing, hours=80)
        failing._tell("update_late", lambda env: ("iUsed has not answered for days", "HTTP 503"))
        self.assertSeen("updates", "down", failing, "HTTP 503")
        self.assertEqual(self._activities().res_id, failing.order_id.id)
        failing.state = "sent"
        self.assertOver()

    def test_update_that_lacks_a_tracking_reference_for_long(self):
        order = self._receive(self._make_order(self.phone))
        updates = self._deliver(order, tracking=False).iused_update_ids.sudo()
        self.assertOver()
        for update in updates:
            self._move_back(update, hours=25)
        self.env["iused.shipment.update"]._cron_watch_waiting()
        self.assertSeen("late", "update_waits", updates, "more than 24 hours")
        order.picking_ids.carrier_tracking_ref = "3SLATE"
        self.assertOver()

    def test_waiting_limit_of_zero_is_off(self):
        self.company.iused_waiting_hours = 0
        order = self._receive(self._make_order(self.phone))
        updates = self._deliver(order, tracking=False).iused_update_ids.sudo()
        self._move_back(updates, days=25)
        self.env["iused.shipment.update"]._cron_watch_waiting()
        self.assertOver()

    def test_stopped_sending_is_one_trouble(self):
        self._ship_with()
        self.company.iused_sending_stopped = "HTTP 401"
        page = self._page()
        troubles = [row["name"] for row in page["health"] if row["state"] == "trouble"]
        self.assertEqual(troubles, ["sending"])
        self.assertEqual(self._watch(), [])

    # Orders ----------------------------------------------------------------------------------------------------

    def _refuse(self, document):
        """Write down the refusal of a push, as the controller does."""
        exchanges_sudo = self.env["iused.exchange"].sudo()
        self.patch(type(self.env["iused.order.inbox"]), "_take_turn", lambda *_args, **_kwargs: None)
        push = {"method": "POST", "path": "/iused/v1/orders", "request_body": document, "idempotency_key": ""}
        return exchanges_sudo._log_refused(
            self.company, {**push, "duration": 0.1}, 422, '{"detail": "The order has no lines."}'
        )

    def test_refused_order(self):
        refused = self._refuse('{"order_id": "IU-REFUSED"}')
        self.assertSeen("refused", "refused", refused, "were refused")
        self.assertEqual(self._activities().res_model, "iused.exchange", "no second activity for the same thing")
        refused._settle(self.first)
        self.assertOver()

    def test_refused_order_that_somebody_dealt_with(self):
        self._refuse('{"order_id": "IU-REFUSED"}')
        self._watch()
        self._activities().action_feedback()
        self.assertOver()

    def test_refused_order_that_nobody_could_be_told_of(self):
        refused = self._refuse('{"order_id": "IU-REFUSED"}')
        refused.activity_id.unlink()
        self.assertSeen("refused", "refused", refused, "were refused")
        self.assertEqual(self._activities().res_model, "iused.trouble")
        refused._settle(self.first)
        self.assertOver()

    def test_order_that_needs_a_price_check(self):
        for policy in ("confirm", "quotation"):
            with self.subTest(policy):
                self.company.iused_order_policy = policy
                document = self._make_order(self.phone)
                document["lines"][0]["price"] = 99.0
                order = self._receive(document)
                self.assertEqual(order.state, "draft")
                self.assertSeen("to_check", "to_check", order, order.name)
                self.assertEqual(self._activities().res_id, order.id)
                order.action_confirm()
                self._deliver(order).iused_update_ids.sudo().state = "sent"
                self.assertOver()

    def test_quotation_that_nobody_was_told_of(self):
        order = self._receive(self._make_order(self.phone))
        order._action_cancel()
        order.action_draft()
        self.assertSeen("to_check", "to_check", order, order.name)
        order._action_cancel()
        self.assertOver()

    def test_quotations_that_the_company_wants_are_no_trouble(self):
        self.company.iused_order_policy = "quotation"
        self._receive(self._make_order(self.phone))
        self.assertOver()

    def test_order_that_is_to_be_confirmed_in_a_moment_is_no_trouble(self):
        order = self._receive(self._make_order(self.phone))
        order._action_cancel()
        order.action_draft()
        order.iused_to_confirm = True
        self.assertOver()
        self._move_back(order, hours=2)
        self.assertSeen("to_check", "to_check", order, order.name)

    def test_order_that_is_short_of_stock(self):
        scarce = self._make_phone("SCARCE", 1)
        order = self._receive(self._make_order((scarce, 3)))
        self.assertSeen("short", "short", order, order.name)
        self.assertEqual(self._activities().res_id, order.id)
        self._put_in_stock(scarce, 2)
        order.picking_ids.action_assign()
        self.assertOver()

    def test_order_whose_stock_went_elsewhere_is_short_too(self):
        order = self._receive(self._make_order(self.phone))
        order.picking_ids.do_unreserve()
        self.assertSeen("short", "short", order, order.name)
        order.picking_ids.action_assign()
        self.assertOver()

    def test_reservation_by_hand_is_no_trouble(self):
        self.warehouse.out_type_id.reservation_method = "manual"
        self._receive(self._make_order(self.phone))
        self.assertOver()

    def _ship_short(self, lines, shipped):
        """Deliver only so many pieces of an order, and choose *No Backorder*; return the order."""
        order = self._receive(self._make_order(*lines))
        picking = order.picking_ids
        picking.carrier_tracking_ref = "3SSHORT"
        left = shipped
        for line in picking.move_line_ids:
            line.picked = left > 0
            left -= 1
        action = picking.button_validate()
        wizard = self.env[action["res_model"]].with_context(**action["context"]).create({})
        wizard.process_cancel_backorder()
        self.assertEqual(picking.state, "done")
        order.iused_update_ids.sudo().state = "sent"
        return order

    def test_order_that_was_shipped_without_a_backorder(self):
        order = self._ship_short([(self.phone, 2)], 1)
        self.assertEqual(sum(order.order_line.mapped("qty_delivered")), 1)
        self.assertSeen("cut_off", "cut_off", order, order.name)
        order.order_line.product_uom_qty = 1
        self.assertOver()

    def test_order_of_which_a_line_never_left(self):
        other = self._make_phone("OTHER", 1)
        order = self._ship_short([self.phone, other], 1)
        self.assertSeen("cut_off", "cut_off", order, order.name, user=self.seller)

    def test_order_whose_delivery_was_cancelled(self):
        order = self._receive(self._make_order(self.phone))
        order.picking_ids.action_cancel()
        self.assertSeen("cut_off", "cut_off", order, order.name)
        order._action_cancel()
        self.assertOver()

    def test_backorder_is_on_its_way(self):
        order = self._receive(self._make_order((self.phone, 2)))
        picking = order.picking_ids
        picking.carrier_tracking_ref = "3SPART"
        picking.move_line_ids[0].picked = True
        action = picking.button_validate()
        self.env[action["res_model"]].with_context(**action["context"]).create({}).process()
        order.iused_update_ids.sudo().state = "sent"
        self.assertOver()

    def test_return_of_a_device_is_no_missing_one(self):
        picking = self._deliver(self._receive(self._make_order(self.phone)))
        picking.iused_update_ids.sudo().state = "sent"
        wizard = self.env["stock.return.picking"].with_context(active_id=picking.id, active_model=picking._name)
        wizard = wizard.create({"picking_id": picking.id})
        wizard.product_return_moves.quantity = 1
        back = self.env["stock.picking"].browse(wizard.action_create_returns()["res_id"])
        back.move_ids.picked = True
        back.button_validate()
        self.assertEqual(back.state, "done")
        self.assertEqual(self.env["iused.overview"]._read_facts(self.company).cut_off.count, 0)

    # Access ----------------------------------------------------------------------------------------------------

    def test_archived_user_of_iused(self):
        self.iused_user.active = False
        self.assertSeen("access", "no_key", None, "is archived")
        self.iused_user.active = True
        self.assertOver()

    def test_revoked_key(self):
        self.env["res.users.apikeys"].search([("user_id", "=", self.iused_user.id)]).unlink()
        self.assertSeen("access", "no_key", None, "no access token any more")
        self._make_key()
        self.assertOver()

    def test_user_that_was_taken_away(self):
        self.company.iused_user_id = False
        self.assertSeen("access", "no_key", None, "no access token any more")

    def test_company_whose_first_token_is_not_made_yet_has_no_troubles(self):
        company = self._make_company("New refurbisher")
        company.iused_user_id = self.company.with_company(company)._iused_ensure_user() and company._iused_ensure_user()
        overview = self.env["iused.overview"].with_company(company)
        self.assertEqual(overview._find_troubles(company, overview._read_facts(company)), {})

    def test_other_troubles_are_seen_without_a_key_too(self):
        self.company.sudo().iused_webhook_url = False
        self._ship_with()
        self.iused_user.active = False
        self.assertEqual(sorted(self._watch()), ["no_key", "no_webhook"])
        self.assertEqual([row["name"] for row in self._page()["health"]], ["access", "updates"])

    # Who sees what ---------------------------------------------------------------------------------------------

    def test_warehouse_sees_the_troubles_and_opens_what_it_may(self):
        self._ship_short([(self.phone, 2)], 1)
        refused = self._refuse('{"order_id": "IU-REFUSED"}')
        rows = self._named(self._page(self.warehouse_user)["health"])
        self.assertFalse(rows["cut_off"]["door"])
        self.assertEqual(self._behind(rows["refused"]["door"], self.warehouse_user), refused)

    def test_companies_do_not_see_each_others_troubles(self):
        self.company.sudo().iused_webhook_url = False
        self._ship_short([(self.phone, 2)], 1)
        self._ship_with()
        other = self._make_company("Other refurbisher")
        self._make_key(other)
        self.env.user.company_ids = [Command.link(other.id)]
        overview = self.env["iused.overview"].with_company(other)
        self.assertEqual(overview._find_troubles(other, overview._read_facts(other)), {})

    def test_troubles_cost_no_query_for_each_order(self):
        def count():
            self.env.flush_all()
            self.env.invalidate_all()
            before = self.env.cr.sql_log_count
            self.env["iused.overview"].get_overview()
            return self.env.cr.sql_log_count - before

        def make_troubles():
            self._ship_short([(self.phone, 2)], 1)
            self._receive(self._make_order((scarce, 2)))
            document = self._make_order(self.phone)
            document["lines"][0]["price"] = 99.0
            self._receive(document)
            self._fail(self._ship_with(), hours=30)
            self._refuse('{"order_id": "IU-REFUSED"}')

        scarce = self._make_phone("SCARCE", 1)
        self._put_in_stock(self.phone, 20)
        make_troubles()
        make_troubles()  # of one order alone, one trouble reads what another one has read
        count()  # what Odoo keeps in memory is read once
        few = count()
        for _number in range(3):
            make_troubles()
        self.assertEqual(count(), few)
