"""Bodies of up to 1 MiB that cost far more than others of their size, or did so once; and what they cost.

By itself it tells what reading one of them takes in a process of its own, as JSON: worst_orders.py NAME
"""

import json
import sys
import time
from pathlib import Path

import addon_tools

from portal import sample_order

SIZE = 2**20  # bytes, the most that is taken
SAMPLE = sample_order("WORST", sku="PHONE-0")
ADDRESS, LINE = SAMPLE["shipping_address"], {**SAMPLE["lines"][0], "ean": "8710000000000", "name": "Phone"}
EMOJI = "\U0001f600"  # makes any text take four bytes a character
WIDE_SPACE = "\u2003"
UNKNOWN = {**LINE, "sku": "UNKNOWN", "ean": "1"}  # refused without the work that Odoo has with a line
MARKS = "\u0301\u0316"  # combining, and in the wrong order


# Making them -----------------------------------------------------------------------------------------------------


def dump(document):
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")


def order(lines=(LINE,), lines_key="lines", **changes):
    return {"order_id": "WORST", "shipping_address": ADDRESS, lines_key: lines, **changes}


def fill(piece, before="[", after="]", most=SIZE):
    """Return text with as many pieces, separated by commas, as there is room for, at most so many.

    :param piece: text, or a function of the piece's number
    """
    made, left = [], SIZE - len((before + after).encode())
    while len(made) < most:
        text = piece if isinstance(piece, str) else piece(len(made))
        left -= len(text.encode()) + 1
        if left < 0:
            break
        made.append(text)
    return (before + ",".join(made) + after).encode()


def in_order(piece, most=SIZE, last=""):
    """Return an order with as many more fields as there is room for.

    :param str last: a field more
    """
    return fill(piece, dump(order()).decode()[:-1] + ",", f"{last}}}", most)


def spelled(word, number):
    """Return a word in one of its spellings that mean the same."""
    return "".join(letter + "_" * (number >> 2 * place & 3) for place, letter in enumerate(word))


def enveloped(document, key):
    for _depth in range(4):
        document = {key: document}
    return document


def lines(line, number=500):
    return dump(order([line] * number))


def nested(depth, number):
    """Return objects in each other, so often."""
    return ",".join(['{"a":' * depth + "0" + "}" * depth] * number)


WORST = {
    # Long keys, which every pointer below them repeats.
    "a long key above elements": lambda: fill("0", f'{{"{"k" * 230_000}":[', ',"\\u0041"]}'),
    "a long key above lines": lambda: dump(order([LINE] * 500, f"l{'_' * 200_000}ines")),
    "long keys around an order": lambda: dump(enveloped(order([{}] * 500), f"o{'_' * 200_000}rder")),
    "keys of the longest kind around lines": lambda: dump(
        enveloped(order([UNKNOWN] * 500, f"l{'_' * 250}ines"), f"o{'_' * 250}rder")
    ),
    "faults below keys of the longest kind": lambda: dump(
        enveloped(order([{}] * 500, f"l{WIDE_SPACE * 250}ines"), f"o{WIDE_SPACE * 250}rder")
    ),
    "a key of 1 MiB": lambda: dump({"k" * (SIZE - 6): 0}),
    # Many values, in every form that takes more memory than text.
    "zeros": lambda: fill("0"),
    "whole numbers": lambda: fill("999"),
    "decimals": lambda: fill("1.5"),
    "long numbers": lambda: fill("9" * 90 + ".1"),
    "empty texts": lambda: fill('""'),
    "short texts": lambda: fill('"ab"'),
    "empty lists": lambda: fill("[]"),
    "empty lists and an escape": lambda: fill("[]", after=',"\\u0041"]'),
    "empty lists and a NUL": lambda: fill("[]", after=',"\\u0000"]'),
    "lists of one": lambda: fill("[0]"),
    "empty objects": lambda: fill("{}"),
    "objects of one field": lambda: fill(lambda number: f'{{"{number:x}":0}}'),
    "deep lists": lambda: fill("[" * 31 + "]" * 31),
    "deep objects": lambda: fill('{"a":' * 31 + "0" + "}" * 31),
    "a wide object": lambda: fill(lambda number: f'"{number:x}":0', "{", "}"),
    "a wide object of texts": lambda: fill(lambda number: f'"{number:x}":"ab"', "{", "}"),
    "a wide order": lambda: in_order(lambda number: f'"{number:x}":0'),
    "one key over and over": lambda: fill('"a":0', "{", "}"),
    # As many as are taken.
    "most decimals": lambda: fill("1.5", most=49_000),
    "most objects of one field": lambda: fill(lambda number: f'{{"{number:x}":0}}', most=24_900),
    "most fields of an order": lambda: in_order(lambda number: f'"_K{number:09x}":1.5', 49_000, ',"y":"\\u0041"'),
    "most fields beyond the BMP": lambda: in_order(lambda number: f'"{EMOJI}{number:07x}":1.5', 49_000),
    "most objects in an order": lambda: fill("0", f'{{"lines":[],"x":[{nested(29, 1600)}],"y":[', ',"\\u0041"]}', 9),
    "most objects in an order, and a NUL": lambda: fill("0", f'{{"x":[{nested(29, 1600)}],"y":[', ',"\\u0000"]}', 9),
    # Names that are looked for in all spellings.
    "all spellings": lambda: in_order(
        lambda number: (
            f'"{spelled(("street", "product", "lineitems", "recipient", "quantity")[number % 5], number // 5)}":null'
        ),
        20_000,
    ),
    "envelopes": lambda: fill(
        lambda number: (
            f'"{spelled(("orders", "object", "payload")[number % 3], number // 3)}":{{"order":{{"data":{{}}}}}}'
        ),
        "{",
        "}",
        12_000,
    ),
    "a wide order in envelopes": lambda: dump(enveloped({f"{number:x}": 0 for number in range(49_000)}, "order")),
    # Long texts.
    "long text everywhere": lambda: dump(
        order(**dict.fromkeys(("created_at", "requested_date", "currency", "status", "note", "x"), "y" * 60_000))
        | {"shipping_address": dict.fromkeys(ADDRESS, "z" * 60_000), "lines": [dict.fromkeys(LINE, "x" * 40_000)]}
    ),
    "a long text beyond the BMP": lambda: dump(order(note=EMOJI + "a" * (SIZE - 500))),
    "spaces": lambda: b" " * SIZE,
    "a name of spaces": lambda: dump(order(shipping_address={**ADDRESS, "name": " " * (SIZE - 500)})),
    "a note of short lines": lambda: dump(order(note="\n" * (SIZE // 2 - 500))),
    "a note of combining marks": lambda: dump(order(note="a" + MARKS * 49_000)),
    "a note of sorted combining marks": lambda: dump(order(note="a" + MARKS[0] * 49_000 + MARKS[1] * 50_000)),
    "escaped line ends": lambda: b'["' + b"\\n" * (SIZE // 2 - 2) + b'"]',
    "escaped quotes": lambda: b'["' + b'\\"' * (SIZE // 2 - 2) + b'"]',
    "escaped quotes without an end": lambda: b'["' + b'\\"' * (SIZE // 2 - 1),
    "escaped letters": lambda: b'["' + b"\\u0041" * (SIZE // 6 - 1) + b'"]',
    # What is no JSON.
    "opening brackets": lambda: b"[" * SIZE,
    "brackets": lambda: b"[]" * (SIZE // 2),
    "quotes": lambda: b'"' * SIZE,
    "digits": lambda: b"1" * SIZE,
    "an exponent": lambda: b"1e" + b"1" * (SIZE - 2),
    "bytes that are not UTF-8": lambda: b"\xff" * SIZE,
    "NULs": lambda: b"\0" * SIZE,
    # Many lines, and much wrong with each.
    "empty lines": lambda: lines({}),
    "far too many lines": lambda: lines({}, 300_000),
    "too many lines": lambda: lines({"sku": "A", "quantity": 1}, 12_000),
    "lines of long texts": lambda: lines(
        {"sku": "x" * 256, "ean": "y" * 256, "quantity": "z" * 99, "price": "p" * 199}
    ),
    "lines of lists": lambda: lines({key: [{"é": 1}] for key in LINE}),
    "lines of control characters": lambda: lines({"quantity": "\x01" * 100, "price": EMOJI * 100}),
    "lines of unknown SKUs": lambda: dump(
        order(order_id="SKUS", lines=[{"sku": f"{number:04}{EMOJI * 200}", "quantity": 1} for number in range(999)])
    ),
    "wide lines": lambda: lines({f"k{number}": 0 for number in range(47)}),
    # What indents make of it, where somebody looks at it in the log.
    "elements at the deepest level": lambda: fill("0", "[" * 32, "]" * 32, 49_000),
    "elements far too deep": lambda: fill("0", "[" * 900, "]" * 900),
}


# Measuring them --------------------------------------------------------------------------------------------------


def memory(process, name):
    """Return a figure of a process's memory in MiB: VmRSS is now, VmHWM the largest since `reset_peak`."""
    status = Path(f"/proc/{process}/status").read_text()
    return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith(f"{name}:"))


def reset_peak(process):
    Path(f"/proc/{process}/clear_refs").write_text("5")


def read(reader, body):
    """Do with a body all that is done with it anywhere; return what came of it."""
    try:
        document = reader.parse_json(body)
    except reader.JsonError as error:
        return f"no JSON: {error}"
    reader.explain(document)
    reader.read_reference(document)
    try:
        reader.read_order(document)
    except reader.PayloadError as error:
        return f"{len(error.faults) + error.more} faults"
    return "an order"


def measure(name):
    """Return what reading a body took: `bytes` of it, `outcome`, `seconds`, `mib` more memory than before."""
    reader, body = addon_tools.load("order_payload"), WORST[name]()
    read(reader, dump(order()))  # so that modules and tables are there
    reset_peak("self")
    before, start = memory("self", "VmRSS"), time.monotonic()
    outcome = read(reader, body)
    return {
        "bytes": len(body),
        "outcome": outcome,
        "seconds": time.monotonic() - start,
        "mib": memory("self", "VmHWM") - before,
    }


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1])))
