"""Who gets in: keys, companies, and the refusals that machines can read."""

import base64
from unittest.mock import patch

from psycopg2 import InterfaceError

from odoo.http import RegistryError, Request
from odoo.sql_db import PoolError
from odoo.tests import tagged

from .common import IusedHttpCase


@tagged("post_install", "-at_install")
class TestAccess(IusedHttpCase):
    def _get(self, **headers):
        self.env.flush_all()
        return self.url_open("/iused/v1/offers", headers=headers)

    def test_key_as_bearer_basic_or_header(self):
        basic = base64.b64encode(f"anybody:{self.key}".encode()).decode()
        for headers in (
            {"Authorization": f"Bearer {self.key}"},
            {"Authorization": f"bearer {self.key}"},
            {"Authorization": f"Basic {basic}"},
            {"X-API-Key": self.key},
        ):
            with self.subTest(headers=headers):
                self.assertEqual(self._get(**headers).status_code, 200)

    def test_without_a_valid_key_401(self):
        unscoped = self.env["res.users.apikeys"].with_user(self.env.user).sudo()
        for headers in (
            {},
            {"Authorization": "Bearer"},
            {"Authorization": "Bearer nonsense"},
            {"Authorization": "Basic %%%"},
            {"Authorization": f"Bearer {'x' * 5000}"},
            {"X-API-Key": unscoped._generate(None, "a key of somebody who is no iUsed user", None)},
        ):
            with self.subTest(headers=headers):
                answer = self._get(**headers)
                self.assertProblem(answer, 401)
                self.assertTrue(answer.headers["WWW-Authenticate"].startswith("Bearer"))

    def test_no_session_cookie_is_set(self):
        self.assertNotIn("Set-Cookie", self._get(**{"X-API-Key": self.key}).headers)

    def test_key_opens_nothing_else(self):
        answer = self.url_open(
            "/json/2/res.partner/search_read", json={"domain": []}, headers={"Authorization": f"Bearer {self.key}"}
        )
        self.assertEqual(answer.status_code, 401)

    def test_company_follows_from_the_key(self):
        other = self._make_company("Other refurbisher")
        other_key = self._make_key(other)
        self._make_phone("OURS", 1)
        self.assertEqual(list(self._offers()), ["OURS"])
        answer = self._call("GET", "/offers", key=other_key)
        self.assertEqual((answer.status_code, answer.json()), (200, []))

    def test_revoked_key_is_refused(self):
        self.env["res.users.apikeys"].search([("user_id", "=", self.iused_user.id)]).unlink()
        self.assertProblem(self._call("GET", "/offers"), 401)

    def test_archived_user_is_refused(self):
        self.iused_user.active = False
        self.assertProblem(self._call("GET", "/offers"), 401)

    def test_wrong_method_405_names_the_right_ones(self):
        for path, method, allowed in (
            ("/offers", "POST", "GET, HEAD"),
            ("/offers", "DELETE", "GET, HEAD"),
            ("/orders", "GET", "PUT, POST, PATCH"),
            ("/orders", "DELETE", "PUT, POST, PATCH"),
        ):
            with self.subTest(path=path, method=method):
                answer = self._call(method, path)
                self.assertProblem(answer, 405)
                self.assertEqual(answer.headers["Allow"], allowed)

    def test_unknown_path_404_is_no_page(self):
        for path in ("", "/", "/nothing", "/offers/1", "/%00", "/orders//1", "//offers"):
            with self.subTest(path=path):
                answer = self._call("GET", path, Content_Type="application/json")
                self.assertProblem(answer, 404)

    def test_database_that_fails_while_the_key_is_checked_is_no_wrong_key(self):
        def fail(*_args, **_kwargs):
            raise InterfaceError("connection already closed")

        self.patch(self.registry["res.users.apikeys"], "_check_credentials", fail)
        with self.assertLogs("odoo.addons.sale_iused", "WARNING"):
            answer = self._call("GET", "/offers")
        self.assertProblem(answer, 503)
        self.assertTrue(answer.headers["Retry-After"].isdigit())

    def test_database_that_fails_before_any_route_is_looked_at_is_no_unknown_address(self):
        for error in (RegistryError("unusable"), PoolError("The Connection Pool Is Full")):
            with (
                self.subTest(error=error),
                patch.object(Request, "_serve_db", side_effect=error),
                self.assertLogs("odoo", "WARNING"),
            ):
                for method, path in (("GET", "/offers"), ("POST", "/orders"), ("GET", "/openapi.json")):
                    answer = self._call(method, path)
                    self.assertProblem(answer, 503)
                    self.assertTrue(answer.headers["Retry-After"].isdigit())
                page = self.url_open("/web/login", allow_redirects=False)
                self.assertNotIn("problem", page.headers.get("Content-Type", ""), "Odoo's own pages stay as they are")

    def test_key_that_is_no_text_is_a_wrong_key(self):
        for credentials in ("Basic \xe9\xe8", "Basic /w==", "Bearer \xff"):
            answer = self._call("GET", "/offers", Authorization=credentials.encode("latin-1"))
            self.assertProblem(answer, 401)

    def test_unexpected_error_500_tells_nothing(self):
        def crash(*_args, **_choice):
            raise KeyError("inner matter")

        self.patch(self.registry["iused.offer.feed"], "_offers_query", crash)
        with self.assertLogs("odoo.http", "ERROR"):
            answer = self._call("GET", "/offers")
        self.assertProblem(answer, 500)
        self.assertNotIn("inner matter", answer.text)
