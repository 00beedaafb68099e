"""What was found by who tried to break it once more: administrators, a thief of the key, who has a say in a name."""

from unittest.mock import patch

from odoo import Command
from odoo.exceptions import AccessError, ValidationError
from odoo.modules.neutralize import get_neutralization_queries
from odoo.tests import tagged

from ..controllers import common
from ..models import ir_http
from ..tools import destination
from ..tools.daily_share import DailyShare
from ..tools.destination import DestinationRefused
from .common import IusedCase, IusedHttpCase


@tagged("post_install", "-at_install")
class TestAdministratorOfAnotherCompany(IusedCase):
    """`readonly` keeps a field from views alone, and Odoo asks whether a record is one's own before a write only."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.other = cls._make_company("Other refurbisher")
        cls.env.user.company_ids = [Command.link(cls.other.id)]
        cls.admin = cls._new_user("their administrator", "base.group_system", company=cls.other)
        cls.theirs = cls.env(user=cls.admin, context={"allowed_company_ids": cls.other.ids})

    def test_offers_of_a_company_do_not_go_to_the_server_of_another(self):
        location = self.theirs["iused.sftp.location"].create({"host": "sftp.example", "username": "18"})
        with self.assertRaises(AccessError):
            location.company_id = self.company
        self.assertEqual(location.company_id, self.other)

    def test_orders_of_a_company_are_not_read_by_the_mapping_of_another(self):
        mapping = self.theirs["iused.field.mapping"].create({"field": "order_id", "path": "ref"})
        with self.assertRaises(AccessError):
            mapping.company_id = self.company
        self.assertEqual(mapping.company_id, self.other)


@tagged("post_install", "-at_install")
class TestSeen(IusedCase):
    def test_deleted_place_for_offers_is_written_down(self):
        location = self.env["iused.sftp.location"].create(
            {"host": "sftp.example", "username": "18", "new_password": "hunter2", "enabled": True}
        )
        changes = self.env["iused.change"].search([])
        location.unlink()
        new = self.env["iused.change"].search([]) - changes
        self.assertEqual(new.company_id, self.company)
        self.assertEqual(
            {change.kind: (change.old, change.new or "") for change in new},
            {
                "sftp_enabled": ("On", "Off"),
                "sftp_host": ("sftp.example", ""),
                "sftp_port": ("22", ""),
                "sftp_username": ("18", ""),
                "sftp_password": ("Set", ""),
                "sftp_file_name": ("offers.json", ""),
            },
        )

    def test_administrator_with_rights_of_his_own_making_does_not_change_the_changes(self):
        admin = self._new_user("administrator", "base.group_system")
        self.env["ir.model.access"].with_user(admin).create(
            {
                "name": "mine",
                "model_id": self.env["ir.model"]._get_id("iused.change"),
                "group_id": self.env.ref("base.group_system").id,
                **dict.fromkeys(("perm_read", "perm_write", "perm_create", "perm_unlink"), True),
            }
        )
        self.company.with_user(admin).iused_order_policy = "quotation"
        change = self.env["iused.change"].search([], limit=1).with_user(admin)
        for forbidden in (
            lambda: change.unlink(),
            lambda: change.write({"login": "somebody else"}),
            lambda: change.create({"company_id": self.company.id, "kind": "webhook"}),
        ):
            with self.assertRaises(AccessError):
                forbidden()

    def test_webhook_is_called_where_the_changes_say(self):
        """`requests` takes a backslash for the end of the host, so that this one is not iUsed's."""
        for address in (
            "https://elsewhere.example\\@portal.iused.nl/webhook/shipment/18/token",
            "http://elsewhere.example\\@localhost/webhook/shipment/18/token",
        ):
            with self.subTest(address), self.assertRaises(ValidationError):
                self.company.sudo().iused_webhook_url = address

    def test_clouds_own_services_are_not_called(self):
        for address in ("169.254.169.254", "168.63.129.16", "::ffff:168.63.129.16", "64:ff9b::a83f:8110"):
            with self.subTest(address), self.assertRaises(DestinationRefused):
                destination.check(address)
        destination.check("168.63.129.17")


@tagged("post_install", "-at_install")
class TestWhatIsKept(IusedHttpCase):
    """A caller with a good key fills no disk, whatever it calls for."""

    def _polls(self):
        """Return the statuses of the polls that were kept, the first ones first."""
        self.env.invalidate_all()
        domain = [("company_id", "=", self.company.id), ("kind", "=", "offers")]
        return self.env["iused.exchange"].search(domain, order="id").mapped("status")

    def test_polls_beyond_a_days_share_are_kept_once_a_minute(self):
        moment = [1_000_000.0]
        self.patch(ir_http, "poll_share", DailyShare(3, 60, lambda: moment[0]))
        with self.assertLogs("odoo.addons.sale_iused.models.ir_http", "WARNING") as logs:
            for _poll in range(6):
                self._call("GET", "/offers?nonsense=1")
        self.assertEqual(len(logs.output), 1)
        self.assertEqual(self._polls(), [400] * 3)
        self._call("GET", "/offers")
        self.assertEqual(self._polls(), [400] * 3 + [200], "what is refused takes no share of what is served")
        moment[0] += 61
        for _poll in range(3):
            self._call("GET", "/offers?nonsense=1")
        self.assertEqual(self._polls(), [400] * 3 + [200, 400])
        moment[0] += 86_400
        for _poll in range(3):
            self._call("GET", "/offers?nonsense=1")
        self.assertEqual(self._polls(), [400] * 3 + [200] + [400] * 4)


@tagged("post_install", "-at_install")
class TestCopies(IusedCase):
    def test_dump_of_an_older_version_is_neutralized(self):
        self.env.flush_all()
        self.env.cr.execute(
            """
            ALTER TABLE iused_secret RENAME TO iused_secret_of_a_later_version;
            ALTER TABLE res_company ADD iused_webhook_url varchar;
            ALTER TABLE iused_sftp_location ADD password varchar, ADD private_key varchar, ADD passphrase varchar;
            UPDATE res_company SET iused_webhook_url = 'https://portal.iused.nl/webhook/shipment/18/SECRET-TOKEN';
            """
        )
        for query in get_neutralization_queries(["sale_iused"]):
            self.env.cr.execute(query)
        self.env.cr.execute("SELECT count(*) FROM res_company WHERE iused_webhook_url IS NOT NULL")
        self.assertEqual(self.env.cr.fetchone(), (0,))
        self.env.cr.execute("SELECT count(*) FROM res_users_apikeys WHERE scope = 'iused'")
        self.assertEqual(self.env.cr.fetchone(), (0,))


@tagged("post_install", "-at_install")
class TestReads(IusedHttpCase):
    def test_servers_log_names_token_and_address_of_what_only_reads(self):
        with patch.object(common._logger, "info") as log:
            self._call("GET", "/orders/IU-1")
            self._call("GET", "/openapi.json")
        self.assertEqual(
            [call.args[1:] for call in log.call_args_list],
            [("test", "/iused/v1/orders/IU-1", "127.0.0.1"), ("test", "/iused/v1/openapi.json", "127.0.0.1")],
        )
