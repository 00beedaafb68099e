from odoo import api, fields, models


class ProductTemplate(models.Model):
    """A product with one variant shows its variant's offer; one with several has an offer on each variant."""

    _inherit = "product.template"

    iused_offered = fields.Boolean(
        "Offered on iUsed",
        compute="_compute_iused_offered",
        inverse="_inverse_iused_offered",
        search="_search_iused_offered",
    )
    iused_purchase_price = fields.Float(
        "iUsed Purchase Price",
        compute="_compute_iused_purchase_price",
        inverse="_inverse_iused_purchase_price",
        digits="Product Price",
    )
    iused_consumer_price = fields.Float(
        "iUsed Consumer Price",
        compute="_compute_iused_consumer_price",
        inverse="_inverse_iused_consumer_price",
        digits="Product Price",
    )
    iused_ean = fields.Char("iUsed EAN", compute="_compute_iused_ean", inverse="_inverse_iused_ean")
    iused_is_imei = fields.Boolean(
        "Serial Number is an IMEI", compute="_compute_iused_is_imei", inverse="_inverse_iused_is_imei"
    )

    iused_state = fields.Selection(
        [("ready", "Ready"), ("not_ready", "Not ready")],
        string="iUsed State",
        compute="_compute_iused_state",
        search="_search_iused_state",
    )
    iused_reasons = fields.Char("What iUsed Offer Lacks", compute="_compute_iused_state")

    @api.depends_context("company", "lang")
    @api.depends("product_variant_ids.iused_state", "product_variant_ids.iused_reasons")
    def _compute_iused_state(self):
        self._compute_template_field_from_variant_field("iused_state")
        self._compute_template_field_from_variant_field("iused_reasons")

    def _search_iused_state(self, operator, value):
        return [("product_variant_ids.iused_state", operator, value)]

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
