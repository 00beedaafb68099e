"""A key works from the networks that the company lists; the log names the key and the address of each call."""

from lxml import etree

from odoo.exceptions import ValidationError
from odoo.tests import tagged

from ..models.iused_exchange import MOST_OUTSIDE_OF_ADDRESS
from ..tools.networks import allows, parse_networks, read_address
from .common import IusedHttpCase, ProxiedMixin
from .test_overview import OverviewCase

STATUSES = ("401", "403", "429")
LISTED = "203.0.113.0/24, 2001:db8:1::/48"


@tagged("post_install", "-at_install")
class TestNetworks(ProxiedMixin, IusedHttpCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.phone = cls._make_phone("PHONE", 5)

    def _rows(self):
        return self.env["iused.exchange"].search([("company_id", "=", self.company.id)])

    def test_only_listed_networks_are_let_in(self):
        self.company.iused_networks = f"{LISTED}\n198.51.100.7 ::ffff:192.0.2.0/120"
        for address, status in (
            ("203.0.113.9", 200),
            ("::ffff:203.0.113.9", 200),
            ("198.51.100.7", 200),
            ("192.0.2.200", 200),
            ("2001:db8:1:2::3", 200),
            ("198.51.100.8", 403),
            ("2001:db8:2::3", 403),
            ("unknown", 403),
            ("203.0.113.9:4711", 403),
        ):
            with self.subTest(address=address):
                self.assertEqual(self._call_from(address, "GET", "/offers").status_code, status)

    def test_without_a_list_a_key_works_from_anywhere(self):
        for networks in (False, "", " \n,"):
            with self.subTest(networks=networks):
                self.company.iused_networks = networks
                self.assertEqual(self._call_from("198.51.100.7", "GET", "/offers").status_code, 200)

    def test_address_is_taken_from_a_proxy_alone(self):
        self.company.iused_networks = "203.0.113.9"
        headers = {"X_Forwarded_For": "203.0.113.9", "X_Forwarded_Host": "127.0.0.1"}
        self.assertProblem(self._call("GET", "/offers", **headers), 403)
        self.assertProblem(self._call_from("203.0.113.9, 198.51.100.7", "GET", "/offers"), 403)

    def test_every_route_is_closed_from_elsewhere_and_nothing_is_done(self):
        self.company.iused_networks = LISTED
        order = self._make_order(self.phone)
        reference = order["order_id"]
        self.assertEqual(self._call_from("203.0.113.9", "POST", "/orders", data=order).status_code, 201)
        for method, path, data in (
            ("GET", "/offers?token=" + self.key, None),
            ("GET", "/openapi.json", None),
            ("GET", f"/orders/{reference}", None),
            ("POST", "/orders", self._make_order(self.phone)),
            ("PATCH", f"/orders/{reference}", {"status": "cancelled"}),
        ):
            with self.subTest(method=method, path=path):
                before = self._rows()
                problem = self.assertProblem(self._call_from("198.51.100.7", method, path, data=data), 403)
                self.assertIn("198.51.100.7", problem["detail"])
                row = self._rows() - before
                self.assertEqual((row.kind, row.status, row.method), ("outside", 403, method))
                self.assertEqual((row.key_name, row.remote_address), ("test", "198.51.100.7"))
                self.assertEqual(row.path, f"/iused/v1{path.partition('?')[0]}")
                self.assertIn("198.51.100.7", row.problem)
                self.assertFalse(row.request_body, "who has no business here fills no log")
        orders = self.env["sale.order"].search([("company_id", "=", self.company.id)])
        self.assertEqual((orders.iused_reference, orders.state), (reference, "sale"))

    def test_document_for_iuseds_it_tells_of_both_refusals(self):
        for path, item in self._call("GET", "/openapi.json").json()["paths"].items():
            for method in ("get", "put", "post", "patch"):
                with self.subTest(path=path, method=method):
                    self.assertLessEqual(set(STATUSES), set(item.get(method, {}).get("responses", STATUSES)))

    def test_stranger_learns_nothing(self):
        self.company.iused_networks = LISTED
        self.assertProblem(self._call_from("198.51.100.7", "GET", "/offers", key="wrong"), 401)
        self.assertFalse(self._rows())

    def test_calls_from_elsewhere_do_not_fill_the_log_nor_count_as_polls_or_refusals(self):
        self.company.iused_networks = LISTED
        exchanges = self.env["iused.exchange"]
        for _call in range(MOST_OUTSIDE_OF_ADDRESS + 2):
            self._call_from("198.51.100.7", "GET", "/offers")
        self.assertEqual(len(self._rows()), MOST_OUTSIDE_OF_ADDRESS)
        self._call_from("198.51.100.8", "POST", "/orders", data={})
        self.assertEqual(len(self._rows()), MOST_OUTSIDE_OF_ADDRESS + 1, "another address is seen all the same")
        self.assertFalse(exchanges._last_poll(self.company))
        self.assertEqual(exchanges._count_refusals_today(self.company), 0)

    def test_call_from_elsewhere_is_not_a_use_of_the_token(self):
        self.company.iused_networks = LISTED
        self._call_from("198.51.100.7", "GET", "/offers")
        token = self.env["res.config.settings"].create({}).iused_token_ids
        self.assertFalse(token.iused_last_use)

    def test_settings_take_networks_and_show_where_calls_came_from(self):
        self._call_from("203.0.113.9", "GET", "/offers")
        self._call_from("2001:DB8:1::3", "POST", "/orders", data=self._make_order(self.phone))
        settings = self.env["res.config.settings"].create({"iused_networks": LISTED})
        settings.execute()
        self.assertEqual(self.company.iused_networks, LISTED)
        self._call_from("198.51.100.7", "GET", "/offers")
        settings = self.env["res.config.settings"].create({})
        self.assertEqual(settings.iused_seen_addresses, "2001:db8:1::3, 203.0.113.9")

    def test_senseless_entries_are_refused_by_name(self):
        for entry in ("203.0.113", "203.0.113.9/24", "203.0.113.0/33", "iused.nl", "2001:db8::1/48", "10.0.0.1-9"):
            with self.subTest(entry), self.assertRaisesRegex(ValidationError, entry):
                self.company.iused_networks = f"198.51.100.7, {entry}"


@tagged("post_install", "-at_install")
class TestCallersInTheLog(ProxiedMixin, IusedHttpCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.phone = cls._make_phone("PHONE", 5)
        keys = cls.env["res.users.apikeys"].with_user(cls.iused_user).sudo()
        cls.new_key = keys._generate("iused", "iUsed production", None)

    def test_each_row_names_the_key_and_the_address(self):
        order = self._make_order(self.phone)
        for method, path, data, status in (
            ("GET", "/offers", None, 200),
            ("GET", "/offers?limit=x", None, 400),
            ("POST", "/orders", order, 201),
            ("POST", "/orders", order, 200),
            ("POST", "/orders", {**order, "lines": []}, 422),
            ("POST", "/orders", {**order, "lines": self._make_order((self.phone, 2))["lines"]}, 409),
        ):
            for key, name, address in (
                (self.key, "test", "203.0.113.9"),
                (self.new_key, "iUsed production", "2001:db8::7"),
            ):
                with self.subTest(method=method, status=status, key=name):
                    answer = self._call_from(address, method, path, data=data, key=key)
                    self.assertIn(answer.status_code, (status, 200))
                    row = self.env["iused.exchange"].search([("company_id", "=", self.company.id)], limit=1)
                    self.assertEqual((row.status, row.key_name), (answer.status_code, name))
                    self.assertEqual(row.remote_address, address)
        found = self.env["iused.exchange"].search([("key_name", "ilike", "production")])
        self.assertEqual(set(found.mapped("remote_address")), {"2001:db8::7"})
        for kind in ("list", "form", "search"):
            fields = self.env["iused.exchange"].get_view(view_type=kind)["models"]["iused.exchange"]
            self.assertLessEqual({"key_name", "remote_address"}, set(fields), kind)

    def test_what_a_person_processes_again_came_from_nowhere(self):
        order = self._make_order(self.phone)
        self.phone.iused_offered = False
        self.phone.iused_purchase_price = 0
        self.assertProblem(self._call_from("203.0.113.9", "POST", "/orders", data=order), 422, "/lines/0/sku")
        refused = self.env["iused.exchange"].search([("state", "=", "refused")], limit=1)
        self.phone.write({"iused_offered": True, "iused_purchase_price": 199})
        refused.action_process_again()
        accepted = self.env["iused.exchange"].search([("state", "=", "accepted")], limit=1)
        self.assertEqual((accepted.processed_by_id, accepted.remote_address), (self.env.user, False))

    def test_a_call_costs_no_further_query(self):
        """The name comes with the query that looks for the key's scope, the list with the company's other settings."""
        keys = self.env["res.users.apikeys"]
        with self.assertQueryCount(2):
            self.assertEqual(keys._iused_check(self.key), (self.iused_user.id, "test"))
        self.env.flush_all()
        self.env.invalidate_all()
        with self.assertQueryCount(1):
            company = self.company.sudo()
            self.assertEqual(company.iused_user_id.id, self.iused_user.id)
            self.assertFalse(company.iused_networks)


@tagged("post_install", "-at_install")
class TestOutsideIsSeen(ProxiedMixin, IusedHttpCase, OverviewCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.company.iused_responsible_id = cls.seller
        cls.company.iused_networks = LISTED
        cls.env["iused.trouble"].search([]).unlink()

    def _watch(self):
        self._run_cron("watch")
        return self.env["iused.trouble"].search(
            [("company_id", "=", self.company.id), ("ended_at", "=", False), ("kind", "=", "outside")]
        )

    def _steal(self, address="198.51.100.7"):
        self.assertProblem(self._call_from(address, "GET", "/offers"), 403)

    def test_it_is_told_once_and_looked_for_at_once(self):
        triggers = self.env["ir.cron.trigger"].search_count([])
        self._steal()
        self._steal()
        self.assertEqual(self.env["ir.cron.trigger"].search_count([]), triggers + 1, "once, not for each call")
        trouble = self._watch()
        activity = trouble.activity_ids
        self.assertEqual((len(activity), activity.user_id), (1, self.seller))
        for words in ("“test” was used from 198.51.100.7, which is not in the list", "known to others"):
            self.assertIn(words, activity.note)
        self._steal()
        self._steal("198.51.100.8")
        self.assertEqual(self._watch().activity_ids, activity)
        self.assertIn("198.51.100.8, 198.51.100.7", activity.note)

    def test_the_page_shows_it_and_leads_to_the_calls(self):
        self._steal()
        self._steal("198.51.100.8")
        for user in (self.seller, self.warehouse_user, self.env.user):
            with self.subTest(user=user.login):
                row = self._named(self._page(user)["health"])["outside"]
                self.assertEqual((row["state"], row["value"]), ("trouble", "2"))
                self.assertIn("198.51.100.8, 198.51.100.7", row["note"])
        action = self.env["iused.overview"].open_door(row["door"])
        calls = self.env["iused.exchange"].search(action["domain"])
        self.assertEqual(calls.mapped("remote_address"), ["198.51.100.8", "198.51.100.7"])

    def test_the_list_of_the_calls_tells_address_and_token_without_a_click(self):
        self._steal()
        action = self.env["iused.overview"].open_door("outside")
        views = {kind: view_id for view_id, kind in action["views"]}
        arch = self.env["iused.exchange"].get_view(views["list"], "list")["arch"]
        shown = [field.get("name") for field in etree.fromstring(arch).iter("field") if field.get("optional") != "hide"]
        self.assertLessEqual({"remote_address", "key_name"}, set(shown))
        self.assertIn("form", views)

    def test_who_locked_iused_out_by_a_proxy_is_told_why(self):
        self._call("GET", "/offers")
        self.assertIn("proxy_mode", self._watch().detail)
        self._steal()
        self.assertIn("proxy_mode", self._watch().detail)

    def test_it_is_over_once_the_address_is_listed(self):
        self._steal()
        self.assertTrue(self._watch())
        self.company.iused_networks = f"{LISTED}, 198.51.100.7"
        self.assertFalse(self._watch())

    def test_it_is_over_once_the_key_is_revoked_though_the_next_has_its_name(self):
        self._steal()
        self.assertTrue(self._watch())
        calls = self.env["iused.exchange"].search([("kind", "=", "outside")])
        self._move_back(calls, minutes=5)
        self.env["res.users.apikeys"].search([("user_id", "=", self.iused_user.id)])._remove()
        self._make_key()
        self.assertFalse(self._watch())

    def test_it_is_over_after_a_quiet_week(self):
        self._steal()
        key = self.env["res.users.apikeys"].search([("user_id", "=", self.iused_user.id)])
        self.env.cr.execute(
            "UPDATE res_users_apikeys SET create_date = create_date - INTERVAL '30 days' WHERE id = %s", [key.id]
        )
        calls = self.env["iused.exchange"].search([("kind", "=", "outside")])
        self._move_back(calls, days=6)
        self.assertTrue(self._watch())
        self._move_back(calls, days=8)
        self.assertFalse(self._watch())

    def test_other_companies_do_not_hear_of_it(self):
        other = self._make_company("Other refurbisher")
        self._make_key(other)
        other.iused_networks = LISTED
        self._steal()
        self.env.flush_all()
        self.assertFalse(self.env["iused.exchange"]._outside_calls(other))
        self.assertTrue(self.env["iused.exchange"]._outside_calls(self.company))


@tagged("post_install", "-at_install")
class TestReadingNetworks(IusedHttpCase):
    def test_words_are_separated_by_whatever_people_type(self):
        networks = parse_networks("203.0.113.9,198.51.100.0/24;\n\t 2001:db8::/32\r\n")
        self.assertEqual([str(net) for net in networks], ["203.0.113.9/32", "198.51.100.0/24", "2001:db8::/32"])

    def test_ipv4_counts_as_such_also_where_it_is_written_as_ipv6(self):
        self.assertEqual(str(read_address("::ffff:203.0.113.9")), "203.0.113.9")
        self.assertEqual([str(net) for net in parse_networks("::ffff:203.0.113.0/120")], ["203.0.113.0/24"])
        # A network that holds more than what is mapped is one of IPv6.
        self.assertFalse(allows(parse_networks("::fffe:0:0/95"), read_address("203.0.113.9")))

    def test_what_is_no_address_is_text_of_bounded_length_and_in_no_network(self):
        for text in (None, "", "unknown", "\0\n" * 100, "x" * 10_000):
            address = read_address(text)
            with self.subTest(address):
                self.assertLessEqual(len(str(address)), 64)
                self.assertTrue(str(address).isprintable())
                self.assertFalse(allows(parse_networks("0.0.0.0/0, ::/0"), address))
