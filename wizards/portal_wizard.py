from odoo import models
from odoo.exceptions import UserError


class PortalWizardUser(models.TransientModel):
    """Anybody who may create contacts may give and take portal access: not that of iUsed's own user."""

    _inherit = "portal.wizard.user"

    def action_grant_access(self):
        self._iused_check_nobody()
        return super().action_grant_access()

    def action_revoke_access(self):
        self._iused_check_nobody()
        return super().action_revoke_access()

    def action_invite_again(self):
        self._iused_check_nobody()
        return super().action_invite_again()

    def _iused_check_nobody(self):
        """:raises UserError: for iUsed, and the user that its calls act as"""
        if self.partner_id._iused_filtered():
            raise UserError(
                self.env._(
                    "This contact stands for iUsed, which has no access to the portal. "
                    "Its access tokens are in the settings of iUsed."
                )
            )
