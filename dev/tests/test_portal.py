"""What the stand-in for the iUsed portal must do, tried over real HTTP. Needs no Odoo."""

import contextlib
import gzip
import http.client
import importlib.util
import json
import logging
import os
import re
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
import zlib
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest

PORTAL_FILE = Path(__file__).resolve().parents[1] / "portal.py"


def _load_portal():
    """Import the portal by its path: the folder is no package, and nothing of Odoo is wanted here."""
    spec = importlib.util.spec_from_file_location("iused_portal", PORTAL_FILE)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


portal_module = _load_portal()
Portal = portal_module.Portal
PortalClient = portal_module.PortalClient

UPDATE = {"serial_number": "356938035643809", "track_and_trace": "3SABC123", "external_order_id": "S00042"}
OFFER = {
    "sku": "A",
    "name": "Phone",
    "ean": "4006381333931",
    "stock_available": 2,
    "price_purchase_amount": 150.5,
    "price_consumer_amount": 199.99,
    "currency": "EUR",
}


@pytest.fixture
def portal():
    with Portal(token="s3cret-token") as running:
        running.register_orders("S00042")
        yield running


class Answered:
    """An HTTP answer: status, headers, body parsed where it is JSON."""

    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        data = response.read()
        self.body = json.loads(data) if "json" in response.headers.get("Content-Type", "") and data else data


def send(url, body=UPDATE, method="POST", key=None, content_type="application/json", timeout=5):
    """Call a URL once on a connection of its own; bytes are sent as they are, all else as JSON."""
    parts = urlsplit(url)
    headers = {"Content-Type": content_type} if content_type else {}
    if key:
        headers["Idempotency-Key"] = key
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout)
    with contextlib.closing(connection):
        connection.request(method, parts.path, data, headers)
        return Answered(connection.getresponse())


class Refurbisher(ThreadingHTTPServer):
    """A trivial system of a refurbisher, which answers all calls alike and keeps what it was sent."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), RefurbisherHandler)
        self.url = f"http://127.0.0.1:{self.server_port}/iused/v1/any"
        self.status, self.headers, self.data, self.delay = 200, {"Content-Type": "application/json"}, b"[]", 0
        self.calls = []

    def answers(self, body, status=200, **headers):
        self.status = status
        self.data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.headers = {
            "Content-Type": "application/json",
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }


class RefurbisherHandler(BaseHTTPRequestHandler):
    def answer(self):
        system = self.server
        data = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        system.calls.append((self.command, dict(self.headers), data))
        time.sleep(system.delay)
        self.send_response(system.status)
        for name, value in system.headers.items():
            self.send_header(name, value)
        self.end_headers()
        with contextlib.suppress(ConnectionError):
            self.wfile.write(system.data)

    do_GET = do_POST = do_PUT = do_PATCH = answer

    def log_message(self, *args):
        """Keep the tests' output clean."""


@pytest.fixture
def refurbisher():
    with Refurbisher() as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield server
        server.shutdown()


# -- the webhook ------------------------------------------------------------


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_update_is_accepted_with_each_method_of_the_guide(portal, method):
    answer = send(portal.webhook_url, method=method, key="event-1")
    assert (answer.status, answer.body) == (200, {"status": "accepted"})
    [update] = portal.updates
    assert update["body"] == UPDATE
    assert update["serial_numbers"] == ["356938035643809"]
    assert (update["track_and_trace"], update["external_order_id"]) == ("3SABC123", "S00042")
    assert update["idempotency_key"] == "event-1"


def test_delivery_of_several_devices_is_one_update(portal):
    answer = send(portal.webhook_url, {**UPDATE, "serial_number": ["111", "222"]})
    assert answer.status == 200
    assert [update["serial_numbers"] for update in portal.updates] == [["111", "222"]]


@pytest.mark.parametrize("method", ["GET", "DELETE", "HEAD"])
def test_other_methods_are_answered_405_with_allow(portal, method):
    answer = send(portal.webhook_url, b"", method=method)
    assert answer.status == 405
    assert answer.headers["Allow"] == "POST, PUT, PATCH"
    assert portal.updates == []


def test_options_tells_the_methods_and_takes_nothing_in(portal):
    answer = send(portal.webhook_url, b"", method="OPTIONS")
    assert (answer.status, answer.headers["Allow"]) == (204, "POST, PUT, PATCH")
    assert send(f"{portal.webhook_url}-wrong", b"", method="OPTIONS").status == 404
    portal.fail(status=503, times=1)
    assert send(portal.webhook_url, b"", method="OPTIONS").status == 503
    assert portal.updates == []


@pytest.mark.parametrize("path", ["/", "/webhook/shipment/18", "/webhook/shipment/18/s3cret-token/more"])
def test_unknown_path_is_a_404_problem(portal, path):
    answer = send(portal.url + path)
    assert answer.status == 404
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.body["status"] == 404


@pytest.mark.parametrize("place", ["18/wrong", "19/s3cret-token"])
def test_wrong_token_or_supplier_is_a_404_problem(portal, place):
    answer = send(f"{portal.url}/webhook/shipment/{place}")
    assert (answer.status, answer.headers["Content-Type"]) == (404, "application/problem+json")
    assert portal.updates == []


@pytest.mark.parametrize("content_type", [None, "text/plain", "application/x-www-form-urlencoded"])
def test_other_content_than_json_is_refused_with_415(portal, content_type):
    assert send(portal.webhook_url, content_type=content_type).status == 415


def test_content_type_may_name_a_charset(portal):
    assert send(portal.webhook_url, content_type="application/json; charset=utf-8").status == 200


@pytest.mark.parametrize("body", [b"", b"{", b'{"serial_number": NaN}', b"\xff\xfe\xff", b"[" * 100_000])
def test_unparsable_body_is_refused_with_400(portal, body):
    assert send(portal.webhook_url, body).status == 400


@pytest.mark.parametrize("field", list(UPDATE))
@pytest.mark.parametrize("value", [None, "", "  ", 7, [], [""]])
def test_required_field_at_fault_is_refused_with_422_that_names_it(portal, field, value):
    answer = send(portal.webhook_url, {**UPDATE, field: value})
    assert answer.status == 422
    assert field in answer.body["detail"]
    assert [error["pointer"] for error in answer.body["errors"]] == [f"/{field}"]


def test_missing_fields_are_all_named_at_once_and_no_object_is_refused(portal):
    answer = send(portal.webhook_url, {})
    assert {error["pointer"] for error in answer.body["errors"]} == {f"/{field}" for field in UPDATE}
    assert send(portal.webhook_url, [UPDATE]).status == 422
    assert [call["outcome"] for call in portal.received] == ["refused", "refused"]


def test_key_names_can_be_others():
    with Portal(field_names={"serial_number": "imei", "external_order_id": "order/ref"}) as portal:
        portal.register_orders("S1")
        body = {"imei": "1", "track_and_trace": "T", "order/ref": "S1"}
        assert send(portal.webhook_url, body).status == 200
        assert portal.updates[0]["serial_numbers"] == ["1"]
        assert portal.updates[0]["external_order_id"] == "S1"
        answer = send(portal.webhook_url, {**body, "order/ref": ""})
        assert answer.body["errors"][0]["pointer"] == "/order~1ref"
    with pytest.raises(ValueError, match="colour"):
        Portal(field_names={"colour": "x"})


def test_unknown_order_is_refused_unless_any_is_accepted(portal):
    answer = send(portal.webhook_url, {**UPDATE, "external_order_id": "S99999"})
    assert (answer.status, answer.body["errors"][0]["pointer"]) == (422, "/external_order_id")
    portal.register_orders("S99999")
    assert send(portal.webhook_url, {**UPDATE, "external_order_id": "S99999"}).status == 200
    with Portal(accept_any_order=True) as tolerant:
        assert send(tolerant.webhook_url).status == 200


def test_same_idempotency_key_is_answered_alike_but_is_a_repeat(portal):
    answers = [
        send(portal.webhook_url, key="one"),
        send(portal.webhook_url, key="one"),
        send(portal.webhook_url, {**UPDATE, "track_and_trace": "other"}, key="one"),
        send(portal.webhook_url, key="two"),
    ]
    assert {(answer.status, answer.body["status"]) for answer in answers} == {(200, "accepted")}
    assert [update["idempotency_key"] for update in portal.updates] == ["one", "two"]
    assert [call["outcome"] for call in portal.received] == ["accepted", "repeat", "repeat", "accepted"]
    assert "another" not in portal.received[1]["detail"]
    assert "another" in portal.received[2]["detail"]


def test_refused_update_does_not_use_its_idempotency_key_up(portal):
    assert send(portal.webhook_url, {**UPDATE, "external_order_id": "S2"}, key="one").status == 422
    portal.register_orders("S2")
    assert send(portal.webhook_url, {**UPDATE, "external_order_id": "S2"}, key="one").status == 200
    assert len(portal.updates) == 1


def test_every_call_is_recorded_without_the_secrets(portal, caplog):
    before = time.time()
    with caplog.at_level(logging.INFO, logger="iused.portal"):  # by number: Odoo renames the levels
        send(portal.webhook_url, key="event-1")
        send(f"{portal.url}/webhook/shipment/18/wrong-secret", {"a": 1})
        request = urllib.request.Request(
            portal.url + "/elsewhere?t=s3cret-token", headers={"Authorization": "Bearer hidden"}
        )
        with pytest.raises(urllib.error.HTTPError):
            urllib.request.urlopen(request, timeout=5)
    first, second, third = portal.received
    assert before <= first["time"] <= time.time()
    assert (first["method"], first["path"], first["status"]) == ("POST", "/webhook/shipment/18/***", 200)
    assert (first["body"], first["idempotency_key"]) == (UPDATE, "event-1")
    assert first["headers"]["content-type"] == "application/json"
    assert (second["path"], second["status"], second["body"]) == ("/webhook/shipment/18/***", 404, {"a": 1})
    assert (third["path"], third["headers"]["authorization"]) == ("/elsewhere?t=***", "***")
    for secret in ("s3cret-token", "wrong-secret", "hidden"):
        assert secret not in json.dumps(portal.received)
        assert secret not in caplog.text
    assert len(caplog.records) == 3


def test_token_of_any_characters_works_and_stays_masked():
    with Portal(token="a/b?c d+e", accept_any_order=True) as portal:
        assert send(portal.webhook_url).status == 200
        headers = {"X-Token": "a/b?c d+e", "X-Link": portal.webhook_url}
        request = urllib.request.Request(portal.url, headers=headers)
        with pytest.raises(urllib.error.HTTPError):
            urllib.request.urlopen(request, timeout=5)
        headers = portal.received[1]["headers"]
        assert headers["x-token"] == "***"
        assert headers["x-link"].endswith("/webhook/shipment/18/***")


# -- HTTP itself ------------------------------------------------------------


def test_connection_is_kept_alive_over_accepted_and_refused_calls(portal):
    parts = urlsplit(portal.webhook_url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=5)
    with contextlib.closing(connection):
        opened = None
        for path, body, status in (
            (parts.path, UPDATE, 200),
            ("/nowhere", {"long": "x" * 100_000}, 404),
            (parts.path, {"long": "x" * 2_000_000}, 413),
            (parts.path, UPDATE, 200),
        ):
            connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
            response = connection.getresponse()
            response.read()
            assert response.status == status
            opened = opened or connection.sock
            assert connection.sock is opened


def test_chunked_body_is_read(portal):
    parts = urlsplit(portal.webhook_url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=5)
    with contextlib.closing(connection):
        for _call in range(2):
            data = json.dumps(UPDATE).encode()
            connection.request(
                "PUT",
                parts.path,
                iter([data[:20], data[20:]]),
                {"Content-Type": "application/json"},
                encode_chunked=True,
            )
            response = connection.getresponse()
            assert (response.status, response.read()) == (200, b'{"status": "accepted"}')


def test_wrong_content_length_is_refused_with_400_and_the_connection_closed(portal):
    with socket.create_connection(("127.0.0.1", portal.port), timeout=5) as connection:
        connection.sendall(
            b"POST /webhook/shipment/18/s3cret-token HTTP/1.1\r\nHost: x\r\n"
            b"Content-Type: application/json\r\nContent-Length: -5\r\n\r\n"
        )
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"Connection: close" in answer


def test_many_calls_at_once_are_all_kept_and_repeats_are_told_apart(portal):
    keys = [f"event-{number % 100}" for number in range(200)]
    with ThreadPoolExecutor(40) as pool:
        answers = list(pool.map(lambda key: send(portal.webhook_url, key=key), keys))
    assert {answer.status for answer in answers} == {200}
    counts = portal.state["counts"]
    assert counts == {"received": 200, "updates": 100, "repeats": 100, "refused": 0, "failed": 0}


def test_closed_portal_answers_nobody_and_starts_again_on_the_same_port(portal):
    parts = urlsplit(portal.webhook_url)
    kept_alive = http.client.HTTPConnection(parts.hostname, parts.port, timeout=5)
    kept_alive.request("POST", parts.path, json.dumps(UPDATE), {"Content-Type": "application/json"})
    kept_alive.getresponse().read()
    url = portal.webhook_url
    portal.close()
    with pytest.raises(ConnectionError):
        send(url)
    with contextlib.closing(kept_alive), pytest.raises((ConnectionError, http.client.HTTPException)):
        kept_alive.request("POST", parts.path, json.dumps(UPDATE), {"Content-Type": "application/json"})
        kept_alive.getresponse()
    portal.start()
    assert portal.webhook_url == url
    assert send(url).status == 200
    assert len(portal.updates) == 2


# -- misbehaviour -----------------------------------------------------------


def test_fault_holds_for_its_number_of_calls_and_leaves_the_update_out(portal):
    portal.fail(status=503, times=2, retry_after=7)
    answers = [send(portal.webhook_url, key="one") for _call in range(3)]
    assert [answer.status for answer in answers] == [503, 503, 200]
    assert [answer.headers["Retry-After"] for answer in answers] == ["7", "7", None]
    assert answers[0].headers["Content-Type"] == "application/problem+json"
    assert [call["outcome"] for call in portal.received] == ["failed", "failed", "accepted"]
    assert len(portal.updates) == 1


def test_faults_queue_and_one_without_number_holds_until_healed(portal):
    portal.fail(status=410, times=1)
    portal.fail(status=307, times=None)
    portal.fail(status=500, times=1)
    answers = [send(portal.webhook_url) for _call in range(4)]
    assert [answer.status for answer in answers] == [410, 307, 307, 307]
    assert answers[1].headers["Location"] == f"{portal.url}/moved"
    portal.heal()
    assert send(portal.webhook_url).status == 200


def test_fault_with_a_2xx_takes_the_update_in(portal):
    portal.fail(status=204, times=2)
    answer = send(portal.webhook_url)
    assert (answer.status, answer.body) == (204, b"")
    assert send(portal.webhook_url, {}).status == 422
    assert len(portal.updates) == 1


def test_late_answer_comes_after_the_delay(portal):
    portal.fail(status=None, times=1, delay=0.3)
    started = time.monotonic()
    assert send(portal.webhook_url).status == 200
    assert 0.3 <= time.monotonic() - started < 2
    portal.fail(status=None, times=1, delay=0.3)
    with pytest.raises(TimeoutError):
        send(portal.webhook_url, timeout=0.1)
    assert len(portal.updates) == 2, "the update is taken in although nobody waited for the answer"


@pytest.mark.parametrize(("drop", "taken_in"), [(True, 0), ("before", 0), ("after", 1)])
def test_dropped_connection_gives_no_answer(portal, drop, taken_in):
    portal.fail(times=1, drop=drop)
    with pytest.raises(ConnectionError):
        send(portal.webhook_url, key="one")
    assert len(portal.updates) == taken_in
    assert portal.received[0]["status"] is None
    assert send(portal.webhook_url, key="one").status == 200
    assert portal.received[1]["outcome"] == ("repeat" if taken_in else "accepted")
    assert len(portal.updates) == 1


def test_hanging_call_is_silent_until_healed(portal):
    portal.fail(times=2, hang=True)
    with pytest.raises(TimeoutError):
        send(portal.webhook_url, timeout=0.2)
    with ThreadPoolExecutor(1) as pool:
        hanging = pool.submit(send, portal.webhook_url)
        while len(portal.received) < 2:
            time.sleep(0.01)
        assert not hanging.done()
        portal.heal()
        assert isinstance(hanging.exception(timeout=2), ConnectionError)
    assert portal.updates == []


def test_random_faults_are_repeatable_by_their_seed(portal):
    def hits(seed):
        portal.fail(status=500, times=None, probability=0.5, seed=seed)
        statuses = [send(portal.webhook_url).status for _call in range(30)]
        portal.heal()
        return statuses

    first = hits(1)
    assert set(first) == {200, 500}
    assert hits(1) == first
    assert hits(2) != first


def test_calls_that_are_no_updates_use_no_fault_up(portal):
    portal.fail(status=503, times=1)
    assert send(portal.webhook_url, method="DELETE").status == 405
    assert send(portal.url + "/elsewhere").status == 404
    assert send(portal.webhook_url).status == 503


def read_raw(portal, size):
    """Call the webhook; return the beginning of what comes back as it is on the wire, up to `size` bytes."""
    data = json.dumps(UPDATE).encode()
    with socket.create_connection(("127.0.0.1", portal.port), timeout=5) as connection:
        connection.sendall(
            b"POST /webhook/shipment/18/s3cret-token HTTP/1.1\r\nHost: x\r\n"
            b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(data), data)
        )
        read = b""
        while len(read) < size and (piece := connection.recv(size - len(read))):
            read += piece
    return read


MILLION = 1_000_000
HEAD = rb"HTTP/1.1 200 OK\r\n(\S+: .*\r\n)+"


@pytest.mark.parametrize(
    ("hostile", "size", "sent"),
    [
        ("endless-body", MILLION, HEAD + rb"\r\nA{900000,}"),
        ("dripped-head", 300, HEAD + rb"(X-Drip: drip\r\n){5,}[^\n]*"),
        ("dripped-body", 300, HEAD + rb"\r\n(drip ){5,}d?r?i?p?"),
        ("endless-headers", MILLION, HEAD + rb"(X-More: A+\r\n){10,}.*"),
        ("endless-continue", MILLION, rb"(HTTP/1.1 100 Continue\r\n\r\n){10000,}.*"),
        ("endless-chunk", MILLION, HEAD + rb"Transfer-Encoding: chunked\r\n\r\nA{900000,}"),
        ("nested-json", MILLION, HEAD + rb"\r\n\[{20000}\]{20000}"),
        (
            "controls",
            MILLION,
            rb"(?s)HTTP/1.1 200 OK \x00and\rmore\x1b\[31m\r\n.*\r\n\r\n\{.*\\u0000.*\r\n.*\x00.*\}\r\n",
        ),
        ("no-http", MILLION, rb"(?s)SSH.*"),
    ],
)
def test_hostile_answer_is_as_it_says(portal, hostile, size, sent):
    portal.fail(status=200, times=1, hostile=hostile, pace=0.001)
    assert re.fullmatch(sent, read_raw(portal, size))
    assert send(portal.webhook_url).status == 200


def test_gzip_bomb_grows_when_it_is_unpacked(portal):
    portal.fail(status=200, times=1, hostile="gzip-bomb")
    head, _end, packed = read_raw(portal, 100_000).partition(b"\r\n\r\n")
    assert b"Content-Encoding: gzip" in head
    assert len(zlib.decompressobj(wbits=31).decompress(packed)) > 500 * len(packed)


def test_hostile_answer_is_given_with_the_status_and_headers_of_others(portal):
    portal.fail(status=302, times=1, hostile="endless-body")
    assert f"Location: {portal.url}/moved".encode() in read_raw(portal, 1000)
    assert portal.updates == []
    portal.fail(status=None, times=1, hostile="endless-body", retry_after=5)
    assert b"Retry-After: 5" in read_raw(portal, 1000)
    assert len(portal.updates) == 1


def test_hostile_answer_ends_when_the_portal_is_healed(portal):
    portal.fail(status=200, times=1, hostile="dripped-body", pace=3600)
    with ThreadPoolExecutor(1) as pool:
        dripping = pool.submit(read_raw, portal, MILLION)
        while not portal.received:
            time.sleep(0.01)
        portal.heal()
        assert dripping.result(timeout=5)


@pytest.mark.parametrize(
    "wrong",
    [
        {"status": 99},
        {"status": "503"},
        {"times": 0},
        {"delay": -1},
        {"delay": float("nan")},
        {"drop": "later"},
        {"drop": True, "hang": True},
        {"hostile": "rude"},
        {"hostile": "controls", "hang": True},
        {"pace": -1},
        {"probability": 0},
        {"seed": "x"},
        {"retry_after": "1\r\nX: y"},
    ],
)
def test_senseless_fault_is_refused(portal, wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        portal.fail(**wrong)
    assert portal.state["faults"] == []


def test_waiting_for_updates_ends_when_they_are_in_or_fails_in_time(portal):
    threading.Timer(0.1, send, [portal.webhook_url]).start()
    for driver in (portal, PortalClient(portal.url)):
        assert [update["body"] for update in driver.wait_for_updates(1, timeout=5)] == [UPDATE]
        with pytest.raises(TimeoutError, match="1 of 2"):
            driver.wait_for_updates(2, timeout=0.1)


# -- polling the offers -----------------------------------------------------


@pytest.mark.parametrize(
    ("auth", "header", "value"),
    [
        ("bearer", "Authorization", "Bearer k3y"),
        ("basic", "Authorization", "Basic aXVzZWQ6azN5"),
        ("x-api-key", "X-Api-Key", "k3y"),
        ("none", "Authorization", None),
    ],
)
def test_key_is_sent_as_agreed(portal, refurbisher, auth, header, value):
    portal.poll_offers(refurbisher.url, "k3y", auth=auth)
    portal.push_order(refurbisher.url, "k3y", {}, auth=auth, headers={"x-extra": "1"})
    for _method, headers, _data in refurbisher.calls:
        assert headers.get(header) == value
    assert refurbisher.calls[1][1]["X-Extra"] == "1"
    with pytest.raises(ValueError, match="auth"):
        portal.poll_offers(refurbisher.url, "k3y", auth="digest")


def test_good_feed_has_no_problems(portal, refurbisher):
    refurbisher.answers([OFFER, {**OFFER, "sku": "B", "stock_available": 0}], ETag='"1"')
    feed = portal.poll_offers(refurbisher.url, "k3y")
    assert (feed.status, feed.problems, feed.headers["etag"]) == (200, [], '"1"')
    assert [offer["sku"] for offer in feed.offers] == ["A", "B"]


def test_compressed_feed_is_read(portal, refurbisher):
    refurbisher.answers(gzip.compress(json.dumps([OFFER]).encode()), Content_Encoding="gzip")
    feed = portal.poll_offers(refurbisher.url, "k3y")
    assert (feed.offers, feed.problems) == ([OFFER], [])
    assert refurbisher.calls[0][1]["Accept-Encoding"] == "gzip"
    refurbisher.answers(b"[]", Content_Encoding="gzip")
    assert "gzip" in portal.poll_offers(refurbisher.url, "k3y").problems[0]


def test_unchanged_feed_is_asked_for_by_its_etag(portal, refurbisher):
    refurbisher.answers(b"", status=304)
    feed = portal.poll_offers(refurbisher.url, "k3y", etag='"1"')
    assert refurbisher.calls[0][1]["If-None-Match"] == '"1"'
    assert (feed.status, feed.offers, feed.problems) == (304, [], [])


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ({"sku": None}, "sku is missing"),
        ({"sku": ""}, "sku is empty"),
        ({"name": 5}, "name is not a string"),
        ({"ean": "4006381333932"}, "check digit"),
        ({"ean": "0000000000000"}, "check digit"),
        ({"ean": 4006381333931}, "ean is not a string"),
        ({"stock_available": -1}, "stock_available"),
        ({"stock_available": 1.5}, "stock_available"),
        ({"stock_available": "2"}, "stock_available"),
        ({"stock_available": True}, "stock_available"),
        ({"price_purchase_amount": 0}, "price_purchase_amount is not more than zero"),
        ({"price_purchase_amount": "150.50"}, "price_purchase_amount is not a number"),
        ({"price_consumer_amount": 199.999}, "two decimals"),
        ({"price_consumer_amount": 0.1 + 0.2}, "two decimals"),
        ({"price_consumer_amount": None}, "price_consumer_amount is missing"),
    ],
)
def test_offer_against_the_guide_is_told(portal, refurbisher, fault, told):
    refurbisher.answers([{**OFFER, "sku": "B"}, {**OFFER, **fault}])
    [text] = portal.poll_offers(refurbisher.url, "k3y").problems
    assert text.startswith("offer 2")
    assert told in text


def test_sku_twice_is_told(portal, refurbisher):
    refurbisher.answers([OFFER, {**OFFER, "sku": "B"}, OFFER])
    [text] = portal.poll_offers(refurbisher.url, "k3y").problems
    assert "not unique" in text
    assert "offer 1" in text


@pytest.mark.parametrize(
    ("body", "status", "content_type", "told"),
    [
        (b"[]", 401, "application/json", "401"),
        (b"[]", 200, "text/html", "text/html"),
        (b"<html>", 200, "application/json", "not JSON"),
        (b"{}", 200, "application/json", "not a JSON array"),
        (b"[1]", 200, "application/json", "offer 1 is not a JSON object"),
        (b'[{"stock_available": Infinity}]', 200, "application/json", "not JSON"),
    ],
)
def test_answer_that_is_no_feed_is_told(portal, refurbisher, body, status, content_type, told):
    refurbisher.answers(body, status=status, Content_Type=content_type)
    [text] = portal.poll_offers(refurbisher.url, "k3y").problems
    assert told in text


@pytest.mark.parametrize(
    ("code", "right"),
    [
        ("4006381333931", True),
        ("96385074", True),
        ("036000291452", True),
        ("10012345678902", True),
        ("4006381333930", False),
        ("00000000", False),
        ("400638133393", False),
        ("9638507\u0664", False),
    ],
)
def test_check_digit_of_an_ean(code, right):
    assert portal_module.is_ean(code) is right


# -- pushing orders ---------------------------------------------------------


@pytest.mark.parametrize("status", [200, 201])
def test_order_answered_with_its_id_becomes_known(refurbisher, status):
    with Portal() as portal:
        refurbisher.answers({"external_order_id": "S00042"}, status=status, Location="/orders/S00042")
        order = portal_module.sample_order(order_id="IU-7")
        answer = portal.push_order(refurbisher.url, "k3y", order, method="PUT")
        assert (answer.status, answer.body) == (status, {"external_order_id": "S00042"})
        assert answer.headers["location"] == "/orders/S00042"
        assert 0 < answer.elapsed < 5
        method, headers, data = refurbisher.calls[0]
        assert (method, headers["Content-Type"], json.loads(data)) == ("PUT", "application/json", order)
        assert portal.orders == ["S00042"]
        assert send(portal.webhook_url).status == 200


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (422, {"external_order_id": "S1"}),
        (200, {"external_order_id": 42}),
        (200, {"id": "S1"}),
        (200, []),
        (201, b"<html>"),
        (200, b""),
    ],
)
def test_answer_without_a_usable_id_makes_no_order_known(refurbisher, status, body):
    refurbisher.answers(body, status=status)
    with Portal() as portal:
        assert portal.push_order(refurbisher.url, "k3y", {}).status == status
        assert portal.orders == []


def test_key_of_the_order_id_can_be_another(refurbisher):
    refurbisher.answers({"number": "S1"})
    with Portal(order_key="number") as portal:
        portal.push_order(refurbisher.url, "k3y", {})
        assert portal.orders == ["S1"]


def test_silence_and_absence_raise_no_answer(portal, refurbisher):
    refurbisher.delay = 0.5
    for driver in (portal, PortalClient(portal.url)):
        with pytest.raises(portal_module.NoAnswer):
            driver.push_order(refurbisher.url, "k3y", {}, timeout=0.1)
        with pytest.raises(portal_module.NoAnswer):
            driver.poll_offers("http://127.0.0.1:1/offers", "k3y")
        with pytest.raises(ValueError, match="http"):
            driver.poll_offers("ftp://127.0.0.1/offers", "k3y")


# -- the controls -----------------------------------------------------------


def test_client_drives_the_portal_as_the_portal_itself(portal, refurbisher):
    client = PortalClient(portal.url + "/")
    refurbisher.answers({"external_order_id": "S7"}, status=201)
    assert client.push_order(refurbisher.url, "k3y", {"order_id": "1"}, method="PATCH").status == 201
    refurbisher.answers([OFFER])
    feed = client.poll_offers(refurbisher.url, "k3y", auth="basic")
    assert (feed.offers, feed.problems) == ([OFFER], [])
    client.register_orders("S8", "S9")
    assert client.orders == portal.orders == ["S00042", "S7", "S8", "S9"]
    client.fail(status=500, times=1, retry_after=3)
    assert client.state["faults"][0]["retry_after"] == 3
    assert send(client.webhook_url, key="one").status == 500
    client.fail(status=500, times=None)
    client.heal()
    assert send(client.webhook_url, key="one").status == 200
    assert client.updates == portal.updates
    assert client.received == portal.received
    assert client.state == portal.state
    client.reset()
    assert client.state["counts"]["received"] == len(client.updates) == len(client.orders) == 0
    with pytest.raises(ValueError, match="times"):
        client.fail(times=0)


def test_reset_forgets_the_idempotency_keys_too(portal):
    send(portal.webhook_url, key="one")
    portal.reset()
    portal.register_orders("S00042")
    send(portal.webhook_url, key="one")
    assert [call["outcome"] for call in portal.received] == ["accepted"]


@pytest.mark.parametrize(
    ("method", "name", "body", "status"),
    [
        ("GET", "nothing", b"", 404),
        ("GET", "fail", b"", 405),
        ("POST", "state", {}, 405),
        ("POST", "fail", {"status": 1}, 422),
        ("POST", "fail", {"colour": "red"}, 422),
        ("POST", "fail", [], 422),
        ("POST", "orders", {"orders": "S1"}, 422),
        ("POST", "orders", {"orders": [1]}, 422),
        ("POST", "orders", {}, 422),
        ("POST", "poll", {"url": "http://127.0.0.1:1/"}, 422),
    ],
)
def test_wrong_control_is_refused(portal, method, name, body, status):
    answer = send(f"{portal.url}/_control/{name}", body, method=method)
    assert (answer.status, answer.headers["Content-Type"]) == (status, "application/problem+json")
    assert portal.orders == ["S00042"]
    assert portal.received == [], "a control is no call of the webhook"


def test_controls_are_closed_to_web_pages(portal):
    assert send(f"{portal.url}/_control/reset", content_type="text/plain").status == 415
    request = urllib.request.Request(f"{portal.url}/_control/state", headers={"Host": "evil.example"})
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(request, timeout=5)


# -- the command line -------------------------------------------------------


def run(*arguments, **options):
    """Run the portal's command line to its end."""
    return subprocess.run(
        [sys.executable, str(PORTAL_FILE), *arguments],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
        **options,
    )


def test_process_serves_and_is_driven_by_the_other_commands(tmp_path, refurbisher):
    ready_file = tmp_path / "ready.json"
    serve = subprocess.Popen(
        [
            sys.executable,
            str(PORTAL_FILE),
            "serve",
            "--port",
            "0",
            "--token",
            "s3cret-token",
            "--order",
            "S00042",
            "--field",
            "serial_number=imei",
            "--ready-file",
            str(ready_file),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with serve:
        try:
            ready = json.loads(serve.stdout.readline())
            assert ready == json.loads(ready_file.read_text(encoding="utf-8"))
            assert [path.name for path in tmp_path.iterdir()] == ["ready.json"]
            portal = ["--portal", ready["url"]]
            failed = run("fail", *portal, "--status", "429", "--times", "1", "--retry-after", "5")
            assert (failed.returncode, failed.stderr) == (0, "")
            body = {"imei": "1", "track_and_trace": "T", "external_order_id": "S00042"}
            assert send(ready["webhook_url"], body).headers["Retry-After"] == "5"
            assert send(ready["webhook_url"], body).status == 200
            refurbisher.answers({"external_order_id": "S7"})
            pushed = run("push", refurbisher.url, "--key", "k", "--order", "-", *portal, input="{}")
            assert pushed.returncode == 0
            state = json.loads(run("state", *portal).stdout)
            assert state["counts"]["updates"] == 1
            assert state["orders"] == ["S00042", "S7"]
        finally:
            serve.terminate()
        log = serve.stderr.read()
    assert serve.returncode == 0
    assert "/webhook/shipment/18/*** -> 200 accepted" in log
    assert "s3cret-token" not in log


def test_poll_prints_offers_and_exits_by_their_problems(refurbisher):
    refurbisher.answers([OFFER])
    good = run("poll", refurbisher.url, env={**os.environ, "IUSED_KEY": "k3y"})
    assert good.returncode == 0
    assert "4006381333931" in good.stdout
    assert refurbisher.calls[0][1]["Authorization"] == "Bearer k3y"
    refurbisher.answers([{**OFFER, "ean": "1"}])
    bad = run("poll", refurbisher.url, "--key", "k3y")
    assert (bad.returncode, "PROBLEM offer 1" in bad.stdout) == (1, True)
    assert run("state", "--portal", refurbisher.url).stderr.startswith("portal.py: There is no portal at")
    absent = run("poll", "http://127.0.0.1:1/", "--key", "k3y")
    assert (absent.returncode, absent.stdout) == (2, "")


def test_push_prints_the_answer_and_exits_by_its_status(tmp_path, refurbisher):
    sample = run("push", "--sample")
    assert json.loads(sample.stdout) == portal_module.sample_order()
    order_file = tmp_path / "order.json"
    order_file.write_text(sample.stdout, encoding="utf-8")
    refurbisher.answers({"external_order_id": "S7"}, status=201)
    pushed = run("push", refurbisher.url, "--key", "k", "--order", str(order_file), "--method", "PUT")
    assert (pushed.returncode, "S7" in pushed.stdout) == (0, True)
    assert refurbisher.calls[0][0] == "PUT"
    refurbisher.answers({"status": 422}, status=422)
    assert run("push", refurbisher.url, "--key", "k", "--order", str(order_file)).returncode == 1
    assert run("push", refurbisher.url, "--key", "k").returncode == 2
