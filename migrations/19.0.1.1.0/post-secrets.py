"""Encrypt the secrets that older versions kept in clear text, and drop their columns."""

from odoo import SUPERUSER_ID, api


def migrate(cr, _version):
    """Called by Odoo once the tables of this version are there."""
    secrets = api.Environment(cr, SUPERUSER_ID, {})["iused.secret"]
    secrets._take_over("res.company", "iused_webhook_url")
    for name in ("password", "private_key", "passphrase"):
        secrets._take_over("iused.sftp.location", name)
