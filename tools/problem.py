"""Refusals as RFC 9457 problem details: what a machine can act on and a person can read, never HTML."""

import json

from werkzeug.exceptions import HTTPException, default_exceptions
from werkzeug.http import HTTP_STATUS_CODES
from werkzeug.wrappers import Response

MEDIA_TYPE = "application/problem+json"


def problem(status, detail, errors=(), headers=None):
    """Return the exception to raise for a refusal.

    Raising it rolls the transaction back; the answer is made here and needs nothing of the database.

    :param int status: the HTTP status, 4xx or 5xx
    :param str detail: what is wrong, in words, for the people at iUsed
    :param errors: where a field is at fault: dicts of `pointer` (JSON pointer, RFC 6901) or `parameter`, and `detail`
    :param dict headers: more headers of the answer
    :rtype: werkzeug.exceptions.HTTPException
    """
    body = {"type": "about:blank", "title": HTTP_STATUS_CODES[status], "status": status, "detail": detail}
    if errors:
        body["errors"] = list(errors)
    response = Response(json.dumps(body, ensure_ascii=False), status, headers, content_type=MEDIA_TYPE)
    return default_exceptions[status](description=detail, response=response)


def is_problem(exception):
    """Tell whether an exception already carries its problem details."""
    response = isinstance(exception, HTTPException) and exception.response
    return bool(response) and response.mimetype == MEDIA_TYPE
