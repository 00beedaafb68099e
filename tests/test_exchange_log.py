"""The log of what went over the wire: polls are in it at no cost to iUsed, and people can read it."""

from ast import literal_eval
from datetime import timedelta

import psycopg2
from lxml import etree

from odoo import fields
from odoo.exceptions import AccessError
from odoo.fields import Domain
from odoo.tests import tagged

from .common import IusedCase, IusedHttpCase


@tagged("post_install", "-at_install")
class TestPollLog(IusedHttpCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.phone = cls._make_phone("PHONE", 2)

    def _get(self, query="", method="GET", **headers):
        return self._call(method, f"/offers{query}", **{"Accept_Encoding": "identity", **headers})

    def _rows(self, company=None):
        return self.env["iused.exchange"].search([("company_id", "=", (company or self.company).id)])

    def test_poll_leaves_a_row(self):
        self._make_phone("ANOTHER")
        answer = self._get()
        row = self._rows()
        self.assertEqual(len(row), 1)
        self.assertEqual((row.kind, row.direction, row.method, row.status), ("offers", "in", "GET", 200))
        self.assertEqual((row.path, row.offers, row.size), ("/iused/v1/offers", 2, len(answer.content)))
        self.assertEqual((row.create_uid, row.detail), (self.iused_user, False))
        self.assertGreater(row.duration, 0)
        self.assertLess(row.duration, 60)

    def test_page_tells_its_own_offers(self):
        for number in range(4):
            self._make_phone(f"PHONE-{number}")
        self._get("?limit=3&page=2&format=csv&locale=nl_NL")
        row = self._rows()
        self.assertEqual((row.offers, row.path), (2, "/iused/v1/offers?limit=3&page=2&format=csv&locale=nl_NL"))

    def test_unchanged_feed_and_heading_alone(self):
        etag = self._get().headers["ETag"]
        self.assertEqual(self._get(If_None_Match=etag).status_code, 304)
        self._get(method="HEAD")
        heading, unchanged, _whole = self._rows()
        self.assertEqual((unchanged.status, unchanged.size, unchanged.offers), (304, 0, 0))
        self.assertEqual((heading.status, heading.method, heading.size), (200, "HEAD", 0))

    def test_refused_polls_say_what_was_wrong(self):
        for query, method, status, words in (
            ("?limit=0&page=x", "GET", 400, "limit: It must be a whole number from 1 to 100000."),
            ("", "POST", 405, "POST is not possible here"),
        ):
            with self.subTest(status):
                before = self._rows()
                answer = self._get(query, method=method)
                row = self._rows() - before
                self.assertEqual((answer.status_code, row.status, row.method), (status, status, method))
                self.assertIn(words, row.detail)
                self.assertEqual(row.size, len(answer.content))

    def test_crash_leaves_a_row_without_inner_matters(self):
        def crash(*_args, **_choice):
            raise KeyError("inner matter")

        self.patch(self.registry["iused.offer.feed"], "_offers_query", crash)
        with self.assertLogs("odoo.http", "ERROR"):
            self._get()
        row = self._rows()
        self.assertEqual(row.status, 500)
        self.assertNotIn("inner matter", row.detail)

    def test_key_in_the_address_is_not_kept(self):
        self._get(f"?token={self.key}&limit=2")
        row = self._rows()
        self.assertEqual((row.status, row.path), (400, "/iused/v1/offers?token=***&limit=2"))
        self.assertNotIn(self.key, f"{row.path} {row.detail}")

    def test_address_of_any_length_and_kind(self):
        for query in (f"?locale={'x' * 5000}", "?locale=%00", "?locale=%ff", "?%00=1"):
            with self.subTest(query[:20]):
                before = self._rows()
                self.assertEqual(self._get(query).status_code, 400)
                row = self._rows() - before
                self.assertEqual(row.status, 400)
                self.assertLessEqual(len(row.path), 500)

    def test_unknown_callers_leave_nothing(self):
        before = self.env["iused.exchange"].search_count([])
        self.assertEqual(self._get(key="wrong").status_code, 401)
        self.assertEqual(self.env["iused.exchange"].search_count([]), before)

    def test_companies_have_their_own(self):
        other = self._make_company("Other refurbisher")
        self._get(key=self._make_key(other))
        self.assertFalse(self._rows())
        self.assertEqual(self._rows(other).status, 200)

    def test_poll_is_served_where_it_cannot_be_written_down(self):
        def fail(*_args):
            raise psycopg2.errors.LockNotAvailable("canceling statement due to lock timeout")

        log_poll = self.registry["iused.exchange"]._log_poll
        self.patch(self.registry["iused.exchange"], "_log_poll", fail)
        logger = "odoo.addons.sale_iused.models.ir_http"
        with self.assertLogs(logger, "WARNING"):
            answer = self._get()
        self.assertEqual([offer["sku"] for offer in answer.json()], ["PHONE"])
        with self.assertNoLogs(logger, "WARNING"):
            self.assertProblem(self._get(method="DELETE"), 405)
            self._get()
        self.assertFalse(self._rows())
        self.patch(self.registry["iused.exchange"], "_log_poll", log_poll)
        with self.assertLogs(logger, "WARNING") as logs:
            self._get()
            self._get()
        self.assertEqual(len(logs.records), 1, "told once, and how many")
        self.assertIn("3 polls", logs.output[0])
        self.assertEqual(len(self._rows()), 2)


@tagged("post_install", "-at_install")
class TestReadingTheLog(IusedHttpCase):
    """What people see of the rows, which rows they find, and which rows are theirs."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.phone = cls._make_phone("PHONE", 3)
        cls.seller = cls._new_user("seller", "sales_team.group_sale_salesman")
        cls.manager = cls._new_user("manager", "sales_team.group_sale_manager")

    def _exchange(self):
        """Poll well and badly, push well and badly, tell a shipment in vain, upload well and badly; return the rows."""
        self._call("GET", "/offers")
        self._call("GET", "/offers?limit=0")
        order = self._push(self._make_order(self.phone)).json()
        document = self._make_order(self.phone)
        document["lines"][0]["sku"] = "UNKNOWN"
        self._push(document)
        # The portal does not know this order's number, and refuses.
        self._deliver(self.env["sale.order"].search([("name", "=", order["external_order_id"])]))
        self._run_cron()
        self.env["iused.exchange"].create(
            [
                {"company_id": self.company.id, "kind": "offers", "direction": "out", "method": "SFTP", **values}
                for values in ({"path": "/offers.json"}, {"path": "/offers.json", "detail": "No such folder"})
            ]
        )
        return self.env["iused.exchange"].search([("company_id", "=", self.company.id)], order="id")

    def _find(self, name):
        """Return what a filter of the list finds."""
        arch = self.env["iused.exchange"].get_view(view_type="search")["arch"]
        domain = etree.fromstring(arch).xpath(f"//filter[@name='{name}']/@domain")[0]
        return self.env["iused.exchange"].search(
            Domain("company_id", "=", self.company.id) & Domain(literal_eval(domain)), order="id"
        )

    def test_filters_find_what_they_say(self):
        poll, bad_poll, push, bad_push, shipment, upload, bad_upload = rows = self._exchange()
        self.assertEqual(
            [(row.kind, row.status) for row in rows],
            [("offers", 200), ("offers", 400), ("order", 201), ("order", 422), ("shipment", 422)] + [("offers", 0)] * 2,
        )
        for name, expected in {
            "polls": poll | bad_poll,
            "orders": push | bad_push,
            "shipments": shipment,
            "uploads": upload | bad_upload,
            "failed": bad_poll | bad_push | shipment | bad_upload,
            "refused": bad_push,
            "accepted": push,
            "today": rows,
            "week": rows,
        }.items():
            with self.subTest(name):
                self.assertEqual(self._find(name), expected)
        self.assertEqual(rows.filtered("failed"), self._find("failed"))
        self.assertEqual(
            self.env["iused.exchange"].search([("failed", "=", False), ("company_id", "=", self.company.id)]),
            (rows - self._find("failed")).sorted("id", reverse=True),
        )
        self.env.flush_all()
        self.env.cr.execute(
            "UPDATE iused_exchange SET create_date = create_date - interval '3 days' WHERE id = %s", [poll.id]
        )
        self.env.cr.execute(
            "UPDATE iused_exchange SET create_date = create_date - interval '8 days' WHERE id = %s", [push.id]
        )
        self.assertEqual(self._find("today"), rows - poll - push)
        self.assertEqual(self._find("week"), rows - push)

    def test_what_was_wrong_is_said_in_words_to_every_user_and_bodies_to_managers(self):
        poll, bad_poll, push, bad_push, _shipment, _upload, bad_upload = self._exchange().with_user(self.seller)
        self.assertEqual((poll.problem, push.problem, bad_upload.problem), (False, False, "No such folder"))
        self.assertIn("limit: It must be a whole number", bad_poll.problem)
        self.assertIn('/lines/0/sku SKU "UNKNOWN" is not known.', bad_push.problem)
        self.assertNotIn("{", bad_push.problem)
        with self.assertRaises(AccessError):
            bad_push.read(["answer_pretty"])
        self.assertIn('\n  "status": 422', bad_push.with_user(self.manager).answer_pretty)

    def test_polls_and_orders_are_counted_by_day(self):
        self._exchange()
        groups = (
            self.env["iused.exchange"]
            .with_user(self.seller)
            .formatted_read_group(
                [("company_id", "=", self.company.id)], ["create_date:day", "kind"], ["__count", "duration:avg"]
            )
        )
        self.assertEqual(
            {group["kind"]: group["__count"] for group in groups}, {"offers": 4, "order": 2, "shipment": 1}
        )

    def test_every_view_of_the_log_can_be_read_by_every_user(self):
        rows = self._exchange()
        for user in (self.seller, self._new_user("warehouse", "stock.group_stock_user"), self.manager):
            action = self.env["ir.actions.act_window"]._for_xml_id("sale_iused.iused_exchange_action")
            for _view, view_type in action["views"]:
                view = self.env["iused.exchange"].with_user(user).get_views([(False, view_type)])
                names = set(view["models"]["iused.exchange"]["fields"])
                fields_read = rows.with_user(user).fields_get(names)
                with self.subTest(f"{user.login} {view_type}"):
                    self.assertTrue(rows.with_user(user).read(list(fields_read)))

    def test_companies_do_not_read_each_others_rows(self):
        rows = self._exchange()
        other = self._make_company("Other refurbisher")
        stranger = self._new_user("stranger", "sales_team.group_sale_manager", company=other)
        theirs = self.env["iused.exchange"].with_context(allowed_company_ids=other.ids).with_user(stranger)
        self.assertFalse(theirs.search([]))
        with self.assertRaises(AccessError):
            theirs.browse(rows[0].id).read(["path", "problem"])


@tagged("post_install", "-at_install")
class TestLogRetention(IusedCase):
    def _make_rows(self, company, days, **values):
        rows = self.env["iused.exchange"].create(
            [{"company_id": company.id, "kind": "offers", "direction": "out", **values} for _day in days]
        )
        self.env.flush_all()
        for row, day in zip(rows, days, strict=True):
            before = fields.Datetime.now() - timedelta(days=day)
            self.env.cr.execute("UPDATE iused_exchange SET create_date = %s WHERE id = %s", [before, row.id])
        self.env.invalidate_all()
        return rows

    def test_old_rows_are_deleted_also_of_a_company_that_uploads_only(self):
        uploader = self._make_company("Uploads only")
        self.assertFalse(uploader.iused_user_id)
        uploader.iused_retention_days = 10
        old, young = self._make_rows(uploader, [11, 9])
        ours = self._make_rows(self.company, [11])
        self.env["iused.exchange"]._gc_exchanges()
        self.assertFalse(old.exists())
        self.assertTrue((young | ours).exists() == young | ours)

    def test_last_poll_is_kept_however_old(self):
        older, last = self._make_rows(self.company, [300, 200], direction="in", status=200)
        self.env["iused.exchange"]._gc_exchanges()
        self.assertEqual((older | last).exists(), last)
