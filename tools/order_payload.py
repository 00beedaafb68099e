"""Reads one pushed order, in the shapes that portals send, into plain values; or says all that is wrong.

iUsed does not publish the JSON of an order. So `TABLE` lists, for each field of ours, the names it goes by
elsewhere, and `_PLACES` the objects that hold an address or a customer. Names are compared without case, `_`,
`-` and spaces: `orderNumber`, `order_number`, `OrderNumber` and `order-number` are one name. What the table
does not know, the caller maps.

Sources: RFC 8259 (JSON), RFC 6901 (JSON pointer), ISO 8601 (dates), ISO 3166-1 (countries), ISO 4217
(currencies).
"""

import json
import re
import unicodedata
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, tzinfo
from datetime import timezone as fixed_zone
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from functools import lru_cache
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from .countries import country_code, street_line

_GIVEN = "first_name given_name forename voornaam"
_INFIX = "infix middle_name tussenvoegsel"
_FAMILY = "last_name surname family_name achternaam"
_EMAIL = "email e_mail email_address emailadres"
_PHONE = "phone phone_number telephone telephone_number mobile mobile_phone mobile_number tel telefoon telefoonnummer"

# Our field: how its value is read (a key of `_PARSERS`), and the names it goes by, the best first. A dot
# leads into an object.
TABLE = {
    "order_id": (
        "reference",
        (
            "order_id order_number order_no order_nr order_reference order_ref reference bestelnummer order.id"
            " order.number order.reference id number"
        ),
    ),
    "created_at": (
        "moment",
        ("created_at created created_on date_created order_date ordered_at placed_at date timestamp besteldatum"),
    ),
    "requested_date": (
        "day",
        (
            "requested_date requested_delivery_date requested_ship_date desired_delivery_date delivery_date"
            " expected_delivery_date ship_by"
        ),
    ),
    "currency": ("currency", "currency currency_code currency_iso currency.code valuta"),
    "status": ("status", "status order_status"),
    "note": (
        "note",
        (
            "note notes remark remarks comment comments customer_note order_note instructions"
            " delivery_instructions opmerking opmerkingen"
        ),
    ),
    "customer.name": ("text", "name full_name naam"),
    "customer.first_name": ("text", _GIVEN),
    "customer.infix": ("text", _INFIX),
    "customer.last_name": ("text", _FAMILY),
    "customer.email": ("text", _EMAIL),
    "customer.phone": ("text", _PHONE),
    "shipping_address.name": (
        "text",
        (
            "name full_name recipient recipient_name contact_name contact_person attention naam customer_name"
            " recipient.name"
        ),
    ),
    "shipping_address.first_name": ("text", _GIVEN),
    "shipping_address.infix": ("text", _INFIX),
    "shipping_address.last_name": ("text", _FAMILY),
    "shipping_address.company": (
        "text",
        ("company company_name organisation organization business_name bedrijf bedrijfsnaam"),
    ),
    "shipping_address.street": (
        "text",
        (
            "street street_name street1 street_line1 street_address address_line1 address1 line1 address straat"
            " straatnaam adres"
        ),
    ),
    "shipping_address.house_number": ("text", "house_number house_no house_nr street_number huisnummer"),
    "shipping_address.house_number_addition": (
        "text",
        (
            "house_number_addition house_number_suffix house_number_ext house_number_extension house_addition"
            " addition huisnummer_toevoeging toevoeging"
        ),
    ),
    "shipping_address.street2": (
        "text",
        (
            "street2 additional_street street_additional street_line2 address_line2 address2 line2"
            " additional_address address_addition adres2"
        ),
    ),
    "shipping_address.postal_code": ("postal_code", "postal_code postcode post_code zip_code zip plz"),
    "shipping_address.city": ("text", "city city_name town locality place plaats woonplaats stad"),
    "shipping_address.state": (
        "text",
        ("state_code province_code state province region state.code province.code region.code provincie"),
    ),
    "shipping_address.country": (
        "country",
        (
            "country_code country_iso country_iso2 country_iso3 landcode country country.code country.iso"
            " country.iso2 country.name country_name land"
        ),
    ),
    "shipping_address.phone": ("text", _PHONE),
    "shipping_address.email": ("text", _EMAIL),
    "lines[].line_id": ("text", "line_id line_item_id order_line_id order_item_id line_number line_no id"),
    "lines[].sku": (
        "text",
        (
            "sku product_sku item_sku offer_sku seller_sku supplier_sku product_code item_code article_code"
            " article_number artikelnummer product.sku item.sku article.sku offer.sku variant.sku"
        ),
    ),
    "lines[].ean": (
        "text",
        (
            "ean ean13 ean_code gtin gtin13 barcode upc product.ean item.ean article.ean offer.ean variant.ean"
            " product.gtin product.barcode"
        ),
    ),
    "lines[].name": (
        "text",
        (
            "name product_name item_name title description product_title product.name product.title item.name"
            " article.name"
        ),
    ),
    "lines[].quantity": ("quantity", "quantity qty quantity_ordered ordered_quantity pieces count aantal"),
    # What iUsed pays comes before anything that might be what the consumer pays.
    "lines[].price": (
        "price",
        (
            "price_purchase_amount purchase_price price_excl_vat unit_price_excl_vat price_excl_tax net_price"
            " unit_price price price.amount unit_price.amount price.value prijs"
        ),
    ),
}

_LINES = (
    "lines",
    "line_items",
    "order_lines",
    "order_items",
    "items",
    "products",
    "articles",
    "positions",
    "rows",
    "line",
    "order_line",
)
_ONE_PRODUCT = ("item", "product", "article", "line_item", "order_item")  # a line if its quantity is inside
_LINE_FIELDS = [ours for ours in TABLE if ours.startswith("lines[].")]
_PLACES = {
    "customer": (
        "customer.",
        "buyer.",
        "consumer.",
        "client.",
        "contact.",
        "customer_",
        "buyer_",
        "consumer_",
        "client_",
        "contact_",
    ),
    "shipping_address": (
        "shipping_address.",
        "delivery_address.",
        "ship_to_address.",
        "ship_to.address.",
        "ship_to.",
        "shipping.address.",
        "shipping.",
        "delivery.address.",
        "delivery.",
        "recipient.address.",
        "recipient.",
        "consignee.address.",
        "consignee.",
        "addresses.shipping.",
        "addresses.delivery.",
        "customer.shipping_address.",
        "customer.delivery_address.",
        "shipping_",
        "delivery_",
        "ship_to_",
        "recipient_",
        "",
        "address.",
        "customer.address.",
        "customer.",
        "customer_",
    ),
}
# A place holds the customer or the address if one of these is found there.
_TELLING = {
    "customer": ("name", "first_name", "last_name", "email", "phone"),
    "shipping_address": ("street", "postal_code", "city"),
}
_REQUIRED = ("street", "postal_code", "city", "country")  # and a name, which may be lent or put together
_NAME_PARTS = ("first_name", "infix", "last_name")
_PERSON = (*_NAME_PARTS, "name", "company", "phone", "email")  # may be one object further out than the street
_ENVELOPES = ("order", "orders", "data", "payload", "body", "object")
_CANCELLED = ("cancelled", "canceled", "cancel", "cancelation", "cancellation", "geannuleerd", "storniert")
_NOT_OF_A_PRODUCT = ("id", "name", "title", "description")  # in a flat order: of the order or a person

FIELDS = (*TABLE, "shipping_address", "lines")
"""Every field that a mapping may name; the last two stand for the whole object and the whole list."""

# What a document may cost. Whatever 1 MiB of it holds: seconds and some dozens of MiB, and an answer of some KiB.
MAX_DEPTH = 32  # lists and objects in each other
MAX_VALUES = 50_000  # fields and elements, and empty objects and lists once more; 1,000 lines of 20 fields are 21,000
MAX_KEY = 255  # characters of a name
MAX_LINES = 1000
MAX_FAULTS = 100  # that are told one by one
MAX_POINTER = 500  # characters, as are those below
MAX_DETAIL = 500  # of a fault
MAX_QUOTE = 40  # of a value in a fault
MAX_NUMBER = 100  # digits
MAX_MARKS = 30  # combining ones in a row, as in the Stream-Safe Text Format of UAX #15
MAX_TEXT = 255
MAX_REFERENCE = 64
MAX_NOTE = 10_000
MAX_QUANTITY = 100_000
MAX_PRICE = 10**9
_PRICE_DIGITS = Decimal("0.000001")
_YEARS = range(2000, 2101)


# -- What comes out


@dataclass(frozen=True)
class Fault:
    """One thing wrong with an order.

    `pointer` is the RFC 6901 pointer of the value at fault in the document that was pushed, or of the object
    in which a value is missing; "" is the whole document. One of more than `MAX_POINTER` characters is cut after a
    step, and ends in "/…". `field` is our name of it ("lines[0].sku"), or "".
    """

    pointer: str
    detail: str
    field: str = field(default="", compare=False)


class PayloadError(ValueError):
    """The document is no order that can be read; `faults` lists what is wrong, at most `MAX_FAULTS`; `more` is how
    many it does not list."""

    def __init__(self, faults, more=0):
        self.faults = list(faults)
        self.more = more
        super().__init__("; ".join(fault.detail for fault in self.faults))


class JsonError(ValueError):
    """The body is not JSON, or not JSON that can be read and kept; the message is what "it" is."""


@dataclass(frozen=True)
class Address:
    """A delivery address. All text, "" where absent; `country` is an ISO 3166-1 alpha-2 code."""

    name: str = ""
    company: str = ""
    street: str = ""
    house_number: str = ""
    house_number_addition: str = ""
    street2: str = ""
    postal_code: str = ""
    city: str = ""
    state: str = ""
    country: str = ""
    phone: str = ""
    email: str = ""

    @property
    def street_line(self):
        """The street with its number: the same for the joined and split spellings of one address."""
        return street_line(self.street, self.house_number, self.house_number_addition, self.country)


@dataclass(frozen=True)
class Line:
    """One line. `quantity` is in whole pieces, `price` for one piece without VAT (None: not told)."""

    line_id: str = ""
    sku: str = ""
    ean: str = ""
    name: str = ""
    quantity: int = 0
    price: Decimal | None = None
    pointer: str = field(default="", compare=False)
    pointers: dict[str, str] = field(default_factory=dict, compare=False)


@dataclass(frozen=True)
class Order:
    """One order. `created_at` is naive UTC; `status` is "", "cancelled" or the word sent, in lower case.

    `pointers` tells where each field was found, and takes no part in comparing; so it is in a line.
    """

    order_id: str = ""
    created_at: datetime | None = None
    requested_date: date | None = None
    currency: str = ""
    status: str = ""
    note: str = ""
    customer_name: str = ""
    customer_email: str = ""
    customer_phone: str = ""
    shipping_address: Address | None = None
    lines: tuple[Line, ...] = ()
    pointers: dict[str, str] = field(default_factory=dict, compare=False)


class Row(NamedTuple):
    """One field as `explain` shows it; `pointer`, `value` and `fault` are "" where there is none."""

    field: str
    pointer: str
    value: str
    fault: str


def read_order(document, **options):
    """Read one order.

    :param document: parsed JSON, best of `parse_json`, which keeps the digits of prices
    :param timezone: IANA name or tzinfo of times without an offset (default "Europe/Amsterdam")
    :param dict mapping: {one of `FIELDS`: path in the document, or a list of paths to try}. A path has dots
        ("data.ship.zip", "data.items[].code") and starts at the document or at the order in its envelope; for
        a field of a line without "[]", at the line. A mapped field is read from its paths only.
    :param str reference: the reference that the caller knows (from the URL); the document may leave it out,
        but not contradict it
    :param bool require_reference: refuse an order without a reference; a cancellation always needs one
    :param int max_lines: refuse an order of more lines
    :rtype: Order
    :raise PayloadError: with every fault found
    """
    reader = _Reader(document, **options)
    order = reader.read()
    if reader.faults:
        raise PayloadError(reader.faults, reader.more)
    return order


def read_reference(document, **options):
    """Read the reference of one order alone, with the parameters of `read_order`, be the rest as wrong as it may.

    :return: the reference, or "" where none can be read
    """
    reader = _Reader(document, **options)
    return reader.read_reference_alone()


def explain(document, **options):
    """Read one order as `read_order` does, with the same parameters, and tell field by field what came of it.

    Never raises for a document. A fault that belongs to no field is a row whose `field` is "". A value is cut at
    `MAX_NOTE` characters.

    :rtype: list[Row]
    """
    reader = _Reader(document, **options)
    reader.read()
    faults = {fault.field: fault.detail for fault in reader.faults}
    rows = [
        Row(label, _pointer(node), "" if value is None else cut(str(value), MAX_NOTE), faults.get(label, ""))
        for label, (node, value) in reader.seen.items()
        if node or label in faults or label.rpartition(".")[2] not in _NAME_PARTS
    ]
    rows += [
        Row(fault.field, fault.pointer, "", fault.detail) for fault in reader.faults if fault.field not in reader.seen
    ]
    return rows + [Row("", "", "", more_faults(reader.more))] * bool(reader.more)


def more_faults(number):
    """Return the words at the end of a list of faults that does not hold all of them."""
    return f"… and {number:,} more fault{'s' * (number != 1)}"


def cut(text, limit):
    """Return a text of at most `limit` characters, which ends in "…" where it was longer."""
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


# -- JSON


_STRUCTURE = re.compile(r'"[^"]*"?|[\[\]{},]')  # of text without escapes: a repeated group would cost memory
_NOT_STORABLE = re.compile("[\0\ud800-\udfff]")  # PostgreSQL takes no NUL, UTF-8 no half of a surrogate pair


def parse_json(body, max_depth=MAX_DEPTH):
    """Parse a body more strictly than `json.loads`: numbers keep their digits, what is ambiguous or takes much memory
    is refused.

    :param bytes body: UTF-8, with or without a byte order mark
    :param int max_depth: how deep lists and objects may nest
    :return: dict, list, str, int, decimal.Decimal, bool or None
    :raise JsonError: for anything else, and for NaN and Infinity, numbers out of range, a key given twice in
        one object or of more than `MAX_KEY` characters, more than `MAX_VALUES` values, NUL characters and lone
        surrogates
    """
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise JsonError(f"it is not UTF-8 (byte {error.start})") from None
    if not text or text.isspace():
        raise JsonError("it is empty")
    _check_structure(text, max_depth)
    try:
        document = json.loads(
            text,
            parse_float=_json_number,
            parse_int=_json_number,
            parse_constant=_json_constant,
            object_pairs_hook=_json_object,
        )
    except json.JSONDecodeError as error:
        raise JsonError(str(error)) from None
    if "\\u" in text:  # the parser refuses raw NULs and surrogates, and lets escaped ones pass
        _check_storable(document)
    return document


def _check_structure(text, max_depth):
    """Count brackets and commas outside strings before parsing: the parser itself would run out of stack, and make
    what takes 100 times the memory of the text."""
    text = text.replace("\\\\", "").replace('\\"', "")  # what is left of quotes begins or ends a string
    depth = values = 0
    for match in _STRUCTURE.finditer(text):
        sign = text[match.start()]
        if sign in "[{,":
            values += 1
            if values > MAX_VALUES:
                raise JsonError(f"it holds more than {MAX_VALUES:,} values")
        if sign in "[{":
            depth += 1
            if depth > max_depth:
                raise JsonError(f"it is nested deeper than {max_depth} levels")
        elif sign in "]}":
            depth -= 1


def _json_number(text):
    """Return an int or Decimal; refuse what no order can mean and what takes long to compute with."""
    try:
        number = Decimal(text if len(text) <= MAX_NUMBER else "NaN")
    except InvalidOperation:
        number = Decimal("NaN")
    if not _is_sane(number):
        raise JsonError(f"it holds a number out of range: {text[:20]}…")
    return int(text) if text.lstrip("-").isdigit() else number


def _is_sane(number):
    return number.is_finite() and -MAX_NUMBER < number.adjusted() < MAX_NUMBER


def _json_constant(text):
    raise JsonError(f"it holds {text}, which is no number")


def _json_object(pairs):
    result = dict(pairs)
    if len(result) < len(pairs):
        seen = set()
        twice = next(key for key, _value in pairs if key in seen or seen.add(key))
        raise JsonError(f"it holds the key {_quote(twice)} twice in one object")
    for key in result:
        if len(key) > MAX_KEY:
            raise JsonError(f"it holds a key of more than {MAX_KEY} characters: {_quote(key)}")
    return result


def _check_storable(document):
    """Raise where a key or text of the document cannot be stored."""
    todo = [_Node(document)]
    while todo:
        node = todo.pop()
        texts = node.value if isinstance(node.value, dict) else [node.value]
        if any(isinstance(text, str) and _NOT_STORABLE.search(text) for text in texts):
            raise JsonError(f"it holds a NUL character or half a surrogate pair at {_quote(node.pointer)}")
        todo.extend(node.children())


# -- Walking the document


def _name(key):
    """Return a key as names are compared: without case, `_`, `-` and spaces."""
    return re.sub(r"[\s_-]", "", str(key)).casefold()


@lru_cache(maxsize=2048)
def _steps(path):
    """Return the steps of a dotted path, each as it is written and as names are compared."""
    return tuple((step, _name(step)) for step in path.split(".") if step)


class _Node(NamedTuple):
    """A value of the document, and where it is: its pointer is made when it is told, as most are not."""

    value: Any
    parent: "_Node | None" = None
    key: Any = None

    def child(self, key):
        return _Node(self.value[key], self, key)

    @property
    def pointer(self):
        """The RFC 6901 pointer; of one that is longer than `MAX_POINTER` the steps that fit, and "/…"."""
        steps, node = [], self
        while node.parent is not None:
            steps.append(node.key)
            node = node.parent
        pointer = ""
        for key in reversed(steps):
            step = str(key).replace("~", "~0").replace("/", "~1")
            if len(pointer) + len(f"/{step}") > MAX_POINTER:
                return f"{pointer}/…"
            pointer += f"/{step}"
        return pointer

    def children(self):
        keys = range(len(self.value)) if isinstance(self.value, list) else self.value
        return [self.child(key) for key in keys] if self.is_container else []

    @property
    def is_container(self):
        return isinstance(self.value, dict | list)

    @property
    def is_blank(self):
        """Whether this counts as absent; so does an empty list, which is how PHP writes an empty object."""
        if isinstance(self.value, str):
            return not self.value or self.value.isspace()
        return self.value is None or (self.is_container and not self.value)


def _pointer(node):
    return "" if node is None else node.pointer


# -- Reading values. Each function takes the value (numbers as Decimal) and the reader, and raises _Refused


class _Refused(Exception):
    """A value cannot be read; the message completes the sentence that begins with the name of the field."""


def _quote(value):
    text = str(value)
    return f'"{text[:MAX_QUOTE]}…"' if len(text) > MAX_QUOTE else f'"{text}"'


def _kind(value):
    if isinstance(value, bool):
        return "true or false"
    kinds = ((str, "text"), (int | float | Decimal, "a number"), (dict, "an object"), (list, "a list"))
    return next((word for kind, word in kinds if isinstance(value, kind)), type(value).__name__)


def _decimal(number):
    """Return a number as a Decimal without exponent, at most `MAX_NUMBER` digits before the point."""
    if isinstance(number, int):
        number = Decimal(number if abs(number) < 10**MAX_NUMBER else "NaN")
    elif isinstance(number, float):
        number = Decimal(repr(number))
    if not _is_sane(number):
        raise _Refused("is a number out of range")
    return Decimal(f"{number:f}")


def _clean(value, limit=MAX_TEXT, keep_newlines=False):
    """Return text, or a number as text, with composed characters, single spaces and no control characters."""
    if isinstance(value, Decimal):
        value = str(int(value) if value == int(value) else value)
    if not isinstance(value, str):
        raise _Refused(f"must be text, not {_kind(value)}")
    if _NOT_STORABLE.search(value.replace("\0", "")):
        raise _Refused("holds half a surrogate pair")
    kept = "".join(char for char in value[: 10 * limit] if char.isspace() or unicodedata.category(char) != "Cc")
    if _is_stacked(kept):
        raise _Refused(f"holds more than {MAX_MARKS} combining marks in a row")
    lines = kept.splitlines() if keep_newlines else [kept]
    text = unicodedata.normalize("NFC", "\n".join(" ".join(line.split()) for line in lines).strip())
    if len(text) > limit or len(value) > 10 * limit:
        raise _Refused(f"is longer than {limit} characters")
    return text


def _is_stacked(text):
    """Tell whether so many combining marks follow each other that sorting them would take long: the time to normalize
    them grows with the square of their number."""
    in_a_row = 0
    for char in "" if text.isascii() else text:
        in_a_row = in_a_row + 1 if unicodedata.combining(char) else 0
        if in_a_row > MAX_MARKS:
            return True
    return False


def _read_text(value, _reader):
    return _clean(value)


def _read_reference(value, _reader):
    return _clean(value, MAX_REFERENCE)


def _read_note(value, _reader):
    return _clean(value, MAX_NOTE, keep_newlines=True)


def _read_status(value, _reader):
    word = _clean(value).lower()
    return "cancelled" if word in _CANCELLED else word


def _read_currency(value, _reader):
    code = _clean(value).upper()
    if not re.fullmatch("[A-Z]{3}", code):
        raise _Refused(f"must be a currency code of three letters, not {_quote(code)}")
    return code


def _read_country(value, _reader):
    text = _clean(value)
    code = country_code(text)
    if not code:
        raise _Refused(f"must be an ISO 3166 code or the name of a country, not {_quote(text)}")
    return code


def _read_postal_code(value, _reader):
    text = _clean(value)
    dutch = re.fullmatch("([0-9]{4}) ?([A-Za-z]{2})", text)  # only the Dutch code looks like this
    return f"{dutch[1]} {dutch[2].upper()}" if dutch else text


def _read_quantity(value, _reader):
    """Whole pieces. Of text with three decimals nobody knows whether it means two or two thousand."""
    expected = f"must be a whole number of pieces from 1 to {MAX_QUANTITY}, not "
    if isinstance(value, str):
        text = value.strip()
        if not re.fullmatch("-?[0-9]{1,20}([.,][0-9]{1,2})?", text):
            raise _Refused(expected + _quote(text))
        value = Decimal(text.replace(",", "."))
    if not isinstance(value, Decimal):
        raise _Refused(expected + _kind(value))
    if value != int(value) or not 0 < value <= MAX_QUANTITY:
        raise _Refused(expected + _quote(value))
    return int(value)


_PRICES = [
    re.compile(form)
    for form in (
        r"[0-9]+(?P<decimals>[.,][0-9]+)?",
        r"[0-9]{1,3}(\.[0-9]{3})+(?P<decimals>,[0-9]+)?",
        r"[0-9]{1,3}(,[0-9]{3})+(?P<decimals>\.[0-9]+)?",
        r"[0-9]{1,3}([ '’][0-9]{3})+(?P<decimals>[.,][0-9]+)?",
    )
]


def _read_price(value, _reader):
    """Keeps six decimals; a division by 1.21 has more."""
    if isinstance(value, str):
        value = _price_of_text(value)
    if not isinstance(value, Decimal):
        raise _Refused(f"must be a number, not {_kind(value)}")
    if value < 0:
        raise _Refused("must not be negative")
    if value >= MAX_PRICE:
        raise _Refused(f"must be below {MAX_PRICE}")
    return abs(value.quantize(_PRICE_DIGITS, ROUND_HALF_UP) if value.as_tuple().exponent < -6 else value)


def _price_of_text(value):
    """Return the number that a price in text means; the only currency that may be named in it is the euro."""
    text = " ".join(value.split()) if len(value) < 100 else ""
    text = re.sub(r"^(€|EUR)\s*|\s*(€|EUR)$", "", text, flags=re.IGNORECASE)
    sign, text = ("-", text[1:].strip()) if text.startswith("-") else ("", text)
    if re.fullmatch("[1-9][0-9]{0,2}[.,][0-9]{3}", text):
        raise _Refused(f"is ambiguous: {_quote(text)} has a decimal or a thousands separator; send a number")
    match = next(filter(None, (form.fullmatch(text) for form in _PRICES)), None)
    if not match:
        raise _Refused(f"must be a number, not {_quote(value)}")
    decimals = match["decimals"] or ""
    whole = re.sub("[^0-9]", "", text[: len(text) - len(decimals)])
    return Decimal(f"{sign}{whole}.{decimals[1:] or 0}")


_ISO = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})(?:[Tt ]([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:[.,][0-9]+)?)?"
    r" ?(?:([Zz])|([+-])([0-9]{2})(?::?([0-9]{2}))?)?)?"
)


def _zoned(value, reader):
    """Return an aware datetime of ISO 8601 text, or of the seconds or milliseconds since 1970."""
    told = _quote(value) if isinstance(value, str | Decimal) else _kind(value)
    refused = _Refused(f"must be a date and time in ISO 8601 or the seconds since 1970, not {told}")
    text = value.strip() if isinstance(value, str) else ""
    iso = _ISO.fullmatch(text)
    try:
        if iso:
            result = datetime(*(int(part or 0) for part in iso.groups()[:6]), tzinfo=_offset(iso, reader))
        elif isinstance(value, Decimal) or re.fullmatch("[0-9]{10}|[0-9]{13}", text):
            seconds = Decimal(value)
            seconds = seconds / 1000 if seconds >= 10**11 else seconds  # as seconds: the year 5138
            result = datetime(1970, 1, 1, tzinfo=fixed_zone.utc) + timedelta(seconds=int(seconds))
        else:
            raise refused
    except (ValueError, OverflowError):
        raise refused from None
    if result.year not in _YEARS:
        raise refused
    return result


def _offset(iso, reader):
    """Return the time zone that a match of `_ISO` names, or else the reader's."""
    if iso[7]:
        return fixed_zone.utc
    if iso[8]:
        minutes = int(iso[9]) * 60 + int(iso[10] or 0)
        return fixed_zone(timedelta(minutes=-minutes if iso[8] == "-" else minutes))
    return reader.zone()


def _read_moment(value, reader):
    return _zoned(value, reader).astimezone(fixed_zone.utc).replace(tzinfo=None)


def _read_day(value, reader):
    return _zoned(value, reader).astimezone(reader.zone()).date()


_PARSERS = {
    "text": _read_text,
    "reference": _read_reference,
    "note": _read_note,
    "status": _read_status,
    "currency": _read_currency,
    "country": _read_country,
    "postal_code": _read_postal_code,
    "quantity": _read_quantity,
    "price": _read_price,
    "moment": _read_moment,
    "day": _read_day,
}


# -- Reading the order


class _Reader:
    """Reads one document; gathers `faults`, and in `seen` what was found: {field: (node, value)}."""

    def __init__(
        self,
        document,
        *,
        timezone="Europe/Amsterdam",
        mapping=None,
        reference=None,
        require_reference=True,
        max_lines=MAX_LINES,
    ):
        self.root = self.order = _Node(document)
        self.timezone = timezone
        self.reference = reference
        self.require_reference = require_reference
        self.max_lines = max_lines
        self.faults = []
        self.more = 0  # faults that are not in the list
        self.at_fault = set()  # all fields with a fault
        self.seen = {}
        self._keys = {}
        self.mapping = {
            ours: [paths] if isinstance(paths, str) else list(paths) for ours, paths in (mapping or {}).items() if paths
        }
        for ours in sorted(self.mapping.keys() - set(FIELDS)):
            self.fault(self.root, f"The mapping names an unknown field: {ours}.")

    def zone(self):
        """Return the zone of times without an offset; looked up only when such a time is met."""
        if isinstance(self.timezone, tzinfo):
            return self.timezone
        try:
            return ZoneInfo(self.timezone)
        except (ValueError, OSError, LookupError):
            raise _Refused(f"has no offset, and the zone {_quote(self.timezone)} is unknown here") from None

    def fault(self, node, detail, label=""):
        self.at_fault.add(label)
        if len(self.faults) < MAX_FAULTS:
            detail = cut(f"{label} {detail}" if label else detail, MAX_DETAIL)
            self.faults.append(Fault(node.pointer, detail, label))
        else:
            self.more += 1

    def has_fault(self, *labels):
        return not self.at_fault.isdisjoint(labels)

    # -- finding values

    def walk(self, node, path):
        """Return the node that a dotted path leads to, or None; of several spellings of a name the first."""
        for step, name in _steps(path):
            value, key = node.value, None
            if isinstance(value, dict):
                if id(value) not in self._keys:
                    self._keys[id(value)] = {_name(key): key for key in reversed(value)}
                key = step if step in value else self._keys[id(value)].get(name)
            elif isinstance(value, list) and re.fullmatch("[0-9]{1,4}", step) and int(step) < len(value):
                key = int(step)
            if key is None:
                return None
            node = node.child(key)
        return node

    def find(self, candidates):
        """Return the first node that holds a plain value, else the first list or object, else None."""
        found = [node for node in candidates if node and not node.is_blank]
        return next((node for node in found if not node.is_container), found[0] if found else None)

    def named(self, ours, base, prefix="", skip=()):
        """Return the node of a field by the names in the table, or None.

        :param prefix: what the names begin with in `base`
        :param skip: names that do not count here
        """
        names = TABLE[ours][1].split()
        return self.find(self.walk(base, prefix + name) for name in names if name not in skip)

    def mapped(self, ours, order=None):
        """Return the nodes that the mapping names for a field, from the document and from the order in it."""
        return [
            self.walk(base, path.replace("[]", ""))
            for path in self.mapping.get(ours, ())
            for base in (self.root, order or self.order)
        ]

    # -- reading one value

    def take(self, ours, node, base, label="", required=False):
        """Read the value of a field at `node`; None where it is absent.

        Notes a fault at `node` if it cannot be read, and at `base` if it is required and absent.
        """
        label = label or ours
        if node is not None:
            self.seen[label] = (node, node.value if isinstance(node.value, str | bool) else None)
            try:
                is_number = isinstance(node.value, int | float | Decimal) and not isinstance(node.value, bool)
                value = _decimal(node.value) if is_number else node.value
                value = _PARSERS[TABLE[ours][0]](value, self)
            except _Refused as refused:
                self.fault(node, str(refused), label)
                return None
            if value != "":  # which is what is left of control characters
                self.seen[label] = (node, value)
                return value
        self.seen[label] = (None, None)
        if required:
            paths = self.mapping.get(ours)
            hint = f"mapped to {', '.join(paths)}" if paths else f"tried {_some(TABLE[ours][1].split())}"
            self.fault(base, f"is missing ({hint})", label)
        return None

    def field(self, ours, scopes, required=False):
        """Read one field in the first of the (base, prefix) scopes that has it."""
        found = self.mapped(ours) if ours in self.mapping else [self.named(ours, *scope) for scope in scopes]
        return self.take(ours, self.find(found), scopes[0][0], required=required)

    # -- the order

    def read(self):
        """Read the order; what it returns counts only while there are no faults."""
        order = self.find_order()
        if order is None:
            return None
        self.order = order
        top = [(order, "")]
        values = {"order_id": self.read_reference(), "status": self.field("status", top) or ""}
        cancelled = values["status"] == "cancelled"
        missing = not values["order_id"] and not self.has_fault("order_id")
        if missing and (self.require_reference or cancelled):
            self.take("order_id", None, order, required=True)
        if not cancelled:  # of which nothing else matters, be it wrong
            values |= {ours: self.field(ours, top) for ours in ("created_at", "requested_date")}
            values |= {ours: self.field(ours, top) or "" for ours in ("currency", "note")}
            values |= self.read_people() | {"lines": self.read_lines()}
        return Order(
            **values,
            pointers={label: node.pointer for label, (node, _value) in self.seen.items() if node and "[" not in label},
        )

    def read_reference(self):
        """Return the reference of the document, or the one that the caller knows; they may not differ."""
        order_id = self.field("order_id", [(self.order, "")]) or ""
        try:
            known = _read_reference(self.reference or "", self)
        except _Refused as refused:
            self.fault(self.root, f"in the URL {refused}", "order_id")
            return order_id
        if order_id and known and order_id != known:
            self.fault(
                self.seen["order_id"][0],
                f"is {_quote(order_id)}, but the URL names {_quote(known)}",
                "order_id",
            )
        return known or order_id

    def read_reference_alone(self):
        order = self.find_order()
        if order is None:
            return ""
        self.order = order
        order_id = self.read_reference()
        return "" if self.has_fault("order_id") else order_id

    # -- its envelope

    def find_order(self):
        """Return the node of the order without its envelopes, or None where there is none or several."""
        best, best_score, level, several = self.root, 0, [self.root], None
        for _depth in range(5):
            for node in level:
                score = self.score(node)
                if score and score >= best_score:  # of equals the inner: an envelope is there to wrap
                    best, best_score = node, score
                if several is None and isinstance(node.value, list) and len(node.value) != 1:
                    several = node
            level = [child for node in level for child in self.wrapped(node)][:20]
        if not best_score:
            if several:
                self.fault(several, f"The document must hold one order, not {len(several.value)}.")
                return None
            if isinstance(best.value, list):
                best = best.child(0)
            if not isinstance(best.value, dict):
                self.fault(best, f"The document must be an object, one order, not {_kind(best.value)}.")
                return None
        return best

    def wrapped(self, node):
        """Return the nodes in which `node`, being an envelope, may hold the order."""
        if isinstance(node.value, list):
            return node.children() if len(node.value) == 1 else []
        return (
            [
                child
                for child in (node.child(key) for key in node.value if _name(key) in _ENVELOPES)
                if child.is_container
            ]
            if isinstance(node.value, dict)
            else []
        )

    def score(self, node):
        """Return how much an object looks like an order; 0 for anything else."""
        if not isinstance(node.value, dict):
            return 0
        sure = any(self.mapped("order_id", node)) or self.named("order_id", node, skip=("id", "number"))
        return (
            4 * bool(self.line_list(node) or self.is_flat(node))
            + 4 * bool(self.place("shipping_address", node))
            + (2 if sure else bool(self.named("order_id", node)))
            + bool(self.named("status", node))
        )

    # -- its people

    def place(self, group, order):
        """Return the (base, prefix) scopes where the customer or address is, and around it; or None."""
        for place in _PLACES[group]:
            path, _dot, prefix = place.rpartition(".")
            inner = self.walk(order, path)
            if inner is None or not isinstance(inner.value, dict):
                continue
            found = (self.named(f"{group}.{key}", inner, prefix) for key in _TELLING[group])
            if any(node and not node.is_container for node in found):
                outer = [(self.walk(order, path.rpartition(".")[0]), "")] if "." in path else []
                return [(inner, prefix), *outer]
        return None

    def scopes(self, group):
        """Return the (base, prefix) scopes in which the fields of the customer or address are sought."""
        nowhere = self.order._replace(value={})
        if group in self.mapping:
            found = (node for node in self.mapped(group) if node and isinstance(node.value, dict))
            return [(next(found, nowhere), "")]
        found = self.place(group, self.order)
        if found:
            return found
        # Nothing tells where it is. An object by one of the names is where things are missing then.
        blocks = (self.walk(self.order, place) for place in _PLACES[group] if place.endswith("."))
        return [(next((node for node in blocks if node and isinstance(node.value, dict)), nowhere), "")]

    def read_people(self):
        """Read the customer and the address; each lends the other the name, e-mail and phone it lacks."""
        customer = self.read_group("customer", ("name", "email", "phone"), more=[(self.order, "")])
        address = self.read_group("shipping_address", Address.__dataclass_fields__)
        for key in customer:
            pair = ((address, f"shipping_address.{key}"), (customer, f"customer.{key}"))
            for (poor, ours), (rich, theirs) in (pair, pair[::-1]):
                if not poor[key] and rich[key] and not self.has_fault(ours):
                    poor[key], self.seen[ours] = rich[key], self.seen[theirs]
        address["name"] = address["name"] or address["company"]
        names = [f"{group}.{key}" for group in _PLACES for key in ("name", *_NAME_PARTS)]
        if not address["name"] and not self.has_fault(*names):
            self.take("shipping_address.name", None, self.scopes("shipping_address")[0][0], required=True)
        return {**{f"customer_{key}": value for key, value in customer.items()}, "shipping_address": Address(**address)}

    def read_group(self, group, keys, more=()):
        """Return {key: text} of the customer or address; a name in parts is joined.

        :param more: scopes in which e-mail and phone are sought besides
        """
        scopes = self.scopes(group)

        def read(key):
            tried = [*(scopes if key in _PERSON else scopes[:1]), *(more if key in ("email", "phone") else ())]
            return self.field(f"{group}.{key}", tried, required=key in _REQUIRED) or ""

        values = {key: read(key) for key in keys}
        parts = {key: text for key in _NAME_PARTS if (text := read(key))}
        if parts and not values["name"]:
            values["name"] = " ".join(parts.values())
            self.seen[f"{group}.name"] = (self.seen[f"{group}.{next(iter(parts))}"][0], values["name"])
        return values

    # -- its lines

    def line_list(self, order):
        """Return the node of the list of lines, or of the one line given as an object, or None."""
        lists = {
            path.partition("[]")[0] for ours in _LINE_FIELDS for path in self.mapping.get(ours, ()) if "[]" in path
        }
        if "lines" in self.mapping:
            found = self.mapped("lines", order)
        elif lists:
            found = [self.walk(base, path) for path in sorted(lists) for base in (self.root, order)]
        else:
            single = (self.walk(order, name) for name in _ONE_PRODUCT)
            found = [
                *(self.walk(order, name) for name in _LINES),
                *(
                    node
                    for node in single
                    if node and (isinstance(node.value, list) or self.named("lines[].quantity", node))
                ),
            ]
        return next((node for node in found if node and node.is_container), None)

    def is_flat(self, order):
        """Tell whether the order itself names a product."""
        return any(self.line_node(ours, order, flat=True) for ours in ("lines[].sku", "lines[].ean"))

    def line_node(self, ours, line, flat=False):
        """Return the node of a field of a line, or None.

        :param flat: whether the line is the order itself
        """
        if ours in self.mapping:
            bases = (line, self.root) if flat else (line,)
            return self.find(self.walk(base, path.rpartition("[]")[2]) for path in self.mapping[ours] for base in bases)
        return self.named(ours, line, skip=_NOT_OF_A_PRODUCT if flat else ())

    def read_lines(self):
        """Return the lines as a tuple; an order that names a product itself is its only line."""
        node = self.line_list(self.order)
        if node is None:
            if self.is_flat(self.order):
                return (self.read_line(0, self.order, flat=True),)
            wrong = self.find(self.walk(self.order, name) for name in _LINES)
            self.fault(
                wrong or self.order,
                f"must be a list of lines, not {_kind(wrong.value)}"
                if wrong
                else f"is missing (tried {_some(_LINES)})",
                "lines",
            )
            return ()
        if isinstance(node.value, dict):
            return (self.read_line(0, node),)
        if not 0 < len(node.value) <= self.max_lines:
            self.fault(node, f"must hold 1 to {self.max_lines} lines, not {len(node.value)}", "lines")
            return ()
        return tuple(self.read_line(index, line) for index, line in enumerate(node.children()))

    def read_line(self, index, node, flat=False):
        """Return one line, with whatever could be read of it."""
        label = f"lines[{index}]"
        if not isinstance(node.value, dict):
            self.fault(node, f"must be an object, not {_kind(node.value)}", label)
            return Line(pointer=node.pointer)
        values, pointers = {}, {}
        for ours in _LINE_FIELDS:
            key = ours.removeprefix("lines[].")
            value = self.take(
                ours, self.line_node(ours, node, flat), node, f"{label}.{key}", required=key == "quantity"
            )
            if value is not None:
                values[key], pointers[key] = value, self.seen[f"{label}.{key}"][0].pointer
        if not {"sku", "ean"} & values.keys() and not self.has_fault(f"{label}.sku", f"{label}.ean"):
            self.fault(node, "is missing, and so is an ean", f"{label}.sku")
        return Line(**values, pointer=node.pointer, pointers=pointers)


def _some(names):
    return ", ".join([*names[:4], "…"])
