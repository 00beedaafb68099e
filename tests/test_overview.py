"""The overview: what is still to do, what iUsed watches, numbers with the lists behind them, for each kind of user."""

from datetime import timedelta

from odoo import Command, fields
from odoo.exceptions import AccessError
from odoo.tests import tagged

from .common import IusedCase, IusedHttpCase

STEPS = ["token", "products", "share", "settings", "pushes"]
SALES_DOORS = {"orders", "open_orders", "ready", "not_ready", "orders_today"}


class OverviewCase(IusedCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.seller = cls._new_user("seller", "sales_team.group_sale_salesman_all_leads")
        cls.warehouse_user = cls._new_user("warehouse", "stock.group_stock_user")

    def _page(self, user=None):
        self.env.flush_all()
        self.env.invalidate_all()
        return self.env["iused.overview"].with_user(user or self.env.user).get_overview()

    def _named(self, rows):
        return {row["name"]: row for row in rows}

    def _log_poll(self, status=200, hours=0, company=None, **values):
        """Write a poll down that iUsed made so many hours ago."""
        company = company or self.company
        values = {"company_id": company.id, "method": "GET", "path": "/iused/v1/offers", "status": status, **values}
        self.env["iused.exchange"]._log_poll({"duration": 0.1, "size": 10, **values})
        poll = self.env["iused.exchange"]._last_poll(company)
        return self._move_back(poll, hours=hours)

    def _move_back(self, record, **delta):
        """Let a record have been made so long ago."""
        self.env.flush_all()
        before = fields.Datetime.now() - timedelta(**delta)
        self.env.cr.execute(f"UPDATE {record._table} SET create_date = %s WHERE id = %s", [before, record.id])
        self.env.invalidate_all()
        return record

    def _connect(self):
        """Do all the steps; return the phone that is offered and the first order, which has left."""
        self._make_key()
        phone = self._make_phone("PHONE", 5)
        self._log_poll(offers=1)
        self.company.iused_webhook_tested_at = fields.Datetime.now()
        order = self._receive(self._make_order(phone))
        self._deliver(order)
        order.iused_update_ids.sudo().write({"state": "sent"})
        return phone, order


@tagged("post_install", "-at_install")
class TestOverview(OverviewCase):
    # Getting connected -----------------------------------------------------------------------------------------

    def test_nothing_configured_shows_every_step_and_no_health(self):
        company = self._make_company("New refurbisher")
        self.env.user.company_ids |= company
        page = self.env["iused.overview"].with_company(company).get_overview()
        self.assertEqual([step["name"] for step in page["steps"]], STEPS)
        self.assertFalse(any(step["done"] for step in page["steps"]))
        self.assertEqual((page["company"], page["health"]), ("New refurbisher", []))
        self.assertEqual(page["summary"]["kind"], "open")
        self.assertIn("0 of 5", page["summary"]["text"])
        self.assertEqual([count["value"] for count in page["counts"]], [0] * 5)

    def test_each_step_is_done_by_what_it_asks_for(self):
        self.company.sudo().iused_webhook_url = False

        def done():
            return [step["name"] for step in self._page()["steps"] if step["done"]]

        self.assertEqual(done(), [])
        self._make_key()
        self.assertEqual(done(), ["token"])
        self.assertEqual(self._page()["health"], [], "nothing has happened yet")
        phone = self._make_phone("PHONE", 5)
        self.assertEqual(done(), ["token", "products"])
        self._log_poll(status=400, detail="limit")
        self.assertEqual(done(), ["token", "products"], "a poll that failed has fetched nothing")
        self._log_poll()
        self._log_poll(status=400, detail="limit")
        self.assertEqual(done(), ["token", "products", "share"], "it had the offers before")
        self.company.sudo().iused_webhook_url = "https://iused.example/webhook"
        self.assertEqual(done(), ["token", "products", "share"], "set is not tested")
        self.company.iused_webhook_tested_at = fields.Datetime.now()
        self.assertEqual(done(), ["token", "products", "share", "test"])
        self._receive(self._make_order(phone))
        self.assertEqual(self._page()["steps"], [], "nothing is left to do")

    def test_another_webhook_has_to_be_tested_again(self):
        self._connect()
        self.company.iused_webhook_tested_at = fields.Datetime.now()
        self.env["iused.shipment.update"].search([]).unlink()
        self.company.sudo().iused_webhook_url = "https://iused.example/another"
        self.assertFalse(self.company.iused_webhook_tested_at)
        self.assertEqual([step["name"] for step in self._page()["steps"] if not step["done"]], ["test"])

    def test_update_that_iused_accepted_is_a_test_too(self):
        self._connect()
        self.company.iused_webhook_tested_at = False
        self.assertEqual(self._page()["steps"], [])

    def test_upload_stands_in_for_a_poll(self):
        self._make_key()
        location = self.env["iused.sftp.location"].create(
            {"company_id": self.company.id, "enabled": True, "host": "sftp.iused.example", "username": "us"}
        )
        self.assertFalse(self._named(self._page()["steps"])["share"]["done"])
        location.last_upload = fields.Datetime.now()
        page = self._page()
        self.assertTrue(self._named(page["steps"])["share"]["done"])
        self.assertNotIn("poll", self._named(page["health"]), "nobody waits for polls of who uploads")
        self.assertEqual(self._named(page["health"])["upload"]["state"], "ok")

    def test_revoked_token_is_to_be_made_again(self):
        self._connect()
        self.env["res.users.apikeys"].search([("user_id", "=", self.iused_user.id)]).unlink()
        page = self._page()
        self.assertEqual([step["name"] for step in page["steps"] if not step["done"]], ["token"])
        self.assertEqual([row["name"] for row in page["health"]], ["access"])

    # Health ----------------------------------------------------------------------------------------------------

    def test_all_is_well_and_quiet(self):
        self._connect()
        page = self._page()
        self.assertEqual(page["summary"], {"kind": "well", "text": "All is well"})
        self.assertEqual(page["steps"], [])
        self.assertEqual([row["name"] for row in page["health"]], ["poll", "order", "open", "offers"])
        self.assertEqual({row["state"] for row in page["health"]}, {"ok"})
        self.assertFalse(any(count["kind"] for count in page["counts"]))

    def test_what_is_beyond_its_limit_is_said_in_words(self):
        phone, order = self._connect()
        self._log_poll(hours=3)
        self._move_back(order, days=8)
        late = self._move_back(self._receive(self._make_order(phone)), days=7, hours=1)
        self.company.iused_watch_offers = 2
        page = self._page()
        rows = self._named(page["health"])
        self.assertEqual({row["state"] for row in rows.values()}, {"trouble"})
        self.assertEqual(page["summary"], {"kind": "trouble", "text": "4 things need attention"})
        self.assertEqual(rows["poll"]["value"], "3 hours ago")
        self.assertIn("at least every 2 hours", rows["poll"]["note"])
        self.assertIn(late.name, rows["open"]["note"])
        self.assertIn("48 hours", rows["open"]["note"])
        self.assertIn("1 offers", rows["offers"]["note"])
        self.assertIn("7 days", rows["order"]["note"])

    def test_failed_poll_is_told_with_its_answer(self):
        self._connect()
        self._log_poll(status=400, detail="limit: It must be a whole number.")
        row = self._named(self._page()["health"])["poll"]
        self.assertEqual(row["state"], "trouble")
        self.assertIn("(HTTP 400): limit: It must be", row["note"])

    def test_stopped_sending_is_a_trouble(self):
        self._connect()
        self.company.iused_sending_stopped = "401 Unauthorized"
        page = self._page()
        self.assertEqual(self._named(page["health"])["sending"]["note"], "401 Unauthorized")
        self.assertEqual(page["summary"]["text"], "One thing needs attention")

    # Numbers and the lists behind them -------------------------------------------------------------------------

    def test_each_number_opens_a_list_of_as_many(self):
        phone, _order = self._connect()
        self._make_phone("SOLD-OUT")
        self._make_phone("NO-PRICE", 1, iused_purchase_price=0)
        self._make_phone("ARCHIVED", 1, active=False)
        orders = [self._receive(self._make_order(phone)) for _number in range(3)]
        for order in orders:
            self._deliver(order)
        self._move_back(orders[0], days=2)
        orders[0].iused_update_ids.sudo().state = "stopped"
        orders[1].iused_update_ids.sudo().state = "retry"
        counts = self._named(self._page()["counts"])
        self.assertEqual(
            {name: count["value"] for name, count in counts.items()},
            {"ready": 2, "not_ready": 1, "orders_today": 3, "untold": 2 - 1 + 1, "stopped": 1},
        )
        self.assertEqual((counts["not_ready"]["kind"], counts["stopped"]["kind"]), ("warning", "danger"))
        for name, count in counts.items():
            with self.subTest(name):
                action = self.env["iused.overview"].with_user(self.seller).open_door(count["door"])
                records = self.env[action["res_model"]].with_user(self.seller).search_count(action["domain"])
                self.assertEqual(records, count["value"])

    def test_today_is_the_users_own_day(self):
        _phone, order = self._connect()
        overview = self.env["iused.overview"].with_context(tz="Pacific/Auckland")
        now = fields.Datetime.context_timestamp(overview, fields.Datetime.now())
        self._move_back(order, hours=now.hour, minutes=now.minute + 1)
        self.assertEqual(self._named(overview.get_overview()["counts"])["orders_today"]["value"], 0)
        self._move_back(order, hours=now.hour)
        self.assertEqual(self._named(overview.get_overview()["counts"])["orders_today"]["value"], 1)

    # Who sees what ---------------------------------------------------------------------------------------------

    def test_each_user_gets_the_page_and_only_the_buttons_that_work(self):
        self._connect()
        self.company.sudo().iused_webhook_url = "https://iused.example/another"
        self.env["iused.shipment.update"].search([]).unlink()
        self.company.iused_sending_stopped = "401 Unauthorized"
        admin = self.env.ref("base.user_admin")
        admin.write({"company_ids": [Command.link(self.company.id)], "company_id": self.company.id})
        expected = self._page(admin)
        for user, doors in (
            (admin, {"test", "settings", *SALES_DOORS, "polls", "untold"}),
            (self.seller, {*SALES_DOORS, "polls", "untold"}),
            (self.warehouse_user, {"polls", "untold"}),
        ):
            with self.subTest(user.login):
                page = self._page(user)
                rows = page["steps"] + page["health"] + page["counts"]
                self.assertEqual({row["door"] for row in rows} - {False}, doors | {"stopped"})
                for part in ("health", "counts"):
                    self.assertEqual(
                        [row.get("value") for row in page[part]], [row.get("value") for row in expected[part]]
                    )
                for door in {row["door"] for row in rows} - {False, "settings", "test"}:
                    action = self.env["iused.overview"].with_user(user).open_door(door)
                    model = self.env[action["res_model"]].with_user(user)
                    model.search(action.get("domain") or []).read(["display_name"])
        note = self._named(self._page(self.seller)["steps"])["test"]["note"]
        self.assertEqual(note, "Your administrator does this.")

    def test_others_do_not_get_in(self):
        accountant = self._new_user("accountant", "account.group_account_invoice")
        for call in (lambda overview: overview.get_overview(), lambda overview: overview.open_door("untold")):
            with self.assertRaises(AccessError):
                call(self.env["iused.overview"].with_user(accountant))

    def test_doors_are_closed_to_who_may_not_open_them(self):
        overview = self.env["iused.overview"]
        for user, door in (
            (self.warehouse_user, "ready"),
            (self.warehouse_user, "share"),
            (self.seller, "token"),
            (self.seller, "settings"),
            (self.seller, "sftp"),
            (self.env.user, "unlink"),
        ):
            with self.subTest(f"{user.login} {door}"), self.assertRaises(AccessError):
                overview.with_user(user).open_door(door)

    def test_companies_do_not_see_each_other(self):
        self._connect()
        other = self._make_company("Other refurbisher")
        seller = self._new_user("other", "sales_team.group_sale_salesman_all_leads", company=other)
        seller_overview = self.env["iused.overview"].with_context(allowed_company_ids=other.ids).with_user(seller)
        page = seller_overview.get_overview()
        self.assertEqual((page["company"], page["health"]), ("Other refurbisher", []))
        self.assertEqual([count["value"] for count in page["counts"]], [0] * 5)
        self._make_key(other)
        self._log_poll(status=500, company=other, detail="An error")
        self.assertEqual(self._named(seller_overview.get_overview()["health"])["poll"]["state"], "trouble")
        self.assertEqual(self._page(self.seller)["summary"]["kind"], "well")

    def test_page_of_two_chosen_companies_is_that_of_the_first(self):
        self._connect()
        other = self._make_company("Other refurbisher")
        self.seller.company_ids |= other
        overview = self.env["iused.overview"].with_user(self.seller)
        overview = overview.with_context(allowed_company_ids=[other.id, self.company.id])
        self.assertEqual(overview.get_overview()["company"], "Other refurbisher")
        self.assertEqual(self._named(overview.get_overview()["counts"])["orders_today"]["value"], 0)
        action = overview.open_door("orders")
        self.assertFalse(overview.env["sale.order"].search(action["domain"]))

    # Cost ------------------------------------------------------------------------------------------------------

    def test_queries_do_not_grow_with_the_catalogue(self):
        phone, _order = self._connect()
        for _number in range(2):
            self._receive(self._make_order(phone))

        def count():
            self._page()
            self.env.invalidate_all()
            before = self.env.cr.sql_log_count
            self.env["iused.overview"].get_overview()
            return self.env.cr.sql_log_count - before

        count()  # what Odoo keeps in memory is read once
        few = count()
        for number in range(30):
            self._make_phone(f"PHONE-{number}", 1, iused_purchase_price=number % 2)
        phone = self._make_phone("BEST-SELLER", 20)
        for _number in range(10):
            self._receive(self._make_order(phone))
            self._log_poll()
        self.assertEqual(count(), few)
        self.assertLess(few, 60)


@tagged("post_install", "-at_install")
class TestOverviewHttp(IusedHttpCase):
    def test_page_is_served_by_a_connection_that_only_reads(self):
        self._new_user("seller", "sales_team.group_sale_salesman_all_leads")
        self._make_phone("PHONE", 1)
        self._call("GET", "/offers")
        modes = []
        overview = self.registry["iused.overview"]
        original = overview._read_facts

        def spy(model, company):
            model.env.cr.execute("SHOW transaction_read_only")
            modes.append(model.env.cr.fetchone()[0])
            return original(model, company)

        self.patch(overview, "_read_facts", spy)
        self.authenticate("seller", "seller")
        page = self.make_jsonrpc_request(
            "/web/dataset/call_kw/iused.overview/get_overview",
            {"model": "iused.overview", "method": "get_overview", "args": [], "kwargs": {}},
        )
        self.assertEqual(modes, ["on"])
        self.assertEqual({row["name"]: row["state"] for row in page["health"]}["poll"], "ok")
