"""An order of iUsed is found by iUsed's number wherever it is looked up; lists show the number and the shipment."""

from lxml import etree

from odoo.tests import tagged
from odoo.tools.safe_eval import safe_eval

from .common import IusedCase


@tagged("post_install", "-at_install")
class TestOrderScreens(IusedCase):
    def setUp(self):
        super().setUp()
        self.phone = self._make_phone("PHONE", 4)
        self.order = self._receive(self._make_order(self.phone))
        self.reference = self.order.iused_reference
        self._receive(self._make_order(self.phone))  # which must not be found

    def _type(self, records, view, text):
        """Search as somebody does who types into the search box and presses enter: the view's first field."""
        arch = etree.fromstring(records.get_view(self.env.ref(view).id, "search")["arch"])
        first = arch.find(".//field")
        return records.search(safe_eval(first.get("filter_domain"), {"self": text}))

    def test_order_is_found_by_typing_iuseds_number(self):
        orders = self.env["sale.order"].with_user(self._new_user("sales", "sales_team.group_sale_salesman_all_leads"))
        for view in ("sale.view_sales_order_filter", "sale.sale_order_view_search_inherit_quotation"):
            self.assertEqual(self._type(orders, view, self.reference), self.order)
            self.assertEqual(self._type(orders, view, self.order.name), self.order, "as before")
        self.assertEqual([number for number, _name in orders.name_search(self.reference)], self.order.ids)

    def test_delivery_is_found_by_typing_iuseds_number(self):
        pickings = self.env["stock.picking"].with_user(self._new_user("warehouse", "stock.group_stock_user"))
        view = "stock.view_picking_internal_search"
        self.assertEqual(self._type(pickings, view, self.reference), self.order.picking_ids)
        self.assertEqual(self._type(pickings, view, self.order.picking_ids.name), self.order.picking_ids, "as before")

    def test_invoice_is_found_by_iuseds_number(self):
        self._open_books()
        self._deliver(self.order)
        invoice = self.order._create_invoices()
        accountant = self._new_user("accountant", "account.group_account_invoice")
        moves = self.env["account.move"].with_user(accountant)
        arch = etree.fromstring(
            moves.get_view(self.env.ref("account.view_account_invoice_filter").id, "search")["arch"]
        )
        field = arch.find(".//field[@string='iUsed Reference']")
        self.assertEqual(moves.search(safe_eval(field.get("filter_domain"), {"self": self.reference})), invoice)

    def _open_books(self):
        """Give the company what an invoice needs."""
        income, receivable = self.env["account.account"].create(
            [
                {"name": "Sales", "code": "8000", "account_type": "income"},
                {"name": "Customers", "code": "1300", "account_type": "asset_receivable"},
            ]
        )
        self.env["account.journal"].create(
            {"name": "Sales", "code": "SALE", "type": "sale", "default_account_id": income.id}
        )
        self.iused_partner.property_account_receivable_id = receivable

    def test_update_is_found_by_iuseds_number(self):
        update = self._deliver(self.order).iused_update_ids
        self.assertEqual(self.env["iused.shipment.update"].search([("order_id", "ilike", self.reference)]), update)

    def test_delivery_shows_the_reference_of_each_of_its_orders(self):
        picking = self.order.picking_ids
        self.assertEqual(picking.iused_reference, self.reference)
        second = self._receive(self._make_order(self.phone))
        second.picking_ids.move_ids.picking_id = picking
        self.assertEqual(picking.iused_reference, f"{self.reference}, {second.iused_reference}")
        found = self.env["stock.picking"].search([("iused_reference", "=", second.iused_reference)])
        self.assertEqual(found, picking)

    def test_deliveries_from_iused_are_told_from_the_others(self):
        own = self.env["stock.picking"].create(
            {
                "picking_type_id": self.warehouse.out_type_id.id,
                "location_id": self.stock.id,
                "location_dest_id": self.customers.id,
            }
        )
        ours = self.order.picking_ids + own
        self.assertFalse(own.iused_reference)
        search = self.env["stock.picking"].search
        self.assertEqual(search([("iused_reference", "!=", False), ("id", "in", ours.ids)]), self.order.picking_ids)
        self.assertEqual(search([("iused_reference", "=", False), ("id", "in", ours.ids)]), own)
        self.assertEqual(search([("iused_reference", "not ilike", self.reference), ("id", "in", ours.ids)]), own)

    def test_lists_and_cards_show_reference_and_shipment_state(self):
        warehouse = self._new_user("warehouse", "stock.group_stock_user")
        sales = self._new_user("sales", "sales_team.group_sale_salesman_all_leads")
        picking = self._deliver(self.order, tracking=False)
        for record, state in (
            (self.order.with_user(sales), "iused_shipment_state"),
            (picking.with_user(warehouse), "iused_state"),
        ):
            for kind in ("list", "kanban", "form"):
                with self.subTest(model=record._name, kind=kind):
                    arch = record.get_view(view_type=kind)["arch"]
                    self.assertIn('name="iused_reference"', arch)
                    self.assertIn(f'name="{state}"', arch)
                    values = record.read(["iused_reference", state])[0]
                    self.assertEqual((values["iused_reference"], values[state]), (self.reference, "waiting"))

    def test_filter_finds_what_iused_was_not_told_of(self):
        picking = self._deliver(self.order, tracking=False)
        other = self._deliver(self._receive(self._make_order(self.phone)))
        other.iused_update_ids.state = "sent"
        for record, view, told in (
            (picking, "stock.view_picking_internal_search", other),
            (self.order, "sale.view_sales_order_filter", other.sale_id),
        ):
            arch = etree.fromstring(record.get_view(self.env.ref(view).id, "search")["arch"])
            domain = safe_eval(arch.find(".//filter[@name='iused_untold']").get("domain"))
            self.assertIn(record, record.search(domain))
            self.assertNotIn(told, record.search(domain))

    def test_list_of_iuseds_orders_shows_the_consumer(self):
        action = self.env["ir.actions.act_window"]._for_xml_id("sale_iused.iused_order_action")
        view, kind = action["views"][0]
        arch = etree.fromstring(self.order.get_view(view, kind)["arch"])
        shown = [field.get("name") for field in arch.iter("field") if field.get("optional") != "hide"]
        for name in ("name", "iused_reference", "partner_shipping_id", "state", "iused_shipment_state"):
            self.assertIn(name, shown)

    def test_update_without_a_serial_number_is_named_after_its_order(self):
        phone = self._make_phone("UNTRACKED", tracking="none")
        self._put_in_stock(phone, 1)
        update = self._deliver(self._receive(self._make_order(phone))).iused_update_ids
        self.assertEqual(update.display_name, update.order_id.name)
        update._type_serial("356938035643809")
        self.assertEqual(update.display_name, "356938035643809")
