"""Who pays which VAT: refurbishers in three countries, iUsed in the Netherlands, with Odoo's own charts of accounts.

Run by `dev/tests/test_module_tests.py` on a database that has those charts; not part of the addon's own tests.
"""

from odoo import Command
from odoo.tests import tagged

from odoo.addons.sale_iused.tests.common import IusedCase

IUSED_VAT = "NL123456782B90"
CHARTS = {"NL": "nl", "BE": "be_comp", "DE": "de_skr03"}
VATS = {"NL": "NL000099998B57", "BE": "BE0477472701", "DE": "DE123456788"}
# Refurbisher, and the consumer's country: the position when iUsed has a VAT number, and when it has none.
TABLE = {
    # Both are Dutch: the goods are sold in the Netherlands, wherever they go.
    ("NL", "NL"): ("l10n_nl_domestic_fiscal_position", "l10n_nl_domestic_fiscal_position"),
    ("NL", "BE"): ("l10n_nl_domestic_fiscal_position", "fiscal_position_template_eu_private"),
    ("NL", "DE"): ("l10n_nl_domestic_fiscal_position", "fiscal_position_template_eu_private"),
    # They leave the country, to a firm with a VAT number of another one: an intra-community supply.
    ("BE", "NL"): ("fiscal_position_template_3", "fiscal_position_template_5"),
    ("BE", "BE"): ("fiscal_position_template_1", "fiscal_position_template_1"),
    ("BE", "DE"): ("fiscal_position_template_3", "fiscal_position_template_5"),
    ("DE", "NL"): ("fiscal_position_eu_vat_id_partner_skr03", ""),
    ("DE", "BE"): ("fiscal_position_eu_vat_id_partner_skr03", ""),
    ("DE", "DE"): ("fiscal_position_domestic_skr03", "fiscal_position_domestic_skr03"),
}


class TaxesCase(IusedCase):
    COUNTRY = ""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.company.write({"country_id": cls.env.ref(f"base.{cls.COUNTRY.lower()}").id, "vat": VATS[cls.COUNTRY]})
        cls.env["account.chart.template"].try_loading(CHARTS[cls.COUNTRY], cls.company, install_demo=False)
        cls.tax = cls.company.account_sale_tax_id
        cls.phone = cls._make_phone("PHONE", 9, taxes_id=[Command.set(cls.tax.ids)], invoice_policy="order")
        cls.iused_partner.country_id = cls.env.ref("base.nl")

    def _order_for(self, country):
        document = self._make_order(self.phone)
        code = {"NL": "1000 AA", "BE": "1000", "DE": "10115"}[country]
        document["shipping_address"].update({"country": country, "postal_code": code})
        return self._receive(document)

    def _position(self, name):
        charts = self.env["account.chart.template"].with_company(self.company)
        return charts.ref(name) if name else self.env["account.fiscal.position"]

    def _check_table(self):
        for (refurbisher, country), expected in TABLE.items():
            if refurbisher != self.COUNTRY:
                continue
            for vat, name in zip((IUSED_VAT, False), expected, strict=True):
                with self.subTest(refurbisher=refurbisher, consumer=country, vat=vat):
                    self.iused_partner.vat = vat
                    order = self._order_for(country)
                    position = self._position(name)
                    self.assertEqual(order.fiscal_position_id, position)
                    self.assertEqual(order.order_line.tax_ids, position.map_tax(self.tax))
                    own_address = self.env["res.partner"].create(
                        {
                            "name": "Shop of iUsed",
                            "type": "delivery",
                            "parent_id": self.iused_partner.id,
                            "country_id": order.partner_shipping_id.country_id.id,
                            "zip": order.partner_shipping_id.zip,
                        }
                    )
                    positions = self.env["account.fiscal.position"].with_company(self.company)
                    self.assertEqual(
                        positions._get_fiscal_position(self.iused_partner, own_address), position, "as Odoo by itself"
                    )
                    if position:
                        self._deliver(order)
                        self.assertEqual(order._create_invoices().fiscal_position_id, position)


@tagged("post_install", "-at_install")
class TestDutchRefurbisher(TaxesCase):
    COUNTRY = "NL"

    def test_table(self):
        self._check_table()


@tagged("post_install", "-at_install")
class TestBelgianRefurbisher(TaxesCase):
    COUNTRY = "BE"

    def test_table(self):
        self._check_table()

    def test_number_that_vies_does_not_know_is_none(self):
        """The company asks VIES; what it said of iUsed counts, and nobody is asked about the consumer."""
        self.iused_partner.vat = IUSED_VAT
        self.env.flush_all()  # VIES itself is asked when a number is entered
        self.company.vat_check_vies = True
        for known, name in ((True, "fiscal_position_template_3"), (False, "fiscal_position_template_5")):
            self.iused_partner.vies_valid = known
            self.assertEqual(self._order_for("NL").fiscal_position_id, self._position(name))


@tagged("post_install", "-at_install")
class TestGermanRefurbisher(TaxesCase):
    COUNTRY = "DE"

    def test_table(self):
        self._check_table()
