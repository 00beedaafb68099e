"""Finds the order in a document, and its fields in the order."""

import re
from dataclasses import replace
from datetime import tzinfo
from decimal import Decimal
from zoneinfo import ZoneInfo

from .limits import MAX_DETAIL, MAX_FAULTS, MAX_LINES, MAX_NOTE
from .names import (
    CANCELLED,
    CANCELLING,
    ENVELOPES,
    EVENTS,
    FIELDS,
    LINE_FIELDS,
    LINES,
    NAME_PARTS,
    NOT_OF_A_PRODUCT,
    ONE_PRODUCT,
    PERSON,
    PLACES,
    REQUIRED,
    TABLE,
    TELLING,
)
from .nodes import Node, plain_name, pointer_of, steps_of
from .order import Address, Fault, Line, Order, PayloadError, Row
from .values import PARSERS, Refused, read_reference_value, to_decimal
from .words import cut, kind_of, more_faults, quote, some_of


def _read_word(node):
    return " ".join(node.value.split()).lower()


def _means_cancelled(node):
    return isinstance(node.value, str) and any(stem in node.value.lower() for stem in CANCELLING)


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
    reader = Reader(document, **options)
    order = reader.read()
    if reader.faults:
        raise PayloadError(reader.faults, reader.more, order and reader.with_readable_lines(order))
    return order


def read_reference(document, **options):
    """Read the reference of one order alone, with the parameters of `read_order`, be the rest as wrong as it may.

    :return: the reference, or "" where none can be read
    """
    reader = Reader(document, **options)
    return reader.read_reference_alone()


def explain(document, **options):
    """Read one order as `read_order` does, with the same parameters, and tell field by field what came of it.

    Never raises for a document. A fault that belongs to no field is a row whose `field` is "". A value is cut at
    `MAX_NOTE` characters.

    :rtype: list[Row]
    """
    reader = Reader(document, **options)
    reader.read()
    faults = {fault.field: fault.detail for fault in reader.faults}
    rows = [
        Row(label, pointer_of(node), "" if value is None else cut(str(value), MAX_NOTE), faults.get(label, ""))
        for label, (node, value) in reader.seen.items()
        if node or label in faults or label.rpartition(".")[2] not in NAME_PARTS
    ]
    rows += [
        Row(fault.field, fault.pointer, "", fault.detail) for fault in reader.faults if fault.field not in reader.seen
    ]
    return rows + [Row("", "", "", more_faults(reader.more))] * bool(reader.more)


class Reader:
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
        self.root = self.order = Node(document)
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
            raise Refused(f"has no offset, and the zone {quote(self.timezone)} is unknown here") from None

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
        for step, name in steps_of(path):
            value, key = node.value, None
            if isinstance(value, dict):
                if id(value) not in self._keys:
                    self._keys[id(value)] = {plain_name(key): key for key in reversed(value)}
                key = step if step in value else self._keys[id(value)].get(name)
            elif isinstance(value, list) and re.fullmatch("[0-9]{1,4}", step) and int(step) < len(value):
                key = int(step)
            if key is None:
                return None
            node = node.child(key)
        return node

    def find(self, candidates, told=()):
        """Return the first node that holds a plain value, else the first list or object, else None.

        :param told: the nodes where a plain value must be: there an empty list or object is not absent, but wrong
        """
        found = [node for node in candidates if node and not node.is_blank]
        found += [node for node in told if node and node.is_container]
        return next((node for node in found if not node.is_container), found[0] if found else None)

    def named(self, ours, base, prefix="", skip=()):
        """Return the node of a field by the names in the table, or None.

        :param prefix: what the names begin with in `base`
        :param skip: names that do not count here
        """
        names = [name for name in TABLE[ours][1].split() if name not in skip]
        told = [name for name in names if name == ours.rpartition(".")[2]]  # another may mean something else
        return self.find(*([self.walk(base, prefix + name) for name in some] for some in (names, told)))

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
                value = to_decimal(node.value) if is_number else node.value
                value = PARSERS[TABLE[ours][0]](value, self)
            except Refused as refused:
                self.fault(node, str(refused), label)
                return None
            if value != "":  # which is what is left of control characters
                self.seen[label] = (node, value)
                return value
        self.seen[label] = (None, None)
        if required:
            paths = self.mapping.get(ours)
            hint = f"mapped to {', '.join(paths)}" if paths else f"tried {some_of(TABLE[ours][1].split())}"
            self.fault(base, f"is missing ({hint})", label)
        return None

    def field(self, ours, scopes, required=False):
        """Read one field in the first of the (base, prefix) scopes that has it."""
        found = self.mapped(ours) if ours in self.mapping else [self.named(ours, *scope) for scope in scopes]
        return self.take(ours, self.find(found, found), scopes[0][0], required=required)

    # -- the order

    def read(self):
        """Read the order; what it returns counts only while there are no faults."""
        order = self.find_order()
        if order is None:
            return None
        self.order = order
        top = [(order, "")]
        values = {"order_id": self.read_reference(), "status": self.read_status()}
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

    def read_status(self):
        """Return the status of the order, be it told in the order or around it.

        What may mean that the order is cancelled, but does not say so in a word that is known, is never taken for an
        order to deliver.
        """
        status = self.field("status", [(self.order, "")]) or ""
        node, doubtful = self.order, None
        while node is not None and status != "cancelled":
            told = self.named("status", node) if isinstance(node.value, dict) else None
            if told and isinstance(told.value, str) and _read_word(told) in CANCELLED:
                return "cancelled"
            words = [told, *self.events(node)]
            doubtful = doubtful or next((word for word in words if word and _means_cancelled(word)), None)
            node = node.parent
        if doubtful and status != "cancelled":
            text = quote(doubtful.value)
            self.fault(
                doubtful, f'{text} may mean that nothing is to be delivered: "cancelled" cancels an order', "status"
            )
        return status

    def events(self, node):
        """Return what an object may say of an event that it tells of."""
        if not isinstance(node.value, dict):
            return []
        return [node.child(key) for key in node.value if plain_name(key) in EVENTS]

    def read_reference(self):
        """Return the reference of the document, or the one that the caller knows; they may not differ."""
        wrong = None if "order_id" in self.mapping else self.walk(self.order, "order_id")
        if wrong and wrong.is_container:  # by another name would be a guess
            order_id = self.take("order_id", wrong, self.order) or ""
        else:
            order_id = self.field("order_id", [(self.order, "")]) or ""
        try:
            known = read_reference_value(self.reference or "", self)
        except Refused as refused:
            self.fault(self.root, f"in the URL {refused}", "order_id")
            return order_id
        if order_id and known and order_id != known:
            self.fault(
                self.seen["order_id"][0],
                f"is {quote(order_id)}, but the URL names {quote(known)}",
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
                self.fault(best, f"The document must be an object, one order, not {kind_of(best.value)}.")
                return None
        return best

    def wrapped(self, node):
        """Return the nodes in which `node`, being an envelope, may hold the order."""
        if isinstance(node.value, list):
            return node.children() if len(node.value) == 1 else []
        return (
            [
                child
                for child in (node.child(key) for key in node.value if plain_name(key) in ENVELOPES)
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
        for place in PLACES[group]:
            path, _dot, prefix = place.rpartition(".")
            inner = self.walk(order, path)
            if inner is None or not isinstance(inner.value, dict):
                continue
            found = (self.named(f"{group}.{key}", inner, prefix) for key in TELLING[group])
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
        blocks = (self.walk(self.order, place) for place in PLACES[group] if place.endswith("."))
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
        names = [f"{group}.{key}" for group in PLACES for key in ("name", *NAME_PARTS)]
        if not address["name"] and not self.has_fault(*names):
            self.take("shipping_address.name", None, self.scopes("shipping_address")[0][0], required=True)
        return {**{f"customer_{key}": value for key, value in customer.items()}, "shipping_address": Address(**address)}

    def read_group(self, group, keys, more=()):
        """Return {key: text} of the customer or address; a name in parts is joined.

        :param more: scopes in which e-mail and phone are sought besides
        """
        scopes = self.scopes(group)

        def read(key):
            tried = [*(scopes if key in PERSON else scopes[:1]), *(more if key in ("email", "phone") else ())]
            return self.field(f"{group}.{key}", tried, required=key in REQUIRED) or ""

        values = {key: read(key) for key in keys}
        parts = {key: text for key in NAME_PARTS if (text := read(key))}
        if parts and not values["name"]:
            values["name"] = " ".join(parts.values())
            self.seen[f"{group}.name"] = (self.seen[f"{group}.{next(iter(parts))}"][0], values["name"])
        return values

    # -- its lines

    def line_list(self, order):
        """Return the node of the list of lines, or of the one line given as an object, or None."""
        lists = {path.partition("[]")[0] for ours in LINE_FIELDS for path in self.mapping.get(ours, ()) if "[]" in path}
        if "lines" in self.mapping:
            found = self.mapped("lines", order)
        elif lists:
            found = [self.walk(base, path) for path in sorted(lists) for base in (self.root, order)]
        else:
            single = (self.walk(order, name) for name in ONE_PRODUCT)
            found = [
                *(self.walk(order, name) for name in LINES),
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
            found = [self.walk(base, path.rpartition("[]")[2]) for path in self.mapping[ours] for base in bases]
            return self.find(found, found)
        return self.named(ours, line, skip=NOT_OF_A_PRODUCT if flat else ())

    def read_lines(self):
        """Return the lines as a tuple; an order that names a product itself is its only line."""
        node = self.line_list(self.order)
        if node is None:
            if self.is_flat(self.order):
                return (self.read_line(0, self.order, flat=True),)
            wrong = self.find(self.walk(self.order, name) for name in LINES)
            self.fault(
                wrong or self.order,
                f"must be a list of lines, not {kind_of(wrong.value)}"
                if wrong
                else f"is missing (tried {some_of(LINES)})",
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
            self.fault(node, f"must be an object, not {kind_of(node.value)}", label)
            return Line(pointer=node.pointer)
        values, pointers, sent = {}, {}, {}
        for ours in LINE_FIELDS:
            key = ours.removeprefix("lines[].")
            value = self.take(
                ours, self.line_node(ours, node, flat), node, f"{label}.{key}", required=key == "quantity"
            )
            if value is not None:
                found = self.seen[f"{label}.{key}"][0]
                values[key], pointers[key] = value, found.pointer
                if key in ("sku", "ean") and value != found.value:
                    sent[key] = found.value
        if not {"sku", "ean"} & values.keys() and not self.has_fault(f"{label}.sku", f"{label}.ean"):
            self.fault(node, "is missing, and so is an ean", f"{label}.sku")
        return Line(**values, pointer=node.pointer, pointers=pointers, sent=sent)

    def with_readable_lines(self, order):
        """Return an order with faults without the lines that do not tell which product they mean."""
        lines = (
            line
            for index, line in enumerate(order.lines)
            if (line.sku or line.ean) and not self.has_fault(f"lines[{index}].sku")
        )
        return replace(order, lines=tuple(lines))
