from odoo import fields, models


class AccountMoveLine(models.Model):
    _inherit = "account.move.line"

    iused_lot_ids = fields.Many2many(
        "stock.lot",
        "account_move_line_iused_lot_rel",
        "move_line_id",
        "lot_id",
        string="Devices of iUsed",
        readonly=True,
        copy=False,
        prefetch="iused",
        groups="base.group_user",
        help="The devices that this line invoices or credits.",
    )
