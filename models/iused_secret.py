import json
import logging
import os
import re

from cryptography.fernet import InvalidToken, MultiFernet

from odoo import api, fields, models
from odoo.exceptions import UserError, ValidationError
from odoo.orm.models import NO_ACCESS
from odoo.tools import SQL, config
from odoo.tools.sql import column_exists

from ..tools.secret_keys import make_key_file, read_key_file, read_keys

_logger = logging.getLogger(__name__)

# What may have secrets, and the column that names it.
OWNERS = {"res.company": "company_id", "iused.sftp.location": "location_id"}
SETTING = "iused_secret_key"  # of odoo.conf: keys, separated by commas
VARIABLE = "IUSED_SECRET_KEY"  # of the environment: the same
KEY_FILE = "sale_iused.key"  # in Odoo's data folder, where neither is set
# What was logged as lost, so that it is logged once by each process: database, model, id and name.
LOGGED = set()
UNFIT = re.compile("[\0\ud800-\udfff]")  # half a character is none


class SecretLost(UserError):
    """A secret is there, but this server has no key that opens it."""


class IusedSecret(models.Model):
    """What nobody may read: the webhook's address, password and key of the sFTP server, each encrypted.

    In a table of its own, as PostgreSQL and Odoo log a statement that breaks a constraint, and its whole row. Written
    and read by the methods below alone, so that what is sent to PostgreSQL is encrypted, and Odoo's cache has none of
    it. They ask for no rights: who calls them sees to it that nothing gets out.
    """

    _name = "iused.secret"
    _description = "iUsed Secret"
    _log_access = False

    # They go with what they belong to, also where PostgreSQL deletes that.
    company_id = fields.Many2one("res.company", ondelete="cascade", readonly=True)
    location_id = fields.Many2one("iused.sftp.location", ondelete="cascade", readonly=True)
    name = fields.Char(required=True, readonly=True)
    value = fields.Char(required=True, readonly=True, groups=NO_ACCESS, help="Encrypted, with what it belongs to.")

    _company_unique = models.UniqueIndex("(company_id, name)")
    _location_unique = models.UniqueIndex("(location_id, name)")

    # Keeping and giving ----------------------------------------------------------------------------------------------

    @api.model
    def _put(self, record, name, value):
        """Keep a secret of a record, or forget it.

        :param str name: of the field that takes it
        :param value: in clear text; empty to forget it
        :raises UserError: where there is no key to encrypt it with, and none can be made
        """
        record.ensure_one()
        LOGGED.discard(self._place(record, name))
        owner = SQL.identifier(OWNERS[record._name])
        if value:
            query = SQL(
                "INSERT INTO iused_secret (%(owner)s, name, value) VALUES (%(record_id)s, %(name)s, %(value)s)"
                " ON CONFLICT (%(owner)s, name) DO UPDATE SET value = EXCLUDED.value",
                owner=owner,
                record_id=record.id,
                name=name,
                value=self._encrypt(record, name, value),
            )
        else:
            query = SQL("DELETE FROM iused_secret WHERE %s = %s AND name = %s", owner, record.id, name)
        self.env.cr.execute(query, log_exceptions=False)

    @api.model
    def _take(self, record, name):
        """Return a secret of a record in clear text, or None where there is none.

        :raises SecretLost: where no key of this server opens it
        """
        record.ensure_one()
        owner = SQL.identifier(OWNERS[record._name])
        rows = self.env.execute_query(
            SQL("SELECT value FROM iused_secret WHERE %s = %s AND name = %s", owner, record.id, name)
        )
        return self._decrypt(record, name, rows[0][0]) if rows else None

    @api.model
    def _take_or_none(self, record, name):
        """Return a secret as `_take` does, or None where it is lost, too."""
        try:
            return self._take(record, name)
        except SecretLost:
            return None

    @api.model
    def _is_lost(self, record, name):
        """Tell whether a record has a secret that no key of this server opens."""
        try:
            self._take(record, name)
        except SecretLost:
            return True
        return False

    @api.model
    def _find_names(self, records):
        """Return the names of the secrets that there are, by the id of their record: a dict of sets. Opens none."""
        owner = SQL.identifier(OWNERS[records._name])
        rows = self.env.execute_query(
            SQL("SELECT %s, name FROM iused_secret WHERE %s = ANY(%s)", owner, owner, records.ids)
        )
        names = {record_id: set() for record_id in records.ids}
        for record_id, name in rows:
            names[record_id].add(name)
        return names

    @api.model
    def _take_over(self, model, name):
        """Move the secrets that a column of an older version holds in clear text, and drop it.

        PostgreSQL keeps what a dropped column held until the rows are written anew: hence it is emptied first.
        """
        table = self.env[model]._table
        if not column_exists(self.env.cr, table, name):
            return
        table, column = SQL.identifier(table), SQL.identifier(name)
        for record_id, value in self.env.execute_query(
            SQL("SELECT id, %s FROM %s WHERE %s IS NOT NULL", column, table, column)
        ):
            self._put(self.env[model].browse(record_id), name, value)
        self.env.cr.execute(SQL("UPDATE %s SET %s = NULL WHERE %s IS NOT NULL", table, column, column))
        self.env.cr.execute(SQL("ALTER TABLE %s DROP COLUMN %s", table, column))

    # Encrypting ------------------------------------------------------------------------------------------------------

    @api.model
    def _encrypt(self, record, name, value):
        """Return a secret as it is kept. What it belongs to is in it: no row opens in the place of another.

        :raises ValidationError: for what is no text
        :raises UserError: where there is no key, and none can be made
        """
        if UNFIT.search(value):
            raise ValidationError(self.env._("There is a character that no address, password or key can hold."))
        keys = self._read_keys() or self._make_key()
        return MultiFernet(keys).encrypt(json.dumps([record._name, record.id, name, value]).encode()).decode()

    @api.model
    def _decrypt(self, record, name, token):
        """Return what `_encrypt` made into a token.

        :raises SecretLost: where no key of this server opens it
        """
        try:
            keys = self._read_keys()
            *place, value = json.loads(MultiFernet(keys).decrypt(token.encode())) if keys else (None,)
            if place == [record._name, record.id, name]:
                return value
            reason = "it is another record's" if place else "this server has no key"
        except InvalidToken:
            reason = "no key of this server opens it"
        except UserError as error:
            reason = str(error)  # which setting holds no key
        if self._place(record, name) not in LOGGED:
            LOGGED.add(self._place(record, name))
            _logger.warning("iUsed: %s of %s,%s cannot be read: %s", name, record._name, record.id, reason)
        raise SecretLost(self.env._("A secret cannot be read any more: enter it again.")) from None

    @api.model
    def _place(self, record, name):
        return self.env.cr.dbname, record._name, record.id, name

    # Keys ------------------------------------------------------------------------------------------------------------

    @api.model
    def _key_path(self):
        return os.path.join(config["data_dir"], KEY_FILE)

    @api.model
    def _read_keys(self):
        """Return the keys of this server, the one to encrypt with first.

        The file's key goes on opening what it encrypted once others are set.

        :raises UserError: naming the setting or the file that holds no key
        """
        configured = config.get(SETTING)
        text = configured or os.environ.get(VARIABLE)
        place, keys = SETTING if configured else VARIABLE, []
        try:
            keys = read_keys(text) if text else []
            place = self._key_path()
            return keys + read_key_file(place)
        except (OSError, ValueError):
            if keys:
                return keys  # who set some may do without the file
            raise UserError(self.env._("The key for secrets is not valid: %s", place)) from None

    @api.model
    def _make_key(self):
        """Make the key in Odoo's data folder.

        :raises UserError: saying what to set where the folder cannot be written
        """
        try:
            make_key_file(self._key_path())
        except OSError as error:
            raise UserError(
                self.env._(
                    "No key for secrets: the file %(path)s cannot be made (%(error)s). Let Odoo write it, or set"
                    " %(setting)s in odoo.conf.",
                    path=self._key_path(),
                    error=error.strerror,
                    setting=SETTING,
                )
            ) from None
        return self._read_keys()

    @api.autovacuum
    def _gc_old_keys(self):
        """Encrypt with the first key what an earlier one encrypted, so that that can be taken away.

        There are at most four secrets for each company.
        """
        keys = self._read_keys()
        if len(keys) < 2:
            return
        for record_id, token in self.env.execute_query(SQL("SELECT id, value FROM iused_secret ORDER BY id")):
            try:
                keys[0].decrypt(token.encode())
            except InvalidToken:
                self._rotate(record_id, token, keys)

    @api.model
    def _rotate(self, record_id, token, keys):
        try:
            value = MultiFernet(keys).rotate(token.encode()).decode()
        except InvalidToken:
            return  # lost: the key may come back
        # Somebody may enter another one meanwhile.
        self.env.cr.execute(
            SQL("UPDATE iused_secret SET value = %s WHERE id = %s AND value = %s", value, record_id, token),
            log_exceptions=False,
        )
