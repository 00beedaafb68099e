from odoo import api, models
from odoo.fields import Domain


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
        # Warehouse users have no rights on the outbox.
        late_sudo = lines.sudo().filtered(lambda line: line.state == "done" and line.move_id._iused_leaving())
        if late_sudo:
            late_sudo._iused_follow(dict.fromkeys(late_sudo, 0))
        return lines

    def write(self, vals):
        """Tell iUsed what was corrected after the goods left: a serial number, a device taken off or put on again."""
        done_sudo = self.browse()
        if vals.keys() & {"lot_id", "lot_name", "quantity"}:
            # Warehouse users have no rights on the outbox.
            done_sudo = self.sudo().filtered(lambda line: line.state == "done" and line.move_id._iused_leaving())
        before = {line: round(line.quantity_product_uom) for line in done_sudo}
        result = super().write(vals)
        if done_sudo:
            done_sudo._iused_follow(before)
        return result

    def _iused_follow(self, before):
        """Keep iUsed up with lines of deliveries that are done.

        :param dict before: of each line, the pieces that iUsed is told of by now
        """
        updates = self._iused_updates()
        updates._refresh()
        live = (updates | updates.correction_ids)._find_live()
        # What tells of a whole delivery takes devices in by itself.
        told = {(update.order_id, update.picking_id) for update in live if update.grouping == "delivery"}
        missing = {}
        for line in self:
            known = len(live.filtered(lambda update, line=line: update.move_line_id == line))
            # What was told long ago is deleted: there need not be an update for each piece.
            more = round(line.quantity_product_uom) - max(before[line], known)
            if more > 0 and (line.move_id.sale_line_id.order_id, line.picking_id) not in told:
                missing[line] = more
        updates._enqueue(self.browse().union(*missing), missing)

    def _iused_updates(self):
        """Return the shipment updates that tell of these lines."""
        updates = self.env["iused.shipment.update"]
        return updates.search([("move_line_id", "in", self.ids)]) | updates.search(
            [("grouping", "=", "delivery"), ("picking_id", "in", self.move_id.picking_id.ids)]
        )

    def _iused_came_back(self):
        """Return the lines whose goods came back from the customer after they left, by whatever return.

        Serial numbers are looked for; goods without are back when as many were returned of their move as left.
        """
        with_lot = self.filtered("lot_id")
        returns = self.search(
            Domain("lot_id", "in", with_lot.lot_id.ids)
            & Domain("state", "=", "done")
            & Domain("quantity", ">", 0)
            & Domain("location_id.usage", "=", "customer")
            & Domain("location_dest_id.usage", "!=", "customer")
        )
        last = {}
        for line in returns:
            last[line.lot_id] = max(last.get(line.lot_id, ()), (line.date, line.id))
        back = with_lot.filtered(lambda line: last.get(line.lot_id, ()) > (line.date, line.id))
        return back | (self - with_lot).filtered(
            lambda line: (
                sum(line.move_id.returned_move_ids.filtered(lambda move: move.state == "done").mapped("quantity"))
                >= line.move_id.quantity
            )
        )
