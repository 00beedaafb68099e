"""Whatever is pushed over HTTP, Odoo answers an order or a refusal that says why: never a 500, and never HTML. It takes
seconds, some dozens of MiB and an answer of some KiB at most.

Runs against an Odoo of its own. By itself it takes a number of requests: dev/with-env tests/test_orders_fuzz.py 5000
"""

import contextlib
import http.client
import json
import os
import random
import sys
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import quote, urlsplit

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

DEV_FOLDER = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(DEV_FOLDER))

import addon_tools  # noqa: E402
import order_server  # noqa: E402
import wild_json  # noqa: E402
import worst_orders  # noqa: E402

from bootstrap import DEV  # noqa: E402
from services import Odoo, Postgres  # noqa: E402

DATABASE = "iused_fuzz"
EXAMPLES = int(os.environ.get("IUSED_FUZZ_EXAMPLES", "300"))  # requests
# What one push may take, whatever its body holds.
MOST_MEMORY = 64  # MiB
MOST_ANSWER = 2**16  # bytes
MOST_SECONDS = 5
HANGS = 60  # seconds after which Odoo's own work is taken to go on for ever; `dev/bench orders` measures it
MAX_LINES = addon_tools.load("order_payload").MAX_LINES

TEXT = st.text(st.characters(codec=None), max_size=30) | st.sampled_from(
    [
        "",
        "NL",
        "1.299",
        "€ 199,00",
        "cancelled",
        "2026-11-23T09:00:00+01:00",
        "EUR",
        "\0",
        "\ud800",
        "PHONE-0",
        "x" * 70_000,
    ]
)
NUMBERS = st.integers() | st.floats() | st.integers(20, 400).map(lambda digits: 10**digits)
SCALARS = st.none() | st.booleans() | NUMBERS | TEXT
ANYTHING = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=6), max_leaves=20
)


@st.composite
def nearly_valid(draw):
    """Return the documented form with some of its values replaced, doubled or left out."""
    order = order_server.order(draw(st.text("ABC0123", min_size=1, max_size=4)), f"PHONE-{draw(st.integers(0, 11))}")
    for _change in range(draw(st.integers(0, 3))):
        inner = draw(st.sampled_from([order, order["shipping_address"] or {}, (order["lines"] or [{}])[0]]))
        if not isinstance(inner, dict) or not inner:
            continue
        key = draw(st.sampled_from(sorted(inner)))
        if inner is order and key in ("shipping_address", "lines"):
            continue
        inner[key] = draw(ANYTHING)
    more = draw(
        st.sampled_from([{}, {"status": "cancelled"}, {"note": "x" * 9999}, {"lines": [order["lines"][0]] * 1001}])
    )
    return {**order, **more}


@st.composite
def odd_order(draw):
    """Return the documented form with odd names, and with what is long, wide or deep in one of its places."""
    order = draw(nearly_valid())
    inner = draw(st.sampled_from([order, {**order["shipping_address"]}, {**order["lines"][0]}]))
    inner[draw(ODD_KEYS)] = draw(WIDE | wild_json.HUGE_TEXTS | wild_json.deep(WIDE, ODD_KEYS))
    inner[draw(st.sampled_from(sorted(inner)))] = draw(wild_json.HUGE_TEXTS | WIDE)
    lines = [{draw(ODD_KEYS): draw(SHORT), "sku": "UNKNOWN", "quantity": 2}] * draw(st.integers(0, 1100))
    order[draw(ODD_KEYS)] = {**inner}
    if draw(st.booleans()):
        order.pop("lines")
        order[draw(wild_json.spelled(["lines", "order_lines", "items"]))] = lines
    envelopes = wild_json.spelled(["order", "data", "payload"])
    return draw(wild_json.deep(st.just(order), envelopes | ODD_KEYS, most=6))


def dump(document):
    return json.dumps(document, ensure_ascii=False).encode("utf-8", "surrogatepass")


KEYS_KNOWN = [
    "order",
    "data",
    "lines",
    "line_items",
    "order_id",
    "shipping_address",
    "street",
    "quantity",
    "sku",
    "note",
]
ODD_KEYS = wild_json.spelled(KEYS_KNOWN) | wild_json.LONG_KEYS
SHORT = wild_json.SMALL | st.text(st.characters(codec=None), max_size=30)
WIDE = wild_json.wide(SHORT, 20_000)
REPEATED = wild_json.repeated(wild_json.SMALL | wild_json.deep(SHORT, ODD_KEYS), worst_orders.SIZE)
WILD = (odd_order().map(dump) | REPEATED).filter(lambda body: len(body) <= worst_orders.SIZE)
# A sender of more is answered before it has sent all, which not every client bears.
BODIES = (
    nearly_valid().map(dump)
    | nearly_valid().map(lambda order: json.dumps(order).encode())
    | st.dictionaries(
        st.sampled_from(["order", "data", "lines", "order_id", "shippingAddress", "status"]), ANYTHING
    ).map(dump)
    | ANYTHING.map(dump)
    | st.binary(max_size=200)
    | st.text('[]{}":,\\ux01eE.-', max_size=500).map(str.encode)
    | st.sampled_from(
        [
            b"[" * 100_000,
            b'{"a":' * 50_000,
            b'{"order_id": 1e999999999}',
            b'{"order_id": "A", "order_id": "B"}',
            b"1" * 100_000,
            b'{"order_id": NaN}',
            dump({**order_server.order("MANY", "PHONE-1"), "lines": [{"sku": "PHONE-1", "quantity": 1}] * 10_000}),
        ]
    )
).filter(lambda body: len(body) <= worst_orders.SIZE)
METHODS = st.sampled_from(["POST", "PUT", "PATCH"])
REFERENCES = st.none() | st.text(st.characters(codec="utf-8"), min_size=1, max_size=80)
KEYS = st.none() | st.text(st.characters(min_codepoint=33, max_codepoint=255), min_size=1, max_size=300)
CONTENT_TYPES = st.sampled_from(["application/json"] * 8 + ["application/merge-patch+json", "text/plain", "x", ""])


class Client:
    """Calls an Odoo as iUsed does, and measures what each call takes."""

    def __init__(self, odoo, key):
        self.odoo, self.key = odoo, key
        self.most = Counter()  # of all calls: MiB, bytes

    def call(self, method, path, body=None, headers=None, seconds=MOST_SECONDS):
        """Call a route.

        :param seconds: to wait for an answer
        :return: `status`, `headers`, `text` (bytes), and `mib`, the memory that the server took more meanwhile
        """
        process = self.odoo.process.pid
        worst_orders.reset_peak(process)
        before = worst_orders.memory(process, "VmRSS")
        connection = http.client.HTTPConnection(urlsplit(self.odoo.url).netloc, timeout=seconds)
        try:
            connection.request(method, path, body, {"Authorization": f"Bearer {self.key}", **(headers or {})})
            answer = connection.getresponse()
            text = answer.read()
        finally:
            connection.close()
        mib = worst_orders.memory(process, "VmHWM") - before
        self.most |= Counter(mib=mib, bytes=len(text))
        return SimpleNamespace(status=answer.status, headers=answer.headers, text=text, mib=mib)

    def push(self, body, **kwargs):
        return self.call("POST", "/iused/v1/orders", body, {"Content-Type": "application/json"}, **kwargs)

    def warm_up(self):
        """Have Odoo load what it needs once: that is no push's fault."""
        for number in range(3):
            order = order_server.order(f"WARM-{number}", "PHONE-1")
            for body in (order, {**order, "lines": []}):
                self.push(dump(body), seconds=HANGS)
            self.call("GET", f"/iused/v1/orders/WARM-{number}", seconds=HANGS)


def check(answer, told):
    """Assert what holds for every answer to a push.

    :param told: what was sent, for the message
    """
    assert answer.status in (200, 201, 400, 404, 409, 413, 415, 422), told
    media_type = "application/json" if answer.status < 300 else "application/problem+json"
    assert answer.headers["Content-Type"].startswith(media_type), told
    document = json.loads(answer.text)
    assert document["external_order_id"] if answer.status < 300 else document["detail"], told
    assert len(answer.text) <= MOST_ANSWER, told
    assert answer.mib <= MOST_MEMORY, (answer.mib, told)


@contextlib.contextmanager
def odoo_with_phones():
    with Postgres() as postgres:
        config, known = order_server.prepare(postgres, DATABASE, 50, max_cron_threads=0)
        with Odoo(postgres, config, DEV / f"{DATABASE}.log") as odoo:
            client = Client(odoo, known["key"])
            client.warm_up()
            client.count_rows = lambda: postgres.query("SELECT count(*) FROM iused_exchange", DATABASE)[0][0]
            yield client
        postgres.drop(DATABASE)


@pytest.fixture(scope="module")
def client():
    with odoo_with_phones() as running:
        yield running


def fuzz(client, bodies, examples):
    """Push so many bodies.

    :return: how often each status was answered
    """
    statuses = Counter()

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(bodies, METHODS, REFERENCES, KEYS, CONTENT_TYPES)
    def push(body, method, reference, idempotency_key, content_type):
        path = "/iused/v1/orders"
        if reference and method != "POST":
            path += f"/{quote(reference, safe='')}"
        headers = {"Content-Type": content_type}
        if idempotency_key:
            headers["Idempotency-Key"] = idempotency_key.encode("latin-1")
        answer = client.call(method, path, body, headers)
        statuses[answer.status] += 1
        check(answer, (method, path, body[:300], answer.text[:300]))

    push()
    return dict(statuses)


def test_no_body_breaks_a_push(client):
    statuses = fuzz(client, BODIES, EXAMPLES)
    assert {201, 400, 422} <= statuses.keys(), statuses


def test_no_wild_body_takes_much(client):
    statuses = fuzz(client, WILD, EXAMPLES)
    assert {400, 422} <= statuses.keys(), statuses


@pytest.mark.parametrize("name", worst_orders.WORST)
def test_the_worst_bodies_take_little(client, name):
    before = client.count_rows()
    check(client.push(worst_orders.WORST[name]()), name)
    assert client.count_rows() == before + 1, "it is in the log"


def test_the_largest_order_takes_little(client):
    line = {**worst_orders.LINE, **{f"more_{number}": {"value": number} for number in range(14)}}
    answer = client.push(dump(worst_orders.order([line] * MAX_LINES, order_id="LARGEST")), seconds=HANGS)
    check(answer, "the most lines")
    assert answer.status == 201, answer.text


LONG = "".join(random.Random(1).choices("abcdefghijklmnopqrstuvwxyz", k=60_000))  # no index takes it


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", f"/orders/{LONG}", {}, 404),
        ("GET", f"/orders/{'%01' * 20_000}", {}, 404),
        ("PUT", f"/orders/{LONG}", {}, 422),
        ("PATCH", f"/orders/{'%F0%9F%98%80' * 5000}", {}, 422),
        ("POST", "/orders", {"Idempotency-Key": LONG}, 400),
        ("POST", "/orders", {"Content-Encoding": LONG}, 415),
        ("POST", "/orders", {"Content-Type": LONG}, 415),
        (LONG.upper(), "/orders", {}, 405),
        (LONG.upper(), "/offers", {}, 405),
        ("GET", f"/offers?{LONG}=1", {}, 400),
        ("GET", f"/offers?{'&'.join(f'p{number}' for number in range(9000))}", {}, 400),
        ("GET", f"/offers?{'%01' * 20_000}", {}, 400),
        ("GET", f"/{LONG}", {}, 404),
        ("GET", "/offers", {"X-API-Key": LONG, "Authorization": ""}, 401),
    ],
    ids=lambda value: value[:30] if isinstance(value, str) else None,
)
def test_long_addresses_and_headers_are_told_by_their_beginning(client, method, path, headers, status):
    answer = client.call(method, f"/iused/v1{path}", b"{}", {"Content-Type": "application/json", **headers})
    assert answer.status == status, answer.text[:300]
    assert len(answer.text) <= MOST_ANSWER
    assert answer.mib <= MOST_MEMORY
    assert json.loads(answer.text)["detail"]


if __name__ == "__main__":
    with odoo_with_phones() as running_odoo:
        number = int(sys.argv[1]) if len(sys.argv) > 1 else EXAMPLES
        print(fuzz(running_odoo, BODIES, number), fuzz(running_odoo, WILD, number), dict(running_odoo.most))
