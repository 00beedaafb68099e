from odoo import api, fields, models


class StockPicking(models.Model):
    _inherit = "stock.picking"

    iused_update_ids = fields.One2many("iused.shipment.update", "picking_id", string="iUsed Shipment Updates")
    iused_state = fields.Selection(
        [
            ("waiting", "Waiting"),
            ("pending", "To send"),
            ("retry", "To retry"),
            ("stopped", "Stopped"),
            ("sent", "Sent"),
        ],
        string="iUsed",
        compute="_compute_iused_state",
        help="What iUsed knows of this delivery.",
    )
    iused_trouble = fields.Char(compute="_compute_iused_state")

    @api.depends("iused_update_ids.state", "iused_update_ids.reason")
    def _compute_iused_state(self):
        """Show the update that is farthest from being told."""
        farthest_first = ["stopped", "retry", "waiting", "pending", "sent"]
        for picking in self:
            updates = picking.iused_update_ids.filtered(lambda update: update.state in farthest_first)
            update = min(updates, key=lambda update: farthest_first.index(update.state), default=updates)
            picking.iused_state = update.state
            picking.iused_trouble = update.reason

    def write(self, vals):
        """Tell iUsed of a tracking reference that comes after the goods left, from a person or a carrier."""
        result = super().write(vals)
        if vals.get("carrier_tracking_ref"):
            # Carriers and warehouse users have no rights on the outbox.
            self.sudo().iused_update_ids._set_tracking_reference(vals["carrier_tracking_ref"])
        return result
