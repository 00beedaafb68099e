"""What the settings of a company take: limits that can be, and key names that are some."""

from odoo.exceptions import ValidationError
from odoo.tests import tagged

from odoo.addons.base.tests.test_ir_cron import CronMixinCase

from ..tools import sftp
from .common import IusedCase

# The least and the most of each; 0 means off.
LIMITS = {
    "iused_retention_days": (1, 3_650),
    "iused_anonymize_months": (0, 600),
    "iused_waiting_hours": (0, 87_600),
    "iused_watch_poll_hours": (0, 87_600),
    "iused_watch_order_days": (0, 3_650),
    "iused_watch_open_hours": (0, 87_600),
    "iused_watch_offers": (0, 1_000_000),
    "iused_most_orders": (0, 1_000_000),
    "iused_most_value": (0, 1_000_000_000),
}


@tagged("post_install", "-at_install")
class TestLimits(IusedCase):
    def _save(self, **values):
        """Save the settings' form with these values."""
        self.env["res.config.settings"].create(values).execute()
        self.env.flush_all()

    def test_limits_take_their_least_and_their_most(self):
        for name, limits in LIMITS.items():
            for value in limits:
                with self.subTest(name=name, value=value):
                    self._save(**{name: value})
                    self.assertEqual(self.company[name], value)

    def test_limits_beyond_are_refused_in_words(self):
        for name, (least, most) in LIMITS.items():
            for value in (least - 1, most + 1):
                with self.subTest(name=name, value=value), self.assertRaises(ValidationError) as caught:
                    self._save(**{name: value})
                self.assertIn(f"{most:,}", str(caught.exception))
                self.assertIn(self.company._fields[name].string, str(caught.exception))

    def test_largest_limits_break_nothing(self):
        self._make_key()
        order = self._receive(self._make_order(self._make_phone("PHONE", 1)))
        self._deliver(order, tracking=False)
        self.company.write({name: most for name, (_least, most) in LIMITS.items()})
        overview = self.env["iused.overview"]
        troubles = overview._find_troubles(self.company, overview._read_facts(self.company))
        self.assertFalse({"open_order", "no_order"} & troubles.keys())
        self.env["iused.shipment.update"]._cron_watch_waiting()
        self.env["iused.exchange"]._gc_exchanges()
        self.env["iused.shipment.update"]._gc_told()
        self.assertFalse(order.activity_ids)

    def test_emptied_key_name_is_refused_in_words(self):
        for name in ("iused_key_serial", "iused_key_tracking", "iused_key_order"):
            for value in (False, "", "  "):
                with self.subTest(name=name, value=value), self.assertRaises(ValidationError) as caught:
                    self._save(**{name: value})
                self.assertIn("needs a key for each", str(caught.exception))

    def test_key_names_must_differ_from_each_other_and_from_the_optional_ones(self):
        for values in (
            {"iused_key_serial": "id", "iused_key_tracking": "id"},
            {"iused_key_serial": "id", "iused_key_order": "id "},
            {"iused_key_tracking": "carrier"},
        ):
            with self.subTest(values=values), self.assertRaises(ValidationError) as caught:
                self._save(**values)
            self.assertIn("must differ", str(caught.exception))


@tagged("post_install", "-at_install")
class TestUploadLimits(CronMixinCase, IusedCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        values = {"company_id": cls.company.id, "host": "sftp.iused.example"}
        cls.location = cls.env["iused.sftp.location"].create(values)

    def test_zero_is_off(self):
        self.location.write({"enabled": True, "username": "us", "host_key": "ssh-ed25519 AAAA"})
        self.location.write({"interval": 0, "heartbeat": 0, "alarm_after": 0})
        self.env.flush_all()
        self.location._write_result(None, "fingerprint", {"size": 2, "offers": 0})
        self.assertFalse(self.location.next_try, "nothing is uploaded by itself")
        self.assertFalse(self.location._heart_must_beat())
        cron = self.env.ref("sale_iused.ir_cron_upload_offers")
        with self.enter_registry_test_mode(), self.capture_triggers(cron.id) as triggers:
            cron.method_direct_trigger()
        self.assertFalse(triggers.records)
        self.assertFalse(self.location.last_error)

    def test_either_may_be_off(self):
        now = self.env.cr.now()
        for interval, heartbeat, minutes in ((15, 0, 15), (0, 12, 720), (15, 12, 15), (1_440, 12, 720)):
            with self.subTest(interval=interval, heartbeat=heartbeat):
                self.location.write({"interval": interval, "heartbeat": heartbeat})
                self.assertAlmostEqual((self.location._next_look() - now).total_seconds() / 60, minutes, delta=5)

    def test_alarm_that_is_off_tells_nobody(self):
        self.location.alarm_after = 0
        error = sftp.SftpError(sftp.UNEXPECTED, kind="OSError")
        self.location._write_result(error, None, {})
        self.location.failing_since = self.location.failing_since.replace(year=2020)
        self.location._write_result(error, None, {})
        self.assertFalse(self.location.activity_ids)
        self.location.alarm_after = 1
        self.location._write_result(error, None, {})
        self.assertEqual(len(self.location.activity_ids), 1)

    def test_interval_that_is_switched_on_again_looks_at_once(self):
        self.location.interval = 0
        self.location.next_try = False
        self.location.interval = 15
        self.assertTrue(self.location.next_try)
