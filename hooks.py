"""What an uninstall must take away that Odoo does not: keys live in a table of their own."""

from .const import KEY_SCOPE


def uninstall_hook(env):
    """Revoke every access token of iUsed and archive the users that held nothing else."""
    users = env["res.company"].search([("iused_user_id", "!=", False)]).iused_user_id
    env["res.users.apikeys"].search([("scope", "=", KEY_SCOPE)]).unlink()
    # Their orders name them as creator, so they stay; without a key and a password nobody can use them.
    users.filtered("share").action_archive()
