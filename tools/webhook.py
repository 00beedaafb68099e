"""The call to iUsed's shipment webhook, and what its answer means. Plain Python without Odoo."""

import ast
import json
import math
import time
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import ClassVar

import requests

from . import destination
from .bounded_http import open_session, read_body, within
from .masking import Mask
from .peer import clean

TIMEOUT = (5, 20)  # seconds to connect, to read; a call takes no longer than both
_MANIFEST = ast.literal_eval((Path(__file__).parents[1] / "__manifest__.py").read_text())
USER_AGENT = f"sale_iused/{_MANIFEST['version']} (Odoo)"
RETRIED_STATUSES = {408, 425, 429}
# They may say that the address or its token is wrong, so that no other update would fare better.
CLOSED_STATUSES = {401, 403, 404, 410}
LONGEST_TEXT = 200  # characters of an answer that are told in words
SENTENCES = ("detail", "message", "error", "title")  # keys of an answer that hold it, the best first
LONGEST_ANSWER = 2000  # bytes of an answer that are kept
LONGEST_RETRY_AFTER = 24 * 3600  # seconds


@dataclass(frozen=True)
class Outcome:
    """What came of a call.

    :ivar verdict: accepted, to be tried again, refused for good, or closed: the whole company is shut out
    :ivar text: the answer in words, without the address, which is a secret
    :ivar status: the HTTP status, or 0 without an answer
    :ivar retry_after: seconds that the portal asks to wait, or None
    :ivar answer: the beginning of the answer's body, without the address
    :ivar duration: seconds that the call took
    """

    ACCEPTED: ClassVar = "accepted"
    RETRY: ClassVar = "retry"
    REFUSED: ClassVar = "refused"
    CLOSED: ClassVar = "closed"

    verdict: str
    text: str
    status: int = 0
    retry_after: float | None = None
    answer: str = ""
    duration: float = 0.0

    @property
    def reached(self):
        """Whether the portal answered at all."""
        return bool(self.status)

    @property
    def may_be_known(self):
        """Whether the portal may have taken the update in."""
        return self.verdict in (self.ACCEPTED, self.RETRY)


class Webhook:
    """iUsed's webhook, for many calls in a row: one connection, and one call made beforehand.

    Preparing one takes a tenth of the call's time, and the next differs by its body and event alone.

    :param str url: the webhook's address, a secret: it appears in no text that this module returns
    :param str method: POST, PUT or PATCH
    :param networks: where it may be beyond the public internet; see `destination.check`
    """

    def __init__(self, url, method="POST", networks=()):
        self._url = url
        self._method = method
        self._networks = networks
        self._mask = Mask(url)
        self._session = open_session(url)
        self._call = None

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        self._session.close()

    def send(self, body, event_id):
        """Tell iUsed of a shipment. Never raises for what the network or the portal does.

        :param str body: the body, JSON
        :param str event_id: sent as `Idempotency-Key` (IETF draft), equal for every try of one update
        :rtype: Outcome
        """
        start = time.monotonic()
        try:
            answered = self._exchange(body, event_id)
        except Exception as error:  # noqa: BLE001 - odd answers raise odd errors, whose texts repeat the address
            outcome = Outcome(Outcome.RETRY, _describe(error))
        else:
            outcome = judge(*answered, mask=self._mask)
        return replace(outcome, duration=time.monotonic() - start)

    def _exchange(self, body, event_id):
        """Make the call.

        :return: the answer's status, reason, body and `Retry-After`, in its own words
        """
        with (
            within(TIMEOUT, self._networks),
            self._session.send(
                self._prepare(body, event_id), timeout=TIMEOUT, allow_redirects=False, stream=True
            ) as response,
        ):
            # We ask for none that is packed. What is all the same may be a thousand times as large once it is unpacked.
            packed = response.headers.get("Content-Encoding", "").lower() not in ("", "identity")
            answer = read_body(response).decode(errors="replace")
            return (
                response.status_code,
                response.reason or "",
                "" if packed else answer,
                response.headers.get("Retry-After"),
            )

    def _prepare(self, body, event_id):
        """Return the call as `requests` makes it.

        :raises requests.RequestException: for an address that is none
        """
        if not self._call:
            headers = {"Content-Type": "application/json", "Accept": "application/json", "User-Agent": USER_AGENT}
            self._call = self._session.prepare_request(requests.Request(self._method, self._url, headers=headers))
        self._call.headers["Idempotency-Key"] = event_id
        self._call.prepare_body(body.encode(), None)
        return self._call


@dataclass(frozen=True)
class Probe:
    """What an address answered to a question that changes nothing.

    :ivar status: the HTTP status, or 0 without an answer
    :ivar allowed: the methods that the answer's `Allow` names; empty where it names none
    :ivar media_type: of the answer, without its parameters
    :ivar trouble: why there was no answer: timeout, certificate, destination or connection
    :ivar address: which the host has and must not, in the third case
    """

    status: int = 0
    allowed: frozenset = frozenset()
    media_type: str = ""
    trouble: str = ""
    address: str = ""


def probe(method, url, timeout=TIMEOUT, networks=()):
    """Ask an address for an answer, by a safe method (RFC 9110, section 9.2.1) and without a body.

    Never raises for what the network or the other side does.

    :param str url: may be a secret: it is not repeated
    :param timeout: seconds to connect, to read; it takes no longer than both
    :param networks: as for `Webhook`
    :rtype: Probe
    """
    try:
        with (
            within(timeout, networks),
            open_session(url) as session,
            session.request(
                method,
                url,
                timeout=timeout,
                allow_redirects=False,
                headers={"Accept": "application/json", "User-Agent": USER_AGENT},
                stream=True,
            ) as response,
        ):
            media_type = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
            return Probe(response.status_code, _read_methods(response.headers), clean(media_type, LONGEST_TEXT))
    except requests.exceptions.Timeout:
        return Probe(trouble="timeout")
    except requests.exceptions.SSLError:
        return Probe(trouble="certificate")
    except destination.DestinationRefused as error:
        return Probe(trouble="destination", address=error.address)
    except Exception:  # noqa: BLE001 - see `Webhook.send`
        return Probe(trouble="connection")


def _read_methods(headers):
    names = headers.get("Allow", "")[:LONGEST_TEXT].upper().replace(" ", "").split(",")
    return frozenset(name for name in names if name.isascii() and name.isalpha())


def judge(status, reason, answer, retry_after=None, mask=str):
    """Tell what an answer means: 2xx is success, 3xx and most 4xx will not get better by themselves.

    :param str retry_after: the header `Retry-After` (RFC 9110, section 10.2.3): seconds or a date
    :param mask: takes the address out of the answer's words, see `masking.Mask`
    :rtype: Outcome
    """
    answer = clean(answer)
    # Masked before anything is cut off, which may be the end of a secret; what JSON may have written otherwise, too.
    reason, answer, gist = (mask(words) for words in (clean(reason or ""), answer, clean(_gist(answer))))
    text = " ".join(f"HTTP {status} {reason[:LONGEST_TEXT]} {' '.join(gist.split())[:LONGEST_TEXT]}".split())
    answer = answer.encode()[:LONGEST_ANSWER].decode(errors="ignore")
    if 200 <= status < 300:
        return Outcome(Outcome.ACCEPTED, text, status, answer=answer)
    if status >= 500 or status in RETRIED_STATUSES:
        return Outcome(Outcome.RETRY, text, status, _seconds(retry_after), answer)
    verdict = Outcome.CLOSED if status in CLOSED_STATUSES else Outcome.REFUSED
    return Outcome(verdict, text, status, answer=answer)


def _gist(answer):
    """Return what an answer says to people: the sentence in it, if it is JSON with one; else all of it."""
    try:
        document = json.loads(answer)
    except (ValueError, RecursionError):
        return answer
    if not isinstance(document, dict):
        return answer
    return next((document[key] for key in SENTENCES if isinstance(document.get(key), str)), answer)


def _seconds(retry_after):
    """Return the seconds to wait that a `Retry-After` header asks for, or None where it cannot be read."""
    if not retry_after:
        return None
    try:
        seconds = float(retry_after)
    except ValueError:
        try:
            moment = parsedate_to_datetime(retry_after)
        except (ValueError, OverflowError):
            return None
        seconds = (moment.replace(tzinfo=moment.tzinfo or timezone.utc) - datetime.now(timezone.utc)).total_seconds()
    return min(max(seconds, 0), LONGEST_RETRY_AFTER) if math.isfinite(seconds) else None


def _describe(error):
    """Say what kept a call from being answered. The library's own words would repeat the address."""
    if isinstance(error, destination.DestinationRefused):
        return (
            f"The webhook's host has the address {error.address}, which is not on the public internet. If that is"
            f" right, name its network in the system parameter {destination.PARAMETER}."
        )
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return f"iUsed could not be reached within {TIMEOUT[0]} seconds."
    if isinstance(error, requests.exceptions.Timeout):
        return f"iUsed did not answer within {TIMEOUT[1]} seconds."
    if isinstance(error, requests.exceptions.SSLError):
        return "The certificate of iUsed's server is not valid."
    if isinstance(error, requests.exceptions.ConnectionError):
        return "The connection to iUsed failed or was closed."
    return f"The call to iUsed failed ({type(error).__name__})."
