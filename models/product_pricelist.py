from odoo import fields, models
from odoo.fields import Domain
from odoo.tools import SQL

RULE_NUMBERS = (
    "fixed_price",
    "percent_price",
    "price_discount",
    "price_markup",
    "price_round",
    "price_surcharge",
    "price_min_margin",
    "price_max_margin",
)
RULE_VALUES = (
    "id",
    "applied_on",
    "product_id",
    "product_tmpl_id",
    "categ_id",
    "compute_price",
    "base",
    "base_pricelist_id",
)


class ProductPricelist(models.Model):
    """What a pricelist asks for one piece, as a query: Odoo's own computation takes a product at a time.

    Odoo's own kinds of rules are covered, chained pricelists included. A kind that another module adds asks the base
    price here, as it does in Odoo without that module. The methods want a pricelist as superuser: iUsed's user has no
    rights on pricelists.
    """

    _inherit = "product.pricelist"

    def _iused_untaxed_query(self, company, scope):
        """Return the query of `product_id` and `price`, excluding VAT, in the company's currency, not rounded.

        :param company: whose currency, rates and taxes count
        :param SQL scope: the condition on `product` and `template`
        """
        factor, taxes = SQL("1"), SQL()
        amount = SQL("0")
        if included := self._iused_included_taxes_query(company):
            factor, amount = SQL("COALESCE(tax.factor, 1)"), SQL("COALESCE(tax.amount, 0)")
            taxes = SQL("LEFT JOIN (%s) tax ON tax.template_id = priced.template_id", included)
        return SQL(
            "SELECT priced.product_id, priced.price * %s::float8 * %s + %s AS price FROM (%s) priced %s",
            self._iused_rate(self.currency_id, company),
            factor,
            amount,
            self._iused_price_query(company, scope),
            taxes,
        )

    def _iused_price_query(self, company, scope):
        """Return the query of `product_id`, `template_id` and `price` in the pricelist's currency, taxes as they come.

        As `_compute_price_rule` with a quantity of 1: of the levels variant, template, category and all products the
        first that has a rule gives it (`based`, with the price that it starts from). Parameters as for
        `_iused_untaxed_query`.
        """
        self.ensure_one()
        pricelist = self.with_company(company)
        base, joins = pricelist._iused_base_price(company, scope)
        return SQL(
            """
            WITH rule AS MATERIALIZED (%(rules)s),
                 variant_rule AS (
                     SELECT DISTINCT ON (product_id) product_id, id
                       FROM rule
                      WHERE applied_on = '0_product_variant'
                   ORDER BY product_id, position
                 ),
                 template_rule AS (
                     SELECT DISTINCT ON (product_tmpl_id) product_tmpl_id, id
                       FROM rule
                      WHERE applied_on = '1_product'
                   ORDER BY product_tmpl_id, position
                 ),
                 category_rule AS (
                     SELECT DISTINCT ON (category.id) category.id AS category_id, rule.id
                       FROM product_category category
                       JOIN product_category ancestor ON STARTS_WITH(category.parent_path, ancestor.parent_path)
                       JOIN rule ON rule.categ_id = ancestor.id AND rule.applied_on = '2_product_category'
                   ORDER BY category.id, rule.position
                 ),
                 based AS (
                     SELECT product.id AS product_id, template.id AS template_id, rule.id AS rule_id, rule.base,
                            rule.price_markup, rule.price_discount, %(base)s AS price
                       FROM product_product product
                       JOIN product_template template ON template.id = product.product_tmpl_id
                  LEFT JOIN variant_rule ON variant_rule.product_id = product.id
                  LEFT JOIN template_rule ON template_rule.product_tmpl_id = template.id
                  LEFT JOIN category_rule ON category_rule.category_id = template.categ_id
                  LEFT JOIN rule
                         ON rule.id = COALESCE(
                                variant_rule.id, template_rule.id, category_rule.id,
                                (SELECT id FROM rule WHERE applied_on = '3_global' ORDER BY position LIMIT 1)
                            )
                            %(joins)s
                      WHERE %(scope)s
                 ),
                 discounted AS (
                     SELECT product_id, template_id, rule_id, price,
                            price - price * (
                                CASE base WHEN 'standard_price' THEN -price_markup ELSE price_discount END / 100
                            ) AS discounted_price
                       FROM based
                 )
            SELECT discounted.product_id,
                   discounted.template_id,
                   CASE rule.compute_price
                       WHEN 'fixed' THEN rule.fixed_price
                       WHEN 'percentage' THEN price - price * (rule.percent_price / 100)
                       WHEN 'formula' THEN LEAST(
                           GREATEST(
                               CASE WHEN rule.price_round = 0 THEN discounted_price
                                    ELSE ROUND(discounted_price::numeric / rule.price_round::numeric) * rule.price_round
                               END + rule.price_surcharge,
                               price + NULLIF(rule.price_min_margin, 0)
                           ),
                           price + NULLIF(rule.price_max_margin, 0)
                       )
                       ELSE price
                   END AS price
              FROM discounted
         LEFT JOIN rule ON rule.id = discounted.rule_id
            """,
            rules=pricelist._iused_rules_query(),
            base=base,
            joins=joins,
            scope=scope,
        )

    def _iused_rules_query(self):
        """Return the query of the rules that apply today to one piece, with their `position` in Odoo's order."""
        items_sudo = self.env["product.pricelist.item"].sudo()
        domain = Domain("pricelist_id", "=", self.id) & Domain("min_quantity", "<=", 1)
        query = items_sudo._search(domain, order=items_sudo._order)
        now = SQL("(NOW() AT TIME ZONE 'UTC')")

        def column(name):
            return items_sudo._field_to_sql(items_sudo._table, name, query)

        query.add_where(SQL("(%s IS NULL OR %s <= %s)", column("date_start"), column("date_start"), now))
        query.add_where(SQL("(%s IS NULL OR %s >= %s)", column("date_end"), column("date_end"), now))
        return query.select(
            *(SQL("%s AS %s", column(name), SQL.identifier(name)) for name in RULE_VALUES),
            *(SQL("COALESCE(%s, 0)::float8 AS %s", column(name), SQL.identifier(name)) for name in RULE_NUMBERS),
            SQL("ROW_NUMBER() OVER (ORDER BY %s) AS position", query.order),
        )

    def _iused_base_price(self, company, scope):
        """Return the expression of the price that `rule` starts from, in the pricelist's currency, and its joins."""
        products_sudo = self.env["product.product"].sudo()
        templates_sudo = self.env["product.template"].sudo()
        values_sudo = self.env["product.template.attribute.value"].sudo()
        items_sudo = self.env["product.pricelist.item"].sudo()
        # A product of no company has its price in the main company's currency.
        list_currency = self.env["res.company"].sudo()._get_main_company().currency_id
        bases, joins = [], []
        for number, base in enumerate(
            items_sudo.search([("pricelist_id", "=", self.id), ("base", "=", "pricelist")]).base_pricelist_id
        ):
            table = SQL.identifier(f"base_{number}")
            rate = base._iused_rate(base.currency_id, company, self.currency_id)
            bases.append(SQL("WHEN %s THEN %s.price * %s::float8", base.id, table, rate))
            joins.append(
                SQL(
                    "LEFT JOIN (%s) %s ON %s.product_id = product.id",
                    base._iused_price_query(company, scope),
                    table,
                    table,
                )
            )
        joins.append(
            SQL(
                """LEFT JOIN (SELECT combination.product_product_id AS product_id, SUM(%(extra)s)::float8 AS price
                       FROM product_variant_combination combination
                       JOIN product_template_attribute_value value
                         ON value.id = combination.product_template_attribute_value_id
                      WHERE %(extra)s != 0
                   GROUP BY combination.product_product_id) extra ON extra.product_id = product.id""",
                extra=values_sudo._field_to_sql("value", "price_extra"),
            )
        )
        list_price = SQL(
            """(COALESCE(%s, 0)::float8 + COALESCE(extra.price, 0))
               * CASE WHEN template.company_id IS NULL THEN %s::float8 ELSE %s::float8 END""",
            templates_sudo._field_to_sql("template", "list_price"),
            self._iused_rate(list_currency, company, self.currency_id),
            self._iused_rate(company.currency_id, company, self.currency_id),
        )
        cost = SQL(
            "COALESCE(%s, 0)::float8 * %s::float8",
            products_sudo._field_to_sql("product", "standard_price"),
            self._iused_rate(company.currency_id, company, self.currency_id),
        )
        chained = (
            SQL("CASE rule.base_pricelist_id %s ELSE %s END", SQL(" ").join(bases), list_price) if bases else list_price
        )
        return (
            SQL(
                "CASE rule.base WHEN 'standard_price' THEN %s WHEN 'pricelist' THEN %s ELSE %s END",
                cost,
                chained,
                list_price,
            ),
            SQL(" ").join(joins),
        )

    def _iused_rate(self, currency, company, to_currency=None):
        """Return today's factor from a currency to another, by default the company's."""
        to_currency = to_currency or company.currency_id
        return self.env["res.currency"]._get_conversion_rate(currency, to_currency, company, fields.Date.today())

    def _iused_included_taxes_query(self, company):
        """Return the query of how to take taxes out of the prices that include them, None when none do.

        Its columns: `template_id`, `factor` and `amount`, by which a price is multiplied and then increased.
        """
        taxes_sudo = self.env["account.tax"].sudo().search([("company_id", "in", company.sudo().parent_ids.ids)])
        if not any((taxes_sudo | taxes_sudo.children_tax_ids).mapped("price_include")):
            return None
        sets = SQL(
            """SELECT prod_id AS template_id, ARRAY_AGG(tax_id ORDER BY tax_id) AS taxes
                 FROM product_taxes_rel WHERE tax_id = ANY(%s) GROUP BY prod_id""",
            taxes_sudo.ids,
            to_flush=self.env["product.template"]._fields["taxes_id"],
        )
        values = []
        for (tax_ids,) in self.env.execute_query(SQL("SELECT DISTINCT taxes FROM (%s) template", sets)):
            taxes = taxes_sudo.browse(tax_ids)._filter_taxes_by_company(company)
            # Odoo's taxes are proportional to the price, or fixed: two prices tell both.
            low, high = (
                taxes._get_tax_details(price, 1.0, rounding_method="round_globally")["total_excluded"]
                for price in (100.0, 200.0)
            )
            factor = (high - low) / 100
            values.append(SQL("(%s::int[], %s::float8, %s::float8)", tax_ids, factor, low - 100 * factor))
        if not values:
            return None
        return SQL(
            """SELECT sets.template_id, included.factor, included.amount
                 FROM (%s) sets JOIN (VALUES %s) included (taxes, factor, amount) ON included.taxes = sets.taxes""",
            sets,
            SQL(", ").join(values),
        )
