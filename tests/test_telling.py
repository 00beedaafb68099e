"""How somebody is told of a trouble: once, whom it concerns, in his own language."""

from odoo.tests import tagged
from odoo.tools import html2plaintext

from .common import IusedHttpCase


@tagged("post_install", "-at_install")
class TestTelling(IusedHttpCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.env["res.lang"]._activate_lang("nl_NL")
        cls.env["ir.module.module"].search([("name", "=", "sale_iused")])._update_translations(["nl_NL"])
        cls.responsible = cls._new_user("responsible", "sales_team.group_sale_manager")
        cls.responsible.lang = "nl_NL"
        cls.company.iused_responsible_id = cls.responsible
        cls.phone = cls._make_phone("PHONE", 5)
        cls.order = cls._receive(cls._make_order(cls.phone))
        cls.troubles = cls.env["iused.trouble"]

    def _tell(self, kind="kind", record=None, text="text", **values):
        return self.troubles._tell(kind, record or self.order, lambda _env: ("summary", text), **values)

    def test_same_trouble_is_told_once_and_another_one_besides(self):
        first = self._tell()
        self.assertEqual(first.user_id, self.responsible)
        self.assertEqual(self._tell(text="in other words"), first)
        other = self._tell("another kind")
        self.assertEqual(self.order.activity_ids, first | other)

    def test_trouble_of_several_records_is_told_once(self):
        second = self._receive(self._make_order(self.phone))
        self.assertEqual(self._tell(about="a cause"), self._tell(record=second, about="a cause"))
        self.assertFalse(second.activity_ids.filtered("iused_key"), "it stands on the first one")

    def test_trouble_that_came_back_is_told_again(self):
        first = self._tell()
        self.troubles._tell_over("kind", self.order, lambda _env: "It is over.")
        self.assertFalse(first.active)
        self.assertNotEqual(self._tell(), first)

    def test_end_of_one_trouble_leaves_the_others(self):
        first, other = self._tell(), self._tell("another kind")
        self.troubles._tell_over("kind", self.order, lambda _env: "It is over.")
        self.assertEqual((first.active, other.active), (False, True))

    def test_words_are_text_whatever_they_hold(self):
        note = self._tell(text="<script>alert(1)</script> & more\nsecond line").note
        self.assertNotIn("<script>", note)
        self.assertIn("&lt;script&gt;", note)
        self.assertIn("<br", note)

    def test_hundred_lines_are_listed_and_the_rest_counted(self):
        for number, last in ((100, "text 99"), (101, "… +1"), (1000, "… +900")):
            with self.subTest(number):
                note = self._tell(f"{number}", text="\n".join(f"text {line}" for line in range(number))).note
                self.assertEqual(html2plaintext(note).split("\n")[-1], last)
                self.assertIn("text 99", note)
                self.assertNotIn("text 100", note)

    def test_refused_order_is_told_in_the_readers_language(self):
        document = self._make_order(self.phone)
        document["lines"][0]["sku"] = "NOWHERE"
        self._push(document)
        activity = self.env["mail.activity"].search([("iused_key", "like", "refused %")])
        self.assertIn("geweigerd", activity.summary)

    def test_short_and_dear_order_is_told_in_the_readers_language(self):
        document = self._make_order((self.phone, 9))
        document["lines"][0]["price"] = 1234.5
        self._push(document)
        order = self.env["sale.order"].search([("iused_reference", "=", document["order_id"])])
        notes = " ".join(order.activity_ids.mapped("note"))
        self.assertIn("1.234,50", notes)
        self.assertIn("besteld", notes)

    def test_stopped_update_is_told_in_the_readers_language(self):
        self.portal.fail(status=422, times=1)
        self.portal.register_orders(self.order.name)
        self._deliver(self.order)
        self._run_cron()
        self.assertEqual(self.order.iused_update_ids.state, "stopped")
        told = self.order.activity_ids.filtered(lambda activity: activity.iused_key.startswith("update_stopped"))
        self.assertEqual(told.user_id, self.responsible)
        self.assertNotIn("was not told", told.summary)
