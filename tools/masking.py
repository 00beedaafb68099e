"""Taking the webhook's address, a secret, out of texts that people may read. Plain Python without Odoo."""

import string
from urllib.parse import parse_qsl, quote, quote_plus, unquote, unquote_plus, urlsplit

MASK = "***"
PIECE = 8  # characters of a token that are a secret by themselves: an answer may have been cut off anywhere
LONGEST_WORD = 15  # letters of a step of a path that is no token, such as "shipment"
_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)  # keeps the length of every text


class Mask:
    """Takes an address out of texts, such as an answer that echoes the call: `Mask(url)(text)`.

    The address is known as a whole, and its tokens wherever they stand in it: in the path, in the query,
    before the host; as they are and percent-encoded; and in part.

    :param str url: the address
    """

    def __init__(self, url):
        parts = urlsplit(url)
        wholes = (url, parts.path, parts.query, parts.netloc, parts.hostname or "")
        tokens = {form for token in _tokens(parts) for form in _forms(token)}
        self._wholes = sorted({_fold(whole) for whole in (*wholes, *tokens) if whole.strip("/")}, key=len, reverse=True)
        self._pieces = {
            token[start : start + PIECE] for token in map(_fold, tokens) for start in range(len(token) - PIECE + 1)
        }

    def __call__(self, text):
        """Return the text without the address, at the same places otherwise."""
        folded = _fold(text)
        hidden = bytearray(len(text))
        for whole in self._wholes:
            start = folded.find(whole)
            while start >= 0:
                hidden[start : start + len(whole)] = b"\1" * len(whole)
                start = folded.find(whole, start + 1)
        if self._pieces:
            for start in range(len(folded) - PIECE + 1):
                if folded[start : start + PIECE] in self._pieces:
                    hidden[start : start + PIECE] = b"\1" * PIECE
        return _replace(text, hidden)


def mask_path(url):
    """Return the path of the webhook's address as it may be shown: `/webhook/shipment/18/***`."""
    parts = urlsplit(url)
    *steps, last = parts.path.rstrip("/").split("/")
    path = "/".join([*(MASK if _is_token(step) else step for step in steps), MASK if last else last])
    return f"{path or '/' + MASK}?{MASK}" if parts.query else path or f"/{MASK}"


def _tokens(parts):
    """Return what of an address's parts may let somebody in: at the end of the path, whatever it is."""
    *steps, last = parts.path.rstrip("/").split("/")
    fields = parse_qsl(parts.query, keep_blank_values=True)
    names, values = [name for name, _value in fields], [value for _name, value in fields]
    found = (last, *filter(_is_token, [*steps, *names]), *values, parts.username, parts.password)
    return {token for token in found if token}


def _is_token(step):
    """Tell whether a step of a path is no word and no number of a few digits."""
    return len(step) >= PIECE and not (step.isalpha() and len(step) <= LONGEST_WORD)


def _forms(token):
    """Return a token in the forms in which it may be echoed."""
    plain = unquote(token)
    return {token, plain, unquote_plus(token), quote(plain), quote(plain, safe=""), quote_plus(plain)}


def _fold(text):
    """Return a text without the difference of capitals, which percent-encoding does not know."""
    return text.translate(_LOWER)


def _replace(text, hidden):
    """Return a text with `MASK` for each run of hidden characters."""
    if not any(hidden):
        return text
    made, start = [], 0
    while start < len(text):
        end = hidden.find(not hidden[start], start)
        end = len(text) if end < 0 else end
        made.append(MASK if hidden[start] else text[start:end])
        start = end
    return "".join(made)
