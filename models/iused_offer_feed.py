import hashlib
import json
import os
import unicodedata
from typing import NamedTuple

from odoo import api, models
from odoo.fields import Domain
from odoo.models import BaseModel
from odoo.tools import SQL
from odoo.tools.translate import LazyTranslate

from ..tools.order_payload import MAX_TEXT

_lt = LazyTranslate(__name__)

FORMAT_VERSION = 1  # of the bytes written; a new one makes iUsed fetch the feed again
# GS1's check digit: from the right the digits weigh 1, 3, 1, 3, ... and add up to a multiple of ten. None is cut out:
# `ean_number / 100` ends in the third, and what is to the left of that only adds multiples of ten.
WRONG_CHECK_DIGIT = """
    MOD(
        ean_number
        + ean_number / 100
        + ean_number / 10000
        + ean_number / 1000000
        + ean_number / 100000000
        + ean_number / 10000000000
        + ean_number / 1000000000000
        + 3 * (
            ean_number / 10
            + ean_number / 1000
            + ean_number / 100000
            + ean_number / 10000000
            + ean_number / 1000000000
            + ean_number / 100000000000
            + ean_number / 10000000000000
        ),
        10
    ) != 0
"""
# What the reader of orders takes for nothing. Few SKUs begin with it, and only those are looked at further.
BLANK = "".join(
    f"\\{code:04X}" for code in range(1, 0x3001) if chr(code).isspace() or unicodedata.category(chr(code)) == "Cc"
)
NO_SKU = f"(sku = '' OR ASCII(sku) NOT BETWEEN 33 AND 126 AND BTRIM(sku, U&'{BLANK}') = '')"
# Why an offered product is not served: code, words, and the condition on a row of `_candidates_query`. Who is served
# can be ordered: the reader of orders and `product.product._iused_find` know its SKU and EAN again.
FAULTS = (
    ("no_sku", _lt("It has no internal reference (SKU)."), NO_SKU),
    (
        "long_sku",
        _lt("Its internal reference (SKU) is longer than 255 characters."),
        f"LENGTH(sku) > {MAX_TEXT}",
    ),
    ("sku_twice", _lt("Another offered product has the same internal reference (SKU)."), "sku != '' AND namesakes > 1"),
    ("no_ean", _lt("It has no EAN."), "ean = ''"),
    (
        "wrong_ean",
        _lt("Its EAN is not valid: 8, 12, 13 or 14 digits are needed, of which the last is the check digit."),
        # It is no number (NULL) where it has another form.
        f"ean != '' AND COALESCE(ean_number = 0 OR {WRONG_CHECK_DIGIT}, TRUE)",
    ),
    ("no_purchase_price", _lt("It has no purchase price."), "purchase_price <= 0"),
    ("no_consumer_price", _lt("It has no consumer price."), "consumer_price <= 0"),
    (
        "consumer_below_purchase",
        _lt("Its consumer price is below its purchase price."),
        "consumer_price > 0 AND consumer_price < purchase_price",
    ),
    ("not_storable", _lt("Its inventory is not tracked."), "NOT storable"),
    ("not_serial", _lt("It is not tracked by unique serial number."), "NOT serial"),
    ("archived", _lt("It is archived."), "NOT active"),
    ("not_saleable", _lt("It cannot be sold: Sales is not ticked."), "NOT saleable"),
    ("kit", _lt("It is a kit, which has no stock of its own."), "kit"),
)
# The sort and the hash tables of a million offers fit; with less, PostgreSQL sends them to disk, which costs a fifth of
# the time. It takes no more than it needs: 100,000 offers fit in a quarter. Compiling the query takes longer than it
# saves.
FAST = "SET LOCAL work_mem = '256MB'; SET LOCAL jit = off"
READY = SQL(" AND ".join(f"NOT ({condition})" for _code, _text, condition in FAULTS))


class Places(NamedTuple):
    """Where a company's pieces lie that are for sale: goods in input, in quality control or packed already are not.

    :ivar company: the `res.company`
    :ivar warehouses_sudo: its iUsed warehouses, by their sequence
    :ivar location_ids: the internal locations below their stock locations
    :ivar has_quotations: whether orders of iUsed wait for somebody to confirm them; mostly there are none
    """

    company: BaseModel
    warehouses_sudo: BaseModel
    location_ids: list
    has_quotations: bool


class IusedOfferFeed(models.AbstractModel):
    """The offers of a company as iUsed reads them: one query, whatever the number of products.

    Which products are ready, at which prices, follows from `_candidates_query` alone: the feed and the products' state
    never disagree. All methods read as superuser: iUsed's user has no rights on products or stock, and the feed is
    what it may see of them.
    """

    _name = "iused.offer.feed"
    _description = "iUsed Offer Feed"

    # Ways out ------------------------------------------------------------------------------------------------------

    @api.model
    def _write(self, query, file, file_format="json"):
        """Write the offers of a query of `_offers_query` to a file: a JSON array, or CSV with a heading row (RFC 4180).

        PostgreSQL makes the text and streams it: the worker's memory does not grow with the catalogue.

        :param file: an empty binary file; it is left at its end
        :param str file_format: what the query was made for
        :return: the number of offers
        """
        if file_format == "csv":
            return self._copy(query, "FORMAT csv, DELIMITER ';', HEADER, FORCE_QUOTE (sku, name, ean)", file)
        file.write(b"[")
        # JSON escapes control characters: with these as delimiters COPY leaves the rows as they are.
        count = self._copy(query, "FORMAT csv, DELIMITER E'\\x02', QUOTE E'\\x01'", file)
        if count:
            file.seek(-len(b",\n"), os.SEEK_END)
        file.write(b"]\n")
        return count

    def _copy(self, query, options, file):
        """Write a query's rows to a file as they come; return their number."""
        self.env.flush_query(query)
        self.env.cr.execute(FAST)
        text = self.env.cr.mogrify(query.code, query.params).decode()
        self.env.cr.copy_expert(f"COPY ({text}) TO STDOUT WITH ({options})", file)
        return self.env.cr.rowcount

    @api.model
    def _count(self, company):
        """Return the number of ready offers of a company."""
        query = SQL("SELECT COUNT(*) FROM (%s) offer WHERE %s", self._candidates_query(company), READY)
        return self.env.execute_query(query)[0][0]

    @api.model
    def _count_by_state(self, company):
        """Count a company's offers in one query, whatever their number.

        :return: the ready ones, those that are not (archived ones left out), and the ready ones with stock
        """
        # Grouped, the long condition is computed once for each offer.
        query = SQL(
            """SELECT %(ready)s AS ready, active, stock_available > 0 AS with_stock, COUNT(*)
                 FROM (%(candidates)s) candidate
             GROUP BY 1, 2, 3""",
            ready=READY,
            candidates=self._candidates_query(
                company,
                columns=SQL(", %s AS stock_available", self._pieces_told(company.sudo().iused_stock_buffer)),
                joins=self._stock_join(company),
            ),
        )
        self.env.cr.execute(FAST)
        groups = self.env.execute_query(query)
        return (
            sum(count for ready, _active, _with_stock, count in groups if ready),
            sum(count for ready, active, _with_stock, count in groups if active and not ready),
            sum(count for ready, _active, with_stock, count in groups if ready and with_stock),
        )

    @api.model
    def _fingerprint(self, company, query):
        """Return a hash of everything that one of the queries here reads: as long as it stays, so does the answer.

        It takes a fraction of the answer's time. What Python decides (settings, locations, rates, taxes, language) is
        in the query's parameters. Rows count by their stock or their time of writing, hashed together with their id and
        added up: unlike the latest time of writing, a sum misses no change that a long transaction commits late.

        :param query: of `_offers_query`

        :rtype: str
        """
        self.env.flush_all()
        self.env.cr.execute(self._state_query(company))
        digest = hashlib.sha256(self.env.cr.mogrify(query.code, query.params))
        digest.update(repr((FORMAT_VERSION, self.env.cr.fetchone())).encode())
        return digest.hexdigest()[:32]

    # Queries -------------------------------------------------------------------------------------------------------

    @api.model
    def _offers_query(self, company, file_format="json", decimal_point=".", limit=None, page=1):
        """Return the query of the ready offers of a company, ordered by SKU, sold-out ones with stock 0.

        For JSON its rows hold an object each, with a comma behind it; for CSV, a column for each field. The fields are
        those of the guide ("Minimum required fields per offer"): prices excluding VAT, stock in pieces.

        :param company: the `res.company` whose offers are wanted
        :param str file_format: "json" or "csv"
        :param str decimal_point: of the prices in CSV
        :param limit: offers on a page; None for all of them
        :param int page: the page, from 1
        """
        offers = self._ready_query(company, limit, page)
        more = list(self._prepare_offer_fields(company))
        if file_format == "csv":
            return SQL(
                """SELECT sku, name, ean, stock_available,
                          REPLACE(purchase_price::text, '.', %(point)s) AS price_purchase_amount,
                          REPLACE(consumer_price::text, '.', %(point)s) AS price_consumer_amount,
                          %(currency)s AS currency %(more)s
                     FROM (%(offers)s) offer""",
                point=decimal_point,
                currency=company.currency_id.name,
                more=SQL().join(SQL(", %s", SQL.identifier(name)) for name in more),
                offers=offers,
            )
        return SQL(
            """SELECT CONCAT('{"sku": ', to_json(sku), ', "name": ', to_json(name), ', "ean": "', ean,
                             '", "stock_available": ', stock_available,
                             ', "price_purchase_amount": ', purchase_price,
                             ', "price_consumer_amount": ', consumer_price, %(currency)s %(more)s, '},')
                 FROM (%(offers)s) offer""",
            currency=f', "currency": {json.dumps(company.currency_id.name)}',
            more=SQL().join(
                SQL(", %s, COALESCE(to_json(%s)::text, 'null')", f", {json.dumps(name)}: ", SQL.identifier(name))
                for name in more
            ),
            offers=offers,
        )

    @api.model
    def _prepare_offer_fields(self, company):
        """Return what else iUsed is told of an offer: for other addons, which override this.

        :return: dict of the field's name to an `SQL` expression on the tables `product` and `template`, such as
            `self.env["product.product"].sudo()._field_to_sql("product", "x_grade")`; of text, number or boolean
        """
        return {}

    @api.model
    def _ready_query(self, company, limit, page):
        """Return the query of the ready offers on a page, with their names and stock."""
        company_sudo = company.sudo()
        more = self._prepare_offer_fields(company)
        templates_sudo = self.env["product.template"].sudo().with_context(lang=company_sudo._iused_language())
        columns = SQL(
            ", %s || COALESCE(' (' || variant.name || ')', '') AS name, %s AS stock_available %s",
            templates_sudo._field_to_sql("template", "name"),
            self._pieces_told(company_sudo.iused_stock_buffer),
            SQL().join(SQL(", %s AS %s", expression, SQL.identifier(name)) for name, expression in more.items()),
        )
        joins = SQL(
            """%s
               LEFT JOIN (%s) variant ON variant.product_id = product.id""",
            self._stock_join(company),
            self._variant_name_query(company),
        )
        return SQL(
            """SELECT sku, name, ean, stock_available, purchase_price, consumer_price %s
                 FROM (%s) candidate
                WHERE %s
             ORDER BY sku COLLATE "C" LIMIT %s OFFSET %s""",
            SQL().join(SQL(", %s", SQL.identifier(name)) for name in more),
            self._candidates_query(company, columns=columns, joins=joins),
            READY,
            limit,
            (page - 1) * limit if limit else 0,
        )

    @api.model
    def _stock_join(self, company):
        places = self._places(company)
        left = self._left_query(places)
        if len(places.warehouses_sudo) != 1:
            left = SQL("SELECT product_id, SUM(pieces) AS pieces FROM (%s) part GROUP BY product_id", left)
        return SQL("LEFT JOIN (%s) stock ON stock.product_id = product.id", left)

    @api.model
    def _candidates_query(self, company, products=None, columns=SQL(), joins=SQL()):  # noqa: B008 - immutable
        """Return the query of the company's offered products, ready or not, with what decides about that.

        :param products: only these `product.product` (and those with the same SKU, of which the query must know)
        :param SQL columns: more columns, from `joins` to `product` and `template`
        """
        products_sudo = self.env["product.product"].sudo().with_company(company)
        templates_sudo = products_sudo.env["product.template"]
        company_sudo = company.sudo()

        def product(field):
            return products_sudo._field_to_sql("product", field)

        def template(field):
            return templates_sudo._field_to_sql("template", field)

        scope = SQL(
            "%s AND (template.company_id IS NULL OR template.company_id = ANY(%s))",
            product("iused_offered"),
            company_sudo.parent_ids.ids,
        )
        if products is not None:
            skus = [sku for sku in products.sudo().mapped("default_code") if sku]
            scope = SQL(
                "%s AND (product.id = ANY(%s) OR %s = ANY(%s))", scope, products.ids, product("default_code"), skus
            )
        purchase_price, purchase_join = self._price(
            company, company_sudo.iused_purchase_pricelist_id, product("iused_purchase_price"), "purchase_list", scope
        )
        consumer_price, consumer_join = self._price(
            company, company_sudo.iused_consumer_pricelist_id, product("iused_consumer_price"), "consumer_list", scope
        )
        return SQL(
            """SELECT product.id AS product_id,
                      COALESCE(%(sku)s, '') AS sku,
                      %(ean)s AS ean,
                      CASE WHEN LENGTH(%(ean)s) IN (8, 12, 13, 14) AND TRANSLATE(%(ean)s, '0123456789', '') = ''
                           THEN (%(ean)s)::bigint END AS ean_number,
                      %(purchase_price)s AS purchase_price,
                      %(consumer_price)s AS consumer_price,
                      %(storable)s IS TRUE AS storable,
                      %(tracking)s = 'serial' AS serial,
                      %(active)s AND %(template_active)s AS active,
                      %(saleable)s IS TRUE AS saleable,
                      %(kit)s AS kit,
                      COUNT(*) FILTER (WHERE %(active)s AND %(template_active)s)
                          OVER (PARTITION BY COALESCE(%(sku)s, '') COLLATE "C") AS namesakes
                      %(columns)s
                 FROM product_product product
                 JOIN product_template template ON template.id = product.product_tmpl_id
                      %(purchase_join)s
                      %(consumer_join)s
                      %(joins)s
                WHERE %(scope)s""",
            sku=product("default_code"),
            ean=SQL("COALESCE(NULLIF(%s, ''), %s, '')", product("iused_ean"), product("barcode")),
            purchase_price=purchase_price,
            consumer_price=consumer_price,
            storable=template("is_storable"),
            tracking=template("tracking"),
            active=product("active"),
            template_active=template("active"),
            saleable=template("sale_ok"),
            kit=self._kit_condition(company),
            columns=columns,
            purchase_join=purchase_join,
            consumer_join=consumer_join,
            joins=joins,
            scope=scope,
        )

    @api.model
    def _price(self, company, pricelist_sudo, own_price, alias, scope):
        """Return the expression of a price excluding VAT, the product's own or else the list's, and the join it needs.

        :param SQL own_price: what was entered on the product; 0 means nothing was
        :param SQL scope: the condition on the products that are wanted
        """
        if not pricelist_sudo:
            return SQL("ROUND(COALESCE(%s, 0)::numeric, 2)", own_price), SQL()
        table = SQL.identifier(alias)
        return (
            SQL("ROUND(COALESCE(NULLIF(%s, 0), %s.price, 0)::numeric, 2)", own_price, table),
            SQL(
                "LEFT JOIN (%s) %s ON %s.product_id = product.id",
                pricelist_sudo._iused_untaxed_query(company, scope),
                table,
                table,
            ),
        )

    @api.model
    def _kit_condition(self, company):
        """Return the condition that `product` is a kit in `mrp`, which computes its stock from its components.

        Its components are what is in stock and has serial numbers, so iUsed could be told none for the kit.
        """
        if "mrp.bom" not in self.env:
            return SQL("FALSE")
        boms_sudo = self.env["mrp.bom"].sudo()
        names = ("active", "type", "company_id", "product_id", "product_tmpl_id")
        return SQL(
            """EXISTS (SELECT FROM mrp_bom bom
                        WHERE bom.active AND bom.type = 'phantom'
                          AND (bom.company_id IS NULL OR bom.company_id = %s)
                          AND bom.product_tmpl_id = product.product_tmpl_id
                          AND (bom.product_id IS NULL OR bom.product_id = product.id))""",
            company.id,
            to_flush=[boms_sudo._fields[name] for name in names],
        )

    @api.model
    def _places(self, company):
        """Return where a company's pieces lie that are for sale, looked up once for all parts of a query.

        :rtype: Places
        """
        warehouses_sudo = company.sudo()._iused_warehouses()  # as everything here
        locations_sudo = (
            warehouses_sudo.env["stock.location"]
            .with_context(active_test=False)
            .search([("id", "child_of", warehouses_sudo.lot_stock_id.ids), ("usage", "=", "internal")], order="id")
        )
        quotations = warehouses_sudo.env["sale.order"].search_count(
            [("company_id", "=", company.id), ("iused_reference", "!=", False), ("state", "in", ("draft", "sent"))],
            limit=1,
        )
        return Places(company, warehouses_sudo, locations_sudo.ids, bool(quotations))

    @api.model
    def _pieces_told(self, buffer):
        """Return the expression of the pieces that iUsed is told of a product, from `_stock_join`.

        :param int buffer: pieces that are kept back
        """
        return SQL("GREATEST(0, COALESCE(stock.pieces, 0) - %s)::bigint", buffer)

    @api.model
    def _left_query(self, places, products=None):
        """Return the query of what can be sold of each product from each of the company's iUsed warehouses, in pieces.

        The one rule of what is left where: of the feed, of what is short, and of who delivers an order. What one
        warehouse has promised too much does not lie in another.

        :param Places places: the company's
        :param products: only these `product.product`
        """
        wanted = SQL("TRUE") if products is None else SQL("product_id = ANY(%s)", products.ids)
        return SQL(
            """SELECT stock.product_id, stock.warehouse_id,
                      GREATEST(0, FLOOR(
                          stock.quantity - GREATEST(COALESCE(stock.reserved, 0), COALESCE(demand.quantity, 0))
                      ))::bigint AS pieces
                 FROM (SELECT * FROM (%(stock)s) AS stocks WHERE %(wanted)s) stock
            LEFT JOIN (SELECT * FROM (%(demand)s) AS demands WHERE %(wanted)s) demand
                   ON demand.product_id = stock.product_id AND demand.warehouse_id = stock.warehouse_id""",
            stock=self._stock_query(places),
            demand=self._demand_query(places),
            wanted=wanted,
        )

    @api.model
    def _warehouse_of(self, places, table):
        """Return the expression of the warehouse of a row's location, and the join it needs: none where there is one.

        :param str table: the alias of the rows' table
        """
        if len(places.warehouses_sudo) == 1:
            return SQL("%s", places.warehouses_sudo.id), SQL()
        place_field = self.env["stock.location"]._fields["warehouse_id"]
        return (
            SQL("place.warehouse_id", to_flush=place_field),
            SQL("JOIN stock_location place ON place.id = %s", SQL.identifier(table, "location_id")),
        )

    @api.model
    def _stock_query(self, places):
        """Return the query of what lies where and what of it is reserved, in pieces; consigned goods left out.

        Most rows are a device, of one piece. Counting rows, and adding what the others have more or less than that,
        takes half the time of adding them all as decimal numbers.
        """
        quants_sudo = self.env["stock.quant"].sudo()
        warehouse, join = self._warehouse_of(places, "quant")
        return SQL(
            """SELECT product_id,
                      %(warehouse)s AS warehouse_id,
                      COUNT(%(quantity)s)
                          + COALESCE(SUM(%(quantity)s - 1) FILTER (WHERE %(quantity)s != 1), 0) AS quantity,
                      SUM(%(reserved)s) FILTER (WHERE %(reserved)s != 0) AS reserved
                 FROM stock_quant quant %(join)s
                WHERE %(condition)s
             GROUP BY 1, 2""",
            warehouse=warehouse,
            join=join,
            quantity=quants_sudo._field_to_sql("quant", "quantity"),
            reserved=quants_sudo._field_to_sql("quant", "reserved_quantity"),
            condition=self._quant_condition(places),
        )

    @api.model
    def _quant_condition(self, places):
        return SQL(
            "quant.location_id = ANY(%s) AND (quant.owner_id IS NULL OR quant.owner_id = %s)",
            places.location_ids,
            places.company.partner_id.id,
        )

    @api.model
    def _demand_query(self, places):
        """Return the query of what will be taken from where, in pieces, reserved or not."""
        return SQL(
            """SELECT product_id, warehouse_id, SUM(quantity) AS quantity
                 FROM (%s) AS part
             GROUP BY product_id, warehouse_id""",
            self._demands_query(places),
        )

    @api.model
    def _demands_query(self, places):
        """Return the query of each demand: `product_id`, `warehouse_id`, `quantity` in pieces."""
        if not places.has_quotations:
            return self._move_query(places)
        return SQL("%s UNION ALL %s", self._move_query(places), self._quotation_query(places))

    @api.model
    def _move_query(self, places):
        """Return the query of what confirmed moves will take.

        One that is made to order takes what came in for it, which Odoo reserves for it at once, and nothing else.
        """
        moves_sudo = self.env["stock.move"].sudo()
        warehouse, join = self._warehouse_of(places, "move")
        return SQL(
            """SELECT move.product_id,
                      %(warehouse)s AS warehouse_id,
                      CASE WHEN %(method)s = 'make_to_order'
                           THEN LEAST(%(demand)s, %(reserved)s * %(demand)s / NULLIF(%(demand_in_unit)s, 0))
                           ELSE %(demand)s END AS quantity
                 FROM stock_move move %(join)s
                WHERE %(state)s IN ('confirmed', 'waiting', 'partially_available', 'assigned')
                  AND move.location_id = ANY(%(locations)s) AND move.location_dest_id != ALL(%(locations)s)""",
            warehouse=warehouse,
            join=join,
            method=moves_sudo._field_to_sql("move", "procure_method"),
            demand=moves_sudo._field_to_sql("move", "product_qty"),
            demand_in_unit=moves_sudo._field_to_sql("move", "product_uom_qty"),
            reserved=moves_sudo._field_to_sql("move", "quantity"),  # in the move's unit, too
            state=moves_sudo._field_to_sql("move", "state"),
            locations=places.location_ids,
        )

    @api.model
    def _quotation_query(self, places):
        """Return the query of what iUsed's orders will take that a person has not confirmed yet."""
        orders_sudo, lines_sudo = self.env["sale.order"].sudo(), self.env["sale.order.line"].sudo()
        return SQL(
            """SELECT line.product_id, %(warehouse)s, %(quantity)s * unit.factor / piece.factor
                 FROM sale_order quotation
                 JOIN sale_order_line line ON line.order_id = quotation.id
                 JOIN product_product product ON product.id = line.product_id
                 JOIN product_template template ON template.id = product.product_tmpl_id
                 JOIN uom_uom unit ON unit.id = %(unit)s
                 JOIN uom_uom piece ON piece.id = template.uom_id
                WHERE quotation.company_id = %(company)s AND quotation.iused_reference IS NOT NULL
                  AND %(state)s IN ('draft', 'sent')
                  AND %(warehouse)s = ANY(%(warehouses)s)
                  AND %(storable)s AND NOT %(made_to_order)s""",
            warehouse=lines_sudo._field_to_sql("line", "warehouse_id"),
            quantity=lines_sudo._field_to_sql("line", "product_uom_qty"),
            unit=lines_sudo._field_to_sql("line", "product_uom_id"),
            state=orders_sudo._field_to_sql("quotation", "state"),
            company=places.company.id,
            warehouses=places.warehouses_sudo.ids,
            storable=self.env["product.template"].sudo()._field_to_sql("template", "is_storable"),
            made_to_order=self._made_to_order_condition(places),
        )

    @api.model
    def _made_to_order_condition(self, places):
        """Return the condition that a `line` of a quotation will take nothing from stock, by its routes.

        As Odoo's forecast on a line does (`is_mto`): the line's own routes decide, else those of product and category.
        """
        rules_sudo = self.env["stock.rule"].sudo()
        rules_sudo = rules_sudo.search(
            Domain("company_id", "in", (False, places.company.id))
            & Domain("route_id.active", "=", True)
            & (
                Domain("procure_method", "=", "make_to_order")
                & Domain("action", "in", ("pull", "pull_push"))
                & Domain("location_src_id", "in", places.warehouses_sudo.lot_stock_id.ids)
                | Domain("action", "in", ("buy", "manufacture")) & Domain("location_dest_id.usage", "=", "customer")
            )
        )
        if not rules_sudo:
            return SQL("FALSE")
        categories_sudo = rules_sudo.env["product.category"]
        categories_sudo = categories_sudo.search([("route_ids", "in", rules_sudo.route_id.ids)])
        categories_sudo = categories_sudo.search([("id", "child_of", categories_sudo.ids)])
        return SQL(
            """CASE WHEN EXISTS (SELECT FROM sale_order_line_stock_route_rel own WHERE own.sale_order_line_id = line.id)
                    THEN EXISTS (SELECT FROM sale_order_line_stock_route_rel own
                                  WHERE own.sale_order_line_id = line.id AND own.stock_route_id = ANY(%(routes)s))
                    ELSE template.categ_id = ANY(%(categories)s)
                         OR EXISTS (SELECT FROM stock_route_product own
                                     WHERE own.product_id = template.id AND own.route_id = ANY(%(routes)s)) END""",
            routes=rules_sudo.route_id.ids,
            categories=categories_sudo.ids,
            to_flush=(
                self.env["sale.order.line"]._fields["route_ids"],
                self.env["product.template"]._fields["route_ids"],
            ),
        )

    @api.model
    def _variant_name_query(self, company):
        """Return the query of what tells a variant from its siblings, as Odoo names it: "128 GB, Grade A"."""
        language = company.sudo()._iused_language()
        values_sudo = self.env["product.template.attribute.value"].sudo()
        attribute_values_sudo = self.env["product.attribute.value"].sudo().with_context(lang=language)
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
            to_flush=[values_sudo._fields[name] for name in ("product_attribute_value_id", "attribute_line_id")],
        )

    @api.model
    def _state_query(self, company):
        """Return the query of one row that changes when a row does that an offer depends on. See `_fingerprint`."""
        places = self._places(company)
        warehouse, join = self._warehouse_of(places, "quant")
        written = [
            "product_product",
            "product_template",
            "product_attribute",
            "product_attribute_value",
            "product_template_attribute_value",
            "product_template_attribute_line",
        ]
        sums = [
            SQL(
                """(SELECT SUM(hashint8extended(product_product_id, product_template_attribute_value_id))
                      FROM product_variant_combination)"""
            )
        ]
        if company.sudo().iused_purchase_pricelist_id or company.sudo().iused_consumer_pricelist_id:
            written += ["product_pricelist_item", "product_category"]
            # A rule begins and ends without being written.
            sums.append(
                SQL(
                    """(SELECT SUM(hashint8extended(id, 0)) FROM product_pricelist_item
                         WHERE date_start <= NOW() AT TIME ZONE 'UTC'),
                       (SELECT SUM(hashint8extended(id, 0)) FROM product_pricelist_item
                         WHERE date_end < NOW() AT TIME ZONE 'UTC')"""
                )
            )
        if "mrp.bom" in self.env:
            written.append("mrp_bom")
        sums += [
            SQL("(SELECT SUM(timestamp_hash_extended(write_date, id)) FROM %s)", SQL.identifier(table))
            for table in written
        ]
        return SQL(
            """SELECT stock.*, demand.*, %(sums)s
                 FROM (SELECT SUM(hash_numeric_extended(quantity::numeric, %(place)s)),
                              SUM(hash_numeric_extended(reserved_quantity::numeric, %(place)s))
                         FROM stock_quant quant %(join)s WHERE %(quants)s) stock,
                      (SELECT SUM(hash_numeric_extended(quantity::numeric, product_id + (warehouse_id::bigint << 32)))
                         FROM (%(demands)s) AS part) demand""",
            sums=SQL(", ").join(sums),
            place=SQL("product_id + (%s::bigint << 32)", warehouse),
            join=join,
            quants=self._quant_condition(places),
            demands=self._demands_query(places),
        )

    # Readiness -----------------------------------------------------------------------------------------------------

    @api.model
    def _ready_products_query(self, company):
        """Return the query of the ids of the company's ready products."""
        return SQL("SELECT product_id FROM (%s) candidate WHERE %s", self._candidates_query(company), READY)

    @api.model
    def _faults(self, products):
        """Return why products are not ready to be served to the current company's iUsed.

        :return: dict of product id to a list of codes of `FAULTS`, empty when it is ready; without products not offered
        """
        faults = SQL(", ").join(
            SQL("CASE WHEN %s THEN %s END", SQL(condition), code) for code, _text, condition in FAULTS
        )
        query = SQL(
            "SELECT product_id, ARRAY_REMOVE(ARRAY[%s], NULL) FROM (%s) candidate WHERE product_id = ANY(%s)",
            faults,
            self._candidates_query(self.env.company, products),
            products.ids,
        )
        return dict(self.env.execute_query(query))

    @api.model
    def _left_by_warehouse(self, company, products):
        """Return how many pieces of some products are left in which warehouse, by the rule of the feed.

        :rtype: dict: product id -> dict: warehouse id -> int; kits and products whose stock is not counted are left out
        """
        products = products.filtered("is_storable")
        query = SQL(
            """SELECT product.id, rest.warehouse_id, rest.pieces
                 FROM product_product product
            LEFT JOIN (%(left)s) rest ON rest.product_id = product.id
                WHERE product.id = ANY(%(products)s) AND NOT %(kit)s""",
            left=self._left_query(self._places(company), products),
            products=products.ids,
            kit=self._kit_condition(company),
        )
        left = {}
        for number, warehouse, pieces in self.env.execute_query(query):
            left.setdefault(number, {}).update({warehouse: pieces} if warehouse else {})
        return left

    @api.model
    def _available_pieces(self, company, products, buffer=0):
        """Return how many pieces of some products are left, by the rule of the feed.

        :param int buffer: pieces that are kept back
        :rtype: dict: product id -> int; kits and products whose stock is not counted are left out
        """
        left = self._left_by_warehouse(company, products)
        return {number: max(0, sum(pieces.values()) - buffer) for number, pieces in left.items()}

    @api.model
    def _prices(self, products):
        """Return what iUsed is told for one piece of each offered product, ready or not, excluding VAT.

        :rtype: dict: product id -> (purchase price, consumer price); 0 where nothing says so
        """
        query = SQL(
            "SELECT product_id, purchase_price, consumer_price FROM (%s) candidate WHERE product_id = ANY(%s)",
            self._candidates_query(self.env.company, products),
            products.ids,
        )
        return {
            number: (float(purchase), float(consumer)) for number, purchase, consumer in self.env.execute_query(query)
        }
