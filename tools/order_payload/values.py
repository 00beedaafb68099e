"""Reading single values. Each function takes the value (numbers as Decimal) and the reader, and raises `Refused`.

Sources: ISO 8601 (dates), ISO 3166-1 (countries), ISO 4217 (currencies).
"""

import re
import unicodedata
from datetime import datetime, timedelta
from datetime import timezone as fixed_zone
from decimal import ROUND_HALF_UP, Decimal

from ..countries import country_code
from .limits import MAX_MARKS, MAX_NOTE, MAX_NUMBER, MAX_PRICE, MAX_QUANTITY, MAX_REFERENCE, MAX_TEXT
from .names import CANCELLED
from .words import kind_of, quote

_PRICE_DIGITS = Decimal("0.000001")
_YEARS = range(2000, 2101)
NOT_STORABLE = re.compile("[\0\ud800-\udfff]")  # PostgreSQL takes no NUL, UTF-8 no half of a surrogate pair


def is_sane(number):
    return number.is_finite() and -MAX_NUMBER < number.adjusted() < MAX_NUMBER


class Refused(Exception):
    """A value cannot be read; the message completes the sentence that begins with the name of the field."""


def to_decimal(number):
    """Return a number as a Decimal without exponent, at most `MAX_NUMBER` digits before the point."""
    if isinstance(number, int):
        number = Decimal(number if abs(number) < 10**MAX_NUMBER else "NaN")
    elif isinstance(number, float):
        number = Decimal(repr(number))
    if not is_sane(number):
        raise Refused("is a number out of range")
    return Decimal(f"{number:f}")


def _clean(value, limit=MAX_TEXT, keep_newlines=False):
    """Return text, or a number as text, with composed characters, single spaces and no control characters."""
    if isinstance(value, Decimal):
        value = str(int(value) if value == int(value) else value)
    if not isinstance(value, str):
        raise Refused(f"must be text, not {kind_of(value)}")
    if NOT_STORABLE.search(value.replace("\0", "")):
        raise Refused("holds half a surrogate pair")
    kept = "".join(char for char in value[: 10 * limit] if char.isspace() or unicodedata.category(char) != "Cc")
    if _is_stacked(kept):
        raise Refused(f"holds more than {MAX_MARKS} combining marks in a row")
    lines = kept.splitlines() if keep_newlines else [kept]
    text = unicodedata.normalize("NFC", "\n".join(" ".join(line.split()) for line in lines).strip())
    if len(text) > limit or len(value) > 10 * limit:
        raise Refused(f"is longer than {limit} characters")
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


def read_reference_value(value, _reader):
    return _clean(value, MAX_REFERENCE)


def _read_note(value, _reader):
    return _clean(value, MAX_NOTE, keep_newlines=True)


def _read_status(value, _reader):
    word = _clean(value).lower()
    return "cancelled" if word in CANCELLED else word


def _read_currency(value, _reader):
    code = _clean(value).upper()
    if not re.fullmatch("[A-Z]{3}", code):
        raise Refused(f"must be a currency code of three letters, not {quote(code)}")
    return code


def _read_country(value, _reader):
    text = _clean(value)
    code = country_code(text)
    if not code:
        raise Refused(f"must be an ISO 3166 code or the name of a country, not {quote(text)}")
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
            raise Refused(expected + quote(text))
        value = Decimal(text.replace(",", "."))
    if not isinstance(value, Decimal):
        raise Refused(expected + kind_of(value))
    if value != int(value) or not 0 < value <= MAX_QUANTITY:
        raise Refused(expected + quote(value))
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
        raise Refused(f"must be a number, not {kind_of(value)}")
    if value < 0:
        raise Refused("must not be negative")
    if value >= MAX_PRICE:
        raise Refused(f"must be below {MAX_PRICE}")
    return abs(value.quantize(_PRICE_DIGITS, ROUND_HALF_UP) if value.as_tuple().exponent < -6 else value)


def _price_of_text(value):
    """Return the number that a price in text means; the only currency that may be named in it is the euro."""
    text = " ".join(value.split()) if len(value) < 100 else ""
    text = re.sub(r"^(€|EUR)\s*|\s*(€|EUR)$", "", text, flags=re.IGNORECASE)
    sign, text = ("-", text[1:].strip()) if text.startswith("-") else ("", text)
    if re.fullmatch("[1-9][0-9]{0,2}[.,][0-9]{3}", text):
        raise Refused(f"is ambiguous: {quote(text)} has a decimal or a thousands separator; send a number")
    match = next(filter(None, (form.fullmatch(text) for form in _PRICES)), None)
    if not match:
        raise Refused(f"must be a number, not {quote(value)}")
    decimals = match["decimals"] or ""
    whole = re.sub("[^0-9]", "", text[: len(text) - len(decimals)])
    return Decimal(f"{sign}{whole}.{decimals[1:] or 0}")


_ISO = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})(?:[Tt ]([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:[.,][0-9]+)?)?"
    r" ?(?:([Zz])|([+-])([0-9]{2})(?::?([0-9]{2}))?)?)?"
)


def _zoned(value, reader):
    """Return an aware datetime of ISO 8601 text, or of the seconds or milliseconds since 1970."""
    told = quote(value) if isinstance(value, str | Decimal) else kind_of(value)
    refused = Refused(f"must be a date and time in ISO 8601 or the seconds since 1970, not {told}")
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


PARSERS = {
    "text": _read_text,
    "reference": read_reference_value,
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
