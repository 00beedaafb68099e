"""How many of a kind are kept in a day. Plain Python without Odoo."""

import threading
import time

DAY = 24 * 3600  # seconds


class DailyShare:
    """Tells what of many is kept: so many in a day, from midnight, UTC; beyond, one in so many seconds.

    It counts in this process, so that to ask costs nothing: each worker has a share of its own.

    :param int most: in a day
    :param float pause: seconds
    :param now: returns the time, in seconds since 1970
    """

    def __init__(self, most, pause, now=time.time):
        self._most, self._pause, self._now = most, pause, now
        self._known = {}  # by kind: the day, how many were kept in it, when the last one was
        self._lock = threading.Lock()

    def take(self, kind):
        """Return whether one more is kept, and whether it is the last one before the pauses begin."""
        now = self._now()
        with self._lock:
            day, count, last = self._known.get(kind, (None, 0, 0))
            if day != now // DAY:
                count = 0
            if count >= self._most and now - last < self._pause:
                return False, False
            self._known[kind] = now // DAY, count + 1, now
        return True, count + 1 == self._most
