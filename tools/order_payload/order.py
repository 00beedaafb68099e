"""What comes out of reading: an order of plain values, or what is wrong."""

import hashlib
import json
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any, NamedTuple

from ..countries import street_line
from ..identifiers import ean_spellings


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
    many it does not list; `order` is what could be read, with the lines that tell their product, or None."""

    def __init__(self, faults, more=0, order=None):
        self.faults = list(faults)
        self.more = more
        self.order = order
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
    """One line. `quantity` is in whole pieces, `price` for one piece without VAT (None: not told).

    `sent` holds "sku" and "ean" as they were sent, text or number, where reading changed them.
    """

    line_id: str = ""
    sku: str = ""
    ean: str = ""
    name: str = ""
    quantity: int = 0
    price: Decimal | None = None
    pointer: str = field(default="", compare=False)
    pointers: dict[str, str] = field(default_factory=dict, compare=False)
    sent: dict[str, Any] = field(default_factory=dict, compare=False)

    @property
    def sku_spellings(self):
        """The SKUs that may be meant, in sets, the likeliest first: a product's own may hold what reading changes."""
        if not self.sku:
            return []
        sent = self.sent.get("sku", self.sku)
        return [{sent}, {self.sku}] if isinstance(sent, str) else [{self.sku}]

    @property
    def ean_spellings(self):
        """The EANs that may be meant, likewise. Of a number nobody knows how many zeros it had in front."""
        if not self.ean:
            return []
        sent = self.sent.get("ean", self.ean)
        every = ean_spellings(self.ean)
        return [{sent}, {self.ean}, every] if isinstance(sent, str) else [every]


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

    def lines_digest(self, currency):
        """Return what tells two sets of lines apart, in whatever order they come.

        :param str currency: meant where none was sent
        """
        lines = [
            [line.line_id, line.sku, line.ean, line.quantity, "" if line.price is None else str(line.price.normalize())]
            for line in self.lines
        ]
        return _digest([self.currency or currency, sorted(lines)])

    @property
    def address_digest(self):
        """What tells two addresses apart; one street joined and split is the same address."""
        address = self.shipping_address
        whole = replace(address, street=address.street_line, house_number="", house_number_addition="")
        return _digest(list(vars(whole).values()))


def _digest(values):
    return hashlib.sha256(json.dumps(values).encode()).hexdigest()


class Row(NamedTuple):
    """One field as `explain` shows it; `pointer`, `value` and `fault` are "" where there is none."""

    field: str
    pointer: str
    value: str
    fault: str
