"""What sales sees of the offers on products: the state in words, what iUsed is told, lists, filters, forms."""

from odoo import Command
from odoo.tests import Form, tagged

from .common import IusedCase


@tagged("post_install", "-at_install")
class TestProductScreens(IusedCase):
    def _make_variants(self):
        """Return a template with a ready and a lacking variant."""
        attribute = self.env["product.attribute"].create(
            {"name": "Grade", "value_ids": [Command.create({"name": "A"}), Command.create({"name": "B"})]}
        )
        template = self.env["product.template"].create(
            {
                "name": "Phone",
                "type": "consu",
                "is_storable": True,
                "tracking": "serial",
                "company_id": self.company.id,
                "attribute_line_ids": [
                    Command.create({"attribute_id": attribute.id, "value_ids": [Command.set(attribute.value_ids.ids)]})
                ],
            }
        )
        ready, lacking = template.product_variant_ids
        ready.write({"default_code": "GRADE-A", "barcode": self._make_ean()})
        lacking.write({"default_code": "GRADE-B"})
        template.product_variant_ids.write(
            {"iused_offered": True, "iused_purchase_price": 100, "iused_consumer_price": 120}
        )
        return template

    def _with_state(self, state, model="product.template"):
        return self.env[model].search([("iused_state", "=", state)])

    def test_product_with_variants_is_as_ready_as_the_least_ready(self):
        template = self._make_variants()
        ready, lacking = template.product_variant_ids
        self.assertEqual(template.iused_state, "not_ready")
        self.assertEqual(template.iused_reasons, f"{lacking.display_name}: {lacking.iused_reasons}")
        self.assertIn(template, self._with_state("not_ready"))
        self.assertNotIn(template, self._with_state("ready"))
        lacking.iused_offered = False
        self.assertEqual((template.iused_state, template.iused_reasons), ("ready", False))
        self.assertIn(template, self._with_state("ready"))
        self.assertNotIn(template, self._with_state("not_ready"))
        self.assertNotIn(template, self._with_state(False))
        ready.iused_offered = False
        self.assertFalse(template.iused_state)
        self.assertIn(template, self._with_state(False))
        self.assertNotIn(template, self._with_state("ready"))

    def test_columns_of_many_products_cost_no_query_for_each(self):
        """Templates, with one variant and with several."""
        phones = [self._make_phone(f"MANY-{number}").product_tmpl_id for number in range(12)]
        names = ("iused_state", "iused_reasons", "iused_stock", "iused_told_purchase_price")
        for templates in (phones, [self._make_variants() for _number in range(12)]):
            costs = []
            for some in (templates[:2], templates):
                self.env.flush_all()
                self.env.invalidate_all()
                before = self.env.cr.sql_log_count
                self.env["product.template"].concat(*some).read(names)
                costs.append(self.env.cr.sql_log_count - before)
            self.assertEqual(*costs)

    def test_variants_are_opened_as_offers(self):
        template = self._make_variants()
        action = template.action_iused_view_variants()
        self.assertEqual(action["res_model"], "product.product")
        self.assertEqual(action["context"]["search_default_product_tmpl_id"], template.id)

    def test_pieces_are_those_that_the_feed_tells(self):
        phone = self._make_phone("STOCK", 5)
        self._receive(self._make_order((phone, 2)))
        for keep, told in ((0, 3), (1, 2), (9, 0)):
            self.company.iused_stock_buffer = keep
            self.env.invalidate_all()
            self.assertEqual(phone.iused_stock, told)
            self.assertEqual(phone.product_tmpl_id.iused_stock, told)
            self.assertEqual(self._served(phone)["stock_available"], told)

    def test_prices_shown_are_those_that_the_feed_tells(self):
        pricelist = self.env["product.pricelist"].create(
            {
                "name": "iUsed",
                "currency_id": self.company.currency_id.id,
                "company_id": self.company.id,
                "item_ids": [Command.create({"compute_price": "fixed", "fixed_price": 88.5, "applied_on": "3_global"})],
            }
        )
        self.company.iused_purchase_pricelist_id = pricelist
        own, listed = self._make_phone("OWN"), self._make_phone("LISTED", iused_purchase_price=0)
        self.assertEqual((own + listed).mapped("iused_told_purchase_price"), [199, 88.5])
        self.assertEqual(listed.product_tmpl_id.iused_told_purchase_price, 88.5)
        for phone in own + listed:
            self.assertEqual(self._served(phone)["price_purchase_amount"], phone.iused_told_purchase_price)
            self.assertEqual(self._served(phone)["price_consumer_amount"], phone.iused_told_consumer_price)
        listed.iused_offered = False
        self.assertFalse(listed.iused_told_purchase_price, "iUsed is told nothing of it")

    def _served(self, phone):
        """Return the offer of a phone as iUsed reads it."""
        feed = self.env["iused.offer.feed"].with_company(self.company)
        rows = self.env.execute_query(feed._offers_query(self.company, "csv"))
        names = ("sku", "name", "ean", "stock_available", "price_purchase_amount", "price_consumer_amount")
        row = dict(zip(names, next(row for row in rows if row[0] == phone.default_code), strict=False))
        return {**row, **{name: float(row[name]) for name in names[-2:]}}

    def test_ean_shown_is_the_one_that_the_feed_tells(self):
        phone, other = self._make_phone("BARCODE"), self._make_phone("OWN-EAN", iused_ean=self._make_ean())
        self.assertEqual(phone.iused_told_ean, phone.barcode)
        self.assertEqual(other.iused_told_ean, other.iused_ean)
        for product in phone + other:
            self.assertEqual(self._served(product)["ean"], product.iused_told_ean)

    def test_products_are_found_by_the_ean_for_iused(self):
        phone = self._make_phone("BY-EAN", iused_ean=self._make_ean())
        for model, record in (("product.product", phone), ("product.template", phone.product_tmpl_id)):
            self.assertEqual(self.env[model].search([("iused_ean", "=", phone.iused_ean)]), record)

    def test_every_list_and_form_opens_for_sales_and_for_the_warehouse(self):
        """Sales reads the columns; who has no part in sales opens the same screens without them."""
        phone = self._make_phone("SCREENS", 1)
        sales = self._new_user("sales", "sales_team.group_sale_salesman")
        warehouse = self._new_user("warehouse", "stock.group_stock_user")
        for user, sees in ((sales, True), (warehouse, False)):
            for record in (phone, phone.product_tmpl_id):
                record = record.with_user(user)
                for kind in ("list", "kanban", "form"):
                    with self.subTest(user=user.name, model=record._name, kind=kind):
                        arch, fields = self._open(record, kind)
                        self.assertEqual("iused_state" in fields, sees)
                        self.assertTrue(record.read(fields)[0]["id"])
                        self.assertEqual("iused_state" in arch, sees)

    def _open(self, record, kind):
        """Return the arch of a view as this user gets it, and the fields that it reads."""
        views = record.get_views([(False, kind)])
        arch = views["views"][kind]["arch"]
        return arch, [name for name in views["models"][record._name]["fields"] if f'name="{name}"' in arch]

    def test_list_of_offers_opens_with_all_its_columns(self):
        phone = self._make_phone("OFFERS", 2).with_user(self._new_user("sales", "sales_team.group_sale_salesman"))
        action = self.env["ir.actions.act_window"]._for_xml_id("sale_iused.iused_offer_action")
        kinds = {kind: view for view, kind in action["views"]}
        self.assertEqual(list(kinds)[:3], ["list", "kanban", "form"])
        for kind in ("list", "kanban"):
            arch = phone.get_view(kinds[kind], kind)["arch"]
            for name in ("iused_state", "iused_reasons", "iused_stock"):
                self.assertIn(f'name="{name}"', arch, kind)
        found = phone.search([("iused_state", "=", "ready"), ("id", "=", phone.id)])
        self.assertEqual(found.read(["iused_stock", "iused_told_ean"])[0]["iused_stock"], 2)

    def test_product_is_offered_from_its_form(self):
        manager = self._new_user("manager", "sales_team.group_sale_manager", "product.group_product_manager")
        template = self._make_phone("FORM", iused_offered=False, iused_purchase_price=0).product_tmpl_id
        with Form(template.with_user(manager)) as form:
            form.iused_offered = True
        self.assertEqual(template.iused_state, "not_ready")
        self.assertIn("purchase price", template.iused_reasons)
        with Form(template.with_user(manager)) as form:
            form.iused_purchase_price = 150
        self.assertEqual((template.iused_state, template.iused_reasons), ("ready", False))

    def test_bulk_actions_offer_and_withdraw_templates_and_variants(self):
        phones = self._make_phone("BULK-1", iused_offered=False) + self._make_phone("BULK-2", iused_offered=False)
        for name, records in (("products", phones), ("templates", phones.product_tmpl_id)):
            for action, offered in (("offer", True), ("withdraw", False)):
                context = {"active_model": records._name, "active_ids": records.ids}
                self.env.ref(f"sale_iused.action_{action}_{name}").with_context(**context).run()
                self.assertEqual(set(phones.mapped("iused_offered")), {offered})
