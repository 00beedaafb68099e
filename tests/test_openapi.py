"""The document of our endpoints: valid, the company's own, and its examples work when sent."""

import jsonschema
from openapi_spec_validator import OpenAPIV31SpecValidator, validate

from odoo.tests import tagged

from .common import IusedHttpCase


@tagged("post_install", "-at_install")
class TestOpenapi(IusedHttpCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.phone = cls._make_phone("PHONE", 5)

    def _document(self):
        answer = self._call("GET", "/openapi.json")
        self.assertEqual(answer.status_code, 200, answer.text)
        return answer.json()

    def _check(self, document, schema, value):
        """The value is as one of the document's schemas says."""
        schema = {"components": document["components"], **schema}
        jsonschema.Draft202012Validator(schema).validate(value)

    def test_document_is_valid_openapi_and_the_companys_own(self):
        document = self._document()
        validate(document, cls=OpenAPIV31SpecValidator)
        self.assertEqual(document["servers"], [{"url": f"{self.company.get_base_url()}/iused/v1"}])
        self.assertIn(self.company.name, document["info"]["title"])
        example = document["webhooks"]["shipmentUpdate"]["post"]["requestBody"]["content"]["application/json"][
            "example"
        ]
        self.assertEqual(list(example), ["serial_number", "track_and_trace", "external_order_id"])

    def test_document_needs_a_key(self):
        self.assertProblem(self._call("GET", "/openapi.json", key="wrong"), 401)

    def test_document_without_an_offer(self):
        self.phone.iused_offered = False
        validate(self._document(), cls=OpenAPIV31SpecValidator)

    def test_examples_work_when_sent(self):
        document = self._document()
        for path, item in document["paths"].items():
            for method in item.keys() - {"parameters", "get"}:
                content = item[method]["requestBody"]["content"]["application/json"]
                for name, status in (("order", 201), ("order", 200), ("cancellation", 200)):
                    value = content["examples"][name]["value"]
                    with self.subTest(path=path, method=method, name=name):
                        self._check(document, content["schema"], value)
                        answer = self._call(method.upper(), path.replace("{order_id}", "IU-1001"), data=value)
                        self.assertEqual(answer.status_code, status, answer.text)
                        self._check(document, {"$ref": "#/components/schemas/Answer"}, answer.json())
                # The next one starts anew.
                self.env["sale.order"].search([("iused_reference", "=", "IU-1001")]).iused_reference = False

    def test_answers_are_as_documented(self):
        document = self._document()
        self._check(
            document, {"type": "array", "items": {"$ref": "#/components/schemas/Offer"}}, list(self._offers().values())
        )
        order = self._make_order(self.phone)
        self._receive(order)
        details = self._call("GET", f"/orders/{order['order_id']}").json()
        self._check(document, {"$ref": "#/components/schemas/OrderDetails"}, details)
        refusal = self._push({"order_id": "1"}).json()
        self._check(document, {"$ref": "#/components/schemas/Problem"}, refusal)
