"""Identifiers of devices and products: IMEI and EAN.

Sources: 3GPP TS 23.003 section 6.2 (IMEI), GS1 General Specifications section 7.9 (check digit).

python-stdnum computes the check digits; the forms are ours, for stdnum drops spaces and hyphens, and takes
all zeros and an IMEI of 14 or 16 digits too.
"""

import re

from stdnum import ean, luhn

_IMEI = re.compile(r"[0-9]{15}")
_EAN = re.compile(r"[0-9]{8}|[0-9]{12,14}")


def is_imei(value):
    """Tell whether `value` is a complete IMEI: a str of exactly 15 digits, the last a Luhn check digit.

    :param value: anything; whatever is not a str is no IMEI
    :rtype: bool
    """
    return _is_code(_IMEI, value) and luhn.is_valid(value)


def is_ean(value):
    """Tell whether `value` is a GTIN-8, -12, -13 or -14 (EAN, UPC): a str of digits, the last a check digit.

    :param value: anything; whatever is not a str is no EAN
    :rtype: bool
    """
    return _is_code(_EAN, value) and ean.is_valid(value)


def ean_spellings(code):
    """Return the texts by which one GTIN is known: the lengths differ by zeros in front only.

    :param str code: in one of the lengths, or without some of its zeros; anything else has one spelling, its own
    :rtype: set of str
    """
    digits = code.lstrip("0")
    if not re.fullmatch("[0-9]{1,14}", digits):
        return {code}
    return {code, *(digits.zfill(length) for length in (8, 12, 13, 14) if len(digits) <= length)}


def _is_code(form, value):
    """Tell whether `value` is text of the given form, and not the zeros that pass every check."""
    return isinstance(value, str) and form.fullmatch(value) is not None and value.strip("0") != ""
