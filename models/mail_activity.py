from odoo import fields, models


class MailActivity(models.Model):
    _inherit = "mail.activity"

    iused_key = fields.Char(
        "iUsed Trouble",
        readonly=True,
        copy=False,
        index="btree_not_null",
        help="The same for the same trouble, so that it is told once. See iused.trouble.",
    )
