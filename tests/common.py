"""A refurbisher for the tests: a company connected to iUsed, phones with serial numbers, iUsed's orders."""

import itertools
import json
from unittest.mock import patch
from urllib.parse import urlsplit

from odoo import Command
from odoo.tests import HttpCase, TransactionCase
from odoo.tests.common import _super_send
from odoo.tools import config

from ..const import KEY_SCOPE
from ..dev.portal import Portal, sample_order
from ..models import ir_http
from ..tools import destination
from ..tools.guesses import Guesses
from ..tools.order_payload import read_order

WEBHOOK = "http://127.0.0.1:9/webhook/shipment/18/SECRET-TOKEN"  # nothing listens there
_numbers = itertools.count(1)


class IusedCase(TransactionCase):
    """Base of the tests of models."""

    @classmethod
    def _request_handler(cls, session, request, /, **kwargs):
        """Let calls to the simulated portal through as they are; Odoo's guard does not know a pair of time-outs."""
        if isinstance(kwargs.get("timeout"), tuple) and request.url.startswith("http://127.0.0.1:"):
            return _super_send(session, request, **kwargs)
        return super()._request_handler(session, request, **kwargs)

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.company = cls._make_company("Refurb Noord")
        # As in the requests of iUsed: the company's own user, who has no rights of its own.
        cls.env = cls.env(context={**cls.env.context, "tracking_disable": True})
        cls.env.user.write({"company_ids": [Command.link(cls.company.id)], "company_id": cls.company.id})
        cls.env = cls.env(context={**cls.env.context, "allowed_company_ids": cls.company.ids})
        cls.company = cls.company.with_env(cls.env)
        cls.warehouse = cls.env["stock.warehouse"].search([("company_id", "=", cls.company.id)], limit=1)
        cls.stock = cls.warehouse.lot_stock_id
        cls.customers = cls.env.ref("stock.stock_location_customers")
        cls.iused_user = cls.company._iused_ensure_user()
        cls.iused_partner = cls.company._iused_ensure_partner()
        cls.env["ir.config_parameter"].sudo().set_param(destination.PARAMETER, ", ".join(destination.LOOPBACK))
        cls.company.sudo().iused_webhook_url = WEBHOOK
        cls.env["iused.shipment.update"].search([]).unlink()

    @classmethod
    def _make_company(cls, name):
        company = cls.env["res.company"].create(
            {
                "name": name,
                "currency_id": cls.env.ref("base.EUR").id,
                "country_id": cls.env.ref("base.nl").id,
            }
        )
        company.currency_id.active = True
        company.write({"stock_move_email_validation": False, "stock_text_confirmation": False})
        return company

    @classmethod
    def _make_phone(cls, sku, pieces=0, **values):
        """Return a complete offer: a phone tracked by serial number, with so many pieces in stock."""
        phone = cls.env["product.product"].create(
            {
                "name": f"Phone {sku}",
                "default_code": sku,
                "barcode": cls._make_ean(),
                "type": "consu",
                "is_storable": True,
                "tracking": "serial",
                "company_id": cls.company.id,
                "taxes_id": False,
                "iused_offered": True,
                "iused_purchase_price": 199.0,
                "iused_consumer_price": 249.0,
                **values,
            }
        )
        cls._put_in_stock(phone, pieces)
        return phone

    @classmethod
    def _put_in_stock(cls, product, pieces, location=None, **values):
        quants = cls.env["stock.quant"]
        for _piece in range(pieces if product.tracking == "serial" else bool(pieces)):
            lot = product.tracking == "serial" and cls.env["stock.lot"].create(
                {
                    "name": cls._make_imei(),
                    "product_id": product.id,
                    "company_id": (product.company_id or cls.company).id,
                }
            )
            quants._update_available_quantity(
                product, location or cls.stock, 1 if lot else pieces, lot_id=lot or None, **values
            )

    @staticmethod
    def _make_ean():
        stem = f"871{next(_numbers):09d}"
        digits = [int(digit) for digit in stem]
        return f"{stem}{-(sum(digits[::2]) + 3 * sum(digits[1::2])) % 10}"

    @staticmethod
    def _make_imei():
        stem = f"35693803{next(_numbers):06d}"
        doubled = [int(digit) for digit in stem]
        doubled[1::2] = [2 * digit - 9 * (digit > 4) for digit in doubled[1::2]]
        return f"{stem}{-sum(doubled) % 10}"

    @classmethod
    def _make_order(cls, *lines, **values):
        """Return the JSON of an order in our documented form; `lines` are products or (product, quantity)."""
        lines = [line if isinstance(line, tuple) else (line, 1) for line in lines]
        return {
            **sample_order(f"IU-{next(_numbers)}"),
            "lines": [
                {"line_id": str(number), "sku": product.default_code, "quantity": quantity, "price": 199.0}
                for number, (product, quantity) in enumerate(lines, 1)
            ],
            **values,
        }

    @classmethod
    def _receive(cls, document):
        """Hand an order to the model as the controller does; return the sale order."""
        inbox_sudo = cls.env["iused.order.inbox"].with_user(cls.iused_user).sudo().with_company(cls.company)
        return inbox_sudo._receive(cls.company.sudo(), read_order(document))[0].with_env(cls.env)

    @classmethod
    def _deliver(cls, order, tracking="3SABC123", user=None):
        """Validate an order's delivery; return the picking."""
        picking = order.picking_ids.filtered(lambda picking: picking.state not in ("done", "cancel"))
        if user:
            picking = picking.with_user(user)
        if tracking:
            picking.carrier_tracking_ref = tracking
        result = picking.button_validate()
        assert result is True, result
        return picking

    def _ship(self, quantity=1, product=None, **kwargs):
        """Sell and deliver pieces of `self.phone`, or of another product; return the picking. Else as `_deliver`."""
        return self._deliver(self._receive(self._make_order((product or self.phone, quantity))), **kwargs)

    @classmethod
    def _return(cls, picking, quantity=1, done=True):
        """Return goods of a delivery with Odoo's wizard; return the receipt."""
        wizard = (
            cls.env["stock.return.picking"]
            .with_context(active_id=picking.id, active_ids=picking.ids, active_model="stock.picking")
            .create({})
        )
        wizard.product_return_moves.quantity = quantity
        receipt = cls.env["stock.picking"].browse(wizard.action_create_returns()["res_id"])
        if done:
            receipt.button_validate()
            assert receipt.state == "done", receipt.state
        return receipt

    @classmethod
    def _new_user(cls, login, *groups, company=None):
        company = company or cls.company
        return cls.env["res.users"].create(
            {
                "name": login,
                "login": login,
                "password": login,
                "company_id": company.id,
                "company_ids": [Command.set(company.ids)],
                "group_ids": [Command.set([cls.env.ref(group).id for group in ("base.group_user", *groups)])],
            }
        )

    def _run_cron(self, name="send_shipment_updates"):
        """Run one of our scheduled actions as Odoo's cron workers do."""
        self.env.flush_all()
        with self.enter_registry_test_mode():
            self.env.ref(f"sale_iused.ir_cron_{name}").method_direct_trigger()
        self.env.invalidate_all()

    @classmethod
    def _make_key(cls, company=None):
        """Return a new access token of a company."""
        user = (company or cls.company)._iused_ensure_user()
        return cls.env["res.users.apikeys"].with_user(user).sudo()._generate(KEY_SCOPE, "test", None)


class IusedHttpCase(HttpCase, IusedCase):
    """Base of the tests over HTTP: a key, and calls as iUsed makes them."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.key = cls._make_key()
        cls.portal = Portal()
        cls.portal.start()
        cls.addClassCleanup(cls.portal.close)
        cls.company.sudo().iused_webhook_url = cls.portal.webhook_url

    def setUp(self):
        super().setUp()
        self.patch(ir_http, "guesses", Guesses())  # all tests call from one address
        self.portal.heal()
        self.portal.reset()

    def _ship(self, quantity=1, product=None, **kwargs):
        """As above, after the portal took our number in."""
        order = self._receive(self._make_order((product or self.phone, quantity)))
        self.portal.register_orders(order.name)
        return self._deliver(order, **kwargs)

    def _ship_updates(self, quantity=1):
        """As above; return the shipment updates, in the order in which they are sent."""
        return self._ship(quantity).iused_update_ids.sorted("id")

    def _call(self, method, path, key=None, data=None, **headers):
        """Call one of our routes with a key, and without the cookie of a session."""
        self.env.flush_all()
        headers = {"Authorization": f"Bearer {key or self.key}", **{k.replace("_", "-"): v for k, v in headers.items()}}
        if isinstance(data, dict | list):
            data, headers = json.dumps(data), {"Content-Type": "application/json", **headers}
        return self.url_open(f"/iused/v1{path}", data=data, method=method, headers=headers, allow_redirects=False)

    def _poll(self, **kwargs):
        """Poll the offers as the portal does."""
        with self.allow_requests(all_requests=True):
            self.env.flush_all()
            return self.portal.poll_offers(f"{self.base_url()}/iused/v1/offers", self.key, **kwargs)

    def _push(self, document, method="POST", **kwargs):
        return self._call(method, "/orders", data=document, **kwargs)

    def _offers(self):
        answer = self._call("GET", "/offers")
        self.assertEqual(answer.status_code, 200, answer.text)
        return {offer["sku"]: offer for offer in answer.json()}

    def assertProblem(self, answer, status, *pointers):
        """The answer is an RFC 9457 problem of this status, naming these fields."""
        self.assertEqual(answer.status_code, status, answer.text)
        self.assertEqual(answer.headers["Content-Type"], "application/problem+json")
        problem = answer.json()
        self.assertEqual(problem["status"], status)
        self.assertTrue(problem["title"] and problem["detail"])
        self.assertEqual([error["pointer"] for error in problem.get("errors", ())], list(pointers), answer.text)
        return problem


class ProxiedMixin:
    """Calls that come through a reverse proxy, as `proxy_mode` reads them."""

    def _call_from(self, address, *args, **kwargs):
        """Call as `_call` does, from an address that the proxy tells."""
        headers = {"X_Forwarded_For": address, "X_Forwarded_Host": urlsplit(self.base_url()).netloc}
        with patch.dict(config.options, {"proxy_mode": True}):
            return self._call(*args, **headers, **kwargs)
