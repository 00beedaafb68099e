"""Devices that are taken off a delivery after it was done, as Odoo advises: by a quantity of 0."""

from unittest.mock import patch

from odoo import fields
from odoo.exceptions import UserError
from odoo.tests import tagged

from .common import IusedCase, IusedHttpCase


class DevicesOffCase(IusedCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.phone = cls._make_phone("PHONE", 9)
        # Without rights on the outbox, and without Lots & Serial Numbers, which Odoo hides at first.
        cls.warehouse_user = cls._new_user("warehouse", "stock.group_stock_user")

    def _set_quantity(self, lines, quantity):
        lines.picking_id.is_locked = False
        for line in lines.with_user(self.warehouse_user):
            line.move_id.write({"move_line_ids": [fields.Command.update(line.id, {"quantity": quantity})]})

    def _send(self, updates, state="sent"):
        """Let updates have been tried: iUsed knows them, or may."""
        updates.sudo().write({"state": state, "attempts": 1, "body": "{}", "sent_at": fields.Datetime.now()})

    def _told(self, order):
        """Return the open activity that iUsed was told of what did not leave."""
        return order.activity_ids.filtered(lambda activity: activity.iused_key.startswith("device_stayed"))


@tagged("post_install", "-at_install")
class TestDevicesOff(DevicesOffCase):
    def test_untold_device_is_not_told(self):
        picking = self._ship(2)
        first, second = picking.iused_update_ids
        self._set_quantity(first.move_line_id, 0)
        self.assertEqual((first.state, second.state), ("dropped", "pending"))
        self.assertIn("taken off", first.reason)
        self.assertFalse(first.order_id.activity_ids)

    def test_waiting_device_is_not_told_when_its_tracking_comes(self):
        picking = self._ship(2, tracking=False)
        first, second = picking.iused_update_ids
        self._set_quantity(first.move_line_id, 0)
        picking.carrier_tracking_ref = "3SLATE"
        self.assertEqual((first.state, second.state), ("dropped", "pending"))

    def test_quantity_of_the_move_counts_as_well(self):
        picking = self._ship(3)
        picking.is_locked = False
        picking.move_ids.with_user(self.warehouse_user).quantity = 1
        left = picking.move_line_ids.filtered("quantity").lot_id.mapped("name")
        told = picking.iused_update_ids.filtered(lambda update: update.state == "pending")
        self.assertEqual((len(left), told.mapped("serial_number")), (1, left))

    def test_told_device_gives_the_responsible_one_activity_that_names_all(self):
        responsible = self._new_user("responsible", "sales_team.group_sale_manager")
        self.company.iused_responsible_id = responsible
        picking = self._ship(3)
        updates = picking.iused_update_ids
        self._send(updates)
        order = updates.order_id
        self._set_quantity(updates[0].move_line_id, 0)
        activity = self._told(order)
        self.assertEqual((len(activity), activity.user_id), (1, responsible))
        self.assertIn(updates[0].serial_number, activity.note)
        self.assertEqual(updates.mapped("state"), ["sent"] * 3)
        self.assertIn(updates[0].serial_number, updates[0].reason)
        self._set_quantity(updates[1].move_line_id, 0)
        self.assertEqual(self._told(order), activity)
        self.assertIn(updates[0].serial_number, activity.note)
        self.assertIn(updates[1].serial_number, activity.note)
        self.assertNotIn(updates[2].serial_number, activity.note)

    def test_device_that_may_have_been_told_is_told_of_and_not_tried_again(self):
        for state in ("retry", "pending"):  # the latter after Send Now
            with self.subTest(state=state):
                update = self._ship().iused_update_ids
                self._send(update, state)
                self._set_quantity(update.move_line_id, 0)
                self.assertEqual(update.state, "dropped")
                self.assertIn(update.serial_number, self._told(update.order_id).note)

    def test_device_that_iused_refused_gives_no_activity(self):
        update = self._ship().iused_update_ids
        update.sudo().write({"state": "stopped", "attempts": 1})
        self._set_quantity(update.move_line_id, 0)
        self.assertEqual(update.state, "dropped")
        self.assertFalse(self._told(update.order_id))

    def test_what_is_being_sent_at_this_moment_is_told_of(self):
        update = self._ship().iused_update_ids
        with patch.object(type(update), "try_lock_for_update", lambda updates, **_kwargs: updates.browse()):
            self._set_quantity(update.move_line_id, 0)
        self.assertIn(update.serial_number, self._told(update.order_id).note)

    def test_activity_that_was_done_does_not_come_back_with_the_next_change(self):
        picking = self._ship(2)
        updates = picking.iused_update_ids
        self._send(updates)
        self._set_quantity(updates[0].move_line_id, 0)
        self._told(updates.order_id).action_feedback()
        picking.carrier_tracking_ref = "3SNEW"
        self.assertFalse(self._told(updates.order_id))
        self.assertEqual(updates.correction_ids.mapped("serial_number"), [updates[1].serial_number])

    def test_device_that_is_put_on_again_is_told(self):
        update = self._ship().iused_update_ids
        line = update.move_line_id
        self._set_quantity(line, 0)
        self._set_quantity(line, 1)
        again = line.picking_id.iused_update_ids - update
        self.assertEqual((again.serial_number, again.state), (line.lot_id.name, "pending"))

    def test_told_device_that_is_put_on_again_is_not_told_twice(self):
        update = self._ship().iused_update_ids
        self._send(update)
        self._set_quantity(update.move_line_id, 0)
        activity = self._told(update.order_id)
        self._set_quantity(update.move_line_id, 1)
        self.assertEqual((update.picking_id.iused_update_ids, update.state), (update, "sent"))
        self.assertFalse(update.reason)
        self.assertFalse(activity.active, "it is over")

    def test_correction_under_way_is_dropped_and_what_was_told_before_is_named(self):
        picking = self._ship()
        told = picking.iused_update_ids
        self._send(told)
        serial = told.serial_number
        told.move_line_id.lot_id.name = "RENAMED"
        correction = picking.iused_update_ids - told
        self._set_quantity(told.move_line_id, 0)
        self.assertEqual((told.state, correction.state), ("sent", "dropped"))
        self.assertIn(serial, self._told(told.order_id).note)

    def test_pieces_without_serial_numbers(self):
        phone = self._make_phone("UNTRACKED", tracking="none")
        self._put_in_stock(phone, 5)
        picking = self._ship(3, phone)
        typed = picking.iused_update_ids[1]
        typed._type_serial("SN-1")
        self._send(typed)
        line = picking.move_line_ids
        self._set_quantity(line, 2)
        self.assertEqual(sorted(picking.iused_update_ids.mapped("state")), ["dropped", "sent", "waiting"])
        self.assertFalse(self._told(typed.order_id), "one that iUsed does not know of")
        self._set_quantity(line, 4)
        self.assertEqual(sorted(picking.iused_update_ids.mapped("state")), ["dropped", "sent"] + ["waiting"] * 3)
        self._set_quantity(line, 0)
        self.assertEqual(sorted(picking.iused_update_ids.mapped("state")), ["dropped"] * 4 + ["sent"])
        self.assertIn("SN-1", self._told(typed.order_id).note)

    def test_update_deleted_after_its_retention_is_not_made_again(self):
        phone = self._make_phone("UNTRACKED", tracking="none")
        self._put_in_stock(phone, 5)
        picking = self._ship(3, phone)
        picking.iused_update_ids.sudo().unlink()
        self._set_quantity(picking.move_line_ids, 2)
        self.assertFalse(picking.iused_update_ids)

    def test_line_of_a_done_delivery_cannot_be_deleted(self):
        """Odoo refuses it, and advises the quantity 0 of these tests."""
        line = self._ship().move_line_ids
        with self.assertRaises(UserError):
            line.with_user(self.warehouse_user).unlink()

    # One call for each delivery --------------------------------------------------------------------------------------

    def test_untold_delivery_is_told_without_the_device(self):
        self.company.iused_grouping = "delivery"
        picking = self._ship(2)
        update = picking.iused_update_ids
        off, left = picking.move_line_ids
        self._set_quantity(off, 0)
        self.assertEqual((update.serial_number, update.pieces, update.state), (left.lot_id.name, 1, "pending"))
        self._set_quantity(left, 0)
        self.assertEqual((picking.iused_update_ids, update.state), (update, "dropped"))
        self._set_quantity(left, 1)
        again = picking.iused_update_ids - update
        self.assertEqual((again.serial_number, again.pieces, again.state), (left.lot_id.name, 1, "pending"))
        self.assertFalse(self._told(update.order_id))

    def test_told_delivery_is_corrected_to_the_rest_and_told_of(self):
        self.company.iused_grouping = "delivery"
        picking = self._ship(3)
        update = picking.iused_update_ids
        self._send(update)
        first, second, left = picking.move_line_ids
        self._set_quantity(first, 0)
        correction = picking.iused_update_ids - update
        self.assertEqual((correction.is_correction, correction.pieces, correction.state), (True, 2, "pending"))
        self.assertEqual(sorted(correction._serials()), sorted((second | left).lot_id.mapped("name")))
        activity = self._told(update.order_id)
        self.assertIn(first.lot_id.name, activity.note)
        self.assertNotIn(second.lot_id.name, activity.note)
        self._set_quantity(second, 0)
        self.assertEqual(picking.iused_update_ids - update, correction, "it is untold: it changes in place")
        self.assertEqual(correction._serials(), left.lot_id.mapped("name"))
        self.assertIn(second.lot_id.name, activity.note)
        self._set_quantity(first | second, 1)
        self.assertEqual(sorted(correction._serials()), sorted(picking.move_line_ids.lot_id.mapped("name")))
        self.assertFalse(activity.active)

    def test_told_delivery_of_which_nothing_left_is_told_of(self):
        self.company.iused_grouping = "delivery"
        picking = self._ship(2)
        update = picking.iused_update_ids
        self._send(update)
        picking.is_locked = False
        picking.move_ids.with_user(self.warehouse_user).quantity = 0
        live = picking.iused_update_ids._find_live()
        self.assertFalse(live.filtered(lambda update: update.state != "sent"), "there is nothing to correct it to")
        note = self._told(update.order_id).note
        for serial in update._serials():
            self.assertIn(serial, note)


@tagged("post_install", "-at_install")
class TestSendingDevicesOff(IusedHttpCase, DevicesOffCase):
    def test_only_what_left_is_sent(self):
        picking = self._ship(2)
        off, left = picking.move_line_ids
        self._set_quantity(off, 0)
        self._run_cron()
        self.assertEqual([call["body"]["serial_number"] for call in self.portal.received], left.lot_id.mapped("name"))

    def test_correction_after_send_now_is_what_is_sent(self):
        for grouping in ("device", "delivery"):
            with self.subTest(grouping=grouping):
                self.portal.reset()
                self.company.write({"iused_grouping": grouping, "iused_extra_keys": True})
                self.portal.fail(times=1, drop="after")  # taken in, and the answer lost
                update = self._ship().iused_update_ids
                picking = update.picking_id
                self._run_cron()
                update.action_send_now()
                picking.carrier_tracking_ref = "3SCORRECTED"
                self._run_cron()
                first, last = (call["body"] for call in self.portal.received)
                self.assertEqual((first["track_and_trace"], last["track_and_trace"]), ("3SABC123", "3SCORRECTED"))
                self.assertEqual(last["corrects"], update.event_id)
                live = picking.iused_update_ids._find_live()
                self.assertEqual((live.state, live.tracking_reference), ("sent", "3SCORRECTED"))

    def test_change_after_a_refusal_is_sent_and_corrects_nothing(self):
        self.company.iused_extra_keys = True
        self.portal.fail(status=422, times=1)
        update = self._ship().iused_update_ids
        picking = update.picking_id
        self._run_cron()
        update.action_send_now()
        picking.carrier_tracking_ref = "3SMENDED"
        self._run_cron()
        last = self.portal.received[-1]["body"]
        self.assertEqual((last["track_and_trace"], "corrects" in last), ("3SMENDED", False))
        self.assertEqual((picking.iused_update_ids, update.state), (update, "sent"))
