from odoo import models

from odoo.addons.base.models.res_users import check_identity


class ResUsersApikeys(models.Model):
    _inherit = "res.users.apikeys"

    @check_identity
    def iused_revoke(self):
        """Revoke a token from the settings, and show them again without it."""
        self._remove()
        return {"type": "ir.actions.client", "tag": "soft_reload"}
