"""What a thief of a key, a colleague or a visitor may try, and does not achieve."""

from odoo.exceptions import AccessDenied, AccessError, UserError
from odoo.tests import tagged
from odoo.tools import SQL, mute_logger

from ..const import KEY_SCOPE
from .common import IusedHttpCase


@tagged("post_install", "-at_install")
class TestKeys(IusedHttpCase):
    def test_key_without_scope_opens_nothing(self):
        """Odoo takes it for every scope; but it is not listed among the tokens, nor revoked with them."""
        keys = self.env["res.users.apikeys"].with_user(self.iused_user).sudo()
        for scope, status in ((None, 401), ("rpc", 401), (KEY_SCOPE, 200)):
            with self.subTest(scope=scope):
                self.assertEqual(
                    self._call("GET", "/offers", key=keys._generate(scope, "a key", None)).status_code, status
                )

    def test_key_of_a_colleague_who_was_made_iuseds_user_opens_nothing(self):
        colleague = self._new_user("colleague", "sales_team.group_sale_manager")
        # As could be chosen once.
        self.env.execute_query(
            SQL("UPDATE res_company SET iused_user_id = %s WHERE id = %s RETURNING id", colleague.id, self.company.id)
        )
        self.company.invalidate_recordset()
        key = self.env["res.users.apikeys"].with_user(colleague).sudo()._generate(KEY_SCOPE, "a key", None)
        self.assertProblem(self._call("GET", "/offers", key=key), 401)


@tagged("post_install", "-at_install")
class TestAnswers(IusedHttpCase):
    def test_nobody_on_the_way_keeps_an_answer_about_orders(self):
        order = self._make_order(self._make_phone("PHONE", 1))
        for method, path, data, status in (
            ("POST", "/orders", order, 201),
            ("GET", f"/orders/{order['order_id']}", None, 200),
            ("GET", "/orders/unknown", None, 404),
            ("GET", "/openapi.json", None, 200),
            ("POST", "/orders", {}, 422),
        ):
            with self.subTest(path=path, status=status):
                answer = self._call(method, path, data=data)
                self.assertEqual((answer.status_code, answer.headers["Cache-Control"]), (status, "no-store"))
        self.assertEqual(self._call("GET", "/orders/x", key="wrong").headers["Cache-Control"], "no-store")
        self.assertEqual(self._call("GET", "/offers").headers["Cache-Control"], "private, no-cache")


@tagged("post_install", "-at_install")
class TestIusedsUser(IusedHttpCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.colleague = cls._new_user("colleague", "base.group_partner_manager")
        cls.contact = cls.iused_user.partner_id

    def _open_wizard(self, contact):
        wizard = self.env["portal.wizard"].with_user(self.colleague).create({"partner_ids": contact.ids})
        return wizard.user_ids

    def test_colleague_can_neither_take_nor_give_nor_renew_its_access(self):
        self.contact.with_user(self.colleague).email = "thief@example.com"
        for contact in (self.contact, self.iused_partner):
            row = self._open_wizard(contact)
            row.email = "thief@example.com"
            for action in ("action_revoke_access", "action_grant_access", "action_invite_again"):
                with (
                    self.subTest(contact=contact.name, action=action),
                    self.assertRaisesRegex(UserError, "stands for iUsed"),
                ):
                    getattr(row, action)()
        self.assertTrue(self.iused_user.active)
        self.assertFalse(self.iused_partner.user_ids)
        self.assertEqual(self._call("GET", "/offers").status_code, 200)

    def test_other_contacts_keep_theirs(self):
        contact = self.env["res.partner"].create({"name": "Customer", "email": "customer@example.com"})
        self._open_wizard(contact).action_grant_access()
        self.assertTrue(contact.user_ids._is_portal())

    def test_nobody_logs_in_as_it(self):
        self.iused_user.password = "known-to-a-thief"
        env = {"interactive": True, "base_location": "", "HTTP_HOST": "", "REMOTE_ADDR": ""}
        for credential in (
            {"type": "password", "login": self.iused_user.login, "password": "known-to-a-thief"},
            {"type": "password", "login": self.iused_user.login, "password": self.key},
        ):
            for interactive in (True, False):
                with (
                    self.subTest(credential=credential, interactive=interactive),
                    self.assertRaises(AccessDenied),
                    mute_logger("odoo.addons.base.models.res_users"),
                ):
                    self.env["res.users"].authenticate(credential, {**env, "interactive": interactive})

    def test_nobody_is_invited_to_set_its_password(self):
        self.contact.email = "thief@example.com"
        mails = self.env["mail.mail"].search([])
        self.env["res.users"].sudo().reset_password(self.iused_user.login)
        self.assertFalse(self.env["mail.mail"].search([]) - mails)
        self.contact.signup_prepare()
        self.assertFalse(self.contact.signup_type)
        self.iused_partner.signup_prepare()
        self.assertFalse(self.iused_partner.signup_type)


@tagged("post_install", "-at_install")
class TestOtherCompanies(IusedHttpCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.other = cls._make_company("Other refurbisher")
        cls.stranger = cls._new_user("stranger", "stock.group_stock_manager", company=cls.other)
        cls.update = cls._deliver(cls._receive(cls._make_order(cls._make_phone("PHONE", 1)))).iused_update_ids

    def test_shipment_update_of_another_company_is_not_read_through_the_wizard(self):
        wizard = self.env["iused.shipment.serial"].with_user(self.stranger).with_company(self.other)
        with self.assertRaises(AccessError):
            wizard.create({"update_id": self.update.id, "serial_number": "x"})
        ours = self.env["iused.shipment.serial"].create({"update_id": self.update.id, "serial_number": "x"})
        self.assertEqual(ours.pieces, 1)

    def test_sample_tried_from_another_company_does_not_change_what_pushes_are_read_by(self):
        admin = self._new_user("admin of both", "base.group_system", company=self.other)
        admin.company_ids |= self.company
        self.env["iused.field.mapping"].create(
            {"company_id": self.company.id, "field": "order_id", "path": "strange.place"}
        )
        self.env.registry.clear_cache()
        test = self.env["iused.mapping.test"].with_user(admin).with_company(self.other)
        test = test.with_context(allowed_company_ids=self.other.ids)
        test.create({"company_id": self.company.id, "sample": "{}"}).action_explain()
        paths = self.env["iused.field.mapping"].sudo()._paths(self.company)
        self.assertEqual(paths, {"order_id": ["strange.place"]})
