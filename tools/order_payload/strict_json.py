"""JSON, parsed more strictly than Python does: RFC 8259, and what a database can keep."""

import json
import re
from decimal import Decimal, InvalidOperation

from .limits import MAX_DEPTH, MAX_KEY, MAX_NUMBER, MAX_VALUES
from .nodes import Node
from .order import JsonError
from .values import NOT_STORABLE, is_sane
from .words import quote

_STRUCTURE = re.compile(r'"[^"]*"?|[\[\]{},]')  # of text without escapes: a repeated group would cost memory


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
    if not is_sane(number):
        raise JsonError(f"it holds a number out of range: {text[:20]}…")
    return int(text) if text.lstrip("-").isdigit() else number


def _json_constant(text):
    raise JsonError(f"it holds {text}, which is no number")


def _json_object(pairs):
    result = dict(pairs)
    if len(result) < len(pairs):
        seen = set()
        twice = next(key for key, _value in pairs if key in seen or seen.add(key))
        raise JsonError(f"it holds the key {quote(twice)} twice in one object")
    for key in result:
        if len(key) > MAX_KEY:
            raise JsonError(f"it holds a key of more than {MAX_KEY} characters: {quote(key)}")
    return result


def _check_storable(document):
    """Raise where a key or text of the document cannot be stored."""
    todo = [Node(document)]
    while todo:
        node = todo.pop()
        texts = node.value if isinstance(node.value, dict) else [node.value]
        if any(isinstance(text, str) and NOT_STORABLE.search(text) for text in texts):
            raise JsonError(f"it holds a NUL character or half a surrogate pair at {quote(node.pointer)}")
        todo.extend(node.children())
