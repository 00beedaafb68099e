"""The offer feed: what is in it, and how it is answered."""

import io

from odoo import Command
from odoo.tests import tagged

from .common import IusedCase, IusedHttpCase


@tagged("post_install", "-at_install")
class TestOffers(IusedHttpCase):
    def test_offer_has_the_fields_of_the_guide(self):
        phone = self._make_phone("IP13-A", 3, name='iPhone 13 "Midnight"', barcode="4006381333931")
        self.assertEqual(phone.barcode, "4006381333931")
        self.assertEqual(
            self._offers()["IP13-A"],
            {
                "sku": "IP13-A",
                "name": 'iPhone 13 "Midnight"',
                "ean": "4006381333931",
                "stock_available": 3,
                "price_purchase_amount": 199.0,
                "price_consumer_amount": 249.0,
                "currency": "EUR",
            },
        )

    def test_no_offers_is_an_empty_array(self):
        answer = self._call("GET", "/offers")
        self.assertEqual((answer.status_code, answer.json()), (200, []))

    def test_sold_out_offer_stays_with_zero(self):
        self._make_phone("SOLD-OUT", 0)
        self.assertEqual(self._offers()["SOLD-OUT"]["stock_available"], 0)

    def test_incomplete_or_withdrawn_products_are_left_out(self):
        self._make_phone("COMPLETE")
        self._make_phone("WITHDRAWN", iused_offered=False)
        self._make_phone(False)
        self._make_phone("NO-EAN", barcode=False)
        self._make_phone("NO-PURCHASE-PRICE", iused_purchase_price=0)
        self._make_phone("NO-CONSUMER-PRICE", iused_consumer_price=0)
        self._make_phone("NOT-STORED", is_storable=False, tracking="none")
        self._make_phone("ARCHIVED").active = False
        self.assertEqual(list(self._offers()), ["COMPLETE"])

    def test_own_ean_wins_over_the_barcode(self):
        first = self._make_phone("GRADE-A")
        self._make_phone("GRADE-B", barcode=False, iused_ean=first.barcode)
        offers = self._offers()
        self.assertEqual(offers["GRADE-A"]["ean"], offers["GRADE-B"]["ean"])

    def test_offers_are_ordered_by_sku(self):
        for sku in ("b", "B", "a-2", "A", "10", "9"):
            self._make_phone(sku)
        self.assertEqual(list(self._offers()), ["10", "9", "A", "B", "a-2", "b"])

    def test_offered_and_prices_are_each_companys_own(self):
        shared = self._make_phone("SHARED", company_id=False)
        other = self._make_company("Other refurbisher")
        other_key = self._make_key(other)
        self.assertEqual(self._call("GET", "/offers", key=other_key).json(), [])
        shared.with_company(other).write(
            {"iused_offered": True, "iused_purchase_price": 50, "iused_consumer_price": 60}
        )
        (offer,) = self._call("GET", "/offers", key=other_key).json()
        self.assertEqual((offer["price_purchase_amount"], offer["price_consumer_amount"]), (50.0, 60.0))
        self.assertEqual(self._offers()["SHARED"]["price_purchase_amount"], 199.0)

    def test_variants_are_named_by_their_attribute_values(self):
        attribute = self.env["product.attribute"].create(
            {"name": "Grade", "value_ids": [Command.create({"name": name}) for name in ("Grade A", "Grade B")]}
        )
        template = self.env["product.template"].create(
            {
                "name": "iPhone 12",
                "type": "consu",
                "is_storable": True,
                "tracking": "serial",
                "company_id": self.company.id,
                "attribute_line_ids": [
                    Command.create({"attribute_id": attribute.id, "value_ids": [Command.set(attribute.value_ids.ids)]})
                ],
            }
        )
        for variant, sku in zip(template.product_variant_ids, ("V-A", "V-B"), strict=True):
            variant.write(
                {
                    "default_code": sku,
                    "iused_ean": self._make_ean(),
                    "iused_offered": True,
                    "iused_purchase_price": 100,
                    "iused_consumer_price": 120,
                }
            )
        names = {sku: offer["name"] for sku, offer in self._offers().items()}
        self.assertEqual(names, {"V-A": "iPhone 12 (Grade A)", "V-B": "iPhone 12 (Grade B)"})

    def test_open_order_lowers_the_stock_at_once(self):
        phone = self._make_phone("PHONE", 3)
        self._receive(self._make_order(phone))
        self.assertEqual(self._offers()["PHONE"]["stock_available"], 2)

    def test_only_the_chosen_warehouses_are_offered(self):
        phone = self._make_phone("PHONE", 2)
        second = self.env["stock.warehouse"].create({"name": "Second", "code": "SEC", "company_id": self.company.id})
        self._put_in_stock(phone, 3, location=second.lot_stock_id)
        self.assertEqual(self._offers()["PHONE"]["stock_available"], 5)
        self.company.iused_warehouse_ids = second
        self.assertEqual(self._offers()["PHONE"]["stock_available"], 3)

    def test_unchanged_feed_304(self):
        phone = self._make_phone("PHONE", 2)
        first = self._call("GET", "/offers")
        again = self._call("GET", "/offers", If_None_Match=first.headers["ETag"])
        self.assertEqual((again.status_code, again.content), (304, b""))
        self._put_in_stock(phone, 1)
        changed = self._call("GET", "/offers", If_None_Match=first.headers["ETag"])
        self.assertEqual(changed.status_code, 200)
        self.assertNotEqual(changed.headers["ETag"], first.headers["ETag"])

    def test_head_is_get_without_the_body(self):
        self._make_phone("PHONE", 2)
        get, head = self._call("GET", "/offers"), self._call("HEAD", "/offers")
        self.assertEqual((head.status_code, head.content), (200, b""))
        for header in ("ETag", "Content-Type", "Content-Length"):
            self.assertEqual(head.headers[header], get.headers[header])

    def test_portal_finds_nothing_against_the_guide(self):
        self._make_phone("PHONE", 2)
        self._make_phone("ÜMLAUT-é", name='Näme with "quotes", \\ and 📱')
        feed = self._poll()
        self.assertEqual((feed.status, feed.problems, len(feed.offers)), (200, [], 2))


@tagged("post_install", "-at_install")
class TestOfferFields(IusedCase):
    def test_single_variant_template_shows_its_variants_offer(self):
        template = self.env["product.template"].create(
            {
                "name": "Phone",
                "iused_offered": True,
                "iused_purchase_price": 10.0,
                "iused_consumer_price": 12.0,
                "iused_ean": "4006381333931",
            }
        )
        variant = template.product_variant_id
        self.assertTrue(variant.iused_offered)
        self.assertEqual((variant.iused_purchase_price, variant.iused_consumer_price), (10.0, 12.0))
        self.assertEqual(variant.iused_ean, "4006381333931")
        template.iused_offered = False
        template.iused_purchase_price = 11.0
        self.assertFalse(variant.iused_offered)
        self.assertEqual(variant.iused_purchase_price, 11.0)

    def test_templates_are_found_by_being_offered(self):
        offered, withdrawn = self._make_phone("A"), self._make_phone("B", iused_offered=False)
        templates = (offered + withdrawn).product_tmpl_id
        found = self.env["product.template"].search([("id", "in", templates.ids), ("iused_offered", "=", True)])
        self.assertEqual(found, offered.product_tmpl_id)
        found = self.env["product.template"].search([("id", "in", templates.ids), ("iused_offered", "=", False)])
        self.assertEqual(found, withdrawn.product_tmpl_id)

    def test_feed_takes_as_many_queries_for_many_products_as_for_one(self):
        feed = self.env["iused.offer.feed"].with_user(self.iused_user)

        def count():
            self.env.flush_all()
            self.env.invalidate_all()
            before = self.cr.sql_log_count
            feed._write(feed._offers_query(self.company), io.BytesIO())
            return self.cr.sql_log_count - before

        self._make_phone("FIRST", 1)
        count()
        few = count()
        for number in range(50):
            self._make_phone(f"PHONE-{number:03d}", 1)
        count()
        self.assertEqual(count(), few)
