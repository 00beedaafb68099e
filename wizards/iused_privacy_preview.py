from odoo import api, fields, models
from odoo.exceptions import AccessError


class IusedPrivacyPreview(models.TransientModel):
    """Says how many consumers would become anonymous after so many months."""

    _name = "iused.privacy.preview"
    _description = "Preview of Anonymous Consumers"

    company_id = fields.Many2one("res.company", required=True, readonly=True, default=lambda self: self.env.company)
    months = fields.Integer(required=True)
    text = fields.Text(compute="_compute_text")

    @api.depends("months", "company_id")
    def _compute_text(self):
        if not self.env.is_system() and not self.env.user.has_group("sale_iused.group_iused_manager"):
            raise AccessError(self.env._("Only administrators and iUsed managers can see this."))
        # Numbers of what not every administrator may read.
        privacy_sudo = self.env["iused.privacy"].sudo()
        for preview in self:
            if preview.company_id not in self.env.companies:
                raise AccessError(self.env._("You have no access to this company."))
            preview.text = privacy_sudo._preview(preview.company_id, min(preview.months, 600))
