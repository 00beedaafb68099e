from odoo import api, models


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

    @api.model_create_multi
    def create(self, vals_list):
        """Tell iUsed of a device that was added to a delivery after it was done."""
        lines = super().create(vals_list)
        late_sudo = lines.sudo().filtered(lambda line: line.state == "done" and line.move_id._iused_leaving())
        if late_sudo:
            # Warehouse users have no rights on the outbox. What tells of a whole delivery takes the device in.
            updates_sudo = late_sudo._iused_updates()
            updates_sudo._refresh()
            whole = updates_sudo.filtered(lambda update: update.grouping == "delivery")
            self.env["iused.shipment.update"].sudo()._enqueue(
                late_sudo.filtered(
                    lambda line: (
                        (line.move_id.sale_line_id.order_id, line.picking_id)
                        not in {(update.order_id, update.picking_id) for update in whole}
                    )
                )
            )
        return lines

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
