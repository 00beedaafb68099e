"""Whatever is pushed over HTTP, Odoo answers an order or a refusal that says why: never a 500, and never HTML.

Runs against an Odoo of its own. By itself it takes a number of requests: dev/with-env tests/test_orders_fuzz.py 5000
"""

import contextlib
import http.client
import json
import os
import sys
from collections import Counter
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

DEV_FOLDER = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(DEV_FOLDER))

import order_server  # noqa: E402

from bootstrap import DEV  # noqa: E402
from services import Odoo, Postgres  # noqa: E402

DATABASE = "iused_fuzz"
EXAMPLES = int(os.environ.get("IUSED_FUZZ_EXAMPLES", "300"))  # requests

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


def dump(document):
    return json.dumps(document, ensure_ascii=False).encode("utf-8", "surrogatepass")


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
)
METHODS = st.sampled_from(["POST", "PUT", "PATCH"])
REFERENCES = st.none() | st.text(st.characters(codec="utf-8"), min_size=1, max_size=80)
KEYS = st.none() | st.text(st.characters(min_codepoint=33, max_codepoint=255), min_size=1, max_size=300)
CONTENT_TYPES = st.sampled_from(["application/json"] * 8 + ["application/merge-patch+json", "text/plain", "x", ""])


@contextlib.contextmanager
def odoo_with_phones():
    with Postgres() as postgres:
        config, known = order_server.prepare(postgres, DATABASE, 50, max_cron_threads=0)
        with Odoo(postgres, config, DEV / f"{DATABASE}.log") as odoo:
            yield odoo, known["key"]
        postgres.drop(DATABASE)


@pytest.fixture(scope="module")
def odoo():
    with odoo_with_phones() as running:
        yield running


def fuzz(odoo, key, examples):
    """Push so many bodies.

    :return: how often each status was answered
    """
    statuses = Counter()
    netloc = urlsplit(odoo.url).netloc

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(BODIES, METHODS, REFERENCES, KEYS, CONTENT_TYPES)
    def push(body, method, reference, idempotency_key, content_type):
        path = "/iused/v1/orders"
        if reference and method != "POST":
            path += f"/{quote(reference, safe='')}"
        headers = {"Authorization": f"Bearer {key}", "Content-Type": content_type}
        if idempotency_key:
            headers["Idempotency-Key"] = idempotency_key.encode("latin-1")
        connection = http.client.HTTPConnection(netloc, timeout=60)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            text = answer.read()
        finally:
            connection.close()
        statuses[answer.status] += 1
        told = (method, path, body[:300], text[:300])
        assert answer.status in (200, 201, 400, 404, 409, 413, 415, 422), told
        media_type = "application/json" if answer.status < 300 else "application/problem+json"
        assert answer.headers["Content-Type"].startswith(media_type), told
        document = json.loads(text)
        assert document["external_order_id"] if answer.status < 300 else document["detail"], told

    push()
    return dict(statuses)


def test_no_body_breaks_a_push(odoo):
    statuses = fuzz(*odoo, EXAMPLES)
    assert {201, 400, 422} <= statuses.keys(), statuses


if __name__ == "__main__":
    with odoo_with_phones() as running_odoo:
        print(fuzz(*running_odoo, int(sys.argv[1]) if len(sys.argv) > 1 else EXAMPLES))
