from odoo import api, models
from odoo.exceptions import AccessDenied, ValidationError


class ResUsers(models.Model):
    _inherit = "res.users"

    def _iused_filtered(self):
        """Return those of the users that iUsed's calls act as: nobody is behind them."""
        companies_sudo = self.env["res.company"].sudo()  # nobody is logged in yet, or somebody without settings
        return self & companies_sudo.search([("iused_user_id", "in", self.ids)]).iused_user_id.with_env(self.env)

    def write(self, vals):
        before = {user: user.active for user in self._iused_filtered()} if "active" in vals else {}
        result = super().write(vals)
        for user, was_active in before.items():
            if user.active != was_active:
                self.env["iused.change"]._note_active(user)
        return result

    def unlink(self):
        # The database deletes their keys by itself.
        keys_sudo = self.env["res.users.apikeys"].sudo()
        keys_sudo.search([("user_id", "in", self.ids)])._iused_note_gone()
        return super().unlink()

    @api.constrains("group_ids")
    def _check_iused_user(self):
        """Let nobody make iUsed's user an internal one, with rights that the key would give.

        What is changed at the groups asks no user: then our routes refuse the key.
        """
        internal = self.filtered(lambda user: not user.share)
        for user in internal and internal._iused_filtered():
            raise ValidationError(
                self.env._("%s is the user for the calls of iUsed and cannot be an internal user.", user.name)
            )

    def _check_credentials(self, credential, env):
        """Let nobody log in as iUsed's user, whatever password it was given: our routes know its keys."""
        if self._iused_filtered():
            raise AccessDenied
        return super()._check_credentials(credential, env)

    def _action_reset_password(self, signup_type="reset"):
        """Invite nobody to be iUsed's user; who asks for it without being logged in is told what everybody is told."""
        invited = self - self._iused_filtered()
        return super(ResUsers, invited)._action_reset_password(signup_type=signup_type) if invited else True
