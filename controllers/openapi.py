from odoo import http
from odoo.http import request

from ..const import ROUTE_PREFIX
from .common import note_read, require_method


class OpenapiController(http.Controller):
    @http.route(
        f"{ROUTE_PREFIX}/openapi.json", type="http", auth="iused", readonly=True, save_session=False, csrf=False
    )
    def openapi(self, **_parameters):
        """Tell iUsed's IT how to call us, as OpenAPI 3.1."""
        require_method("GET", "HEAD")
        note_read()
        return request.make_json_response(request.env["iused.connection"]._openapi(request.env.company))
