from odoo import api, fields, models
from odoo.fields import Domain

from .product_product import HELP


class ProductTemplate(models.Model):
    """A product with one variant shows its variant's offer; one with several has an offer on each variant."""

    _inherit = "product.template"

    iused_offered = fields.Boolean(
        "Offered on iUsed",
        compute="_compute_iused_offered",
        inverse="_inverse_iused_offered",
        search="_search_iused_offered",
        help=HELP["iused_offered"],
        groups="base.group_user",
    )
    iused_purchase_price = fields.Float(
        "iUsed Purchase Price",
        compute="_compute_iused_purchase_price",
        inverse="_inverse_iused_purchase_price",
        digits="Product Price",
        help=HELP["iused_purchase_price"],
        groups="base.group_user",
    )
    iused_consumer_price = fields.Float(
        "iUsed Consumer Price",
        compute="_compute_iused_consumer_price",
        inverse="_inverse_iused_consumer_price",
        digits="Product Price",
        help=HELP["iused_consumer_price"],
        groups="base.group_user",
    )
    iused_ean = fields.Char(
        "iUsed EAN",
        compute="_compute_iused_ean",
        inverse="_inverse_iused_ean",
        search="_search_iused_ean",
        help=HELP["iused_ean"],
        groups="base.group_user",
    )
    iused_is_imei = fields.Boolean(
        "Serial Number is an IMEI",
        compute="_compute_iused_is_imei",
        inverse="_inverse_iused_is_imei",
        help=HELP["iused_is_imei"],
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
        "Pieces for iUsed", compute="_compute_iused_stock", help=HELP["iused_stock"], groups="base.group_user"
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
    @api.depends("product_variant_ids.iused_state", "product_variant_ids.iused_reasons")
    def _compute_iused_state(self):
        """A product with several variants is as ready as the least ready of those that are offered."""
        self._compute_template_field_from_variant_field("iused_state")
        self._compute_template_field_from_variant_field("iused_reasons")
        for template in self:
            if len(template.product_variant_ids) > 1:
                # Not by `filtered`, which forgets that the variants of all templates can be read at once.
                offered = [product for product in template.product_variant_ids if product.iused_state]
                lacking = [product for product in offered if product.iused_state == "not_ready"]
                reasons = (f"{product.display_name}: {product.iused_reasons}" for product in lacking)
                template.iused_state = ("not_ready" if lacking else "ready") if offered else False
                template.iused_reasons = " ".join(reasons) or False

    def _search_iused_state(self, operator, value):
        if operator != "in":
            return NotImplemented
        ready, not_ready = (
            Domain("product_variant_ids", "any", [("iused_state", "=", state)]) for state in ("ready", "not_ready")
        )
        domains = {"ready": ready & ~not_ready, "not_ready": not_ready, False: ~ready & ~not_ready}
        return Domain.OR(domains[state] for state in value if state in domains)

    @api.depends_context("company")
    @api.depends("product_variant_ids.iused_stock", "product_variant_ids.iused_offered")
    def _compute_iused_stock(self):
        for template in self:
            variants = template.product_variant_ids
            offered = [product for product in variants if product.iused_offered]  # as above
            template.iused_stock = sum(product.iused_stock for product in offered or variants)

    @api.depends_context("company")
    @api.depends("product_variant_ids.iused_told_purchase_price", "product_variant_ids.iused_told_consumer_price")
    def _compute_iused_told_prices(self):
        self._compute_template_field_from_variant_field("iused_told_purchase_price")
        self._compute_template_field_from_variant_field("iused_told_consumer_price")

    @api.depends_context("company")
    @api.depends("product_variant_ids.iused_offered")
    def _compute_iused_offered(self):
        for template in self:
            template.iused_offered = any(template.product_variant_ids.mapped("iused_offered"))

    def _inverse_iused_offered(self):
        self._set_product_variant_field("iused_offered")

    def _search_iused_offered(self, operator, value):
        return [("product_variant_ids.iused_offered", operator, value)]

    @api.depends_context("company")
    @api.depends("product_variant_ids.iused_purchase_price")
    def _compute_iused_purchase_price(self):
        self._compute_template_field_from_variant_field("iused_purchase_price")

    def _inverse_iused_purchase_price(self):
        self._set_product_variant_field("iused_purchase_price")

    @api.depends_context("company")
    @api.depends("product_variant_ids.iused_consumer_price")
    def _compute_iused_consumer_price(self):
        self._compute_template_field_from_variant_field("iused_consumer_price")

    def _inverse_iused_consumer_price(self):
        self._set_product_variant_field("iused_consumer_price")

    @api.depends("product_variant_ids.iused_ean")
    def _compute_iused_ean(self):
        self._compute_template_field_from_variant_field("iused_ean")

    def _inverse_iused_ean(self):
        self._set_product_variant_field("iused_ean")

    def _search_iused_ean(self, operator, value):
        return [("product_variant_ids.iused_ean", operator, value)]

    def action_iused_view_variants(self):
        """Open the variants as offers."""
        self.ensure_one()
        action = self.env["ir.actions.act_window"]._for_xml_id("sale_iused.iused_offer_action")
        context = {"search_default_product_tmpl_id": self.id, "display_default_code": False}
        return {**action, "context": context}

    def action_iused_offer(self):
        """Offer all variants. See the products' method."""
        return self.product_variant_ids.action_iused_offer()

    def action_iused_withdraw(self):
        """Withdraw all variants. See the products' method."""
        return self.product_variant_ids.action_iused_withdraw()

    @api.depends("product_variant_ids.iused_is_imei")
    def _compute_iused_is_imei(self):
        self._compute_template_field_from_variant_field("iused_is_imei")

    def _inverse_iused_is_imei(self):
        self._set_product_variant_field("iused_is_imei")

    def _get_related_fields_variant_template(self):
        """Let values given when a template is created reach its variant."""
        return [
            *super()._get_related_fields_variant_template(),
            "iused_offered",
            "iused_purchase_price",
            "iused_consumer_price",
            "iused_ean",
            "iused_is_imei",
        ]
