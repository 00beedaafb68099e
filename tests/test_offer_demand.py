"""What holds pieces back besides deliveries: iUsed's quotations; and what does not: what is made to order."""

from odoo import Command
from odoo.tests import tagged

from .common import IusedHttpCase


@tagged("post_install", "-at_install")
class TestOfferDemand(IusedHttpCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.phone = cls._make_phone("PHONE", 3)
        cls.company.iused_order_policy = "quotation"

    def setUp(self):
        super().setUp()
        self.tag = ""

    def _quote(self, *lines):
        document = self._make_order(*lines)
        answer = self._push(document)
        self.assertEqual((answer.status_code, answer.json()["status"]), (201, "quotation"), answer.text)
        return self.env["sale.order"].search([("iused_reference", "=", document["order_id"])])

    def assertTold(self, pieces, again=True):
        """iUsed, which polls with the tag of its last answer, is told so many phones.

        :param again: whether the answer has to be another one than the last; None where both will do
        """
        answer = self._call("GET", "/offers", If_None_Match=self.tag)
        again = answer.status_code == 200 if again is None else again
        self.assertEqual(answer.status_code, 200 if again else 304)
        if again:
            self.assertEqual([offer["stock_available"] for offer in answer.json()], [pieces])
        self.tag = answer.headers["ETag"]
        self.phone.invalidate_recordset()
        self.assertEqual(self.phone.with_company(self.company).iused_stock, pieces)

    def test_quotation_holds_its_pieces_until_it_is_confirmed_or_cancelled(self):
        self.assertTold(3)
        order = self._quote((self.phone, 2))
        self.assertTold(1)
        order.order_line.product_uom_qty = 3
        self.assertTold(0)
        order.order_line.product_uom_qty = 1
        self.assertTold(2)
        order.action_quotation_sent()
        self.assertTold(2, again=False)
        order.action_confirm()
        self.assertTold(2, again=None)
        other = self._quote((self.phone, 1))
        self.assertTold(1)
        other.action_cancel()
        self.assertTold(2)

    def test_quotation_holds_its_pieces_against_the_next_order(self):
        self.company.iused_shortage_policy = "refuse"
        self._quote((self.phone, 2))
        problem = self.assertProblem(self._push(self._make_order((self.phone, 2))), 409, "/lines/0/quantity")
        self.assertEqual(problem["errors"][0]["available"], 1)
        self._quote((self.phone, 1))

    def test_quotation_in_another_unit(self):
        self._put_in_stock(self.phone, 12)
        order = self._quote(self.phone)
        order.order_line.product_uom_id = self.env.ref("uom.product_uom_dozen")
        self.assertTold(3)

    def test_quotation_from_a_warehouse_that_is_not_offered(self):
        self.company.iused_warehouse_ids = self.warehouse
        second = self.env["stock.warehouse"].create({"name": "Second", "code": "SEC", "company_id": self.company.id})
        order = self._quote(self.phone)
        self.assertTold(2)
        order.warehouse_id = second
        self.assertTold(3)

    def test_quotations_of_others_hold_nothing(self):
        other = self._quote(self.phone).copy()
        other.order_line.product_uom_qty = 2
        self.assertFalse(other.iused_reference)
        self.assertTold(2)

    def test_service_and_uncounted_goods_hold_nothing(self):
        service = self._make_phone("SERVICE", type="service", is_storable=False, tracking="none")
        goods = self._make_phone("GOODS", is_storable=False, tracking="none")
        self._quote(service, goods, self.phone)
        self.assertTold(2)

    def _make_to_order_route(self):
        """Return Odoo's own route, which is archived until somebody wants it."""
        route = self.env.ref("stock.route_warehouse0_mto")
        route.active = True
        return route

    def test_quotation_that_is_made_to_order_holds_nothing(self):
        category = self.env["product.category"].create({"name": "Above"})
        self.phone.categ_id = category
        order = self._quote(self.phone)
        self.assertTold(2)
        route = self._make_to_order_route()
        for where in (order.order_line, self.phone.product_tmpl_id, category):
            with self.subTest(where=where._name):
                where.route_ids = route
                self.assertTold(3)
                where.route_ids = False
                self.assertTold(2)
        self.phone.categ_id = self.env["product.category"].create({"name": "Below", "parent_id": category.id})
        category.route_ids = route
        self.assertTold(3)
        route.active = False
        self.assertTold(2)

    def test_delivery_made_to_order_takes_what_came_in_for_it(self):
        self.assertTold(3)
        picking = self.env["stock.picking"].create(
            {
                "picking_type_id": self.warehouse.out_type_id.id,
                "location_id": self.stock.id,
                "location_dest_id": self.customers.id,
                "move_ids": [Command.create(self._move(2) | {"procure_method": "make_to_order"})],
            }
        )
        move = picking.move_ids
        move.write({"state": "waiting"})
        receipt = self.env["stock.picking"].create(
            {
                "picking_type_id": self.warehouse.in_type_id.id,
                "location_id": self.env.ref("stock.stock_location_suppliers").id,
                "location_dest_id": self.stock.id,
                "move_ids": [
                    Command.create(
                        self._move(2)
                        | {
                            "location_id": self.env.ref("stock.stock_location_suppliers").id,
                            "location_dest_id": self.stock.id,
                            "move_dest_ids": [Command.set(move.ids)],
                        }
                    )
                ],
            }
        )
        receipt.action_confirm()
        self.assertTold(3, again=None)
        for line in receipt.move_ids.move_line_ids:
            line.write({"lot_name": self._make_imei(), "picked": True})
        receipt._action_done()
        self.assertEqual((receipt.state, move.state), ("done", "assigned"))
        self.assertTold(3, again=None)
        # What came in for it is not set off against what others wait for.
        self.warehouse.out_type_id.reservation_method = "manual"
        self._quote((self.phone, 2)).action_confirm()
        self.assertTold(1)
        picking.action_cancel()
        self.assertTold(3)

    def _move(self, pieces):
        return {
            "product_id": self.phone.id,
            "product_uom_qty": pieces,
            "product_uom": self.phone.uom_id.id,
            "location_id": self.stock.id,
            "location_dest_id": self.customers.id,
        }
