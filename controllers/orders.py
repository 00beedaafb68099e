from urllib.parse import quote

from odoo import http
from odoo.http import request

from ..models.ir_http import ROUTE_PREFIX
from ..tools.order_payload import JsonError, PayloadError, parse_json, read_order
from ..tools.problem import problem
from .common import require_method

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
        payload = self._read_payload()
        company = request.env.company
        # iUsed's user has no rights of its own: what it may do is what this method does.
        orders_sudo = request.env["sale.order"].sudo().with_company(company)
        order, created = orders_sudo._iused_receive(company.sudo(), payload)
        return request.make_json_response(
            order._iused_prepare_answer(),
            status=201 if created else 200,
            headers={"Location": f"{ROUTE_PREFIX}/orders/{quote(order.iused_reference, safe='')}"},
        )

    def _read_payload(self):
        """Return the order in the request's body.

        :raises werkzeug.exceptions.HTTPException: 415, 400 or 422, with every fault at once
        """
        http_request = request.httprequest
        if not (http_request.is_json or http_request.mimetype == "application/json"):
            raise problem(415, "An order is sent as JSON: Content-Type: application/json.")
        try:
            document = parse_json(http_request.get_data(cache=True))
            return read_order(document, timezone=request.env.user.tz or "Europe/Amsterdam")
        except JsonError as error:
            raise problem(400, f"The body is not JSON: {error}") from error
        except PayloadError as error:
            raise problem(
                422,
                "The order is refused; nothing was stored.",
                errors=[{"pointer": fault.pointer, "detail": fault.detail} for fault in error.faults],
            ) from error
