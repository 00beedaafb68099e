"""How many calls work at a time in one process, and how many more wait for their turn. Plain Python without Odoo."""

import contextlib
import threading
import time
from collections import deque

LOOK_AROUND = 0.2  # seconds after which who waits looks whether the server stops


class Full(Exception):
    """Nobody more can wait, or somebody waited for too long; the call may be repeated."""


class Door:
    """Lets calls in, the first come first, so many at a time.

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
