from datetime import timedelta

from odoo import api, fields, models

VACUUM_BATCH = 10_000  # rows deleted at a time


class IusedExchange(models.Model):
    """Log of what went between us and iUsed, in either direction, kept also where the work itself rolled back."""

    _name = "iused.exchange"
    _description = "iUsed Exchange"
    _order = "id desc"
    _rec_name = "path"

    company_id = fields.Many2one("res.company", required=True, readonly=True, index=True, ondelete="cascade")
    kind = fields.Selection(
        [("offers", "Offers"), ("order", "Order"), ("shipment", "Shipment update")],
        required=True,
        readonly=True,
    )
    direction = fields.Selection(
        [("in", "From iUsed"), ("out", "To iUsed")], required=True, readonly=True, default="in"
    )
    method = fields.Char(readonly=True)
    path = fields.Char(readonly=True, help="Without the host, and with *** in the place of a secret.")
    status = fields.Integer("HTTP Status", readonly=True, aggregator=None, help="0 where there was no answer.")
    duration = fields.Float("Duration (s)", readonly=True, aggregator="avg", digits=(16, 3))
    size = fields.Integer("Size (bytes)", readonly=True, aggregator=None)
    offers = fields.Integer(readonly=True, aggregator=None)
    detail = fields.Char(readonly=True, help="What was wrong.")
    request_body = fields.Text(readonly=True, groups="sales_team.group_sale_manager")
    answer_body = fields.Text(readonly=True, groups="sales_team.group_sale_manager")
    order_id = fields.Many2one("sale.order", readonly=True, index="btree_not_null", ondelete="set null")
    update_id = fields.Many2one("iused.shipment.update", readonly=True, index="btree_not_null", ondelete="cascade")

    @api.autovacuum
    def _gc_exchanges(self):
        """Delete what is older than its company's retention."""
        for company in self.env["res.company"].search([("iused_user_id", "!=", False)]):
            before = fields.Datetime.now() - timedelta(days=company.iused_retention_days)
            old = self.search([("company_id", "=", company.id), ("create_date", "<", before)], limit=VACUUM_BATCH)
            old.unlink()
            if len(old) == VACUUM_BATCH:
                self.env.ref("base.autovacuum_job")._trigger()
