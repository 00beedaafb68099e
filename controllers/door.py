"""The door before iUsed's routes: a burst of calls takes neither all connections nor all the time from Odoo's users.

Odoo's threaded server starts a thread for each call, and each takes a connection from the pool (`db_maxconn`) before
any route is looked at; who finds none is answered 500, be it iUsed or a user. None of Odoo's hooks comes before that:
hence the wrapper around the application. A worker process answers one call at a time and never meets the door.
"""

import functools
import logging

from odoo import http
from odoo.service import server
from odoo.tools import config

from ..const import ROUTE_PREFIX
from ..models.ir_http import BUSY
from ..tools.door import Door, Full
from ..tools.problem import problem

_logger = logging.getLogger(__name__)

WAITING = 200  # calls
SECONDS = 10
RETRY_AFTER = "5"  # seconds


def _is_closing():
    return bool(getattr(server.server, "quit_signals_received", 0))


def _make_door(share):
    """Return a door that takes at most its share of the connections; a call takes two where it is written down."""
    return Door(max(1, config["db_maxconn"] // share), WAITING, SECONDS, _is_closing)


# A flood of polls must not keep orders waiting, nor the other way round.
POLLS = _make_door(16)
OTHERS = _make_door(8)


def through_the_door(call):
    """Wrap the application: calls of iUsed's routes pass the door, all others go on at once."""

    @functools.wraps(call)
    def wrapper(self, environ, start_response):
        path = environ.get("PATH_INFO", "")
        if not path.startswith(f"{ROUTE_PREFIX}/"):
            return call(self, environ, start_response)
        door = POLLS if path.startswith(f"{ROUTE_PREFIX}/offers") else OTHERS
        try:
            with door.passed():
                answer = call(self, environ, start_response)
            if count := door.take_turned_away():
                _logger.warning("%s calls of iUsed were asked to come again, as too many came at once", count)
            return answer
        except Full:
            busy = problem(503, BUSY, headers={"Retry-After": RETRY_AFTER})
            return busy.get_response(environ)(environ, start_response)

    wrapper.iused_door = True
    return wrapper


if not hasattr(http.Application.__call__, "iused_door"):
    http.Application.__call__ = through_the_door(http.Application.__call__)
