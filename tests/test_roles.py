"""Each kind of user opens each screen that the menus offer, and none of the others."""

from lxml import etree

from odoo.exceptions import AccessError
from odoo.tests import tagged
from odoo.tests.common import Form

from .common import IusedCase

# What a person sees of the app, by the xml ids of the menus.
RETURNS = {"return_report", "returns"}
USER = RETURNS | {"shipment_updates", "exchanges"}
SALES = USER | {"offers", "orders", "return_desk"}
USERS = {
    "seller": (("sales_team.group_sale_salesman",), SALES),
    "sales manager": (("sales_team.group_sale_manager",), SALES | {"share", "return_reasons"}),
    # Odoo's own delivery form needs the second group where carriers have zip prefixes.
    "stock user": (("stock.group_stock_user", "base.group_partner_manager"), USER | {"return_desk"}),
    "iused user": (("sale_iused.group_iused_user",), USER),
    "iused manager": (("sale_iused.group_iused_manager",), USER | {"share", "return_reasons"}),
    "accountant": (("account.group_account_invoice",), RETURNS | {"to_invoice"}),
    "auditor": (("account.group_account_readonly",), RETURNS),
    "employee": ((), set()),
    "administrator": (
        ("base.group_system", "sales_team.group_sale_manager", "stock.group_stock_manager"),
        SALES | {"share", "settings", "return_reasons"},
    ),
}


@tagged("post_install", "-at_install")
class TestRoles(IusedCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.users = {name: cls._new_user(name, *groups) for name, (groups, _menus) in USERS.items()}
        cls.phone = cls._make_phone("PHONE", 2)
        cls.order = cls._receive(cls._make_order(cls.phone))
        cls.picking = cls._deliver(cls.order)
        cls.update = cls.picking.iused_update_ids
        cls.invoice = cls._make_invoice(cls.order)
        cls._return(cls._deliver(cls._receive(cls._make_order(cls.phone))))
        cls.exchange = cls.env["iused.exchange"].create(
            {
                "company_id": cls.company.id,
                "kind": "order",
                "direction": "in",
                "method": "POST",
                "path": "/iused/v1/orders",
                "request_body": "{}",
            }
        )
        cls.env["iused.erasure"].sudo().create({"company_id": cls.company.id, "reason": "age"})

    @classmethod
    def _make_invoice(cls, order):
        """Return the invoice of an order; the company has no chart of accounts yet."""
        accounts = cls.env["account.account"].create(
            [
                {"name": kind, "code": code, "account_type": kind}
                for kind, code in (("income", "800000"), ("asset_receivable", "130000"))
            ]
        )
        cls.env["account.journal"].create(
            {"name": "Sales", "code": "SAL", "type": "sale", "default_account_id": accounts[0].id}
        )
        order.partner_id.property_account_receivable_id = accounts[1]
        return order._create_invoices()

    def _menus(self, user):
        """Return the menus of the app that a user sees, by their name in the xml id."""
        menus = self.env["ir.ui.menu"].with_user(user)
        root = self.env.ref("sale_iused.menu_iused_root")
        visible = menus.browse(menus._visible_menu_ids())
        inner = visible.filtered(lambda menu: menu.action and menu.parent_path.startswith(root.parent_path))
        names = {menu: menu.sudo().get_external_id()[menu.id] for menu in inner}
        return {name.removeprefix("sale_iused.menu_iused_"): menu for menu, name in names.items()}

    def _open(self, action, env):
        """Load every view of an action as the web client does, and read what they show.

        :return: the records that the first view shows
        """
        model = env[action.res_model].with_context(allowed_company_ids=self.company.ids)
        kinds = action.view_mode.split(",")
        views = model.get_views([(False, kind) for kind in [*kinds, "search"]], {"action_id": action.id})["views"]
        for kind in kinds:
            names = {
                name: {"fields": {"display_name": {}}} if model._fields[name].type == "many2one" else {}
                for name in self._names(views[kind]["arch"], model)
            }
            records = model.web_search_read([], names, limit=5)["records"]
        return records

    def _names(self, arch, model):
        """Return the fields that a view shows, those of the lists in it left out."""
        tree = etree.fromstring(arch)
        return {
            node.get("name")
            for node in tree.iter("field")
            if node.get("name") in model._fields and not any(a.tag == "field" for a in node.iterancestors())
        }

    def test_each_user_sees_the_menus_of_the_role(self):
        for name, (_groups, expected) in USERS.items():
            with self.subTest(user=name):
                menus = set(self._menus(self.users[name]))
                self.assertLessEqual(expected, menus)
                self.assertFalse((SALES | {"share", "settings", "return_reasons"}) - expected & menus)
                if not expected:
                    self.assertFalse(menus)

    def test_each_user_opens_all_that_the_menus_offer(self):
        for name, user in self.users.items():
            for menu_name, menu in self._menus(user).items():
                if menu.action._name == "ir.actions.act_window":
                    with self.subTest(user=name, menu=menu_name):
                        records = self._open(menu.action.sudo(), self.env(user=user))
                        self.assertTrue(records or menu_name in ("settings", "statement"))

    def test_settings_open_for_administrators(self):
        self.assertTrue(Form(self.env["res.config.settings"].with_user(self.users["administrator"])))
        for name in ("sales manager", "iused manager"):
            with self.subTest(user=name), self.assertRaises(AccessError):
                self.env["res.config.settings"].with_user(self.users[name]).create({}).execute()

    def test_ordinary_lists_open_for_everybody_who_had_them(self):
        for action, names in (
            ("sale.action_orders", {"seller", "sales manager", "administrator"}),
            ("stock.action_picking_tree_all", {"stock user", "administrator"}),
            ("sale.product_template_action", {"seller", "stock user", "accountant", "employee", "administrator"}),
            ("product.product_normal_action_sell", {"seller", "stock user", "accountant", "administrator"}),
            ("base.action_partner_form", set(USERS)),
            ("account.action_move_out_invoice_type", {"accountant"}),
        ):
            for name in names:
                with self.subTest(action=action, user=name):
                    self.assertTrue(self._open(self.env.ref(action).sudo(), self.env(user=self.users[name])))

    def test_ordinary_forms_open_for_everybody_who_had_them(self):
        documents = [
            (self.order, {"seller", "sales manager", "administrator"}),
            (self.picking, {"stock user", "administrator"}),
            (self.update, {"seller", "sales manager", "administrator", "stock user", "iused user", "iused manager"}),
            (self.exchange, {"seller", "sales manager", "administrator", "stock user", "iused user", "iused manager"}),
            (self.phone, set(USERS)),
            (self.phone.product_tmpl_id, set(USERS)),
            (self.order.partner_id, set(USERS)),
            (self.order.partner_shipping_id, set(USERS)),
            (self.invoice, {"accountant"}),
        ]
        for record, names in documents:
            for name in names:
                with self.subTest(user=name, model=record._name):
                    self.assertTrue(Form(record.with_user(self.users[name])).id)

    def test_bodies_are_for_managers(self):
        for name, allowed in (
            ("seller", False),
            ("stock user", False),
            ("iused manager", True),
            ("sales manager", True),
        ):
            exchange = self.exchange.with_user(self.users[name])
            with self.subTest(user=name):
                self.assertEqual("request_body" in exchange.fields_get(), allowed)
                if allowed:
                    self.assertEqual(exchange.request_body, "{}")
                else:
                    with self.assertRaises(AccessError):
                        exchange.read(["request_body"])

    def test_who_may_ask_for_what(self):
        """Of each method: who may call it. The others are refused, whatever the screen shows."""
        staff = {"seller", "sales manager", "stock user", "iused user", "iused manager", "administrator"}
        managers = {"sales manager", "iused manager", "administrator"}
        for record, method, allowed in (
            (self.update, "action_send_now", staff),
            (self.update, "action_drop", staff),
            (self.company, "action_iused_resume_sending", managers),
            (self.env["iused.connection"], "action_share", managers),
        ):
            for name, user in self.users.items():
                with self.subTest(method=method, user=name):
                    if name in allowed:
                        getattr(record.with_user(user), method)()
                    else:
                        with self.assertRaises(AccessError):
                            getattr(record.with_user(user), method)()

    def test_only_managers_process_again(self):
        for name in ("seller", "stock user", "iused user", "accountant", "employee"):
            with self.subTest(user=name), self.assertRaises(AccessError):
                self.exchange.with_user(self.users[name]).action_process_again()

    def test_manager_resumes_sending_from_the_updates(self):
        self.company.sudo()._iused_stop_sending("HTTP 403", self.company._iused_webhook_address())
        action = self.env.ref("sale_iused.iused_resume_sending_action")
        context = {"active_model": "iused.shipment.update", "active_ids": self.update.ids, "active_id": self.update.id}
        with self.assertRaises(AccessError):
            action.with_user(self.users["seller"]).with_context(**context).run()
        self.assertTrue(self.company.iused_sending_stopped)
        action.with_user(self.users["iused manager"]).with_context(**context).run()
        self.assertFalse(self.company.iused_sending_stopped)

    def test_manager_resumes_no_company_that_is_not_his(self):
        other = self._make_company("Other refurbisher")
        with self.assertRaises(AccessError):
            other.with_user(self.users["iused manager"]).action_iused_resume_sending()

    def test_others_reach_nothing_of_iused(self):
        for name in ("accountant", "employee"):
            for model in ("iused.shipment.update", "iused.exchange", "iused.sftp.location", "iused.field.mapping"):
                with self.subTest(user=name, model=model), self.assertRaises(AccessError):
                    self.env[model].with_user(self.users[name]).search([])

    def test_another_company_sees_nothing_of_this_one(self):
        other = self._make_company("Other refurbisher")
        for number, (name, (groups, menus)) in enumerate(USERS.items()):
            if "exchanges" not in menus:
                continue
            user = self._new_user(f"other {number}", *groups, company=other)
            for record in (self.update, self.exchange):
                record = record.with_context(allowed_company_ids=other.ids)
                with self.subTest(user=name, model=record._name):
                    self.assertFalse(record.with_user(user).search([]))
                    with self.assertRaises(AccessError):
                        record.with_user(user).read(["create_date"])

    def test_privilege_is_held_by_those_who_sell_or_ship(self):
        for name, user_too, manager_too in (
            ("seller", True, False),
            ("stock user", True, False),
            ("sales manager", True, True),
            ("accountant", False, False),
        ):
            user = self.users[name]
            with self.subTest(user=name):
                self.assertEqual(user.has_group("sale_iused.group_iused_user"), user_too)
                self.assertEqual(user.has_group("sale_iused.group_iused_manager"), manager_too)
