"""Who has to enter the tracking reference is told so before the validation; whose carrier makes a label is not."""

from unittest.mock import patch

from odoo.tests import tagged
from odoo.tools import SQL

from .common import IusedCase


@tagged("post_install", "-at_install")
class TestLabelWarning(IusedCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.phone = cls._make_phone("PHONE", 6)

    def _warning(self, kind, **values):
        """Return the warning on a delivery by a new carrier, made as Odoo's form does unless told otherwise."""
        product = self.env["product.product"].create({"name": "Delivery", "type": "service", "list_price": 5.0})
        carrier = self.env["delivery.carrier"].create({"name": "Carrier", "product_id": product.id, **values})
        # The kinds of the carriers' own addons cannot be chosen here.
        self.env.execute_query(
            SQL("UPDATE delivery_carrier SET delivery_type = %s WHERE id = %s RETURNING id", kind, carrier.id)
        )
        carrier.invalidate_recordset()
        self.company.iused_carrier_id = carrier
        picking = self._receive(self._make_order(self.phone)).picking_ids
        self.assertEqual((picking.carrier_id, picking.carrier_id.delivery_type), (carrier, kind))
        return picking.iused_warning or ""

    def test_carriers_of_odoo_itself_make_no_labels(self):
        for kind in ("fixed", "base_on_rule"):
            self.assertIn("no tracking reference", self._warning(kind), kind)

    def test_carrier_that_makes_labels_needs_none_entered(self):
        self.startPatcher(patch.object(type(self.env["delivery.carrier"]), "postal_send_shipping", create=True))
        self.assertEqual(self._warning("postal"), "")
        self.assertIn("no tracking reference", self._warning("postal", integration_level="rate"))
        self.warehouse.out_type_id.print_label = False
        self.assertIn("no tracking reference", self._warning("postal"), "the label is made in another way")

    def test_carrier_whose_addon_only_tells_prices_makes_no_labels(self):
        self.assertIn("no tracking reference", self._warning("postal"))

    def test_reference_that_was_entered_is_enough(self):
        self.assertTrue(self._warning("fixed"))
        picking = self._receive(self._make_order(self.phone)).picking_ids
        picking.carrier_tracking_ref = "3SABC"
        self.assertFalse(picking.iused_warning)
