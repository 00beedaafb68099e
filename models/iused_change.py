import logging
from contextlib import contextmanager
from functools import partial
from urllib.parse import urlsplit

from odoo import api, fields, models
from odoo.http import request

from ..tools import sftp
from ..tools.masking import mask_path
from ..tools.peer import clean

_logger = logging.getLogger(__name__)

# What is written down when it changes: what decides where goods and data go, and who gets in. Field: kind of change.
WATCHED = {
    "res.company": {
        "iused_user_id": "user",
        "iused_networks": "networks",
        "iused_partner_id": "partner",
        "iused_order_policy": "order_policy",
        "iused_most_orders": "most_orders",
        "iused_most_value": "most_value",
        "iused_webhook_url": "webhook",
        "iused_webhook_method": "webhook_method",
        "iused_sending_stopped": "sending",
    },
    "iused.sftp.location": {
        "enabled": "sftp_enabled",
        "host": "sftp_host",
        "port": "sftp_port",
        "username": "sftp_username",
        "password": "sftp_password",  # nosec B105 # names of a field and of a kind of change
        "private_key": "sftp_private_key",
        "passphrase": "sftp_passphrase",  # nosec B105 # likewise
        "host_key": "sftp_host_key",
        "folder": "sftp_folder",
        "file_name": "sftp_file_name",
    },
}
SECRETS = {"password", "private_key", "passphrase"}  # of which only whether they are set is said
KEPT_APART = {"iused_webhook_url", *SECRETS}  # in `iused.secret`


class IusedChange(models.Model):
    """Who made or revoked an access token, or changed where goods and data go.

    The models that are changed write it, by whatever way they are changed, and in the same transaction: what failed
    leaves nothing. There are no rights to write or delete it, and it is kept: it is a few rows a year.
    """

    _name = "iused.change"
    _description = "iUsed Change"
    _order = "date desc, id desc"
    _rec_name = "kind"

    company_id = fields.Many2one("res.company", required=True, readonly=True, index=True, ondelete="cascade")
    date = fields.Datetime("When", required=True, readonly=True, default=fields.Datetime.now)
    user_id = fields.Many2one("res.users", "Who", readonly=True, ondelete="set null", help="Empty: nobody did it.")
    login = fields.Char(readonly=True, help="It stays when the user is deleted.")
    kind = fields.Selection(
        [
            ("token_made", "Access token made"),
            ("token_revoked", "Access token revoked"),
            ("token_ended", "Access token ended"),
            ("user", "User for iUsed's calls"),
            ("user_active", "User for iUsed's calls archived or not"),
            ("networks", "Networks that iUsed calls from"),
            ("partner", "iUsed as customer"),
            ("order_policy", "New orders"),
            ("most_orders", "Limit of 24 hours: orders"),
            ("most_value", "Limit of 24 hours: value"),
            ("webhook", "Webhook address"),
            ("webhook_method", "Webhook method"),
            ("sending", "Sending of shipment updates stopped"),
            ("sftp_enabled", "Upload by sFTP"),
            ("sftp_host", "sFTP: host"),
            ("sftp_port", "sFTP: port"),
            ("sftp_username", "sFTP: user name"),
            ("sftp_password", "sFTP: password"),
            ("sftp_private_key", "sFTP: private key"),
            ("sftp_passphrase", "sFTP: passphrase"),
            ("sftp_host_key", "sFTP: accepted host key"),
            ("sftp_folder", "sFTP: folder"),
            ("sftp_file_name", "sFTP: file name"),
        ],
        string="What",
        required=True,
        readonly=True,
    )
    name = fields.Char("Access Token", readonly=True)
    old = fields.Char("Before", readonly=True)
    new = fields.Char("After", readonly=True)

    # Nobody changes it, whatever rights an administrator gives himself.

    @api.model_create_multi
    def create(self, vals_list):
        self._check_is_ours("create")
        return super().create(vals_list)

    def write(self, vals):
        self._check_is_ours("write")
        return super().write(vals)

    def unlink(self):
        self._check_is_ours("unlink")
        return super().unlink()

    def _check_is_ours(self, operation):
        """:raises AccessError: unless the addon itself does it"""
        if not self.env.su:
            raise self.env["ir.model.access"]._make_access_error(self._name, operation)

    # Writing it down --------------------------------------------------------------------------------------------------

    @contextmanager
    def _watching(self, records, vals):
        """Write down what a write of these values changes of records: `with ...: super().write(vals)`."""
        names = [name for name in WATCHED[records._name] if name in vals]
        before = {record: self._read(record, names) for record in records} if names else {}
        yield
        for record, old in before.items():
            self._note_differences(record, old, self._read(record, names))

    @api.model
    def _note_created(self, records, vals_list):
        """Write down what records were made with."""
        for record, vals in zip(records, vals_list, strict=True):
            given = [name for name in WATCHED[records._name] if vals.get(name)]
            self._note_differences(record, dict.fromkeys(given, (False, "")), self._read(record, given))

    @api.model
    def _note_deleted(self, records):
        """Write down what records had that are about to be deleted."""
        for record in records:
            before = {name: read for name, read in self._read(record, WATCHED[record._name]).items() if read[0]}
            after = {name: (False, self._to_words(record.sudo(), name, False)) for name in before}
            self._note_differences(record, before, after)

    @api.model
    def _read(self, record, names):
        """Return fields of a record as pairs: the value, to compare, and the words for it, without what is secret."""
        record_sudo = record.sudo()  # some are closed to everybody; only words that people may read get out
        values = {
            name: self.env["iused.secret"]._take_or_none(record_sudo, name) if name in KEPT_APART else record_sudo[name]
            for name in names
        }
        return {name: (value, self._to_words(record_sudo, name, value)) for name, value in values.items()}

    @api.model
    def _to_words(self, record_sudo, name, value):
        field = record_sudo._fields[name]
        if field.type == "boolean":
            return self.env._("On") if value else self.env._("Off")
        if not value:
            return ""
        if name in SECRETS:
            return self.env._("Set")
        if name == "iused_webhook_url":
            return urlsplit(value).netloc.rpartition("@")[2] + mask_path(value)
        if name == "host_key":
            return sftp.fingerprint(value)
        if field.type == "selection":
            return dict(field._description_selection(self.env))[value]
        return value.display_name if field.type == "many2one" else str(value)

    @api.model
    def _note_differences(self, record, before, after):
        company = record if record._name == "res.company" else record.company_id
        for name, (value, words) in after.items():
            old_value, old_words = before[name]
            if value != old_value:
                self._note(company, WATCHED[record._name][name], old=old_words, new=words)

    @api.model
    def _note_active(self, user):
        """Write down that iUsed's user was archived, which shuts iUsed out, or came back."""
        was, became = self.env._("Active"), self.env._("Archived")
        if user.active:
            was, became = became, was
        self._note(self._company_of(user), "user_active", old=was, new=became)

    @api.model
    def _company_of(self, user):
        """Return the company that a user serves, or served."""
        user_sudo = user.sudo()  # whoever takes it away; it may serve another company than those switched on
        return user_sudo.env["res.company"].search([("iused_user_id", "=", user.id)], limit=1) or user_sudo.company_id

    @api.model
    def _note(self, company, kind, **values):
        """Write down a change that the environment's user makes, here and, once it is committed, in the server log."""
        user = self.env.user
        values = {"user_id": user.id, "login": user.login, **values}
        # Nobody may write it.
        change_sudo = self.sudo().create({"company_id": company.id, "kind": kind, **values})
        told = [change_sudo.name, change_sudo.old, change_sudo.new]
        self.env.cr.postcommit.add(
            partial(
                _logger.info,
                "iUsed change: %s of company %s (#%s) by %r from %s: %s",
                kind,
                clean(company.sudo().name),  # it may be another than those switched on
                company.id,
                change_sudo.login or None,
                request.httprequest.remote_addr if request else "n/a",
                " -> ".join(clean(text or "") for text in told if text is not False) or "-",
            )
        )
