"""The right device at the right price: nothing is guessed, nothing is confirmed without a price of ours."""

from odoo.tests import tagged
from odoo.tools import SQL

from .common import IusedHttpCase

TINY = 0.005  # half a cent


@tagged("post_install", "-at_install")
class TestRightDevice(IusedHttpCase):
    """Which product an order line means."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.grade_a = cls._make_phone("GRADE-A", 2)
        cls.grade_b = cls._make_phone("GRADE-B", 2, barcode=False, iused_ean=cls.grade_a.barcode)

    def _push_line(self, status=201, **line):
        """Push an order of one line; return its sale order, or the pointers and words of a refusal."""
        answer = self._push(self._make_order(lines=[{"quantity": 1, **line}]))
        self.assertEqual(answer.status_code, status, answer.text)
        if status == 201:
            return self.env["sale.order"].search([("name", "=", answer.json()["external_order_id"])])
        return {error["pointer"]: error["detail"] for error in answer.json()["errors"]}

    def _product_of(self, **line):
        return self._push_line(**line).order_line.product_id

    def test_unknown_sku_is_not_replaced_by_what_has_the_ean(self):
        self.grade_b.active = False
        for sku in ("GRADE-B", "NOWHERE"):
            faults = self._push_line(422, sku=sku, ean=self.grade_a.barcode)
            self.assertEqual(faults, {"/lines/0/sku": f'SKU "{sku}" is not known.'})
        self.assertEqual(self._product_of(ean=self.grade_a.barcode), self.grade_a)

    def test_product_that_cannot_be_sold_is_not_ready_for_that_reason(self):
        self.assertEqual(self.grade_a.iused_state, "ready")
        self.grade_a.product_tmpl_id.sale_ok = False
        self.assertEqual(self.grade_a.iused_state, "not_ready")
        self.assertEqual(self.grade_a.iused_reasons, "It cannot be sold: Sales is not ticked.")
        self.assertEqual(list(self._offers()), ["GRADE-B"])
        self._push_line(422, sku="GRADE-A")

    def test_every_sku_that_is_served_can_be_ordered_as_it_was_told(self):
        skus = ["A  B", "A\u00a0\u00a0C", "A\tD", " E ", "Zoe\u0308", "F\u2003G", "H\u0007I", "\u00c5"]
        phones = {sku: self._make_phone(sku, 1) for sku in skus}
        told = self._offers().keys() & phones.keys()
        self.assertEqual(told, phones.keys())
        for sku in told:
            with self.subTest(sku=sku):
                self.assertEqual(self._product_of(sku=sku), phones[sku])

    def test_sku_of_two_spellings_means_the_one_that_was_sent(self):
        wide, narrow = self._make_phone("TWO  SPACES", 1), self._make_phone("TWO SPACES", 1)
        self.assertEqual(self._product_of(sku="TWO  SPACES"), wide)
        self.assertEqual(self._product_of(sku="TWO SPACES"), narrow)
        self.assertEqual(self._product_of(sku=" TWO\nSPACES "), narrow)

    def test_blank_or_endless_sku_is_not_ready(self):
        for sku, reason in (
            (" \u00a0\t", "It has no internal reference (SKU)."),
            ("\u0007", "It has no internal reference (SKU)."),
            ("x" * 256, "Its internal reference (SKU) is longer than 255 characters."),
            ("\u00e9" * 255, False),
        ):
            with self.subTest(sku=sku):
                self.assertEqual(self._make_phone(sku).iused_reasons, reason)

    def test_ean_that_lost_its_leading_zeros_is_found(self):
        upc = self._make_phone("UPC", 9, barcode="0194252707531")
        gtin = self._make_phone("ZEROS", 9, barcode="00012348")
        case = self._make_phone("CASE", 9, barcode="036000291452")
        for ean, product in (
            (194252707531, upc),
            ("194252707531", upc),
            ("00194252707531", upc),
            (12348, gtin),
            (36000291452, case),
            (36000291452.0, case),
        ):
            with self.subTest(ean=ean):
                self.assertEqual(self._product_of(ean=ean), product)
                self.assertEqual(self._product_of(ean=ean, sku=product.default_code), product)
        self.assertEqual(list(self._push_line(422, sku="GRADE-A", ean=194252707531)), ["/lines/0/ean"])

    def test_ean_as_a_number_that_two_products_may_have_had_is_refused(self):
        short = self._make_phone("SHORT", 1, barcode="194252707531")
        long = self._make_phone("LONG", 1, barcode="0194252707531")
        self.assertIn("several products", self._push_line(422, ean=194252707531)["/lines/0/ean"])
        self.assertEqual(self._product_of(ean="194252707531"), short)
        self.assertEqual(self._product_of(ean="0194252707531"), long)
        short.iused_offered = False
        self.assertEqual(self._product_of(ean=194252707531), long, "told apart by being offered")

    def test_what_products_are_looked_up_by_has_indexes(self):
        self.env.flush_all()
        self.env.cr.execute("SET LOCAL enable_seqscan = off")  # a few products are read faster without an index
        for names in (("default_code",), ("iused_ean", "barcode")):
            columns = SQL(" OR ").join(SQL("%s IN ('NO-1', 'NO-2')", SQL.identifier(name)) for name in names)
            plan = self.env.execute_query(SQL("EXPLAIN SELECT id FROM product_product WHERE %s", columns))
            for name in names:
                self.assertIn(f"product_product__{name}_index", str(plan))

    def test_products_of_all_lines_are_looked_up_at_once(self):
        phones = [self._make_phone(f"S{number}", barcode=False, iused_ean=self._make_ean()) for number in range(30)]
        lines = [{"sku": phone.default_code, "ean": phone.iused_ean, "quantity": 1} for phone in phones]
        lines += [{"sku": f"NO-{number}", "ean": str(number + 10**12), "quantity": 1} for number in range(30)]

        def count(lines):
            self.env.flush_all()
            self.env.invalidate_all()
            before = self.cr.sql_log_count
            self.assertEqual(self._push(self._make_order(lines=lines, currency="USD")).status_code, 422)
            return self.cr.sql_log_count - before

        count(lines)  # what is cached once is not counted
        self.assertLess(count(lines) - count(lines[::30]), 5)


@tagged("post_install", "-at_install")
class TestRightPrice(IusedHttpCase):
    """What is confirmed by itself."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.phone = cls._make_phone("PHONE", 5)
        cls.responsible = cls._new_user("responsible", "sales_team.group_sale_salesman_all_leads")
        cls.company.iused_responsible_id = cls.responsible

    def _priced(self, *prices, phone=None):
        """Return an order of one piece for each price; None sends none."""
        document = self._make_order(*[phone or self.phone] * len(prices))
        for line, price in zip(document["lines"], prices, strict=True):
            if price is None:
                del line["price"]
            else:
                line["price"] = price
        return document

    def _order_of(self, answer):
        self.assertEqual(answer.status_code, 201, answer.text)
        return self.env["sale.order"].search([("name", "=", answer.json()["external_order_id"])])

    def test_what_is_not_offered_and_has_no_price_is_refused(self):
        self.phone.write({"iused_offered": False, "iused_purchase_price": 0, "list_price": 300})
        for policy in ("quotation", "refuse"):
            self.company.iused_withdrawn_policy = policy
            for price in (TINY, 0, 199, None):
                with self.subTest(price=price, policy=policy):
                    problem = self.assertProblem(self._push(self._priced(price)), 422, "/lines/0/sku")
                    self.assertEqual(problem["errors"][0]["detail"], 'SKU "PHONE" is not offered.')
        self.assertFalse(self.env["sale.order"].search([("company_id", "=", self.company.id)]))

    def test_what_is_offered_without_a_price_is_never_confirmed_by_itself(self):
        for own in (0, 0.004, -5):
            self.phone.iused_purchase_price = own
            for price in (TINY, 0, 199, None):
                with self.subTest(own=own, price=price):
                    order = self._order_of(self._push(self._priced(price)))
                    self.assertEqual(order.state, "draft")
                    self.assertEqual(order.activity_ids.user_id, self.responsible)
                    self.assertGreaterEqual(order.order_line.price_unit, 0)

    def test_pushed_price_below_a_cent_is_never_confirmed_by_itself(self):
        self.company.iused_price_tolerance = 100
        for own in (0.01, 199):
            self.phone.iused_purchase_price = own
            for price in (TINY, 0):
                with self.subTest(own=own, price=price):
                    self.assertEqual(self._order_of(self._push(self._priced(price))).state, "draft")
        self.assertEqual(self._order_of(self._push(self._priced(1))).state, "sale")

    def test_one_line_without_a_price_of_ours_leaves_the_whole_order_to_a_person(self):
        priceless = self._make_phone("PRICELESS", 1, iused_purchase_price=0)
        document = self._make_order(self.phone, priceless)
        self.assertEqual(self._order_of(self._push(document)).state, "draft")

    def test_price_of_a_pricelist_is_one_of_ours(self):
        self.company.iused_purchase_pricelist_id = self.env["product.pricelist"].create(
            {
                "name": "What iUsed pays",
                "company_id": self.company.id,
                "currency_id": self.company.currency_id.id,
                "item_ids": [(0, 0, {"compute_price": "fixed", "fixed_price": 180})],
            }
        )
        self.phone.iused_purchase_price = 0
        self.assertEqual(self._order_of(self._push(self._priced(180))).state, "sale")

    def test_withdrawn_product_with_a_price_is_a_quotation_with_an_activity(self):
        self.assertEqual(self._make_company("Another").iused_withdrawn_policy, "quotation", "what nobody chose")
        self.phone.iused_offered = False
        for price in (199, None):
            with self.subTest(price=price):
                order = self._order_of(self._push(self._priced(price, price)))
                self.assertEqual((order.state, order.order_line.mapped("price_unit")), ("draft", [199, 199]))
                activity = order.activity_ids
                self.assertEqual((len(activity), activity.user_id), (1, self.responsible))
                self.assertIn("not offered", activity.summary)
                self.assertEqual(activity.note.count("[PHONE]"), 1)

    def test_withdrawn_product_is_refused_where_the_company_chose_that(self):
        self.company.iused_withdrawn_policy = "refuse"
        document = self._priced(199)
        self.assertEqual(self._push(document).status_code, 201, "it is offered")
        self.phone.iused_offered = False
        self.assertEqual(self._push(document).status_code, 200, "it was offered then")
        self.assertProblem(self._push(self._priced(199)), 422, "/lines/0/sku")

    def test_policy_is_in_the_settings(self):
        settings = self.env["res.config.settings"].create({"iused_withdrawn_policy": "refuse"})
        settings.execute()
        self.assertEqual(self.company.iused_withdrawn_policy, "refuse")
