from odoo import fields, models


class IusedReturnText(models.TransientModel):
    """Shows what can be sent to iUsed about returns: its guide has no call for them."""

    _name = "iused.return.text"
    _description = "Text for iUsed"

    text = fields.Text(readonly=True)
