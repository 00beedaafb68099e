import hashlib
import tempfile

from werkzeug.wsgi import FileWrapper

from odoo import http
from odoo.http import Response, request

from .common import require_method

IN_MEMORY = 2**20  # bytes of an answer kept in memory; the rest goes to a temporary file


class OffersController(http.Controller):
    @http.route("/iused/v1/offers", type="http", auth="iused", readonly=True, save_session=False, csrf=False)
    def offers(self, **_parameters):
        """Serve the offer feed: the guide's first integration point."""
        require_method("GET", "HEAD")
        feed, etag, size = self._write_feed(request.env.company)
        headers = {"ETag": f'"{etag}"', "Cache-Control": "private, no-cache"}
        if request.httprequest.if_none_match.contains_weak(etag):
            feed.close()
            return Response(status=304, headers=headers)
        headers["Content-Length"] = str(size)
        return Response(FileWrapper(feed), headers=headers, content_type="application/json", direct_passthrough=True)

    def _write_feed(self, company):
        """Write the feed to a temporary file, so that neither memory nor the database waits for a slow reader.

        :return: the file at its beginning, a hash of its content, its size in bytes
        """
        feed = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY)
        digest = hashlib.sha256()
        separator = "["
        for offers in request.env["iused.offer.feed"]._iter_offers(company):
            chunk = (separator + ",\n".join(offers)).encode()
            feed.write(chunk)
            digest.update(chunk)
            separator = ",\n"
        feed.write(b"]\n" if separator != "[" else b"[]\n")
        size = feed.tell()
        feed.seek(0)
        return feed, digest.hexdigest()[:32], size
