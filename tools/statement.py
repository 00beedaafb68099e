"""Statements of a period: iUsed's own, as a table of any make, beside ours. Plain Python, without Odoo."""

import csv
import io
import re
import zipfile
from collections import defaultdict
from dataclasses import dataclass, field
from decimal import Decimal

LARGEST_FILE = 10 * 2**20  # bytes
LARGEST_UNPACKED = 100 * 2**20  # bytes of a workbook, which is packed
MOST_ROWS = 100_000
MOST_COLUMNS = 200
TOLERANCE = Decimal("0.005")  # of one piece: prices are told in cents

# What a column may be, and words that its heading may have.
COLUMNS = {
    "order": (
        "externalorder",
        "externalorderid",
        "supplierorder",
        "order",
        "bestel",
        "auftrag",
        "commande",
        "reference",
    ),
    "serial": ("imei", "serial", "serie", "identifier"),
    "sku": ("sku", "article", "artikel", "product", "articleno"),
    "quantity": ("quantity", "qty", "pieces", "aantal", "menge", "anzahl", "quantite"),
    "amount": ("amount", "price", "prijs", "bedrag", "preis", "betrag", "prix", "montant", "total"),
}


class StatementError(ValueError):
    """What keeps a file from being read: `large`, `many` rows, `empty`, `broken`, `column: ` or `number: ` and it."""


_NUMBERS = [
    re.compile(form)
    for form in (
        r"(?P<whole>[1-9][0-9]{0,2}(\.[0-9]{3})+)(,(?P<decimals>[0-9]+))?",
        r"(?P<whole>[1-9][0-9]{0,2}(,[0-9]{3})+)(\.(?P<decimals>[0-9]+))?",
        r"(?P<whole>[0-9]+)([.,](?P<decimals>[0-9]+))?",
    )
]


@dataclass(frozen=True)
class Entry:
    """A line of a statement.

    :ivar order: an order number, iUsed's or ours
    :ivar amount: of all pieces, excluding VAT; negative for what was credited
    :ivar row: its number in the file, from 1, as a spreadsheet counts; 0 for ours
    """

    order: str
    serial: str
    sku: str
    quantity: Decimal
    amount: Decimal
    row: int = 0


@dataclass
class Difference:
    """What the two statements do not agree on.

    :ivar kind: `theirs` or `ours` for what only one side has, `amount`, `quantity`
    :ivar ours: the amount, None where we have nothing; likewise `theirs`
    """

    kind: str
    order: str
    serial: str
    sku: str
    ours: Decimal | None
    theirs: Decimal | None
    rows: list = field(default_factory=list)


# Reading --------------------------------------------------------------------------------------------------------------


def read_table(content):
    """Return the rows of a CSV file or an Excel workbook (its first sheet), without the empty ones.

    :param bytes content: the file
    :return: (number of the row, list of texts), in a list; the first is the heading
    :raises StatementError: with what is wrong
    """
    if len(content) > LARGEST_FILE:
        raise StatementError("large")
    rows = _workbook_rows(content) if content.startswith(b"PK") else _csv_rows(content)
    table = []
    for number, row in enumerate(rows, 1):
        if number > MOST_ROWS:
            raise StatementError("many")
        texts = [_text_of(value) for value in row[:MOST_COLUMNS]]
        if any(texts):
            table.append((number, texts))
    if len(table) < 2:
        raise StatementError("empty")
    return table


def _text_of(value):
    if value is None:
        return ""
    if isinstance(value, float):
        # A whole one may be an IMEI. Six decimals leave no doubt what the point is.
        return str(int(value)) if value.is_integer() else f"{value:.6f}"
    return str(value).strip()


def _workbook_rows(content):
    import openpyxl

    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            if sum(each.file_size for each in archive.infolist()) > LARGEST_UNPACKED:
                raise StatementError("large")
        book = openpyxl.load_workbook(io.BytesIO(content), read_only=True, data_only=True)
        return list(book.worksheets[0].iter_rows(max_row=MOST_ROWS + 1, max_col=MOST_COLUMNS, values_only=True))
    except StatementError:
        raise
    except Exception as error:  # whatever a broken workbook makes the library raise
        raise StatementError("broken") from error


def _csv_rows(content):
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("cp1252", errors="replace")
    if "\0" in text:
        raise StatementError("broken")
    head = text.split("\n", 1)[0]
    delimiter = max(";\t,", key=head.count)
    return csv.reader(io.StringIO(text), delimiter=delimiter)


def guess_columns(headings):
    """Return which column may hold what: its heading, by a key of `COLUMNS`; only what is found.

    :param list headings: texts
    """
    found = {}
    for key, words in COLUMNS.items():
        for word in words:
            fitting = [each for each in headings if word in _plain(each) and each not in found.values()]
            if fitting:
                found[key] = fitting[0]
                break
    return found


def _plain(text):
    return re.sub(r"[^a-z0-9]", "", text.casefold())


def read_entries(table, columns):
    """Return the entries of a table, and the rows of it that are about no order.

    :param table: of `read_table`
    :param dict columns: headings by the keys of `COLUMNS`; `order` and `amount` must be there
    :return: a list of `Entry`, a list of numbers of rows
    :raises StatementError: for a column that is not there, and an amount that cannot be read
    """
    headings = table[0][1]
    places = {}
    for key, heading in columns.items():
        if heading and heading not in headings:
            raise StatementError(f"column: {heading}")
        if heading:
            places[key] = headings.index(heading)
    entries, others = [], []
    for number, texts in table[1:]:
        values = {key: texts[place] if place < len(texts) else "" for key, place in places.items()}
        if not values["order"]:
            others.append(number)
            continue
        quantity = read_number(values.get("quantity") or "1")
        amount = read_number(values["amount"])
        if quantity is None or amount is None:
            wrong = values["amount"] if amount is None else values["quantity"]
            raise StatementError(f"number: {wrong[:100]} (row {number})")
        entries.append(
            Entry(values["order"], values.get("serial", ""), values.get("sku", ""), quantity, amount, number)
        )
    return entries, others


def read_number(text):
    """Return the number that a text in any locale stands for, None where it is none: "1.234,50", "€ 1,234.50", "-3".

    The last of point and comma is the decimal one, unless there are more of it, or just three digits after it.
    """
    text = re.sub(r"[\s\u00a0\u202f'€$£]|EUR", "", text)
    sign = -1 if text.startswith(("-", "(", "\u2212")) or text.endswith("-") else 1
    text = text.strip("-\u2212()+")
    for form in _NUMBERS:
        if match := form.fullmatch(text):
            return sign * Decimal(f"{re.sub('[.,]', '', match['whole'])}.{match['decimals'] or 0}")
    return None


# Comparing ------------------------------------------------------------------------------------------------------------


def compare(ours, theirs, names):
    """Return what two statements do not agree on, in the order of the orders' numbers.

    Devices are compared by their serial numbers where both sides have them, else by SKU, else order by order. What one
    side has in several lines, a sale and its credit, say, is added up.

    :param ours: a list of `Entry`
    :param theirs: likewise
    :param dict names: our number of an order, by each number in small letters that it is known by
    :return: a list of `Difference`, and how many things agree
    """
    ours, theirs = ([_known(entry, names) for entry in entries] for entries in (ours, theirs))
    sums = (_add_up(ours, _keyed_by(theirs)), _add_up(theirs, _keyed_by(theirs)))
    differences, agreed = [], 0
    for key in sorted(sums[0].keys() | sums[1].keys()):
        mine, other = sums[0].get(key), sums[1].get(key)
        kind = _kind(mine, other)
        if not kind:
            agreed += 1
            continue
        first = (mine or other)["first"]
        differences.append(
            Difference(
                kind,
                first.order,
                key[1] and first.serial,
                first.sku,
                mine and mine["amount"],
                other and other["amount"],
                other["rows"] if other else [],
            )
        )
    return differences, agreed


def _known(entry, names):
    number = entry.order.strip()
    serial = re.sub(r"[\s-]", "", entry.serial)
    return Entry(
        names.get(number.casefold(), number), serial, entry.sku.strip(), entry.quantity, entry.amount, entry.row
    )


def _keyed_by(theirs):
    """Return how finely the other side tells its devices."""
    for name in ("serial", "sku"):
        if any(getattr(entry, name) for entry in theirs):
            return name
    return ""


def _add_up(entries, name):
    sums = {}
    groups = defaultdict(list)
    for entry in entries:
        groups[entry.order.casefold(), getattr(entry, name).casefold() if name else ""].append(entry)
    for key, some in groups.items():
        sums[key] = {
            "first": some[0],
            "amount": sum(entry.amount for entry in some),
            "quantity": sum(entry.quantity for entry in some if entry.amount > 0)
            - sum(abs(entry.quantity) for entry in some if entry.amount < 0),
            "rows": [entry.row for entry in some if entry.row],
        }
    return sums


def _kind(mine, other):
    """Return what differs between the sums of two sides, or an empty text."""
    if mine is None:
        return "theirs" if other["amount"] or other["quantity"] else ""
    if other is None:
        return "ours" if mine["amount"] or mine["quantity"] else ""
    if abs(mine["amount"] - other["amount"]) <= TOLERANCE * max(1, abs(mine["quantity"])):
        return ""
    return "quantity" if mine["quantity"] != other["quantity"] else "amount"
