from odoo import api, fields, models
from odoo.orm.models import NO_ACCESS


class MailActivity(models.Model):
    _name = "mail.activity"
    _inherit = ["mail.activity", "iused.guard"]

    iused_key = fields.Char(
        "iUsed Trouble",
        readonly=True,
        copy=False,
        iused_own=True,
        index="btree_not_null",
        help="The same for the same trouble, so that it is told once. See iused.trouble.",
        groups=NO_ACCESS,  # who could write it could keep a trouble from being told
    )

    @api.model_create_multi
    def create(self, vals_list):
        """Give what Odoo plans on a call of iUsed to somebody: left to itself it has nobody, or iUsed's own user."""
        if responsible := self.env.context.get("iused_responsible_id"):
            nobody = (False, None, self.env.uid)
            vals_list = [
                {**values, "user_id": responsible} if values.get("user_id") in nobody else values
                for values in vals_list
            ]
        return super().create(vals_list)
