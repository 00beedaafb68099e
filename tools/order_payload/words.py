"""How what was pushed is told: shortly, whatever it holds."""

from decimal import Decimal

from .limits import MAX_QUOTE


def more_faults(number):
    """Return the words at the end of a list of faults that does not hold all of them."""
    return f"… and {number:,} more fault{'s' * (number != 1)}"


def cut(text, limit):
    """Return a text of at most `limit` characters, which ends in "…" where it was longer."""
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def quote(value):
    text = str(value)
    return f'"{text[:MAX_QUOTE]}…"' if len(text) > MAX_QUOTE else f'"{text}"'


def kind_of(value):
    if isinstance(value, bool):
        return "true or false"
    kinds = ((str, "text"), (int | float | Decimal, "a number"), (dict, "an object"), (list, "a list"))
    return next((word for kind, word in kinds if isinstance(value, kind)), type(value).__name__)


def some_of(names):
    return ", ".join([*names[:4], "…"])
