from datetime import datetime, time, timedelta

from pytz import utc

from odoo import api, fields, models
from odoo.exceptions import UserError

from odoo.addons.base.models.res_users import check_identity

from ..const import KEY_SCOPE

LONGEST_NAME = 60  # characters
LONGEST_DAYS = 3_650  # that a token may be valid


class IusedTokenNew(models.TransientModel):
    """Asks for the name and the end of an access token for the current company, and makes it."""

    _name = "iused.token.new"
    _description = "New Access Token for iUsed"

    name = fields.Char(
        required=True,
        size=LONGEST_NAME,
        default=lambda self: self._default_name(),
        help="By this name the log tells the tokens apart: another for each.",
    )
    end_date = fields.Date(
        "Valid Until",
        help="The last day on which it is valid: all of it, in your time zone. You are warned two weeks ahead."
        " Empty: until you revoke it.",
    )
    has_others = fields.Boolean(compute="_compute_has_others")

    @api.model
    def _tokens(self):
        """Return the current company's access tokens."""
        keys = self.env["res.users.apikeys"]
        return keys.search(keys._iused_domain(self.env.company.iused_user_id))

    @api.model
    def _default_name(self):
        taken, number = self._taken_names(), 1
        name = stem = f"iUsed {fields.Date.context_today(self)}"
        while name.casefold() in taken:
            number += 1
            name = f"{stem} ({number})"
        return name

    @api.model
    def _taken_names(self):
        return {name.casefold() for name in self._tokens().mapped("name")}

    @api.depends_context("company")
    def _compute_has_others(self):
        self.has_others = any(not token.iused_has_ended for token in self._tokens())

    @check_identity
    def action_make(self):
        """Make the token and show it, this once.

        Odoo keeps only a hash of it: neither we nor the administrator can read it again.

        :raises odoo.exceptions.UserError: for a name or an end that cannot be
        """
        self.ensure_one()
        self.check_access("write")
        name, end = self._clean_name(), self._find_end()
        user = self.env.company._iused_ensure_user()
        self.env.company._iused_ensure_partner()
        # The key must be the iUsed user's and need not end by itself, which only administrators may ask for.
        keys_sudo = self.env["res.users.apikeys"].with_user(user).sudo().with_context(iused_made_by=self.env.uid)
        key = keys_sudo._generate(KEY_SCOPE, name, end)
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Access Token for iUsed"),
            "res_model": "res.users.apikeys.show",
            "views": [(self.env.ref("sale_iused.res_users_apikeys_show_view_form").id, "form")],
            "target": "new",
            "context": {"default_key": key},
        }

    def _clean_name(self):
        """Return the name, which goes into lines of logs.

        :raises odoo.exceptions.UserError: for one that another token of the company bears, or that is no line
        """
        name = (self.name or "").strip()
        if not name or not name.isprintable():
            raise UserError(self.env._("The name must be one line of letters, digits and signs."))
        if name.casefold() in self._taken_names():
            raise UserError(self.env._("There is a token “%s” already: the log tells them apart by their names.", name))
        return name

    def _find_end(self):
        """Return the last second of the last day in the user's time zone, as UTC, or None.

        :raises odoo.exceptions.UserError: for a day that is over, or a slip of the pen
        """
        if not self.end_date:
            return None
        today = fields.Date.context_today(self)
        if not today <= self.end_date <= today + timedelta(days=LONGEST_DAYS):
            raise UserError(self.env._("The last day must be today or later, and within ten years."))
        midnight = datetime.combine(self.end_date + timedelta(days=1), time.min)
        return self.env.tz.localize(midnight).astimezone(utc).replace(tzinfo=None) - timedelta(seconds=1)
