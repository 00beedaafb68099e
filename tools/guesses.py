"""Calls with a wrong key, counted by where they come from."""

import ipaddress
import threading
from datetime import datetime, timedelta

MOST_SOURCES = 10_000
FORGOTTEN_AFTER = timedelta(hours=1)
PREFIX = 64  # bits of an IPv6 address that are one caller's, who may have all addresses below


def source_of(address):
    """Return what counts as one caller: an IPv4 address, or a network of IPv6.

    :param address: as `networks.read_address` returns it
    """
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((int(address), PREFIX), strict=False))
    return str(address)


class Guesses:
    """Counts in this process. Who was quiet for an hour is forgotten; so is the oldest where there are too many."""

    def __init__(self):
        self._known = {}  # the last that guessed at the end
        self._lock = threading.Lock()

    def read(self, source):
        """Return how often a source guessed, and when last: a local time, as Odoo's own rule reckons with."""
        count, last = self._known.get(source, (0, datetime.min))
        return (count, last) if last > datetime.now() - FORGOTTEN_AFTER else (0, datetime.min)

    def note(self, source):
        """Count a guess; return how many there are of that source."""
        with self._lock:
            count = self.read(source)[0] + 1
            self._known.pop(source, None)
            self._known[source] = count, datetime.now()
            if len(self._known) > MOST_SOURCES:
                del self._known[next(iter(self._known))]
        return count
