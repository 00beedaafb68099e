"""What the controllers share. They parse, call one model method, and answer."""

import logging

from odoo.http import request

from ..tools.problem import problem

_logger = logging.getLogger(__name__)

LONGEST_PATH = 500  # characters of it that are logged


def require_method(*methods):
    """Refuse a method that a resource does not know.

    The routes take every method, so that this answer is ours and not an HTML page.

    :raises werkzeug.exceptions.MethodNotAllowed: with the methods that would do
    """
    method = request.httprequest.method
    if method not in methods:
        raise problem(
            405, f"{method} is not possible here, but {', '.join(methods)} is.", headers={"Allow": ", ".join(methods)}
        )


def note_read():
    """Leave a line in the server's log: who used a stolen key to look around must not stay unseen.

    What only reads, and is no poll, has no row in our own log.
    """
    caller = request.iused_caller
    path = request.httprequest.path[:LONGEST_PATH]
    _logger.info("The token %r of iUsed read %r from %s", caller["key_name"], path, caller["remote_address"])
