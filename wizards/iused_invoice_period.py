from datetime import timedelta

from odoo import api, fields, models


class IusedInvoicePeriod(models.TransientModel):
    """Asks until when what left is invoiced to iUsed, and says what that is."""

    _name = "iused.invoice.period"
    _description = "Invoice iUsed for a Period"

    company_id = fields.Many2one("res.company", required=True, readonly=True, default=lambda self: self.env.company)
    currency_id = fields.Many2one(related="company_id.currency_id")
    period = fields.Selection(
        [("month", "Until the end of last month"), ("week", "Until the end of last week"), ("day", "Until a day")],
        required=True,
        default="month",
    )
    until = fields.Date(
        compute="_compute_until",
        store=True,
        precompute=True,
        readonly=False,
        required=True,
        help="The last day on which goods left.",
    )
    orders = fields.Integer(compute="_compute_contents")
    devices = fields.Integer(compute="_compute_contents")
    credited = fields.Integer("Came Back", compute="_compute_contents", help="Invoiced before: they are credited.")
    amount = fields.Monetary("Total excl. VAT", compute="_compute_contents")

    @api.depends("period")
    def _compute_until(self):
        for wizard in self:
            today = fields.Date.context_today(wizard)
            if wizard.period == "month":
                wizard.until = today.replace(day=1) - timedelta(days=1)
            elif wizard.period == "week":
                wizard.until = today - timedelta(days=today.isoweekday())
            else:
                wizard.until = wizard.until or today

    @api.depends("until", "company_id")
    def _compute_contents(self):
        for wizard in self:
            lines = wizard._find_lines()
            goods = lines.filtered(lambda line: not line.iused_fee)
            wizard.orders = len(lines.order_id)
            wizard.devices = sum(line.qty_to_invoice for line in goods if line.qty_to_invoice > 0)
            wizard.credited = -sum(line.qty_to_invoice for line in goods if line.qty_to_invoice < 0)
            wizard.amount = sum(lines.mapped("untaxed_amount_to_invoice"))

    def _find_lines(self):
        self.ensure_one()
        return self.env["sale.order.line"].search(
            self.env["iused.billing"]._to_invoice_domain(self.company_id, self.until)
        )

    def action_invoice(self):
        """Make the draft invoice, and open it."""
        self.ensure_one()
        billing = self.env["iused.billing"].with_company(self.company_id)
        return billing._open(billing._invoice(self._find_lines(), self._title()))

    def _title(self):
        """Return the reference of the invoice: what it is for."""
        if self.period == "month":
            return self.env._("iUsed %s", self.until.strftime("%Y-%m"))
        if self.period == "week":
            year, week, _day = self.until.isocalendar()
            return self.env._("iUsed %(year)s, week %(week)s", year=year, week=week)
        return self.env._("iUsed until %s", self.until.isoformat())
