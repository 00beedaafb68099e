"""Reads one pushed order, in the shapes that portals send, into plain values; or says all that is wrong.

iUsed does not publish the JSON of an order. So `names.TABLE` lists, for each field of ours, the names it goes by
elsewhere. Names are compared without case, `_`, `-` and spaces: `orderNumber`, `order_number` and `order-number` are
one name. What the table does not know, the caller maps. Some words:

- A *field* is ours: "order_id", "shipping_address.city", "lines[].sku"; `FIELDS` lists them.
- A *label* is a field as it is told, with the number of its line: "lines[0].sku".
- A *path* leads through a document by names, with dots: "order.number".
- A *node* is a value of the document that knows where it is, and its *pointer* tells that (RFC 6901): "/lines/0/sku".
- A *place* is a path, or the beginning of names, by which an object that holds a customer or an address is found:
  "delivery.address." or "ship_to_"; its end is the *prefix* of the names there.
- A *scope* is a node with such a prefix, in which a field is looked for.
- An *envelope* is an object, or a list of one, around the order.
- A *mapping* names the paths of a field; such a field is read from there only.
"""

from .limits import *  # noqa: F403 - they are few, and all are meant for others
from .names import FIELDS, TABLE
from .order import Address, Fault, JsonError, Line, Order, PayloadError, Row
from .reader import explain, read_order, read_reference
from .strict_json import parse_json
from .words import cut, more_faults

__all__ = [
    "FIELDS",
    "TABLE",
    "Address",
    "Fault",
    "JsonError",
    "Line",
    "Order",
    "PayloadError",
    "Row",
    "cut",
    "explain",
    "more_faults",
    "parse_json",
    "read_order",
    "read_reference",
]
