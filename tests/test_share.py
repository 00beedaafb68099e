"""The page for iUsed's IT: true, complete, and without a secret."""

import json
import re

from lxml import html

from odoo.tests import tagged

from .common import IusedHttpCase


@tagged("post_install", "-at_install")
class TestShare(IusedHttpCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.manager = cls._new_user("manager", "sales_team.group_sale_manager")
        cls.manager.partner_id.write({"email": "manager@refurb.example", "phone": "+31501234567"})
        cls.company.iused_responsible_id = cls.manager
        cls._make_phone("FIRST", 2)

    def _open(self, path="", company=None):
        self.env.flush_all()
        return self.url_open(f"/iused/share/{(company or self.company).id}{path}", allow_redirects=False)

    def _page(self):
        self.authenticate("manager", "manager")
        answer = self._open()
        self.assertEqual(answer.status_code, 200, answer.text)
        return html.fromstring(answer.text)

    def _examples(self, page):
        """Return the blocks of code on the page."""
        return [block.text_content() for block in page.iter("pre")]

    def test_page_tells_all_that_the_guide_asks_for(self):
        page = self._page()
        text = " ".join(page.text_content().split())
        for part in (
            f"{self.base_url()}/iused/v1/offers",
            f"{self.base_url()}/iused/v1/orders",
            f"{self.base_url()}/iused/v1/openapi.json",
            "Authorization: Bearer",
            "X-API-Key",
            '"sku": "FIRST"',
            "external_order_id",
            "serial_number",
            "track_and_trace",
            "Idempotency-Key",
            "ETag",
            "Retry-After",
            "manager@refurb.example",
            "+31501234567",
            self.company.name,
        ):
            with self.subTest(part=part):
                self.assertIn(part, text)

    def test_examples_work_when_sent(self):
        examples = self._examples(self._page())
        offers, order, expected = (json.loads(example) for example in examples if example[:1] in "[{")
        self.assertEqual(self._call("GET", "/offers").json(), offers)
        answer = self._push(order)
        self.assertEqual(answer.status_code, 201, answer.text)
        self.assertEqual(answer.json().keys(), expected.keys())
        self.assertEqual(answer.json()["status"], expected["status"])

    def test_commands_call_the_addresses_with_the_key_of_the_shell(self):
        commands = [example for example in self._examples(self._page()) if example.startswith("curl")]
        self.assertEqual(len(commands), 2)
        for command, path in zip(commands, ("offers", "orders"), strict=True):
            self.assertIn("Bearer $IUSED_KEY", command)
            self.assertEqual(re.findall(r"https?://[^\"]+", command), [f"{self.base_url()}/iused/v1/{path}"])

    def test_webhook_is_told_as_it_is_set(self):
        self.company.write({"iused_webhook_method": "PATCH", "iused_key_serial": "imei", "iused_grouping": "delivery"})
        example = next(example for example in self._examples(self._page()) if example.startswith("PATCH"))
        body = json.loads(example[example.index("{\n") :])
        self.assertEqual(body["imei"], ["356938035643809"])

    def test_no_secret_is_shared(self):
        secret = "SECRET-OF-SFTP"
        location = self.env["iused.sftp.location"].create(
            {"company_id": self.company.id, "host": "sftp.example", "username": "refurb"}
        )
        location.sudo().write({"password": secret})
        self.authenticate("manager", "manager")
        for path in ("", "/openapi.json"):
            text = self._open(path).text
            for part in (secret, self.portal.token, self.portal.url, self.key, "sftp.example"):
                with self.subTest(path=path, part=part):
                    self.assertNotIn(part, text)

    def test_openapi_file_is_what_iused_gets(self):
        self.authenticate("manager", "manager")
        answer = self._open("/openapi.json")
        self.assertIn("attachment", answer.headers["Content-Disposition"])
        self.assertEqual(answer.json(), self._call("GET", "/openapi.json").json())

    def test_page_of_a_company_without_offers_has_a_sample(self):
        self.env["product.product"].search([("default_code", "=", "FIRST")]).iused_offered = False
        self.assertIn("IP13-128-MID-A", self._page().text_content())

    def test_page_speaks_the_readers_language(self):
        self.env["res.lang"]._activate_lang("nl_NL")
        self.manager.lang = "nl_NL"
        self.assertEqual(self._page().get("lang"), "nl-NL")

    def test_only_managers_of_the_company_open_it(self):
        other = self._make_company("Other refurbisher")
        self._new_user("seller", "sales_team.group_sale_salesman")
        self._new_user("other", "sales_team.group_sale_manager", company=other)
        self.assertEqual(self._open().status_code, 303, "nobody is logged in")
        for login in ("seller", "other"):
            self.authenticate(login, login)
            for path in ("", "/openapi.json"):
                with self.subTest(login=login, path=path):
                    self.assertEqual(self._open(path).status_code, 403)
        own = self._open(company=other)
        self.assertEqual(own.status_code, 200)
        self.assertIn(other.name, own.text)
        self.assertNotIn("FIRST", own.text, "an offer of the first company")

    def test_manager_opens_it_from_the_menu(self):
        action = self.env.ref("sale_iused.iused_share_action").with_user(self.manager).run()
        self.assertEqual(action["url"], f"/iused/share/{self.company.id}")
