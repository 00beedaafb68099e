"""Refusals as RFC 9457 problem details: what a machine can act on and a person can read, never HTML."""

import json

from werkzeug.exceptions import HTTPException, default_exceptions
from werkzeug.http import HTTP_STATUS_CODES
from werkzeug.wrappers import Response

from .order_payload import MAX_FAULTS, cut, more_faults

MEDIA_TYPE = "application/problem+json"
# Whatever was sent, and is told in the answer.
MAX_ANSWER = 2**16  # bytes
MAX_DETAIL = 1000  # characters
MAX_ERROR = 512  # characters of each text of an error; the reader's own are shorter


def problem(status, detail, errors=(), headers=None, more=0):
    """Return the exception to raise for a refusal.

    Raising it rolls the transaction back; the answer is made here and needs nothing of the database. It takes
    `MAX_ANSWER` bytes at most: texts are cut and end in "…", and the last error says how many more there are.

    :param int status: the HTTP status, 4xx or 5xx
    :param str detail: what is wrong, in words, for the people at iUsed
    :param errors: where a field is at fault: dicts of `pointer` (JSON pointer, RFC 6901) or `parameter`, and `detail`
    :param dict headers: more headers of the answer
    :param int more: how many more errors there are than in `errors`
    :rtype: werkzeug.exceptions.HTTPException
    """
    detail = cut(detail, MAX_DETAIL)
    body = {"type": "about:blank", "title": HTTP_STATUS_CODES[status], "status": status, "detail": detail}
    if errors:
        body["errors"] = _cut_errors(list(errors), more)
    response = Response(_dump(body), status, headers, content_type=MEDIA_TYPE)
    return default_exceptions[status](description=detail, response=response)


def _dump(value):
    return json.dumps(value, ensure_ascii=False)


def _cut_errors(errors, more):
    """Return as many errors as an answer may hold, and in the last one how many more there are."""
    kept, left = [], MAX_ANSWER - 8 * MAX_DETAIL  # a character takes six bytes at most; and there is a title
    for error in errors[:MAX_FAULTS]:
        error = {name: cut(value, MAX_ERROR) if isinstance(value, str) else value for name, value in error.items()}
        left -= len(_dump(error).encode()) + len(", ")
        if left < 0:
            break
        kept.append(error)
    more += len(errors) - len(kept)
    return [*kept, {"pointer": "", "detail": f"{more_faults(more)}."}] if more else kept


def is_problem(exception):
    """Tell whether an exception already carries its problem details."""
    response = isinstance(exception, HTTPException) and exception.response
    return bool(response) and response.mimetype == MEDIA_TYPE
