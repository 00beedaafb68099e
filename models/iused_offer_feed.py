from odoo import api, models
from odoo.tools import SQL

CHUNK = 2000  # offers fetched from the database at a time


class IusedOfferFeed(models.AbstractModel):
    """The offers of a company as iUsed reads them: one query, whatever the number of products.

    Every way out (HTTP, CSV, sFTP) takes its offers from `_iter_offers`, so that they never differ.
    """

    _name = "iused.offer.feed"
    _description = "iUsed Offer Feed"

    @api.model
    def _iter_offers(self, company):
        """Yield the published and complete offers of a company as JSON objects, ordered by SKU.

        Sold-out offers are among them with stock 0. The fields are those of the guide ("Minimum required fields per
        offer"): prices excluding VAT, stock in pieces.

        :param company: the `res.company` whose offers are wanted
        :rtype: iterator of lists of str
        """
        query = self._offers_query(company)
        self.env.flush_query(query)
        self.env.cr.execute(SQL("DECLARE iused_offers NO SCROLL CURSOR FOR %s", query))
        try:
            while True:
                self.env.cr.execute(SQL("FETCH %s FROM iused_offers", CHUNK))
                rows = [row for (row,) in self.env.cr.fetchall()]
                if not rows:
                    return
                yield rows
        finally:
            self.env.cr.execute("CLOSE iused_offers")

    @api.model
    def _offers_query(self, company):
        """Return the query of a company's offers, one JSON text a row.

        :rtype: odoo.tools.SQL
        """
        # iUsed's user has no rights on products or stock: the feed is what it may see of them.
        products_sudo = self.env["product.product"].sudo().with_company(company)
        templates_sudo = products_sudo.env["product.template"]

        def product(field):
            return products_sudo._field_to_sql("product", field)

        def template(field):
            return templates_sudo._field_to_sql("template", field)

        return SQL(
            """
            WITH stock AS (%(stock)s),
                 demand AS (%(demand)s),
                 variant AS (%(variant)s),
                 offer AS (
                     SELECT %(sku)s AS sku,
                            %(name)s || COALESCE(' (' || variant.name || ')', '') AS name,
                            COALESCE(NULLIF(%(own_ean)s, ''), %(barcode)s) AS ean,
                            GREATEST(0, FLOOR(COALESCE(stock.quantity, 0)
                                - GREATEST(COALESCE(stock.reserved, 0), COALESCE(demand.quantity, 0)))) AS available,
                            ROUND(%(purchase_price)s::numeric, 2) AS purchase_price,
                            ROUND(%(consumer_price)s::numeric, 2) AS consumer_price
                       FROM product_product product
                       JOIN product_template template ON template.id = product.product_tmpl_id
                  LEFT JOIN stock ON stock.product_id = product.id
                  LEFT JOIN demand ON demand.product_id = product.id
                  LEFT JOIN variant ON variant.product_id = product.id
                      WHERE %(offered)s AND product.active AND template.active AND %(storable)s
                        AND (template.company_id IS NULL OR template.company_id = %(company_id)s)
                 )
            SELECT '{"sku": ' || to_json(sku) || ', "name": ' || to_json(name) || ', "ean": ' || to_json(ean)
                   || ', "stock_available": ' || available
                   || ', "price_purchase_amount": ' || purchase_price || ', "price_consumer_amount": ' || consumer_price
                   || ', "currency": ' || %(currency)s || '}'
              FROM offer
             WHERE sku > '' AND ean > '' AND purchase_price > 0 AND consumer_price > 0
          ORDER BY sku COLLATE "C"
            """,
            stock=self._stock_query(company),
            demand=self._demand_query(company),
            variant=self._variant_name_query(company),
            company_id=company.id,
            sku=product("default_code"),
            name=template("name"),
            own_ean=product("iused_ean"),
            barcode=product("barcode"),
            purchase_price=product("iused_purchase_price"),
            consumer_price=product("iused_consumer_price"),
            offered=product("iused_offered"),
            storable=template("is_storable"),
            currency=f'"{company.currency_id.name}"',
        )

    @api.model
    def _stock_locations(self, company):
        """Return the internal locations below the stock location of the company's iUsed warehouses.

        Goods still in input or quality control, or already packed, lie beside it and are not for sale.
        """
        warehouses_sudo = company.sudo()._iused_warehouses()  # as in `_offers_query`
        return (
            warehouses_sudo.env["stock.location"]
            .with_context(active_test=False)
            .search([("id", "child_of", warehouses_sudo.lot_stock_id.ids), ("usage", "=", "internal")])
        )

    @api.model
    def _stock_query(self, company):
        """Return the query of what lies there and what of it is reserved, in pieces; consigned goods left out."""
        quants_sudo = self.env["stock.quant"].sudo()
        return SQL(
            """SELECT product_id, SUM(%(quantity)s) AS quantity, SUM(%(reserved)s) AS reserved
                 FROM stock_quant quant
                WHERE location_id = ANY(%(locations)s) AND (owner_id IS NULL OR owner_id = %(owner)s)
             GROUP BY product_id""",
            quantity=quants_sudo._field_to_sql("quant", "quantity"),
            reserved=quants_sudo._field_to_sql("quant", "reserved_quantity"),
            locations=self._stock_locations(company).ids,
            owner=company.partner_id.id,
        )

    @api.model
    def _demand_query(self, company):
        """Return the query of what confirmed moves will take from there, in pieces, reserved or not."""
        moves_sudo = self.env["stock.move"].sudo()
        return SQL(
            """SELECT product_id, SUM(%(quantity)s) AS quantity
                 FROM stock_move move
                WHERE %(state)s IN ('confirmed', 'waiting', 'partially_available', 'assigned')
                  AND location_id = ANY(%(locations)s) AND location_dest_id != ALL(%(locations)s)
             GROUP BY product_id""",
            quantity=moves_sudo._field_to_sql("move", "product_qty"),
            state=moves_sudo._field_to_sql("move", "state"),
            locations=self._stock_locations(company).ids,
        )

    @api.model
    def _variant_name_query(self, company):
        """Return the query of what tells a variant from its siblings, as Odoo names it: "128 GB, Grade A"."""
        values_sudo = self.env["product.template.attribute.value"].sudo()
        attribute_values_sudo = self.env["product.attribute.value"].sudo()
        values_sudo.flush_model(["product_attribute_value_id", "attribute_line_id", "ptav_active"])
        return SQL(
            """SELECT combination.product_product_id AS product_id,
                      STRING_AGG(%(name)s, ', ' ORDER BY attribute.sequence, attribute.id) AS name
                 FROM product_variant_combination combination
                 JOIN product_template_attribute_value value
                   ON value.id = combination.product_template_attribute_value_id
                 JOIN product_attribute_value attribute_value ON attribute_value.id = value.product_attribute_value_id
                 JOIN product_attribute attribute ON attribute.id = attribute_value.attribute_id
                 JOIN product_template_attribute_line line ON line.id = value.attribute_line_id
                WHERE attribute.create_variant != 'no_variant' AND line.value_count > 1
             GROUP BY combination.product_product_id""",
            name=attribute_values_sudo._field_to_sql("attribute_value", "name"),
        )

    @api.model
    def _available_pieces(self, company, products):
        """Return how many pieces of some products are left, by the rule of the feed.

        :rtype: dict: product id -> int; products whose stock is not counted are left out
        """
        products = products.filtered("is_storable")
        query = SQL(
            """WITH stock AS (SELECT * FROM (%(stock)s) AS stocks WHERE product_id = ANY(%(products)s)),
                    demand AS (SELECT * FROM (%(demand)s) AS demands WHERE product_id = ANY(%(products)s))
             SELECT product.id,
                    GREATEST(0, FLOOR(COALESCE(stock.quantity, 0)
                        - GREATEST(COALESCE(stock.reserved, 0), COALESCE(demand.quantity, 0))))::int
               FROM product_product product
          LEFT JOIN stock ON stock.product_id = product.id
          LEFT JOIN demand ON demand.product_id = product.id
              WHERE product.id = ANY(%(products)s)""",
            stock=self._stock_query(company),
            demand=self._demand_query(company),
            products=products.ids,
        )
        return dict(self.env.execute_query(query))
