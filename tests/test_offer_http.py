"""The answer to a poll: pages, CSV, compression, conditional requests, and parameters that are refused."""

import csv
import gzip
import io
import json
from datetime import timedelta
from unittest.mock import patch

from odoo import Command
from odoo.http import request
from odoo.tests import tagged

from ..controllers.offers import OffersController
from .common import IusedHttpCase

NASTY = 'Nasty "quoted"; semi, comma\nnewline\r\\ \t ; 中文 العربية ёЖ é́ 📱 </script> \\. %s'


@tagged("post_install", "-at_install")
class TestOfferHttp(IusedHttpCase):
    def _get(self, query="", method="GET", **headers):
        # Identity unless asked: `requests` asks for gzip by itself.
        return self._call(method, f"/offers{query}", **{"Accept_Encoding": "identity", **headers})

    def _csv(self, answer):
        return list(csv.reader(io.StringIO(answer.content.decode(), newline=""), delimiter=";"))

    # Pages -----------------------------------------------------------------------------------------------------

    def test_pages_add_up(self):
        for number in range(7):
            self._make_phone(f"PHONE-{number}")
        whole = self._get()
        self.assertEqual(whole.headers["X-Total-Count"], "7")
        self.assertNotIn("Link", whole.headers)
        told, path = [], "/iused/v1/offers?limit=3"
        while path:
            answer = self._get(path.removeprefix("/iused/v1/offers"))
            self.assertEqual((answer.status_code, answer.headers["X-Total-Count"]), (200, "7"))
            told += answer.json()
            self.assertIn("last", answer.links)
            path = answer.links.get("next", {}).get("url")
        self.assertEqual(told, whole.json())

    def test_links(self):
        for number in range(5):
            self._make_phone(f"PHONE-{number}")
        links = self._get("?limit=2&page=2&format=csv&locale=nl_NL").links
        base = "/iused/v1/offers?limit=2&page={}&format=csv&locale=nl_NL"
        self.assertEqual(
            {rel: link["url"] for rel, link in links.items()},
            {rel: base.format(page) for rel, page in {"first": 1, "prev": 1, "next": 3, "last": 3}.items()},
        )
        beyond = self._get("?limit=2&page=9")
        self.assertEqual((beyond.status_code, beyond.json(), set(beyond.links)), (200, [], {"first", "prev", "last"}))

    def test_page_without_limit(self):
        self._make_phone("PHONE")
        answer = self._get("?page=1")
        self.assertEqual([offer["sku"] for offer in answer.json()], ["PHONE"])
        self.assertIn("limit=1000", answer.links["first"]["url"])

    # Formats ---------------------------------------------------------------------------------------------------

    def test_every_character_in_json_and_csv(self):
        for number, name in enumerate((NASTY, '"', ";", "\\", "\\.", "a\nb", "é", " ")):
            self._make_phone(f"PHONE-{number}", 1, name=name or "x")
        expected = {
            f"PHONE-{number}": name for number, name in enumerate((NASTY, '"', ";", "\\", "\\.", "a\nb", "é", " "))
        }
        offers = json.loads(self._get().content)
        self.assertEqual({offer["sku"]: offer["name"] for offer in offers}, expected)
        heading, *rows = self._csv(self._get("?format=csv"))
        self.assertEqual(heading, list(offers[0]))
        self.assertEqual({row[0]: row[1] for row in rows}, expected)

    def test_csv(self):
        phone = self._make_phone("PHONE", 2, iused_consumer_price=249.5)
        answer = self._get("?format=csv")
        self.assertEqual(answer.headers["Content-Type"], "text/csv; charset=utf-8; header=present")
        self.assertEqual(self._csv(answer)[1], ["PHONE", "Phone PHONE", phone.barcode, "2", "199.00", "249.50", "EUR"])
        dutch = self._get("?format=csv&locale=nl_NL")
        self.assertEqual(self._csv(dutch)[1][4:6], ["199,00", "249,50"])
        self.assertNotEqual(dutch.headers["ETag"], answer.headers["ETag"])

    def test_csv_of_nothing_is_its_heading(self):
        self.assertEqual(len(self._csv(self._get("?format=csv"))), 1)

    def test_name_in_the_chosen_language(self):
        self.env["res.lang"]._activate_lang("nl_NL")
        phone = self._make_phone("PHONE", name="Phone, black")
        phone.with_context(lang="nl_NL").name = "Telefoon, zwart"
        self.assertEqual(self._get().json()[0]["name"], "Phone, black")
        self.company.iused_lang = "nl_NL"
        self.assertEqual(self._get().json()[0]["name"], "Telefoon, zwart")

    # Refusals --------------------------------------------------------------------------------------------------

    def test_many_and_long_parameters_are_refused_in_few_words(self):
        many = "&".join(f"p{number}=1" for number in range(5000))
        for query, last in (
            (many, "… and 4,900 more faults."),
            ("%01" * 20_000, "is not known"),
            ("x" * 60_000, "known"),
        ):
            with self.subTest(query[:10]):
                answer = self._call("GET", f"/offers?{query}")
                self.assertEqual(answer.status_code, 400)
                self.assertLess(len(answer.content), 2**16)
                self.assertIn(last, answer.json()["errors"][-1]["detail"])
                row = self.env["iused.exchange"].search([], limit=1)
                self.assertEqual((row.kind, row.status), ("offers", 400))
                self.assertLessEqual(len(row.detail), 10_000)

    def test_parameters_that_are_refused(self):
        for query, names in {
            "?limit=0": ["limit"],
            "?limit=-1": ["limit"],
            "?limit=": ["limit"],
            "?limit=1e3": ["limit"],
            "?limit=100001": ["limit"],
            "?page=0": ["page"],
            "?page=x&limit=y": ["page", "limit"],
            "?format=xml": ["format"],
            "?format=csv&locale=nl": ["locale"],
            "?since=yesterday": ["since"],
            "?limit=1&limit=2": ["limit"],
            "?page=%D9%A1": ["page"],
        }.items():
            with self.subTest(query):
                answer = self._get(query)
                self.assertEqual(answer.status_code, 400, answer.text)
                self.assertEqual(answer.headers["Content-Type"], "application/problem+json")
                self.assertEqual([error["parameter"] for error in answer.json()["errors"]], names)
                self.assertTrue(all(error["detail"] for error in answer.json()["errors"]))

    def test_method_and_key(self):
        self.assertEqual(self._get(method="POST").status_code, 405)
        self.assertEqual(self._get(method="DELETE").headers["Allow"], "GET, HEAD")
        self.assertEqual(self._get(key="wrong").status_code, 401)

    # Headers ---------------------------------------------------------------------------------------------------

    def test_gzip(self):
        self._make_phone("PHONE", 2)
        plain = self._get()
        self.assertEqual((plain.headers.get("Content-Encoding"), plain.headers["Vary"]), (None, "Accept-Encoding"))
        for accepted in ("gzip", "br;q=1.0, gzip;q=0.8, *;q=0.1", "*"):
            packed = self._get(Accept_Encoding=accepted, method="HEAD")
            self.assertEqual((packed.headers["Content-Encoding"], packed.headers["Vary"]), ("gzip", "Accept-Encoding"))
            self.assertNotEqual(packed.headers["ETag"], plain.headers["ETag"])
        for refused in ("gzip;q=0", "br", ""):
            self.assertNotIn("Content-Encoding", self._get(Accept_Encoding=refused).headers)
        answer = self._call("GET", "/offers", Accept_Encoding="gzip")
        self.assertEqual(answer.content, plain.content, "`requests` unpacks it")
        raw = self.opener.get(
            f"{self.base_url()}/iused/v1/offers",
            headers={"Authorization": f"Bearer {self.key}", "Accept-Encoding": "gzip"},
            stream=True,
        ).raw.read(decode_content=False)
        self.assertEqual(gzip.decompress(raw), plain.content)
        self.assertEqual(len(raw), int(packed.headers["Content-Length"]))

    def test_if_none_match(self):
        self._make_phone("PHONE", 2)
        etag = self._get().headers["ETag"]
        for value in (etag, f'"other", {etag}', f"W/{etag}", "*"):
            for method in ("GET", "HEAD"):
                answer = self._get(method=method, If_None_Match=value)
                self.assertEqual((answer.status_code, answer.content), (304, b""), value)
                self.assertEqual((answer.headers["ETag"], answer.headers["Vary"]), (etag, "Accept-Encoding"))
        for value in ('"other"', etag.strip('"')[:-1]):
            self.assertEqual(self._get(If_None_Match=value).status_code, 200)
        for query in ("?limit=5", "?format=csv", "?limit=5&page=2"):
            self.assertEqual(self._get(query, If_None_Match=etag).status_code, 200, query)

    def test_poll_writes_nothing(self):
        self._make_phone("PHONE", 2)
        seen = []
        original = OffersController._read_parameters

        def spy(controller):
            request.env.cr.execute("SHOW transaction_read_only")
            seen.append((request.env.cr.readonly, *request.env.cr.fetchone()))
            return original(controller)

        self.patch(OffersController, "_read_parameters", spy)
        for query in ("", "?format=csv&limit=1"):
            answer = self._get(query)
            self.assertEqual(answer.status_code, 200)
            self.assertNotIn("Set-Cookie", answer.headers)
        self.assertEqual(seen, [(True, "on")] * 2, "served once each, on a read-only connection")


@tagged("post_install", "-at_install")
class TestOfferEtag(IusedHttpCase):
    """Whatever changes the feed changes its ETag; what does not, mostly leaves it."""

    def _etag(self):
        answer = self._call("HEAD", "/offers")
        self.assertEqual(answer.status_code, 200)
        return answer.headers["ETag"]

    def _changes(self, change, *args, **kwargs):
        before = self._etag()
        self.assertEqual(self._etag(), before)
        # In real life each change is a transaction of its own, with a time of its own.
        self.seconds += 1
        now = self.cr.now() + timedelta(seconds=self.seconds)
        with patch.object(type(self.cr), "now", lambda _cr: now):
            result = change(*args, **kwargs)
            self.env.flush_all()
        self.assertNotEqual(self._etag(), before)
        return result

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.seconds = 0
        cls.phone = cls._make_phone("PHONE", 5)

    def test_stock(self):
        phone = self.phone
        self._changes(self._put_in_stock, phone, 1)
        order = self._changes(self._receive, self._make_order(phone))
        picking = order.picking_ids
        self._changes(picking.do_unreserve)
        self._changes(picking.action_assign)
        self._changes(picking.action_cancel)
        shelf = self.env["stock.location"].create({"name": "Shelf", "location_id": self.warehouse.view_location_id.id})
        self._put_in_stock(phone, 2, location=shelf)
        self._changes(setattr, shelf, "location_id", self.stock)

    def test_product(self):
        phone = self.phone
        for name, value in {
            "name": "Renamed",
            "default_code": "OTHER",
            "barcode": self._make_ean(),
            "iused_ean": self._make_ean(),
            "iused_purchase_price": 1.5,
            "iused_consumer_price": 999,
            "iused_offered": False,
            "tracking": "lot",
        }.items():
            with self.subTest(name):
                self._changes(setattr, phone, name, value)
        phone.write({"iused_offered": True, "tracking": "serial"})
        self._changes(setattr, phone, "active", False)
        self._changes(self._make_phone, "NEW")

    def test_attribute_value(self):
        attribute = self.env["product.attribute"].create(
            {"name": "Grade", "value_ids": [Command.create({"name": name}) for name in ("A", "B")]}
        )
        self.phone.product_tmpl_id.attribute_line_ids = [
            Command.create({"attribute_id": attribute.id, "value_ids": [Command.set(attribute.value_ids.ids)]})
        ]
        self._changes(setattr, attribute.value_ids[0], "name", "Grade A")

    def test_settings(self):
        second = self.env["stock.warehouse"].create({"name": "Second", "code": "SEC", "company_id": self.company.id})
        self.env["res.lang"]._activate_lang("nl_NL")
        for name, value in {
            "iused_stock_buffer": 1,
            "iused_warehouse_ids": second,
            "iused_lang": "nl_NL",
            "iused_purchase_pricelist_id": self.env["product.pricelist"].create({"name": "List"}),
        }.items():
            with self.subTest(name):
                self._changes(setattr, self.company, name, value)

    def test_pricelist(self):
        usd = self.env.ref("base.USD")
        usd.active = True
        rate = self.env["res.currency.rate"].create(
            {"name": "2020-01-01", "rate": 1.1, "currency_id": usd.id, "company_id": self.company.id}
        )
        pricelist = self.env["product.pricelist"].create(
            {
                "name": "List",
                "currency_id": usd.id,
                "item_ids": [Command.create({"compute_price": "fixed", "fixed_price": 100})],
            }
        )
        self.company.write({"iused_purchase_pricelist_id": pricelist.id, "iused_consumer_pricelist_id": pricelist.id})
        self.phone.write({"iused_purchase_price": 0, "iused_consumer_price": 0})
        self._changes(setattr, pricelist.item_ids, "fixed_price", 90)
        self._changes(setattr, pricelist.item_ids, "date_end", "2020-01-01")
        self._changes(setattr, rate, "rate", 1.2)
        self._changes(setattr, self.phone, "list_price", 77)
        self._changes(
            setattr, self.phone.product_tmpl_id, "categ_id", self.env["product.category"].create({"name": "X"})
        )
        country = self.company.country_id.id
        group = self.env["account.tax.group"].create(
            {"name": "VAT", "company_id": self.company.id, "country_id": country}
        )
        tax = self.env["account.tax"].create(
            {
                "name": "VAT",
                "amount": 21,
                "price_include_override": "tax_included",
                "company_id": self.company.id,
                "country_id": country,
                "tax_group_id": group.id,
            }
        )
        self._changes(setattr, self.phone, "taxes_id", tax)
        self._changes(setattr, tax, "amount", 9)

    def test_rule_that_begins(self):
        pricelist = self.env["product.pricelist"].create(
            {
                "name": "List",
                "item_ids": [
                    Command.create({"compute_price": "fixed", "fixed_price": 1, "date_start": "2099-01-01 00:00:00"})
                ],
            }
        )
        self.company.iused_purchase_pricelist_id = pricelist
        # As if time had passed: nothing is written by Odoo when a rule begins.
        self._changes(
            self.env.cr.execute,
            "UPDATE product_pricelist_item SET date_start = '2020-01-01' WHERE pricelist_id = %s",
            [pricelist.id],
        )
