"""A changed address of a confirmed order is seen before the goods leave: a thief of the key would redirect them so."""

from odoo.tests import tagged
from odoo.tools import html2plaintext

from .common import IusedHttpCase


@tagged("post_install", "-at_install")
class TestAddressSeen(IusedHttpCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.phone = cls._make_phone("PHONE", 6)
        cls.responsible = cls._new_user("responsible", "sales_team.group_sale_salesman_all_leads")
        cls.responsible.email = "responsible@example.com"
        cls.company.iused_responsible_id = cls.responsible
        cls.packer = cls._new_user("packer", "stock.group_stock_user")

    def setUp(self):
        super().setUp()
        self.document = self._make_order((self.phone, 2))
        self.order = self._receive(self.document)

    def _move(self, city, **address):
        address = {**self.document["shipping_address"], "city": city, **address}
        answer = self._push({**self.document, "shipping_address": address})
        self.env.invalidate_all()
        return answer

    def _told(self, record=None):
        return (record or self.order).activity_ids.filtered(lambda activity: activity.iused_key.startswith("address "))

    def _banner(self, picking=None):
        return (picking or self.order.picking_ids).with_user(self.packer).iused_moved

    def test_responsible_is_told_of_old_and_new_address_with_a_mail(self):
        mails = self.env["mail.mail"].search([])
        before = self.order.partner_shipping_id
        self._move("Assen")
        activity = self._told()
        self.assertEqual(activity.user_id, self.responsible)
        lines = html2plaintext(activity.note).splitlines()
        self.assertEqual(lines[0], f"Order {self.order.name} of iUsed goes to another address now.")
        for line, word, city in ((lines[1], "Before: ", before.city), (lines[2], "Now: ", "Assen")):
            self.assertTrue(line.startswith(word))
            for part in (before.name, before.street, before.zip, city, before.country_id.name):
                self.assertIn(part, line)
        note = html2plaintext(self.order.message_ids[0].body)
        self.assertIn(before.city, note)
        self.assertIn("Assen", note)
        mail = self.env["mail.mail"].search([]) - mails
        self.assertEqual(mail.recipient_ids, self.responsible.partner_id)

    def test_later_changes_stand_in_the_same_activity_beside_the_first_address(self):
        """A thief could else hide the first change behind a small second one."""
        before = self.order.partner_shipping_id.city
        self._move("Assen")
        self._move("Emmen")
        activity = self._told()
        self.assertEqual(len(activity), 1)
        text = html2plaintext(activity.note)
        self.assertLess(text.index(before), text.index("Assen"))
        self.assertIn("Emmen", text.splitlines()[-1])

    def test_words_of_an_address_are_text(self):
        self._move("Assen")
        self._move("<b>Emmen</b>")
        self._move("Zwolle", street="<a href='https://evil.example'>Street</a>")
        self.assertNotIn("<b>", self._told().note)
        self.assertNotIn("<a ", self._told().note)
        self.assertNotIn("<a ", self.order.message_ids[0].body)

    def test_change_after_the_activity_was_done_is_told_anew(self):
        self._move("Assen")
        first = self._told()
        first.action_done()
        self.assertFalse(self._banner())
        self._move("Emmen")
        self.assertNotEqual(self._told(), first)
        self.assertEqual(self._banner(), self.order.name)

    def test_who_packs_sees_it_until_it_was_checked(self):
        self.assertFalse(self._banner())
        self._move("Assen")
        self.assertEqual(self._banner(), self.order.name)
        view = self.env["stock.picking"].with_user(self.packer).get_view(view_type="form")["arch"]
        self.assertIn("iused_moved", view)
        self._told().action_done()
        self.env.invalidate_all()
        self.assertFalse(self._banner())

    def test_printed_transfer_is_told_besides(self):
        self.order.picking_ids.printed = True
        self._move("Assen")
        self.assertTrue(self._told())
        self.assertTrue(self._told(self.order.picking_ids))

    def test_address_of_what_has_left_in_part_is_not_changed_and_told_as_a_refusal(self):
        picking = self.order.picking_ids
        picking.move_ids.move_line_ids[0].quantity = 0
        picking.carrier_tracking_ref = "3SABC"
        picking.with_context(skip_backorder=True).button_validate()
        self.assertTrue(self.order._iused_has_shipped())
        for _once_and_again in range(2):
            self.assertProblem(self._move("Assen"), 409)
        self.assertFalse(self._told())
        refusal = self.order.activity_ids.filtered(lambda activity: activity.iused_key.startswith("refused "))
        self.assertEqual((len(refusal), refusal.user_id), (1, self.responsible))

    def test_it_is_over_once_all_has_left_or_the_order_is_cancelled(self):
        other = self._receive(document := self._make_order(self.phone))
        self._move("Assen")
        address = {**document["shipping_address"], "city": "Emmen"}
        self._push({**document, "shipping_address": address})
        self.env.invalidate_all()
        self._run_cron("watch")
        self.assertTrue(self._told() and self._told(other))
        self._deliver(self.order)
        other._action_cancel()
        self._run_cron("watch")
        self.assertFalse(self._told() | self._told(other))

    def test_quotation_needs_no_activity(self):
        self.company.iused_order_policy = "quotation"
        self.document = self._make_order(self.phone)
        self.order = self._receive(self.document)
        self._move("Assen")
        self.assertFalse(self.order.activity_ids)

    def test_other_telephone_is_no_other_address(self):
        self._move(self.document["shipping_address"]["city"], phone="06 87654321")
        self.assertFalse(self._told())

    def test_order_has_an_end_of_addresses_and_contacts(self):
        partners = self.env["res.partner"].search_count([])
        for number in range(10):
            self.assertEqual(self._move(f"City {number}").status_code, 200)
        for number in range(10, 12):
            problem = self.assertProblem(self._move(f"City {number}"), 409)
            self.assertIn("10 times", problem["detail"])
        self.assertEqual(self.order.partner_shipping_id.city, "City 9")
        self.assertEqual(self.env["res.partner"].search_count([]), partners + 10)
        self.assertEqual(self._move("City 9").status_code, 200, "an equal push is no change")
