from odoo import models


class StockMove(models.Model):
    _inherit = "stock.move"

    def _action_done(self, cancel_backorder=False):
        """Write down what iUsed must be told, in the very transaction in which the goods leave."""
        done = super()._action_done(cancel_backorder=cancel_backorder)
        done._iused_enqueue_updates()
        return done

    def _iused_enqueue_updates(self):
        """Write a shipment update for every device that left for the customer of an iUsed order."""
        leaving = self.filtered(
            lambda move: (
                move.state == "done"
                and move.sale_line_id.order_id.iused_reference
                # Inner steps and returns do not end at a customer; goods that come from one did not leave us.
                and move.location_dest_id.usage == "customer"
                and move.location_id.usage != "customer"
            )
        )
        if not leaving:
            return
        # The warehouse user has no rights on the outbox; the values are the move's own.
        updates_sudo = self.env["iused.shipment.update"].sudo()
        updates_sudo.create(
            [values for move in leaving for line in move.move_line_ids for values in line._iused_prepare_updates()]
        )
