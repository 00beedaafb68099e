import hashlib
import json

from psycopg2.errors import UniqueViolation

from odoo import api, fields, models
from odoo.exceptions import ConcurrencyError
from odoo.fields import Command, Domain
from odoo.tools import SQL

from ..tools.problem import problem
from .iused_shipment_update import FARTHEST_FIRST, STATES


class SaleOrder(models.Model):
    _inherit = "sale.order"

    iused_reference = fields.Char(
        "iUsed Reference",
        copy=False,
        readonly=True,
        index="trigram",
        tracking=True,
        help="iUsed's own number of this order.",
    )
    iused_lines_digest = fields.Char(copy=False, readonly=True)
    iused_update_ids = fields.One2many("iused.shipment.update", "order_id", string="Shipment Updates")
    iused_update_count = fields.Integer(compute="_compute_iused_update_count", compute_sudo=True)
    iused_shipment_state = fields.Selection(
        STATES,
        string="iUsed Shipment",
        compute="_compute_iused_shipment_state",
        compute_sudo=True,  # whoever sees the order may know, without rights on the outbox
        search="_search_iused_shipment_state",
        help="What iUsed knows of this order's shipments: the update that is farthest from being told.",
    )

    _iused_reference_unique = models.UniqueIndex(
        "(company_id, iused_reference) WHERE iused_reference IS NOT NULL",
        "There already is an order with this iUsed reference.",
    )

    @api.depends("iused_update_ids")
    def _compute_iused_update_count(self):
        counts = dict(
            self.env["iused.shipment.update"]._read_group([("order_id", "in", self.ids)], ["order_id"], ["__count"])
        )
        for order in self:
            order.iused_update_count = counts.get(order, 0)

    @api.depends("iused_update_ids.state")
    def _compute_iused_shipment_state(self):
        for order in self:
            states = order.iused_update_ids.mapped("state")
            order.iused_shipment_state = min(states, key=FARTHEST_FIRST.index, default=False)

    def _search_iused_shipment_state(self, operator, value):
        """Find orders by the state of the update that is farthest from being told."""
        if operator != "in":
            return NotImplemented
        domains = [Domain("iused_update_ids", "=", False)] if False in value else []
        for state in set(value) & set(FARTHEST_FIRST):
            farther = FARTHEST_FIRST[: FARTHEST_FIRST.index(state)]
            domain = Domain("iused_update_ids", "any", [("state", "=", state)])
            domains.append(domain & ~Domain("iused_update_ids", "any", [("state", "in", farther)]))
        return Domain.OR(domains)

    def _action_cancel(self):
        """What iUsed was not told of a cancelled order is told no more."""
        result = super()._action_cancel()
        # Salespeople have no rights on the outbox. What is locked is being sent at this moment.
        open_sudo = self.sudo().iused_update_ids.filtered(lambda update: update.state not in ("sent", "dropped"))
        dropped_sudo = open_sudo.try_lock_for_update()
        dropped_sudo._drop(self.env._("The order was cancelled."))
        for order in dropped_sudo.order_id:
            order.message_post(
                body=self.env._(
                    "The order was cancelled: %s shipment updates to iUsed were dropped.",
                    len(dropped_sudo.filtered(lambda update, order=order: update.order_id == order)),
                )
            )
        return result

    def _search_display_name(self, operator, value):
        """Find an order by iUsed's number wherever an order is looked up."""
        domain = super()._search_display_name(operator, value)
        if operator in Domain.NEGATIVE_OPERATORS:
            return domain
        return Domain(domain) | Domain("iused_reference", operator, value)

    # Receiving an order ----------------------------------------------------------------------------------------------

    @api.model
    def _iused_receive(self, company, payload):
        """Turn a pushed order into exactly one sale order.

        :param company: the `res.company` that the key belongs to
        :param payload: a `tools.order_payload.Order`
        :return: the sale order, and whether it was made by this call
        :raises werkzeug.exceptions.HTTPException: 422 with every fault at once; 409 where the order conflicts with what
            is already known under its reference
        """
        self._iused_wait_for_twins(company, payload.order_id)
        digest = self._iused_digest(payload)
        known = self.search([("company_id", "=", company.id), ("iused_reference", "=", payload.order_id)])
        if known:
            if known.iused_lines_digest != digest:
                raise problem(409, f"Order {payload.order_id} is known as {known.name} with other lines.")
            return known, False
        values = self._iused_prepare_order(company, payload, digest)
        try:
            with self.env.cr.savepoint():
                order = self.create(values)
        except UniqueViolation as error:
            # Another push of the same order was committed after our snapshot: look again on a new one.
            raise ConcurrencyError(f"iUsed order {payload.order_id} was made meanwhile") from error
        if company.iused_order_policy == "confirm":
            order.action_confirm()
        return order, True

    @api.model
    def _iused_wait_for_twins(self, company, reference):
        """Let pushes of the same order come one after the other, so that the later ones find what the first made.

        Without it they would all do the work, and all but one fail on the unique index and be replayed after a wait.
        """
        key = f"sale_iused {company.id} {reference}"
        lock = SQL("hashtextextended(%s, 0)", key)
        while not self.env.execute_query(SQL("SELECT pg_try_advisory_xact_lock(%s)", lock))[0][0]:
            self.env.execute_query(SQL("SELECT pg_advisory_xact_lock(%s)", lock))
            # Nothing was written yet. What the other one committed shows only in a new transaction.
            self.env.cr.rollback()

    @api.model
    def _iused_digest(self, payload):
        """Return what tells two sets of lines apart."""
        lines = [
            [line.line_id, line.sku, line.ean, line.quantity, line.price and str(line.price.normalize())]
            for line in payload.lines
        ]
        return hashlib.sha256(json.dumps([payload.currency, lines]).encode()).hexdigest()

    @api.model
    def _iused_prepare_order(self, company, payload, digest):
        """Return the values of a new order.

        :raises werkzeug.exceptions.UnprocessableEntity: with every fault at once
        """
        faults = []
        if payload.currency and payload.currency != company.currency_id.name:
            faults.append(
                {
                    "pointer": payload.pointers.get("currency", ""),
                    "detail": f"Prices are in {company.currency_id.name} here, not in {payload.currency}.",
                }
            )
        products = [self._iused_find_product(line, faults) for line in payload.lines]
        if faults:
            raise problem(422, f"Order {payload.order_id} is refused; nothing was stored.", errors=faults)
        partner = company._iused_ensure_partner()
        consumer = self.env["res.partner"]._iused_find_or_create_consumer(
            company, payload.shipping_address, payload.customer_name, payload.customer_phone, payload.customer_email
        )
        order = self.new(
            {
                "company_id": company.id,
                "partner_id": partner.id,
                "partner_shipping_id": consumer.id,
                # No pricelist: prices are agreed with iUsed, in the company's currency.
                "pricelist_id": False,
            }
        )
        lines = [
            self._iused_prepare_line(order, line, product)
            for line, product in zip(payload.lines, products, strict=True)
        ]
        return {
            "company_id": company.id,
            "partner_id": partner.id,
            "partner_shipping_id": consumer.id,
            "pricelist_id": False,
            "warehouse_id": company._iused_warehouses()[:1].id,
            "origin": f"iUsed {payload.order_id}",
            "client_order_ref": payload.order_id,
            "iused_reference": payload.order_id,
            "iused_lines_digest": digest,
            "note": payload.note or False,
            "order_line": [Command.create(values) for values in lines],
        }

    @api.model
    def _iused_find_product(self, line, faults):
        """Return the product of a line; what is wrong with it is added to `faults`."""
        products = self.env["product.product"]._iused_find(line.sku, line.ean)
        if len(products) != 1:
            field = "sku" if line.sku else "ean"
            text = f"{field.upper()} {line.sku or line.ean}"
            faults.append(
                {
                    "pointer": line.pointers.get(field, line.pointer),
                    "detail": f"{text} belongs to several products." if products else f"{text} is not known.",
                }
            )
        return products

    @api.model
    def _iused_prepare_line(self, order, line, product):
        """Return the values of one order line.

        :param order: a new, unsaved order with its partners, for its fiscal position and currency
        """
        product = product.with_company(order.company_id)
        taxes = order.fiscal_position_id.map_tax(product.taxes_id._filter_taxes_by_company(order.company_id))
        price = float(line.price) if line.price is not None else product.iused_purchase_price
        return {
            "product_id": product.id,
            "product_uom_qty": line.quantity,
            "product_uom_id": product.uom_id.id,
            "price_unit": self.env["sale.order.line"]._iused_tax_adapted_price(price, product, taxes, order),
            "discount": 0.0,
            "iused_line_reference": line.line_id or False,
        }

    # Answering -------------------------------------------------------------------------------------------------------

    def _iused_status(self):
        """Return the state of an order in the words of our contract."""
        self.ensure_one()
        return {"sale": "confirmed", "cancel": "cancelled"}.get(self.state, "quotation")

    def _iused_prepare_answer(self):
        """Return the answer to a push: the guide asks for our order number, by which shipments are reported."""
        self.ensure_one()
        return {"external_order_id": self.name, "order_id": self.iused_reference, "status": self._iused_status()}

    def action_iused_view_updates(self):
        """Open the shipment updates of this order."""
        self.ensure_one()
        action = self.env["ir.actions.act_window"]._for_xml_id("sale_iused.iused_shipment_update_action")
        return {**action, "domain": [("order_id", "=", self.id)], "context": {}}
