import logging

from psycopg2 import Error

from odoo import fields, models
from odoo.tools import SQL

from odoo.addons.base.models.res_users import INDEX_SIZE, check_identity

from ..const import KEY_SCOPE
from .transaction import begin_anew

_logger = logging.getLogger(__name__)


class ResUsersApikeys(models.Model):
    _inherit = "res.users.apikeys"

    iused_last_use = fields.Datetime(
        "Last Used", readonly=True, help="To the hour. Only for access tokens of iUsed.", groups="base.group_user"
    )

    def init(self):
        # Odoo makes this table itself, and no columns of fields.
        result = super().init()
        # Trusted devices have a table of their own with the same fields.
        self.env.cr.execute(
            SQL("ALTER TABLE %s ADD COLUMN IF NOT EXISTS iused_last_use timestamp", SQL.identifier(self._table))
        )
        return result

    def _iused_check(self, key):
        """Return the id of the user of a key that was made for iUsed, or None.

        Odoo takes a key without a scope for every scope; such a one is neither listed nor revoked as iUsed's.
        """
        user_id = self._check_credentials(scope=KEY_SCOPE, key=key)
        ours = SQL(
            "SELECT FROM res_users_apikeys WHERE user_id = %s AND index = %s AND scope = %s",
            user_id or 0,
            key[:INDEX_SIZE],
            KEY_SCOPE,
        )
        return user_id if user_id and self.env.execute_query(ours) else None

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
