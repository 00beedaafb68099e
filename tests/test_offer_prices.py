"""Prices of an offer: the product's own, else what Odoo computes from the pricelist, without taxes, in our currency."""

import random

from odoo import Command
from odoo.tests import tagged
from odoo.tools import float_round

from .common import IusedCase


@tagged("post_install", "-at_install")
class TestOfferPrices(IusedCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.category = cls.env["product.category"].create({"name": "Phones"})
        cls.child_category = cls.env["product.category"].create({"name": "A grade", "parent_id": cls.category.id})
        cls.vat = cls.env["account.tax"].create(
            {
                "name": "21% incl.",
                "amount": 21,
                "price_include_override": "tax_included",
                "company_id": cls.company.id,
                "country_id": cls.company.country_id.id,
                "tax_group_id": cls.env["account.tax.group"]
                .create({"name": "VAT", "company_id": cls.company.id, "country_id": cls.company.country_id.id})
                .id,
            }
        )
        cls.usd = cls.env.ref("base.USD")
        cls.usd.active = True
        cls.env["res.currency.rate"].create(
            {"name": "2020-01-01", "rate": 1.0837, "currency_id": cls.usd.id, "company_id": cls.company.id}
        )

    def _prices(self):
        """Return the prices that iUsed is told, by SKU."""
        feed = self.env["iused.offer.feed"].with_user(self.iused_user)
        rows = self.env.execute_query(feed._ready_query(self.company.with_user(self.iused_user), None, 1))
        return {sku: (float(purchase), float(consumer)) for sku, *_rest, purchase, consumer in rows}

    def _make_pricelist(self, *rules, currency=None):
        return self.env["product.pricelist"].create(
            {
                "name": "List",
                "currency_id": (currency or self.company.currency_id).id,
                "company_id": self.company.id,
                "item_ids": [Command.create(rule) for rule in rules],
            }
        )

    def _use(self, pricelist):
        self.company.write(
            {"iused_purchase_pricelist_id": pricelist.id, "iused_consumer_pricelist_id": pricelist.id}
        )

    def _make_listed(self, sku, list_price, **values):
        """Return an offer without prices of its own."""
        return self._make_phone(
            sku, iused_purchase_price=0, iused_consumer_price=0, list_price=list_price, **values
        )

    def _plain(self, pricelist, product):
        """Return the price that Odoo computes, taxes taken out, in our currency."""
        price = pricelist._get_product_price(product, 1.0)
        price = pricelist.currency_id._convert(price, self.company.currency_id, self.company, round=False)
        taxes = product.taxes_id._filter_taxes_by_company(self.company)
        price = taxes._get_tax_details(price, 1.0, rounding_method="round_globally")["total_excluded"]
        return float_round(price, precision_digits=2)

    def test_own_price_wins_else_pricelist_else_not_ready(self):
        self._make_phone("OWN", list_price=500)
        self._make_listed("LISTED", 500)
        self.assertEqual(self._prices(), {"OWN": (199, 249)})
        self.company.iused_purchase_pricelist_id = self._make_pricelist(
            {"compute_price": "percentage", "percent_price": 20}
        )
        self.assertEqual(self._prices(), {"OWN": (199, 249)}, "there is no consumer price yet")
        self.company.iused_consumer_pricelist_id = self._make_pricelist()
        self.assertEqual(self._prices(), {"OWN": (199, 249), "LISTED": (400, 500)})

    def test_included_tax_is_taken_out(self):
        self._make_listed("INCLUDED", 121, taxes_id=[Command.set(self.vat.ids)])
        self._make_listed("EXCLUDED", 121)
        self._make_phone("OWN", taxes_id=[Command.set(self.vat.ids)])
        self._use(self._make_pricelist())
        self.assertEqual(self._prices(), {"INCLUDED": (100, 100), "EXCLUDED": (121, 121), "OWN": (199, 249)})

    def test_other_currency_is_converted(self):
        self._make_listed("PHONE", 0)
        self._use(self._make_pricelist({"compute_price": "fixed", "fixed_price": 108.37}, currency=self.usd))
        self.assertEqual(self._prices(), {"PHONE": (100, 100)})

    def test_chained_pricelist(self):
        self._make_listed("PHONE", 200)
        first = self._make_pricelist({"compute_price": "percentage", "percent_price": 50}, currency=self.usd)
        self._use(
            self._make_pricelist(
                {
                    "compute_price": "formula",
                    "base": "pricelist",
                    "base_pricelist_id": first.id,
                    "price_surcharge": 5,
                }
            )
        )
        self.assertEqual(self._prices(), {"PHONE": (105, 105)})

    def test_rules_that_are_over_or_need_more_pieces_do_not_count(self):
        self._make_listed("PHONE", 200)
        fixed = {"compute_price": "fixed", "fixed_price": 1}
        self._use(
            self._make_pricelist(
                {**fixed, "date_end": "2020-01-01"}, {**fixed, "date_start": "2120-01-01"}, {**fixed, "min_quantity": 2}
            )
        )
        self.assertEqual(self._prices(), {"PHONE": (200, 200)})

    def test_variants_extra_price(self):
        attribute = self.env["product.attribute"].create(
            {
                "name": "Memory",
                "value_ids": [Command.create({"name": "64"}), Command.create({"name": "128", "default_extra_price": 50})],
            }
        )
        template = self.env["product.template"].create(
            {
                "name": "Phone",
                "is_storable": True,
                "tracking": "serial",
                "list_price": 100,
                "taxes_id": False,
                "company_id": self.company.id,
                "attribute_line_ids": [
                    Command.create({"attribute_id": attribute.id, "value_ids": [Command.set(attribute.value_ids.ids)]})
                ],
            }
        )
        for variant, sku in zip(template.product_variant_ids, ("SMALL", "LARGE"), strict=True):
            variant.write({"default_code": sku, "iused_ean": self._make_ean(), "iused_offered": True})
        self._use(self._make_pricelist())
        self.assertEqual(self._prices(), {"SMALL": (100, 100), "LARGE": (150, 150)})

    def test_any_rules_as_odoo_computes_them(self):
        seed = random.randrange(10**6)
        chance = random.Random(seed)
        shared = {"company_id": False}
        products = [
            self._make_listed(
                f"PHONE-{number}",
                chance.randrange(100, 90000) / 100,
                standard_price=chance.randrange(50, 500),
                categ_id=chance.choice((self.category, self.child_category, self.category.browse())).id,
                taxes_id=[Command.set(chance.choice((self.vat.ids, [])))],
                **chance.choice(({}, shared)),
            )
            for number in range(12)
        ]
        for round_number in range(12):
            pricelists = self.env["product.pricelist"]
            for _list in range(2):
                pricelists |= self._make_pricelist(
                    *(self._random_rule(chance, products, pricelists) for _rule in range(chance.randrange(1, 9))),
                    currency=chance.choice((self.usd, None)),
                )
            self._use(pricelists[-1])
            expected = {product.default_code: self._plain(pricelists[-1], product) for product in products}
            got = self._prices()
            for product in products:
                if got.get(product.default_code, (0,))[0] != max(0, expected[product.default_code]):
                    rule = self.env["product.pricelist.item"].browse(pricelists[-1]._get_product_rule(product, 1.0))
                    print("DBG", product.default_code, got.get(product.default_code), expected[product.default_code], rule.read(["applied_on","compute_price","base","base_pricelist_id","price_discount","price_markup","price_round","price_surcharge","price_min_margin","price_max_margin","percent_price","fixed_price", "min_quantity"]), product.lst_price, product.standard_price, product.company_id, pricelists[-1].currency_id.name, product.taxes_id, [(r.id, r.applied_on, r.min_quantity, r.categ_id.id, r.product_tmpl_id.id, r.product_id.id) for r in pricelists[-1].item_ids.sorted()])
            with self.subTest(seed=seed, round=round_number):
                self.assertEqual(
                    self._prices(), {sku: (price, price) for sku, price in expected.items() if price > 0}
                )

    def _random_rule(self, chance, products, pricelists):
        product = chance.choice(products)
        scope = chance.choice(
            (
                {"applied_on": "3_global"},
                {"applied_on": "2_product_category", "categ_id": self.category.id},
                {"applied_on": "2_product_category", "categ_id": self.child_category.id},
                {"applied_on": "1_product", "product_tmpl_id": product.product_tmpl_id.id},
                {"applied_on": "0_product_variant", "product_id": product.id, "product_tmpl_id": product.product_tmpl_id.id},
            )
        )
        base = chance.choice(
            [{"base": "list_price"}, {"base": "standard_price"}]
            + [{"base": "pricelist", "base_pricelist_id": pricelist.id} for pricelist in pricelists]
        )
        price = chance.choice(
            (
                {"compute_price": "fixed", "fixed_price": chance.randrange(1, 90000) / 100},
                {"compute_price": "percentage", "percent_price": chance.randrange(-20, 60), **base},
                {
                    "compute_price": "formula",
                    **base,
                    "price_discount": chance.randrange(-20, 50),
                    "price_markup": chance.randrange(0, 50),
                    "price_round": chance.choice((0, 0.05, 1, 10)),
                    "price_surcharge": chance.choice((0, -0.01, 5)),
                    **chance.choice(({}, {"price_max_margin": 40}, {"price_min_margin": 3, "price_max_margin": 40})),
                },
            )
        )
        return {**scope, **price, "min_quantity": chance.choice((0, 1, 2))}
