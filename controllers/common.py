"""What the controllers share. They parse, call one model method, and answer."""

from odoo.http import request

from ..tools.problem import problem

LONGEST_PATH = 500  # characters of it that are logged


def require_method(*methods):
    """Refuse a method that a resource does not know.

    The routes take every method, so that this answer is ours and not an HTML page.

    :raises werkzeug.exceptions.MethodNotAllowed: with the methods that would do
    """
    method = request.httprequest.method
    if method not in methods:
        raise problem(
            405, f"{method} is not possible here, but {', '.join(methods)} is.", headers={"Allow": ", ".join(methods)}
        )
