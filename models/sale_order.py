import hashlib
import json
import re
from dataclasses import replace
from datetime import datetime, time
from functools import cache

from psycopg2.errors import UniqueViolation

from odoo import api, fields, models
from odoo.exceptions import ConcurrencyError
from odoo.fields import Command, Domain
from odoo.tools import SQL, plaintext2html
from odoo.tools.misc import formatLang

from ..tools.order_payload import JsonError, PayloadError, parse_json, read_order
from ..tools.problem import problem
from .iused_shipment_update import FARTHEST_FIRST, STATES

MOST_LOCKED = 20  # products of one order; the database has room for some thousand locks
MOST_WARNED = 100  # lines in an activity


class SaleOrder(models.Model):
    _inherit = "sale.order"

    iused_reference = fields.Char(
        "iUsed Reference",
        copy=False,
        readonly=True,
        index="trigram",
        help="iUsed's own number of this order.",
    )
    iused_ordered_at = fields.Datetime("Ordered at iUsed", copy=False, readonly=True, prefetch="iused")
    iused_lines_digest = fields.Char(copy=False, readonly=True, prefetch="iused")
    iused_address_digest = fields.Char(copy=False, readonly=True, prefetch="iused")
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
    def _iused_push(self, company, body, reference="", idempotency_key=""):
        """Do what a push of iUsed asks for: make an order, change its address, cancel it, or nothing the second time.

        :param company: the `res.company` that the key belongs to
        :param bytes body: the JSON
        :param str reference: iUsed's number of the order, where the URL names it
        :param str idempotency_key: stands in for the reference of an order that has none
        :return: the sale order, and whether it was made by this call
        :raises werkzeug.exceptions.HTTPException: 400, 404, 409 or 422, with every fault at once
        """
        payload = self._iused_read(company, body, reference, idempotency_key)
        if payload.status == "cancelled":
            return self._iused_receive_cancellation(company, payload.order_id), False
        return self._iused_receive(company, payload)

    @api.model
    def _iused_read(self, company, body, reference="", idempotency_key=""):
        """Return the order in a body; parameters and errors as in `_iused_push`.

        :rtype: tools.order_payload.Order
        """
        try:
            payload = read_order(
                parse_json(body),
                reference=reference,
                require_reference=not idempotency_key,
                **self._iused_reader_options(company),
            )
        except JsonError as error:
            raise problem(400, f"The body is not JSON that can be read: {error}.") from error
        except PayloadError as error:
            raise problem(
                422,
                "The order is refused; nothing was stored.",
                errors=[{"pointer": fault.pointer, "detail": fault.detail} for fault in error.faults],
                more=error.more,
            ) from error
        return replace(payload, order_id=payload.order_id or self._iused_reference_of_key(idempotency_key))

    @api.model
    def _iused_reader_options(self, company):
        """Return what the reader must know of a company: its zone, and where the admin says that our fields are."""
        return {
            "timezone": company.iused_user_id.tz or "Europe/Amsterdam",
            "mapping": self.env["iused.field.mapping"]._paths(company),
        }

    @api.model
    def _iused_reference_of_key(self, key):
        """Return the reference of an order that has none of its own, from the `Idempotency-Key` of its push."""
        key = key.strip().strip('"')
        if not re.fullmatch(r"[\w.:-]{1,60}", key, re.ASCII):
            key = hashlib.sha256(key.encode()).hexdigest()[:32]
        return f"key-{key}"

    @api.model
    def _iused_receive(self, company, payload):
        """Turn a pushed order into exactly one sale order.

        :param payload: a `tools.order_payload.Order`
        :return: the sale order, and whether it was made by this call
        :raises werkzeug.exceptions.HTTPException: 422 with every fault at once; 409 where the order conflicts with what
            is already known under its reference, or where stock is short and the company refuses that
        """
        self._iused_lock(self._iused_lock_key(company, payload.order_id), *self._iused_stock_keys(company, payload))
        known = self._iused_search_reference(company, payload.order_id)
        if known:
            known._iused_receive_again(payload)
            return known, False
        return self._iused_make(company, payload), True

    @api.model
    def _iused_lock_key(self, company, reference):
        return f"sale_iused {company.id} order {reference}"

    @api.model
    def _iused_stock_keys(self, company, payload):
        """Return the lock keys of the stock that an order takes."""
        if company.iused_shortage_policy == "refuse":
            return [f"sale_iused {company.id} stock"]  # two orders must not both count on the last piece
        # Odoo reserves the oldest pieces: two orders of one product at once would take the same ones, and one of them
        # be replayed after many seconds, or given up. Sorted, so that no two orders wait for each other.
        codes = sorted({line.sku or line.ean for line in payload.lines})[:MOST_LOCKED]
        return [f"sale_iused {company.id} product {code}" for code in codes]

    @api.model
    def _iused_lock(self, *keys):
        """Let transactions that name the same keys come one after the other, so that the later ones find what the
        first made. To be called before anything is written.

        Without it they would all do the work, and all but one fail on the unique index and be replayed after a wait.
        """

        def is_taken(key):
            lock = SQL("SELECT pg_try_advisory_xact_lock(hashtextextended(%s, 0))", key)
            return not self.env.execute_query(lock)[0][0]

        while taken := next(filter(is_taken, keys), None):
            self.env.execute_query(SQL("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", taken))
            # Nothing was written yet. What the other one committed shows only in a new transaction.
            self.env.cr.rollback()

    @api.model
    def _iused_search_reference(self, company, reference):
        """Return the company's order of an iUsed reference, or none."""
        return self.search([("company_id", "=", company.id), ("iused_reference", "=", reference)])

    # A new one -------------------------------------------------------------------------------------------------------

    @api.model
    def _iused_make(self, company, payload):
        """Make the sale order of a reference that is not known yet; parameters and errors as in `_iused_receive`."""
        products = self._iused_find_products(company, payload)
        shortages = self._iused_find_shortages(company, payload, products)
        if shortages and company.iused_shortage_policy == "refuse":
            raise problem(409, f"Order {payload.order_id} is refused: stock is short.", errors=shortages)
        try:
            order = self.create(self._iused_prepare_order(company, payload, products))
        except UniqueViolation as error:
            # Somebody gave the reference to another order after our snapshot: look again in a new transaction.
            raise ConcurrencyError(f"iUsed order {payload.order_id} was made meanwhile") from error
        differences = self._iused_find_price_differences(company, payload, products)
        if differences:
            order._iused_warn(self.env._("Check the prices of this iUsed order, then confirm it"), differences)
        if shortages:
            order._iused_warn(
                self.env._("Stock is short for this iUsed order"), [shortage["detail"] for shortage in shortages]
            )
        if company.iused_order_policy == "confirm" and not differences:
            order.action_confirm()
        return order

    @api.model
    def _iused_find_products(self, company, payload):
        """Return the product of each line, in a list.

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
        find = cache(self.env["product.product"]._iused_find)  # an order of 1,000 lines has few products
        products = [self._iused_find_product(line, find, faults) for line in payload.lines]
        if faults:
            raise problem(422, f"Order {payload.order_id} is refused; nothing was stored.", errors=faults)
        return products

    @api.model
    def _iused_find_product(self, line, find, faults):
        """Return the product of a line; what is wrong with it is added to `faults`.

        :param find: `product.product._iused_find`
        """
        products, field, detail = find(line.sku, line.ean), "sku" if line.sku else "ean", ""
        if len(products) != 1:
            text = f"{field.upper()} {line.sku or line.ean}"
            detail = f"{text} belongs to several products." if products else f"{text} is not known."
        elif line.sku and line.ean and line.ean not in (products.iused_ean, products.barcode) and find("", line.ean):
            # Which of the two devices was sold? The wrong one costs more than a question.
            field, detail = "ean", f"EAN {line.ean} is not that of SKU {line.sku}, but of another product."
        if detail:
            faults.append({"pointer": line.pointers.get(field, line.pointer), "detail": detail})
        return products

    @api.model
    def _iused_find_shortages(self, company, payload, products):
        """Return an error of a problem for each line that orders more than the offers say is left.

        :param products: the product of each line
        :rtype: list of dict: `pointer`, `detail`, `sku`, `available` (pieces)
        """
        left = self.env["iused.offer.feed"]._available_pieces(company, self.env["product.product"].union(*products))
        shortages = []
        for line, product in zip(payload.lines, products, strict=True):
            if product.id not in left:
                continue  # services and goods that are not counted
            if line.quantity > left[product.id]:
                sku = product.default_code or line.sku or line.ean
                shortages.append(
                    {
                        "pointer": line.pointers.get("quantity", line.pointer),
                        "detail": f"{sku}: {left[product.id]} left, {line.quantity} ordered.",
                        "sku": sku,
                        "available": left[product.id],
                    }
                )
            left[product.id] = max(0, left[product.id] - line.quantity)
        return shortages

    @api.model
    def _iused_find_price_differences(self, company, payload, products):
        """Return, in words, where a price differs from our offer by more than the company tolerates.

        :rtype: list of str
        """
        differences = []
        for line, product in zip(payload.lines, products, strict=True):
            offered = product.with_company(company)._iused_purchase_price()
            pushed = offered if line.price is None else float(line.price)
            tolerance = company.iused_price_tolerance
            if company.iused_price_tolerance_type == "percent":
                tolerance *= offered / 100
            # The feed tells two decimals: half a cent is no difference.
            if abs(pushed - offered) > tolerance + 0.005 or not (pushed or offered):
                differences.append(
                    self.env._(
                        "%(sku)s: iUsed's order says %(pushed)s, our offer says %(offered)s.",
                        sku=product.default_code or product.display_name,
                        pushed=formatLang(self.env, pushed, currency_obj=company.currency_id),
                        offered=formatLang(self.env, offered, currency_obj=company.currency_id),
                    )
                )
        return differences

    @api.model
    def _iused_prepare_order(self, company, payload, products):
        """Return the values of a new order.

        :param products: the product of each line
        """
        partner = company._iused_ensure_partner()
        consumer = self.env["res.partner"]._iused_find_or_create_consumer(company, payload)
        position = (
            self.env["account.fiscal.position"].with_company(company)._get_fiscal_position(partner, delivery=consumer)
        )
        lines = [
            self._iused_prepare_line(company, line, product, position, consumer)
            for line, product in zip(payload.lines, products, strict=True)
        ]
        values = {
            "company_id": company.id,
            "partner_id": partner.id,
            "partner_shipping_id": consumer.id,
            "fiscal_position_id": position.id,
            # No pricelist: prices are agreed with iUsed, in the company's currency.
            "pricelist_id": False,
            "warehouse_id": company._iused_warehouses()[:1].id,
            "carrier_id": company.iused_carrier_id.id,
            "source_id": self.env.ref("sale_iused.utm_source_iused").id,
            "origin": f"iUsed {payload.order_id}",
            "client_order_ref": payload.order_id,
            # Noon is that day in all of Europe.
            "commitment_date": payload.requested_date and datetime.combine(payload.requested_date, time(12)),
            "note": plaintext2html(payload.note) if payload.note else False,
            "iused_reference": payload.order_id,
            "iused_ordered_at": payload.created_at or False,
            "iused_lines_digest": self._iused_lines_digest(company, payload),
            "iused_address_digest": self._iused_address_digest(payload),
            "order_line": [Command.create(line) for line in lines],
        }
        if company.iused_salesperson_id:
            values["user_id"] = company.iused_salesperson_id.id
        if company.iused_team_id:
            values["team_id"] = company.iused_team_id.id
        return values

    @api.model
    def _iused_prepare_line(self, company, line, product, position, consumer):
        """Return the values of one order line.

        :param position: the `account.fiscal.position` of the order
        """
        product = product.with_company(company)
        taxes = position.map_tax(product.taxes_id._filter_taxes_by_company(company))
        price = product._iused_purchase_price() if line.price is None else float(line.price)
        return {
            "product_id": product.id,
            "product_uom_qty": line.quantity,
            "product_uom_id": product.uom_id.id,
            "price_unit": self.env["sale.order.line"]._iused_tax_adapted_price(
                price, product, taxes, company.currency_id, consumer
            ),
            "discount": 0.0,
            "iused_line_reference": line.line_id or False,
        }

    @api.model
    def _iused_lines_digest(self, company, payload):
        """Return what tells two sets of lines apart, in whatever order they come; no currency means the company's."""
        lines = [
            [line.line_id, line.sku, line.ean, line.quantity, "" if line.price is None else str(line.price.normalize())]
            for line in payload.lines
        ]
        currency = payload.currency or company.currency_id.name
        return hashlib.sha256(json.dumps([currency, sorted(lines)]).encode()).hexdigest()

    @api.model
    def _iused_address_digest(self, payload):
        """Return what tells two addresses apart; one street joined and split is the same address."""
        address = payload.shipping_address
        whole = replace(address, street=address.street_line, house_number="", house_number_addition="")
        return hashlib.sha256(json.dumps(list(vars(whole).values())).encode()).hexdigest()

    def _iused_warn(self, summary, texts):
        """Put an activity on the order for whom the company has chosen."""
        self.ensure_one()
        more = [f"… +{len(texts) - MOST_WARNED}"] if len(texts) > MOST_WARNED else []
        return self.activity_schedule(
            "mail.mail_activity_data_warning",
            summary=summary,
            note=plaintext2html("\n".join([*texts[:MOST_WARNED], *more])),
            user_id=self.company_id._iused_responsible().id,
        )

    # A known one -----------------------------------------------------------------------------------------------------

    def _iused_receive_again(self, payload):
        """Take a push of an order that is known: nothing to do, or another address.

        What a person changed in Odoo since stays: a push is compared with the one before, not with the order.

        :raises werkzeug.exceptions.Conflict: for what cannot be changed any more
        """
        self.ensure_one()
        name = f"Order {payload.order_id} is known as {self.name}"
        if self.state == "cancel":
            raise problem(409, f"{name}, which was cancelled; a new order needs a new reference.")
        if self.iused_lines_digest != self._iused_lines_digest(self.company_id, payload):
            raise problem(409, f"{name} with other lines.")
        digest = self._iused_address_digest(payload)
        if self.iused_address_digest == digest:
            return
        if self._iused_has_shipped():
            raise problem(409, f"{name} and has shipped: its address cannot change any more.")
        self.iused_address_digest = digest
        self._iused_change_consumer(self.env["res.partner"]._iused_find_or_create_consumer(self.company_id, payload))

    def _iused_change_consumer(self, consumer):
        """Send the goods that have not left to another consumer."""
        self.ensure_one()
        if consumer == self.partner_shipping_id:
            return
        # Odoo would ask for the deliveries' address to be changed by hand; that is done here.
        self.with_context(mail_activity_automation_skip=True).partner_shipping_id = consumer
        pickings = self.picking_ids.filtered(lambda picking: picking.state not in ("done", "cancel"))
        pickings.partner_id = consumer
        pickings.move_ids.partner_id = consumer
        self.message_post(body=self.env._("iUsed changed the delivery address: %s", consumer.display_name))

    def _iused_has_shipped(self):
        """Tell whether any goods of the order have left for the customer."""
        self.ensure_one()
        return any(
            move.state == "done" and move.location_dest_id.usage == "customer" for move in self.order_line.move_ids
        )

    @api.model
    def _iused_receive_cancellation(self, company, reference):
        """Cancel an order and its deliveries; a second time does nothing.

        :return: the sale order
        :raises werkzeug.exceptions.HTTPException: 404 where the order is not known, 409 once goods have left
        """
        self._iused_lock(self._iused_lock_key(company, reference))
        order = self._iused_search_reference(company, reference)
        if not order:
            raise problem(404, f"Order {reference} is not known: there is nothing to cancel.")
        if order.state != "cancel":
            if order._iused_has_shipped():
                raise problem(409, f"Order {reference} ({order.name}) has shipped and cannot be cancelled any more.")
            order.action_unlock()
            # Nobody has to act on the cancelled delivery.
            order.with_context(mail_activity_automation_skip=True).action_cancel()
            order.message_post(body=self.env._("iUsed cancelled the order."))
        return order

    # Answering -------------------------------------------------------------------------------------------------------

    def _iused_status(self):
        """Return the state of an order in the words of our contract."""
        self.ensure_one()
        return {"sale": "confirmed", "cancel": "cancelled"}.get(self.state, "quotation")

    def _iused_prepare_answer(self):
        """Return the answer to a push: the guide asks for our order number, by which shipments are reported."""
        self.ensure_one()
        return {"external_order_id": self.name, "order_id": self.iused_reference, "status": self._iused_status()}

    def _iused_prepare_details(self):
        """Return the order as iUsed may read it back, with what has shipped."""
        self.ensure_one()
        # A move that iUsed's customer received, not one that came back.
        moves = self.order_line.move_ids.filtered(
            lambda move: move.state == "done" and move.location_dest_id.usage == "customer" != move.location_id.usage
        )
        return {
            **self._iused_prepare_answer(),
            "lines": [
                {
                    "line_id": line.iused_line_reference or "",
                    "sku": line.product_id.default_code or "",
                    "name": line.product_id.display_name,
                    "quantity": int(line.product_uom_qty),
                    "quantity_shipped": int(line.qty_delivered),
                    "price": self.currency_id.round(line.price_reduce_taxexcl),
                }
                for line in self.order_line
                if line.product_id and not line.is_delivery
            ],
            "shipments": [
                {
                    "shipped_at": f"{picking.date_done.isoformat(timespec='seconds')}Z",
                    "carrier": picking.carrier_id.name or "",
                    "track_and_trace": picking.carrier_tracking_ref or "",
                    "serial_numbers": picked.move_line_ids.lot_id.mapped("name"),
                }
                for picking, picked in moves.grouped("picking_id").items()
            ],
        }

    def action_iused_view_updates(self):
        """Open the shipment updates of this order."""
        self.ensure_one()
        action = self.env["ir.actions.act_window"]._for_xml_id("sale_iused.iused_shipment_update_action")
        return {**action, "domain": [("order_id", "=", self.id)], "context": {}}
