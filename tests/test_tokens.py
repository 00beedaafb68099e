"""A new access token works, whatever became of iUsed's user before; and nobody else's user is taken over."""

from odoo import Command
from odoo.tests import tagged
from odoo.tools import SQL

from ..const import KEY_SCOPE
from ..hooks import uninstall_hook
from .common import IusedHttpCase


@tagged("post_install", "-at_install")
class TestTokens(IusedHttpCase):
    def _make_token(self):
        wizard = self.env["iused.token.new"].create({})
        # The password that Odoo asks for first is its own matter.
        return type(wizard).action_make.__wrapped__(wizard)["context"]["default_key"]

    def _poll_status(self, key):
        return self._call("GET", "/offers", key=key).status_code

    def _user_with_our_login(self, also=(), **values):
        """Let somebody have the login that the iUsed user of a new company would get; return both.

        :param also: a company that the user belongs to besides
        """
        company = self._make_company(f"New refurbisher ({len(self.env['res.company'].search([]))})")
        self.env.user.write({"company_ids": [Command.link(company.id)], "company_id": company.id})
        user = self.env["res.users"].create(
            {
                "name": "Somebody",
                "login": f"iused-{company.id}",
                "company_id": company.id,
                "company_ids": [Command.set([company.id, *(other.id for other in also)])],
                "group_ids": [Command.set(self.env.ref("base.group_portal").ids)],
                **values,
            }
        )
        self.env = self.env(context={**self.env.context, "allowed_company_ids": company.ids})
        return company, user

    def test_token_after_the_addon_was_installed_again(self):
        uninstall_hook(self.env)
        self.assertFalse(self.iused_user.active)
        # Uninstalling takes the fields away, and installing brings empty ones.
        self.company.write({"iused_user_id": False, "iused_partner_id": False})
        key = self._make_token()
        self.assertEqual(self.company.iused_user_id, self.iused_user)
        self.assertTrue(self.iused_user.active)
        self.assertEqual(self._poll_status(key), 200)

    def test_token_after_the_user_was_cleared_in_the_settings(self):
        self.env["res.config.settings"].create({"iused_user_id": False}).execute()
        self.assertFalse(self.company.iused_user_id)
        self.assertEqual(self._poll_status(self._make_token()), 200)
        self.assertEqual(self._poll_status(self.key), 401, "what was taken away does not come back by itself")

    def test_token_of_an_archived_user(self):
        self.iused_user.active = False
        self.assertEqual(self._poll_status(self._make_token()), 200)
        self.assertEqual(self.company.iused_user_id, self.iused_user)
        self.assertEqual(self._poll_status(self.key), 401, "what was taken away does not come back by itself")

    def _user_from_before(self):
        """Return an employee who is the company's iUsed user, as could be chosen once."""
        employee = self._new_user("employee", "sales_team.group_sale_manager")
        self.env.execute_query(
            SQL("UPDATE res_company SET iused_user_id = %s WHERE id = %s RETURNING id", employee.id, self.company.id)
        )
        self.company.invalidate_recordset()
        return employee

    def test_token_where_an_employee_was_iuseds_user(self):
        self._user_from_before()
        self.assertEqual(self._poll_status(self._make_token()), 200)
        self.assertEqual(self.company.iused_user_id, self.iused_user)

    def test_archived_employee_does_not_come_back(self):
        employee = self._user_from_before()
        employee.active = False
        self.assertEqual(self._poll_status(self._make_token()), 200)
        self.assertFalse(employee.active)
        self.assertEqual(self.company.iused_user_id, self.iused_user)

    def test_second_token_leaves_the_first_one(self):
        self.assertEqual(self._poll_status(self._make_token()), 200)
        self.assertEqual(self._poll_status(self.key), 200)

    def test_somebody_elses_user_is_not_taken_over(self):
        employee = {"group_ids": [Command.set([self.env.ref("base.group_user").id])]}
        for name, values in (
            ("an employee", employee),
            ("a customer of the portal", {"password": "a password of theirs"}),
            ("a user of another company, too", {"also": self.company}),
            ("an archived employee", {**employee, "active": False}),
        ):
            with self.subTest(name):
                company, user = self._user_with_our_login(**values)
                was_active = user.active
                key = self._make_token()
                self.assertNotEqual(company.iused_user_id, user)
                self.assertEqual(company.iused_user_id.login, f"iused-{company.id}-2")
                self.assertEqual(user.active, was_active)
                self.assertEqual(self._poll_status(key), 200)

    def test_keys_that_a_user_had_before_it_was_ours_open_nothing(self):
        company, user = self._user_with_our_login()
        keys = self.env["res.users.apikeys"].with_user(user).sudo()
        old = [keys._generate(scope, "before", None) for scope in (None, KEY_SCOPE)]
        new = self._make_token()
        self.assertEqual(company.iused_user_id, user)
        self.assertEqual([self._poll_status(key) for key in (*old, new)], [401, 401, 200])
