from odoo import models


class AccountMove(models.Model):
    _inherit = "account.move"

    def _reverse_moves(self, default_values_list=None, cancel=False):
        """A credit note made of an invoice has its devices, as it has its order lines."""
        credits_ = super()._reverse_moves(default_values_list=default_values_list, cancel=cancel)
        for credit_sudo in credits_.sudo():  # who invoices need not be allowed to read stock
            for line in credit_sudo.reversed_entry_id.invoice_line_ids.filtered("iused_lot_ids"):
                same = credit_sudo.invoice_line_ids.filtered(
                    lambda each, line=line: each.sale_line_ids == line.sale_line_ids
                )
                same.iused_lot_ids = line.iused_lot_ids
        return credits_
