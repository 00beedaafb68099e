"""What iUsed is invoiced: what left, together, with the devices on it."""

from datetime import datetime

from freezegun import freeze_time

from odoo import Command
from odoo.exceptions import AccessError, UserError
from odoo.tests import tagged
from odoo.tools import mute_logger

from .common import IusedCase


class BillingCase(IusedCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.env["account.chart.template"].try_loading("nl", cls.company, install_demo=False)
        cls.tax = cls.company.account_sale_tax_id
        cls.phone = cls._make_phone("PHONE", 9, taxes_id=[Command.set(cls.tax.ids)])


@tagged("post_install", "-at_install")
class TestBilling(BillingCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.accountant = cls._new_user("accountant", "account.group_account_invoice")
        cls.billing = cls.env["iused.billing"].with_user(cls.accountant).with_company(cls.company)

    def _to_invoice(self, until=None):
        self.env.flush_all()
        return self.billing.env["sale.order.line"].search(self.billing._to_invoice_domain(self.company, until))

    def _ship_on(self, moment, **kwargs):
        with freeze_time(moment):
            return self._ship(**kwargs).sale_id

    def test_orders_of_several_consumers_are_one_invoice_for_iused_alone(self):
        places = [
            {**self._make_order(self.phone)["shipping_address"], "house_number": str(number)} for number in (1, 2, 3)
        ]
        orders = self.env["sale.order"].union(
            *(self._receive(self._make_order(self.phone, shipping_address=place)) for place in places)
        )
        self.assertEqual(len(orders.partner_shipping_id), 3)
        for order in orders:
            self._deliver(order)
        invoice = self.billing._invoice(self._to_invoice(), "iUsed 2026-11")
        self.assertEqual((len(invoice), invoice.state, invoice.move_type), (1, "draft", "out_invoice"))
        self.assertEqual(invoice.partner_id, self.iused_partner)
        self.assertEqual(invoice.partner_shipping_id, self.iused_partner, "no consumer stands for all")
        self.assertEqual(invoice.ref, "iUsed 2026-11")
        self.assertEqual(invoice.amount_untaxed, 3 * 199)
        self.assertEqual(set(orders.mapped("invoice_status")), {"invoiced"})
        self.assertFalse(self._to_invoice())
        with self.assertRaisesRegex(UserError, "left to invoice"):
            self.billing._invoice(self._to_invoice(), "again")

    def test_odoos_own_button_makes_one_invoice_too(self):
        orders = self.env["sale.order"].union(*(self._ship().sale_id for _each in range(2)))
        self.assertEqual(len(orders._create_invoices()), 1)

    def test_orders_of_others_are_kept_apart_by_address_as_ever(self):
        customer = self.env["res.partner"].create({"name": "Shop"})
        shops = self.env["res.partner"].create([{"name": f"Shop {n}", "parent_id": customer.id} for n in (1, 2)])
        others = self.env["sale.order"].create(
            [
                {
                    "partner_id": customer.id,
                    "partner_shipping_id": shop.id,
                    "order_line": [Command.create({"product_id": self.phone.id, "price_unit": 100})],
                }
                for shop in shops
            ]
        )
        others.action_confirm()
        for picking in others.picking_ids:
            picking.button_validate()
        invoices = (others | self._ship().sale_id | self._ship().sale_id)._create_invoices()
        self.assertEqual(len(invoices), 3)
        self.assertEqual(invoices.partner_shipping_id, shops | self.iused_partner)

    def test_nothing_is_invoiced_before_it_left_whatever_the_products_policy(self):
        for policy in ("order", "delivery"):
            with self.subTest(policy=policy):
                self.phone.invoice_policy = policy
                order = self._receive(self._make_order((self.phone, 2)))
                self.assertEqual(order.invoice_status, "no")
                picking = order.picking_ids
                picking.move_ids.quantity = 1
                self.env["stock.backorder.confirmation"].with_context(button_validate_picking_ids=picking.ids).create(
                    {"pick_ids": [Command.set(picking.ids)]}
                ).process()
                self.assertEqual(order.invoice_status, "to invoice")
                invoice = self.billing._invoice(self._to_invoice(), "first")
                self.assertEqual(invoice.amount_untaxed, 199)
                first = invoice.invoice_line_ids.iused_lot_ids
                self.assertEqual(first, picking.move_line_ids.lot_id)
                self._deliver(order)
                second = self.billing._invoice(self._to_invoice(), "second").invoice_line_ids
                self.assertEqual(second.iused_lot_ids, order.picking_ids.move_line_ids.lot_id - first)
                self.assertNotIn(first.name, second.name)

    def test_line_names_both_orders_the_day_the_sku_and_the_devices(self):
        order = self._ship_on("2026-11-03 23:30:00", quantity=2)  # that is the fourth in Groningen
        self.accountant.tz = "Europe/Amsterdam"
        line = self.billing._invoice(self._to_invoice(), "x").invoice_line_ids
        for word in (order.iused_reference, order.name, "11/04/2026", "[PHONE]"):
            self.assertIn(word, line.name)
        for lot in order.picking_ids.move_line_ids.lot_id:
            self.assertIn(lot.name, line.name)
        self.assertEqual(line.quantity, 2)

    def test_lines_stand_in_the_order_of_days_then_of_iuseds_numbers(self):
        orders = [self._ship_on(f"2026-11-{day:02} 10:00:00") for day in (9, 3, 6)]
        lines = self.billing._invoice(self._to_invoice(), "x").invoice_line_ids.sorted("sequence")
        sold = [line.sale_line_ids.order_id for line in lines]
        self.assertEqual(sold, [orders[1], orders[2], orders[0]])

    def test_period_ends_with_its_last_day_where_the_accountant_is(self):
        self.accountant.tz = "Europe/Amsterdam"
        inside = self._ship_on("2026-10-31 22:30:00")
        outside = self._ship_on("2026-10-31 23:30:00")  # in November already
        lines = self._to_invoice(datetime(2026, 10, 31).date())
        self.assertEqual(lines.order_id, inside)
        with freeze_time("2026-11-05"):
            wizard = self.env["iused.invoice.period"].with_user(self.accountant).create({})
            self.assertEqual((str(wizard.until), wizard.orders, wizard.devices), ("2026-10-31", 1, 1))
            self.assertEqual((wizard.amount, wizard.credited), (199, 0))
            invoice = self.env["account.move"].browse(wizard.action_invoice()["res_id"])
        self.assertEqual(invoice.ref, "iUsed 2026-10")
        self.assertEqual(invoice.invoice_line_ids.sale_line_ids.order_id, inside)
        self.assertEqual(self._to_invoice().order_id, outside)

    def test_what_came_back_is_credited_once_it_was_invoiced_and_else_not_invoiced(self):
        picking = self._ship()
        self._return(picking)
        self.assertFalse(self._to_invoice(), "it never was invoiced")
        for policy in ("order", "delivery"):
            with self.subTest(policy=policy):
                self.phone.invoice_policy = policy
                picking = self._ship()
                self.billing._invoice(self._to_invoice(), "sold").action_post()
                self._return(picking)
                self.assertEqual(self._to_invoice().qty_to_invoice, -1)
                credit = self.billing._invoice(self._to_invoice(), "back")
                self.assertEqual((credit.move_type, credit.amount_untaxed), ("out_refund", 199))
                self.assertEqual(credit.invoice_line_ids.iused_lot_ids, picking.move_line_ids.lot_id)
                self.assertIn(picking.move_line_ids.lot_id.name, credit.invoice_line_ids.name)
                self.assertFalse(self._to_invoice())

    def test_serial_number_that_was_typed_is_on_the_invoice(self):
        product = self._make_phone("UNTRACKED", 3, tracking="none")
        order = self._receive(self._make_order(product))
        self._deliver(order)
        order.iused_update_ids._type_serial("356938035643809")
        line = self.billing._invoice(self._to_invoice(), "x").invoice_line_ids
        self.assertIn("356938035643809", line.name)

    def test_accountant_needs_no_rights_on_stock(self):
        picking = self._ship()
        lines = self._to_invoice()
        serial = picking.move_line_ids.lot_id.name
        self.env.invalidate_all()
        self.assertEqual(lines.iused_serial_numbers, serial)
        self.env.invalidate_all()
        invoice = self.billing._invoice(lines, "x")
        self.env.invalidate_all()
        invoice.action_post()
        wizard = self.env["account.move.reversal"].with_user(self.accountant)
        wizard = wizard.with_context(active_model="account.move", active_ids=invoice.ids)
        credit = wizard.create({"journal_id": invoice.journal_id.id})
        self.env.invalidate_all()
        credit = self.env["account.move"].browse(credit.reverse_moves()["res_id"])
        self.assertEqual(credit.invoice_line_ids.iused_lot_ids, picking.move_line_ids.lot_id)

    def test_delivered_orders_are_invoiced_by_themselves_where_that_is_wanted(self):
        order = self._ship().sale_id
        open_order = self._receive(self._make_order((self.phone, 2)))
        self._run_cron("invoice_orders")
        self.assertFalse(order.invoice_ids, "that is off")
        self.company.iused_invoice_automatically = True
        self._run_cron("invoice_orders")
        self._run_cron("invoice_orders")
        self.assertEqual((len(order.invoice_ids), order.invoice_ids.state), (1, "posted"))
        self.assertFalse(open_order.invoice_ids)

    def test_order_that_cannot_be_invoiced_by_itself_is_told_and_keeps_no_other(self):
        self.company.iused_invoice_automatically = True
        account = self.tax.repartition_line_ids.account_id[:1].copy({"account_type": "income"})
        other = self._make_phone("OTHER", 1, property_account_income_id=account.id)
        orders = [self._ship(product=phone).sale_id for phone in (other, self.phone)]
        account.active = False
        with mute_logger("odoo.addons.sale_iused.models.iused_billing"):
            self._run_cron("invoice_orders")
        self.assertFalse(orders[0].invoice_ids)
        self.assertEqual(orders[0].activity_ids.mapped("iused_key"), [f"invoice sale.order,{orders[0].id}"])
        self.assertEqual(orders[1].invoice_ids.state, "posted")

    def test_what_an_older_version_shipped_is_to_be_invoiced(self):
        order = self._ship_on("2026-10-05 10:00:00")
        self.env.flush_all()
        self.env.cr.execute("UPDATE sale_order_line SET iused_left_at = NULL, qty_to_invoice = 0")
        self.env.invalidate_all()
        self.assertFalse(self._to_invoice())
        self.env["iused.billing"]._take_over()
        line = self._to_invoice()
        self.assertEqual((line.order_id, str(line.iused_left_at)), (order, "2026-10-05 10:00:00"))

    def test_other_companies_and_plain_users(self):
        self._ship()
        other = self._make_company("Other")
        self.assertFalse(self.env["sale.order.line"].search(self.env["iused.billing"]._to_invoice_domain(other)))
        plain = self._new_user("plain")
        with self.assertRaises(AccessError):
            self.env["iused.invoice.period"].with_user(plain).create({})
        with self.assertRaises(AccessError):
            self._to_invoice().with_user(plain).action_iused_invoice()


@tagged("post_install", "-at_install")
class TestFees(BillingCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.fee = cls.env["product.product"].create(
            {"name": "Levy", "type": "service", "taxes_id": [Command.set(cls.tax.ids)], "company_id": cls.company.id}
        )
        cls.company.write({"iused_fee": "device", "iused_fee_product_id": cls.fee.id, "iused_fee_amount": 3.5})

    def _fee(self, order):
        return order.order_line.filtered("iused_fee")

    def test_fee_of_each_device_follows_what_left(self):
        order = self._receive(self._make_order((self.phone, 2)))
        fee = self._fee(order)
        self.assertEqual((fee.product_uom_qty, fee.price_unit, fee.tax_ids), (2, -3.5, self.tax))
        self.assertEqual(order.amount_untaxed, 2 * 199 - 7)
        self.assertFalse(fee.qty_to_invoice)
        picking = self._deliver(order)
        self.assertEqual(fee.qty_to_invoice, 2)
        invoice = order._create_invoices(final=True)
        self.assertEqual(invoice.amount_untaxed, 2 * 199 - 7)
        self._return(picking)
        self.assertEqual(fee.qty_to_invoice, -1)

    def test_fee_of_an_order_stays_where_all_came_back(self):
        self.company.iused_fee = "order"
        order = self._receive(self._make_order((self.phone, 2)))
        fee = self._fee(order)
        self.assertEqual(fee.product_uom_qty, 1)
        self._return(self._deliver(order), 2)
        self.assertEqual((fee.qty_delivered, fee.qty_to_invoice), (1, 1))

    def test_iused_reads_its_own_lines_back_alone(self):
        order = self._receive(self._make_order(self.phone))
        details = self.env["iused.order.inbox"]._prepare_details(order)
        self.assertEqual([line["sku"] for line in details["lines"]], ["PHONE"])

    def test_without_an_agreement_there_is_none(self):
        self.company.iused_fee = False
        self.assertFalse(self._fee(self._receive(self._make_order(self.phone))))
