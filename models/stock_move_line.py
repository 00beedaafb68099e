from odoo import models


class StockMoveLine(models.Model):
    _inherit = "stock.move.line"

    def _iused_serials(self):
        """Return the serial number of each device of this line, None for one that has none.

        :rtype: list[str | None]
        """
        self.ensure_one()
        if not self._iused_is_device():
            return []
        pieces = round(self.quantity_product_uom)
        # A lot of several pieces is no device's own number.
        serial = (self.lot_id.name or self.lot_name or None) if pieces == 1 else None
        return [serial] * pieces

    def _iused_is_device(self):
        """Tell whether iUsed is told of this line: of a kit, the components with serial numbers, else the first one."""
        self.ensure_one()
        move, ordered = self.move_id, self.move_id.sale_line_id
        if not ordered or self.product_id == ordered.product_id:
            return True
        components = ordered.move_ids.filtered(lambda other: other.product_id != ordered.product_id).product_id
        devices = components.filtered(lambda product: product.tracking == "serial") or components.sorted("id")[:1]
        return move.product_id in devices

    def write(self, vals):
        """Tell iUsed of a serial number that was corrected after the goods left."""
        result = super().write(vals)
        if vals.keys() & {"lot_id", "lot_name"}:
            # Warehouse users have no rights on the outbox.
            done_sudo = self.sudo().filtered(lambda line: line.state == "done")
            if done_sudo:
                done_sudo._iused_updates()._refresh()
        return result

    def _iused_updates(self):
        """Return the shipment updates that tell of these lines."""
        updates = self.env["iused.shipment.update"]
        return updates.search([("move_line_id", "in", self.ids)]) | updates.search(
            [("grouping", "=", "delivery"), ("picking_id", "in", self.move_id.picking_id.ids)]
        )
