import logging

from psycopg2 import Error

from odoo import api, fields, models
from odoo.fields import Domain
from odoo.tools import SQL, format_datetime

from odoo.addons.base.models.res_users import INDEX_SIZE, check_identity

from ..const import KEY_SCOPE
from .transaction import begin_anew

_logger = logging.getLogger(__name__)


class ResUsersApikeys(models.Model):
    _inherit = "res.users.apikeys"

    iused_last_use = fields.Datetime(
        "Last Used", readonly=True, help="To the hour. Only for access tokens of iUsed.", groups="base.group_user"
    )

    iused_made_by_id = fields.Many2one("res.users", "Made by", readonly=True, groups="base.group_user")
    iused_has_ended = fields.Boolean(compute="_compute_iused_has_ended", groups="base.group_user")

    def init(self):
        # Odoo makes this table itself, and no columns of fields. Trusted devices have a table of their own.
        result = super().init()
        self.env.cr.execute(
            SQL(
                """
                ALTER TABLE %s
                  ADD COLUMN IF NOT EXISTS iused_last_use timestamp,
                  ADD COLUMN IF NOT EXISTS iused_made_by_id integer REFERENCES res_users ON DELETE SET NULL
                """,
                SQL.identifier(self._table),
            )
        )
        return result

    @api.depends("expiration_date")
    def _compute_iused_has_ended(self):
        now = fields.Datetime.now()
        for key in self:
            key.iused_has_ended = bool(key.expiration_date) and key.expiration_date < now

    # Made and gone ---------------------------------------------------------------------------------------------------

    def _generate(self, scope, name, expiration_date):
        key = super()._generate(scope, name, expiration_date)
        if scope == KEY_SCOPE:
            made_sudo = self.sudo().search(self._iused_domain(self.env.user), order="id desc", limit=1)
            # It is made as iUsed's user, by somebody else.
            maker = self.env["res.users"].browse(self.env.context.get("iused_made_by", self.env.uid))
            made_sudo.iused_made_by_id = maker
            changes = self.env["iused.change"].with_user(maker)
            changes._note(
                changes._company_of(self.env.user), "token_made", name=name, new=made_sudo._iused_describe_end(maker)
            )
        return key

    def unlink(self):
        self._iused_note_gone()
        return super().unlink()

    @api.autovacuum
    def _gc_user_apikeys(self):
        # By the database's clock, as the statement that deletes them.
        ended = Domain("scope", "=", KEY_SCOPE) & Domain("expiration_date", "<", self.env.cr.now())
        self.sudo().search(ended)._iused_note_gone()
        return super()._gc_user_apikeys()

    def _iused_note_gone(self):
        """Write down which tokens are about to be deleted: revoked, by the environment's user, or ended by then."""
        for key_sudo in self.sudo():  # whoever revokes them need not be who may read them
            if key_sudo.scope != KEY_SCOPE:
                continue
            changes = self.env["iused.change"]
            company = changes._company_of(key_sudo.user_id)
            if key_sudo.iused_has_ended:
                nobody = {"date": key_sudo.expiration_date, "user_id": False, "login": False}
                changes._note(company, "token_ended", name=key_sudo.name, **nobody)
            else:
                changes._note(company, "token_revoked", name=key_sudo.name)

    def _iused_describe_end(self, user):
        """Return until when a token is valid, in words and in a user's time zone, or an empty string."""
        end, env = self.expiration_date, self.env(user=user)
        return env._("Valid until %s", format_datetime(env, end, dt_format="short")) if end else ""

    @api.model
    def _iused_domain(self, user):
        """Return which keys are the access tokens of iUsed's user, ended ones included."""
        return Domain("user_id", "=", user.id) & Domain("scope", "=", KEY_SCOPE)

    # Use -------------------------------------------------------------------------------------------------------------

    def _iused_check(self, key):
        """Return the id of the user of a key that was made for iUsed, and the key's name; or None and None.

        Odoo takes a key without a scope for every scope; such a one is neither listed nor revoked as iUsed's.
        """
        user_id = self._check_credentials(scope=KEY_SCOPE, key=key)
        ours = SQL(
            "SELECT name FROM res_users_apikeys WHERE user_id = %s AND index = %s AND scope = %s",
            user_id or 0,
            key[:INDEX_SIZE],
            KEY_SCOPE,
        )
        rows = user_id and self.env.execute_query(ours)
        return (user_id, rows[0][0]) if rows else (None, None)

    def _iused_begins_like_one(self, key):
        """Tell whether a key begins like one that was made for iUsed: one guess in four billion does."""
        like_ours = SQL(
            "SELECT FROM res_users_apikeys WHERE index = %s AND scope = %s LIMIT 1", key[:INDEX_SIZE], KEY_SCOPE
        )
        return bool(self.env.execute_query(like_ours))

    def _iused_note_use(self, user_id, key):
        """Remember that a key was used, once an hour, as each poll would else be a write.

        In a transaction of its own: that of a poll is read-only. It is ended first, as nothing was done in it yet.
        """
        due = SQL(
            """
            SELECT id
              FROM res_users_apikeys
             WHERE user_id = %s
               AND index = %s
               AND (iused_last_use IS NULL OR iused_last_use < now() AT TIME ZONE 'utc' - INTERVAL '1 hour')
            """,
            user_id,
            key[:INDEX_SIZE],
        )
        if not self.env.execute_query(due):
            return
        begin_anew(self.env.cr)
        # Who finds the row locked leaves it to the other.
        update = SQL(
            """
            UPDATE res_users_apikeys
               SET iused_last_use = now() AT TIME ZONE 'utc'
             WHERE id IN (%s FOR NO KEY UPDATE SKIP LOCKED)
            """,
            due,
        )
        try:
            with self.env.registry.cursor() as cr:
                cr.execute(update)
        except Error:
            _logger.warning("The use of a key of iUsed could not be written down", exc_info=True)  # the call goes on

    @check_identity
    def iused_revoke(self):
        """Revoke a token from the settings, and show them again without it."""
        self._remove()
        return {"type": "ir.actions.client", "tag": "soft_reload"}
