"""What visitors, customers, colleagues and other companies may try with an ordinary login, and do not achieve."""

import inspect

from odoo import Command
from odoo.exceptions import AccessError, UserError
from odoo.orm.models import NO_ACCESS
from odoo.tests import tagged
from odoo.tools import mute_logger

from .common import IusedHttpCase

# What a customer reads without any addon, and what `website_sale` opens to customers and visitors besides.
READ_BY_CUSTOMERS = {"res.company", "sale.order", "sale.order.line", "stock.picking"}
READ_IN_A_SHOP = {"product.template", "product.product", "product.pricelist"}


class RpcCase(IusedHttpCase):
    """Calls as a browser makes them, by whoever is logged in."""

    def _rpc(self, model, method, *args, **kwargs):
        """Call a method of a model; return its result, or the name of the exception that it raised as text."""
        self.env.flush_all()
        params = {"model": model, "method": method, "args": args, "kwargs": kwargs}
        with mute_logger("odoo.http", "odoo.addons.base.models.ir_model", "odoo.addons.base.models.ir_rule"):
            answer = self.url_open("/web/dataset/call_kw", json={"jsonrpc": "2.0", "id": 1, "params": params}).json()
        return answer["error"]["data"]["name"] if "error" in answer else answer["result"]

    def assertForbidden(self, model, method, *args, **kwargs):
        self.assertEqual(self._rpc(model, method, *args, **kwargs), "odoo.exceptions.AccessError")


@tagged("post_install", "-at_install")
class TestCustomers(RpcCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.phone = cls._make_phone("PHONE", 2)
        cls.order = cls._receive(cls._make_order(cls.phone))
        cls.picking = cls._deliver(cls.order)
        # Whoever works at iUsed, and was invited by a careless colleague before that was closed.
        cls.customer = cls.env["res.users"].create(
            {
                "name": "Customer",
                "login": "customer",
                "password": "customer",
                "partner_id": cls.env["res.partner"].create({"name": "Person", "parent_id": cls.iused_partner.id}).id,
                "company_id": cls.company.id,
                "company_ids": [Command.set(cls.company.ids)],
                "group_ids": [Command.set(cls.env.ref("base.group_portal").ids)],
            }
        )
        cls.picking.partner_id = cls.customer.partner_id
        cls.visitor = cls.env.ref("base.public_user")
        cls.employee = cls._new_user("employee")
        for model in READ_IN_A_SHOP:
            for group in ("portal", "public"):
                cls.env["ir.model.access"].create(
                    {
                        "name": f"{model} in a shop",
                        "model_id": cls.env["ir.model"]._get_id(model),
                        "group_id": cls.env.ref(f"base.group_{group}").id,
                        "perm_read": True,
                    }
                )

    def _fields_by_model(self, user):
        """Return the names of iUsed's fields of the models that a user may read."""
        models = {name: self.env[name].with_user(user) for name in self.env.registry.models}
        return {
            name: fields
            for name, model in models.items()
            if not model._abstract
            and model.has_access("read")
            and (fields := sorted(field for field in model._fields if field.startswith("iused_")))
        }

    def _question(self, field):
        """Return a condition on a field that Odoo cannot answer without reading it."""
        if field.type in ("date", "datetime"):
            return (field.name, "<", "2026-01-01")
        if field.type == "selection":
            return (field.name, "=", field.get_values(self.env)[-1])
        return (field.name, "=", "x" if field.type in ("char", "text") else 1)

    def test_customer_reads_no_field_of_iused(self):
        by_model = self._fields_by_model(self.customer)
        self.assertLessEqual(READ_BY_CUSTOMERS | (READ_IN_A_SHOP - {"product.pricelist"}), by_model.keys())
        self.authenticate("customer", "customer")
        for model, fields in by_model.items():
            self.assertFalse({*fields} & self._rpc(model, "fields_get").keys(), model)
            for field in fields:
                with self.subTest(model=model, field=field):
                    self.assertForbidden(model, "search_read", [], [field], limit=1)
                    self.assertForbidden(model, "search_count", [self._question(self.env[model]._fields[field])])

    def test_customer_reads_no_field_of_iused_by_a_key(self):
        key = self.env["res.users.apikeys"].with_user(self.customer).sudo()._generate("rpc", "mine", None)
        headers = {"Authorization": f"Bearer {key}"}
        self.env.flush_all()
        for model, fields in self._fields_by_model(self.customer).items():
            with self.subTest(model=model), mute_logger("odoo.http"):
                body = {"domain": [], "fields": fields}
                answer = self.url_open(f"/json/2/{model}/search_read", json=body, headers=headers)
                self.assertEqual(answer.status_code, 403, answer.text)
        answer = self.url_open(
            "/json/2/res.company/search_read", json={"domain": [], "fields": ["name"]}, headers=headers
        )
        self.assertEqual((answer.status_code, len(answer.json())), (200, 1))

    def test_customer_guesses_no_field_of_iused_through_others(self):
        self.authenticate("customer", "customer")
        for model, path in (
            ("sale.order", "company_id.iused_stock_buffer"),
            ("sale.order", "order_line.product_id.iused_purchase_price"),
            ("sale.order.line", "product_id.iused_consumer_price"),
            ("sale.order.line", "product_template_id.iused_offered"),
            ("sale.order.line", "order_id.iused_reference"),
            ("stock.picking", "sale_id.iused_lines_digest"),
        ):
            with self.subTest(path=path):
                self.assertForbidden(model, "search_count", [(path, "!=", False)])

    def test_visitor_reads_no_field_of_iused(self):
        by_model = self._fields_by_model(self.visitor)
        self.assertLessEqual({"res.company", "product.template", "product.product"}, by_model.keys())
        for name, fields in by_model.items():
            model = self.env[name].with_user(self.visitor)
            for field in fields:
                with self.subTest(model=name, field=field), self.assertRaises(AccessError):
                    model.search([], limit=1).read([field])

    def test_customer_sees_orders_and_company_as_ever(self):
        self.authenticate("customer", "customer")
        self.assertEqual(self._rpc("sale.order", "name_search", self.order.name)[0][0], self.order.id)
        self.assertEqual(self._rpc("sale.order", "name_search", self.order.iused_reference), [])
        self.assertEqual(self._rpc("res.company", "read", self.company.ids, ["name"])[0]["name"], self.company.name)
        name = self.phone.name
        self.assertEqual(self._rpc("product.product", "read", self.phone.ids, ["name"])[0]["name"], name)
        for page in ("/my/home", "/my/orders", f"/my/orders/{self.order.id}"):
            answer = self.url_open(page)
            self.assertEqual(answer.status_code, 200, page)
        self.assertIn(self.order.name, answer.text)

    def test_colleagues_read_them_all_the_same(self):
        for name, fields in self._fields_by_model(self.employee).items():
            model = self.env[name].with_user(self.employee)
            told = model.fields_get()
            for field in fields:
                if model._fields[field].groups != NO_ACCESS:
                    self.assertIn(field, told, name)
        product = self.phone.with_user(self.employee)
        self.assertEqual((product.iused_purchase_price, product.product_tmpl_id.iused_stock), (199, 1))
        self.assertEqual(self.company.with_user(self.employee).iused_grouping, "device")

    def test_goods_that_a_customer_moves_himself_are_quiet_as_ever(self):
        """A subcontractor works in the portal: what Odoo asks then is asked as him."""
        self.assertEqual(self.picking.with_user(self.customer)._iused_quiet(), self.picking)


@tagged("post_install", "-at_install")
class TestColleagues(RpcCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.phone = cls._make_phone("PHONE", 3)
        cls.order = cls._receive(cls._make_order(cls.phone))
        cls.update = cls._deliver(cls.order).iused_update_ids
        cls.exchange = cls.env["iused.exchange"]._create_push(
            cls.company,
            {
                "method": "POST",
                "path": "/iused/v1/orders",
                "request_body": "consumer@example.com",
                "answer_body": "{}",
                "state": "refused",
                "order_id": cls.order.id,
            },
        )
        cls.seller = cls._new_user("seller", "sales_team.group_sale_salesman")
        cls.packer = cls._new_user("packer", "stock.group_stock_user", "base.group_allow_export")
        cls.employee = cls._new_user("employee")

    def test_nobody_keeps_a_trouble_from_being_told(self):
        """The key of an activity says that its trouble is told: whoever writes it silences that."""
        self.authenticate("employee", "employee")
        values = {"summary": "x", "user_id": self.employee.id}
        activity_id = self._rpc("mail.activity", "create", values)
        self.assertIsInstance(activity_id, int)
        key = {"iused_key": "refused some-cause"}
        self.assertForbidden("mail.activity", "create", {**values, **key})
        self.assertForbidden("mail.activity", "write", [activity_id], key)
        told = (
            self.env["iused.trouble"]
            .with_user(self.packer)
            ._tell("refused", self.exchange, lambda _env: ("Refused", "It was refused."), about="some-cause")
        )
        self.assertEqual((told.res_id, told.user_id), (self.exchange.id, self.company._iused_responsible()))
        self.assertEqual(told.sudo().iused_key, "refused some-cause")

    def test_bodies_are_for_managers_whatever_way_they_are_asked_for(self):
        self.authenticate("packer", "packer")
        wanted = "consumer@example.com"
        for method, args in (
            ("read", (self.exchange.ids, ["request_body"])),
            ("search_count", ([("request_body", "like", wanted)],)),
            ("search_read", ([], ["request_pretty"])),
            ("export_data", (self.exchange.ids, ["request_body"])),
            ("formatted_read_group", ([], ["request_body"])),
        ):
            with self.subTest(method=method):
                self.assertForbidden("iused.exchange", method, *args)
        self.assertForbidden("iused.shipment.update", "search_count", [("exchange_ids.request_body", "like", wanted)])
        self.assertForbidden("iused.shipment.update", "search_count", [("body", "like", "3SABC123")])
        answer = self.url_open(f"/web/content/iused.exchange/{self.exchange.id}/request_body")
        self.assertNotIn(wanted, answer.text)

    def test_whoever_reads_a_log_neither_writes_nor_attaches_nor_posts(self):
        for login in ("packer", "seller", "employee"):
            self.authenticate(login, login)
            for record in (self.update, self.exchange):
                with self.subTest(user=login, record=record):
                    attachment = {"name": "x", "raw": "x", "res_model": record._name, "res_id": record.id}
                    self.assertForbidden(record._name, "write", record.ids, {"company_id": self.company.id})
                    self.assertForbidden(record._name, "unlink", record.ids)
                    self.assertForbidden(record._name, "copy", record.ids)
                    self.assertForbidden(record._name, "create", {"order_id": self.order.id})
                    self.assertForbidden("ir.attachment", "create", attachment)
                    self.assertForbidden(record._name, "onchange", record.ids, {}, [], {"display_name": {}})
            self.assertForbidden("iused.exchange", "message_post", self.exchange.ids, body="Nothing was refused.")
            self.assertForbidden("iused.exchange", "message_subscribe", self.exchange.ids, self.company.partner_id.ids)

    def test_plain_employee_does_nothing_by_our_methods(self):
        """Every method without an underscore can be called, whatever the screens offer."""
        self.env["iused.sftp.location"].create({"company_id": self.company.id})
        for model in ("iused.mapping.test", "iused.invoice.period", "iused.statement.period", "iused.erase.consumer"):
            self.env[model].create({})
        self.env["iused.shipment.serial"].create({"update_id": self.update.id, "serial_number": "x"})
        self.env["portal.wizard"].create({"partner_ids": self.iused_partner.ids})
        self.authenticate("employee", "employee")
        refusals = ("odoo.exceptions.AccessError", "odoo.exceptions.AccessDenied")
        called = set()
        for model, method in self._public_methods():
            table = self.env[model].sudo()
            args = [] if getattr(getattr(table, method), "_api_model", False) else [table.search([], limit=1).ids]
            wanted = inspect.signature(getattr(table, method)).parameters.values()
            args += ["settings" if method == "open_door" else "" for each in wanted if each.default is each.empty]
            with self.subTest(model=model, method=method):
                result = self._rpc(model, method, *args)
                if isinstance(result, dict):  # a list to look at, or the question for one's password
                    self.assertEqual(result["type"], "ir.actions.act_window")
                else:
                    self.assertIn(result, refusals)
            called.add(method)
        self.assertLessEqual(
            {"get_overview", "action_drop", "action_iused_offer", "action_iused_forget_webhook"}, called
        )

    def test_trusted_devices_are_read_as_ever(self):
        """Odoo keeps them in a table of their own with the fields of keys, and ours."""
        devices = self.env["auth_totp.device"].with_user(self.employee)
        devices.sudo()._generate("browser", "a browser", None)
        self.assertEqual(devices.search([]).read(["name", "iused_last_use"])[0]["iused_last_use"], False)

    def _public_methods(self):
        """Yield model and name of each method of ours that can be called from outside, where it is first defined."""
        known = {*dir(self.env["base"]), *dir(self.env["mail.thread"]), "signup_get_auth_param"}
        for name, model in self.env.registry.models.items():
            for cls in model.mro():
                if cls.__module__.startswith("odoo.addons.sale_iused"):
                    for method, value in vars(cls).items():
                        if callable(value) and not method.startswith("_") and method not in known:
                            yield name, method


class CompaniesCase(RpcCase):
    """Two companies that both sell by iUsed, each with people of its own."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.other = cls._make_company("Other refurbisher")
        cls.env.user.company_ids |= cls.other
        cls.other_key = cls._make_key(cls.other)
        cls.other._iused_ensure_partner()
        cls.stranger = cls._new_user(
            "stranger", "sales_team.group_sale_manager", "stock.group_stock_manager", company=cls.other
        )
        cls.phone = cls._make_phone("PHONE", 3)
        cls.order = cls._receive(cls._make_order(cls.phone))

    @property
    def theirs(self):
        return self.env(context={**self.env.context, "allowed_company_ids": self.other.ids})


@tagged("post_install", "-at_install")
class TestWhatCompaniesSee(CompaniesCase):
    def test_device_that_another_company_told_of_is_not_told(self):
        """Its lot may be shared, when a company sells to the other one; the order is not."""
        serial = self._deliver(self.order).move_line_ids.lot_id.name
        stock = self.theirs["stock.warehouse"].search([("company_id", "=", self.other.id)], limit=1).lot_stock_id
        phone = self._make_phone("PHONE", company_id=self.other.id)
        lot = self.theirs["stock.lot"].create({"name": serial, "product_id": phone.id, "company_id": self.other.id})
        self.theirs["stock.quant"]._update_available_quantity(phone.with_env(self.theirs), stock, 1, lot_id=lot)
        phone.with_company(self.other).write(
            {"iused_offered": True, "iused_purchase_price": 199, "iused_consumer_price": 249}
        )
        answer = self._push(self._make_order(phone), key=self.other_key)
        self.assertEqual(answer.status_code, 201, answer.text)
        order = self.theirs["sale.order"].search([("company_id", "=", self.other.id)])
        self.assertEqual(order.picking_ids.move_line_ids.lot_id, lot)
        warning = order.picking_ids.with_user(self.stranger).iused_warning
        self.assertIn("tracking reference", warning)
        self.assertNotIn(self.order.name, warning)
        self.assertNotIn(serial, warning)

    def test_rows_of_a_company_are_hidden_from_others(self):
        self._return(self._deliver(self.order))
        self.env["iused.erasure"].create({"company_id": self.company.id, "reason": "request"})
        self._push({"order_id": "IU-FAULTY"})
        self.env["iused.trouble"]._begin(self.company, "no_order", "None came.")
        self.env["iused.sftp.location"].create({"company_id": self.company.id})
        self.env["iused.field.mapping"].create({"company_id": self.company.id, "field": "order_id", "path": "number"})
        admin = self._new_user("their admin", "base.group_system", "sales_team.group_sale_manager", company=self.other)
        models = [
            model
            for name, model in self.env.items()
            if name.startswith("iused.")
            and not model._abstract
            and not model._transient
            and "company_id" in model._fields
        ]
        self.assertGreaterEqual(len(models), 5)
        for model in models:
            rows = model.sudo().search([("company_id", "=", self.company.id)])
            for user in (self.stranger, admin):
                with self.subTest(model=model._name, user=user.name):
                    self.assertTrue(rows)
                    as_user = model.with_user(user).with_context(allowed_company_ids=self.other.ids)
                    if as_user.has_access("read"):
                        self.assertFalse(as_user.search([]) & rows)
                    self.assertFalse(rows.with_env(as_user.env)._filtered_access("read"))

    def test_form_of_the_wizard_names_no_shipment_update_of_another_company(self):
        update = self._deliver(self.order).iused_update_ids
        shown = {"update_id": {"fields": {"display_name": {}}}, "pieces": {}}
        context = {"default_update_id": update.id}
        self.authenticate("stranger", "stranger")
        self.assertForbidden("iused.shipment.serial", "onchange", [], {"update_id": update.id}, ["update_id"], shown)
        self.assertForbidden("iused.shipment.serial", "onchange", [], {}, [], shown, context=context)
        self._new_user("packer", "stock.group_stock_user")
        self.authenticate("packer", "packer")
        form = self._rpc("iused.shipment.serial", "onchange", [], {}, [], shown, context=context)["value"]
        self.assertEqual((form["update_id"]["id"], form["pieces"]), (update.id, 1))

    def test_names_are_looked_up_in_the_own_company(self):
        self.authenticate("stranger", "stranger")
        for model, name in (("sale.order", self.order.iused_reference), ("sale.order", self.order.name)):
            self.assertEqual(self._rpc(model, "name_search", name), [])
        self.assertEqual(self._rpc("stock.picking", "search_count", [("iused_reference", "!=", False)]), 0)

    def test_overview_is_of_the_chosen_company(self):
        self._push({"order_id": "IU-FAULTY"})
        self.authenticate("stranger", "stranger")
        page = self._rpc("iused.overview", "get_overview")
        self.assertEqual(page["company"], self.other.name)
        self.assertNotIn(self.order.name, str(page))
        for count in page["counts"]:
            self.assertEqual(count["value"], 0, count)
        # Whoever asks for a company that is not theirs is refused, and not given another.
        context = {"allowed_company_ids": self.company.ids}
        self.assertForbidden("iused.overview", "get_overview", context=context)

    def test_share_page_is_for_people_of_the_company(self):
        self.authenticate("stranger", "stranger")
        for path, status in ((self.company.id, 403), (self.other.id, 200)):
            for suffix in ("", "/openapi.json"):
                self.assertEqual(self.url_open(f"/iused/share/{path}{suffix}").status_code, status)


@tagged("post_install", "-at_install")
class TestWhatReachesCompanies(CompaniesCase):
    def test_key_finds_and_cancels_orders_of_its_company_alone(self):
        reference = self.order.iused_reference
        self.assertEqual(self._call("GET", f"/orders/{reference}").status_code, 200)
        self.assertProblem(self._call("GET", f"/orders/{reference}", key=self.other_key), 404)
        cancellation = {"order_id": reference, "status": "cancelled"}
        self.assertProblem(self._push(cancellation, key=self.other_key), 404)
        self.assertEqual(self.order.state, "sale")

    def test_same_reference_in_two_companies_is_two_orders(self):
        """Also where both have the same contact as customer."""
        self.iused_partner.company_id = False
        self.other.iused_partner_id = self.iused_partner
        phone = self._make_phone("PHONE", company_id=self.other.id)
        phone.with_company(self.other).write(
            {"iused_offered": True, "iused_purchase_price": 99, "iused_consumer_price": 149}
        )
        document = self._make_order(phone, order_id=self.order.iused_reference)
        document["lines"][0]["price"] = 99
        answer = self._push(document, key=self.other_key)
        self.assertEqual(answer.status_code, 201, answer.text)
        orders = self.env["sale.order"].sudo().search([("iused_reference", "=", self.order.iused_reference)])
        theirs = orders - self.order
        self.assertEqual((theirs.company_id, theirs.partner_id), (self.other, self.iused_partner))
        self.assertEqual(theirs.partner_shipping_id.company_id, self.other)
        self.assertNotEqual(theirs.partner_shipping_id, self.order.partner_shipping_id)
        cancellation = {"order_id": self.order.iused_reference, "status": "cancelled"}
        self.assertEqual(self._push(cancellation, key=self.other_key).status_code, 200)
        self.assertEqual((self.order.state, theirs.state), ("sale", "cancel"))

    def test_branch_and_company_have_keys_and_orders_of_their_own(self):
        branch = self.env["res.company"].create(
            {"name": "Branch", "parent_id": self.company.id, "currency_id": self.company.currency_id.id}
        )
        self.env.user.company_ids |= branch
        key = self._make_key(branch)
        self.assertProblem(self._call("GET", f"/orders/{self.order.iused_reference}", key=key), 404)
        self.assertEqual(self._call("GET", "/offers", key=key).json(), [])
        manager = self._new_user("manager of the branch", "sales_team.group_sale_manager", company=branch)
        self.assertEqual(self._push({"order_id": "IU-FAULTY"}).status_code, 422)
        exchanges = self.env["iused.exchange"].with_context(allowed_company_ids=branch.ids)
        self.assertTrue(exchanges.sudo().search([("company_id", "=", self.company.id)]))
        self.assertFalse(exchanges.with_user(manager).search([("company_id", "=", self.company.id)]))

    def test_settings_take_nothing_of_another_company(self):
        theirs = self.other.id
        for field, record in (
            ("iused_partner_id", self.env["res.partner"].create({"name": "iUsed", "company_id": theirs})),
            ("iused_purchase_pricelist_id", self.env["product.pricelist"].create({"name": "x", "company_id": theirs})),
            ("iused_consumer_pricelist_id", self.env["product.pricelist"].create({"name": "x", "company_id": theirs})),
            ("iused_team_id", self.env["crm.team"].create({"name": "x", "company_id": theirs})),
            (
                "iused_carrier_id",
                self.env["delivery.carrier"].create(
                    {
                        "name": "x",
                        "company_id": theirs,
                        "product_id": self.env["product.product"].create({"name": "x", "type": "service"}).id,
                    }
                ),
            ),
            ("iused_warehouse_ids", self.env["stock.warehouse"].search([("company_id", "=", theirs)], limit=1)),
            ("iused_user_id", self.other.iused_user_id),
        ):
            with self.subTest(field=field), self.assertRaises(UserError), self.env.cr.savepoint():
                self.company.write({field: [Command.set(record.ids)] if field.endswith("ids") else record.id})
            with self.subTest(field=field):
                record.sudo().write({"active": True})  # as it was
                self.other.write({field: [Command.set(record.ids)] if field.endswith("ids") else record.id})

    def test_who_works_for_another_company_is_told_nothing(self):
        """Somebody who was chosen, and has lost the access since."""
        manager = self._new_user("manager", "sales_team.group_sale_manager")
        leaver = self._new_user("leaver", "sales_team.group_sale_manager")
        self.company.write({"iused_responsible_id": leaver.id, "iused_salesperson_id": leaver.id})
        self.assertEqual(self.company._iused_responsible(), leaver)
        leaver.write({"company_ids": [Command.set(self.other.ids)], "company_id": self.other.id})
        self.assertEqual(self.company._iused_responsible(), manager)
        order = self._receive(self._make_order(self.phone))
        self.assertNotEqual(order.user_id, leaver)
        self._push({"order_id": "IU-FAULTY"})
        activities = self.env["mail.activity"].search([("res_model", "=", "iused.exchange")])
        self.assertEqual(activities.user_id, manager)
        self.assertNotIn(leaver.partner_id, activities.mapped("user_id.partner_id") + order.message_partner_ids)
