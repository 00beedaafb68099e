"""Whatever is pushed, the reader gives an order or one of its own two errors, at a price that has an end. Needs pytest
and hypothesis."""

import json
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

DEV_FOLDER = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(DEV_FOLDER))

import addon_tools  # noqa: E402
import wild_json  # noqa: E402
import worst_orders  # noqa: E402

reader = addon_tools.load("order_payload")

MOST_MEMORY = 32  # MiB; half of what a push may take, for it is not all that is done with it
HANGS = 30  # seconds; starting the process included

# Names and values that the reader knows, so that the examples get further than "is missing".
NAMES = sorted(
    {step for _kind, names in reader.TABLE.values() for step in names.replace(".", " ").split()}
    | {"data", "order", "orders", "lines", "items", "shippingAddress", "customer", "product"}
)
TEXT = st.text(st.characters(codec=None), max_size=40) | st.sampled_from(
    [
        "",
        "NL",
        "België",
        "1.299",
        "€ 199,00",
        "2.0",
        "cancelled",
        "2026-11-23T09:00:00+01:00",
        "12-A",
        "EUR",
        "9999-12-31T23:59:59-23:59",
        "0001-01-01",
        "\0",
        "\ud800",
        "٣",
        "x" * 300,
    ]
)
LARGE = st.integers(20, 5000).map(lambda digits: 10**digits)
NUMBERS = st.integers() | st.floats() | st.decimals() | LARGE


def documents(scalars):
    return st.recursive(
        scalars,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(NAMES) | TEXT, inner, max_size=12),
        max_leaves=60,
    )


VALID = {
    "order_id": "1",
    "sku": "A",
    "quantity": 1,
    "name": "J",
    "street": "Kade 1",
    "postcode": "1234 AB",
    "city": "Ede",
    "country": "NL",
}
NEARLY_VALID = st.dictionaries(st.sampled_from(NAMES), TEXT | NUMBERS, max_size=3).map(lambda extra: VALID | extra)
PLAUSIBLE = st.fixed_dictionaries(
    {},
    optional={
        "order_id": TEXT | NUMBERS,
        "status": TEXT,
        "created_at": TEXT | NUMBERS,
        "requested_date": TEXT | NUMBERS,
        "shipping_address": st.dictionaries(st.sampled_from(NAMES), TEXT | NUMBERS, max_size=40),
        "lines": st.lists(st.dictionaries(st.sampled_from(["sku", "ean", "quantity", "price"]), TEXT | NUMBERS)),
    },
)
SPELLED = wild_json.spelled(NAMES)
WIDE = wild_json.wide(wild_json.SMALL, 3000)
ODD_KEYS = SPELLED | wild_json.LONG_KEYS | st.sampled_from(NAMES)
ODD = st.dictionaries(ODD_KEYS, TEXT | WIDE | wild_json.HUGE_TEXTS | wild_json.deep(WIDE, ODD_KEYS), max_size=6)
ODD_LINES = st.builds(
    lambda order, key, line, number: {**order, key: [line] * number},
    NEARLY_VALID,
    SPELLED | st.sampled_from(["lines", "l" + "_" * 300 + "ines"]),
    st.dictionaries(SPELLED, TEXT | NUMBERS, max_size=6),
    st.integers(0, 1100),
)
DOCUMENTS = (
    documents(st.none() | st.booleans() | NUMBERS | TEXT)
    | PLAUSIBLE
    | NEARLY_VALID
    | ODD
    | ODD_LINES
    | wild_json.deep(NEARLY_VALID | ODD_LINES, ODD_KEYS)
)
MAPPINGS = st.dictionaries(
    st.sampled_from(reader.FIELDS) | TEXT, st.sampled_from(NAMES) | TEXT | st.just("data.items[].code"), max_size=4
)
BODIES = (
    st.binary(max_size=200)
    | TEXT.map(lambda text: text.encode("utf-8", "surrogatepass"))
    | st.text('[]{}":,\\ux01eE.-', max_size=2000).map(str.encode)
    | documents(st.booleans() | st.floats() | TEXT).map(lambda document: json.dumps(document).encode())
    | wild_json.deep(wild_json.SMALL, ODD_KEYS).map(worst_orders.dump)
    | wild_json.repeated(wild_json.SMALL | wild_json.deep(wild_json.SMALL, ODD_KEYS), worst_orders.SIZE)
)
QUIET = {
    "deadline": None,
    "database": None,
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large],
}


def resolve(document, pointer):
    """Return what an RFC 6901 pointer points at, one that was cut as far as it goes; raise where that is nothing."""
    assert len(pointer) <= reader.MAX_POINTER + len("/…")
    for step in pointer.removesuffix("/…").split("/")[1:]:
        key = step.replace("~1", "/").replace("~0", "~")
        document = document[int(key)] if isinstance(document, list) else document[key]
    return document


@settings(max_examples=500, **QUIET)
@given(DOCUMENTS, MAPPINGS, st.none() | TEXT, st.booleans())
def test_any_document_gives_an_order_or_faults_that_point_into_it(document, mapping, reference, required):
    options = {"mapping": mapping, "reference": reference, "require_reference": required}
    try:
        order = reader.read_order(document, **options)
        pointers = list(order.pointers.values())
        assert order.shipping_address is None or order.shipping_address.street_line
    except reader.PayloadError as error:
        assert 0 < len(error.faults) <= reader.MAX_FAULTS
        assert all(0 < len(fault.detail) <= reader.MAX_DETAIL for fault in error.faults)
        assert error.more == 0 or len(error.faults) == reader.MAX_FAULTS
        pointers = [fault.pointer for fault in error.faults]
    for pointer in [*pointers, *(row.pointer for row in reader.explain(document, **options))]:
        resolve(document, pointer)


@settings(max_examples=500, **QUIET)
@given(BODIES)
def test_any_body_gives_a_document_that_can_be_stored_or_a_json_error(body):
    try:
        document = reader.parse_json(body)
    except reader.JsonError as error:
        assert 0 < len(str(error)) < 200
    else:
        text = json.dumps(document, default=str, ensure_ascii=False)
        assert "\\u0000" not in text.replace("\\\\", "")
        text.encode()


@pytest.mark.parametrize("name", worst_orders.WORST)
def test_the_worst_bodies_take_little_memory(name):
    """In a process of its own, for the memory of one that has run for long tells nothing."""
    script = [sys.executable, str(DEV_FOLDER / "worst_orders.py"), name]
    done = subprocess.run(
        script,
        capture_output=True,
        text=True,
        check=True,
        timeout=HANGS,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (2**31, 2**31)),  # spares the machine
    )
    told = json.loads(done.stdout)
    assert told["bytes"] <= worst_orders.SIZE, "it would be refused unread"
    assert told["mib"] <= MOST_MEMORY, told
