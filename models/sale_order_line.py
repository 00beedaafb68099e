from odoo import api, fields, models


class SaleOrderLine(models.Model):
    _name = "sale.order.line"
    _inherit = ["sale.order.line", "iused.guard"]

    iused_line_reference = fields.Char(
        "iUsed Line",
        copy=False,
        readonly=True,
        iused_own=True,
        help="iUsed's own number of this line.",
        prefetch="iused",
        groups="base.group_user",
    )
    # Which line of iUsed's order this is part of, from 1: a line that two warehouses deliver is split.
    iused_line_number = fields.Integer(
        copy=False, readonly=True, iused_own=True, prefetch="iused", groups="base.group_user"
    )
    # Where the line's pieces were found, if that is not the order's warehouse.
    iused_warehouse_id = fields.Many2one(
        "stock.warehouse", copy=False, readonly=True, iused_own=True, prefetch="iused", groups="base.group_user"
    )

    iused_left_at = fields.Datetime(
        "Left On",
        copy=False,
        readonly=True,
        iused_own=True,
        prefetch="iused",
        groups="base.group_user",
        help="When goods of this line last left for the consumer.",
    )
    # What iUsed keeps back of each order, or of each device.
    iused_fee = fields.Selection(
        [("order", "Per order"), ("device", "Per device")],
        string="iUsed Fee",
        copy=False,
        readonly=True,
        iused_own=True,
        prefetch="iused",
        groups="base.group_user",
    )
    iused_reference = fields.Char(related="order_id.iused_reference", groups="base.group_user")
    iused_serial_numbers = fields.Char(
        "Serial Numbers", compute="_compute_iused_serial_numbers", groups="base.group_user"
    )

    # Billing needs what is to be invoiced of few orders among many that are.
    _iused_to_invoice = models.Index(
        "(company_id, iused_left_at) WHERE iused_left_at IS NOT NULL AND qty_to_invoice != 0"
    )

    @api.depends("iused_left_at", "qty_to_invoice", "qty_delivered")
    def _compute_iused_serial_numbers(self):
        for line in self:
            lots, typed = self.env["iused.billing"]._devices_to_invoice(line)
            line.iused_serial_numbers = ", ".join(lots.mapped("name") + typed) or False

    def _compute_qty_to_invoice(self):
        """iUsed pays for what left, whatever the products' policy; a product that a person added keeps its own."""
        result = super()._compute_qty_to_invoice()
        for line in self:
            if line.state == "sale" and line.order_id.iused_reference and (line.iused_line_number or line.iused_fee):
                line.qty_to_invoice = line.qty_delivered - line.qty_invoiced
        return result

    @api.depends("qty_to_invoice")
    def _compute_untaxed_amount_to_invoice(self):
        result = super()._compute_untaxed_amount_to_invoice()
        for line in self:
            if line.iused_left_at:
                line.untaxed_amount_to_invoice = line.qty_to_invoice * line.price_reduce_taxexcl
        return result

    def _prepare_invoice_line(self, **optional_values):
        """Name the devices, and the order by either number."""
        values = super()._prepare_invoice_line(**optional_values)
        if self.order_id.iused_reference and not self.display_type and not self.is_downpayment:
            values = self.env["iused.billing"]._complete_invoice_line(self, values)
        return values

    @api.depends("iused_warehouse_id")
    def _compute_warehouse_id(self):
        result = super()._compute_warehouse_id()
        for line in self:
            if line.iused_warehouse_id and not line.route_ids:
                line.warehouse_id = line.iused_warehouse_id
        return result

    @api.model
    def _iused_tax_adapted_price(self, price, product, taxes, currency, consumer):
        """Return the unit price to write for a price that excludes VAT.

        Odoo reads a unit price as including the taxes that are marked so: there the VAT has to be added first.

        :param float price: per piece, excluding VAT, in `currency`
        """
        if not any(taxes.flatten_taxes_hierarchy().mapped("price_include")):
            return price
        totals = taxes.with_context(force_price_include=False).compute_all(
            price, currency=currency, quantity=1.0, product=product, partner=consumer
        )
        return totals["total_included"]

    def _iused_untaxed_price(self):
        """Return the price of one piece, excluding VAT."""
        self.ensure_one()
        if not any(self.tax_ids.flatten_taxes_hierarchy().mapped("price_include")):
            return self.price_unit
        totals = self.tax_ids.compute_all(self.price_unit, currency=self.currency_id, product=self.product_id)
        return totals["total_excluded"]

    def action_iused_invoice(self):
        """Invoice the selected lines, and open the draft invoice."""
        billing = self.env["iused.billing"].with_company(self.company_id)
        today = fields.Date.context_today(self)
        return billing._open(
            billing._invoice(self.filtered("iused_left_at"), self.env._("iUsed until %s", today.isoformat()))
        )
