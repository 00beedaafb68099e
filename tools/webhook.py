"""The call to iUsed's shipment webhook, and what its answer means. Plain Python without Odoo."""

import logging
import math
import threading
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import ClassVar

import requests

TIMEOUT = (5, 20)  # seconds to connect, to read
USER_AGENT = "sale_iused/19.0.1.0.0 (Odoo)"
RETRIED_STATUSES = {408, 425, 429}
LONGEST_ANSWER = 200  # characters of an answer that are kept
LONGEST_RETRY_AFTER = 24 * 3600  # seconds

_calling = threading.local()


class _Silence(logging.Filter):
    """Drops what the HTTP library logs of a call of ours: at level DEBUG it would write the address down."""

    def filter(self, record):
        return not getattr(_calling, "now", False)


for _name in ("urllib3.connectionpool", "urllib3.util.retry"):
    logging.getLogger(_name).addFilter(_Silence())


@dataclass(frozen=True)
class Outcome:
    """What came of a call.

    :ivar verdict: accepted, to be tried again, or refused for good
    :ivar text: the answer in words, without the address, which is a secret
    :ivar status: the HTTP status, or 0 without an answer
    :ivar retry_after: seconds that the portal asks to wait, or None
    """

    ACCEPTED: ClassVar = "accepted"
    RETRY: ClassVar = "retry"
    REFUSED: ClassVar = "refused"

    verdict: str
    text: str
    status: int = 0
    retry_after: float | None = None

    @property
    def reached(self):
        """Whether the portal answered at all."""
        return bool(self.status)


def send(session, url, body, event_id):
    """Tell iUsed of a shipment. Never raises for what the network or the portal does.

    :param requests.Session session: kept between calls, for its connection
    :param str url: the webhook's address, a secret: it appears in no text that this module returns
    :param dict body: the JSON body
    :param str event_id: sent as `Idempotency-Key` (IETF draft), equal for every try of one update
    :rtype: Outcome
    """
    _calling.now = True
    try:
        response = session.post(
            url,
            json=body,
            timeout=TIMEOUT,
            allow_redirects=False,
            headers={"Idempotency-Key": event_id, "User-Agent": USER_AGENT, "Accept": "application/json"},
        )
    except requests.RequestException as error:
        return Outcome(Outcome.RETRY, _describe(error))
    finally:
        _calling.now = False
    return judge(response.status_code, response.reason, response.text, response.headers.get("Retry-After"))


def judge(status, reason, answer, retry_after=None):
    """Tell what an answer means: 2xx is success, 3xx and most 4xx will not get better by themselves.

    :param str retry_after: the header `Retry-After` (RFC 9110, section 10.2.3): seconds or a date
    :rtype: Outcome
    """
    text = " ".join(f"HTTP {status} {reason or ''} {' '.join(answer.split())[:LONGEST_ANSWER]}".split())
    if 200 <= status < 300:
        return Outcome(Outcome.ACCEPTED, text, status)
    if status >= 500 or status in RETRIED_STATUSES:
        return Outcome(Outcome.RETRY, text, status, _seconds(retry_after))
    return Outcome(Outcome.REFUSED, text, status)


def _seconds(retry_after):
    """Return the seconds to wait that a `Retry-After` header asks for, or None where it cannot be read."""
    if not retry_after:
        return None
    try:
        seconds = float(retry_after)
    except ValueError:
        try:
            moment = parsedate_to_datetime(retry_after)
        except ValueError:
            return None
        seconds = (moment.replace(tzinfo=moment.tzinfo or timezone.utc) - datetime.now(timezone.utc)).total_seconds()
    return min(max(seconds, 0), LONGEST_RETRY_AFTER) if math.isfinite(seconds) else None


def _describe(error):
    """Say what kept a call from being answered. The library's own words would repeat the address."""
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return f"iUsed could not be reached within {TIMEOUT[0]} seconds."
    if isinstance(error, requests.exceptions.Timeout):
        return f"iUsed did not answer within {TIMEOUT[1]} seconds."
    if isinstance(error, requests.exceptions.SSLError):
        return "The certificate of iUsed's server is not valid."
    if isinstance(error, requests.exceptions.ConnectionError):
        return "The connection to iUsed failed or was closed."
    return f"The call to iUsed failed ({type(error).__name__})."
