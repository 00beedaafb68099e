"""What a careless colleague, or a thief of the key, may try with orders, and does not achieve."""

from odoo import Command
from odoo.exceptions import AccessError, ValidationError
from odoo.tests import tagged

from .common import IusedCase

# What the addon alone writes, with a value that somebody might try.
OWN = {
    "sale.order": {
        "iused_reference": "IU-FORGED",
        "iused_ordered_at": "2026-01-01 00:00:00",
        "iused_lines_digest": "0" * 64,
        "iused_address_digest": "0" * 64,
        "iused_former_addresses": "0" * 64,
        "iused_to_confirm": True,
        "iused_beyond_limit": True,
        "iused_anonymized_at": "2026-01-01 00:00:00",
    },
    "sale.order.line": {
        "iused_line_reference": "9",
        "iused_line_number": 9,
        "iused_warehouse_id": 1,
        "iused_left_at": "2026-01-01 00:00:00",
        "iused_fee": "order",
    },
    "mail.activity": {"iused_key": "prices sale.order,1"},
}


@tagged("post_install", "-at_install")
class TestOwnFields(IusedCase):
    """Odoo itself keeps `readonly` from views alone."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.phone = cls._make_phone("PHONE", 6)
        cls.seller = cls._new_user("seller", "sales_team.group_sale_manager", "stock.group_stock_manager")
        cls.order = cls._receive(cls._make_order(cls.phone))
        activity = cls.order.activity_schedule("mail.mail_activity_data_todo", user_id=cls.seller.id)
        cls.records = {
            "sale.order": cls.order.with_user(cls.seller),
            "sale.order.line": cls.order.order_line.with_user(cls.seller),
            "mail.activity": activity.with_user(cls.seller),
        }

    def _each(self):
        """Return a record, the name of one of its fields and a value to be tried, for each field."""
        return [(self.records[model], name, value) for model, values in OWN.items() for name, value in values.items()]

    def _values(self, record):
        """Return what a colleague needs to make such a record."""
        return {
            "sale.order": {"partner_id": self.iused_partner.id},
            "sale.order.line": {"order_id": self.order.id, "product_id": self.phone.id},
            "mail.activity": {
                "res_model_id": self.env["ir.model"]._get_id("sale.order"),
                "res_id": self.order.id,
                "user_id": self.seller.id,
            },
        }[record._name]

    def assertRefused(self, name, method, *args):
        with self.assertRaises(AccessError) as caught:
            method(*args)
        self.assertIn(name, str(caught.exception))

    def test_list_is_whole(self):
        """A field that is stored and read-only is one that the addon writes."""
        for model, values in OWN.items():
            fields = {
                name
                for name, field in self.env[model]._fields.items()
                if name.startswith("iused_") and field.store and field.readonly and field.type != "one2many"
            }
            self.assertEqual(set(values), fields - {"iused_note"}, model)

    def test_colleague_does_not_write_them(self):
        for record, name, value in self._each():
            with self.subTest(model=record._name, field=name):
                before = record.sudo()[name]
                self.assertRefused(name, record.write, {name: value})
                self.assertEqual(record.sudo()[name], before)

    def test_colleague_does_not_make_records_with_them(self):
        for record, name, value in self._each():
            with self.subTest(model=record._name, field=name):
                self.assertRefused(name, record.create, {**self._values(record), name: value})

    def test_context_brings_none_in(self):
        for record, name, value in self._each():
            with self.subTest(model=record._name, field=name):
                bare = record.browse().with_context(**{f"default_{name}": value})
                self.assertRefused(name, bare.create, self._values(record))
                self.assertNotIn(name, bare.default_get([name]))
                made = bare.sudo().create(self._values(record))
                self.assertFalse(made[name], "what Odoo makes as superuser in somebody's context")

    def test_default_of_somebody_brings_none_in(self):
        for record, name, value in self._each():
            with self.subTest(model=record._name, field=name):
                self.env["ir.default"].with_user(self.seller).set(record._name, name, value, user_id=True)
                self.assertFalse(record.create(self._values(record)).sudo()[name])

    def test_copy_brings_none_along_and_takes_none(self):
        for record, name, value in self._each():
            with self.subTest(model=record._name, field=name):
                if record._name == "mail.activity":
                    continue  # a copy would be on no record
                record.sudo()[name] = value
                copied = (record if record._name == "sale.order" else record.order_id).copy()
                copied = copied if record._name == "sale.order" else copied.order_line
                self.assertFalse(copied[name])
                if record._name == "sale.order":
                    self.assertRefused(name, record.copy, {name: value})

    def test_import_takes_none(self):
        for record, name, value in self._each():
            with self.subTest(model=record._name, field=name):
                if record._name != "sale.order":
                    continue
                outcome = record.browse().load(["partner_id/.id", name], [[str(self.iused_partner.id), str(value)]])
                self.assertFalse(outcome["ids"])
                self.assertIn(name, outcome["messages"][0]["message"])
                self.assertTrue(record.fields_get([name])[name]["readonly"], "the import does not offer it")

    def test_lines_given_with_an_order_bring_none_in(self):
        values = {"product_id": self.phone.id, "iused_line_number": 9}
        order = self.order.with_user(self.seller)
        self.assertRefused("iused_line_number", order.write, {"order_line": [Command.create(values)]})

    def test_outbox_and_log_are_made_by_no_hand(self):
        order, picking = self.order.with_user(self.seller), self.order.picking_ids.with_user(self.seller)
        for record in (order, picking):
            with self.assertRaises(AccessError):
                record.iused_update_ids = [Command.create({"order_id": order.id, "serial_number": "1"})]
        for model, values in (
            ("iused.shipment.update", {"order_id": order.id, "serial_number": "1"}),
            ("iused.exchange", {"company_id": self.company.id, "kind": "order"}),
            ("iused.trouble", {"company_id": self.company.id, "kind": "short"}),
        ):
            with self.subTest(model=model), self.assertRaises(AccessError):
                self.env[model].with_user(self.seller).create(values)

    def test_colleague_goes_on_with_what_is_his(self):
        order = self.order.with_user(self.seller)
        order.write({"note": "gift", "client_order_ref": "theirs", "iused_note": False})
        self.assertFalse(order.iused_note, "a consumer may ask for it to be forgotten")
        second = self.env["stock.warehouse"].create({"name": "Second", "code": "WH2", "company_id": self.company.id})
        self.order.order_line.iused_warehouse_id = second
        order.warehouse_id = self.warehouse
        self.assertFalse(order.order_line.iused_warehouse_id)
        self.assertTrue(order.copy())


@tagged("post_install", "-at_install")
class TestIusedsUserIsNobody(IusedCase):
    def test_colleague_cannot_be_iuseds_user(self):
        colleague = self._new_user("colleague", "sales_team.group_sale_manager")
        with self.assertRaises(ValidationError) as caught:
            self.company.iused_user_id = colleague
        self.assertIn("colleague", str(caught.exception))
        self.assertIn("internal user", str(caught.exception))

    def test_iuseds_user_cannot_become_a_colleague(self):
        """Of who became one by way of the groups: see test_attacks."""
        for group in ("base.group_user", "sales_team.group_sale_manager"):
            with self.subTest(group=group), self.assertRaisesRegex(ValidationError, "calls of iUsed"):
                self.iused_user.group_ids = self.env.ref(group)
