"""The door before iUsed's routes: a burst of calls takes neither all connections nor all the time from Odoo's users.

Odoo's threaded server starts a thread for each call, and each takes a connection from the pool (`db_maxconn`) before
any route is looked at; who finds none is answered 500, be it iUsed or a user. Worker processes answer one call each at
a time, and a burst keeps all of them from the users. None of Odoo's hooks comes before that: hence the wrapper around
the application.
"""

import contextlib
import functools
import io
import logging
import os
import random
import socket
import threading

import odoo
from odoo import http
from odoo.service import server
from odoo.tools import config

from ..const import ROUTE_PREFIX
from ..models.ir_http import BODY_SECONDS, BUSY, unauthorized
from ..tools.door import Full, ThreadDoor, WorkerDoor, queue_length
from ..tools.problem import problem

_logger = logging.getLogger(__name__)

WAITING = 200  # threads
SECONDS = 10  # that a thread waits
WORKER_SECONDS = 1  # that a worker waits, which could do something else
QUEUE = 2  # connections for each worker that wait to be accepted: the system drops those beyond eight
RETRY_AFTER = (1, 3)  # seconds; those who were sent away together must not all come back together


def _make_doors():
    """Return the door for polls and the one for all other calls.

    A flood of polls must not keep orders waiting, nor the other way round.
    """
    workers = config["workers"]
    if not workers or odoo.evented:
        # A call takes two connections where it is written down.
        places = config["db_maxconn"] // 16
        return [ThreadDoor(max(1, number), WAITING, SECONDS, _is_closing) for number in (places, 2 * places)]
    path = os.path.join(config["data_dir"], "sale_iused.door")
    first = config["http_port"] * 1000  # servers may share the folder
    waiting = max(1, workers // 8)
    polls = WorkerDoor(path, first, max(1, workers // 4), waiting, WORKER_SECONDS, _is_crowded)
    others = WorkerDoor(path, first + 500, max(2, workers // 2), waiting, WORKER_SECONDS, _is_crowded)
    return polls, others


def _is_crowded():
    """Tell whether a user would wait long for a worker, as calls of iUsed stand in the same queue."""
    return queue_length(getattr(server.server, "socket", None)) > QUEUE * config["workers"]


def _is_closing():
    return bool(getattr(server.server, "quit_signals_received", 0))


POLLS, OTHERS = _make_doors()


@contextlib.contextmanager
def _timely_body(environ):
    """Let a body that trickles in end, so that it does not keep a place and a connection for as long as it likes.

    Odoo reads it after the key was checked. Once it is there, that no more is read changes nothing.
    """
    if environ["REQUEST_METHOD"] not in ("POST", "PUT", "PATCH"):
        # Nobody asks for it; but Odoo would read what is told to come.
        environ.update({"CONTENT_LENGTH": "0", "wsgi.input": io.BytesIO()})
        environ.pop("HTTP_TRANSFER_ENCODING", None)
        yield
        return
    timer = threading.Timer(BODY_SECONDS, _stop_reading, (environ,))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _stop_reading(environ):
    """Let nobody wait for more of what the caller sends."""
    with contextlib.suppress(KeyError, OSError):  # another server has no such key; it may be closed already
        environ["werkzeug.socket"].shutdown(socket.SHUT_RD)


class Answer:
    """What Odoo answers, before it is sent.

    Where the database fails before a route is looked at, Odoo answers as if there were none: 404 or 500, as a page for
    people. After that iUsed would not repeat the call.
    """

    def __init__(self, call, application, environ):
        self.status, self._headers = "", []
        self._body = call(application, environ, self._start)

    def _start(self, status, headers, *_error):
        self.status, self._headers = status, headers

    @property
    def is_for_people(self):
        return any(name.lower() == "content-type" and "html" in value for name, value in self._headers)

    def pass_on(self, start_response):
        start_response(self.status, self._headers)
        return self._body


def _ask_to_come_again(environ, start_response):
    busy = problem(503, BUSY, headers={"Retry-After": str(random.randint(*RETRY_AFTER))})
    return _refuse(busy, environ, start_response)


def _refuse(refusal, environ, start_response):
    # The server would wait for the rest of the body after its answer.
    _stop_reading(environ)
    return refusal.get_response(environ)(environ, start_response)


def _without_store(start_response):
    """Let nobody on the way keep an answer about orders, which names consumers (RFC 9111, section 5.2.2.5)."""

    def start(status, headers, *error):
        return start_response(status, [*headers, ("Cache-Control", "no-store")], *error)

    return start


def through_the_door(call):
    """Wrap the application: calls of iUsed's routes pass the door, all others go on at once."""

    @functools.wraps(call)
    def wrapper(self, environ, start_response):
        path = environ.get("PATH_INFO", "")
        if not path.startswith(f"{ROUTE_PREFIX}/"):
            # Odoo leads some on to a route behind this door: from an address with a language before ours.
            environ["iused.other_address"] = True
            return call(self, environ, start_response)
        is_poll = path.startswith(f"{ROUTE_PREFIX}/offers")
        if not is_poll:
            start_response = _without_store(start_response)
        if not environ.get("HTTP_AUTHORIZATION") and not environ.get("HTTP_X_API_KEY"):
            # Neither a place nor a connection for who has no key.
            return _refuse(unauthorized(), environ, start_response)
        door = POLLS if is_poll else OTHERS
        try:
            with door.passed(), _timely_body(environ):
                answer = Answer(call, self, environ)
        except Full:
            return _ask_to_come_again(environ, start_response)
        if count := door.take_turned_away():
            _logger.warning("%s calls of iUsed were asked to come again, as too many came at once", count)
        if answer.is_for_people:
            _logger.warning("A call of iUsed was not answered by its route, but %s", answer.status)
            return _ask_to_come_again(environ, start_response)
        _stop_reading(environ)  # as in `_refuse`
        return answer.pass_on(start_response)

    wrapper.iused_door = True
    return wrapper


if not hasattr(http.Application.__call__, "iused_door"):
    http.Application.__call__ = through_the_door(http.Application.__call__)
