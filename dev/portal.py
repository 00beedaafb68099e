#!/usr/bin/env python3
"""A stand-in for the iUsed Refurbisher Portal, for development and tests.

It plays iUsed's side of the three integration points of iUsed's technical onboarding guide:

- it receives shipment updates on ``/webhook/shipment/{supplier_id}/{secure_token}``;
- it polls an offer feed and says what in it is against the guide;
- it pushes orders and remembers the external order ids it is answered, since only those may be shipped.

It can be told to misbehave: refuse, answer late, hang, drop the connection before or after it has taken a shipment
update in, or give an answer that is made to harm its reader (`HOSTILE`). It binds
127.0.0.1 only and needs nothing but Python's standard library.

In a test::

    with Portal() as portal:
        company.webhook_url = portal.webhook_url
        portal.push_order(orders_url, key, sample_order())
        portal.fail(status=503, times=1, retry_after=30)
        ...
        portal.wait_for_updates(1, timeout=5)

As a process of its own: ``python portal.py serve``, driven by `PortalClient` or by the other subcommands.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import gzip
import http.client
import json
import logging
import math
import os
import random
import re
import secrets
import signal
import socket
import socketserver
import sys
import threading
import time
import zlib
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

_logger = logging.getLogger("iused.portal")

HOST = "127.0.0.1"
DEFAULT_PORT = 8018
DEFAULT_TIMEOUT = 15.0
IDLE_TIMEOUT = 60.0
MAX_BODY = 1024 * 1024
USER_AGENT = "iUsed-portal-stand-in/1.0"

WEBHOOK_METHODS = ("POST", "PUT", "PATCH")
ORDER_METHODS = ("PUT", "POST", "PATCH")
AUTHS = ("bearer", "basic", "x-api-key", "none")
SHIPMENT_FIELDS = ("serial_number", "track_and_trace", "external_order_id")
OFFER_TEXTS = ("sku", "name", "ean")
OFFER_PRICES = ("price_purchase_amount", "price_consumer_amount")
OFFER_FIELDS = (*OFFER_TEXTS, "stock_available", *OFFER_PRICES)

WEBHOOK_PATH = re.compile(r"/webhook/shipment/([^/]+)/([^/]+)")
WEBHOOK_TOKEN = re.compile(r"(/webhook/shipment/[^/?#]*/)[^?#]+")
SECRET_HEADERS = {"authorization", "proxy-authorization", "cookie", "x-api-key"}
MASK = "***"


# ---------------------------------------------------------------------------
# Answers, refusals and faults
# ---------------------------------------------------------------------------


class NoAnswer(ConnectionError):
    """The other side could not be reached, or did not answer in HTTP or in time."""


@dataclass(frozen=True)
class Answer:
    """What a call is answered.

    :param status: HTTP status; None cuts the connection without an answer
    :param body: what is sent as JSON; None sends no body
    :param delay: seconds to wait before answering
    :param hang: keep the connection open in silence, then cut it
    :param hostile: what is sent instead of the body, or of all: a name in `HOSTILE`
    :param pace: seconds between the bytes of an answer that drips
    """

    status: int | None
    body: object = None
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0
    hang: bool = False
    hostile: str | None = None
    pace: float = 1.0


class Refusal(Exception):
    """A call is refused, with an RFC 9457 problem.

    :param errors: RFC 6901 pointer of each field at fault -> what is wrong with it
    """

    def __init__(self, status: int, detail: str, errors: Mapping[str, str] | None = None, headers=None):
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.errors = errors or {}
        self.headers = headers or {}

    def answer(self) -> Answer:
        return problem(self.status, self.detail, self.errors, self.headers)


def problem(status: int, detail: str, errors: Mapping[str, str] | None = None, headers=None) -> Answer:
    """The answer that tells a problem as ``application/problem+json``."""
    body = {
        "type": "about:blank",
        "title": http.client.responses.get(status, "Unknown"),
        "status": status,
        "detail": detail,
    }
    if errors:
        body["errors"] = [{"pointer": pointer, "detail": text} for pointer, text in errors.items()]
    return Answer(status, body, {"Content-Type": "application/problem+json", **(headers or {})})


@dataclass
class Fault:
    """How the webhook misbehaves on the next calls that carry an allowed method.

    :param status: the status to answer. None answers as usual (with `delay`: late). A 2xx takes the update in
        and answers that status; any other status leaves the update out. A 3xx carries a ``Location``
    :param times: how many calls this holds for; None holds until healed
    :param retry_after: value of ``Retry-After``: seconds, or an HTTP date
    :param delay: seconds between receiving the call (and taking it in) and answering it
    :param drop: cut the connection without an answer: "before" (or True) leaves the update out, "after" takes
        it in first, so that only the answer is lost
    :param hang: leave the update out and say nothing until healed, closed, or given up by the caller
    :param hostile: give an answer that harms who reads it unguarded, a name in `HOSTILE`, with the status and headers
        of the others. It ends the connection
    :param pace: seconds between the bytes of a hostile answer that drips
    :param probability: share of the calls that are hit, over 0 up to 1; `times` counts only those
    :param seed: makes the choice of the calls hit repeatable
    """

    status: int | None = 503
    times: int | None = 3
    retry_after: int | str | None = None
    delay: float = 0.0
    drop: bool | str = False
    hang: bool = False
    hostile: str | None = None
    pace: float = 1.0
    probability: float = 1.0
    seed: int | None = None
    _random: random.Random = field(init=False, repr=False, compare=False)

    def __post_init__(self):
        if self.drop is True:
            self.drop = "before"
        checks = {
            "status must be None or a whole number from 200 to 599": self.status is None
            or (type(self.status) is int and 200 <= self.status <= 599),
            "times must be None or a whole number from 1": self.times is None
            or (type(self.times) is int and self.times >= 1),
            "retry_after must be None, a number of seconds or an HTTP date": self.retry_after is None
            or type(self.retry_after) is int
            or (isinstance(self.retry_after, str) and re.fullmatch(r"[ -~]+", self.retry_after)),
            "delay must be a number of seconds from 0 to 3600": _is_number(self.delay) and 0 <= self.delay <= 3600,
            "drop must be false, true, 'before' or 'after'": self.drop is False or self.drop in ("before", "after"),
            "hang must be true or false": isinstance(self.hang, bool),
            f"hostile must be None or one of {', '.join(HOSTILE)}": self.hostile is None or self.hostile in HOSTILE,
            "pace must be a number of seconds from 0 to 3600": _is_number(self.pace) and 0 <= self.pace <= 3600,
            "drop, hang and hostile exclude each other": bool(self.drop) + self.hang + bool(self.hostile) <= 1,
            "probability must be a number over 0 up to 1": _is_number(self.probability) and 0 < self.probability <= 1,
            "seed must be None or a whole number": self.seed is None or type(self.seed) is int,
        }
        wrong = [text for text, right in checks.items() if not right]
        if wrong:
            raise ValueError("; ".join(wrong))
        self._random = random.Random(self.seed)

    def as_dict(self) -> dict:
        """The parameters, with `times` counted down to what is left."""
        return {item.name: getattr(self, item.name) for item in fields(self) if item.init}

    def hits(self) -> bool:
        """Whether the next call is hit; draws once."""
        return self._random.random() < self.probability

    @property
    def takes_in(self) -> bool:
        """Whether the update is taken in before the call is answered, or left without an answer."""
        if self.drop or self.hang:
            return self.drop == "after"
        return self.status is None or self.status < 300

    def answer(self, usual: Answer | None, url: str) -> Answer:
        """What a call that is hit is answered.

        :param usual: the answer without this fault; None where the update was left out
        :param url: base URL of the portal, which a redirect leads to
        """
        if self.drop or self.hang:
            return Answer(None, delay=self.delay, hang=self.hang)
        headers = {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}
        if usual is not None:
            # A call that is refused anyway stays refused: a fault must not hide that it was wrong.
            status = self.status if self.status and usual.status == 200 else usual.status
            answer = replace(usual, status=status, headers={**usual.headers, **headers})
        else:
            if self.status < 400:
                headers["Location"] = f"{url}/moved"
            answer = problem(self.status, "The portal was told to fail.", headers=headers)
        return replace(answer, delay=self.delay, hostile=self.hostile, pace=self.pace)


@dataclass(frozen=True)
class Call:
    """One HTTP request as it came in; header names in lower case.

    :param data: the body; None when its length was told wrongly
    """

    method: str
    target: str
    headers: Mapping[str, str]
    data: bytes | None

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    def json(self) -> object:
        """The body read as JSON; raises `Refusal` where it is not."""
        if self.data is None:
            raise Refusal(400, "The request tells the length of its body wrongly.")
        if len(self.data) > MAX_BODY:
            raise Refusal(413, f"The body is larger than {MAX_BODY} bytes.")
        content_type = self.headers.get("content-type", "").partition(";")[0].strip().lower()
        if content_type != "application/json" and not re.fullmatch(r"application/\S+\+json", content_type):
            raise Refusal(415, "The content type must be application/json.", headers={"Accept": "application/json"})
        try:
            return parse_json(self.data)
        except ValueError as error:
            raise Refusal(400, f"The body is not JSON: {error}") from error


def parse_json(data: bytes | str) -> object:
    """Read JSON strictly: NaN and Infinity are not JSON. Raises ValueError."""

    def refuse(name):
        raise ValueError(f"{name} is not a JSON value")

    try:
        return json.loads(data, parse_constant=refuse)
    except RecursionError as error:
        raise ValueError("nested too deep") from error


# -- answers that are made to harm their reader ------------------------------
# Each is a function of an answer's status line and headers, which yields the bytes to send, a piece at a time; those
# that end only with the connection go on for ever.

BLOCK = b"A" * 65536


def _endless_body(head: bytes) -> Iterator[bytes]:
    yield head + b"\r\n"
    while True:
        yield BLOCK


def _gzip_bomb(head: bytes) -> Iterator[bytes]:
    """Each piece is a thousandth of what it becomes when it is unpacked."""
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    piece = packer.compress(bytes(1024 * 1024)) + packer.flush(zlib.Z_FULL_FLUSH)
    yield head + b"Content-Encoding: gzip\r\n\r\n" + b"\x1f\x8b\x08\0\0\0\0\0\0\xff"
    while True:
        yield piece


def _dripped_head(head: bytes) -> Iterator[bytes]:
    yield from (head[place : place + 1] for place in range(len(head)))
    yield from _each_byte(b"X-Drip: drip\r\n")


def _dripped_body(head: bytes) -> Iterator[bytes]:
    yield head + b"\r\n"
    yield from _each_byte(b"drip ")


def _each_byte(text: bytes) -> Iterator[bytes]:
    while True:
        yield from (text[place : place + 1] for place in range(len(text)))


def _endless_headers(head: bytes) -> Iterator[bytes]:
    """In lines that are as long as Python's HTTP client takes, which takes a hundred of them."""
    yield head
    while True:
        yield b"X-More: " + BLOCK[:65000] + b"\r\n"


def _endless_continue(head: bytes) -> Iterator[bytes]:
    """The answer before the answer (RFC 9110, section 15.2.1), again and again."""
    while True:
        yield b"HTTP/1.1 100 Continue\r\n\r\n" * 1000


def _endless_chunk(head: bytes) -> Iterator[bytes]:
    """The length of a chunk, which never ends."""
    yield head + b"Transfer-Encoding: chunked\r\n\r\n"
    while True:
        yield BLOCK


def _nested_json(head: bytes) -> Iterator[bytes]:
    yield head + b"Content-Length: 40000\r\n\r\n" + b"[" * 20000 + b"]" * 20000


def _controls(head: bytes) -> Iterator[bytes]:
    """NUL, line ends, a terminal's escapes, halves of characters: in the reason, and plain and escaped in the JSON."""
    line, _end, headers = head.partition(b"\r\n")
    body = b'{"detail": "one\\u0000two\\r\\nthree\\u001b[2J\\ud800\\u202efour",\r\n "\x00": "\x1b[2J"}\r\n'
    yield line + b" \x00and\rmore\x1b[31m\r\n" + headers + b"Content-Length: %d\r\n\r\n" % len(body) + body


def _no_http(head: bytes) -> Iterator[bytes]:
    yield b"SSH-2.0-portal\r\n\x00\xff\r\n"


HOSTILE = {
    "endless-body": _endless_body,
    "gzip-bomb": _gzip_bomb,
    "dripped-head": _dripped_head,
    "dripped-body": _dripped_body,
    "endless-headers": _endless_headers,
    "endless-continue": _endless_continue,
    "endless-chunk": _endless_chunk,
    "nested-json": _nested_json,
    "controls": _controls,
    "no-http": _no_http,
}


def _is_number(value: object) -> bool:
    return type(value) is int or (type(value) is float and math.isfinite(value))


# ---------------------------------------------------------------------------
# iUsed as a caller: polling the offers, pushing an order
# ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Feed:
    """The answer to a poll of the offers; header names in lower case.

    :param offers: the offers as parsed; empty when there are none to read (304, an error, not JSON)
    :param problems: what is against the guide, one sentence each; a 304 has none
    :param elapsed: seconds until the whole answer was in
    """

    status: int
    headers: dict
    offers: list
    problems: list
    elapsed: float


@dataclass(frozen=True)
class OrderAnswer:
    """The answer to a pushed order; header names in lower case.

    :param body: the parsed JSON; the text where it is not JSON; None where it is empty
    :param elapsed: seconds until the whole answer was in
    """

    status: int
    headers: dict
    body: object
    elapsed: float


def poll_offers(
    url: str,
    key: str,
    auth: str = "bearer",
    etag: str | None = None,
    headers: Mapping[str, str] | None = None,
    timeout: float = DEFAULT_TIMEOUT,
) -> Feed:
    """Poll an offer feed the way iUsed does, and check it against the guide.

    :param key: the secret agreed on
    :param auth: how the key is sent, one of `AUTHS`
    :param etag: sent as ``If-None-Match``
    :param headers: more request headers, which win over the usual ones
    :param timeout: seconds of silence after which `NoAnswer` is raised
    """
    own = {"Accept": "application/json", "Accept-Encoding": "gzip"}
    if etag is not None:
        own["If-None-Match"] = etag
    status, answered, data, elapsed = _request("GET", url, _headers(key, auth, own, headers), None, timeout)
    offers, problems = _read_feed(status, answered, data)
    _logger.info(
        "poll    GET %s -> %s, %d offers, %d problems, %.3f s",
        _public_url(url),
        status,
        len(offers),
        len(problems),
        elapsed,
    )
    return Feed(status, answered, offers, problems, elapsed)


def push_order(
    url: str,
    key: str,
    order: object,
    method: str = "POST",
    auth: str = "bearer",
    headers: Mapping[str, str] | None = None,
    timeout: float = DEFAULT_TIMEOUT,
) -> OrderAnswer:
    """Push an order the way iUsed does. Parameters as for `poll_offers`; `order` is sent as JSON."""
    sent = _headers(key, auth, {"Accept": "application/json", "Content-Type": "application/json"}, headers)
    status, answered, data, elapsed = _request(method, url, sent, json.dumps(order).encode(), timeout)
    body = _readable(data)
    external_id = body.get("external_order_id") if isinstance(body, dict) else None
    _logger.info(
        "push    %s %s -> %s, external_order_id %r, %.3f s", method, _public_url(url), status, external_id, elapsed
    )
    return OrderAnswer(status, answered, body, elapsed)


def _headers(key: str, auth: str, own: Mapping[str, str], more: Mapping[str, str] | None) -> dict:
    """Request headers with the credentials; `more` wins over `own`, whatever the case of a name."""
    if auth not in AUTHS:
        raise ValueError(f"auth must be one of {', '.join(AUTHS)}")
    credentials = {
        "bearer": {"Authorization": f"Bearer {key}"},
        "basic": {"Authorization": "Basic " + base64.b64encode(f"iused:{key}".encode()).decode()},
        "x-api-key": {"X-Api-Key": key},
        "none": {},
    }[auth]
    merged = {"User-Agent": USER_AGENT, **credentials, **own}
    merged.update({name.title(): value for name, value in (more or {}).items()})
    return merged


def _request(
    method: str, url: str, headers: Mapping[str, str], body: bytes | None, timeout: float
) -> tuple[int, dict, bytes, float]:
    """Make one HTTP call; neither proxies nor redirects are followed.

    :return: status, headers with lower-case names, body, seconds elapsed
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("The URL must begin with http:// or https:// and name a host.")
    connect = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    connection = connect(parts.hostname, parts.port, timeout=timeout)
    started = time.perf_counter()
    try:
        connection.request(method, target, body, dict(headers))
        response = connection.getresponse()
        data = response.read()
    except (OSError, http.client.HTTPException) as error:
        raise NoAnswer(f"No answer from {_public_url(url)}: {error or type(error).__name__}") from error
    finally:
        connection.close()
    answered = {}
    for name, value in response.getheaders():
        name = name.lower()
        answered[name] = f"{answered[name]}, {value}" if name in answered else value
    return response.status, answered, data, time.perf_counter() - started


def _public_url(url: str) -> str:
    """The URL without what may be secret in it: user, password, query, and the token of a webhook."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{_without_token(parts.path)}"


def _without_token(text: str) -> str:
    """A text in which whatever stands in the place of a webhook's token is masked."""
    return WEBHOOK_TOKEN.sub(lambda match: match[1] + MASK, text)


def _readable(data: bytes | None) -> object:
    """A body for people and records: parsed where it is JSON, else text; None where it is empty."""
    if not data:
        return None
    try:
        return parse_json(data)
    except ValueError:
        return data.decode(errors="replace")


# ---------------------------------------------------------------------------
# The guide's demands on a feed
# ---------------------------------------------------------------------------


def _read_feed(status: int, headers: Mapping[str, str], data: bytes) -> tuple[list, list[str]]:
    """The offers in an answer, and what is against the guide."""
    if status == 304:
        return [], []
    if status != 200:
        return [], [f"The feed answered {status} {http.client.responses.get(status, '')}".rstrip()]
    problems = []
    content_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type != "application/json":
        problems.append(f"The content type is {content_type or 'missing'}, not application/json")
    try:
        if headers.get("content-encoding", "").lower() == "gzip":
            data = gzip.decompress(data)
        offers = parse_json(data)
    except (OSError, EOFError, zlib.error) as error:
        return [], [*problems, f"The body is not gzip: {error}"]
    except ValueError as error:
        return [], [*problems, f"The body is not JSON: {error}"]
    if not isinstance(offers, list):
        return [], [*problems, "The body is not a JSON array"]
    return offers, problems + check_offers(offers)


def check_offers(offers: Iterable[object]) -> list[str]:
    """What in the offers is against the guide, one sentence per fault."""
    problems = []
    first_seen = {}
    for position, offer in enumerate(offers, 1):
        if not isinstance(offer, dict):
            problems.append(f"offer {position} is not a JSON object")
            continue
        sku = offer.get("sku")
        label = f"offer {position} (sku {sku!r})"
        problems += [f"{label}: {fault}" for fault in _offer_faults(offer)]
        if isinstance(sku, str) and first_seen.setdefault(sku, position) != position:
            problems.append(f"{label}: sku is not unique, offer {first_seen[sku]} has it too")
    return problems


def _offer_faults(offer: Mapping[str, object]) -> list[str]:
    faults = [f"{name} is missing" for name in OFFER_FIELDS if offer.get(name) is None]
    present = {name: offer[name] for name in OFFER_FIELDS if offer.get(name) is not None}
    for name, value in present.items():
        if name in OFFER_TEXTS:
            fault = _text_fault(name, value)
        elif name in OFFER_PRICES:
            fault = _price_fault(value)
        else:
            fault = None if type(value) is int and value >= 0 else "is not a whole number from 0"
        if fault:
            faults.append(f"{name} {fault}: {value!r}")
    return faults


def _text_fault(name: str, value: object) -> str | None:
    if not isinstance(value, str):
        return "is not a string"
    if not value.strip():
        return "is empty"
    if name == "ean" and not is_ean(value):
        return "is not an EAN (8, 12, 13 or 14 digits with a right check digit)"
    return None


def _price_fault(value: object) -> str | None:
    if not _is_number(value):
        return "is not a number"
    if value <= 0:
        return "is not more than zero"
    # repr gives the shortest decimal that means the same float, so 199.99 counts as having two decimals.
    if Decimal(repr(value)).normalize().as_tuple().exponent < -2:
        return "has more than two decimals"
    return None


def is_ean(value: str) -> bool:
    """Whether a text is a GTIN-8, -12, -13 or -14 with a right check digit, and not all zeros."""
    if not (value.isascii() and value.isdigit() and len(value) in (8, 12, 13, 14) and int(value)):
        return False
    return sum(int(digit) * (3 if place % 2 else 1) for place, digit in enumerate(reversed(value))) % 10 == 0


def sample_order(
    order_id: str = "IU-1001", sku: str = "IPHONE-13-128-A", quantity: int = 1, price: float = 199.00
) -> dict:
    """An order as iUsed may push it, in the connector's documented form: that of all tests, benches and examples."""
    return {
        "order_id": order_id,
        "created_at": "2026-11-23T09:00:00+01:00",
        "currency": "EUR",
        "customer": {"name": "Sanne de Vries", "email": "sanne@example.com", "phone": "06 12345678"},
        "shipping_address": {
            "name": "Sanne de Vries",
            "street": "Dorpsstraat",
            "house_number": "12",
            "house_number_addition": "A",
            "postal_code": "9711 AB",
            "city": "Groningen",
            "country": "NL",
        },
        "lines": [{"line_id": "1", "sku": sku, "quantity": quantity, "price": price}],
    }


# ---------------------------------------------------------------------------
# iUsed as a receiver: the shipment webhook
# ---------------------------------------------------------------------------


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    # Two portals on one port would share the calls between them in silence.
    allow_reuse_port = False

    def __init__(self, port: int, portal: Portal):
        self.portal = portal
        self.open_connections: set[socket.socket] = set()
        self.connections_lock = threading.Lock()
        super().__init__((HOST, port), _Handler)

    def server_bind(self):
        # HTTPServer looks the host name up, which may take seconds where there is no name server.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]

    def get_request(self):
        connection, address = super().get_request()
        with self.connections_lock:
            self.open_connections.add(connection)
        return connection, address

    def shutdown_request(self, request):
        with self.connections_lock:
            self.open_connections.discard(request)
        super().shutdown_request(request)

    def cut_connections(self):
        """End the kept-alive connections too, whose threads would go on answering."""
        with self.connections_lock:
            for connection in self.open_connections:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = IDLE_TIMEOUT

    def answer_call(self):
        """Read one request whole, let the portal answer it, and send that answer."""
        data = self._read_body()
        headers = {name.lower(): value for name, value in self.headers.items()}
        call = Call(self.command, self.path, headers, data)
        portal = self.server.portal
        if call.path.startswith("/_control/"):
            self._send(portal._control(call))
            return
        answer, released = portal._receive(call)
        released.wait(answer.delay)
        if answer.hang:
            self._hang(released)
        if answer.status is None:
            self._cut()
        elif answer.hostile:
            self._harm(answer, released)
        else:
            self._send(answer)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = answer_call

    def _read_body(self) -> bytes | None:
        """The request's body, at most one byte over `MAX_BODY` of it; None when its length was told wrongly.

        The whole body is always read: what is left unread would be taken for the next request.
        """
        try:
            if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
                return self._read_chunks()
            return self._read(int(self.headers.get("Content-Length", "0")), b"")
        except ValueError:
            self.close_connection = True
            return None

    def _read_chunks(self) -> bytes:
        kept = b""
        while size := int(self.rfile.readline(100).partition(b";")[0], 16):
            kept = self._read(size, kept)
            self.rfile.readline(3)
        while self.rfile.readline(1000).strip():
            pass  # trailers mean nothing here
        return kept

    def _read(self, size: int, kept: bytes) -> bytes:
        """Read `size` bytes and add to `kept` what it may still hold."""
        if size < 0:
            raise ValueError("A length is never negative.")
        while size:
            part = self.rfile.read(min(size, 65536))
            if not part:
                raise ConnectionAbortedError("The caller went away in the middle of a body.")
            size -= len(part)
            kept = (kept + part)[: MAX_BODY + 1]
        return kept

    def _hang(self, released: threading.Event):
        """Wait in silence until `released` is set or the caller has gone."""
        self.connection.setblocking(False)
        while not released.wait(0.05):
            try:
                if not self.connection.recv(1, socket.MSG_PEEK):
                    return
            except BlockingIOError:
                continue
            except OSError:
                return

    def _harm(self, answer: Answer, released: threading.Event):
        """Send a hostile answer until it ends, `released` is set, or the caller has gone."""
        reason = http.client.responses.get(answer.status, "")
        headers = {"Content-Type": "application/json", **answer.headers, "Connection": "close"}
        lines = [f"HTTP/1.1 {answer.status} {reason}", *(f"{name}: {value}" for name, value in headers.items())]
        pieces = HOSTILE[answer.hostile]("".join(f"{line}\r\n" for line in lines).encode())
        pause = answer.pace if answer.hostile.startswith("dripped-") else 0
        with contextlib.suppress(OSError):
            for piece in pieces:
                self.wfile.write(piece)
                if released.wait(pause):
                    break
        self._cut()

    def _cut(self):
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def _send(self, answer: Answer):
        empty = answer.body is None or answer.status in (204, 304)
        data = b"" if empty else json.dumps(answer.body).encode()
        headers = {"Content-Type": "application/json", **answer.headers}
        try:
            self.send_response(answer.status)
            for name, value in headers.items():
                if name != "Content-Type" or data:
                    self.send_header(name, value)
            if answer.status != 204:
                self.send_header("Content-Length", str(len(data)))
            if self.close_connection:
                self.send_header("Connection", "close")
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)
        except ConnectionError:
            _logger.info("webhook %s: the caller did not wait for the answer", self.command)
            self.close_connection = True

    def version_string(self):
        return USER_AGENT

    def log_message(self, format, *args):
        """The portal writes its own lines: the usual ones would show the token."""


class Portal:
    """The stand-in, in this process: a context manager that serves from a daemon thread.

    :param port: port on 127.0.0.1; 0 takes a free one
    :param supplier_id: the supplier's id in the webhook URL
    :param token: the secure token in the webhook URL; None makes one
    :param field_names: name of a required field (`SHIPMENT_FIELDS`) -> the key that carries it in the body,
        where that is another one
    :param accept_any_order: accept updates of orders that iUsed never placed too
    :param order_key: the key of the external order id in the answer to a pushed order
    """

    def __init__(
        self,
        port: int = 0,
        supplier_id: int | str = 18,
        token: str | None = None,
        field_names: Mapping[str, str] | None = None,
        accept_any_order: bool = False,
        order_key: str = "external_order_id",
    ):
        unknown = set(field_names or {}) - set(SHIPMENT_FIELDS)
        if unknown:
            raise ValueError(f"No such field: {', '.join(sorted(unknown))}")
        self.port = port
        self.supplier_id = str(supplier_id)
        self.token = token or secrets.token_urlsafe(24)
        self.field_names = {**{name: name for name in SHIPMENT_FIELDS}, **(field_names or {})}
        self.accept_any_order = accept_any_order
        self.order_key = order_key
        # Guards all of the state below, and tells those who wait that it has changed.
        self._changed = threading.Condition()
        self._received: list[dict] = []
        self._updates: list[dict] = []
        self._bodies_by_key: dict[str, object] = {}
        self._orders: dict[str, None] = {}
        self._faults: deque[Fault] = deque()
        self._released = threading.Event()
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Portal:
        return self.start()

    def __exit__(self, *exc_info):
        self.close()

    def start(self) -> Portal:
        """Listen. After `close`: on the same port again, with everything remembered."""
        self._server = _Server(self.port, self)
        self.port = self._server.server_port
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True, name="iused-portal"
        )
        self._thread.start()
        return self

    def close(self):
        """Stop listening and end every open connection: further calls find nobody. Harmless when closed."""
        if self._server is None:
            return
        self._server.shutdown()
        self._server.server_close()
        self._release()
        self._server.cut_connections()
        self._thread.join()
        self._server = self._thread = None

    @property
    def url(self) -> str:
        """Base URL; the port is known once the portal has started."""
        return f"http://{HOST}:{self.port}"

    @property
    def webhook_url(self) -> str:
        """The unique, secure URL that iUsed hands out during onboarding."""
        return f"{self.url}/webhook/shipment/{quote(self.supplier_id, safe='')}/{quote(self.token, safe='')}"

    # -- what has come in ---------------------------------------------------

    @property
    def received(self) -> list[dict]:
        """Every call, in order of arrival (a call under ``/_control/`` is none).

        Keys: time (seconds since the epoch), method, path (token masked), headers (lower-case names, secrets
        masked), body, idempotency_key, status (None: no answer given), outcome (accepted, repeat, asked, refused or
        failed), detail (why, as text).
        """
        with self._changed:
            return [dict(call) for call in self._received]

    @property
    def updates(self) -> list[dict]:
        """The distinct shipment updates taken in, in order of arrival.

        Keys: time (seconds since the epoch), serial_numbers (a list, whatever the body held),
        track_and_trace, external_order_id, idempotency_key, body.
        """
        with self._changed:
            return [dict(update) for update in self._updates]

    @property
    def orders(self) -> list[str]:
        """The known external order ids, oldest first."""
        with self._changed:
            return list(self._orders)

    @property
    def state(self) -> dict:
        """All of the above at one moment, with counts, and the faults still to come."""
        with self._changed:
            outcomes = Counter(call["outcome"] for call in self._received)
            return {
                "url": self.url,
                "webhook_url": self.webhook_url,
                "counts": {
                    "received": len(self._received),
                    "updates": len(self._updates),
                    "repeats": outcomes["repeat"],
                    "refused": outcomes["refused"],
                    "failed": outcomes["failed"],
                },
                "orders": self.orders,
                "faults": [fault.as_dict() for fault in self._faults],
                "updates": self.updates,
                "received": self.received,
            }

    def wait_for_updates(self, number: int, timeout: float = 10.0) -> list[dict]:
        """Wait until at least `number` updates are in, and return them all.

        Raises TimeoutError after `timeout` seconds.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: len(self._updates) >= number, timeout):
                raise TimeoutError(f"{len(self._updates)} of {number} updates came within {timeout} seconds.")
            return self.updates

    # -- telling it what to do ----------------------------------------------

    def fail(self, status: int | None = 503, times: int | None = 3, **how):
        """Misbehave on the next calls of the webhook; see `Fault` for the parameters.

        Faults queue: the next one begins where the one before has been used up.
        """
        fault = Fault(status, times, **how)
        with self._changed:
            self._faults.append(fault)

    def heal(self):
        """Behave again: forget the faults, answer delayed calls at once, cut those that hang."""
        with self._changed:
            self._faults.clear()
        self._release()

    def register_orders(self, *order_ids: str):
        """Make external order ids known without an order having been pushed."""
        if not all(isinstance(order_id, str) and order_id for order_id in order_ids):
            raise ValueError("An external order id is a string that is not empty.")
        with self._changed:
            self._orders.update(dict.fromkeys(order_ids))

    def reset(self):
        """Forget everything that came in, the known orders and the faults."""
        with self._changed:
            for kept in (self._received, self._updates, self._bodies_by_key, self._orders):
                kept.clear()
        self.heal()

    def poll_offers(self, url: str, key: str, auth: str = "bearer", **options) -> Feed:
        """See the function `poll_offers`."""
        return poll_offers(url, key, auth, **options)

    def push_order(self, url: str, key: str, order: object, method: str = "POST", **options) -> OrderAnswer:
        """See the function `push_order`; the external order id in a 200 or 201 becomes a known one."""
        answer = push_order(url, key, order, method, **options)
        if answer.status in (200, 201) and isinstance(answer.body, dict):
            external_id = answer.body.get(self.order_key)
            if isinstance(external_id, str) and external_id:
                self.register_orders(external_id)
        return answer

    def _release(self):
        """Let go of the calls that wait now; those to come wait anew."""
        with self._changed:
            self._released.set()
            self._released = threading.Event()

    # -- the webhook --------------------------------------------------------

    def _receive(self, call: Call) -> tuple[Answer, threading.Event]:
        """Record a call and decide on its answer.

        :return: the answer, and the event that ends its delay or its hanging early
        """
        key = call.headers.get("idempotency-key")
        entry = {
            "time": time.time(),
            "method": call.method,
            "path": self._masked(call.target),
            "headers": {
                name: MASK if name in SECRET_HEADERS else self._masked(value) for name, value in call.headers.items()
            },
            "body": _readable(call.data),
            "idempotency_key": key,
        }
        with self._changed:
            fault = usual = None
            try:
                self._check_route(call)
                fault = self._next_fault()
                if fault is not None and not fault.takes_in:
                    outcome, detail = "failed", "told to fail"
                elif call.method == "OPTIONS":
                    self._check_token(call)
                    outcome, detail = "asked", "which methods are possible"
                    usual = Answer(204, headers={"Allow": ", ".join(WEBHOOK_METHODS)})
                else:
                    outcome, detail = self._take_in(call, key, entry["time"])
                    usual = Answer(200, {"status": "accepted"})
            except Refusal as refusal:
                outcome, detail = "refused", refusal.detail
                usual = refusal.answer()
            answer = fault.answer(usual, self.url) if fault else usual
            entry.update(status=answer.status, outcome=outcome, detail=detail)
            self._received.append(entry)
            self._changed.notify_all()
            released = self._released
        given = answer.status or ("silence" if answer.hang else "dropped")
        _logger.info(
            "webhook %s %s -> %s %s: %s [%s]", call.method, entry["path"], given, outcome, detail, key or "no key"
        )
        return answer, released

    def _masked(self, text: str) -> str:
        """A text without the token, nor what was tried in its place."""
        return _without_token(text).replace(self.token, MASK).replace(quote(self.token, safe=""), MASK)

    def _check_route(self, call: Call):
        if not WEBHOOK_PATH.fullmatch(call.path):
            raise Refusal(404, "There is nothing at this address.")
        if call.method not in (*WEBHOOK_METHODS, "OPTIONS"):
            allowed = ", ".join(WEBHOOK_METHODS)
            raise Refusal(405, f"The method must be one of {allowed}.", headers={"Allow": allowed})

    def _check_token(self, call: Call):
        supplier_id, token = map(unquote, WEBHOOK_PATH.fullmatch(call.path).groups())
        if (supplier_id, token) != (self.supplier_id, self.token):
            raise Refusal(404, "No such supplier, or not its token.")

    def _next_fault(self) -> Fault | None:
        """The fault that hits the call at hand, counted down; the state is locked."""
        if not self._faults or not self._faults[0].hits():
            return None
        fault = self._faults[0]
        if fault.times is not None:
            fault.times -= 1
            if not fault.times:
                self._faults.popleft()
        return fault

    def _take_in(self, call: Call, key: str | None, received_at: float) -> tuple[str, str]:
        """Take a shipment update in, or recognise it as a repeat; raises `Refusal`. The state is locked.

        :return: outcome and detail of the call
        """
        self._check_token(call)
        body = call.json()
        if key is not None and key in self._bodies_by_key:
            same = body == self._bodies_by_key[key]
            return "repeat", "seen before" if same else "seen before, but the body was another one"
        update = self._read_update(body)
        if not self.accept_any_order and update["external_order_id"] not in self._orders:
            name = self.field_names["external_order_id"]
            detail = f"{name} {update['external_order_id']!r} is not an order of this supplier."
            raise Refusal(422, detail, {_pointer(name): "unknown order"})
        self._updates.append({"time": received_at, **update, "idempotency_key": key, "body": body})
        if key is not None:
            self._bodies_by_key[key] = body
        serials = ", ".join(update["serial_numbers"])
        return "accepted", f"{update['external_order_id']!r}, {serials!r}, {update['track_and_trace']!r}"

    def _read_update(self, body: object) -> dict:
        """The three required fields of a shipment update; raises `Refusal` naming those at fault."""
        if not isinstance(body, dict):
            raise Refusal(422, "The body must be a JSON object.", {"": "not an object"})
        values = {name: body.get(key) for name, key in self.field_names.items()}
        serials = values.pop("serial_number")
        serials = serials if isinstance(serials, list) else [serials]
        errors = {
            _pointer(self.field_names[name]): "required, a string that is not empty"
            for name, value in values.items()
            if not _is_filled(value)
        }
        if not serials or not all(map(_is_filled, serials)):
            errors[_pointer(self.field_names["serial_number"])] = (
                "required, a string that is not empty or a list of such"
            )
        if errors:
            names = ", ".join(key for key in self.field_names.values() if _pointer(key) in errors)
            raise Refusal(422, f"Missing, empty or of the wrong type: {names}.", errors)
        return {"serial_numbers": serials, **values}

    # -- the control endpoint -----------------------------------------------

    def _control(self, call: Call) -> Answer:
        """Answer a call under ``/_control/``."""
        actions = {
            "state": ("GET", None),
            "fail": ("POST", lambda body: self.fail(**body)),
            "heal": ("POST", lambda body: self.heal()),
            "orders": ("POST", lambda body: self.register_orders(*_listed(body["orders"]))),
            "reset": ("POST", lambda body: self.reset()),
            "poll": ("POST", lambda body: asdict(self.poll_offers(**body))),
            "push": ("POST", lambda body: asdict(self.push_order(**body))),
        }
        try:
            self._check_local(call)
            name = call.path.removeprefix("/_control/")
            if name not in actions:
                raise Refusal(404, f"The controls are {', '.join(actions)}.")
            method, action = actions[name]
            if call.method != method:
                raise Refusal(405, f"The method must be {method}.", headers={"Allow": method})
            if action is None:
                return Answer(200, self.state)
            body = call.json()
            if not isinstance(body, dict):
                raise Refusal(422, "The body must be a JSON object.")
            result = action(body)
        except Refusal as refusal:
            return refusal.answer()
        except NoAnswer as error:
            return problem(502, str(error))
        except (KeyError, TypeError, ValueError) as error:
            return problem(422, f"{type(error).__name__}: {error}")
        if name not in ("poll", "push"):
            _logger.info("control %s %s", name, json.dumps(body))
        return Answer(200, result if result is not None else {"status": "done"})

    def _check_local(self, call: Call):
        """Refuse what a web page may have sent by a host name of its own that leads here."""
        if call.headers.get("host", "").partition(":")[0] not in (HOST, "localhost"):
            raise Refusal(403, "The controls answer to 127.0.0.1 and localhost only.")


def _is_filled(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _listed(value: object) -> list:
    """The value, which must be a list: a bare string would be taken for a list of letters."""
    if not isinstance(value, list):
        raise ValueError("A list is needed.")
    return value


def _pointer(key: str) -> str:
    """RFC 6901 pointer to a key of the body."""
    return "/" + key.replace("~", "~0").replace("/", "~1")


# ---------------------------------------------------------------------------
# Driving a portal in another process
# ---------------------------------------------------------------------------


class PortalClient:
    """The same names as `Portal`, for a portal that runs as a process of its own.

    :param base_url: what ``serve`` prints as ``url``
    """

    def __init__(self, base_url: str):
        self.url = base_url.rstrip("/")

    @property
    def state(self) -> dict:
        return self._call("GET", "state")

    @property
    def webhook_url(self) -> str:
        return self.state["webhook_url"]

    @property
    def received(self) -> list[dict]:
        return self.state["received"]

    @property
    def updates(self) -> list[dict]:
        return self.state["updates"]

    @property
    def orders(self) -> list[str]:
        return self.state["orders"]

    def wait_for_updates(self, number: int, timeout: float = 10.0) -> list[dict]:
        """As `Portal.wait_for_updates`."""
        deadline = time.monotonic() + timeout
        while len(updates := self.updates) < number:
            if time.monotonic() >= deadline:
                raise TimeoutError(f"{len(updates)} of {number} updates came within {timeout} seconds.")
            time.sleep(0.05)
        return updates

    def fail(self, status: int | None = 503, times: int | None = 3, **how):
        """As `Portal.fail`."""
        self._call("POST", "fail", Fault(status, times, **how).as_dict())

    def heal(self):
        """As `Portal.heal`."""
        self._call("POST", "heal", {})

    def register_orders(self, *order_ids: str):
        """As `Portal.register_orders`."""
        self._call("POST", "orders", {"orders": order_ids})

    def reset(self):
        """As `Portal.reset`."""
        self._call("POST", "reset", {})

    def poll_offers(self, url: str, key: str, auth: str = "bearer", **options) -> Feed:
        """As `Portal.poll_offers`, made by the portal's process."""
        return Feed(**self._call("POST", "poll", {"url": url, "key": key, "auth": auth, **options}))

    def push_order(self, url: str, key: str, order: object, method: str = "POST", **options) -> OrderAnswer:
        """As `Portal.push_order`, made by the portal's process."""
        body = {"url": url, "key": key, "order": order, "method": method, **options}
        return OrderAnswer(**self._call("POST", "push", body))

    def _call(self, method: str, name: str, body: dict | None = None) -> dict:
        """Call a control; a call that the portal makes for us may take its own time-out, so wait longer."""
        data = None if body is None else json.dumps(body).encode()
        timeout = (body or {}).get("timeout", DEFAULT_TIMEOUT) + 5
        status, _headers, answered, _elapsed = _request(
            method, f"{self.url}/_control/{name}", {"Content-Type": "application/json"}, data, timeout
        )
        result = _readable(answered)
        if not isinstance(result, dict):
            raise RuntimeError(f"There is no portal at {self.url}: it answered {status}.")
        if status == 200:
            return result
        detail = result.get("detail", f"The portal answered {status}.")
        raise {422: ValueError, 502: NoAnswer}.get(status, RuntimeError)(detail)


# ---------------------------------------------------------------------------
# Command line
# ---------------------------------------------------------------------------

EXAMPLES = f"""\
examples:
  Stand in for iUsed on a fixed port, with a webhook URL that stays the same:
    python portal.py serve --token try-out --supplier 18
    -> paste http://{HOST}:{DEFAULT_PORT}/webhook/shipment/18/try-out into the connector's settings

  Poll the offers, and see what iUsed would object to:
    python portal.py poll http://localhost:8069/iused/v1/offers --key KEY

  Push an order through the running portal, so that it knows the order when its shipment is told:
    python portal.py push --sample > order.json
    python portal.py push http://localhost:8069/iused/v1/orders --key KEY --order order.json \\
        --portal http://{HOST}:{DEFAULT_PORT}

  Let the portal be down for three calls, then lose one answer, then see what came in:
    python portal.py fail --status 503 --times 3 --retry-after 60
    python portal.py fail --drop after --times 1
    python portal.py state

KEY may also be set as IUSED_KEY in the environment, which keeps it out of the list of processes.
Exit status: 0 all is well, 1 the other side's answer has problems, 2 wrong use or no answer.
"""


def _status(text: str) -> int | None:
    return None if text == "usual" else int(text)


def _times(text: str) -> int | None:
    return None if text == "always" else int(text)


def _field_name(text: str) -> tuple[str, str]:
    name, equals, key = text.partition("=")
    if name not in SHIPMENT_FIELDS or not equals or not key:
        raise argparse.ArgumentTypeError(f"say FIELD=KEY, where FIELD is one of {', '.join(SHIPMENT_FIELDS)}")
    return name, key


def _parser() -> argparse.ArgumentParser:
    shape = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog="portal.py",
        formatter_class=shape,
        epilog=EXAMPLES,
        description="A stand-in for the iUsed Refurbisher Portal: polls offers, pushes orders, receives\n"
        "shipment updates, and misbehaves on demand. Listens on 127.0.0.1 only.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, text: str, run, more: str = "", options=()) -> argparse.ArgumentParser:
        added = commands.add_parser(
            name, help=text, formatter_class=shape, parents=options, description=f"{text[0].upper()}{text[1:]}.\n{more}"
        )
        added.set_defaults(run=run)
        return added

    default_url = f"http://{HOST}:{DEFAULT_PORT}"
    running = argparse.ArgumentParser(add_help=False)
    running.add_argument(
        "--portal", metavar="URL", default=default_url, help="base URL of the running portal (default: %(default)s)"
    )

    serve = command(
        "serve",
        "receive shipment updates until interrupted",
        _run_serve,
        "Prints one JSON line with url and webhook_url once it listens.\n"
        "Each exchange is a line on stderr, without the token.",
    )
    serve.add_argument("--port", type=int, default=DEFAULT_PORT, help="0 takes a free port (default: %(default)s)")
    serve.add_argument("--supplier", default="18", metavar="ID", help="supplier id (default: %(default)s)")
    serve.add_argument("--token", help="secure token of the webhook URL (default: a new one at each start)")
    serve.add_argument(
        "--order",
        action="append",
        default=[],
        metavar="ID",
        help="an external order id that is known from the start; may be repeated",
    )
    serve.add_argument("--accept-any-order", action="store_true", help="accept unknown external order ids too")
    serve.add_argument(
        "--field",
        action="append",
        default=[],
        type=_field_name,
        metavar="FIELD=KEY",
        help="key that carries a required field, such as serial_number=imei; may be repeated",
    )
    serve.add_argument(
        "--order-key",
        default="external_order_id",
        metavar="KEY",
        help="key of the order id in the answer to a pushed order (default: %(default)s)",
    )
    serve.add_argument("--ready-file", type=Path, metavar="FILE", help="write the JSON line to this file too")

    caller = argparse.ArgumentParser(add_help=False)
    caller.add_argument("--key", default=os.environ.get("IUSED_KEY", ""), help="the secret (default: $IUSED_KEY)")
    caller.add_argument("--auth", choices=AUTHS, default="bearer", help="how the key is sent (default: %(default)s)")
    caller.add_argument(
        "--timeout",
        type=float,
        default=DEFAULT_TIMEOUT,
        metavar="SECONDS",
        help="give up after this long a silence (default: %(default)s)",
    )

    poll = command(
        "poll", "poll an offer feed and check it", _run_poll, "Exits with 1 when the feed has problems.", [caller]
    )
    poll.add_argument("url", metavar="URL", help="address of the offers")
    poll.add_argument("--etag", help="sent as If-None-Match")

    push = command("push", "push an order", _run_push, "Exits with 1 when the answer is neither 200 nor 201.", [caller])
    push.add_argument("url", nargs="?", metavar="URL", help="address of the orders")
    push.add_argument("--order", metavar="FILE", help="JSON of the order; - reads standard input")
    push.add_argument("--method", choices=ORDER_METHODS, default="POST", help="(default: %(default)s)")
    push.add_argument("--sample", action="store_true", help="print a sample order and do nothing else")
    push.add_argument(
        "--portal", metavar="URL", help=f"let a running portal push, which makes the order known to it: {default_url}"
    )

    command("state", "print what a running portal has received, as JSON", _run_state, options=[running])
    command("heal", "let a running portal behave again", _run_heal, options=[running])
    command("reset", "let a running portal forget everything", _run_reset, options=[running])
    orders = command("orders", "make orders known to a running portal", _run_orders, options=[running])
    orders.add_argument("ids", nargs="+", metavar="ID", help="external order id")

    fail = command(
        "fail",
        "let a running portal misbehave on its next webhook calls",
        _run_fail,
        "Faults queue: the next one begins where the one before has been used up.",
        [running],
    )
    fail.add_argument(
        "--status",
        type=_status,
        default=503,
        metavar="STATUS",
        help="HTTP status, or 'usual': as usual, but late with --delay (default: %(default)s)",
    )
    fail.add_argument(
        "--times",
        type=_times,
        default=3,
        metavar="NUMBER",
        help="number of calls, or 'always' until healed (default: %(default)s)",
    )
    fail.add_argument("--retry-after", metavar="VALUE", help="Retry-After to send: seconds or an HTTP date")
    fail.add_argument("--delay", type=float, default=0.0, metavar="SECONDS", help="answer this late")
    fail.add_argument(
        "--drop",
        choices=("before", "after"),
        default=False,
        help="cut the connection without an answer, before or after taking the update in",
    )
    fail.add_argument("--hang", action="store_true", help="never answer")
    fail.add_argument("--hostile", choices=HOSTILE, help="give an answer that harms who reads it unguarded")
    fail.add_argument(
        "--pace",
        type=float,
        default=1.0,
        metavar="SECONDS",
        help="between the bytes of a hostile answer that drips (default: %(default)s)",
    )
    fail.add_argument(
        "--probability",
        type=float,
        default=1.0,
        metavar="SHARE",
        help="share of the calls that are hit, over 0 up to 1 (default: %(default)s)",
    )
    fail.add_argument("--seed", type=int, help="makes the calls hit repeatable")
    return parser


def _run_serve(args: argparse.Namespace) -> int:
    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, datefmt="%H:%M:%S", format="%(asctime)s.%(msecs)03d %(message)s"
    )
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_args: stopped.set())
    portal = Portal(
        port=args.port,
        supplier_id=args.supplier,
        token=args.token,
        field_names=dict(args.field),
        accept_any_order=args.accept_any_order,
        order_key=args.order_key,
    )
    portal.register_orders(*args.order)
    with portal:
        line = json.dumps({"url": portal.url, "webhook_url": portal.webhook_url})
        if args.ready_file:
            # Whoever waits for the file must never see it half written.
            unfinished = args.ready_file.with_name(f"{args.ready_file.name}.{os.getpid()}")
            unfinished.write_text(line + "\n", encoding="utf-8")
            unfinished.replace(args.ready_file)
        print(line, flush=True)
        stopped.wait()
    return 0


def _run_poll(args: argparse.Namespace) -> int:
    feed = poll_offers(args.url, args.key, args.auth, etag=args.etag, timeout=args.timeout)
    print(
        f"{feed.status} {http.client.responses.get(feed.status, '')}, {len(feed.offers)} offers, "
        f"ETag {feed.headers.get('etag', 'none')}, {feed.elapsed:.3f} s"
    )
    rows = [[str(offer.get(name, "")) for name in OFFER_FIELDS] for offer in feed.offers if isinstance(offer, dict)]
    if rows:
        _print_table([list(OFFER_FIELDS), *rows])
    for text in feed.problems:
        print(f"PROBLEM {text}")
    return 1 if feed.problems else 0


def _print_table(rows: list[list[str]]):
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _run_push(args: argparse.Namespace) -> int:
    if args.sample:
        print(json.dumps(sample_order(), indent=2))
        return 0
    if not args.url or not args.order:
        raise ValueError("push needs URL and --order FILE (or --sample)")
    order = parse_json(sys.stdin.buffer.read() if args.order == "-" else Path(args.order).read_bytes())
    push = PortalClient(args.portal).push_order if args.portal else push_order
    answer = push(args.url, args.key, order, args.method, auth=args.auth, timeout=args.timeout)
    print(f"{answer.status} {http.client.responses.get(answer.status, '')}, {answer.elapsed:.3f} s")
    print(answer.body if isinstance(answer.body, str) else json.dumps(answer.body, indent=2))
    return 0 if answer.status in (200, 201) else 1


def _run_state(args: argparse.Namespace) -> int:
    print(json.dumps(PortalClient(args.portal).state, indent=2))
    return 0


def _run_heal(args: argparse.Namespace) -> int:
    PortalClient(args.portal).heal()
    return 0


def _run_reset(args: argparse.Namespace) -> int:
    PortalClient(args.portal).reset()
    return 0


def _run_orders(args: argparse.Namespace) -> int:
    PortalClient(args.portal).register_orders(*args.ids)
    return 0


def _run_fail(args: argparse.Namespace) -> int:
    PortalClient(args.portal).fail(
        args.status,
        args.times,
        retry_after=args.retry_after,
        delay=args.delay,
        drop=args.drop,
        hang=args.hang,
        hostile=args.hostile,
        pace=args.pace,
        probability=args.probability,
        seed=args.seed,
    )
    return 0


def main(arguments: list[str] | None = None) -> int:
    """Run a command line; returns the exit status."""
    args = _parser().parse_args(arguments)
    try:
        return args.run(args)
    except (OSError, RuntimeError, ValueError) as error:
        print(f"portal.py: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
