"""What the other side of a connection may take of our time, and what of its words may be written down.

Plain Python without Odoo, for all that calls others.
"""

import re
import threading
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError  # the built-in one only from Python 3.11

# Control characters and line ends; what turns the direction of the text around it; halves of characters, which UTF-8
# and so PostgreSQL do not have.
_UNWRITABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]+")


def clean(text, longest=None):
    """Return another side's words as they may go to a log, a database or a screen: a line of visible characters.

    What may not stand there becomes a space, and is not taken out: the rest would join to other words, which may be a
    secret's. JSON stays JSON.

    :param int longest: characters after which the text is cut off
    """
    return _UNWRITABLE.sub(" ", text)[:longest]


def connect_within(seconds, connect):
    """Return the socket of a function that connects, which has so many seconds for all it does.

    A name server that does not answer heeds no time-out of a socket's, and of a name's many addresses each has its own.
    So a thread connects, and is left alone when it is late: it closes then what it opened.

    :param connect: returns the socket; what it raises is raised here
    :raises TimeoutError: when it took longer
    """
    future = Future()
    threading.Thread(target=_connect, args=(connect, future), name="iused-connect", daemon=True).start()
    try:
        return future.result(seconds)
    except (FutureTimeoutError, TimeoutError) as error:
        future.add_done_callback(_close)
        raise TimeoutError("It took too long to connect.") from error


def _connect(connect, future):
    try:
        future.set_result(connect())
    except BaseException as error:  # noqa: BLE001 - raised again by who waits for it
        future.set_exception(error)


def _close(future):
    if not future.exception():
        future.result().close()
