"""Access tokens have a name and may have an end; they are told apart, replaced without a gap, and never end unseen."""

from datetime import date, datetime, timedelta

from odoo import fields
from odoo.exceptions import AccessError, UserError
from odoo.tests import freeze_time, tagged

from ..const import KEY_SCOPE
from .test_troubles_seen import TroublesCase


@tagged("post_install", "-at_install")
class TestTokenEnds(TroublesCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.admin = cls._new_user("an administrator", "base.group_system")

    def setUp(self):
        super().setUp()
        self.tokens = self.env["res.users.apikeys"].search([("user_id", "=", self.iused_user.id)])
        self.tokens.unlink()
        # As nobody revoked a token before.
        self.env["iused.change"].search([]).unlink()

    def _make(self, user=None, tz="Europe/Amsterdam", **values):
        """Make a token as an administrator does, after the password; return it and its key."""
        user = user or self.admin
        wizard = self.env["iused.token.new"].with_user(user).with_context(tz=tz).create(values)
        key = type(wizard).action_make.__wrapped__(wizard)["context"]["default_key"]
        return self.env["res.users.apikeys"].search([], order="id desc", limit=1), key

    def _set(self, token, **hours):
        """Let columns of a token be moments so many hours from now."""
        for column, number in hours.items():
            moment = number is not None and fields.Datetime.now() + timedelta(hours=number)
            self.env.cr.execute(f"UPDATE res_users_apikeys SET {column} = %s WHERE id = %s", [moment or None, token.id])
        self.env.invalidate_all()

    def _note(self):
        return next(row["note"] for row in self._page()["health"] if row["state"] == "trouble")

    # Making one ------------------------------------------------------------------------------------------------------

    def test_administrator_makes_one_without_end(self):
        """Odoo limits how long the keys of portal users and others last; of iUsed's user an administrator decides."""
        self.env.ref("base.group_portal").api_key_duration = 1
        token, key = self._make(name="Portal")
        self.assertEqual((token.name, token.user_id, token.expiration_date), ("Portal", self.iused_user, False))
        self.assertEqual(token.iused_made_by_id, self.admin)
        self.assertEqual(token._check_credentials(scope=KEY_SCOPE, key=key), self.iused_user.id)
        listed = self.env["res.config.settings"].with_user(self.admin).create({}).iused_token_ids
        self.assertEqual(listed.read(["name", "iused_made_by_id"])[0]["iused_made_by_id"][0], self.admin.id)

    def test_only_administrators_make_one(self):
        manager = self._new_user("manager of iUsed", "sale_iused.group_iused_manager")
        with self.assertRaises(AccessError):
            self._make(manager)
        with self.assertRaises(AccessError):
            self.env["res.config.settings"].with_user(manager).action_iused_make_token()

    def test_each_has_a_name_of_its_own(self):
        today = fields.Date.today()
        names = [self._make(tz="UTC")[0].name for _token in range(3)]
        self.assertEqual(names, [f"iUsed {today}", f"iUsed {today} (2)", f"iUsed {today} (3)"])
        for name in (names[1], names[1].upper(), f" {names[1]} ", " ", "two\nlines"):
            with self.subTest(name=name), self.assertRaises(UserError):
                self._make(name=name)
        other = self._make_company("Other refurbisher")
        self.admin.company_ids += other
        self.env = self.env(context={**self.env.context, "allowed_company_ids": other.ids})
        self.assertEqual(self._make(name=names[1])[0].user_id, other.iused_user_id)

    def test_last_day_is_valid_as_a_whole_where_the_administrator_is(self):
        for tz, day, last_second in (
            ("Europe/Amsterdam", date(2027, 1, 31), datetime(2027, 1, 31, 22, 59, 59)),
            ("Europe/Amsterdam", date(2027, 3, 28), datetime(2027, 3, 28, 21, 59, 59)),  # to summer time
            ("America/New_York", date(2027, 1, 31), datetime(2027, 2, 1, 4, 59, 59)),
        ):
            with self.subTest(tz=tz, day=day):
                token, _key = self._make(tz=tz, name=f"{tz} {day}", end_date=day)
                self.assertEqual(token.expiration_date, last_second)

    def test_end_is_today_or_later_and_no_slip(self):
        today = fields.Date.today()
        for day in (today - timedelta(days=2), today + timedelta(days=4_000), date(9999, 12, 31)):
            with self.subTest(day=day), self.assertRaises(UserError):
                self._make(tz="UTC", end_date=day)
        _token, key = self._make(tz="UTC", end_date=today)
        self.assertTrue(self.tokens._check_credentials(scope=KEY_SCOPE, key=key))

    def test_two_are_valid_at_a_time(self):
        _first, key = self._make()
        self.assertFalse(self.env["iused.token.new"].with_company(self._make_company("New")).create({}).has_others)
        self.assertTrue(self.env["iused.token.new"].create({}).has_others, "how to replace the first is said")
        _second, other = self._make()
        for each in (key, other):
            self.assertTrue(self.tokens._check_credentials(scope=KEY_SCOPE, key=each))

    # The end is told -------------------------------------------------------------------------------------------------

    def test_end_is_told_two_weeks_ahead(self):
        token, _key = self._make(name="Portal", end_date=fields.Date.today() + timedelta(days=16))
        self.assertOver()
        self._set(token, expiration_date=14 * 24 - 1)
        self.assertSeen("access_ends", "key_ends", None, "“Portal” ends on")
        self.assertIn("Make another", self._note())

    def test_end_is_over_when_the_token_is_revoked_for_another(self):
        token, _key = self._make(name="Portal", end_date=fields.Date.today() + timedelta(days=3))
        self._make(name="Next")
        self.assertSeen("access_ends", "key_ends", None, "has not used “Next” yet")
        token._remove()
        self.assertOver()

    def test_end_is_over_when_iused_uses_one_that_lasts_longer(self):
        token, _key = self._make(name="Portal", end_date=fields.Date.today() + timedelta(days=3))
        self._set(token, iused_last_use=-5)
        shorter, _key = self._make(name="Test", end_date=fields.Date.today() + timedelta(days=1))
        self._set(shorter, iused_last_use=0)
        self.assertIn("“Portal” ends on", self._note())
        shorter._remove()
        longer, _key = self._make(name="Next", end_date=fields.Date.today() + timedelta(days=90))
        self.assertSeen("access_ends", "key_ends", None, "has not used “Next” yet")
        self._set(longer, iused_last_use=0)
        self.assertOver()

    def test_end_is_told_while_iused_uses_both(self):
        """One of iUsed's programs may have got the new one, while the other goes on with the old one."""
        token, _key = self._make(name="Portal", end_date=fields.Date.today() + timedelta(days=3))
        longer, _key = self._make(name="Next")
        for old, new in ((0, -1), (-1, 0)):
            self._set(token, iused_last_use=old)
            self._set(longer, iused_last_use=new)
            self.assertSeen("access_ends", "key_ends", None, "replaced everywhere")

    def test_token_for_a_trial_that_ends_is_no_trouble_beside_the_one_in_use(self):
        token, _key = self._make()
        self._set(token, iused_last_use=-1)
        self._make(end_date=fields.Date.today() + timedelta(days=1))
        self.assertOver()

    # The end came ----------------------------------------------------------------------------------------------------

    def _vacuum(self):
        """Delete ended keys as Odoo does once a day."""
        self.env.flush_all()
        self.env["res.users.apikeys"]._gc_user_apikeys()
        self.env.invalidate_all()

    def test_only_token_that_ended_is_told_before_and_after_odoo_deletes_it(self):
        token, _key = self._make(name="Portal")
        self._set(token, iused_last_use=-2, expiration_date=-1)
        self.assertTrue(token.iused_has_ended)
        self.assertSeen("access", "no_key", None, "“Portal” ended")
        before = self._note()
        self._vacuum()
        self.assertFalse(token.exists())
        self.assertSeen("access", "no_key", None, "“Portal” ended")
        self.assertEqual(self._note(), before, "the moment is that of the end")
        self.assertFalse(self._page()["summary"]["kind"] == "well")

    def test_end_is_over_once_iused_uses_the_next_token(self):
        token, _key = self._make(name="Portal")
        self._set(token, iused_last_use=-2, expiration_date=-1)
        following, _key = self._make(name="Next")
        self.assertSeen("access", "no_key", None, "“Next” was not used yet")
        self._vacuum()
        self.assertSeen("access", "no_key", None, "“Next” was not used yet")
        self._set(following, iused_last_use=0)
        self.assertOver()

    def test_end_of_a_token_that_iused_had_left_is_no_trouble(self):
        token, _key = self._make(name="Portal")
        following, _key = self._make(name="Next")
        self._set(token, iused_last_use=-9, expiration_date=-1)
        self._set(following, iused_last_use=0)
        self.assertOver()
        self._vacuum()
        self.assertOver()

    def test_overview_asks_for_another_token_when_the_only_one_ended(self):
        token, _key = self._make()
        self.assertTrue(self.env["iused.overview"]._read_facts(self.company).has_token)
        self._set(token, expiration_date=-1)
        self.assertFalse(self.env["iused.overview"]._read_facts(self.company).has_token)

    def test_company_that_never_was_called_is_told_too(self):
        company = self._make_company("New refurbisher")
        key = self._make_key(company)
        token = self.env["res.users.apikeys"].search([("user_id", "=", company.iused_user_id.id)])
        self._set(token, expiration_date=-1)
        overview = self.env["iused.overview"].with_company(company)
        self.assertEqual(list(overview._find_troubles(company, overview._read_facts(company))), ["no_key"])
        self.assertFalse(token._check_credentials(scope=KEY_SCOPE, key=key))

    def test_end_that_another_company_has_is_not_ours(self):
        token, _key = self._make()
        self._set(token, iused_last_use=0)
        company = self._make_company("New refurbisher")
        self._make_key(company)
        self._set(
            self.env["res.users.apikeys"].search([("user_id", "=", company.iused_user_id.id)]), expiration_date=-1
        )
        self._vacuum()
        self.assertEqual(self._watch(), [])
        self.assertEqual(self._page()["summary"]["kind"], "well")

    def test_day_is_that_of_the_administrator(self):
        with freeze_time("2026-11-24 23:30:00"):
            token, _key = self._make(end_date=date(2026, 11, 25))
            self.assertEqual(token.name, "iUsed 2026-11-25", "it is past midnight in Amsterdam")
            with self.assertRaises(UserError):
                self._make(end_date=date(2026, 11, 24))
