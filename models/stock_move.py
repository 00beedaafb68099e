from odoo import fields, models
from odoo.tools import plaintext2html


class StockMove(models.Model):
    _inherit = "stock.move"

    def _action_done(self, cancel_backorder=False):
        """Write down what iUsed must be told, in the very transaction in which the goods leave."""
        done = super()._action_done(cancel_backorder=cancel_backorder)
        done._iused_enqueue_updates()
        done._iused_bill()
        done._iused_note_returns()
        return done

    def _get_new_picking_values(self):
        """Put the consumer's remark where who packs reads it; a backorder copies it."""
        values = super()._get_new_picking_values()
        # Whoever moves goods need not be allowed to read orders.
        if remarks := self.sudo().sale_line_id.order_id._iused_remarks():
            values["note"] = plaintext2html(remarks)
        return values

    def _iused_leaving(self):
        """Return the moves by which goods of iUsed's orders leave for the customer, done or not."""
        return self.filtered(
            lambda move: (
                # Inner steps and returns do not end at a customer; goods that come from one did not leave us.
                move.location_dest_id.usage == "customer"
                and move.location_id.usage != "customer"
                and move.sale_line_id.order_id.iused_reference
            )
        )

    def _iused_enqueue_updates(self):
        """Write shipment updates for the devices that left for the customer of an iUsed order."""
        # The warehouse user has no rights on the outbox; what goes into it are the moves' own values.
        leaving_sudo = self.sudo().filtered(lambda move: move.state == "done")._iused_leaving()
        if leaving_sudo:
            exchanges_sudo = self.env["iused.return"].sudo()._find_exchanges(leaving_sudo)
            sold_sudo = leaving_sudo.filtered(lambda move: move.picking_id not in exchanges_sudo.replacement_id)
            self.env["iused.shipment.update"].sudo()._enqueue(sold_sudo.move_line_ids)
            exchanges_sudo._tell_exchange()

    def _iused_bill(self):
        """Write down that goods of iUsed's orders left, or came back, for who invoices them."""
        # The warehouse user has no rights on orders.
        moved_sudo = self.sudo().filtered(lambda move: move.sale_line_id.order_id.iused_reference)
        if not moved_sudo:
            return
        leaving_sudo = moved_sudo.filtered(
            # What replaces a device that was not credited is nothing new to invoice.
            lambda move: move.state == "done" and (move.to_refund or not move.origin_returned_move_id)
        )._iused_leaving()
        leaving_sudo.sale_line_id.iused_left_at = fields.Datetime.now()
        moved_sudo.sale_line_id.order_id._iused_count_fees()

    def _iused_note_returns(self):
        """Write down which devices of iUsed's orders came back, whoever takes them in and by whatever screen."""
        back = self.filtered(
            lambda move: (
                move.state == "done"
                and move.location_id.usage == "customer"
                and move.location_dest_id.usage != "customer"
            )
        )
        # The warehouse user has no rights on orders; what is written down is the moves' own values.
        back_sudo = back.sudo().filtered(lambda move: move.sale_line_id.order_id.iused_reference)
        if back_sudo:
            self.env["iused.return"].sudo()._note(back_sudo)
