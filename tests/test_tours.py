"""What people do in the web client, in a real browser."""

from datetime import timedelta
from unittest import SkipTest
from urllib.parse import quote

from freezegun import freeze_time

from odoo import fields
from odoo.tests import tagged

from .common import IusedHttpCase
from .test_text_everywhere import Harmful


class TourCase(IusedHttpCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        # Made beforehand, so that no tour waits for them: on a slow machine that takes longer than a page may take.
        cls.env["ir.qweb"]._pregenerate_assets_bundles()

    def _play(self, url_path, tour_name, **kwargs):
        """Play a tour; a page may take its time on a machine that is busy with other things."""
        try:
            self.start_tour(url_path, tour_name, timeout=180, **kwargs)
        except SkipTest as error:  # Odoo skips where the browser does not start; that nothing was seen is no success
            self.fail(f"The browser does not start: {error}")


@tagged("post_install", "-at_install")
class TestTours(TourCase):
    def test_overview_leads_from_nothing_to_all_is_well(self):
        company = self._make_company("New refurbisher")
        admin = self.env.ref("base.user_admin")
        admin.write({"company_ids": [(4, company.id)], "company_id": company.id, "password": "admin"})
        phone = self._make_phone("CONNECT-1", company_id=company.id, iused_offered=False)
        phone.with_company(company).write({"iused_purchase_price": 199.0, "iused_consumer_price": 249.0})
        stock = self.env["stock.warehouse"].search([("company_id", "=", company.id)], limit=1).lot_stock_id
        self._put_in_stock(phone, 2, location=stock)
        overview = "/odoo/action-sale_iused.iused_overview_action"
        # A port of this moment cannot stand in the tour.
        cookies = {"webhook": quote(self.portal.webhook_url, safe="")}
        self._play(overview, "iused_connect", login="admin", cookies=cookies)
        self.assertTrue(company.iused_webhook_tested_at)
        answer = self._push(self._make_order(phone), key=self._make_key(company))
        self.assertEqual(answer.status_code, 201, answer.text)
        self._play(overview, "iused_connected", login="admin")

    def test_administrator_connects_the_company(self):
        company = self._make_company("New refurbisher")
        admin = self.env.ref("base.user_admin")
        admin.write({"company_ids": [(4, company.id)], "company_id": company.id, "password": "admin"})
        self._play("/odoo/action-sale_iused.iused_settings_action", "iused_enter_webhook", login="admin")
        self.assertTrue(company.iused_webhook_is_set)
        self._play("/odoo/action-sale_iused.iused_settings_action", "iused_make_token", login="admin")
        keys = self.env["res.users.apikeys"].search([("user_id", "=", company.iused_user_id.id)])
        self.assertEqual(keys.mapped("scope"), ["iused"])

    def test_administrator_tests_the_webhook_and_revokes_a_token(self):
        admin = self.env.ref("base.user_admin")
        admin.write({"company_ids": [(4, self.company.id)], "company_id": self.company.id, "password": "admin"})
        self._play("/odoo/action-sale_iused.iused_settings_action", "iused_test_and_revoke", login="admin")
        self.assertTrue(self.company.iused_webhook_tested_at)
        self.assertEqual([call["method"] for call in self.portal.received], ["OPTIONS"])
        self.assertFalse(self.env["res.users.apikeys"].search([("user_id", "=", self.iused_user.id)]))

    def test_warehouse_user_sees_what_iused_knows(self):
        phone = self._make_phone("PHONE", 1)
        # Odoo's own delivery form needs the second group where carriers have zip prefixes.
        self._new_user("warehouse", "stock.group_stock_user", "base.group_partner_manager")
        order = self._receive(self._make_order(phone))
        picking = order.picking_ids
        self._play(f"/odoo/stock.picking/{picking.id}", "iused_delivery", login="warehouse")
        update = picking.iused_update_ids
        self.assertEqual(
            (update.serial_number, update.tracking_reference), (picking.move_line_ids.lot_id.name, "3STOUR")
        )
        self.portal.register_orders(order.name)
        self._run_cron()
        self.assertEqual(picking.iused_state, "sent")

    def test_salesperson_offers_products_in_bulk(self):
        user = self._new_user("seller", "sales_team.group_sale_salesman", "product.group_product_manager")
        for sku in ("BULK-1", "BULK-2", "BULK-3"):
            self._make_phone(sku, 1, iused_offered=False)
        self.env["product.product"].search([("default_code", "=", "BULK-3")]).barcode = False
        self._play("/odoo/action-sale_iused.iused_offer_action", "iused_offer_in_bulk", login=user.login)
        self.assertEqual([offer["sku"] for offer in self._poll().offers], ["BULK-1", "BULK-2"])

    def test_order_is_told_when_its_late_tracking_number_is_typed(self):
        self._new_user("both", "sales_team.group_sale_manager", "stock.group_stock_manager")
        order = self._receive(self._make_order(self._make_phone("PHONE", 1), order_id="IU-TOUR"))
        self._play("/odoo/action-sale_iused.iused_order_action", "iused_late_tracking", login="both")
        self.portal.register_orders(order.name)
        self._run_cron()
        self.assertEqual([update["track_and_trace"] for update in self.portal.updates], ["3SLATE"])
        self.assertEqual(order.iused_shipment_state, "sent")

    def test_stopped_update_is_sent_again(self):
        self._new_user("warehouse", "stock.group_stock_user")
        order = self._receive(self._make_order(self._make_phone("PHONE", 1)))
        update = self._deliver(order).iused_update_ids
        self.portal.register_orders(order.name)
        self.portal.fail(status=422, times=1)
        self._run_cron()
        self.assertEqual(update.state, "stopped")
        self._play("/odoo/action-sale_iused.iused_shipment_update_action", "iused_resume_stopped", login="warehouse")
        self._run_cron()
        self.assertEqual(update.state, "sent")

    def test_warehouse_user_takes_devices_back_by_keys_alone(self):
        phone = self._make_phone("PHONE", 6)
        lots = self.env["stock.lot"].search([("product_id", "=", phone.id)], order="id")
        imeis = [f"35693804100000{number}" for number in (2, 3, 4, 5)] + ["356938041000010", "356938041000011"]
        for lot, imei in zip(lots, imeis, strict=True):
            lot.name = imei
        self.company._iused_make_quarantine()
        self._new_user("warehouse", "stock.group_stock_user")
        single = self._deliver(self._receive(self._make_order(phone)))
        single.move_line_ids.lot_id = lots[0]
        order = self._receive(self._make_order((phone, 2), order_id="IU-DESK-2"))
        self._deliver(order)
        self._play("/odoo/action-sale_iused.iused_return_desk_action", "iused_returns_desk", login="warehouse")
        exchanged, returned = self.env["iused.return"].search([], order="id desc")
        self.assertEqual((returned.order_id, returned.reason_id.name), (order, "Defect under warranty"))
        self.assertEqual(returned.location_id, self.company.iused_quarantine_location_id)
        self.assertEqual(exchanged.replacement_id.carrier_tracking_ref, "3SEXCHANGE")
        self.assertEqual(exchanged.replacement_id.move_line_ids.lot_id, lots[4])


@tagged("post_install", "-at_install")
class TestAccountant(TourCase):
    """The tours of who invoices, without rights on sales."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.env["account.chart.template"].try_loading("nl", cls.company, install_demo=False)
        cls.phone = cls._make_phone("PHONE", 9)
        cls.accountant = cls._new_user("accountant", "account.group_account_invoice")

    def _ship_last_month(self, pieces):
        end = fields.Date.today().replace(day=1) - timedelta(days=1)
        with freeze_time(f"{end} 10:00:00"):
            return [self._ship() for _piece in range(pieces)]

    def test_accountant_invoices_a_month(self):
        orders = self.env["sale.order"].union(*(picking.sale_id for picking in self._ship_last_month(3)))
        self._play("/odoo/action-sale_iused.iused_to_invoice_action", "iused_invoice_month", login="accountant")
        self.assertEqual(len(orders.invoice_ids), 1)
        self.assertEqual(orders.invoice_ids.amount_untaxed, 3 * 199)

    def test_accountant_reconciles_a_statement_with_three_differences(self):
        same, price, _ours = self._ship_last_month(3)
        rows = [
            "Order;IMEI;Bedrag",
            f"{same.sale_id.iused_reference};{same.move_line_ids.lot_id.name};199,00",
            f"{price.sale_id.name};{price.move_line_ids.lot_id.name};189,00",
            "IU-STRANGE;356938035643809;199,00",
        ]
        cookies = {"statement": quote("\n".join(rows), safe="")}
        action = "/odoo/action-sale_iused.iused_statement_period_action"
        self._play(action, "iused_compare_statement", login="accountant", cookies=cookies)


@tagged("post_install", "-at_install")
class TestTextInBrowser(Harmful):
    LOOK = """
        const inputs = () => [...document.querySelectorAll("input, textarea")].map((input) => input.value);
        const isShown = () => [document.body.innerText, ...inputs()].some((text) => text.includes("<img src=x"));
        (async () => {
            for (let turn = 0; turn < 600 && !isShown(); turn++) {
                await new Promise((resolve) => setTimeout(resolve, 100));
            }
            await new Promise((resolve) => setTimeout(resolve, 500));
            if (!isShown()) {
                console.error("It is not shown: " + document.body.innerText.slice(0, 500));
            } else if (window.iusedHarm || document.querySelector("img[src='x'], .harm")) {
                console.error("Text became an element.");
            } else {
                console.log("test successful");
            }
        })();
    """

    def test_what_comes_from_outside_is_text_on_every_screen(self):
        admin = self.env.ref("base.user_admin")
        admin.write({"company_ids": [(4, self.company.id)], "company_id": self.company.id, "password": "admin"})
        self._let_harm_in()
        self.env["ir.qweb"]._pregenerate_assets_bundles()
        for path in (
            f"odoo/sale.order/{self.order.id}",
            f"odoo/sale.order/{self.quotation.id}",
            f"odoo/stock.picking/{self.order.picking_ids[:1].id}",
            f"odoo/iused.exchange/{self.refusal.id}",
            f"odoo/iused.exchange/{self.poll.id}",
            f"odoo/iused.shipment.update/{self.update.id}",
            f"odoo/iused.sftp.location/{self.location.id}",
            "odoo/action-sale_iused.iused_exchange_action",
            "odoo/action-sale_iused.iused_overview_action",
            f"iused/share/{self.company.id}",
        ):
            with self.subTest(path=path):
                self.browser_js(
                    f"/{path}", self.LOOK, ready="document.readyState === 'complete'", login="admin", timeout=120
                )
