from werkzeug.exceptions import Forbidden

from odoo import http
from odoo.exceptions import AccessError
from odoo.http import request


class ShareController(http.Controller):
    """What a manager hands to iUsed's IT: a page to read and print, and the OpenAPI document as a file."""

    def _company(self, company_id):
        """Return a company of the user, who must be a manager of iUsed.

        :raises werkzeug.exceptions.Forbidden:
        """
        company = request.env["res.company"].browse(company_id)
        try:
            company._check_iused_manager()
        except AccessError as error:
            raise Forbidden from error
        if company not in request.env.user.company_ids:
            raise Forbidden
        return company.with_company(company)

    @http.route("/iused/share/<int:company_id>", type="http", auth="user", methods=["GET"], readonly=True)
    def share(self, company_id):
        """Show the page for iUsed's IT."""
        values = request.env["iused.connection"]._prepare_share(self._company(company_id))
        page = request.env["ir.qweb"]._render("sale_iused.share_page", {**values, "lang": request.env.lang})
        return request.make_response(f"<!DOCTYPE html>\n{page}")

    @http.route("/iused/share/<int:company_id>/openapi.json", type="http", auth="user", methods=["GET"], readonly=True)
    def openapi(self, company_id):
        """Give the OpenAPI document as a file."""
        return request.make_json_response(
            request.env["iused.connection"]._openapi(self._company(company_id)),
            {"Content-Disposition": "attachment; filename=iused-openapi.json"},
        )
