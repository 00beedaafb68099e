"""What happens to a shipment update after the goods left, and what people see of it."""

from datetime import timedelta

from odoo import fields
from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.tests import Form, tagged

from .common import IusedCase


@tagged("post_install", "-at_install")
class TestChanges(IusedCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.phone = cls._make_phone("PHONE", 5, iused_is_imei=True)

    def _tell(self, updates, state="sent"):
        """Let updates have been tried."""
        # iUsed may know what it did not refuse.
        body = state in ("sent", "retry") and "{}"
        updates.sudo().write({"state": state, "attempts": 1, "body": body, "sent_at": fields.Datetime.now()})

    # Corrections -----------------------------------------------------------------------------------------------------

    def test_untold_changes_are_taken_over_in_place(self):
        picking = self._ship()
        update = picking.iused_update_ids
        picking.carrier_tracking_ref = "3SNEW"
        self.assertEqual((picking.iused_update_ids, update.tracking_reference), (update, "3SNEW"))
        update.move_line_id.lot_id.name = "356938035643809"
        self.assertEqual((picking.iused_update_ids, update.serial_number), (update, "356938035643809"))
        picking.carrier_tracking_ref = False
        self.assertEqual(update.state, "waiting")

    def test_tracking_changed_after_it_was_told_makes_a_correction(self):
        picking = self._ship()
        told = picking.iused_update_ids
        self._tell(told)
        picking.carrier_tracking_ref = "3SABC123,3SPARCEL2"  # as a carrier writes a second parcel
        correction = picking.iused_update_ids - told
        self.assertEqual((told.state, told.tracking_reference), ("sent", "3SABC123"))
        self.assertEqual((correction.state, correction.is_correction), ("pending", True))
        self.assertEqual(correction.corrects_id, told)
        self.assertEqual(correction.tracking_reference, "3SABC123,3SPARCEL2")
        self.assertNotEqual(correction.event_id, told.event_id)
        picking.carrier_tracking_ref = "3SABC123,3SPARCEL2"
        self.assertEqual(len(picking.iused_update_ids), 2)
        picking.carrier_tracking_ref = "3STHIRD"  # the correction is untold: it changes in place
        self.assertEqual((len(picking.iused_update_ids), correction.tracking_reference), (2, "3STHIRD"))

    def test_serial_changed_after_it_was_told_makes_a_correction(self):
        picking = self._ship()
        told = picking.iused_update_ids
        self._tell(told)
        other = self.env["stock.lot"].create(
            {"name": "OTHER", "product_id": self.phone.id, "company_id": self.company.id}
        )
        picking.move_line_ids.lot_id = other
        correction = picking.iused_update_ids - told
        self.assertEqual((correction.serial_number, correction.is_correction), ("OTHER", True))
        self._tell(correction)
        other.name = "RENAMED"
        self.assertEqual(
            (picking.iused_update_ids - told - correction).mapped("serial_number"), ["RENAMED"], "a mistyped lot"
        )

    def test_what_may_have_been_told_is_followed_by_a_correction(self):
        for state, dropped, is_correction in (("retry", "dropped", True), ("stopped", "dropped", False)):
            with self.subTest(state=state):
                picking = self._ship()
                tried = picking.iused_update_ids
                self._tell(tried, state)
                picking.carrier_tracking_ref = f"3S{state}"
                follower = picking.iused_update_ids - tried
                self.assertEqual((tried.state, bool(tried.reason)), (dropped, True))
                self.assertEqual((follower.state, follower.is_correction), ("pending", is_correction))

    def _add_device(self, picking, **values):
        """Add a device to a delivery that is done, as people can after Unlock; return its line."""
        user = self._new_user(f"late {picking.name} {values}", "stock.group_stock_user")
        lot = self.env["stock.lot"].create(
            {"name": self._make_imei(), "product_id": self.phone.id, "company_id": self.company.id}
        )
        picking.is_locked = False
        move = picking.move_ids.with_user(user)
        move.move_line_ids = [
            fields.Command.create(move._prepare_move_line_vals(quantity=1) | {"lot_id": lot.id, **values})
        ]
        return picking.move_line_ids.sorted("id")[-1]

    def test_device_added_after_the_delivery_is_told(self):
        picking = self._ship()
        told = picking.iused_update_ids
        self._tell(told)
        line = self._add_device(picking)
        late = picking.iused_update_ids - told
        self.assertEqual((late.serial_number, late.state), (line.lot_id.name, "pending"))
        self.assertEqual((late.order_id, late.tracking_reference), (told.order_id, "3SABC123"))
        self.assertFalse(late.is_correction)

    def test_device_added_without_its_serial_number_waits_for_it(self):
        picking = self._ship()
        told = picking.iused_update_ids
        line = self._add_device(picking, lot_id=False)
        late = picking.iused_update_ids - told
        self.assertEqual((late.serial_number, late.state), (False, "waiting"))
        line.lot_id = self.env["stock.lot"].create(
            {"name": "LATE", "product_id": self.phone.id, "company_id": self.company.id}
        )
        self.assertEqual((late.serial_number, late.state), ("LATE", "pending"))

    def test_device_added_to_a_delivery_told_as_a_whole(self):
        self.company.iused_grouping = "delivery"
        picking = self._ship()
        untold = picking.iused_update_ids
        self._add_device(picking)
        self.assertEqual((picking.iused_update_ids, untold.pieces, untold.state), (untold, 2, "pending"))
        self._tell(untold)
        self._add_device(picking, picked=True)
        correction = picking.iused_update_ids - untold
        self.assertEqual((correction.is_correction, correction.pieces), (True, 3))
        self.assertEqual(sorted(correction._serials()), sorted(picking.move_line_ids.lot_id.mapped("name")))

    def test_device_added_to_what_is_not_iuseds_is_not_told(self):
        picking = self._ship()
        picking.move_ids.sale_line_id.order_id.iused_reference = False
        before = picking.iused_update_ids
        self._add_device(picking)
        self.assertEqual(picking.iused_update_ids, before)

    def test_correction_of_a_delivery_told_as_a_whole(self):
        self.company.iused_grouping = "delivery"
        picking = self._ship(quantity=2)
        told = picking.iused_update_ids
        self._tell(told)
        picking.move_line_ids[0].lot_id.name = "RENAMED"
        correction = picking.iused_update_ids - told
        self.assertEqual(correction.mapped("is_correction"), [True])
        self.assertEqual(sorted(correction._serials()), sorted(picking.move_line_ids.lot_id.mapped("name")))

    def test_emptied_tracking_does_not_untell(self):
        picking = self._ship()
        self._tell(picking.iused_update_ids)
        picking.carrier_tracking_ref = False
        self.assertEqual(picking.iused_update_ids.mapped("state"), ["sent"])

    # Dropping --------------------------------------------------------------------------------------------------------

    def test_dropped_by_a_person(self):
        update = self._ship(tracking=False).iused_update_ids
        user = self._new_user("warehouse", "stock.group_stock_user")
        update.with_user(user).action_drop()
        self.assertEqual((update.state, update.reason), ("dropped", "Dropped by warehouse."))
        update.picking_id.carrier_tracking_ref = "3SLATE"
        self.assertEqual(update.picking_id.iused_update_ids, update)

    # Typed serial numbers --------------------------------------------------------------------------------------------

    def test_serial_number_can_be_typed_on_the_update(self):
        phone = self._make_phone("UNTRACKED", tracking="none")
        self._put_in_stock(phone, 1)
        user = self._new_user("warehouse", "stock.group_stock_user")
        update = self._ship(product=phone, tracking=False).iused_update_ids.with_user(user)
        action = update.action_type_serial()
        with Form(self.env[action["res_model"]].with_user(user).with_context(**action["context"])) as form:
            form.serial_number = " 356938035643809 "
        form.record.action_confirm()
        self.assertEqual((update.serial_number, update.state), ("356938035643809", "waiting"))
        update.picking_id.carrier_tracking_ref = "3SLATE"
        self.assertEqual((update.serial_number, update.state), ("356938035643809", "pending"))
        with self.assertRaises(UserError):
            update._type_serial("1")

    def test_others_cannot_type_or_send(self):
        phone = self._make_phone("UNTRACKED", tracking="none")
        self._put_in_stock(phone, 1)
        update = self._ship(product=phone).iused_update_ids
        for ask in ("action_send_now", "action_drop"):
            with self.assertRaises(AccessError):
                getattr(update.with_user(self._new_user(f"nobody {ask}")), ask)()
        with self.assertRaises(AccessError):
            update.with_user(self._new_user("nobody"))._type_serial("1")
        with self.assertRaises(UserError):
            update._type_serial("1 2")

    # Waiting too long ------------------------------------------------------------------------------------------------

    def test_waiting_too_long_raises_one_activity(self):
        responsible = self._new_user("responsible", "sales_team.group_sale_manager")
        self.company.write({"iused_responsible_id": responsible.id, "iused_waiting_hours": 10})
        picking = self._ship(quantity=2, tracking=False)
        cron = self.env["iused.shipment.update"]
        cron._cron_watch_waiting()
        order = picking.iused_update_ids.order_id
        self.assertFalse(order.activity_ids)
        self.env.cr.execute(
            "UPDATE iused_shipment_update SET create_date = %s WHERE id IN %s",
            (fields.Datetime.now() - timedelta(hours=11), tuple(picking.iused_update_ids.ids)),
        )
        self.env.invalidate_all()
        cron._cron_watch_waiting()
        cron._cron_watch_waiting()
        self.assertEqual(len(order.activity_ids), 1)
        self.assertEqual(order.activity_ids.user_id, responsible)
        self.assertIn("tracking", order.activity_ids.note)

    # Keeping ---------------------------------------------------------------------------------------------------------

    def test_only_what_was_told_is_deleted_after_the_retention(self):
        updates = self._ship(quantity=5).iused_update_ids
        for update, state in zip(updates, ("sent", "dropped", "waiting", "retry", "stopped"), strict=True):
            self._tell(update, state)
        self.env.flush_all()
        self.env.cr.execute(
            "UPDATE iused_shipment_update SET write_date = %s WHERE id IN %s",
            (fields.Datetime.now() - timedelta(days=self.company.iused_retention_days + 1), tuple(updates.ids)),
        )
        self.env.invalidate_all()
        self.env["iused.shipment.update"]._gc_told()
        self.assertEqual(sorted(updates.exists().mapped("state")), ["retry", "stopped", "waiting"])

    # What people see -------------------------------------------------------------------------------------------------

    def test_order_shows_the_update_that_is_farthest_from_being_told(self):
        order = self._receive(self._make_order((self.phone, 2)))
        self.assertFalse(order.iused_shipment_state)
        updates = self._deliver(order).iused_update_ids
        self._tell(updates[0])
        found = self.env["sale.order"].search
        self.assertEqual(order.iused_shipment_state, "pending")
        self.assertIn(order, found([("iused_shipment_state", "=", "pending")]))
        self.assertNotIn(order, found([("iused_shipment_state", "=", "sent")]))
        self._tell(updates[1])
        self.assertIn(order, found([("iused_shipment_state", "=", "sent")]))
        self.assertNotIn(order, found([("iused_shipment_state", "=", False)]))
        self._tell(updates[1], "stopped")
        self.assertEqual(order.iused_shipment_state, "stopped")
        self.assertIn(order, found([("iused_shipment_state", "in", ["stopped", "retry"])]))

    def test_warehouse_sees_what_iused_will_miss_and_is_not_stopped(self):
        user = self._new_user("warehouse", "stock.group_stock_user")
        order = self._receive(self._make_order(self.phone))
        picking = order.picking_ids.with_user(user)
        self.assertIn("tracking", picking.iused_warning)
        picking.carrier_tracking_ref = "3SABC"
        self.assertFalse(picking.iused_warning)
        lot = picking.move_line_ids.lot_id.sudo()
        for serial in ("356938035643800", "00000000000000", "C02XJ0AAJGH5"):
            lot.name = serial
            picking.invalidate_recordset(["iused_warning"])
            self.assertIn("not a valid IMEI", picking.iused_warning)
        self.phone.iused_is_imei = False
        picking.invalidate_recordset(["iused_warning"])
        self.assertFalse(picking.iused_warning)
        self.assertIs(picking.button_validate(), True)
        self.assertFalse(picking.iused_warning)

    def test_warning_of_a_serial_number_told_for_another_order(self):
        first = self._ship()
        serial = first.iused_update_ids.serial_number
        order = self._receive(self._make_order(self.phone))
        picking = order.picking_ids
        picking.carrier_tracking_ref = "3SABC"
        picking.move_line_ids.lot_id = first.move_line_ids.lot_id
        self.assertIn(
            f"{serial} was told to iUsed for order {first.iused_update_ids.order_id.name}", picking.iused_warning
        )

    def test_warning_of_a_device_without_a_serial_number(self):
        phone = self._make_phone("UNTRACKED", tracking="none")
        self._put_in_stock(phone, 1)
        picking = self._receive(self._make_order(phone)).picking_ids
        self.assertIn("no serial number", picking.iused_warning)

    def test_no_warning_where_iused_has_no_part(self):
        order = self.env["sale.order"].create(
            {"partner_id": self.iused_partner.id, "order_line": [fields.Command.create({"product_id": self.phone.id})]}
        )
        order.action_confirm()
        self.assertFalse(order.picking_ids.iused_warning)

    # Settings --------------------------------------------------------------------------------------------------------

    def test_key_names_must_differ(self):
        for values in (
            {"iused_key_serial": "external_order_id"},
            {"iused_key_tracking": " "},
            {"iused_key_order": "sku"},
        ):
            with self.subTest(values=values), self.assertRaises(ValidationError):
                self.company.write(values)

    def test_body_has_the_companys_key_names_and_the_optional_keys(self):
        self.company.write({"iused_key_serial": "imei", "iused_key_order": "reference", "iused_extra_keys": True})
        picking = self._ship()
        update = picking.iused_update_ids
        body = update._prepare_body()
        self.assertEqual(body["imei"], update.serial_number)
        self.assertEqual((body["track_and_trace"], body["reference"]), ("3SABC123", update.order_id.name))
        self.assertEqual((body["sku"], body["line_id"]), ("PHONE", "1"))
        self.assertEqual(
            (body["carrier"], body["tracking_link"], body["shipped_at"]),
            (None, None, f"{picking.date_done.isoformat(timespec='seconds')}Z"),
        )
        self.assertNotIn("corrects", body)
        self._tell(update)
        picking.carrier_tracking_ref = "3SNEW"
        self.assertEqual((picking.iused_update_ids - update)._prepare_body()["corrects"], update.event_id)
