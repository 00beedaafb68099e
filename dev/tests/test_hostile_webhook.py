"""What a webhook that is hostile or broken may cost: seconds, memory, and words. Needs no Odoo."""

import contextlib
import ipaddress
import json
import logging
import re
import socket
import ssl
import threading
import tracemalloc
from datetime import datetime, timedelta, timezone

import addon_tools
import pytest
import urllib3.response
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from portal import HOSTILE, Portal

webhook, bounded_http, peer, destination = (
    addon_tools.load(name) for name in ("webhook", "bounded_http", "peer", "destination")
)

BODY = json.dumps({"serial_number": "356938035643809", "track_and_trace": "3SABC123", "external_order_id": "S00042"})
TOKEN = "s3cret-token"
MOST_MEMORY = 4 * 1024 * 1024
HANGS = 20  # seconds after which a call is taken to go on for ever; ours are to end after one
UNWRITABLE = re.compile(r"[\0-\x1f\x7f-\x9f\u2028\u2029\u202e\ud800-\udfff]")
ANSWERS = [  # what is answered, and what comes of it
    ("endless-body", 200, "accepted", 200),
    ("endless-body", 302, "refused", 302),
    ("endless-body", 503, "retry", 503),
    ("gzip-bomb", 200, "accepted", 200),
    ("gzip-bomb", 422, "refused", 422),
    ("dripped-head", 200, "retry", 0),
    ("dripped-body", 200, "accepted", 200),
    ("dripped-body", 302, "refused", 302),
    ("endless-headers", 200, "retry", 0),
    ("endless-headers", 302, "retry", 0),
    ("endless-continue", 200, "retry", 0),
    ("endless-chunk", 200, "accepted", 200),
    ("nested-json", 200, "accepted", 200),
    ("nested-json", 422, "refused", 422),
    ("controls", 200, "accepted", 200),
    ("controls", 401, "closed", 401),
    ("no-http", 200, "retry", 0),
]


@pytest.fixture(autouse=True)
def _short_timeout(monkeypatch):
    monkeypatch.setattr(webhook, "TIMEOUT", (0.5, 0.5))


@pytest.fixture
def portal():
    with Portal(token=TOKEN, accept_any_order=True) as running:
        yield running


@pytest.fixture
def hook(portal):
    with webhook.Webhook(portal.webhook_url, networks=destination.LOOPBACK) as opened:
        yield opened


def cost(function):
    """Call a function.

    :return: what it returned, and the most memory that it held, in bytes
    """
    results = []
    tracemalloc.start()
    try:
        thread = threading.Thread(target=lambda: results.append(function()), daemon=True)
        thread.start()
        thread.join(HANGS)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert not thread.is_alive(), "it goes on"
    [result] = results
    return result, peak


def test_every_harm_is_tried():
    assert {name for name, *_rest in ANSWERS} == set(HOSTILE)


@pytest.mark.parametrize(("name", "told", "verdict", "status"), ANSWERS)
def test_hostile_answer_costs_little_and_the_next_call_is_made(portal, hook, name, told, verdict, status):
    portal.fail(status=told, times=1, hostile=name, pace=0.05)
    outcome, peak = cost(lambda: hook.send(BODY, "event"))
    assert (outcome.verdict, outcome.status) == (verdict, status)
    assert peak < MOST_MEMORY
    assert len(outcome.answer.encode()) <= webhook.LONGEST_ANSWER
    assert not UNWRITABLE.search(outcome.text + outcome.answer)
    assert hook.send(BODY, "event").verdict == "accepted"


@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_hostile_answer_to_a_probe_costs_little(portal, name):
    portal.fail(status=302, times=1, hostile=name, pace=0.05)
    answer, peak = cost(lambda: webhook.probe("OPTIONS", portal.webhook_url, (0.5, 0.5), networks=destination.LOOPBACK))
    assert peak < MOST_MEMORY
    assert answer.status == 302 or answer.trouble


def test_no_answer_ends_in_time(portal, hook):
    portal.fail(times=1, hang=True)
    outcome, _peak = cost(lambda: hook.send(BODY, "event"))
    assert (outcome.verdict, outcome.reached) == ("retry", False)


def test_packed_answer_is_not_asked_for(portal, hook):
    hook.send(BODY, "event")
    webhook.probe("OPTIONS", portal.webhook_url, networks=destination.LOOPBACK)
    assert {call["headers"]["accept-encoding"] for call in portal.received} == {"identity"}


@pytest.mark.parametrize(
    "framing", [b"Content-Length: 3\r\n\r\nabc", b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"]
)
def test_nothing_is_made_ready_to_unpack_an_answer(monkeypatch, framing):
    """An old urllib3 makes as many decoders as a header names, thousands, also where nothing is unpacked."""
    made = []
    monkeypatch.setattr(urllib3.response, "_get_decoder", made.append)
    with Raw(OK + b"Content-Encoding: gzip, gzip\r\n" + framing) as server:
        outcome = send_to(server)
        webhook.probe("OPTIONS", server.url, networks=destination.LOOPBACK)
    assert (outcome.verdict, outcome.answer) == ("accepted", "")
    assert not made


def test_answer_in_words_is_cleaned_and_read_as_json(portal, hook):
    portal.fail(status=422, times=1, hostile="controls")
    outcome = hook.send(BODY, "event")
    assert outcome.text == "HTTP 422 Unprocessable Entity and more [31m one two three [2J four"
    assert json.loads(outcome.answer)


# -- servers of bytes ---------------------------------------------------------


class Raw:
    """A server that answers every call with the same bytes, whatever they are.

    :param drip: seconds between the bytes; None sends them at once
    :param keep: keep the connection for further calls
    :param deaf: read nothing, and so answer nothing
    :param context: for TLS
    """

    def __init__(self, answer=b"", drip=None, keep=False, deaf=False, context=None):
        self.answer, self.drip, self.keep, self.deaf, self.context = answer, drip, keep, deaf, context
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.url = f"http{'s' if context else ''}://127.0.0.1:{self.port}/webhook/shipment/18/{TOKEN}"
        self.connections = []
        self.closed = threading.Event()

    def __enter__(self):
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _address = self.listener.accept()
                self.connections.append(connection)
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        with contextlib.suppress(OSError):
            if self.deaf:
                self.closed.wait()
            if self.context:
                connection = self.context.wrap_socket(connection, server_side=True)
            with connection:
                while self._read_call(connection):
                    self._answer(connection)
                    if not self.keep:
                        return

    @staticmethod
    def _read_call(connection):
        head = b""
        while b"\r\n\r\n" not in head:
            if not (piece := connection.recv(65536)):
                return False
            head += piece
        head, _end, body = head.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: (\d+)", head)
        while length and len(body) < int(length[1]):
            body += connection.recv(65536)
        return True

    def _answer(self, connection):
        if self.drip is None:
            connection.sendall(self.answer)
            return
        while not self.closed.is_set():
            for place in range(len(self.answer)):
                connection.sendall(self.answer[place : place + 1])
                if self.closed.wait(self.drip):
                    return

    def __exit__(self, *_error):
        self.closed.set()
        self.listener.close()
        for connection in self.connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


def send_to(server, body=BODY):
    """Make one call, over a connection of its own."""
    with webhook.Webhook(server.url, networks=destination.LOOPBACK) as hook:
        return hook.send(body, "event")


OK = b"HTTP/1.1 200 OK\r\n"
BROKEN = [
    b"",
    b"\r\n\r\n",
    b"\0" * 100,
    b"HTTP/1.1\r\n\r\n",
    b"HTTP/1.1 abc OK\r\n\r\n",
    b"HTTP/1.1 1 OK\r\n\r\n",
    b"HTTP/1.1 99999 OK\r\n\r\n",
    b"HTTP/9.9 200 OK\r\n\r\n",
    b"HTTP/1.1 200 " + b"A" * 70_000 + b"\r\n\r\n",
    OK + b"Content-Length: -1\r\n\r\nabc",
    OK + b"Content-Length: 5, 7\r\n\r\nabc",
    OK + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\nabc",
    OK + b"Content-Length: 99\r\n\r\nabc",
    OK + b"Transfer-Encoding: chunked\r\n\r\n",
    OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nabc",
    OK + b"Transfer-Encoding: chunked\r\n\r\n-5\r\nabc",
    OK + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffffff\r\nabc",
    OK + b"Transfer-Encoding: chunked, chunked\r\nContent-Length: 3\r\n\r\nabc",
    OK + b"Content-Encoding: gzip\r\n\r\nabc",
    OK + b"no colon\r\n: no name\r\n \r\n\r\nabc",
    OK + b'Content-Type: multipart/mixed; boundary="' + b';"' * 20_000 + b"\r\n\r\nabc",
    OK + b"Set-Cookie: \xff\0=\x01; expires=" + b" " * 60_000 + b"x\r\n\r\nabc",
    b"HTTP/1.1 302 Found\r\nLocation: \xff\xfe//[\r\n\r\n",
    b"HTTP/1.1 302 Found\r\nLocation: http://[::1\r\n\r\n",
    b"HTTP/1.1 503 No\r\nRetry-After: Mon, 01 Jan 99999999999999999999 00:00:00 GMT\r\n\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\n\r\nabc",
]


@pytest.mark.parametrize("answer", BROKEN, ids=lambda answer: repr(answer[:60]))
def test_broken_answer_is_an_outcome_and_nothing_is_logged_of_the_address(answer, caplog):
    caplog.set_level(logging.DEBUG, logger="urllib3")
    with Raw(answer) as server:
        outcome, peak = cost(lambda: send_to(server))
        probed, _peak = cost(lambda: webhook.probe("OPTIONS", server.url, (0.5, 0.5), networks=destination.LOOPBACK))
    assert outcome.text
    assert bool(outcome.status) == (not probed.trouble)
    assert peak < MOST_MEMORY
    assert TOKEN not in caplog.text
    assert not [record for record in caplog.records if record.name.startswith("urllib3")]


def test_connection_is_used_again_only_after_a_whole_answer():
    whole = OK + b"Content-Length: 5\r\n\r\nwhole"
    chunked = OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nwhole\r\n0\r\n\r\n"
    long = OK + b"Content-Length: 9000\r\n\r\n" + b"A" * 9000
    longer = OK + b"Content-Length: 900000\r\n\r\n" + b"A" * 900_000
    for answer, connections in ((whole, 1), (chunked, 1), (long, 1), (longer, 3)):
        with Raw(answer, keep=True) as server, webhook.Webhook(server.url, networks=destination.LOOPBACK) as hook:
            outcomes = [hook.send(BODY, "event") for _call in range(3)]
            assert {outcome.verdict for outcome in outcomes} == {"accepted"}
            assert len(server.connections) == connections, answer[:60]


def test_many_calls_keep_nothing_of_the_answers():
    cookies = b"".join(b"Set-Cookie: name%d=%s\r\n" % (number, b"A" * 2000) for number in range(90))
    with (
        Raw(OK + cookies + b"Content-Length: 0\r\n\r\n", keep=True) as server,
        webhook.Webhook(server.url, networks=destination.LOOPBACK) as hook,
    ):
        hook.send(BODY, "event")
        _outcomes, peak = cost(lambda: [hook.send(BODY, "event").status for _call in range(30)])
        assert not hook._session.cookies
    assert peak < MOST_MEMORY


def test_body_that_nobody_reads_ends_in_time():
    with Raw(deaf=True) as server:
        outcome, _peak = cost(lambda: send_to(server, json.dumps("A" * 20_000_000)))
    assert (outcome.verdict, outcome.reached) == ("retry", False)


@pytest.fixture
def tls(tmp_path, monkeypatch):
    """A server's side of TLS, with a certificate that is trusted."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "certificate.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(path))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context


def test_call_over_tls(tls):
    answer = OK + b"Content-Length: 5\r\n\r\nwhole"
    with (
        Raw(answer, keep=True, context=tls) as server,
        webhook.Webhook(server.url, networks=destination.LOOPBACK) as hook,
    ):
        assert [hook.send(BODY, "event").answer for _call in range(2)] == ["whole", "whole"]
        assert len(server.connections) == 1


def test_dripped_header_ends_in_time_over_tls_too(tls):
    with Raw(OK + b"X-Drip: drip\r\n" * 1000, drip=0.05, context=tls) as server:
        outcome, _peak = cost(lambda: send_to(server))
        assert (outcome.verdict, outcome.reached) == ("retry", False)


def test_dripped_greeting_of_tls_ends_in_time():
    with Raw() as server:
        server._serve = lambda connection: drip_tls(server, connection)
        server.url = server.url.replace("http:", "https:")
        outcome, _peak = cost(lambda: send_to(server))
        assert (outcome.verdict, outcome.reached) == ("retry", False)


def drip_tls(server, connection):
    """Send a record of TLS that is never whole."""
    with contextlib.suppress(OSError), connection:
        connection.sendall(b"\x16\x03\x03\x40\x00")
        while not server.closed.wait(0.05):
            connection.sendall(b"\x02")


def test_dripped_answer_of_a_proxy_ends_in_time(monkeypatch):
    with Raw(OK + b"X-Drip: drip\r\n" * 1000, drip=0.05) as proxy:
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{proxy.port}")
        monkeypatch.setenv("no_proxy", "")
        with webhook.Webhook("https://portal.example/webhook/shipment/18/token", networks=destination.LOOPBACK) as hook:
            outcome, _peak = cost(lambda: hook.send(BODY, "event"))
        assert (outcome.verdict, outcome.reached) == ("retry", False)
        assert proxy.connections


# -- connecting ---------------------------------------------------------------


def test_name_server_that_says_nothing_ends_in_time(monkeypatch):
    released = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_kwargs: released.wait() and [])
    try:
        with webhook.Webhook("http://portal.example/webhook/shipment/18/token", networks=destination.LOOPBACK) as hook:
            outcome, _peak = cost(lambda: hook.send(BODY, "event"))
        assert "could not be reached" in outcome.text
        assert (
            webhook.probe("OPTIONS", "http://portal.example/", (0.5, 0.5), networks=destination.LOOPBACK).trouble
            == "timeout"
        )
    finally:
        released.set()


def test_many_addresses_of_which_none_answers_end_in_time(monkeypatch):
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, contextlib.ExitStack() as waiting:
        for _connection in range(4):
            connection = waiting.enter_context(socket.socket())
            connection.setblocking(False)
            connection.connect_ex(full.getsockname())
        address = (socket.AF_INET, socket.SOCK_STREAM, 6, "", full.getsockname())
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_kwargs: [address] * 100)
        with webhook.Webhook("http://portal.example/webhook/shipment/18/token", networks=destination.LOOPBACK) as hook:
            outcome, _peak = cost(lambda: hook.send(BODY, "event"))
        assert "could not be reached" in outcome.text


def test_socket_that_comes_too_late_is_closed():
    ours, theirs = socket.socketpair()
    released = threading.Event()
    with theirs:
        with pytest.raises(TimeoutError):
            peer.connect_within(0.05, lambda: released.wait() and ours)
        released.set()
        theirs.settimeout(HANGS)
        assert theirs.recv(1) == b"", "the other end is closed"


def test_error_of_connecting_is_raised():
    with pytest.raises(ConnectionRefusedError):
        peer.connect_within(HANGS, lambda: socket.create_connection(("127.0.0.1", 9)))


# -- words --------------------------------------------------------------------

TEXT = st.text(st.characters(codec=None) | st.sampled_from('\0\r\n"\\{}[]: /'), max_size=200)


@settings(deadline=None)
@given(
    st.integers(100, 999),
    TEXT,
    TEXT | TEXT.map(lambda text: json.dumps({"detail": text})),
    st.none() | TEXT | st.floats().map(str),
)
def test_whatever_is_answered_can_be_written_down(status, reason, answer, retry_after):
    outcome = webhook.judge(status, reason, answer, retry_after)
    assert not UNWRITABLE.search(outcome.text + outcome.answer)
    assert outcome.retry_after is None or 0 <= outcome.retry_after <= webhook.LONGEST_RETRY_AFTER


@settings(deadline=None)
@given(TEXT, st.integers(0, 2100), st.sampled_from(["{}", '{{"detail": "{}"}}', "\0{}\r\n"]), st.booleans())
def test_address_is_masked_wherever_it_stands(around, place, form, as_json):
    url = f"https://portal.example/webhook/shipment/18/{TOKEN}"
    said = json.dumps(url)[1:-1].replace("/", "\\/").replace("s3", "\\u0073\\u0033") if as_json else url
    outcome = webhook.judge(422, url, form.format("x" * place + said + around), mask=webhook.Mask(url))
    for text in (outcome.text, outcome.answer):
        assert "portal.example" not in text
        assert TOKEN not in text
        assert TOKEN[:8] not in text, "nor the beginning of it, before a cut"


@pytest.mark.parametrize(
    ("retry_after", "seconds"),
    [
        ("7", 7),
        ("-7", 0),
        ("1e400", None),
        ("nan", None),
        ("99999999999", webhook.LONGEST_RETRY_AFTER),
        ("9" * 5000, None),
        ("Mon, 01 Jan 99999999999999999999 00:00:00 GMT", None),
        ("Mon, 01 Jan 9999 00:00:00 -9999", None),
        ("Mon, 01 Jan 9999 00:00:00 -2359", webhook.LONGEST_RETRY_AFTER),
        ("Mon, 01 Jan 2001 00:00:00 GMT", 0),
        ("soon\0", None),
    ],
)
def test_time_to_wait_is_read_or_left(retry_after, seconds):
    assert webhook.judge(503, "", "", retry_after).retry_after == seconds


def test_words_become_one_line():
    assert peer.clean("a\0b\r\n\tc\x1b[2J\x85d\u2028e\u202ef\ud800g é 📱") == "a b c [2J d e f g é 📱"
    assert peer.clean("abc", 2) == "ab"
