"""What is beyond a limit of 24 hours waits for a person: a thief of the key has no more confirmed than that."""

from datetime import timedelta

from lxml import etree

from odoo.tests import tagged
from odoo.tools import SQL, html2plaintext

from odoo.addons.base.tests.test_ir_cron import CronMixinCase

from ..models import iused_order_inbox
from .common import IusedHttpCase


@tagged("post_install", "-at_install")
class TestOrderLimit(IusedHttpCase, CronMixinCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.phone = cls._make_phone("PHONE", 30)
        cls.responsible = cls._new_user("responsible", "sales_team.group_sale_salesman_all_leads")
        cls.company.iused_responsible_id = cls.responsible

    def _push_new(self, *lines):
        """Push an order of the phone (199.00 a piece), or of other lines; return it, as it was answered."""
        document = self._make_order(*(lines or [self.phone]))
        answer = self._push(document)
        self.assertEqual(answer.status_code, 201, answer.text)
        order = self.env["sale.order"].search([("iused_reference", "=", document["order_id"])])
        self.assertEqual(answer.json()["status"], {"sale": "confirmed", "draft": "quotation"}[order.state])
        return order

    def _states(self, count):
        return [self._push_new().state for _number in range(count)]

    def _move_back(self, orders, **delta):
        self.env.flush_all()
        self.env.execute_query(
            SQL(
                "UPDATE sale_order SET create_date = create_date - %s WHERE id IN %s RETURNING id",
                timedelta(**delta),
                tuple(orders.ids),
            )
        )
        self.env.invalidate_all()

    def _told(self):
        self._run_cron("watch")
        return self.env["mail.activity"].search([("iused_key", "=like", "beyond_limit %")])

    def test_no_limit_as_installed(self):
        self.assertEqual(self._states(3), ["sale"] * 3)

    def test_orders_beyond_the_number_stay_quotations(self):
        self.company.iused_most_orders = 2
        self.assertEqual(self._states(4), ["sale", "sale", "draft", "draft"])

    def test_a_good_day_is_confirmed_from_the_list_at_once(self):
        self.company.iused_most_orders = 1
        self._push_new()
        waiting = self._push_new() + self._push_new()
        action = self.env["iused.overview"].with_user(self.responsible).open_door("beyond_limit")
        orders = self.env["sale.order"].with_user(self.responsible)
        view_id = next(view_id for view_id, kind in action["views"] if kind == "list")
        arch = etree.fromstring(orders.get_view(view_id, "list")["arch"])
        self.assertTrue(arch.xpath("header/button[@name='action_confirm']"))
        listed = orders.search(action["domain"])
        self.assertEqual(listed, waiting.sorted(reverse=True))
        listed.action_confirm()
        self.assertEqual(waiting.mapped("state"), ["sale"] * 2)

    def test_orders_beyond_the_value_stay_quotations_to_the_cent(self):
        self.company.iused_most_value = 3 * 199
        self.assertEqual(self._push_new((self.phone, 2)).state, "sale")
        self.assertEqual(self._push_new((self.phone, 2)).state, "draft")
        self.company.iused_most_value = 5 * 199 - 0.01
        self.assertEqual(self._push_new().state, "draft")
        self.company.iused_most_value = 6 * 199
        self.assertEqual(self._push_new().state, "sale")

    def test_value_excludes_vat(self):
        group = self.env["account.tax.group"].create({"name": "VAT", "company_id": self.company.id})
        self.phone.taxes_id = self.env["account.tax"].create(
            {"name": "21%", "amount": 21, "company_id": self.company.id, "tax_group_id": group.id}
        )
        self.company.iused_most_value = 2 * 199
        self.assertEqual(self._states(3), ["sale", "sale", "draft"])

    def test_limit_is_one_companys(self):
        self.company.iused_most_orders = 1
        other = self._make_company("Other refurbisher")
        partner = other._iused_ensure_partner()
        self.env["sale.order"].create(
            [
                {"partner_id": partner.id, "company_id": other.id, "iused_reference": "IU-OTHER"},
                {"partner_id": self.iused_partner.id, "company_id": self.company.id},  # not iUsed's
            ]
        )
        self.assertEqual(self._states(2), ["sale", "draft"])

    def test_who_pushes_and_cancels_gains_nothing(self):
        self.company.iused_most_orders = 1
        order = self._push_new()
        self._push({"order_id": order.iused_reference, "status": "cancelled"})
        self.assertEqual(order.state, "cancel")
        self.assertEqual(self._states(1), ["draft"])

    def test_last_24_hours_count_whatever_the_day(self):
        self.company.iused_most_orders = 1
        first = self._push_new()
        self._move_back(first, hours=23, minutes=59)
        self.assertEqual(self._states(1), ["draft"])
        self._move_back(self.env["sale.order"].search([("company_id", "=", self.company.id)]), hours=24)
        self.assertEqual(self._states(1), ["sale"])

    def test_value_cannot_be_raised_by_another_push(self):
        self.company.iused_most_value = 199
        document = self._make_order(self.phone)
        self.assertEqual(self._push(document).json()["status"], "confirmed")
        for change in ({"quantity": 9}, {"price": 999.0}):
            changed = {**document, "lines": [{**document["lines"][0], **change}]}
            self.assertProblem(self._push(changed), 409)

    def test_large_order_is_kept_too_where_the_limit_came_after_its_push(self):
        self.patch(iused_order_inbox, "MOST_AT_ONCE", 1)
        large = [self._push_new(self.phone, self.phone) for _number in range(2)]
        self._push_new()
        self.company.iused_most_orders = 1
        self._run_cron("confirm_orders")
        self.assertEqual([order.state for order in large], ["sale", "draft"])
        self.assertTrue(large[1].iused_beyond_limit)
        self.assertEqual(self._push_new(self.phone, self.phone).iused_to_confirm, False)

    def test_order_says_why(self):
        self.company.write({"iused_most_orders": 1, "iused_most_value": 5000})
        kept = [self._push_new() for _number in range(2)][1]
        text = html2plaintext(kept.message_ids[0].body)
        self.assertIn("for a person to confirm", text)
        self.assertIn("1 orders", text)
        self.assertIn("5,000.00", text)

    def test_one_activity_for_all_counts_them_and_ends_when_they_are_confirmed(self):
        self.company.iused_most_orders = 1
        with self.capture_triggers(self.env.ref("sale_iused.ir_cron_watch").id) as triggers:
            self._states(2)
        self.assertTrue(triggers.records, "it is told at once, not at the next half hour")
        activity = self._told()
        self.assertEqual((len(activity), activity.user_id), (1, self.responsible))
        self.assertIn("1 orders wait", html2plaintext(activity.note))
        self._states(2)
        self.assertEqual(self._told(), activity)
        self.assertIn("3 orders wait", html2plaintext(activity.note))
        self.assertIn("key", html2plaintext(activity.note))
        page = self.env["iused.overview"].with_user(self.responsible).get_overview()
        rows = {row["name"]: row for row in page["health"] if row["state"] == "trouble"}
        self.assertEqual(list(rows), ["beyond_limit"], "not among those to check as well")
        action = self.env["iused.overview"].with_user(self.responsible).open_door(rows["beyond_limit"]["door"])
        kept = self.env["sale.order"].with_user(self.responsible).search(action["domain"])
        self.assertEqual(len(kept), 3)
        kept.action_confirm()
        self.assertEqual(set(kept.mapped("state")), {"sale"})
        self.assertFalse(self._told())

    def test_order_that_waits_for_another_reason_is_told_for_that(self):
        self.company.iused_most_orders = 1
        self._push_new()
        document = self._make_order(self.phone)
        document["lines"][0]["price"] = 1.0
        self._push(document)
        order = self.env["sale.order"].search([("iused_reference", "=", document["order_id"])])
        self.assertFalse(order.iused_beyond_limit)
        self.assertTrue(order.activity_ids)

    def test_limit_costs_one_query_and_none_where_there_is_none(self):
        inbox = self.env["iused.order.inbox"]
        self._push_new()
        for values, queries in (({"iused_most_orders": 0}, 0), ({"iused_most_orders": 9, "iused_most_value": 9}, 1)):
            self.company.write(values)
            self.env.flush_all()
            self.company.iused_most_value  # noqa: B018 - read with the company's other settings
            with self.subTest(values=values), self.assertQueryCount(queries):
                inbox._is_beyond_limit(self.company, 10)

    def test_pushes_take_turns_where_there_is_a_limit(self):
        """Two that both find one order left would else both be confirmed."""
        inbox = self.env["iused.order.inbox"]
        free = [set(inbox._turn_keys(self.company, reference, [reference])) for reference in ("A", "B")]
        self.assertFalse(free[0] & free[1])
        self.company.iused_most_value = 1
        bound = [set(inbox._turn_keys(self.company, reference, [reference])) for reference in ("A", "B")]
        self.assertTrue(bound[0] & bound[1])
        guarded = []
        self.patch(self.registry["iused.order.inbox"], "_guard_stock", lambda _inbox, company: guarded.append(company))
        self._receive(self._make_order(self.phone))
        self.assertEqual(guarded, [self.company], "what turns leave open, the database decides")
