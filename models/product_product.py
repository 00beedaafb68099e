from collections import defaultdict

from odoo import api, fields, models
from odoo.fields import Domain
from odoo.tools import SQL

from .iused_offer_feed import FAULTS

MOST_NAMED = 10  # products that a message tells about one by one
# The same for a product and for its template.
HELP = {
    "iused_offered": "Serve this product to iUsed. It is on sale there once its SKU, EAN and prices are filled in.",
    "iused_purchase_price": "What iUsed pays for one piece, excluding VAT, in the company's currency.",
    "iused_consumer_price": "The recommended price for the consumer, excluding VAT, in the company's currency.",
    "iused_ean": "The EAN to tell iUsed. Needed where several grades of one phone share an EAN, "
    "which as a barcode only one product may have. Empty means the barcode.",
    "iused_is_imei": "Warn before a delivery whose serial number is not a valid IMEI: "
    "15 digits, the last a check digit.",
    "iused_state": "Whether an offered product is served to iUsed.",
    "iused_reasons": "Why an offered product is not served to iUsed.",
    "iused_stock": "How many pieces iUsed is told: those in stock, less what is reserved and what you keep back.",
    "iused_told_purchase_price": "What iUsed is told, excluding VAT: the product's own price, else the pricelist's.",
    "iused_told_consumer_price": "What iUsed is told, excluding VAT: the product's own price, else the pricelist's.",
}


class ProductProduct(models.Model):
    _inherit = "product.product"

    # A prefetch group of their own: who reads a product for Odoo's purposes does not fetch them.
    iused_offered = fields.Boolean(
        "Offered on iUsed",
        company_dependent=True,
        help=HELP["iused_offered"],
        prefetch="iused",
        groups="base.group_user",
    )
    iused_purchase_price = fields.Float(
        "iUsed Purchase Price",
        company_dependent=True,
        digits="Product Price",
        help=HELP["iused_purchase_price"],
        prefetch="iused",
        groups="base.group_user",
    )
    iused_consumer_price = fields.Float(
        "iUsed Consumer Price",
        company_dependent=True,
        digits="Product Price",
        help=HELP["iused_consumer_price"],
        prefetch="iused",
        groups="base.group_user",
    )
    iused_ean = fields.Char(
        "iUsed EAN",
        copy=False,
        index="btree_not_null",
        help=HELP["iused_ean"],
        prefetch="iused",
        groups="base.group_user",
    )
    iused_is_imei = fields.Boolean(
        "Serial Number is an IMEI",
        help=HELP["iused_is_imei"],
        prefetch="iused",
        groups="base.group_user",
    )

    iused_state = fields.Selection(
        [("ready", "Ready"), ("not_ready", "Not ready")],
        string="iUsed State",
        compute="_compute_iused_state",
        search="_search_iused_state",
        help=HELP["iused_state"],
        groups="base.group_user",
    )
    iused_reasons = fields.Char(
        "What iUsed Offer Lacks", compute="_compute_iused_state", help=HELP["iused_reasons"], groups="base.group_user"
    )

    iused_stock = fields.Integer(
        "Pieces for iUsed",
        compute="_compute_iused_stock",
        help=HELP["iused_stock"],
        groups="base.group_user",
    )
    iused_told_ean = fields.Char(
        "EAN for iUsed",
        compute="_compute_iused_told_ean",
        help="The EAN that iUsed is told: its own, else the barcode.",
        groups="base.group_user",
    )
    iused_told_purchase_price = fields.Float(
        "Purchase Price for iUsed",
        compute="_compute_iused_told_prices",
        digits="Product Price",
        help=HELP["iused_told_purchase_price"],
        groups="base.group_user",
    )
    iused_told_consumer_price = fields.Float(
        "Consumer Price for iUsed",
        compute="_compute_iused_told_prices",
        digits="Product Price",
        help=HELP["iused_told_consumer_price"],
        groups="base.group_user",
    )

    @api.depends_context("company", "lang")
    @api.depends(
        "default_code",
        "barcode",
        "active",
        "type",
        "is_storable",
        "tracking",
        "sale_ok",
        "list_price",
        "standard_price",
        "iused_offered",
        "iused_ean",
        "iused_purchase_price",
        "iused_consumer_price",
    )
    def _compute_iused_state(self):
        texts = {code: self.env._(text) for code, text, _condition in FAULTS}
        faults = self.env["iused.offer.feed"]._faults(self._origin)
        for product in self:
            codes = faults.get(product._origin.id)
            product.iused_state = codes is not None and ("not_ready" if codes else "ready")
            product.iused_reasons = " ".join(texts[code] for code in codes or ()) or False

    @api.depends_context("company")
    @api.depends("is_storable", "stock_move_ids.state", "stock_move_ids.quantity", "stock_move_ids.product_qty")
    def _compute_iused_stock(self):
        company_sudo = self.env.company.sudo()  # its settings are closed to most users
        buffer = company_sudo.iused_stock_buffer
        pieces = self.env["iused.offer.feed"]._available_pieces(company_sudo, self._origin, buffer)
        for product in self:
            product.iused_stock = pieces.get(product._origin.id, 0)

    @api.depends("barcode", "iused_ean")
    def _compute_iused_told_ean(self):
        for product in self:
            product.iused_told_ean = product.iused_ean or product.barcode

    @api.depends_context("company")
    @api.depends("list_price", "standard_price", "iused_offered", "iused_purchase_price", "iused_consumer_price")
    def _compute_iused_told_prices(self):
        prices = self.env["iused.offer.feed"]._prices(self._origin)
        for product in self:
            purchase_price, consumer_price = prices.get(product._origin.id, (0, 0))
            product.iused_told_purchase_price = purchase_price
            product.iused_told_consumer_price = consumer_price

    def _search_iused_state(self, operator, value):
        if operator != "in":
            return NotImplemented
        states = [state or "" for state in value]
        return Domain.custom(
            to_sql=lambda model, alias, query: SQL(
                "COALESCE(%s, '') = ANY(%s)", model._field_to_sql(alias, "iused_state", query), states
            )
        )

    def _field_to_sql(self, alias, field_expr, query=None):
        """Let products be grouped and ordered by their state, which is not stored."""
        if field_expr != "iused_state":
            return super()._field_to_sql(alias, field_expr, query)
        return SQL(
            "CASE WHEN %s THEN CASE WHEN %s IN (%s) THEN 'ready' ELSE 'not_ready' END END",
            self._field_to_sql(alias, "iused_offered", query),
            SQL.identifier(alias, "id"),
            self.env["iused.offer.feed"]._ready_products_query(self.env.company),
        )

    def action_iused_offer(self):
        """Offer the products on iUsed, and say which of them are not served yet, and why.

        :return: the action that shows it
        """
        self.iused_offered = True
        lacking = self.filtered(lambda product: product.iused_state != "ready")
        lines = [f"{product.display_name}: {product.iused_reasons or ''}" for product in lacking[:MOST_NAMED]]
        if len(lacking) > MOST_NAMED:
            lines.append(self.env._("… and %s more; see the column iUsed State.", len(lacking) - MOST_NAMED))
        return self._iused_notify(
            self.env._("%(ready)s of %(all)s products are ready for iUsed", ready=len(self - lacking), all=len(self)),
            "\n".join(lines),
            "warning" if lacking else "success",
        )

    def action_iused_withdraw(self):
        """Withdraw the products from iUsed.

        :return: the action that says so
        """
        self.iused_offered = False
        return self._iused_notify(self.env._("%s products are withdrawn from iUsed", len(self)), "", "success")

    @api.model
    def _iused_notify(self, title, message, kind):
        """Return the action that shows a message and then the products as they are now."""
        return {
            "type": "ir.actions.client",
            "tag": "display_notification",
            "params": {
                "title": title,
                "message": message,
                "type": kind,
                "sticky": kind == "warning",
                "next": {"type": "ir.actions.client", "tag": "soft_reload"},
            },
        }

    @api.model
    def _iused_find(self, names, codes):
        """Find the products that order lines of iUsed may mean, all at once.

        :param names: the fields that may hold a code: of the SKU, or of the EAN
        :param codes: texts
        :return: dict of code to the current company's products, where there are any
        """
        if not codes:
            return {}
        domain = Domain.OR(Domain(name, "in", list(codes)) for name in names)
        domain &= Domain(self._check_company_domain(self.env.company)) & Domain("sale_ok", "=", True)
        needed = ["default_code", "barcode", "iused_ean", "iused_offered", "iused_purchase_price"]
        found = defaultdict(self.browse)
        for product in self.search_fetch(domain, needed):
            for code in {product[name] for name in names}:
                found[code] |= product
        return dict(found)
