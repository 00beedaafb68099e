"""How many calls work at a time, and how many more wait for their turn. Plain Python without Odoo.

A server answers its calls in the threads of one process, or in worker processes of one thread each: a door for each.
"""

import contextlib
import os
import random
import socket
import struct
import threading
import time
from collections import deque

try:
    import fcntl
except ImportError:  # Windows, where Odoo has no worker processes
    fcntl = None

LOOK_AROUND = 0.2  # seconds after which who waits looks whether the server stops
PAUSE = (0.01, 0.03)  # seconds between two looks whether a place is free


class Full(Exception):
    """Nobody more can wait, or somebody waited for too long; the call may be repeated."""


def queue_length(listener):
    """Return how many connections wait to be accepted by a listening socket; 0 where the system does not tell.

    Linux tells it in the field of `tcp_info` that counts unacknowledged segments of other sockets.
    """
    with contextlib.suppress(AttributeError, OSError, struct.error):
        return struct.unpack_from("I", listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104), 24)[0]
    return 0


class ThreadDoor:
    """Lets the calls of one process in, the first come first, so many at a time.

    Who waits holds nothing but its thread: neither a connection to the database nor what it was sent. Nobody inside
    waits for the door, so that it opens again whatever happens.

    :param int inside: calls that work at a time
    :param int waiting: calls that wait besides
    :param float seconds: that a call waits at most
    :param is_closing: tells whether the server stops, so that nobody need wait any more
    """

    def __init__(self, inside, waiting, seconds, is_closing=lambda: False):
        self._inside, self._waiting, self._seconds = inside, waiting, seconds
        self._is_closing = is_closing
        self._lock = threading.Lock()
        self._places = inside
        self._queue = deque()  # of an event for each who waits
        self._turned_away = 0

    @contextlib.contextmanager
    def passed(self):
        """Work inside.

        :raises Full: at once where too many wait already, else after the seconds
        """
        self._enter()
        try:
            yield
        finally:
            self._leave()

    def take_turned_away(self):
        """Return how many calls were turned away since this was asked last; 0 as long as somebody waits."""
        with self._lock:
            if self._queue:
                return 0
            count, self._turned_away = self._turned_away, 0
        return count

    def _enter(self):
        with self._lock:
            if self._places and not self._queue:
                self._places -= 1
                return
            if len(self._queue) >= self._waiting:
                self._turned_away += 1
                raise Full
            turn = threading.Event()
            self._queue.append(turn)
        end = time.monotonic() + self._seconds
        while not turn.wait(LOOK_AROUND):
            if time.monotonic() > end or self._is_closing():
                break
        with self._lock:
            if turn.is_set():
                return
            self._queue.remove(turn)
            self._turned_away += 1
        raise Full

    def _leave(self):
        with self._lock:
            if self._queue:
                self._queue.popleft().set()  # its place is handed over
            else:
                self._places += 1


class WorkerDoor:
    """Lets the calls of a server's worker processes in, so many at a time, and leaves the other workers to users.

    A worker takes a place by a lock on one byte of a file, which is free again when the process ends, whatever ends it.
    Who waits keeps its worker from others: hence few and short.

    :param str path: of the file, the same for all workers of the server; it stays empty
    :param int first: the first byte of this door's; it takes `inside + waiting` of them
    :param int inside: calls that work at a time
    :param int waiting: calls that wait besides
    :param float seconds: that a call waits at most
    :param is_crowded: tells whether so many calls wait for a worker that all but users had better come again
    """

    def __init__(self, path, first, inside, waiting, seconds, is_crowded=lambda: False):
        self._is_crowded = is_crowded
        self._path = path
        self._inside = range(first, first + inside)
        self._waiting = range(first + inside, first + inside + waiting)
        self._seconds = seconds
        self._turned_away = 0

    @contextlib.contextmanager
    def passed(self):
        """Work inside.

        :raises Full: at once where too many wait already, else after the seconds
        """
        # Opened for each call: the locks of a file that was opened before a fork would be shared.
        with open(self._path, "ab") as file:
            if self._is_crowded() or not (self._take(file, self._inside) or self._wait(file)):
                self._turned_away += 1
                raise Full
            yield

    def take_turned_away(self):
        """Return how many calls this worker turned away since this was asked last."""
        count, self._turned_away = self._turned_away, 0
        return count

    def _wait(self, file):
        """Wait for a place; return whether there was one."""
        if not self._take(file, self._waiting):
            return False
        end = time.monotonic() + self._seconds
        while time.monotonic() < end:
            time.sleep(random.uniform(*PAUSE))
            if self._take(file, self._inside):
                for byte in self._waiting:
                    fcntl.lockf(file, fcntl.LOCK_UN, 1, byte, os.SEEK_SET)
                return True
        return False

    def _take(self, file, places):
        """Lock the first place that is free; return whether there was one."""
        for byte in places:
            with contextlib.suppress(OSError):
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, byte, os.SEEK_SET)
                return True
        return False
