from odoo import api, models
from odoo.exceptions import UserError


class ResPartnerCategory(models.Model):
    _inherit = "res.partner.category"

    @api.ondelete(at_uninstall=False)
    def _unlink_except_iused(self):
        """The consumers of iUsed are known by their tag: without it no order could be taken in."""
        if self.env.ref("sale_iused.partner_category_consumer", raise_if_not_found=False) in self:
            raise UserError(self.env._("iUsed's consumers are known by this tag; it cannot be deleted."))
