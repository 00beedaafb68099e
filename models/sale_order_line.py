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
