"""Whatever is pushed, the reader gives an order or one of its own two errors. Needs pytest and hypothesis."""

import importlib.util
import json
import sys
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

# The addon's `tools` without the addon, which would need Odoo.
TOOLS = Path(__file__).resolve().parents[2] / "tools"
_spec = importlib.util.spec_from_file_location(
    "iused_tools", TOOLS / "__init__.py", submodule_search_locations=[str(TOOLS)]
)
sys.modules["iused_tools"] = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(sys.modules["iused_tools"])
reader = importlib.import_module("iused_tools.order_payload")

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
DOCUMENTS = documents(st.none() | st.booleans() | NUMBERS | TEXT) | PLAUSIBLE | NEARLY_VALID
MAPPINGS = st.dictionaries(
    st.sampled_from(reader.FIELDS) | TEXT, st.sampled_from(NAMES) | TEXT | st.just("data.items[].code"), max_size=4
)
BODIES = (
    st.binary(max_size=200)
    | TEXT.map(lambda text: text.encode("utf-8", "surrogatepass"))
    | st.text('[]{}":,\\ux01eE.-', max_size=2000).map(str.encode)
    | documents(st.booleans() | st.floats() | TEXT).map(lambda document: json.dumps(document).encode())
)
QUIET = {
    "deadline": None,
    "database": None,
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large],
}


def resolve(document, pointer):
    """Return what an RFC 6901 pointer points at; raise where it points at nothing."""
    for step in pointer.split("/")[1:]:
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
        assert all(fault.detail for fault in error.faults)
        pointers = [fault.pointer for fault in error.faults]
    for pointer in [*pointers, *(row.pointer for row in reader.explain(document, **options))]:
        resolve(document, pointer)


@settings(max_examples=500, **QUIET)
@given(BODIES)
def test_any_body_gives_a_document_that_can_be_stored_or_a_json_error(body):
    try:
        document = reader.parse_json(body)
    except reader.JsonError as error:
        assert str(error)
    else:
        text = json.dumps(document, default=str, ensure_ascii=False)
        assert "\\u0000" not in text.replace("\\\\", "")
        text.encode()
