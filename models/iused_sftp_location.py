import logging
import tempfile
import time
import traceback
from datetime import timedelta

import psycopg2
from psycopg2.errors import DeadlockDetected, SerializationFailure

from odoo import api, fields, models
from odoo.exceptions import UserError, ValidationError
from odoo.fields import Domain
from odoo.orm.models import NO_ACCESS
from odoo.tools import config

from ..tools import sftp
from ..tools.delivery import retry_seconds
from ..tools.peer import clean
from .iused_secret import SecretLost

_logger = logging.getLogger(__name__)

SHORTEST_INTERVAL = 5  # minutes
LONGEST_INTERVAL = 10_080  # minutes: a week
LONGEST_HOURS = 8_760  # a year
SHARE_OF_LIMIT = 0.7  # of the time that Odoo gives a scheduled action, for one run over all companies
LONGEST_RUN = 3600  # seconds, where Odoo sets no limit
SECRETS = ("password", "private_key", "passphrase")
# With another of these it is another place, whose key and file are not known.
SERVER = {"host", "port"}
PLACE = {*SERVER, "username", "folder", "file_name", "file_format", "lang_id"}


class IusedSftpLocation(models.Model):
    """Where a company's offers are uploaded to, for who cannot let iUsed fetch them. One for each company.

    The scheduled action uploads. It makes the file in a transaction, ends that, talks to the server, and
    writes down in another transaction what came of it: the server's troubles are a state, never an exception.
    """

    _name = "iused.sftp.location"
    _description = "iUsed sFTP Location"
    _inherit = ["mail.thread", "mail.activity.mixin"]
    _rec_name = "company_id"

    company_id = fields.Many2one(
        "res.company", required=True, readonly=True, default=lambda self: self.env.company, ondelete="cascade"
    )
    enabled = fields.Boolean(
        "Upload Offers", help="Switch it on when the connection was tested. iUsed can still fetch the offers, too."
    )
    host = fields.Char(help="The name of the server that iUsed gave you, such as sftp.iused.nl.")
    port = fields.Integer(default=22, required=True, help="22, unless iUsed says otherwise.")
    username = fields.Char("User Name", help="The name that iUsed gave you for the server.")
    # Taken and kept in `iused.secret`, and never given back.
    password = fields.Char(
        "Stored Password", groups=NO_ACCESS, copy=False, compute="_compute_secrets", inverse="_inverse_password"
    )
    private_key = fields.Text(
        "Stored Private Key", groups=NO_ACCESS, copy=False, compute="_compute_secrets", inverse="_inverse_private_key"
    )
    passphrase = fields.Char(
        "Stored Passphrase", groups=NO_ACCESS, copy=False, compute="_compute_secrets", inverse="_inverse_passphrase"
    )
    password_is_set = fields.Boolean(compute="_compute_secrets_are_set")
    private_key_is_set = fields.Boolean(compute="_compute_secrets_are_set")
    passphrase_is_set = fields.Boolean(compute="_compute_secrets_are_set")
    secrets_are_lost = fields.Boolean(
        compute="_compute_secrets_are_lost", help="There is one that no key of this server opens."
    )
    # Write-only: kept in the secret of the same name, never read back.
    new_password = fields.Char(
        "Password",
        store=False,
        compute="_compute_new",
        inverse="_inverse_new",
        help="Empty where iUsed asked for a key only. Nobody can read it once it is saved.",
    )
    new_private_key = fields.Text(
        "Private Key",
        store=False,
        compute="_compute_new",
        inverse="_inverse_new",
        help="Empty where a password is enough. iUsed gets its public half. Nobody can read it once it is saved.",
    )
    new_passphrase = fields.Char(
        "Passphrase",
        store=False,
        compute="_compute_new",
        inverse="_inverse_new",
        help="What opens the private key, if it is locked.",
    )
    folder = fields.Char(help="Must be there already. Empty means the one in which the server puts you.")
    file_name = fields.Char(
        default="offers.json", required=True, help="As agreed with iUsed. The file is replaced each time, in one step."
    )
    file_format = fields.Selection(
        [("json", "JSON"), ("csv", "CSV (with semicolons)")],
        string="Format",
        default="json",
        required=True,
        help="As agreed with iUsed. The content is the same as over HTTP.",
    )
    lang_id = fields.Many2one(
        "res.lang",
        string="Decimal Mark as in",
        context={"active_test": False},
        help="The language whose decimal mark prices have, such as the comma of Dutch. Empty means a point.",
    )
    interval = fields.Integer(
        "Every (minutes)",
        default=15,
        required=True,
        help=f"How often to look for changes, {SHORTEST_INTERVAL} or more. Offers that changed are uploaded. 0: never.",
    )
    heartbeat = fields.Integer(
        "At Least Every (hours)",
        default=12,
        required=True,
        help="Offers that did not change are uploaded again after so long, as iUsed watches the file's age. 0: never.",
    )
    alarm_after = fields.Integer(
        "Tell After (hours)",
        default=4,
        required=True,
        help="Trouble that lasts longer gives the person responsible for iUsed an activity. 0: none does.",
    )
    host_key = fields.Char("Accepted Host Key", readonly=True, copy=False)
    seen_host_key = fields.Char(
        "Other Host Key", readonly=True, copy=False, help="Shown by the server, but not accepted (yet)."
    )
    fingerprint = fields.Char(
        "Host Key", compute="_compute_fingerprints", help="By this key we know the server. You accepted it."
    )
    seen_fingerprint = fields.Char("Host Key Shown", compute="_compute_fingerprints")
    state = fields.Selection(
        [
            ("off", "Off"),
            ("missing", "Package missing or too old"),
            ("test", "To test"),
            ("stopped", "Stopped: other host key"),
            ("retry", "To retry"),
            ("ready", "Ready"),
        ],
        string="Status",
        compute="_compute_state",
    )
    paramiko_is_available = fields.Boolean(compute="_compute_paramiko_is_available")
    next_try = fields.Datetime(readonly=True, copy=False, default=fields.Datetime.now)
    attempts = fields.Integer("Tries", readonly=True, copy=False, help="That failed since the last upload.")
    failing_since = fields.Datetime(readonly=True, copy=False)
    last_error = fields.Char(readonly=True, copy=False)
    last_upload = fields.Datetime("Last Good Upload", readonly=True, copy=False)
    last_size = fields.Integer("Size (bytes)", readonly=True, copy=False, aggregator=None)
    last_offers = fields.Integer("Offers", readonly=True, copy=False, aggregator=None)
    last_feed = fields.Char(readonly=True, copy=False, help="Fingerprint of what was uploaded.")

    _company_unique = models.UniqueIndex("(company_id)", "A company has one sFTP location.")
    _port_valid = models.Constraint("CHECK (port BETWEEN 1 AND 65535)", "A port is a number from 1 to 65535.")
    _times_valid = models.Constraint(
        f"""CHECK ((interval = 0 OR interval BETWEEN {SHORTEST_INTERVAL} AND {LONGEST_INTERVAL})
                   AND heartbeat BETWEEN 0 AND {LONGEST_HOURS} AND alarm_after BETWEEN 0 AND {LONGEST_HOURS})""",
        f"The interval must be {SHORTEST_INTERVAL} to {LONGEST_INTERVAL} minutes, and the other times up to"
        f" {LONGEST_HOURS} hours; 0 switches each off.",
    )

    # Fields ----------------------------------------------------------------------------------------------------------

    def _compute_secrets(self):
        for name in SECRETS:
            self[name] = False

    def _inverse_password(self):
        self._keep_secret("password")

    def _inverse_private_key(self):
        self._keep_secret("private_key")

    def _inverse_passphrase(self):
        self._keep_secret("passphrase")

    def _keep_secret(self, name):
        for location in self:
            self.env["iused.secret"]._put(location, name, location[name])
        # What was written would be read from the cache until the end of the transaction.
        self.invalidate_recordset([name, f"{name}_is_set", "secrets_are_lost"], flush=False)

    @api.depends(*SECRETS)
    def _compute_secrets_are_set(self):
        names = self.env["iused.secret"]._find_names(self)
        for location in self:
            for name in SECRETS:
                location[f"{name}_is_set"] = name in names.get(location._origin.id, ())

    @api.depends(*SECRETS)
    def _compute_secrets_are_lost(self):
        for location in self:
            location.secrets_are_lost = bool(location._origin) and any(
                self.env["iused.secret"]._is_lost(location._origin, name) for name in SECRETS
            )

    @api.depends("company_id")
    def _compute_new(self):
        for name in SECRETS:
            self[f"new_{name}"] = False

    def _inverse_new(self):
        """Keep the secrets that were typed; an empty field leaves the one that is set as it is."""
        for location in self:
            values = {name: location[f"new_{name}"] for name in SECRETS if location[f"new_{name}"]}
            if values:
                # The secrets are closed to everybody; only administrators may write this model.
                location.sudo().write(values)
        self.invalidate_recordset([f"new_{name}" for name in SECRETS], flush=False)  # as above

    @api.depends("host_key", "seen_host_key")
    def _compute_fingerprints(self):
        for location in self:
            location.fingerprint = location.host_key and sftp.fingerprint(location.host_key)
            location.seen_fingerprint = location.seen_host_key and sftp.fingerprint(location.seen_host_key)

    @api.depends("enabled", "host_key", "seen_host_key", "attempts")
    def _compute_state(self):
        available = sftp.is_available()
        for location in self:
            if not location.enabled:
                location.state = "off"
            elif not available:
                location.state = "missing"
            elif not location.host_key:
                location.state = "test"
            elif location.seen_host_key:
                location.state = "stopped"
            else:
                location.state = "retry" if location.attempts else "ready"

    @api.depends("company_id")
    def _compute_paramiko_is_available(self):
        self.paramiko_is_available = sftp.is_available()

    @api.onchange("file_format")
    def _onchange_file_format(self):
        stem, dot, ending = (self.file_name or "").rpartition(".")
        if dot and ending in ("json", "csv"):
            self.file_name = f"{stem}.{self.file_format}"

    @api.constrains("file_name", "folder", "host", "username", "enabled")
    def _check_place(self):
        for location in self:
            if "/" in location.file_name or location.file_name in (".", ".."):
                raise ValidationError(self.env._("The file name is a name only; the folder has a field of its own."))
            if any(ord(char) < 32 for char in (location.file_name + (location.folder or ""))):
                raise ValidationError(self.env._("The folder and the file name cannot hold control characters."))
            if location.enabled and not (location.host and location.username):
                raise ValidationError(self.env._("Host and user name are needed to upload the offers."))
            if location.host:
                self.env["iused.connection"]._check_host(location.host)

    @api.constrains("private_key", "passphrase")
    def _check_private_key(self):
        """:raises ValidationError: for a key that cannot be used, without repeating it"""
        secrets = self.env["iused.secret"]
        for location in self:
            private_key = secrets._take_or_none(location, "private_key")
            if private_key and sftp.is_available():
                try:
                    sftp.read_private_key(private_key, secrets._take_or_none(location, "passphrase"))
                except sftp.SftpError as error:
                    raise ValidationError(self._explain(error)) from None

    @api.model_create_multi
    def create(self, vals_list):
        locations = super().create(vals_list)
        self.env["iused.change"]._note_created(locations, vals_list)
        return locations

    def _has_field_access(self, field, operation):
        """Let nobody have another company's offers uploaded here: `readonly` stops views alone."""
        if field.name == "company_id" and operation == "write" and self and not self.env.su:
            return False
        return super()._has_field_access(field, operation)

    def write(self, vals):
        changed = {name for name in PLACE & set(vals) for location in self if location._differs(name, vals[name])}
        vals = dict(vals)
        if changed & SERVER:
            vals |= {"host_key": False, "seen_host_key": False}
        if changed:
            vals["last_feed"] = False
        if vals.get("enabled") is False:
            vals |= {"failing_since": False, "last_error": False}
            self._tell_over(lambda env: env._("Uploads are switched off."))
        with self.env["iused.change"]._watching(self, vals):
            result = super().write(vals)
        if changed or any(vals.get(name) for name in ("enabled", "interval", "heartbeat", *SECRETS)):
            self._start_again()
        return result

    def unlink(self):
        self.env["iused.change"]._note_deleted(self)
        return super().unlink()

    def _differs(self, name, value):
        return (self._fields[name].convert_to_write(self[name], self) or False) != (value or False)

    def _start_again(self):
        """Let the scheduled action look at once, as if nothing had failed."""
        self.write({"attempts": 0, "next_try": fields.Datetime.now()})
        # Whoever changes the settings may have no rights on scheduled actions.
        self.env.ref("sale_iused.ir_cron_upload_offers").sudo()._trigger()

    # Buttons ---------------------------------------------------------------------------------------------------------

    @api.model
    def action_open(self):
        """Open the current company's location, made when there is none yet."""
        self.check_access("write")
        location = self.search([("company_id", "=", self.env.company.id)]) or self.create({})
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Upload by sFTP"),
            "res_model": self._name,
            "res_id": location.id,
            "views": [(False, "form")],
        }

    def action_test(self):
        """Fetch the server's key for the administrator to accept; once it is, log in and try the folder."""
        self._check_ready()
        location_sudo = self.sudo()  # what it finds is not for people to write
        try:
            target = location_sudo._prepare_target()
        except sftp.SftpError as error:
            return self._notify("danger", self._explain(error))
        self.env["ir.cron"]._commit_progress()  # a slow server must not keep a transaction open
        seen = target.host_key
        try:
            if target.host_key:
                sftp.probe(target)
            else:
                seen = sftp.fetch_host_key(target.host, target.port, networks=target.networks)
        except sftp.HostKeyChanged as error:
            seen = error.host_key
        except Exception as error:  # noqa: BLE001 - see `_as_sftp_error`
            return self._notify("danger", self._explain(self._as_sftp_error(error)))
        if seen != target.host_key:
            location_sudo.seen_host_key = seen
            return self._notify("warning", self.env._("Compare the host key with the one that iUsed gave you."))
        location_sudo.seen_host_key = False
        location_sudo._start_again()
        return self._notify("success", self.env._("Connected: the folder can be written."))

    def action_accept_host_key(self):
        """Pin the key that the server showed at the last test, or when it stopped the uploads."""
        self.ensure_one()
        self.check_access("write")
        if self.seen_host_key:
            self.write({"host_key": self.seen_host_key, "seen_host_key": False})
            self.env["iused.trouble"]._tell_over("host_key", self, lambda env: env._("The host key was accepted."))
            self._start_again()

    def action_upload_now(self):
        """Upload at once, changed or not. It is done by the scheduled action, as always."""
        self._check_ready()
        if not self.host_key:
            raise UserError(self.env._("Test the connection and accept the host key first."))
        self.last_feed = False
        self._start_again()
        return self._notify("info", self.env._("The offers will be uploaded in a moment."))

    def action_forget_secrets(self):
        """Take password, private key and passphrase away."""
        self.ensure_one()
        self.check_access("write")
        self.sudo().write(dict.fromkeys(SECRETS, False))  # closed to everybody, as above

    def _check_ready(self):
        self.ensure_one()
        self.check_access("write")
        if not sftp.is_available():
            raise UserError(
                self.env._(
                    "Install the Python package paramiko, %s or newer: pip install -U paramiko", sftp.LEAST_PARAMIKO
                )
            )
        if not (self.host and self.username):
            raise UserError(self.env._("Fill in host and user name first."))

    @api.model
    def _explain(self, error):
        """Return what a `sftp.SftpError` says, in the user's language."""
        values = {
            name: self._explain(value) if isinstance(value, sftp.SftpError) else value
            for name, value in error.values.items()
        }
        return self.env._(error.text, **values)

    def _notify(self, kind, text):
        return {
            "type": "ir.actions.client",
            "tag": "display_notification",
            "params": {"type": kind, "message": text, "next": {"type": "ir.actions.client", "tag": "soft_reload"}},
        }

    # Uploading -------------------------------------------------------------------------------------------------------

    @api.model
    def _working_domain(self):
        return Domain("enabled", "=", True) & Domain("host_key", "!=", False) & Domain("seen_host_key", "=", False)

    @api.model
    def _cron_upload(self):
        """Upload what is due, company by company, each in transactions of its own."""
        if not sftp.is_available():
            return
        end = time.monotonic() + self._run_seconds()
        due = self.search(self._working_domain() & Domain("next_try", "<=", fields.Datetime.now()), order="next_try")
        self.env["ir.cron"]._commit_progress(remaining=len(due))
        for number, location in enumerate(due):
            # A server that takes all the time there is leaves the other companies to another run.
            if number and end - time.monotonic() < self._run_seconds() / 2:
                break
            # The scheduled action runs as the superuser; the secrets are closed to everybody else.
            location.sudo()._take_turn(end)
            self.env["ir.cron"]._commit_progress(1)
        self.env["ir.cron"]._commit_progress(remaining=0)
        later = self.search(self._working_domain() & Domain("next_try", "!=", False), order="next_try", limit=1)
        if later:
            at = max(later.next_try, fields.Datetime.now())
            self.env.ref("sale_iused.ir_cron_upload_offers")._trigger(at=at)

    @api.model
    def _run_seconds(self):
        """Return how long a run may take: Odoo ends workers that take longer than its limit."""
        limit = config["limit_time_real_cron"]
        if limit < 0:
            limit = config["limit_time_real"]
        return limit * SHARE_OF_LIMIT or LONGEST_RUN

    def _take_turn(self, end):
        """Upload if need be, see `_upload_if_changed`. What goes wrong ends this location's turn and nobody else's."""
        self.ensure_one()
        try:
            self._upload_if_changed(end)
        except (SerializationFailure, DeadlockDetected):
            self.env.cr.rollback()  # the settings changed meanwhile: the next run takes the new ones
        except psycopg2.OperationalError:
            raise  # the database is gone; so is everybody's work
        except Exception as error:  # noqa: BLE001 - logged there
            self.env.cr.rollback()
            error = self._as_sftp_error(error)
            if self.exists():
                self._write_result(error, None, {})

    def _upload_if_changed(self, end):
        """Upload a location's offers, unless the server has them already.

        :param float end: the moment, on the monotonic clock, at which it must be over
        """
        self.ensure_one()
        feed = self.env["iused.offer.feed"].with_company(self.company_id)
        decimal_point = self.lang_id.decimal_point or "."
        query = feed._offers_query(self.company_id, self.file_format, decimal_point)
        fingerprint = feed._fingerprint(self.company_id, query)
        if fingerprint == self.last_feed and not self._heart_must_beat():
            self.next_try = self._next_look()
            return
        target = self._prepare_target()
        with tempfile.TemporaryFile() as file:
            offers = feed._write(query, file, self.file_format)
            self.env["ir.cron"]._commit_progress()  # no transaction is open while we talk to the server
            start = time.monotonic()
            error = self._upload(target, file, end - start)
            values = {"duration": time.monotonic() - start, "size": file.seek(0, 2), "offers": offers}
        _logger.info("iUsed offers of %s by sFTP: %s", self.company_id.id, error or f"{offers} uploaded")
        self.env["iused.exchange"]._log_upload(
            self.company_id, {**values, "path": target.path, "detail": error and self._explain(error)}
        )
        # Settings that changed meanwhile set the location back to the start, which must stay.
        if self._prepare_target() == target:
            self._write_result(error, fingerprint, values)

    def _heart_must_beat(self):
        if not self.last_upload:
            return True
        return self.heartbeat and self.last_upload + timedelta(hours=self.heartbeat) <= fields.Datetime.now()

    def _next_look(self):
        """Return when to look again where all went well, or False where nothing is uploaded by itself."""
        minutes = [minutes for minutes in (self.interval, self.heartbeat * 60) if minutes]
        return fields.Datetime.now() + timedelta(minutes=min(minutes)) if minutes else False

    def _upload(self, target, file, seconds):
        """Talk to the server. Never raises for what it or the network do.

        :return: the `sftp.SftpError`, or None
        """
        try:
            sftp.upload(target, file, seconds)
        except Exception as error:  # noqa: BLE001 - see `_as_sftp_error`
            return self._as_sftp_error(error)
        return None

    def _as_sftp_error(self, error):
        """Return an error as a `sftp.SftpError`. One that is none is written to the log, with the calls that led to it.

        A server that means harm can make paramiko raise anything, whose words may be the server's own.
        """
        if isinstance(error, sftp.SftpError):
            return error
        kind, calls = type(error).__name__, "".join(traceback.format_tb(error.__traceback__))
        words = clean(str(error), sftp.LONGEST_WORDS)
        _logger.error("iUsed sFTP location %s: unexpected %s: %s\n%s", self.id, kind, words, calls)
        return sftp.SftpError(sftp.UNEXPECTED, kind=kind)

    def _prepare_target(self):
        """:raises sftp.SftpError: where a secret cannot be read any more"""
        self.ensure_one()
        try:
            secrets = {name: self.env["iused.secret"]._take(self, name) for name in SECRETS}
        except SecretLost:
            raise sftp.SftpError(sftp.LOST) from None
        return sftp.Target(
            host=self.host,
            port=self.port,
            user=self.username,
            folder=self.folder or "",
            file_name=self.file_name,
            host_key=self.host_key,
            networks=self.env["iused.connection"]._allowed_networks(),
            **secrets,
        )

    def _write_result(self, error, fingerprint, values):
        """Write down what came of an upload, and when the next one is due."""
        self.ensure_one()
        now = fields.Datetime.now()
        if not error:
            self.write(
                {
                    "next_try": self._next_look(),
                    "attempts": 0,
                    "failing_since": False,
                    "last_error": False,
                    "last_upload": now,
                    "last_size": values["size"],
                    "last_offers": values["offers"],
                    "last_feed": fingerprint,
                }
            )
            self._tell_over(lambda env: env._("Uploaded again."))
            return
        self.write(
            {
                "next_try": now + timedelta(seconds=retry_seconds(self.attempts)),
                "attempts": self.attempts + 1,
                "failing_since": self.failing_since or now,
                "last_error": self._explain(error),
            }
        )
        if isinstance(error, sftp.HostKeyChanged):
            self.seen_host_key = error.host_key
            self._tell(
                "host_key", error, lambda env: env._("Uploads to iUsed stopped: the server shows another host key")
            )
        elif error.text == sftp.LOST or (
            self.alarm_after and self.failing_since + timedelta(hours=self.alarm_after) <= now
        ):
            self._tell("upload", error, lambda env: env._("Offers cannot be uploaded to iUsed"))

    def _tell(self, kind, error, summarize):
        """Tell of a trouble, once for as long as it lasts.

        :param summarize: gets an environment in the reader's language, returns the summary
        """
        self.env["iused.trouble"]._tell(kind, self, lambda env: (summarize(env), self.with_env(env)._explain(error)))

    def _tell_over(self, compose):
        """Close the activities of the locations' troubles; see `iused.trouble._tell_over`."""
        for location in self:
            for kind in ("host_key", "upload"):
                self.env["iused.trouble"]._tell_over(kind, location, compose)
