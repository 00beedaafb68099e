"""Who guesses keys is slowed down and leaves a line in the server's log; nobody else notices."""

import itertools
from datetime import datetime, timedelta
from unittest.mock import patch

from odoo.tests import tagged

from ..tools import guesses
from ..tools.guesses import MOST_SOURCES, Guesses, source_of
from ..tools.networks import read_address
from .common import IusedHttpCase, ProxiedMixin

LOGGER = "odoo.addons.sale_iused.models.ir_http"


@tagged("post_install", "-at_install")
class TestCooldown(ProxiedMixin, IusedHttpCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.env["ir.config_parameter"].set_param("base.login_cooldown_after", 3)
        cls.env["ir.config_parameter"].set_param("base.login_cooldown_duration", 60)
        cls._wrong_keys = (f"{number:08x}" * 5 for number in itertools.count())

    def _guess(self, address="8.8.8.8", **kwargs):
        return self._call_from(address, "GET", "/offers", key=next(self._wrong_keys), **kwargs)

    def _fill(self, address="8.8.8.8"):
        with self.assertLogs(LOGGER):
            self.assertEqual([self._guess(address).status_code for _guess in range(3)], [401] * 3)

    def test_who_guesses_has_to_wait(self):
        self._fill()
        checks = []
        keys = self.registry["res.users.apikeys"]
        self.patch(keys, "_check_credentials", lambda *_args, **_kwargs: checks.append(1))
        answer = self._guess()
        self.assertProblem(answer, 429)
        self.assertLessEqual(int(answer.headers["Retry-After"]), 60)
        self.assertGreater(int(answer.headers["Retry-After"]), 0)
        self.assertFalse(checks, "while somebody has to wait nothing is checked")
        self.assertEqual(self._guess("8.8.4.4").status_code, 401, "others need not wait")

    def test_who_waited_may_try_again_once(self):
        self._fill()
        later = datetime.now() + timedelta(seconds=61)
        with patch.object(guesses, "datetime") as clock, patch("odoo.addons.base.models.res_users.datetime") as odoos:
            clock.now.return_value, clock.min = later, datetime.min
            odoos.datetime.now.return_value, odoos.timedelta = later, timedelta
            with self.assertLogs(LOGGER):
                self.assertEqual(self._guess().status_code, 401)
            self.assertEqual(self._guess().status_code, 429)

    def test_good_key_is_never_locked_out_by_who_guesses_from_the_same_address(self):
        """Behind a proxy that Odoo does not know of all the world has one address."""
        for address in ("8.8.8.8", "127.0.0.1"):
            with self.subTest(address=address):
                self._fill(address)
                self.assertEqual(self._guess(address).status_code, 429)
                self.assertEqual(self._call_from(address, "GET", "/offers").status_code, 200)
                self.assertEqual(self._guess(address).status_code, 429, "nor does it let the guesser off")

    def test_wrong_key_that_begins_like_the_real_one_is_refused(self):
        self._fill()
        with self.assertLogs(LOGGER):
            answer = self._call_from("8.8.8.8", "GET", "/offers", key=self.key[:8] + "0" * 32)
        self.assertEqual(answer.status_code, 401)

    def test_logins_and_calls_do_not_lock_each_other_out(self):
        """Else five guesses, through a proxy that Odoo does not know of, would shut all users out."""
        self._fill("127.0.0.1")
        self._new_user("colleague", "base.group_user")
        self.authenticate("colleague", "colleague")
        self.assertTrue(self.session.uid)
        self.assertNotIn("127.0.0.1", getattr(self.registry, "_login_failures", {}))

    def test_good_key_does_not_reset_the_count_of_passwords_that_were_tried(self):
        failures = {"8.8.8.8": (2, datetime.now())}
        self.startPatcher(patch.object(self.registry, "_login_failures", failures, create=True))
        self.assertEqual(self._call_from("8.8.8.8", "GET", "/offers").status_code, 200)
        self.assertEqual(failures["8.8.8.8"][0], 2)

    def test_switched_off_by_odoos_own_parameter(self):
        self.env["ir.config_parameter"].set_param("base.login_cooldown_after", 0)
        with self.assertLogs(LOGGER):
            self.assertEqual({self._guess().status_code for _guess in range(8)}, {401})

    def test_a_guess_leaves_one_line_with_the_address_and_without_the_key(self):
        with self.assertLogs(LOGGER) as logs:
            self._guess("2001:db8::7")
        self.assertEqual(len(logs.output), 1)
        self.assertIn("from 2001:db8::7 was refused: no valid access token of iUsed", logs.output[0])
        self.assertNotIn("0000000", logs.output[0])
        with self.assertLogs(LOGGER) as logs:
            for _guess in range(10):
                self._guess("127.0.0.1")
        self.assertEqual(len(logs.output), 3, "while somebody has to wait, nothing is written")
        self.assertIn("proxy_mode", logs.output[-1])
        self.assertNotIn("proxy_mode", logs.output[0])

    def test_guesses_write_no_rows_and_cost_one_query(self):
        before = self.env["iused.exchange"].search_count([])
        with self.assertLogs(LOGGER):
            self._guess()
        self.assertEqual(self.env["iused.exchange"].search_count([]), before)
        with self.assertQueryCount(1):
            self.assertEqual(self.env["res.users.apikeys"]._iused_check("0" * 40), (None, None))

    def test_call_without_a_key_is_no_guess(self):
        for _call in range(5):
            self.assertEqual(self.url_open("/iused/v1/offers").status_code, 401)
        with self.assertLogs(LOGGER):
            self.assertEqual(self._guess("127.0.0.1").status_code, 401)


@tagged("post_install", "-at_install")
class TestCounting(IusedHttpCase):
    def test_a_network_of_ipv6_that_one_caller_has_is_one(self):
        self.assertEqual(source_of(read_address("2001:db8::1")), source_of(read_address("2001:db8::ffff:2")))
        self.assertNotEqual(source_of(read_address("2001:db8::1")), source_of(read_address("2001:db8:0:1::1")))
        self.assertNotEqual(source_of(read_address("8.8.8.8")), source_of(read_address("8.8.8.9")))

    def test_it_is_forgotten_after_an_hour(self):
        counted = Guesses()
        counted.note("a")
        self.assertEqual(counted.read("a")[0], 1)
        with patch.object(guesses, "datetime") as clock:
            clock.now.return_value, clock.min = datetime.now() + timedelta(minutes=61), datetime.min
            self.assertEqual(counted.read("a")[0], 0)
            self.assertEqual(counted.note("a"), 1)

    def test_memory_is_bounded(self):
        counted = Guesses()
        for number in range(MOST_SOURCES + 10):
            counted.note(number)
        self.assertEqual(len(counted._known), MOST_SOURCES)
        self.assertEqual([counted.read(number)[0] for number in (9, 10, MOST_SOURCES + 9)], [0, 1, 1])
