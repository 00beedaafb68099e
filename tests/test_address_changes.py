"""A changed address reaches whoever ships, and nobody else. What needs other addons is in dev/module_tests."""

from odoo import Command
from odoo.tests import tagged

from .common import IusedHttpCase


@tagged("post_install", "-at_install")
class TestAddressChanges(IusedHttpCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.phone = cls._make_phone("PHONE", 6)
        cls.responsible = cls._new_user("responsible", "sales_team.group_sale_salesman_all_leads")
        cls.company.iused_responsible_id = cls.responsible

    def setUp(self):
        super().setUp()
        self.document = self._make_order(self.phone)
        self.order = self._receive(self.document)
        self.before = self.order.partner_shipping_id

    def _move(self, city, **values):
        """Push the order with another city; return the answer."""
        address = {**self.document["shipping_address"], "city": city}
        answer = self._push({**self.document, "shipping_address": address, **values})
        self.env.invalidate_all()
        return answer

    def test_other_orders_on_a_shared_delivery_keep_their_address(self):
        other = self._receive(self._make_order(self.phone))
        shared = other.picking_ids
        self.order.picking_ids.move_ids.picking_id = shared
        self.assertEqual(self._move("Assen").status_code, 200)
        self.assertEqual(self.order.order_line.move_ids.partner_id.city, "Assen")
        self.assertEqual(other.order_line.move_ids.partner_id, self.before)
        self.assertEqual(shared.partner_id, self.before)
        activity = shared.activity_ids
        self.assertEqual(activity.user_id, self.responsible)
        self.assertIn(self.order.name, activity.note)

    def test_goods_added_by_hand_go_along(self):
        picking = self.order.picking_ids
        picking.move_ids = [
            Command.create(
                {
                    "product_id": self._make_phone("GIFT", tracking="none").id,
                    "product_uom_qty": 1,
                    "location_id": picking.location_id.id,
                    "location_dest_id": picking.location_dest_id.id,
                }
            )
        ]
        self._move("Assen")
        self.assertEqual((picking.partner_id | picking.move_ids.partner_id).mapped("city"), ["Assen"])
        self.assertFalse(picking.activity_ids)

    def test_transfers_from_elsewhere_keep_whom_they_are_for(self):
        depot = self.env["res.partner"].create({"name": "Depot"})
        resupply = self.env["stock.picking"].create(
            {
                "picking_type_id": self.warehouse.in_type_id.id,
                "partner_id": depot.id,
                "location_id": self.company.internal_transit_location_id.id,
                "location_dest_id": self.stock.id,
                "move_ids": [
                    Command.create(
                        {
                            "product_id": self.phone.id,
                            "product_uom_qty": 1,
                            "location_id": self.company.internal_transit_location_id.id,
                            "location_dest_id": self.stock.id,
                            # As Odoo links what it fetches from another warehouse for an order.
                            "sale_line_id": self.order.order_line.id,
                        }
                    )
                ],
            }
        )
        resupply.action_confirm()
        self.assertIn(resupply, self.order.picking_ids)
        self._move("Assen")
        self.assertEqual(resupply.partner_id | resupply.move_ids.partner_id, depot)

    def test_every_step_of_the_way_is_for_the_new_address(self):
        self.warehouse.delivery_steps = "pick_ship"
        self.document = self._make_order(self.phone)
        order = self._receive(self.document)
        self._move("Assen")
        self.assertEqual(order.picking_ids.partner_id.city, "Assen")
        order.picking_ids.button_validate()
        self.assertEqual(order.picking_ids.mapped("partner_id.city"), ["Assen"])
        self._move("Emmen")
        ship = order.picking_ids.filtered(lambda picking: picking.state != "done")
        self.assertEqual((ship.partner_id | ship.move_ids.partner_id).mapped("city"), ["Emmen"])

    def test_label_that_may_be_printed_gives_an_activity(self):
        picking = self.order.picking_ids
        picking.carrier_tracking_ref = "3SOLD"
        self._move("Assen")
        self.assertEqual(picking.partner_id.city, "Assen")
        self.assertEqual(picking.activity_ids.user_id, self.responsible)
        self.assertIn("3SOLD", picking.activity_ids.note)
        self._move("Emmen")
        self.assertEqual(len(picking.activity_ids), 1)

    def test_printed_transfer_gives_an_activity(self):
        picking = self.order.picking_ids
        picking.printed = True
        self._move("Assen")
        self.assertEqual(picking.activity_ids.user_id, self.responsible)

    def test_late_repeat_of_an_older_push_does_not_turn_the_address_back(self):
        self.assertEqual(self._move("Assen").status_code, 200)
        self.assertEqual(self._move("Emmen").status_code, 200)
        for late in ("Groningen", "Assen"):
            self.assertProblem(self._move(late), 409)
            self.assertEqual(self.order.partner_shipping_id.city, "Emmen")
            self.assertEqual(self.order.picking_ids.partner_id.city, "Emmen")
        self.assertEqual(self.order.activity_ids.user_id, self.responsible, "it may be a change back as well")
        self.assertEqual(self._move("Emmen").status_code, 200, "an equal push is no conflict")
        self.assertEqual(self._move("Zwolle").status_code, 200)
        self.assertEqual(self.order.picking_ids.partner_id.city, "Zwolle")

    def test_late_repeat_does_not_turn_the_telephone_back(self):
        address = {**self.document["shipping_address"], "phone": "06 87654321"}
        self.assertEqual(self._push({**self.document, "shipping_address": address}).status_code, 200)
        self.assertProblem(self._push(self.document), 409)
        self.env.invalidate_all()
        self.assertEqual(self.order.partner_shipping_id.phone, "+31687654321")

    def test_address_that_a_person_set_again_is_no_conflict(self):
        self._move("Assen")
        self.assertProblem(self._move("Groningen"), 409)
        self.order.partner_shipping_id = self.before
        self.assertEqual(self._move("Groningen").status_code, 200)
        self.assertEqual(self.order.partner_shipping_id, self.before)
        self.assertProblem(self._move("Assen"), 409)
