import threading
from urllib.parse import quote

from odoo import http
from odoo.http import request
from odoo.tools import real_time

from ..const import ROUTE_PREFIX
from ..tools.order_payload import MAX_IDEMPOTENCY_KEY
from ..tools.problem import problem
from .common import LONGEST_PATH, note_read, require_method

LARGEST_ORDER = 2**20  # bytes


class OrdersController(http.Controller):
    @http.route(
        f"{ROUTE_PREFIX}/orders",
        type="http",
        auth="iused",
        save_session=False,
        csrf=False,
        max_content_length=LARGEST_ORDER,
    )
    def push_order(self, **_parameters):
        """Take an order: the guide's second integration point."""
        require_method("PUT", "POST", "PATCH")
        return self._push()

    @http.route(
        f"{ROUTE_PREFIX}/orders/<path:iused_reference>",
        type="http",
        auth="iused",
        save_session=False,
        csrf=False,
        max_content_length=LARGEST_ORDER,
    )
    def one_order(self, iused_reference, **_parameters):
        """Take an order whose reference is in the URL, or tell what has become of it."""
        require_method("GET", "HEAD", "PUT", "PATCH")
        if request.httprequest.method in ("PUT", "PATCH"):
            return self._push(iused_reference)
        note_read()
        order = "\0" not in iused_reference and self._inbox_sudo()._search_reference(
            request.env.company, iused_reference
        )
        if not order:
            raise problem(404, f"Order {iused_reference} is not known.")
        return request.make_json_response(self._inbox_sudo()._prepare_details(order))

    def _inbox_sudo(self):
        # iUsed's user has no rights of its own: what it may do is what these methods do.
        return request.env["iused.order.inbox"].sudo().with_company(request.env.company)

    def _push(self, reference=""):
        """Do what a push asks for, write it down, and answer.

        :raises werkzeug.exceptions.HTTPException: 415, and what `iused.order.inbox._push` raises
        """
        http_request = request.httprequest
        body = http_request.get_data(cache=True)
        push = {
            **request.iused_caller,
            "method": http_request.method,
            # PostgreSQL takes no NUL.
            "path": http_request.path.replace("\0", "\ufffd")[:LONGEST_PATH],
            # One that is cut is still too long.
            "idempotency_key": http_request.headers.get("Idempotency-Key", "")[: 2 * MAX_IDEMPOTENCY_KEY],
            # What is not UTF-8 stays no JSON.
            "request_body": body.decode(errors="backslashreplace").replace("\0", "\\x00"),
        }
        request.iused_push = push  # for the log, should it be refused
        if not (http_request.is_json or http_request.mimetype == "application/json"):
            raise problem(415, "An order is sent as JSON: Content-Type: application/json.")
        encoding = http_request.headers.get("Content-Encoding", "").strip().lower()
        if encoding not in ("", "identity"):
            raise problem(
                415,
                f"An order is sent as it is, not compressed: without Content-Encoding: {encoding}.",
                headers={"Accept-Encoding": "identity"},
            )
        company_sudo = request.env.company.sudo()
        inbox_sudo = self._inbox_sudo()
        order, created = inbox_sudo._push(company_sudo, body, reference, push["idempotency_key"], in_turn=True)
        status, answer = 201 if created else 200, inbox_sudo._prepare_answer(order)
        push["duration"] = real_time() - threading.current_thread().perf_t0
        order.env["iused.exchange"]._log_accepted(company_sudo, push, status, answer, order)
        return request.make_json_response(
            answer,
            status=status,
            headers={"Location": f"{ROUTE_PREFIX}/orders/{quote(order.iused_reference, safe='')}"},
        )
