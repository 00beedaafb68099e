"""Stock of an offer: what lies below the warehouses' stock location, less what is spoken for, less the buffer."""

import random

from odoo import Command
from odoo.tests import Form, tagged

from .common import IusedCase


class OfferStockCase(IusedCase):
    def _served(self, *products, company=None):
        """Return the stock that iUsed is told of each product, None for one that is not served."""
        feed = self.env["iused.offer.feed"].with_user(self.iused_user)
        company = (company or self.company).with_user(self.iused_user)
        rows = self.env.execute_query(feed._ready_query(company, None, 1))
        stock = {sku: int(quantity) for sku, _name, _ean, quantity, *_prices in rows}
        values = [stock.get(product.default_code) for product in products]
        return values[0] if len(values) == 1 else values

    def _make_picking(self, product, quantity, picking_type=None, uom=None, location=None, destination=None):
        """Return a confirmed transfer, by default out of stock to a customer."""
        picking_type = picking_type or self.warehouse.out_type_id
        picking = self.env["stock.picking"].create(
            {
                "picking_type_id": picking_type.id,
                "location_id": (location or self.stock).id,
                "location_dest_id": (destination or self.customers).id,
                "move_ids": [
                    Command.create(
                        {
                            "product_id": product.id,
                            "product_uom_qty": quantity,
                            "product_uom": (uom or product.uom_id).id,
                            "location_id": (location or self.stock).id,
                            "location_dest_id": (destination or self.customers).id,
                        }
                    )
                ],
            }
        )
        picking.action_confirm()
        return picking

    def _done(self, picking, pieces=None):
        """Ship a picking, or some pieces of it with a backorder for the others."""
        if pieces is not None:
            for line in picking.move_line_ids[pieces:]:
                line.unlink()
        picking.move_ids.picked = True
        picking.with_context(skip_backorder=True, cancel_backorder=False)._action_done()


@tagged("post_install", "-at_install")
class TestOfferStock(OfferStockCase):
    def test_reserved(self):
        phone = self._make_phone("PHONE", 3)
        picking = self._make_picking(phone, 2)
        picking.action_assign()
        self.assertEqual((picking.state, self._served(phone)), ("assigned", 1))

    def test_confirmed_with_manual_reservation(self):
        self.warehouse.out_type_id.reservation_method = "manual"
        phone = self._make_phone("PHONE", 3)
        picking = self._make_picking(phone, 2)
        self.assertEqual((picking.state, self._served(phone)), ("confirmed", 1))
        picking.action_assign()
        self.assertEqual((picking.state, self._served(phone)), ("assigned", 1))
        picking.action_cancel()
        self.assertEqual(self._served(phone), 3)

    def test_partly_reserved_demand_counts_whole(self):
        phone = self._make_phone("PHONE", 2)
        picking = self._make_picking(phone, 5)
        picking.action_assign()
        self._put_in_stock(phone, 4)
        self.assertEqual((picking.move_ids.state, self._served(phone)), ("partially_available", 1))

    def test_quotation_that_is_not_iuseds_reserves_nothing(self):
        phone = self._make_phone("PHONE", 3)
        order = self.env["sale.order"].create(
            {"partner_id": self.iused_partner.id, "order_line": [Command.create({"product_id": phone.id})]}
        )
        self.assertEqual((order.state, self._served(phone)), ("draft", 3))

    def test_reserved_by_a_transfer_within_stock(self):
        phone = self._make_phone("PHONE", 3)
        shelf = self.env["stock.location"].create({"name": "Shelf", "location_id": self.stock.id})
        picking = self._make_picking(phone, 1, self.warehouse.int_type_id, destination=shelf)
        picking.action_assign()
        self.assertEqual(self._served(phone), 2, "it cannot be reserved for an order")
        self._done(picking)
        self.assertEqual(self._served(phone), 3, "a shelf below the stock location counts")

    def test_pick_pack_ship(self):
        self.warehouse.delivery_steps = "pick_pack_ship"
        phone = self._make_phone("PHONE", 3)
        order = self._receive(self._make_order(phone))
        self.assertEqual(self._served(phone), 2)
        for _step in range(3):
            picking = order.picking_ids.filtered(lambda picking: picking.state not in ("done", "cancel"))[:1]
            picking.action_assign()
            self._done(picking)
            self.assertEqual(self._served(phone), 2, picking.picking_type_id.name)
        self.assertEqual(set(order.picking_ids.mapped("state")), {"done"})

    def test_package(self):
        phone = self._make_phone("PHONE", 1)
        package = self.env["stock.package"].create({})
        self._put_in_stock(phone, 2, package_id=package)
        self.assertEqual(self._served(phone), 3)

    def test_consignment(self):
        phone = self._make_phone("PHONE", 1)
        self._put_in_stock(phone, 2, owner_id=self.iused_partner)
        self._put_in_stock(phone, 4, owner_id=self.company.partner_id)
        self.assertEqual(self._served(phone), 5, "only what belongs to somebody else is left out")

    def test_negative_quant(self):
        phone = self._make_phone("PHONE", 1)
        quants = self.env["stock.quant"]
        quants._update_available_quantity(phone, self.stock, -3)
        self.assertEqual(self._served(phone), 0, "never negative")
        self._put_in_stock(phone, 4)
        self.assertEqual(self._served(phone), 2)

    def test_return(self):
        phone = self._make_phone("PHONE", 2)
        picking = self._make_picking(phone, 1)
        picking.action_assign()
        self._done(picking)
        self.assertEqual(self._served(phone), 1)
        wizard = Form(
            self.env["stock.return.picking"].with_context(active_id=picking.id, active_model="stock.picking")
        ).save()
        wizard.product_return_moves.quantity = 1
        returned = self.env["stock.picking"].browse(wizard.action_create_returns()["res_id"])
        self.assertEqual(self._served(phone), 1, "not before it has arrived")
        returned.move_ids.move_line_ids.lot_id = picking.move_line_ids.lot_id
        self._done(returned)
        self.assertEqual(self._served(phone), 2)

    def test_backorder(self):
        phone = self._make_phone("PHONE", 5)
        picking = self._make_picking(phone, 3)
        picking.action_assign()
        self._done(picking, 1)
        backorder = self.env["stock.picking"].search([("backorder_id", "=", picking.id)])
        self.assertEqual((len(backorder), self._served(phone)), (1, 2))
        backorder.action_cancel()
        self.assertEqual(self._served(phone), 4)

    def test_other_unit_of_measure(self):
        phone = self._make_phone("PHONE", 15)
        self._make_picking(phone, 1, uom=self.env.ref("uom.product_uom_dozen"))
        self.assertEqual(self._served(phone), 3)

    def test_buffer(self):
        phone, last = self._make_phone("PHONE", 5), self._make_phone("LAST", 1)
        self.company.iused_stock_buffer = 2
        self.assertEqual(self._served(phone, last), [3, 0])

    def test_input_quality_transit_and_scrap_are_left_out(self):
        self.warehouse.reception_steps = "three_steps"
        phone = self._make_phone("PHONE", 2)
        for location in (
            self.warehouse.wh_input_stock_loc_id,
            self.warehouse.wh_qc_stock_loc_id,
            self.warehouse.wh_pack_stock_loc_id,
            self.company.internal_transit_location_id,
        ):
            self._put_in_stock(phone, 1, location=location)
        self.assertEqual(self._served(phone), 2)
        lot = (
            self.env["stock.quant"]
            .search([("product_id", "=", phone.id), ("location_id", "=", self.stock.id)], limit=1)
            .lot_id
        )
        self.env["stock.scrap"].create(
            {"product_id": phone.id, "scrap_qty": 1, "lot_id": lot.id, "location_id": self.stock.id}
        ).do_scrap()
        self.assertEqual(self._served(phone), 1)

    def test_other_companies_and_warehouses_are_left_out(self):
        phone = self._make_phone("PHONE", 2, company_id=False)
        other = self._make_company("Other")
        self.env.user.company_ids += other
        theirs = self.env["stock.warehouse"].search([("company_id", "=", other.id)], limit=1)
        self.env["stock.quant"].with_company(other).sudo()._update_available_quantity(phone, theirs.lot_stock_id, 7)
        second = self.env["stock.warehouse"].create({"name": "Second", "code": "SEC", "company_id": self.company.id})
        self.company.iused_warehouse_ids = self.warehouse
        self._put_in_stock(phone, 3, location=second.lot_stock_id)
        self._make_picking(phone, 3, second.out_type_id, location=second.lot_stock_id)
        self.assertEqual(self._served(phone), 2)

    def test_transfer_to_another_warehouse_of_ours(self):
        phone = self._make_phone("PHONE", 3)
        second = self.env["stock.warehouse"].create({"name": "Second", "code": "SEC", "company_id": self.company.id})
        picking = self._make_picking(phone, 2, self.warehouse.int_type_id, destination=second.lot_stock_id)
        picking.action_assign()
        self.assertEqual(self._served(phone), 1, "on its way between two warehouses that are offered")
        self._done(picking)
        self.assertEqual(self._served(phone), 3)


@tagged("post_install", "-at_install")
class TestOfferStockByChance(OfferStockCase):
    """Random operations through Odoo's API; after each the feed tells what a plain reading of the rule gives."""

    OPERATIONS = 40

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.shelf = cls.env["stock.location"].create({"name": "Shelf", "location_id": cls.stock.id})
        cls.second = cls.env["stock.warehouse"].create({"name": "Second", "code": "SEC", "company_id": cls.company.id})
        cls.company.iused_warehouse_ids = cls.warehouse
        cls.company.iused_stock_buffer = 1
        cls.owner = cls.env["res.partner"].create({"name": "Somebody else"})
        cls.dozen = cls.env.ref("uom.product_uom_dozen")

    def _plain(self, product):
        """Return the stock of an offer by rule 1, read slowly with the ORM."""
        stock = self.env["stock.location"].search([("id", "child_of", self.stock.id), ("usage", "=", "internal")])
        quants = self.env["stock.quant"].search([("product_id", "=", product.id)])
        quants = quants.filtered(
            lambda quant: (
                quant.location_id in stock and quant.owner_id in (self.company.partner_id, quant.owner_id.browse())
            )
        )
        moves = self.env["stock.move"].search([("product_id", "=", product.id)])
        moves = moves.filtered(
            lambda move: (
                move.state not in ("draft", "done", "cancel")
                and move.location_id in stock
                and move.location_dest_id not in stock
            )
        )
        spoken_for = max(sum(quants.mapped("reserved_quantity")), sum(moves.mapped("product_qty")))
        return max(0, int(sum(quants.mapped("quantity")) - spoken_for - self.company.iused_stock_buffer))

    def test_random_operations(self):
        seed = random.randrange(10**6)
        chance = random.Random(seed)
        phones = [self._make_phone(f"PHONE-{number}", chance.randrange(6)) for number in range(3)]
        operations = [
            self._chance_receive,
            self._chance_order,
            self._chance_order,
            self._chance_assign,
            self._chance_ship,
            self._chance_ship,
            self._chance_cancel,
            self._chance_unreserve,
            self._chance_move,
            self._chance_adjust,
        ]
        for step in range(self.OPERATIONS):
            operation, phone = chance.choice(operations), chance.choice(phones)
            operation(chance, phone)
            with self.subTest(seed=seed, step=step, operation=operation.__name__):
                self.assertEqual(self._served(*phones), [self._plain(product) for product in phones])

    def _open_picking(self, chance, phone):
        pickings = self.env["stock.picking"].search(
            [("move_ids.product_id", "=", phone.id), ("state", "not in", ("draft", "done", "cancel"))]
        )
        return chance.choice(pickings) if pickings else pickings

    def _chance_receive(self, chance, phone):
        location = chance.choice(
            (self.stock, self.stock, self.shelf, self.warehouse.wh_input_stock_loc_id, self.second.lot_stock_id)
        )
        self._put_in_stock(phone, chance.randrange(1, 5), location, owner_id=chance.choice((None, None, self.owner)))

    def _chance_order(self, chance, phone):
        self.warehouse.out_type_id.reservation_method = chance.choice(("manual", "at_confirm"))
        quantity, uom = chance.choice(((1, None), (2, None), (4, None), (1, self.dozen)))
        warehouse = chance.choice((self.warehouse, self.warehouse, self.second))
        self._make_picking(phone, quantity, warehouse.out_type_id, uom, warehouse.lot_stock_id)

    def _chance_assign(self, chance, phone):
        if picking := self._open_picking(chance, phone):
            picking.action_assign()

    def _chance_ship(self, chance, phone):
        picking = self._open_picking(chance, phone)
        if picking:
            picking.action_assign()
        if picking.move_line_ids:
            self._done(picking, chance.randint(1, len(picking.move_line_ids)))

    def _chance_cancel(self, chance, phone):
        self._open_picking(chance, phone).action_cancel()

    def _chance_unreserve(self, chance, phone):
        self._open_picking(chance, phone).do_unreserve()

    def _chance_move(self, chance, phone):
        source, target = chance.choice(
            ((self.stock, self.shelf), (self.shelf, self.stock), (self.stock, self.second.lot_stock_id))
        )
        self._make_picking(phone, 1, self.warehouse.int_type_id, location=source, destination=target)

    def _chance_adjust(self, _chance, phone):
        quant = self.env["stock.quant"].search(
            [("product_id", "=", phone.id), ("location_id", "child_of", self.stock.id), ("quantity", ">", 0)], limit=1
        )
        quant.with_context(inventory_mode=True).inventory_quantity = 0
        quant.action_apply_inventory()
