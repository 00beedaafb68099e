"""Ten orders in the shapes that portals send, pushed through the simulated portal: each is the right sale order."""

import json

from odoo.tests import tagged
from odoo.tools import file_path

from .common import IusedHttpCase

IPHONE, GALAXY = ("IP13-128-MID-A", 279.0), ("GA54-128-BLK-A", 189.5)
# File: iUsed's number, what the consumer's contact says, and the pieces and phone of each line.
SAMPLES = {
    "01_documented": (
        "IU-2001",
        ["Sanne de Vries", "Dorpsstraat 12 A", False, "9711 AB", "Groningen", "NL", "+31612345678"],
        [(1, *IPHONE)],
    ),
    "02_flat_dropship": (
        "DS-778812",
        ["Pieter Janssens", "Meir 50", "bus 3", "2000", "Antwerpen", "BE", "+32470123456"],
        [(1, *IPHONE)],
    ),
    "03_shop": (
        "100000451",
        ["Fatima el Amrani", "Laan van Meerdervoort 501 bis", False, "2563 AX", "Den Haag", "NL", "+31701234567"],
        [(1, *IPHONE), (2, *GALAXY)],
    ),
    "04_envelope": (
        "a1b2-c3d4",
        ["Jürgen Müßig", "Königsallee 1 A", False, "40212", "Düsseldorf", "DE", "+492111234567"],
        [(1, *GALAXY)],
    ),
    "05_belgian_french": (
        "BE-FR-17",
        ["Chloé Lefèbvre", "Rue de la Loi 16", "boîte 4", "1000", "Bruxelles", "BE", "+3225010211"],
        [(1, *GALAXY)],
    ),
    "06_emoji": (
        "IU-2006 📱",
        ["Zoë 📱 van 't Hof", "'s-Gravelandseweg 3 hs", False, "1211 BN", "Hilversum", "NL", "geen"],
        [(1, *IPHONE)],
    ),
    "07_text_values": (
        "4711",
        ["Grietje Bakker", "Lange Dreef 7", False, "4131 NJ", "Vianen UT", "NL", False],
        [(2, *GALAXY)],
    ),
    "08_packstation": (
        "DE-900",
        ["Anna-Lena Weiß", "Packstation 145", "Postnummer 1234567", "10115", "Berlin", "DE", "+4915112345678"],
        [(1, *IPHONE)],
    ),
    "09_nested_recipient": (
        "NEST-9",
        ["Ömer Yılmaz", "Coolsingel 40-3E", False, "3011 AD", "Rotterdam", "NL", "+31612345679"],
        [(1, *GALAXY)],
    ),
    "10_dutch_names": (
        "NL-10",
        ["Jan van der Velden", "Hoofdstraat 8 C", False, "9712 JN", "Groningen", "NL", "+31501234567"],
        [(1, *IPHONE)],
    ),
}


@tagged("post_install", "-at_install")
class TestOrderSamples(IusedHttpCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls._make_phone(IPHONE[0], 10, iused_purchase_price=IPHONE[1])
        cls._make_phone(GALAXY[0], 10, iused_purchase_price=GALAXY[1], iused_ean="8806094885125")

    def _push_sample(self, name):
        with open(file_path(f"sale_iused/dev/orders/{name}.json"), encoding="utf-8") as file:
            document = json.load(file)
        with self.allow_requests(all_requests=True):
            self.env.flush_all()
            answer = self.portal.push_order(f"{self.base_url()}/iused/v1/orders", self.key, document)
        self.assertEqual(answer.status, 201, answer.body)
        return self.env["sale.order"].search([("name", "=", answer.body["external_order_id"])])

    def test_each_sample_is_the_right_sale_order(self):
        for name, (reference, contact, lines) in SAMPLES.items():
            with self.subTest(name):
                order = self._push_sample(name)
                self.assertEqual((order.iused_reference, order.state), (reference, "sale"))
                consumer = order.partner_shipping_id
                keys = ("name", "street", "street2", "zip", "city", "country_code", "phone")
                self.assertEqual([consumer[key] for key in keys], contact)
                self.assertFalse(consumer.is_company)
                self.assertEqual(
                    [
                        (line.product_uom_qty, line.product_id.default_code, line.price_unit)
                        for line in order.order_line
                    ],
                    lines,
                )
                self.assertEqual(order.picking_ids.mapped("state"), ["assigned"])
                self.assertFalse(order.activity_ids)
