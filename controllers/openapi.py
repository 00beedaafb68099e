import json
import tempfile

from odoo import http
from odoo.http import request

from ..models.ir_http import ROUTE_PREFIX
from ..tools.openapi import document
from .common import require_method


class OpenapiController(http.Controller):
    @http.route(
        f"{ROUTE_PREFIX}/openapi.json", type="http", auth="iused", readonly=True, save_session=False, csrf=False
    )
    def openapi(self, **_parameters):
        """Tell iUsed's IT how to call us, as OpenAPI 3.1."""
        require_method("GET", "HEAD")
        company_sudo = request.env.company.sudo()  # its address is a system parameter
        feed = request.env["iused.offer.feed"]
        with tempfile.TemporaryFile() as file:
            feed._write(feed._offers_query(company_sudo, limit=1), file)
            file.seek(0)
            offers = json.load(file)
        return request.make_json_response(
            document(
                company_sudo.get_base_url(),
                company_sudo.env.ref("base.module_sale_iused").installed_version,
                company_sudo.name,
                (
                    company_sudo.iused_webhook_method,
                    company_sudo.env["iused.shipment.update"]._prepare_example(company_sudo),
                ),
                offers[0] if offers else None,
            )
        )
