"""Readiness: which offered products are served, and why the others are not."""

import random

from stdnum import ean as stdnum_ean

from odoo.tests import tagged

from ..models.iused_offer_feed import FAULTS
from ..tools.identifiers import is_ean
from .common import IusedCase

STRAY = ("A", " ", "\n", "-", "+", ".", "e", "\u00a0", "٣", "４", "²")


def random_ean(rng):
    """Return something like an EAN: about half are right, the others wrong in one of many ways."""
    length = rng.choice((8, 12, 13, 14) * 4 + tuple(range(1, 20)))
    digits = [rng.choice("0123456789") for _place in range(length)]
    zeros = rng.choice((0, 0, 0, length // 2, length))
    digits[:zeros] = "0" * zeros
    digits[-1] = stdnum_ean.calc_check_digit("".join(digits[:-1]))
    match rng.randrange(8):
        case 0:
            digits[rng.randrange(length)] = rng.choice("0123456789")
        case 1:
            digits[rng.randrange(length)] = rng.choice(STRAY)
        case 2:
            digits.insert(rng.randrange(length + 1), rng.choice(STRAY))
        case 3:
            place = rng.randrange(length - 1) if length > 1 else 0
            digits[place : place + 2] = digits[place : place + 2][::-1]
    return "".join(digits)


@tagged("post_install", "-at_install")
class TestOfferReadiness(IusedCase):
    def _faults(self, product):
        self.env.flush_all()
        return self.env["iused.offer.feed"]._faults(product).get(product.id)

    def _served(self):
        rows = self.env.execute_query(self.env["iused.offer.feed"]._ready_query(self.company, None, 1))
        return [row[0] for row in rows]

    def test_each_reason(self):
        texts = {code: self.env._(text) for code, text, _sql in FAULTS}
        for code, values in {
            "no_sku": {"default_code": False},
            "no_ean": {"barcode": False},
            "wrong_ean": {"barcode": "4006381333932"},
            "no_purchase_price": {"iused_purchase_price": 0},
            "no_consumer_price": {"iused_consumer_price": 0},
            "consumer_below_purchase": {"iused_consumer_price": 198.99},
            "not_serial": {"tracking": "lot"},
            "archived": {"active": False},
        }.items():
            with self.subTest(code):
                phone = self._make_phone(f"SKU-{code}", **({} if code == "archived" else values))
                if code == "archived":
                    phone.active = False
                self.assertEqual(self._faults(phone), [code])
                self.assertEqual(phone.iused_state, "not_ready")
                self.assertEqual(phone.iused_reasons, texts[code])
        self.assertEqual(self._served(), [])

    def test_every_reason_is_told(self):
        bare = self.env["product.product"].create(
            {"name": "Bare", "company_id": self.company.id, "iused_offered": True}
        )
        self.assertEqual(
            self._faults(bare),
            ["no_sku", "no_ean", "no_purchase_price", "no_consumer_price", "not_storable", "not_serial"],
        )
        self.assertEqual(bare.iused_reasons.count("."), 6)

    def test_ready(self):
        phone = self._make_phone("PHONE")
        self.assertEqual((phone.iused_state, phone.iused_reasons), ("ready", False))
        self.assertEqual(phone.product_tmpl_id.iused_state, "ready")
        phone.iused_offered = False
        self.assertEqual((phone.iused_state, phone.iused_reasons), (False, False))

    def test_sku_used_twice(self):
        first, second = self._make_phone("TWICE"), self._make_phone("TWICE")
        self._make_phone("ONCE")
        self.assertEqual((self._faults(first), self._faults(second)), (["sku_twice"], ["sku_twice"]))
        self.assertEqual(self._served(), ["ONCE"], "one bad product does not break the feed")
        second.iused_offered = False
        self.assertEqual((self._faults(first), self._faults(second)), ([], None))
        second.iused_offered = True
        second.active = False
        self.assertEqual((self._faults(first), self._faults(second)), ([], ["archived"]))

    def test_same_sku_in_another_company_is_no_matter(self):
        phone = self._make_phone("PHONE")
        other = self._make_company("Other")
        self._make_phone("PHONE", company_id=other.id).with_company(other).iused_offered = True
        self.assertEqual(self._faults(phone), [])

    def test_ean(self):
        phone = self._make_phone("PHONE", barcode=False)
        for ean, right in {
            "96385075": False,
            "96385074": True,
            "036000291452": True,
            "4006381333931": True,
            "14006381333938": True,
            "4006381333930": False,
            "0000000000000": False,
            "400638133393": False,
            "40063813339311": False,
            "4006381333931 ": False,
            "400638133393A": False,
            "４００６３８１３３３９３１": False,
            "1" * 40: False,
        }.items():
            with self.subTest(ean):
                phone.iused_ean = ean
                self.assertEqual(self._faults(phone), [] if right else ["wrong_ean"])

    def test_verdict_on_an_ean_is_that_of_is_ean(self):
        rng = random.Random(13)
        phones = self.env["product.product"].concat(
            *(self._make_phone(f"PHONE-{number}", barcode=False) for number in range(40))
        )
        verdicts = []
        for _round in range(50):
            for phone in phones:
                phone.iused_ean = random_ean(rng)
            self.env.flush_all()
            faults = self.env["iused.offer.feed"]._faults(phones)
            for phone in phones:
                right = is_ean(phone.iused_ean)
                self.assertEqual(faults[phone.id], [] if right else ["wrong_ean"], repr(phone.iused_ean))
                verdicts.append(right)
        self.assertGreater(verdicts.count(True), 500)
        self.assertGreater(verdicts.count(False), 500)

    def test_found_grouped_and_ordered_by_state(self):
        ready, lacking, idle = (
            self._make_phone("READY"),
            self._make_phone("LACKING", barcode=False),
            self._make_phone("IDLE", iused_offered=False),
        )
        all_of_them = ready + lacking + idle
        domain = [("id", "in", all_of_them.ids)]
        products = self.env["product.product"]
        self.assertEqual(products.search([*domain, ("iused_state", "=", "ready")]), ready)
        self.assertEqual(products.search([*domain, ("iused_state", "!=", "ready")]), lacking + idle)
        self.assertEqual(products.search([*domain, ("iused_state", "=", False)]), idle)
        self.assertEqual(products.search(domain, order="iused_state"), lacking + ready + idle)
        self.assertEqual(
            dict(products._read_group(domain, ["iused_state"], ["__count"])), {"ready": 1, "not_ready": 1, False: 1}
        )
        templates = self.env["product.template"].search(
            [("id", "in", all_of_them.product_tmpl_id.ids), ("iused_state", "=", "not_ready")]
        )
        self.assertEqual(templates, lacking.product_tmpl_id)

    def test_state_takes_one_query_for_a_page_of_products(self):
        phones = self.env["product.product"].concat(*(self._make_phone(f"PHONE-{number}") for number in range(20)))
        phones[0].iused_state  # noqa: B018 - what is cached once is not counted
        self.env.flush_all()
        self.env.invalidate_all()
        before = self.cr.sql_log_count
        self.assertEqual(set(phones.mapped("iused_state")), {"ready"})
        self.assertLess(self.cr.sql_log_count - before, 10)

    def test_bulk_actions(self):
        phones = self._make_phone("GOOD", iused_offered=False) + self._make_phone(
            "BAD", barcode=False, iused_offered=False
        )
        action = self.env.ref("sale_iused.action_offer_products").with_context(
            active_model="product.product", active_ids=phones.ids, active_id=phones[0].id
        )
        told = action.run()["params"]
        self.assertEqual(phones.mapped("iused_state"), ["ready", "not_ready"])
        self.assertEqual((told["title"], told["type"]), ("1 of 2 products are ready for iUsed", "warning"))
        self.assertIn("It has no EAN.", told["message"])
        self.assertNotIn("GOOD", told["message"])
        withdraw = self.env.ref("sale_iused.action_withdraw_templates").with_context(
            active_model="product.template",
            active_ids=phones.product_tmpl_id.ids,
            active_id=phones.product_tmpl_id[0].id,
        )
        withdraw.run()
        self.assertEqual(phones.mapped("iused_offered"), [False, False])
