from odoo import models


class StockMoveLine(models.Model):
    _inherit = "stock.move.line"

    def _iused_prepare_updates(self):
        """Return the values of this line's shipment updates: one for a serial number, else one for each piece.

        :rtype: list[dict]
        """
        self.ensure_one()
        pieces = 1 if self.product_id.tracking == "serial" else int(self.quantity_product_uom)
        return [
            {
                "order_id": self.move_id.sale_line_id.order_id.id,
                "picking_id": self.picking_id.id,
                "move_line_id": self.id,
                "product_id": self.product_id.id,
                "serial_number": self.lot_id.name or self.lot_name or False,
                "tracking_reference": self.picking_id.carrier_tracking_ref or False,
            }
        ] * pieces
