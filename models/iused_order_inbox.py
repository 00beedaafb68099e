import hashlib
import logging
import random
import re
import time as clock
from collections import Counter
from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta

from psycopg2 import OperationalError
from psycopg2.errors import DeadlockDetected, SerializationFailure, UniqueViolation

from odoo import api, fields, models
from odoo.exceptions import ConcurrencyError
from odoo.fields import Command
from odoo.models import BaseModel
from odoo.tools import SQL
from odoo.tools.misc import formatLang

from ..tools.order_payload import MAX_IDEMPOTENCY_KEY, JsonError, Line, PayloadError, parse_json, read_order
from ..tools.problem import problem
from ..tools.sourcing import share_out
from .transaction import begin_anew

_logger = logging.getLogger(__name__)

LEAST_PRICE = 0.005  # what the feed tells as a cent
MOST_AT_ONCE = 100  # lines of an order that Odoo confirms while iUsed waits: a second for 30 or so
MOST_LOCKED = 20  # products of one order; the database has room for some thousand locks
LONGEST_WAIT = 3  # seconds that a push waits for others
PAUSE = (0.01, 0.03)  # seconds between two looks whether it is its turn
MOST_ADDRESSES = 10  # changes of an order's address: each may make a contact
RETRY_AFTER = "2"  # seconds after which a push that waited in vain is best repeated


@dataclass(frozen=True)
class Item:
    """A line that was pushed, and what it means here.

    :ivar product: the `product.product`, for the company
    :ivar offered: our own price for one piece, excluding VAT: what our offer says; 0 where nothing says so
    """

    line: Line
    product: BaseModel
    offered: float

    @property
    def has_own_price(self):
        return self.offered >= LEAST_PRICE

    @property
    def is_withdrawn(self):
        return not self.product.iused_offered

    @property
    def price(self):
        """What iUsed pays for one piece, excluding VAT: what it says, else what our offer says."""
        return self.offered if self.line.price is None else float(self.line.price)


class IusedOrderInbox(models.AbstractModel):
    """Orders that iUsed pushes: read, made into exactly one sale order each, changed, cancelled, and answered.

    All methods work as superuser and for one company: iUsed's user has no rights of its own, and what it may do is what
    these methods do.
    """

    _name = "iused.order.inbox"
    _description = "iUsed Order Inbox"

    # Receiving an order ----------------------------------------------------------------------------------------------

    @api.model
    def _push(self, company, body, reference="", idempotency_key="", in_turn=False):
        """Do what a push of iUsed asks for: make an order, change its address, cancel it, or nothing the second time.

        :param company: the `res.company` that the key belongs to
        :param bytes body: the JSON
        :param str reference: iUsed's number of the order, where the URL names it
        :param str idempotency_key: stands in for the reference of an order that has none
        :param bool in_turn: wait for other pushes that would be in the way. This ends the transaction, in which nothing
            may have been written, and begins another
        :return: the sale order, and whether it was made by this call
        :raises werkzeug.exceptions.HTTPException: 400, 404, 409 or 422, with every fault at once; 503
        """
        payload = self._read(company, body, reference, idempotency_key)
        if in_turn:
            codes = {line.sku or line.ean for line in payload.lines}  # a cancellation has no lines
            self._take_turn(
                self._turn_keys(company, payload.order_id, codes), lambda: self._is_unchanged(company, payload)
            )
        if payload.status == "cancelled":
            return self._receive_cancellation(company, payload.order_id), False
        return self._receive(company, payload)

    @api.model
    def _read(self, company, body, reference="", idempotency_key=""):
        """Return the order in a body; parameters and errors as in `_push`.

        :rtype: tools.order_payload.Order
        """
        if len(self._tidy_key(idempotency_key)) > MAX_IDEMPOTENCY_KEY:
            raise problem(400, f"The Idempotency-Key is longer than {MAX_IDEMPOTENCY_KEY} characters.")
        of_key = self._reference_of_key(idempotency_key)
        try:
            payload = read_order(
                parse_json(body),
                reference=reference,
                require_reference=not of_key,
                **self._reader_options(company),
            )
        except JsonError as error:
            raise problem(400, f"The body is not JSON that can be read: {error}.") from error
        except PayloadError as error:
            faults = [{"pointer": fault.pointer, "detail": fault.detail} for fault in error.faults]
            if error.order and not self._is_known(company, error.order.order_id or of_key):
                faults += self._look_up(company, error.order)[1]
            raise problem(422, "The order is refused; nothing was stored.", errors=faults, more=error.more) from error
        return replace(payload, order_id=payload.order_id or of_key)

    @api.model
    def _reader_options(self, company):
        """Return what the reader must know of a company: its zone, and where the admin says that our fields are."""
        return {
            "timezone": company.iused_user_id.tz or "Europe/Amsterdam",
            "mapping": self.env["iused.field.mapping"]._paths(company),
        }

    @api.model
    def _reference_of_key(self, key):
        """Return the reference of an order that has none of its own, from the `Idempotency-Key` of its push.

        :rtype: str, empty where there is no key, or one that is too long
        """
        key = self._tidy_key(key)
        if not key.strip() or len(key) > MAX_IDEMPOTENCY_KEY:
            return ""
        if not re.fullmatch(r"[\w.:-]{1,60}", key, re.ASCII):
            key = hashlib.sha256(key.encode()).hexdigest()[:32]
        return f"key-{key}"

    @api.model
    def _tidy_key(self, key):
        """Return an `Idempotency-Key` without the quotes around it."""
        return key.strip().strip('"')

    @api.model
    def _receive(self, company, payload):
        """Turn a pushed order into exactly one sale order.

        :param payload: a `tools.order_payload.Order`
        :return: the sale order, and whether it was made by this call
        :raises werkzeug.exceptions.HTTPException: 422 with every fault at once; 409 where the order conflicts with what
            is already known under its reference, or where stock is short and the company refuses that
        """
        known = self._search_reference(company, payload.order_id)
        if known:
            self._receive_again(known, payload)
            return known, False
        if self.env["iused.exchange"]._was_cancelled(company, payload.order_id):
            raise problem(
                409, f"Order {payload.order_id} was cancelled before it came; a new order needs a new reference."
            )
        return self._make(company, payload), True

    # Taking turns ----------------------------------------------------------------------------------------------------

    @api.model
    def _turn_keys(self, company, reference, codes):
        """Return what an order must have for itself: its reference and, where it takes stock, that.

        :param codes: SKUs, or EANs, of the products whose stock it takes
        """
        keys = [f"sale_iused {company.id} order {reference}"]
        if codes and (company.iused_shortage_policy == "refuse" or company._iused_has_limit()):
            # Two orders must not both count on the last piece, nor on what the limit leaves.
            return [*keys, f"sale_iused {company.id} stock"]
        # Odoo reserves the oldest pieces: two orders of one product at once would take the same ones, and one of them
        # be replayed after many seconds, or given up.
        return [*keys, *(f"sale_iused {company.id} product {code}" for code in sorted(codes)[:MOST_LOCKED])]

    @api.model
    def _take_turn(self, keys, is_done=lambda: False):
        """Begin a new transaction in which nobody else works with one of the keys until it ends.

        The transaction so far is ended, so that nothing may be written before: see `begin_anew`.

        Nobody waits inside the database, and nobody can keep the others waiting for ever: a transaction gets all its
        keys at once or lets go of them, waits a random moment without any, and gives up after some seconds. Whoever got
        its keys waits for nobody any more, and loses them when its transaction ends, whatever ends it.

        Turns spare replays; what must not happen twice does not depend on them, but on the index of references and on
        `_guard_stock`. So it does no harm that another may have committed between this transaction's snapshot and
        the keys, both of which its first statement takes.

        :param list keys: texts
        :param is_done: looked at before each try: whether no turn is needed (any more)
        :raises werkzeug.exceptions.ServiceUnavailable: when others had the keys all the time
        """
        end = clock.monotonic() + LONGEST_WAIT
        pause = 0
        while not is_done():
            # What the others committed shows only in a new transaction; this also lets go of the keys that were free.
            begin_anew(self.env.cr)
            clock.sleep(pause)
            if self._try_keys(keys):
                return
            if clock.monotonic() > end:
                raise problem(
                    503,
                    "Other orders of the same products are being taken in; please repeat the call.",
                    headers={"Retry-After": RETRY_AFTER},
                )
            pause = random.uniform(*PAUSE)

    @api.model
    def _try_keys(self, keys):
        """Return whether all keys are this transaction's now; it keeps those that are, until it ends."""
        (free,) = self.env.execute_query(
            SQL("SELECT bool_and(pg_try_advisory_xact_lock(hashtextextended(key, 0))) FROM unnest(%s) AS key", keys)
        )[0]
        return free

    @api.model
    def _is_unchanged(self, company, payload):
        """Tell whether a push says nothing new of a known order, so that there is nothing to do."""
        known = self._search_reference(company, payload.order_id)
        if not known:
            return False
        if payload.status == "cancelled":
            return known.state == "cancel"
        return known.state != "cancel" and self._has_lines(known, payload) and known._iused_has_address(payload)

    @api.model
    def _guard_stock(self, company):
        """Let no two transactions both go on that look at a company's stock without seeing each other's orders.

        The same for what its limit of 24 hours leaves.

        Both write the same row: REPEATABLE READ lets the second fail, and its call is replayed after what the first one
        left in stock. Whoever writes the row at this moment is not waited for, but replayed after, too.
        """
        self.env.cr.execute(
            """
            UPDATE res_company SET write_date = write_date
             WHERE id IN (SELECT id FROM res_company WHERE id = %s FOR NO KEY UPDATE NOWAIT)
            """,
            (company.id,),
            log_exceptions=False,
        )

    @api.model
    def _search_reference(self, company, reference):
        """Return the company's order of an iUsed reference, or none."""
        return self.env["sale.order"].search([("company_id", "=", company.id), ("iused_reference", "=", reference)])

    @api.model
    def _is_known(self, company, reference):
        return bool(reference and self._search_reference(company, reference))

    # A new one -------------------------------------------------------------------------------------------------------

    @api.model
    def _make(self, company, payload):
        """Make the sale order of a reference that is not known yet; parameters and errors as in `_receive`."""
        if company.iused_shortage_policy == "refuse" or company._iused_has_limit():
            self._guard_stock(company)
        items = self._find_items(company, payload)
        left = self._find_left(company, items)
        shortages = self._find_shortages(items, left)
        if shortages and company.iused_shortage_policy == "refuse":
            raise problem(409, f"Order {payload.order_id} is refused: stock is short.", errors=shortages)
        differing = [item for item in items if self._has_other_price(company, item)]
        withdrawn = [item for item in items if item.is_withdrawn]
        confirms = company.iused_order_policy == "confirm" and not differing and not withdrawn
        value = sum(item.price * item.line.quantity for item in items)
        is_beyond = confirms and self._is_beyond_limit(company, value)
        try:
            # The salesperson of every order need not be told that each is theirs.
            orders = self.env["sale.order"].with_context(mail_auto_subscribe_no_notify=True)
            order = orders.create(self._prepare_order(company, payload, items, left)).with_env(self.env)
        except UniqueViolation as error:
            # Somebody gave the reference to another order after our snapshot: look again in a new transaction.
            raise ConcurrencyError(f"iUsed order {payload.order_id} was made meanwhile") from error
        if differing:
            self._tell_prices(order, differing)
        if withdrawn:
            self._tell_withdrawn(order, withdrawn)
        if shortages:
            self._tell_shortages(order, shortages)
        if is_beyond:
            self._keep_beyond_limit(order)
        elif confirms:
            self._confirm(order)
        return order

    @api.model
    def _confirm(self, order):
        """Confirm an order, or have the scheduled action do so where iUsed would wait too long."""
        if len(order.order_line) <= MOST_AT_ONCE:
            order.action_confirm()
        else:
            order.iused_to_confirm = True
            self._confirming_cron()._trigger()

    @api.model
    def _find_items(self, company, payload):
        """Return an `Item` for each line, in a list.

        :raises werkzeug.exceptions.UnprocessableEntity: with every fault at once
        """
        items, faults = self._look_up(company, payload)
        if faults:
            raise problem(422, f"Order {payload.order_id} is refused; nothing was stored.", errors=faults)
        return items

    @api.model
    def _look_up(self, company, payload):
        """Find what the lines of an order mean here, be its other fields as wrong as they may.

        :return: an `Item` for each line that means one product, and an error of a problem for each fault, in lists
        """
        products = self.with_company(company).env["product.product"]
        skus = set().union(*(each for line in payload.lines for each in line.sku_spellings))
        eans = set().union(*(each for line in payload.lines for each in line.ean_spellings))
        by_sku = products._iused_find(("default_code",), skus)
        by_ean = products._iused_find(("iused_ean", "barcode"), eans)
        found = [(line, *self._find_product(line, products, by_sku, by_ean)) for line in payload.lines]
        sure = products.union(*(product for _line, product, fault in found if not fault))
        offered = sure.env["iused.offer.feed"]._prices(sure)
        items = [
            Item(line, product, max(0, product.iused_purchase_price or offered.get(product.id, (0, 0))[0]))
            for line, product, fault in found
            if not fault
        ]
        faults = [*self._currency_faults(company, payload), *(fault for *_found, fault in found if fault)]
        refused = [item for item in items if self._is_refused(company, item)]
        return items, faults + [self._product_fault(item.line, "is not offered.") for item in refused]

    @api.model
    def _currency_faults(self, company, payload):
        if payload.currency in ("", company.currency_id.name):
            return []
        detail = f"Prices are in {company.currency_id.name} here, not in {payload.currency}."
        return [{"pointer": payload.pointers.get("currency", ""), "detail": detail}]

    @api.model
    def _find_product(self, line, products, by_sku, by_ean):
        """Return the product of a line, and an error of a problem where that is not exactly one, else None.

        A line that names a SKU means that alone: what has its EAN may be another grade.

        :param products: no `product.product`
        :param dict by_sku: what `product.product._iused_find` found
        :param dict by_ean: the same
        """

        def find(spellings, known):
            # The first spellings that are known; of those all products, as nobody knows which is meant.
            groups = (products.union(*(known[each] for each in some if each in known)) for some in spellings)
            group = next(filter(None, groups), products)
            # Grades that share an EAN are told apart by being offered.
            return group.filtered("iused_offered") or group

        of_ean = find(line.ean_spellings, by_ean)
        product = find(line.sku_spellings, by_sku) if line.sku else of_ean
        fault = None
        if len(product) != 1:
            fault = self._product_fault(line, "belongs to several products." if product else "is not known.")
        elif of_ean and not {product.iused_ean, product.barcode} & set().union(*line.ean_spellings):
            # Which of the two devices was sold? The wrong one costs more than a question.
            fault = self._product_fault(line, f'is not that of SKU "{line.sku}", but of another product.', "ean")
        return product, fault

    @api.model
    def _product_fault(self, line, words, field=""):
        """Return an error of a problem: what is wrong with the product that a line names.

        :param str field: the field at fault, where it is not the one that tells the product
        """
        field = field or ("sku" if line.sku else "ean")
        return {
            "pointer": line.pointers.get(field, line.pointer),
            "detail": f'{field.upper()} "{getattr(line, field)}" {words}',
        }

    @api.model
    def _is_refused(self, company, item):
        """Tell whether a product is refused that is not offered: without a price of ours nobody meant to sell it."""
        return item.is_withdrawn and (company.iused_withdrawn_policy == "refuse" or not item.has_own_price)

    @api.model
    def _find_left(self, company, items):
        """Return what is left where of an order's products; see `_left_by_warehouse` of the feed."""
        products = self.env["product.product"].union(*(item.product for item in items))
        return self.env["iused.offer.feed"]._left_by_warehouse(company, products)

    @api.model
    def _find_shortages(self, items, left):
        """Return an error of a problem for each line that orders more than the offers say is left.

        :param dict left: of `_find_left`
        :rtype: list of dict: `pointer`, `detail`, `sku`, `available` and `ordered` (pieces)
        """
        left = {number: sum(pieces.values()) for number, pieces in left.items()}
        shortages = []
        for item in items:
            line, number = item.line, item.product.id
            if number not in left:
                continue  # services and goods that are not counted
            if line.quantity > left[number]:
                sku = item.product.default_code or line.sku or line.ean
                shortages.append(
                    {
                        "pointer": line.pointers.get("quantity", line.pointer),
                        "detail": f'SKU "{sku}": {left[number]} left, {line.quantity} ordered.',
                        "sku": sku,
                        "available": left[number],
                        "ordered": line.quantity,
                    }
                )
            left[number] = max(0, left[number] - line.quantity)
        return shortages

    @api.model
    def _has_other_price(self, company, item):
        """Tell whether a price differs from our offer by more than the company tolerates."""
        tolerance = company.iused_price_tolerance / 100 * item.offered
        # The feed tells two decimals: half a cent is no difference, but it is no price either.
        return abs(item.price - item.offered) > tolerance + 0.005 or item.price < 0.01 or not item.has_own_price

    @api.model
    def _tell_prices(self, order, items):
        """Tell which prices of an order differ from our offer."""

        def compose(env):
            lines = [
                env._(
                    "%(sku)s: iUsed's order says %(pushed)s, our offer says %(offered)s.",
                    sku=item.product.default_code or item.product.display_name,
                    pushed=formatLang(env, item.price, currency_obj=order.currency_id),
                    offered=formatLang(env, item.offered, currency_obj=order.currency_id),
                )
                for item in items
            ]
            return env._("Check the prices of this iUsed order, then confirm it"), "\n".join(lines)

        self.env["iused.trouble"]._tell("prices", order, compose)

    @api.model
    def _tell_withdrawn(self, order, items):
        """Tell which products of an order are not offered to iUsed."""

        def compose(env):
            products = env["product.product"].union(*(item.product.with_env(env) for item in items))
            return (
                env._("This iUsed order has products that are not offered: confirm or cancel it"),
                "\n".join(products.mapped("display_name")),
            )

        self.env["iused.trouble"]._tell("withdrawn", order, compose)

    @api.model
    def _tell_shortages(self, order, shortages):
        """Tell of what an order has more than is left; see `_find_shortages`."""

        def compose(env):
            lines = [env._("%(sku)s: %(available)s left, %(ordered)s ordered.", **shortage) for shortage in shortages]
            return env._("Stock is short for this iUsed order"), "\n".join(lines)

        self.env["iused.trouble"]._tell("short", order, compose)

    @api.model
    def _prepare_order(self, company, payload, items, left):
        """Return the values of a new order.

        :param items: an `Item` for each line
        :param dict left: of `_find_left`
        """
        partner = company._iused_ensure_partner()
        consumer = self.env["res.partner"]._iused_find_or_create_consumer(company, payload)
        position = (
            self.env["account.fiscal.position"].with_company(company)._get_fiscal_position(partner, delivery=consumer)
        )
        warehouse, shares = self._choose_warehouses(company, items, left)
        source = self.env.ref("sale_iused.utm_source_iused", raise_if_not_found=False)  # anybody may delete it
        values = {
            "company_id": company.id,
            "partner_id": partner.id,
            "partner_shipping_id": consumer.id,
            "fiscal_position_id": position.id,
            # No pricelist: prices are agreed with iUsed, in the company's currency.
            "pricelist_id": False,
            "warehouse_id": warehouse,
            "carrier_id": company.iused_carrier_id.id,
            "source_id": source and source.id,
            # Nobody confirms it in the portal, whoever gets in there.
            "require_signature": False,
            "require_payment": False,
            "origin": f"iUsed {payload.order_id}",
            "client_order_ref": payload.order_id,
            # Noon is that day in all of Europe.
            "commitment_date": payload.requested_date and datetime.combine(payload.requested_date, time(12)),
            # Not the order's terms and conditions, which iUsed's invoice shows.
            "iused_note": payload.note or False,
            "iused_reference": payload.order_id,
            "iused_ordered_at": payload.created_at or False,
            "iused_lines_digest": payload.lines_digest(company.currency_id.name),
            "iused_address_digest": payload.address_digest,
            "order_line": [
                Command.create({**self._prepare_line(company, item, position, consumer), **part})
                for number, (item, share) in enumerate(zip(items, shares, strict=True), 1)
                for part in self._prepare_parts(number, item, share, warehouse)
            ]
            + self._prepare_fee(company, items, position, consumer),
        }
        if salesperson := company._iused_colleagues(company.iused_salesperson_id):
            values["user_id"] = salesperson.id
        if company.iused_team_id:
            values["team_id"] = company.iused_team_id.id
        return values

    @api.model
    def _choose_warehouses(self, company, items, left):
        """Return the id of the warehouse of most of an order's lines, and what each warehouse delivers of each line.

        :param dict left: of `_find_left`
        :return: the id, or False for a company without a warehouse; what `share_out` returns
        """
        warehouses = company._iused_warehouses().ids
        shares = share_out([(item.product.id, item.line.quantity) for item in items], left, warehouses)
        counts = Counter(place for share in shares for place in share)
        return max(warehouses, key=counts.__getitem__, default=False), shares

    @api.model
    def _prepare_parts(self, number, item, share, warehouse):
        """Return the values in which the order lines of a pushed line differ: one for each warehouse that delivers it.

        :param int number: of the pushed line, from 1
        :param dict share: of `share_out`
        :param warehouse: the id of the order's
        """
        return [
            {
                "iused_line_number": number,
                "product_uom_qty": pieces,
                "iused_warehouse_id": place != warehouse and place,
            }
            for place, pieces in (share or {warehouse: item.line.quantity}).items()
        ]

    @api.model
    def _prepare_line(self, company, item, position, consumer):
        """Return the values of an order line, without its quantity.

        :param Item item: what was pushed
        :param position: the `account.fiscal.position` of the order
        """
        product = item.product
        taxes = position.map_tax(product.taxes_id._filter_taxes_by_company(company))
        return {
            "product_id": product.id,
            "product_uom_id": product.uom_id.id,
            "price_unit": self.env["sale.order.line"]._iused_tax_adapted_price(
                item.price, product, taxes, company.currency_id, consumer
            ),
            "technical_price_unit": 0.0,  # as if typed: Odoo would take the list price with another quantity
            "discount": 0.0,
            "iused_line_reference": item.line.line_id or False,
        }

    @api.model
    def _prepare_fee(self, company, items, position, consumer):
        """Return the command that adds what iUsed keeps back, in a list; none where nothing is agreed.

        :param position: the `account.fiscal.position` of the order
        """
        product = company.iused_fee_product_id
        if not company.iused_fee or not product:
            return []
        taxes = position.map_tax(product.taxes_id._filter_taxes_by_company(company))
        price = self.env["sale.order.line"]._iused_tax_adapted_price(
            -company.iused_fee_amount, product, taxes, company.currency_id, consumer
        )
        devices = sum(item.line.quantity for item in items)
        values = {
            "product_id": product.id,
            "product_uom_qty": devices if company.iused_fee == "device" else 1,
            "product_uom_id": product.uom_id.id,
            "price_unit": price,
            "technical_price_unit": 0.0,  # as in `_prepare_line`
            "discount": 0.0,
            "iused_fee": company.iused_fee,
        }
        return [Command.create(values)]

    # More than usual -------------------------------------------------------------------------------------------------

    @api.model
    def _is_beyond_limit(self, company, value, order=None):
        """Tell whether an order is more than a company has confirmed without a person in 24 hours.

        All of iUsed's orders of that time count, quotations and cancelled ones too: to push and cancel gains nothing.
        The time rolls, as a day would give a double portion around its midnight.

        :param float value: of the order, excluding VAT
        :param order: the `sale.order`, where it is there already: then those before it count
        """
        most, most_value = company.iused_most_orders, company.iused_most_value
        if not most and not most_value:
            return False
        moment = order.create_date if order else fields.Datetime.now()
        received = [
            ("company_id", "=", company.id),
            ("iused_reference", "!=", False),
            ("create_date", ">", moment - timedelta(hours=24)),
            *([("id", "<", order.id)] if order else []),
        ]
        [(count, total)] = self.env["sale.order"]._read_group(received, [], ["__count", "amount_untaxed:sum"])
        rest = most_value - (total or 0) - value
        return bool((most and count >= most) or (most_value and company.currency_id.compare_amounts(rest, 0) < 0))

    @api.model
    def _keep_beyond_limit(self, order):
        """Leave an order as a quotation; one activity for all of them is the trouble's, which counts them."""
        order.iused_beyond_limit = True
        order.message_post(
            body=self.env._(
                "It stays a quotation, for a person to confirm: more came from iUsed within 24 hours than the settings"
                " allow (%s).",
                order.company_id._iused_describe_limit(),
            )
        )
        troubles = self.env["iused.trouble"]
        if not troubles._is_current(order.company_id, "beyond_limit"):
            troubles._watch_now()

    # A large one -----------------------------------------------------------------------------------------------------

    @api.model
    def _confirming_cron(self):
        # iUsed's user has no rights on scheduled actions.
        return self.env.ref("sale_iused.ir_cron_confirm_orders").sudo()

    @api.model
    def _cron_confirm(self):
        """Confirm the orders that were too large for that while iUsed waited, each in a transaction of its own."""
        orders = self.env["sale.order"].search([("iused_to_confirm", "=", True)], order="id")
        self.env["ir.cron"]._commit_progress(remaining=len(orders))
        for order in orders:
            self._confirm_large(order.with_company(order.company_id))
            self.env["ir.cron"]._commit_progress(1)

    @api.model
    def _confirm_large(self, order):
        """Confirm an order, or tell why that cannot be done; one that a person had in hand meanwhile is left alone.

        This may end the transaction, in which nothing was written.
        """
        codes = set(filter(None, order.order_line.product_id.mapped("default_code")))
        try:
            if not self._try_keys(self._turn_keys(order.company_id, order.iused_reference, codes)):
                self._confirm_later()
                return
            order.iused_to_confirm = False
            if order.state not in ("draft", "sent"):
                return
            if self._is_beyond_limit(order.company_id, order.amount_untaxed, order):
                self._keep_beyond_limit(order)
                return
            with self.env.cr.savepoint():
                order.action_confirm()
        except (SerializationFailure, DeadlockDetected):
            self.env.cr.rollback()  # somebody else wrote the same rows
            self._confirm_later()
        except OperationalError:
            raise  # the database is gone
        except Exception as error:
            _logger.exception("The iUsed order %s could not be confirmed", order.id)
            self._tell_unconfirmed(order, error)

    @api.model
    def _confirm_later(self):
        self._confirming_cron()._trigger(at=fields.Datetime.now() + timedelta(minutes=1))

    @api.model
    def _tell_unconfirmed(self, order, error):
        """Tell that a person has to confirm an order."""

        def compose(env):
            return env._("Confirm this iUsed order: Odoo could not do it by itself"), str(error)

        self.env["iused.trouble"]._tell("unconfirmed", order, compose)

    # A known one -----------------------------------------------------------------------------------------------------

    @api.model
    def _receive_again(self, order, payload):
        """Take a push of an order that is known: nothing to do, or another address.

        What a person changed in Odoo since stays: a push is compared with the one before, not with the order.

        :raises werkzeug.exceptions.Conflict: for what cannot be changed any more
        """
        name = f"Order {payload.order_id} is known as {order.name}"
        if order.state == "cancel":
            raise problem(409, f"{name}, which was cancelled; a new order needs a new reference.")
        if not self._has_lines(order, payload):
            raise problem(409, f"{name} with other lines.")
        digest = payload.address_digest
        if order._iused_has_address(payload):
            return
        if order._iused_has_shipped() or order.iused_anonymized_at:
            raise problem(409, f"{name} and has shipped: its address cannot change any more.")
        former = (order.iused_former_addresses or "").split()
        if digest in former:
            # A repeat that comes late, or a consumer who moves back: nobody can tell, and one would go wrong.
            if not order.partner_shipping_id._iused_is_consumer(order.company_id, payload):
                raise problem(409, f"{name}, which had this address before; a person has to set it again.")
            former.remove(digest)
        elif len(former) >= MOST_ADDRESSES:
            raise problem(
                409, f"{name}, whose address was changed {MOST_ADDRESSES} times; a person has to change it now."
            )
        former.append(order.iused_address_digest or "")
        order.write({"iused_address_digest": digest, "iused_former_addresses": " ".join(former)})
        order._iused_change_consumer(self.env["res.partner"]._iused_find_or_create_consumer(order.company_id, payload))

    @api.model
    def _has_lines(self, order, payload):
        """Tell whether a push has the lines that the order was made of."""
        return order.iused_lines_digest == payload.lines_digest(order.company_id.currency_id.name)

    @api.model
    def _receive_cancellation(self, company, reference):
        """Cancel an order and its deliveries; a second time does nothing.

        :return: the sale order
        :raises werkzeug.exceptions.HTTPException: 404 where the order is not known, 409 once goods have left
        """
        order = self._search_reference(company, reference)
        if not order:
            raise problem(404, f"Order {reference} is not known: there is nothing to cancel.")
        if order.state != "cancel":
            if order._iused_has_shipped():
                raise problem(409, f"Order {reference} ({order.name}) has shipped and cannot be cancelled any more.")
            order.action_unlock()
            in_hand = order._iused_in_hand()
            # Odoo tells of what was bought or made for it, where there is somebody to tell.
            order.with_context(iused_responsible_id=company._iused_responsible().id).action_cancel()
            order._iused_tell_cancelled(in_hand)
            order.message_post(body=self.env._("iUsed cancelled the order."))
        return order

    # Answering -------------------------------------------------------------------------------------------------------

    @api.model
    def _status(self, order):
        """Return the state of an order in the words of our contract."""
        return {"sale": "confirmed", "cancel": "cancelled"}.get(order.state, "quotation")

    @api.model
    def _prepare_answer(self, order):
        """Return the answer to a push: the guide asks for our order number, by which shipments are reported."""
        return {"external_order_id": order.name, "order_id": order.iused_reference, "status": self._status(order)}

    @api.model
    def _group_parts(self, order):
        """Return the order's lines as iUsed knows them: those together that are parts of one of its lines."""
        lines = order.order_line.filtered(lambda line: line.product_id and not line.is_delivery and not line.iused_fee)
        # A line that a person added has no number of ours.
        return lines.grouped(lambda line: (line.iused_line_number, line.product_id) if line.iused_line_number else line)

    @api.model
    def _prepare_details(self, order):
        """Return the order as iUsed may read it back, with what has shipped."""
        # What iUsed's customer received, not what came back, nor what was taken off the delivery.
        left = order.order_line.move_ids._iused_leaving()
        moves = left.filtered(lambda move: move.state == "done" and move.quantity)
        return {
            **self._prepare_answer(order),
            "lines": [
                {
                    "line_id": parts[0].iused_line_reference or "",
                    "sku": parts[0].product_id.default_code or "",
                    "name": parts[0].product_id.display_name,
                    "quantity": int(sum(parts.mapped("product_uom_qty"))),
                    "quantity_shipped": int(sum(parts.mapped("qty_delivered"))),
                    "price": order.currency_id.round(parts[0].price_reduce_taxexcl),
                }
                for parts in self._group_parts(order).values()
            ],
            "shipments": [
                {
                    # A delivery that was done by code, or moves without one, may have no date of their own.
                    "shipped_at": f"{(picking.date_done or max(picked.mapped('date'))).isoformat(timespec='seconds')}Z",
                    "carrier": picking.carrier_id.name or "",
                    "track_and_trace": picking.carrier_tracking_ref or "",
                    "serial_numbers": picked.move_line_ids.filtered("quantity").lot_id.mapped("name"),
                }
                for picking, picked in moves.grouped("picking_id").items()
            ],
        }
