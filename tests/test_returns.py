"""The returns desk: what is known of a device, taking it back, exchanging it, figures of it."""

from base64 import b64decode
from datetime import timedelta

from freezegun import freeze_time

from odoo import Command, fields
from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.tests import tagged
from odoo.tools import mute_logger

from .common import IusedCase


class DeskCase(IusedCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.phone = cls._make_phone("PHONE", 6)
        cls.worker = cls._new_user("worker", "stock.group_stock_user")
        cls.desk = cls.env["iused.return.desk"].with_user(cls.worker).with_company(cls.company)
        cls.withdrawal = cls.env.ref("sale_iused.return_reason_withdrawal")

    def _look_up(self, number):
        """Return the only device behind a number."""
        found = self.desk.look_up(number)
        self.assertFalse(found["trouble"])
        self.assertEqual(len(found["devices"]), 1, found)
        return found["devices"][0]

    def _serial(self, picking):
        return picking.move_line_ids.lot_id.name

    def _which(self, device, place=None, reason=None):
        """Return the arguments that name a device, why it came back and where it goes; the stock by default."""
        keys = [each["key"] for each in device["places"]]
        place = place or next(key for key in keys if key.startswith("stock-"))
        return device["line_id"], device["piece"], (reason or self.withdrawal).id, place

    def _take_back(self, number, place=None, **kwargs):
        """Return the row of a device that was taken back."""
        self.desk.take_back(*self._which(self._look_up(number), place), **kwargs)
        return self.env["iused.return"].search([], limit=1)

    def _offered(self, product):
        self.env.flush_all()
        self.env.invalidate_all()
        return product.iused_stock


@tagged("post_install", "-at_install")
class TestLookUp(DeskCase):
    def test_device_is_found_by_its_number_and_by_either_order_number(self):
        picking = self._ship()
        order, serial = picking.sale_id, self._serial(picking)
        for number in (serial, f" {serial} ", order.name, order.name.lower(), order.iused_reference):
            with self.subTest(number=number):
                device = self._look_up(number)
                self.assertEqual(device["serial"], serial)
                self.assertEqual((device["order"], device["reference"]), (order.name, order.iused_reference))
                self.assertFalse(device["is_back"])

    def test_days_are_counted_and_judged_by_the_companys_terms(self):
        serial = self._serial(self._ship())
        self.company.write({"iused_withdrawal_days": 14, "iused_warranty_months": 24})
        today = fields.Datetime.now().replace(hour=12)
        for days, kind, word in (
            (14, "success", "withdrawal"),
            (15, "info", "warranty"),
            (729, "info", "24 months"),
            (735, "warning", "any more"),
        ):
            with self.subTest(days=days), freeze_time(today + timedelta(days=days)):
                device = self._look_up(serial)
                self.assertEqual((device["days"], device["terms"]["kind"]), (days, kind))
                self.assertIn(word, device["terms"]["text"])

    def test_all_devices_of_an_order_are_listed_those_that_are_back_last(self):
        order = self._ship(3).sale_id
        serials = [device["serial"] for device in self.desk.look_up(order.name)["devices"]]
        self.assertEqual(len(set(serials)), 3)
        self._take_back(serials[0])
        devices = self.desk.look_up(order.name)["devices"]
        self.assertEqual([device["is_back"] for device in devices], [False, False, True])
        self.assertEqual(devices[2]["serial"], serials[0])

    def test_device_that_never_was_sold_to_iused_is_said_so(self):
        unsold = self.env["stock.lot"].search([("product_id", "=", self.phone.id)], limit=1)
        self.assertIn("never sold to iUsed", self.desk.look_up(unsold.name)["trouble"])
        self.assertIn("never sold to iUsed", self.desk.look_up("356938035643809")["trouble"])
        self.assertIn("never sold to iUsed", self.desk.look_up("%")["trouble"])
        self.assertTrue(self.desk.look_up("")["trouble"])

    def test_device_sold_to_somebody_else_is_none_of_iuseds(self):
        customer = self.env["res.partner"].create({"name": "Shop"})
        order = self.env["sale.order"].create(
            {"partner_id": customer.id, "order_line": [Command.create({"product_id": self.phone.id})]}
        )
        order.action_confirm()
        picking = self._deliver(order)
        self.assertIn("never sold to iUsed", self.desk.look_up(self._serial(picking))["trouble"])

    def test_order_that_has_not_left_is_said_so(self):
        order = self._receive(self._make_order(self.phone))
        self.assertIn("left yet", self.desk.look_up(order.iused_reference)["trouble"])

    def test_another_companys_device_is_named_as_such_and_nothing_of_it_shown(self):
        picking = self._ship()
        serial, order = self._serial(picking), picking.sale_id
        other = self._make_company("Other")
        user = self._new_user("elsewhere", "stock.group_stock_user", company=other)
        desk = self.env["iused.return.desk"].with_user(user).with_context(allowed_company_ids=other.ids)
        for number in (serial, order.name, order.iused_reference):
            found = desk.look_up(number)
            self.assertFalse(found["devices"])
            self.assertIn("another company", found["trouble"])
            for secret in {self.company.name, order.name, order.iused_reference} - {number}:
                self.assertNotIn(secret, found["trouble"])
        with self.assertRaises(UserError):
            desk.take_back(picking.move_line_ids.id, 0, self.withdrawal.id, "quarantine")

    def test_who_has_nothing_to_do_with_it_sees_nothing_and_who_sells_takes_nothing_in(self):
        picking = self._ship()
        serial = self._serial(picking)
        with self.assertRaises(AccessError):
            self.desk.with_user(self._new_user("plain")).look_up(serial)
        seller = self._new_user("seller", "sales_team.group_sale_salesman_all_leads")
        self.assertEqual(self.desk.with_user(seller).look_up(serial)["devices"][0]["serial"], serial)
        self.assertTrue(self.desk.with_user(seller).look_up(picking.sale_id.name)["devices"])
        self.assertFalse(self.desk.with_user(seller).get_desk()["may_return"])
        with self.assertRaises(AccessError):
            self.desk.with_user(seller).take_back(picking.move_line_ids.id, 0, self.withdrawal.id, "quarantine")

    def test_barcodes_are_drawn_of_codes_alone(self):
        drawn = self.desk.get_barcodes(["1", "OK", "<script>", ""])
        self.assertEqual(list(drawn), ["1", "OK"])
        self.assertIn(b"<svg", b64decode(drawn["OK"].partition("base64,")[2]))

    def test_large_order_lists_some_and_counts_the_rest(self):
        cable = self._make_phone("CABLE", 60, tracking="none")
        found = self.desk.look_up(self._ship(60, product=cable).sale_id.name)
        self.assertEqual((len(found["devices"]), found["more"]), (50, 10))


@tagged("post_install", "-at_install")
class TestTakeBack(DeskCase):
    def test_receipt_is_done_and_the_order_has_it_delivered_no_more(self):
        picking = self._ship(2)
        line = picking.sale_id.order_line
        lot = picking.move_line_ids.lot_id[1]
        row = self._take_back(lot.name, note="scratched")
        receipt = row.picking_id
        self.assertEqual((receipt.state, receipt.picking_type_id), ("done", self.warehouse.in_type_id))
        self.assertEqual((receipt.move_line_ids.lot_id, receipt.move_ids.quantity), (lot, 1))
        self.assertTrue(receipt.move_ids.to_refund)
        self.assertEqual((line.qty_delivered, line.qty_to_invoice), (1, 1))
        self.assertEqual((row.lot_id, row.serial_number, row.reason_id), (lot, lot.name, self.withdrawal))
        self.assertEqual((row.order_line_id, row.note, row.user_id), (line, "scratched", self.worker))
        self.assertEqual(row.left_line_id, picking.move_line_ids.filtered(lambda each: each.lot_id == lot))
        self.assertFalse(row.credit_note_id)

    def test_what_came_back_is_offered_again_only_where_it_lies_for_sale(self):
        self.company._iused_make_quarantine()
        serials = [self._serial(self._ship()) for _each in range(2)]
        self.assertEqual(self._offered(self.phone), 4)
        row = self._take_back(serials[0], "quarantine")
        self.assertEqual(row.location_id, self.company.iused_quarantine_location_id)
        self.assertEqual(self._offered(self.phone), 4)
        self._take_back(serials[1])
        self.assertEqual(self._offered(self.phone), 5)

    def test_as_installed_there_is_the_stock_alone_and_that_is_said(self):
        device = self._look_up(self._serial(self._ship()))
        self.assertEqual([place["name"] for place in device["places"]], ["Stock"])
        self.assertIn("for sale again at once", device["places"][0]["note"])

    def test_place_within_the_stock_cannot_be_quarantine(self):
        inside = self.env["stock.location"].create({"name": "Shelf", "location_id": self.stock.id})
        with self.assertRaisesRegex(ValidationError, "for sale"):
            self.company.iused_quarantine_location_id = inside
        quarantine = self.company._iused_make_quarantine()
        serial = self._serial(self._ship())
        quarantine.location_id = self.stock  # moved since
        with self.assertRaisesRegex(ValidationError, "for sale"):
            self.desk.take_back(*self._which(self._look_up(serial), "quarantine"))
        quarantine.location_id = self.warehouse.view_location_id
        foreign = self.env["stock.location"].create(
            {"name": "Elsewhere", "company_id": self._make_company("Other").id, "usage": "internal"}
        )
        with self.assertRaisesRegex(ValidationError, "no internal location"):
            self.company.iused_repair_location_id = foreign

    def test_button_of_the_settings_makes_a_quarantine_once(self):
        settings = self.env["res.config.settings"].create({})
        settings.action_iused_make_quarantine()
        quarantine = self.company.iused_quarantine_location_id
        self.assertEqual(quarantine.location_id, self.warehouse.view_location_id)
        settings.action_iused_make_quarantine()
        self.assertEqual(self.company.iused_quarantine_location_id, quarantine)
        with self.assertRaises(AccessError):
            self.desk.make_quarantine()

    def test_device_returned_twice_is_said_so(self):
        serial = self._serial(self._ship())
        device = self._look_up(serial)
        self.desk.take_back(*self._which(device))
        with self.assertRaisesRegex(UserError, "came back already"):
            self.desk.take_back(*self._which(device))
        again = self._look_up(serial)
        self.assertTrue(again["is_back"])
        self.assertIn("Withdrawal", again["earlier"][0])

    def test_device_sold_again_can_come_back_again_and_shows_its_earlier_return(self):
        self._put_in_stock(phone := self._make_phone("ONE"), 1)
        first = self._ship(product=phone)
        serial = self._serial(first)
        self._take_back(serial)
        second = self._ship(product=phone)
        self.assertEqual(self._serial(second), serial)
        device = self._look_up(serial)
        self.assertEqual((device["order"], device["is_back"]), (second.sale_id.name, False))
        self.assertIn(first.sale_id.name, device["earlier"][0])
        self.assertEqual(self._take_back(serial).order_id, second.sale_id)
        self.assertTrue(self._look_up(first.sale_id.name)["is_back"])

    def test_several_steps_of_receipt_are_kept_for_the_stock_and_skipped_for_quarantine(self):
        self.warehouse.reception_steps = "two_steps"
        self.company._iused_make_quarantine()
        serials = [self._serial(self._ship()) for _each in range(2)]
        device = self._look_up(serials[0])
        self.assertEqual([place["key"] for place in device["places"]], ["quarantine", f"stock-{self.warehouse.id}"])
        self.assertIn("put away", device["places"][1]["note"])
        before = self._offered(self.phone)
        text = self.desk.take_back(*self._which(device))["text"]
        self.assertEqual(self._offered(self.phone), before)
        following = self.env["stock.picking"].search(
            [("location_id", "=", self.warehouse.wh_input_stock_loc_id.id), ("state", "=", "assigned")]
        )
        self.assertIn(following.name, text)
        following.button_validate()
        self.assertEqual(self._offered(self.phone), before + 1)
        self.assertEqual(self._take_back(serials[1], "quarantine").picking_id.state, "done")
        self.assertEqual(self.env["iused.return"].search_count([]), 2, "putting it away is no return")

    def test_several_steps_of_delivery(self):
        self.warehouse.delivery_steps = "pick_pack_ship"
        order = self._receive(self._make_order(self.phone))
        for _step in range(3):
            picking = order.picking_ids.filtered(lambda each: each.state == "assigned")
            picking.button_validate()
        row = self._take_back(order.name)
        self.assertEqual(row.order_id, order)
        self.assertEqual(row.location_id, self.stock)
        self.assertEqual(order.order_line.qty_delivered, 0)

    def test_with_several_warehouses_each_stock_is_a_place(self):
        second = self.env["stock.warehouse"].create({"name": "South", "code": "S", "company_id": self.company.id})
        serial = self._serial(self._ship())
        places = self._look_up(serial)["places"]
        self.assertEqual([place["name"] for place in places], [f"Stock of {self.warehouse.name}", "Stock of South"])
        row = self._take_back(serial, places[1]["key"])
        self.assertEqual(row.location_id, second.lot_stock_id)
        self.assertEqual(row.picking_id.picking_type_id, second.in_type_id)

    def test_product_without_serial_numbers_comes_back_by_order_number_and_by_the_number_that_was_typed(self):
        cable = self._make_phone("CABLE", 9, tracking="none")
        typed = self._ship(2, product=cable).iused_update_ids.sorted("id")
        for update, serial in zip(typed, ("SN-1", "SN-2"), strict=True):
            update._type_serial(serial)
        row = self._take_back("SN-2")
        self.assertEqual((row.serial_number, row.lot_id), ("SN-2", self.env["stock.lot"]))
        self.assertTrue(self._look_up("SN-2")["is_back"])
        self.assertFalse(self._look_up("SN-1")["is_back"])
        order = self._ship(2, product=cable).sale_id
        device = self.desk.look_up(order.name)["devices"][0]
        self.desk.take_back(*self._which(device))
        self.assertEqual(order.order_line.qty_delivered, 1)
        self.assertEqual([each["is_back"] for each in self.desk.look_up(order.name)["devices"]], [False, True])

    def test_return_that_is_expected_already_is_said(self):
        picking = self._ship()
        receipt = self._return(picking, done=False)
        self.assertIn(receipt.name, self._look_up(self._serial(picking))["expected"])
        receipt.action_cancel()
        self.assertFalse(self._look_up(self._serial(picking))["expected"])

    def test_reason_is_asked_for(self):
        device = self._look_up(self._serial(self._ship()))
        with self.assertRaisesRegex(UserError, "why"):
            self.desk.take_back(device["line_id"], device["piece"], False, device["places"][0]["key"])
        with self.assertRaisesRegex(UserError, "where"):
            self.desk.take_back(device["line_id"], device["piece"], self.withdrawal.id, "nowhere")

    def test_return_by_odoos_own_screens_is_written_down_too(self):
        picking = self._ship(2)
        self._return(picking, 2)
        rows = self.env["iused.return"].search([])
        self.assertEqual(set(rows.mapped("serial_number")), set(picking.move_line_ids.lot_id.mapped("name")))
        self.assertFalse(rows.reason_id)
        self.assertEqual(rows.left_line_id, picking.move_line_ids)
        rows[0].with_user(self.worker).reason_id = self.withdrawal
        with self.assertRaises(AccessError):
            rows[0].with_user(self.worker).serial_number = "other"

    def test_returns_of_others_orders_are_none_of_iuseds(self):
        customer = self.env["res.partner"].create({"name": "Shop"})
        order = self.env["sale.order"].create(
            {"partner_id": customer.id, "order_line": [Command.create({"product_id": self.phone.id})]}
        )
        order.action_confirm()
        self._return(self._deliver(order))
        self.assertFalse(self.env["iused.return"].search([]))

    def test_returns_from_before_are_written_down_once(self):
        self._return(self._ship())
        rows = self.env["iused.return"].search([])
        came_back = rows.returned_on
        rows.unlink()
        self.env["iused.return"]._note_past()
        self.env["iused.return"]._note_past()
        rows = self.env["iused.return"].search([])
        self.assertEqual((len(rows), rows.returned_on), (1, came_back))


@tagged("post_install", "-at_install")
class TestCredit(DeskCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.env["account.chart.template"].try_loading("nl", cls.company, install_demo=False)
        cls.phone.taxes_id = cls.company.account_sale_tax_id
        cls.accountant = cls._new_user("accountant", "account.group_account_invoice")

    def _invoice(self, order):
        invoice = order._create_invoices(final=True)
        invoice.action_post()
        return invoice

    def test_what_was_invoiced_gets_a_draft_credit_note_of_its_line_alone(self):
        picking = self._ship(2)
        order = picking.sale_id
        self._invoice(order)
        other = self._ship()
        self._invoice(other.sale_id)
        self._return(other)  # to be credited as well, by the accountant
        lot = picking.move_line_ids.lot_id[0]
        row = self._take_back(lot.name)
        credit = row.credit_note_id
        self.assertEqual((credit.move_type, credit.state, credit.amount_untaxed), ("out_refund", "draft", 199))
        self.assertEqual(credit.invoice_line_ids.sale_line_ids, order.order_line)
        self.assertEqual(credit.invoice_line_ids.iused_lot_ids, lot)
        self.assertIn(order.iused_reference, credit.ref)
        self.assertEqual(order.order_line.qty_to_invoice, 0)
        self.assertEqual(row.with_user(self.accountant).credit_note_id, credit)
        with self.assertRaises(AccessError):
            row.with_user(self.worker).read(["credit_note_id"])

    def test_before_it_was_invoiced_nothing_is_left_to_invoice(self):
        picking = self._ship()
        text = self.desk.take_back(*self._which(self._look_up(self._serial(picking))))["text"]
        self.assertIn("not invoiced", text)
        self.assertFalse(picking.sale_id.invoice_ids)
        self.assertEqual(picking.sale_id.order_line.qty_to_invoice, 0)

    def test_credit_note_that_cannot_be_made_keeps_no_device_from_coming_back(self):
        picking = self._ship()
        invoice = self._invoice(picking.sale_id)
        invoice.journal_id.active = False
        self.env["account.journal"].search([("company_id", "=", self.company.id), ("type", "=", "sale")]).active = False
        with mute_logger("odoo.addons.sale_iused.models.iused_return_desk"):
            text = self.desk.take_back(*self._which(self._look_up(self._serial(picking))))["text"]
        self.assertIn("could not be made", text)
        self.assertEqual(picking.sale_id.order_line.qty_delivered, 0)
        self.assertEqual(len(picking.sale_id.activity_ids), 1)


@tagged("post_install", "-at_install")
class TestExchange(DeskCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.env["account.chart.template"].try_loading("nl", cls.company, install_demo=False)

    def _exchange(self, number, replacement, tracking="3SNEW", **kwargs):
        text = self.desk.exchange(*self._which(self._look_up(number), **kwargs), replacement, tracking)["text"]
        return self.env["iused.return"].search([], limit=1), text

    def _free_lot(self, product=None):
        quants = self.env["stock.quant"].search(
            [("product_id", "=", (product or self.phone).id), ("location_id", "=", self.stock.id), ("quantity", ">", 0)]
        )
        return quants.filtered(lambda quant: not quant.reserved_quantity).lot_id[:1]

    def _send(self, updates):
        updates.sudo().write({"state": "sent", "attempts": 1, "body": "{}", "sent_at": fields.Datetime.now()})

    def test_replacement_leaves_for_the_same_line_and_nothing_is_invoiced_or_credited(self):
        self.company._iused_make_quarantine()
        picking = self._ship()
        line = picking.sale_id.order_line
        left_at = line.iused_left_at
        line.order_id._create_invoices(final=True)
        free = self._free_lot()
        row, text = self._exchange(self._serial(picking), free.name, place="quarantine")
        delivery = row.replacement_id
        self.assertEqual((delivery.state, delivery.carrier_tracking_ref), ("done", "3SNEW"))
        self.assertEqual((delivery.move_line_ids.lot_id, delivery.move_ids.sale_line_id), (free, line))
        self.assertEqual(delivery.partner_id, picking.partner_id)
        self.assertEqual(delivery.picking_type_id, self.warehouse.out_type_id)
        self.assertEqual(row.replacement_serial, free.name)
        self.assertEqual((line.qty_delivered, line.qty_to_invoice, line.iused_left_at), (1, 0, left_at))
        self.assertEqual(len(line.order_id.invoice_ids), 1)
        self.assertIn(free.name, text)
        self.assertEqual(free.location_id, self.customers)
        self.assertEqual(picking.move_line_ids.lot_id.location_id, self.company.iused_quarantine_location_id)

    def test_exchange_is_only_recorded_unless_the_company_has_agreed(self):
        picking = self._ship()
        before = picking.sale_id.iused_update_ids
        self._send(before)
        row, text = self._exchange(self._serial(picking), self._free_lot().name)
        self.assertIn("not told", text)
        self.assertEqual(picking.sale_id.iused_update_ids, before)
        row.replacement_id.carrier_tracking_ref = "3SLATER"
        self.assertEqual(picking.sale_id.iused_update_ids, before)

    def test_exchange_is_told_as_a_correction_of_the_first_where_that_is_agreed(self):
        self.company.iused_tell_exchanges = True
        picking = self._ship()
        first = picking.iused_update_ids
        self._send(first)
        free = self._free_lot()
        row, text = self._exchange(self._serial(picking), free.name)
        news = row.replacement_id.iused_update_ids
        self.assertEqual((news.corrects_id, news.is_correction, news.state), (first, True, "pending"))
        self.assertEqual((news.serial_number, news.tracking_reference), (free.name, "3SNEW"))
        self.assertEqual(first.state, "sent")
        self.assertIn("is told", text)

    def test_first_device_that_was_not_told_yet_is_told_no_more(self):
        self.company.iused_tell_exchanges = True
        picking = self._ship()
        row, _text = self._exchange(self._serial(picking), self._free_lot().name, tracking="")
        news = row.replacement_id.iused_update_ids
        self.assertEqual(
            (picking.iused_update_ids.state, news.state, news.is_correction), ("dropped", "waiting", False)
        )
        row.replacement_id.carrier_tracking_ref = "3SLATER"
        self.assertEqual((news.state, news.tracking_reference), ("pending", "3SLATER"))

    def test_list_of_a_delivery_goes_on_to_tell_of_its_other_devices(self):
        self.company.write({"iused_tell_exchanges": True, "iused_grouping": "delivery"})
        picking = self._ship(2)
        first = picking.iused_update_ids
        self._send(first)
        free = self._free_lot()
        row, _text = self._exchange(picking.move_line_ids.lot_id[0].name, free.name)
        news = row.replacement_id.iused_update_ids
        self.assertEqual((news.serial_number, news.pieces, news.is_correction), (free.name, 1, True))
        self.assertEqual(first._find_live(), first)

    def test_replacement_must_be_the_same_product_and_lie_in_stock_for_nobody_else(self):
        serial = self._serial(self._ship())
        other = self._make_phone("OTHER", 1)
        for number, words in (
            (self._free_lot(other).name, "is no"),
            ("", "is no"),
            (serial, "does not lie in stock"),
        ):
            with self.subTest(number=number), self.assertRaisesRegex(UserError, words):
                self._exchange(serial, number)
        lot = self._free_lot()
        self._receive(self._make_order((self.phone, 5)))
        with self.assertRaisesRegex(UserError, "promised"):
            self._exchange(serial, lot.name)
        self.assertFalse(self.env["iused.return"].search([]), "nothing of it was done")

    def test_piece_that_is_reserved_is_given_away_where_another_one_is_free(self):
        serial = self._serial(self._ship())
        waiting = self._receive(self._make_order(self.phone)).picking_ids
        reserved = waiting.move_line_ids.lot_id
        row, _text = self._exchange(serial, reserved.name)
        self.assertEqual(row.replacement_id.move_line_ids.lot_id, reserved)
        self.assertEqual(waiting.state, "assigned")
        self.assertNotEqual(waiting.move_line_ids.lot_id, reserved)

    def test_device_that_came_back_before_can_be_exchanged_once(self):
        picking = self._ship()
        line, serial = picking.sale_id.order_line, self._serial(picking)
        self.company._iused_make_quarantine()
        self._take_back(serial, "quarantine")
        self.assertEqual(line.qty_delivered, 0)
        row, _text = self._exchange(serial, self._free_lot().name)
        self.assertEqual((line.qty_delivered, line.qty_to_invoice), (1, 1))
        self.assertEqual(len(row), 1)
        with self.assertRaisesRegex(UserError, "exchanged already"):
            self._exchange(serial, self._free_lot().name)

    def test_replacement_can_come_back_itself(self):
        picking = self._ship()
        line = picking.sale_id.order_line
        free = self._free_lot()
        self._exchange(self._serial(picking), free.name)
        row = self._take_back(free.name)
        self.assertEqual((row.serial_number, row.order_line_id, line.qty_delivered), (free.name, line, 0))

    def test_product_without_serial_numbers_is_exchanged_by_a_typed_one(self):
        self.company.iused_tell_exchanges = True
        cable = self._make_phone("CABLE", 3, tracking="none")
        picking = self._ship(product=cable)
        picking.iused_update_ids._type_serial("SN-1")
        self._send(picking.iused_update_ids)
        row, _text = self._exchange("SN-1", "SN-2")
        news = row.replacement_id.iused_update_ids
        self.assertEqual(
            (news.serial_number, news.corrects_id, news.state), ("SN-2", picking.iused_update_ids, "pending")
        )
        self.assertEqual(picking.sale_id.order_line.qty_delivered, 1)
        self.assertFalse(self._look_up("SN-2")["is_back"])

    def test_warehouse_that_delivers_in_several_steps_sends_it_from_the_desk(self):
        serial = self._serial(self._ship())
        self.warehouse.delivery_steps = "pick_pack_ship"
        row, _text = self._exchange(serial, self._free_lot().name)
        self.assertEqual((row.replacement_id.state, row.replacement_id.location_id), ("done", self.stock))


@tagged("post_install", "-at_install")
class TestFigures(DeskCase):
    def _figures(self, *groups, domain=()):
        self.env.flush_all()
        measures = ["left_pieces:sum", "returned_pieces:sum", "rate:avg"]
        domain = [("company_id", "=", self.company.id), *domain]
        return self.env["iused.return.report"]._read_group(domain, groups, measures)

    def test_devices_that_left_are_compared_with_those_that_came_back(self):
        other = self._make_phone("OTHER", 3)
        first = self._ship(3)
        self._ship(product=other)
        self._take_back(first.move_line_ids.lot_id[0].name)
        self.assertEqual(self._figures("product_id"), [(self.phone, 3, 1, 100 / 3), (other, 1, 0, 0)])
        self.assertEqual(
            self._figures("reason_id"), [(self.withdrawal, 1, 1, 100), (self.withdrawal.browse(), 3, 0, 0)]
        )

    def test_pieces_without_serial_numbers_and_returns_by_odoos_screens_count(self):
        cable = self._make_phone("CABLE", 9, tracking="none")
        self._return(self._ship(4, product=cable), 3)
        self.assertEqual(self._figures("product_id"), [(cable, 4, 3, 75)])

    def test_grade_is_the_attribute_that_the_settings_name(self):
        attribute = self.env["product.attribute"].create(
            {"name": "Grade", "value_ids": [Command.create({"name": name}) for name in "AB"]}
        )
        template = self.env["product.template"].create(
            {
                "name": "Graded",
                "is_storable": True,
                "tracking": "serial",
                "company_id": self.company.id,
                "attribute_line_ids": [
                    Command.create({"attribute_id": attribute.id, "value_ids": [Command.set(attribute.value_ids.ids)]})
                ],
            }
        )
        for number, variant in enumerate(template.product_variant_ids):
            variant.write(
                {"default_code": f"G-{number}", "barcode": self._make_ean(), "iused_offered": True, "taxes_id": False}
            )
            variant.write({"iused_purchase_price": 199.0, "iused_consumer_price": 249.0})
            self._put_in_stock(variant, 1)
        first, _second = [self._ship(product=variant) for variant in template.product_variant_ids]
        self._take_back(self._serial(first))
        self.company.iused_grade_attribute_id = attribute
        grades = attribute.value_ids
        self.assertEqual(self._figures("grade_id"), [(grades[0], 1, 1, 100), (grades[1], 1, 0, 0)])
        self.assertEqual(self._figures("product_tmpl_id"), [(template, 2, 1, 50)])

    def test_other_companies_figures_are_not_seen(self):
        self._take_back(self._serial(self._ship()))
        self.env.flush_all()
        other = self._make_company("Other")
        user = self._new_user("elsewhere", "stock.group_stock_user", company=other)
        for model in ("iused.return", "iused.return.report"):
            self.assertFalse(self.env[model].with_user(user).with_context(allowed_company_ids=other.ids).search([]))
            self.assertTrue(self.env[model].with_user(self.worker).search([]))

    def test_text_for_iused_names_each_device_in_iuseds_language(self):
        pickings = [self._ship() for _each in range(2)]
        rows = self.env["iused.return"].union(*(self._take_back(self._serial(picking)) for picking in pickings))
        text = rows.with_user(self.worker).action_text_for_iused()["context"]["default_text"]
        self.assertEqual(len(text.splitlines()), 2)
        for picking in pickings:
            for word in (picking.sale_id.name, picking.sale_id.iused_reference, self._serial(picking), "Withdrawal"):
                self.assertIn(word, text)
        self.env["res.lang"]._activate_lang("nl_NL")
        self.iused_partner.lang = "nl_NL"
        self.withdrawal.with_context(lang="nl_NL").name = "Herroeping"
        self.assertIn("Herroeping", rows.action_text_for_iused()["context"]["default_text"])
