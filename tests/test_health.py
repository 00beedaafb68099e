"""Troubles are told once, by one activity for the responsible user, which closes when the trouble is over."""

from odoo import fields
from odoo.tests import tagged

from .test_overview import OverviewCase


@tagged("post_install", "-at_install")
class TestHealth(OverviewCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.company.iused_responsible_id = cls.seller
        cls.env["iused.trouble"].search([]).unlink()

    def _watch(self):
        """Run the scheduled action; return what is told of this company."""
        self._run_cron("watch")
        return self._troubles()

    def _troubles(self, company=None):
        return self.env["iused.trouble"].search(
            [("company_id", "=", (company or self.company).id), ("ended_at", "=", False)]
        )

    def test_trouble_gives_the_responsible_one_activity(self):
        self._connect()
        self.assertFalse(self._watch())
        self._log_poll(hours=3)
        trouble = self._watch()
        self.assertEqual((trouble.kind, trouble.company_id), ("no_poll", self.company))
        activity = trouble.activity_ids
        self.assertEqual((len(activity), activity.user_id), (1, self.seller))
        self.assertEqual(activity.summary, "iUsed does not fetch the offers")
        self.assertIn("at least every 2 hours", activity.note)
        messages = self.env["mail.message"].search_count([])
        mails = self.env["mail.mail"].search_count([])
        for _check in range(3):
            self.assertEqual(self._watch().activity_ids, activity)
        self.assertEqual(self.env["mail.message"].search_count([]), messages, "checks are silent")
        self.assertEqual(self.env["mail.mail"].search_count([]), mails)

    def test_activity_closes_when_the_trouble_is_over(self):
        self._connect()
        self._log_poll(hours=3)
        trouble = self._watch()
        activity = trouble.activity_ids
        self._log_poll()
        self.assertFalse(self._watch())
        self.assertFalse(activity.active, "done, not deleted")
        self.assertIn("It is over.", trouble.message_ids[0].body)
        self.assertTrue(trouble.ended_at)

    def test_activity_closed_by_hand_is_not_made_again_while_the_trouble_lasts(self):
        self._connect()
        for close in ("action_feedback", "unlink"):
            with self.subTest(close):
                self._log_poll(hours=3)
                trouble = self._watch()
                getattr(trouble.activity_ids.with_user(self.seller), close)()
                self.assertEqual(self._watch(), trouble)
                self.assertFalse(trouble.activity_ids)
                self._log_poll()
                self.assertFalse(self._watch())
                self._log_poll(hours=3)
                again = self._watch()
                self.assertEqual(len(again.activity_ids), 1, "it is another trouble")
                self._log_poll()
                self._watch()

    def test_trouble_that_comes_and_goes_sends_one_mail_a_day(self):
        self._connect()

        def come_and_go():
            before = self.env["mail.message"].search_count([("message_type", "=", "user_notification")])
            self._log_poll(hours=3)
            trouble = self._watch()
            self.assertEqual(len(trouble.activity_ids), 1)
            self._log_poll()
            self._watch()
            return trouble, self.env["mail.message"].search_count([("message_type", "=", "user_notification")]) - before

        first, mails = come_and_go()
        self.assertEqual(mails, 1)
        self.assertEqual(come_and_go()[1], 0)
        self.env["iused.trouble"].search([]).ended_at = fields.Datetime.subtract(fields.Datetime.now(), hours=25)
        self.assertEqual(come_and_go()[1], 1)
        self.assertTrue(first.exists())

    def test_each_kind_begins_and_ends(self):
        phone, order = self._connect()
        late = None

        def fail_poll():
            self._log_poll(status=500, detail="An unexpected error")

        def sell_out():
            self._put_in_stock(phone, 0)
            self.company.iused_stock_buffer = 10

        def restock():
            self.company.iused_stock_buffer = 0

        def be_late():
            nonlocal late
            late = self._move_back(self._receive(self._make_order(phone)), hours=49)

        def deliver():
            self._deliver(late)

        def pause():
            for record in self.env["sale.order"].search([("company_id", "=", self.company.id)]):
                self._move_back(record, days=8)

        def resume():
            self._deliver(self._receive(self._make_order(phone)))

        for kind, begin, end in (
            ("poll_failed", fail_poll, self._log_poll),
            ("few_offers", sell_out, restock),
            ("open_order", be_late, deliver),
            ("no_order", pause, resume),
        ):
            with self.subTest(kind):
                self.assertFalse(self._watch())
                begin()
                self.assertEqual(self._watch().mapped("kind"), [kind])
                end()
                self.assertFalse(self._watch())
        self.assertTrue(order.exists())

    def test_cancelled_order_is_not_open(self):
        phone, _order = self._connect()
        order = self._move_back(self._receive(self._make_order(phone)), hours=49)
        self.assertEqual(self._watch().kind, "open_order")
        order._action_cancel()
        self.assertFalse(self._watch())

    def test_quotation_that_waits_for_a_person_is_open(self):
        phone, _order = self._connect()
        self.company.iused_order_policy = "quotation"
        self._move_back(self._receive(self._make_order(phone)), hours=49)
        self.assertEqual(self._watch().kind, "open_order")

    def test_limit_of_zero_is_off(self):
        phone, order = self._connect()
        self._log_poll(hours=1000)
        self._move_back(order, days=100)
        self._move_back(self._receive(self._make_order(phone)), days=90)
        self.company.iused_stock_buffer = 10
        self.assertEqual(len(self._watch()), 4)
        self.company.write(
            {
                "iused_watch_poll_hours": 0,
                "iused_watch_order_days": 0,
                "iused_watch_open_hours": 0,
                "iused_watch_offers": 0,
            }
        )
        self.assertFalse(self._watch())

    def test_company_whose_token_is_gone_has_that_trouble_alone(self):
        self._connect()
        self._log_poll(hours=3)
        self.assertEqual(self._watch().kind, "no_poll")
        self.env["res.users.apikeys"].search([("user_id", "=", self.iused_user.id)]).unlink()
        self.assertEqual(self._watch().mapped("kind"), ["no_key"], "what was told is closed")

    def test_company_that_is_being_connected_has_no_troubles(self):
        self._make_key()
        self.assertFalse(self._watch(), "no poll, no order and no offer yet are steps to do")

    def test_who_uploads_need_not_be_polled(self):
        self._connect()
        self._log_poll(hours=3)
        self.env["iused.sftp.location"].create(
            {"company_id": self.company.id, "enabled": True, "host": "sftp.iused.example", "username": "us"}
        )
        self.assertFalse(self._watch())

    def test_companies_have_troubles_and_limits_of_their_own(self):
        self._connect()
        other = self._make_company("Other refurbisher")
        self._make_key(other)
        other.iused_responsible_id = self._new_user("other", "sales_team.group_sale_manager", company=other)
        other.iused_watch_poll_hours = 5
        self._log_poll(hours=3)
        self._log_poll(hours=3, company=other)
        self._watch()
        self.assertEqual(self._troubles().mapped("kind"), ["no_poll"])
        # Nothing is offered in stock by the other company, which iUsed has seen.
        self.assertEqual(self._troubles(other).mapped("kind"), ["few_offers"])
        self.assertEqual(self._troubles(other).activity_ids.user_id, other.iused_responsible_id)
        theirs = self.env["iused.trouble"].with_context(allowed_company_ids=other.ids)
        seen = theirs.with_user(other.iused_responsible_id).search([])
        self.assertEqual(seen.company_id, other)

    def test_activity_is_in_the_language_and_time_of_its_user(self):
        self._connect()
        self.env["res.lang"]._activate_lang("nl_NL")
        self.seller.write({"lang": "nl_NL", "tz": "Pacific/Auckland"})
        poll = self._log_poll(hours=3)
        note = self._watch().activity_ids.note
        local = fields.Datetime.context_timestamp(poll.with_context(tz="Pacific/Auckland"), poll.create_date)
        self.assertIn(f"{local:%d-%m-%Y}", note)
        self.assertIn(f"{local:%H:%M}", note)

    def test_old_troubles_are_deleted_and_lasting_ones_are_not(self):
        self._connect()
        self._log_poll(hours=3)
        self._log_poll(status=500, hours=3, detail="An error")
        ended, lasting = self._watch()
        ended.ended_at = fields.Datetime.subtract(fields.Datetime.now(), days=91)
        self.env["iused.trouble"]._gc_ended()
        self.assertEqual((ended | lasting).exists(), lasting)
