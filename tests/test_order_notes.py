"""A consumer's remark is for who packs: it goes to the deliveries of an order, not onto iUsed's invoice."""

from odoo.tests import tagged
from odoo.tools import html2plaintext

from .common import IusedCase

REMARK = "Ring <twice>\nThank you"


@tagged("post_install", "-at_install")
class TestOrderNotes(IusedCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.phone = cls._make_phone("PHONE", 6)

    def _order(self, *lines, **values):
        return self._receive(self._make_order(*(lines or [self.phone]), note=REMARK, **values))

    def _assertToldOn(self, pickings):
        self.assertTrue(pickings)
        for picking in pickings:
            self.assertEqual(html2plaintext(picking.note).split(), REMARK.split())
            self.assertEqual(picking.iused_note, REMARK)

    def test_remark_is_on_the_delivery(self):
        self._assertToldOn(self._order().picking_ids)

    def test_company_keeps_its_own_terms(self):
        self.env["ir.config_parameter"].sudo().set_param("account.use_invoice_terms", True)
        self.company.write({"terms_type": "plain", "invoice_terms": "<p>Ours until paid.</p>"})
        order = self._order()
        self.assertEqual(html2plaintext(order.note), "Ours until paid.")
        self.assertEqual(html2plaintext(order._prepare_invoice()["narration"]), "Ours until paid.")
        self.assertEqual(html2plaintext(self._receive(self._make_order(self.phone)).note), "Ours until paid.")

    def test_remark_of_a_quotation_waits_for_its_confirmation(self):
        self.company.iused_order_policy = "quotation"
        order = self._order()
        self.assertFalse(order.picking_ids)
        self.env.invalidate_all()
        salesperson = self._new_user("salesperson", "sales_team.group_sale_salesman_all_leads")
        order.with_user(salesperson).action_confirm()
        self._assertToldOn(order.picking_ids)

    def test_remark_is_on_a_backorder(self):
        order = self._order((self.phone, 2))
        first = order.picking_ids
        first.carrier_tracking_ref = "3SABC"
        first.move_line_ids[0].picked = True
        first.with_context(skip_backorder=True).button_validate()
        self.assertEqual(len(order.picking_ids), 2)
        self._assertToldOn(order.picking_ids)

    def test_remark_is_on_each_step_and_on_what_is_made_later(self):
        self.warehouse.delivery_steps = "pick_ship"
        order = self._order()
        worker = self._new_user("packer", "stock.group_stock_user")
        pick = order.picking_ids
        self._assertToldOn(pick)
        self.env.invalidate_all()
        pick.with_user(worker).button_validate()
        self.assertEqual(len(order.picking_ids), 2, "the second step is made with the first one's validation")
        self._assertToldOn(order.picking_ids)
        order.order_line.product_uom_qty = 2
        self._assertToldOn(order.picking_ids)

    def test_an_order_without_a_remark_has_no_note(self):
        picking = self._receive(self._make_order(self.phone)).picking_ids
        self.assertFalse(picking.note)
        self.assertFalse(picking.iused_note)

    def test_remark_is_not_copied_with_the_order(self):
        self.assertFalse(self._order().copy().iused_note)
