from odoo import models


class StockLot(models.Model):
    _inherit = "stock.lot"

    def write(self, vals):
        """Tell iUsed of a serial number that was mistyped, and mended after the device left."""
        result = super().write(vals)
        if "name" in vals:
            # Whoever may rename a serial number has no rights on the outbox.
            lines_sudo = self.env["stock.move.line"].sudo().search([("lot_id", "in", self.ids), ("state", "=", "done")])
            lines_sudo._iused_updates()._refresh()
        return result
