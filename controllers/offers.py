import gzip
import re
import shutil
import tempfile
from urllib.parse import urlencode

from werkzeug.datastructures import Accept
from werkzeug.http import parse_accept_header
from werkzeug.wsgi import FileWrapper

from odoo import http
from odoo.http import Response, request

from ..const import ROUTE_PREFIX
from ..tools.problem import problem
from .common import LONGEST_PATH, require_method

LARGEST_PAGE = 100_000  # offers
DEFAULT_PAGE = 1_000  # offers, when only `page` is given
CONTENT_TYPES = {"json": "application/json", "csv": "text/csv; charset=utf-8; header=present"}
BUFFER = 2**16  # bytes read and sent at a time


class OffersController(http.Controller):
    @http.route(f"{ROUTE_PREFIX}/offers", type="http", auth="iused", readonly=True, save_session=False, csrf=False)
    def offers(self, **_parameters):
        """Serve the offer feed: the guide's first integration point."""
        # For the log, whatever comes of it: an error is written down where it is answered.
        request.iused_poll = {
            "company_id": request.env.company.id,
            "method": request.httprequest.method,
            "path": self._path_for_log(),
        }
        require_method("GET", "HEAD")
        answer = self._serve(self._read_parameters())
        request.env["ir.http"]._iused_log_poll(answer)
        return answer

    def _serve(self, choice):
        """Answer a poll.

        :param dict choice: what the query string asks for, see `_read_parameters`
        """
        company = request.env.company
        feed = request.env["iused.offer.feed"]
        query = feed._offers_query(company, **choice)
        # Compressed it is another representation, with a tag of its own (RFC 9110, 8.8.3).
        gzipped = parse_accept_header(request.httprequest.headers.get("Accept-Encoding"), Accept)["gzip"] > 0
        etag = feed._fingerprint(company, query) + ("-gzip" if gzipped else "")
        headers = {"ETag": f'"{etag}"', "Cache-Control": "private, no-cache", "Vary": "Accept-Encoding"}
        if request.httprequest.if_none_match.contains_weak(etag):
            return Response(status=304, headers=headers)
        file, count = self._write_feed(query, choice["file_format"], gzipped)
        request.iused_poll["offers"] = count
        if choice["limit"]:
            count = feed._count(company)
            headers["Link"] = self._links(choice, count)
        if gzipped:
            headers["Content-Encoding"] = "gzip"
        headers |= {"X-Total-Count": str(count), "Content-Length": str(file.tell())}
        file.seek(0)
        return Response(
            FileWrapper(file, BUFFER),
            headers=headers,
            content_type=CONTENT_TYPES[choice["file_format"]],
            direct_passthrough=True,
        )

    # Parameters ----------------------------------------------------------------------------------------------------

    def _readers(self):
        """Return the parameters that are known, each with the method that reads its text."""
        return {
            "format": self._read_format,
            "locale": self._read_decimal_point,
            "limit": lambda text: self._read_number(text, LARGEST_PAGE),
            "page": lambda text: self._read_number(text, 10**6),
        }

    def _path_for_log(self):
        """Return path and query; a parameter that we do not know might carry a key."""
        readers = self._readers()
        query = urlencode(
            [(name, text if name in readers else "***") for name, text in request.httprequest.args.items(multi=True)],
            safe="*",
        )
        return f"{request.httprequest.path}?{query}"[:LONGEST_PATH] if query else request.httprequest.path

    def _read_parameters(self):
        """Return what the query string asks for.

        :return: what `_offers_query` takes
        :raises werkzeug.exceptions.BadRequest: naming every parameter at fault
        """
        readers = self._readers()
        values, errors = {}, []
        for name, texts in request.httprequest.args.lists():
            try:
                if name not in readers:
                    raise ValueError(f"It is not known; {', '.join(readers)} are.")
                if len(texts) > 1:
                    raise ValueError("It may be given once only.")
                values[name] = readers[name](texts[0])
            except ValueError as error:
                errors.append({"parameter": name, "detail": str(error)})
        if errors:
            names = ", ".join(error["parameter"] for error in errors)
            raise problem(400, f"There are parameters that cannot be used: {names}.", errors)
        return {
            "file_format": values.get("format", "json"),
            "decimal_point": values.get("locale", "."),
            "limit": values.get("limit", DEFAULT_PAGE if "page" in values else None),
            "page": values.get("page", 1),
        }

    def _read_format(self, text):
        if text not in CONTENT_TYPES:
            raise ValueError(f"It must be {' or '.join(CONTENT_TYPES)}.")
        return text

    def _read_number(self, text, largest):
        if not re.fullmatch(r"[0-9]{1,9}", text) or not 1 <= int(text) <= largest:
            raise ValueError(f"It must be a whole number from 1 to {largest}.")
        return int(text)

    def _read_decimal_point(self, text):
        """Return the decimal mark of a locale such as nl_NL, whether its language is installed or not."""
        languages_sudo = request.env["res.lang"].sudo().with_context(active_test=False)
        language = languages_sudo.search([("code", "=", text)], limit=1)
        if not language:
            raise ValueError("It must be a locale such as nl_NL or en_US.")
        return language.decimal_point

    # Answers -------------------------------------------------------------------------------------------------------

    def _write_feed(self, query, file_format, gzipped):
        """Write the feed to a temporary file, so that neither memory nor the database waits for a slow reader.

        :return: the file at its end, the number of offers in it
        """
        feed = tempfile.TemporaryFile()
        count = request.env["iused.offer.feed"]._write(query, feed, file_format)
        return (self._compress(feed) if gzipped else feed), count

    def _compress(self, feed):
        compressed = tempfile.TemporaryFile()
        feed.seek(0)
        # The lowest level: it makes the feed ten times smaller, a higher one costs more time than it saves.
        with feed, gzip.GzipFile(fileobj=compressed, mode="wb", compresslevel=1, mtime=0) as target:
            shutil.copyfileobj(feed, target, BUFFER)
        return compressed

    def _links(self, choice, count):
        """Return the `Link` header of a page (RFC 8288): the other pages by the same parameters."""
        last = max(1, -(-count // choice["limit"]))
        page = choice["page"]
        pages = {"first": 1, "prev": min(page - 1, last), "next": page + 1 if page < last else 0, "last": last}
        parameters = {**request.httprequest.args, "limit": choice["limit"]}
        return ", ".join(
            f'<{request.httprequest.path}?{urlencode({**parameters, "page": number})}>; rel="{rel}"'
            for rel, number in pages.items()
            if number
        )
