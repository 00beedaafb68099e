"""The fiscal position of iUsed's orders, and what an address in another country changes: with Dutch accounting."""

from odoo import Command
from odoo.tests import tagged

from .common import IusedHttpCase


@tagged("post_install", "-at_install")
class TestTaxes(IusedHttpCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.env["account.chart.template"].try_loading("nl", cls.company, install_demo=False)
        cls.company.vat = "NL000099998B57"
        cls.iused_partner.write({"country_id": cls.env.ref("base.be").id, "vat": "BE0477472701"})
        cls.responsible = cls._new_user("responsible", "sales_team.group_sale_salesman_all_leads")
        cls.company.iused_responsible_id = cls.responsible
        cls.domestic, cls.private, cls.business = (
            cls.env["account.chart.template"].with_company(cls.company).ref(name)
            for name in (
                "l10n_nl_domestic_fiscal_position",
                "fiscal_position_template_eu_private",
                "fiscal_position_template_eu",
            )
        )
        cls.tax = cls.company.account_sale_tax_id
        cls.phone = cls._make_phone("PHONE", 9, taxes_id=[Command.set(cls.tax.ids)], invoice_policy="order")

    def _place(self, **values):
        document = self._make_order(self.phone, **values)
        answer = self._push(document)
        self.assertEqual(answer.status_code, 201, answer.text)
        return document, self.env["sale.order"].search([("iused_reference", "=", document["order_id"])])

    def _move(self, document, country="BE"):
        places = {"BE": ("1000", "Brussel"), "NL": ("9401 AB", "Assen")}
        code, city = places[country]
        address = {**document["shipping_address"], "country": country, "postal_code": code, "city": city}
        document["shipping_address"] = address
        answer = self._push(document)
        self.assertEqual(answer.status_code, 200, answer.text)
        self.env.invalidate_all()

    def _told(self, order):
        """Return the activities about taxes; that the address changed has one of its own."""
        return order.sudo().activity_ids.filtered(lambda activity: activity.iused_key.startswith("taxes "))

    def assertTaxed(self, order, position, price=199.0):
        self.assertEqual(order.fiscal_position_id, position)
        line = order.order_line.filtered("iused_line_number")
        self.assertEqual(line.tax_ids, position.map_tax(self.tax))
        self.assertEqual(line.price_unit, price)
        self.assertEqual(order.amount_untaxed, 199.0)

    def test_iuseds_vat_number_decides_for_a_consumer_abroad(self):
        address = {**self._make_order(self.phone)["shipping_address"], "country": "BE", "postal_code": "1000"}
        _document, order = self._place(shipping_address=address)
        self.assertTaxed(order, self.business)
        # Odoo decides again when a person changes the order, and for an invoice.
        other = self.env["res.partner"].create(
            {"name": "Neighbour", "company_id": self.company.id, "country_id": self.env.ref("base.be").id}
        )
        order.partner_shipping_id = other
        self.assertEqual(order.fiscal_position_id, self.business)
        self._deliver(order)
        invoice = order._create_invoices()
        self.assertEqual(invoice.fiscal_position_id, self.business)
        invoice.partner_shipping_id = other.copy()
        self.assertEqual(invoice.fiscal_position_id, self.business)
        self.iused_partner.vat = False
        self.assertEqual(self._place(shipping_address=address)[1].fiscal_position_id, self.private)

    def test_settings_ask_for_iuseds_vat_number_and_country(self):
        partner = self.iused_partner
        for vat, country, lacks in (
            ("BE0477472701", "base.be", False),
            (False, "base.be", True),
            ("BE0477472701", "", True),
        ):
            partner.write({"country_id": country and self.env.ref(country).id, "vat": vat})
            self.assertEqual(self.env["res.config.settings"].create({}).iused_partner_lacks_vat, lacks)
        self.company.iused_partner_id = False
        self.assertFalse(self.env["res.config.settings"].create({}).iused_partner_lacks_vat, "none is made yet")

    def test_others_are_judged_as_ever(self):
        belgian, neighbour = self.env["res.partner"].create(
            [
                {"name": "Firm", "is_company": True, "country_id": self.env.ref("base.be").id, "vat": "BE0477472701"},
                {"name": "Neighbour", "country_id": self.env.ref("base.be").id},
            ]
        )
        positions = self.env["account.fiscal.position"].with_company(self.company)
        self.assertEqual(positions._get_fiscal_position(belgian, neighbour), self.private)
        self.assertEqual(positions._get_fiscal_position(belgian), self.business)

    def test_address_in_another_country_changes_position_and_taxes_together(self):
        document, order = self._place()
        self.assertTaxed(order, self.domestic)
        self._move(document)
        self.assertTaxed(order, self.business)
        self.assertNotEqual(order.order_line.tax_ids, self.tax)
        self.assertFalse(self._told(order))
        self._move(document, "NL")
        self.assertTaxed(order, self.domestic)

    def test_address_of_a_locked_order(self):
        document, order = self._place()
        order.action_lock()
        self._move(document)
        self.assertTaxed(order, self.business)
        self.assertTrue(order.locked)

    def test_what_iused_pays_without_vat_stays_where_prices_include_it(self):
        self.tax.price_include_override = "tax_included"
        document, order = self._place()
        self.assertTaxed(order, self.domestic, 240.79)
        self._move(document)
        included = order.order_line.tax_ids.price_include
        self.assertTaxed(order, self.business, 240.79 if included else 199.0)
        self._move(document, "NL")
        self.assertTaxed(order, self.domestic, 240.79)

    def test_invoiced_order_is_left_to_a_person(self):
        document, order = self._place()
        payment = self.env["sale.advance.payment.inv"].with_context(active_ids=order.ids)
        payment.create({"advance_payment_method": "percentage", "amount": 50}).create_invoices()
        self._move(document)
        self.assertEqual(order.partner_shipping_id.country_id.code, "BE")
        self.assertTaxed(order, self.domestic)
        self.assertEqual(self._told(order).user_id, self.responsible)
        self.assertIn(self.business.name, self._told(order).note)
        self.assertIn("Belgium", self._told(order).note)

    def test_position_that_a_person_chose_is_left_to_a_person(self):
        chosen = self.env["account.fiscal.position"].create({"name": "By hand", "company_id": self.company.id})
        document, order = self._place()
        order.fiscal_position_id = chosen
        order.action_update_taxes()
        self._move(document, "NL")
        self.assertTaxed(order, chosen)
        self.assertFalse(self._told(order), "within the country nothing changes")
        self._move(document)
        self.assertTaxed(order, chosen)
        self.assertEqual(len(self._told(order)), 1)
