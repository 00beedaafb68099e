from markupsafe import Markup

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.fields import Domain

from .iused_erasure import CHECK_DIGITS
from .iused_shipment_update import FARTHEST_FIRST, STATES


class SaleOrder(models.Model):
    _name = "sale.order"
    _inherit = ["sale.order", "iused.guard"]

    iused_reference = fields.Char(
        "iUsed Reference",
        copy=False,
        readonly=True,
        iused_own=True,
        index="trigram",
        help="iUsed's own number of this order.",
        groups="base.group_user",
    )
    iused_ordered_at = fields.Datetime(
        "Ordered at iUsed", copy=False, readonly=True, iused_own=True, prefetch="iused", groups="base.group_user"
    )
    iused_lines_digest = fields.Char(
        copy=False, readonly=True, iused_own=True, prefetch="iused", groups="base.group_user"
    )
    iused_address_digest = fields.Char(
        copy=False, readonly=True, iused_own=True, prefetch="iused", groups="base.group_user"
    )
    # The digests of those before.
    iused_former_addresses = fields.Text(
        copy=False, readonly=True, iused_own=True, prefetch="iused", groups="base.group_user"
    )
    # Nothing is decided by it, and a consumer may ask for it to be forgotten: sales may write it.
    iused_note = fields.Text(
        "Consumer's Remark",
        copy=False,
        readonly=True,
        prefetch="iused",
        help="It is on the deliveries, for who packs.",
        groups="base.group_user",
    )
    iused_anonymized_at = fields.Datetime(
        "Made Anonymous",
        copy=False,
        readonly=True,
        iused_own=True,
        prefetch="iused",
        help="When what is known of the order's consumer was erased.",
        groups="base.group_user",
    )
    iused_to_confirm = fields.Boolean(
        "To Be Confirmed Later",
        copy=False,
        readonly=True,
        iused_own=True,
        prefetch="iused",
        index="btree_not_null",
        groups="base.group_user",
    )
    iused_beyond_limit = fields.Boolean(
        "Beyond iUsed's Limit",
        copy=False,
        readonly=True,
        iused_own=True,
        prefetch="iused",
        groups="base.group_user",
        help="It came when more orders had come from iUsed within 24 hours than the settings allow.",
    )
    iused_update_ids = fields.One2many(
        "iused.shipment.update", "order_id", string="Shipment Updates", groups="base.group_user"
    )
    iused_update_count = fields.Integer(
        compute="_compute_iused_update_count", compute_sudo=True, groups="base.group_user"
    )
    iused_shipment_state = fields.Selection(
        STATES,
        string="iUsed Shipment",
        compute="_compute_iused_shipment_state",
        compute_sudo=True,  # whoever sees the order may know, without rights on the outbox
        search="_search_iused_shipment_state",
        help="What iUsed knows of this order's shipments: the update that is farthest from being told.",
        groups="base.group_user",
    )

    _iused_reference_unique = models.UniqueIndex(
        "(company_id, iused_reference) WHERE iused_reference IS NOT NULL",
        "There already is an order with this iUsed reference.",
    )
    # What came within 24 hours is summed up for a limit.
    _iused_received = models.Index("(company_id, create_date) WHERE iused_reference IS NOT NULL")
    # The feed counts them with each poll; there are few.
    _iused_quotations = models.Index("(company_id) WHERE iused_reference IS NOT NULL AND state IN ('draft', 'sent')")
    _iused_personal = models.Index("(company_id, id) WHERE iused_reference IS NOT NULL AND iused_anonymized_at IS NULL")

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

    def _compute_warehouse_id(self):
        """The warehouse that the stock was found in stays, whoever becomes the salesperson."""
        chosen = self.filtered(lambda order: order.iused_reference and order.warehouse_id)
        return super(SaleOrder, self - chosen)._compute_warehouse_id()

    def write(self, vals):
        """The warehouse that a person chooses delivers all of the order."""
        if "warehouse_id" in vals:
            # Whoever may choose it may not write our own field.
            self.sudo().order_line.filtered("iused_warehouse_id").iused_warehouse_id = False
        return super().write(vals)

    def _action_cancel(self):
        """What came back before iUsed was told is told no more; iUsed is told of devices that left all the same."""
        result = super()._action_cancel()
        # Salespeople have no rights on the outbox. What is locked is being sent at this moment.
        open_sudo = self.sudo().iused_update_ids.filtered(lambda update: update.state not in ("sent", "dropped"))
        dropped_sudo = open_sudo._find_back().try_lock_for_update()
        dropped_sudo._drop(self.env._("The order was cancelled."))
        for order in dropped_sudo.order_id:
            order.message_post(
                body=self.env._(
                    "The order was cancelled: %s shipment updates to iUsed were dropped.",
                    len(dropped_sudo.filtered(lambda update, order=order: update.order_id == order)),
                )
            )
        return result

    def _prepare_invoice(self):
        """Invoice iUsed without an address of the goods: each consumer's would keep orders apart (since Odoo 18.1)."""
        values = super()._prepare_invoice()
        if self.iused_reference:
            values["partner_shipping_id"] = self.partner_invoice_id.id
        return values

    def _get_invoiceable_lines(self, final=False):
        """Invoice only what left in a period, where that was asked for."""
        lines = super()._get_invoiceable_lines(final)
        wanted = self.env.context.get("iused_invoiced_line_ids")
        return lines if wanted is None else lines.browse([each for each in lines._ids if each in wanted])

    def _iused_count_fees(self):
        """Have iUsed's fees invoiced with the devices that left; that of an order also where all came back."""
        for order in self:
            fees = order.order_line.filtered("iused_fee")
            left = fees and sum((order.order_line - fees).filtered("iused_line_number").mapped("qty_delivered"))
            for fee in fees:
                delivered = left if fee.iused_fee == "device" else fee.qty_delivered or float(bool(left))
                if delivered != fee.qty_delivered:
                    fee.write({"qty_delivered": delivered, "iused_left_at": fields.Datetime.now()})

    def _search_display_name(self, operator, value):
        """Find an order by iUsed's number wherever an order is looked up."""
        domain = super()._search_display_name(operator, value)
        if operator in Domain.NEGATIVE_OPERATORS:
            return domain
        if not self._has_field_access(self._fields["iused_reference"], "read"):
            return domain  # customers look their own orders up
        return Domain(domain) | Domain("iused_reference", operator, value)

    def action_draft(self):
        """Nobody delivers to a consumer who was erased: an order that was cancelled stays so then."""
        if erased := self.filtered("iused_anonymized_at"):
            raise UserError(
                self.env._(
                    "The consumer of %s was erased: ask iUsed for a new order.", ", ".join(erased.mapped("name"))
                )
            )
        return super().action_draft()

    # What the inbox asks of an order ---------------------------------------------------------------------------------

    def _iused_remarks(self):
        """Return what the consumers of these orders remarked, or False. The text is not read with every plain order."""
        return "\n\n".join(filter(None, self.filtered("iused_reference").mapped("iused_note"))) or False

    def _iused_change_consumer(self, consumer):
        """Send the goods that have not left to another consumer, whoever ships them."""
        self.ensure_one()
        former = self.partner_shipping_id
        # A person may have changed the order alone: its deliveries follow all the same.
        moves = self._iused_moves_to(former).filtered(lambda move: move.partner_id != consumer)
        purchases = [each for each in self._iused_dropshipments() if each.dest_address_id != consumer]
        if consumer != former:
            position = self.fiscal_position_id
            # Odoo would ask for the deliveries' address to be changed by hand; that is done here.
            self.with_context(mail_activity_automation_skip=True).partner_shipping_id = consumer
            self._iused_adapt_taxes(former, position)
            if self.state == "sale":  # whoever confirms a quotation sees where it goes
                self._iused_tell_moved(former)
        elif not moves and not purchases:
            return
        moves.partner_id = consumer
        for picking in moves.picking_id:
            picking._iused_change_consumer(self, consumer)
        for purchase in purchases:
            self._iused_readdress(purchase, consumer)
        self.message_post(
            body=self.env._(
                "iUsed changed the delivery address, from %(before)s to %(now)s.",
                before=former._iused_describe(),
                now=consumer._iused_describe(),
            )
        )

    def _iused_tell_moved(self, former):
        """Tell that a confirmed order goes elsewhere: by this a thief of the key would have goods sent to himself.

        One activity, which says the address that the order was confirmed with and each one since.

        :param former: the consumer until now
        """
        troubles = self.env["iused.trouble"]
        consumer = self.partner_shipping_id
        told = troubles._find_told("address", self, "")
        for activity in told:
            env = self.with_context(lang=activity.user_id.lang).env
            line = troubles._to_html(env._("Then: %s", consumer.with_env(env)._iused_describe()))
            activity.note = (activity.note or Markup()) + line
        if not told:
            troubles._tell(
                "address",
                self,
                lambda env: self._iused_describe_move(
                    env,
                    env._("Before: %s", former.with_env(env)._iused_describe()),
                    env._("Now: %s", consumer.with_env(env)._iused_describe()),
                    env._(
                        "Check it before the goods leave: who got hold of iUsed's key could have them sent elsewhere."
                    ),
                ),
            )

    def _iused_moves_to(self, consumer):
        """Return the moves to be done that bring this order's goods to its consumer.

        Others are for somebody else: what is fetched from another warehouse for the order, say.
        """
        return self.order_line.move_ids.filtered(
            lambda move: (
                move.state not in ("done", "cancel")
                and (
                    move.partner_id == consumer
                    or "customer" in (move.location_dest_id.usage, move.location_final_id.usage)
                )
            )
        )

    def _iused_dropshipments(self):
        """Return the purchase orders by which vendors ship to the consumer; none without the addons that make them."""
        lines = self.order_line
        if "purchase_line_ids" not in lines._fields:
            return ()
        return lines.purchase_line_ids.order_id.filtered(
            lambda purchase: purchase.dest_address_id and purchase.state != "cancel"
        )

    def _iused_readdress(self, purchase, consumer):
        """Have a vendor ship to another consumer; who buys has to tell a vendor that knows the old address.

        :param purchase: one of `_iused_dropshipments`
        """
        is_alone = purchase.order_line.sale_line_id.order_id == self
        if is_alone:
            purchase.dest_address_id = consumer
        if purchase.state != "draft" or not is_alone:
            self.env["iused.trouble"]._tell(
                "address",
                purchase,
                lambda env: self._iused_describe_move(
                    env,
                    env._("Tell the vendor.")
                    if is_alone
                    else env._(
                        "This purchase is for other orders too, and not readdressed: see to it with the vendor."
                    ),
                ),
                user=purchase.user_id,
            )

    def _iused_describe_move(self, env, *todo):
        """Return summary and text of an activity after a change of the address.

        :param env: in the reader's language
        :param todo: what the reader has to do, in words
        """
        text = env._("Order %s of iUsed goes to another address now.", self.name)
        return env._("iUsed changed a delivery address"), "\n".join([text, *todo])

    def _iused_in_hand(self):
        """Return names of what people have done for the order already: picked it, printed a label, invoiced it."""
        self.ensure_one()
        pickings = self.picking_ids.filtered(
            lambda picking: (
                picking.state == "done"
                or (picking.state != "cancel" and (picking.printed or picking.carrier_tracking_ref))
            )
        )
        invoices = self.invoice_ids.filtered(lambda invoice: invoice.state == "posted")
        return [
            *(" ".join(filter(None, (picking.name, picking.carrier_tracking_ref))) for picking in pickings),
            *invoices.mapped("name"),
        ]

    def _iused_tell_cancelled(self, in_hand):
        """Tell of what a cancelled order leaves to be done.

        Who buys is told of goods that a vendor would ship; Odoo does so only once that is agreed.

        :param list in_hand: of `_iused_in_hand`, before it was cancelled
        """
        if in_hand:
            self.env["iused.trouble"]._tell(
                "cancelled",
                self,
                lambda env: (
                    env._("iUsed cancelled an order that was in hand already"),
                    env._(
                        "Do not ship it, put back what was picked, and credit what was invoiced: %s", ", ".join(in_hand)
                    ),
                ),
            )
        for purchase in self._iused_dropshipments():
            if purchase.state != "purchase":
                self.env["iused.trouble"]._tell(
                    "cancelled",
                    purchase,
                    lambda env: (
                        env._("iUsed cancelled an order"),
                        env._("Order %s of iUsed was cancelled: do not have its goods shipped.", self.name),
                    ),
                    user=purchase.user_id,
                )

    def _iused_adapt_taxes(self, moved_from, position):
        """Change fiscal position and taxes together after the delivery address changed, or neither.

        Odoo itself takes the new address's position, and leaves the taxes. What was invoiced, or has a position that a
        person chose, is left to a person.

        :param moved_from: the consumer until now
        :param position: the `account.fiscal.position` until now
        """
        judged = self.fiscal_position_id
        if judged == position:
            return
        positions = self.env["account.fiscal.position"].with_company(self.company_id)
        judged_before = positions._get_fiscal_position(self.partner_id, moved_from)
        is_invoiced = self.invoice_ids.filtered(lambda invoice: invoice.state != "cancel")
        if judged != judged_before == position and not is_invoiced:
            self._iused_update_taxes()
            return
        self.fiscal_position_id = position
        if judged != judged_before:
            self._iused_tell_taxes(judged)

    def _iused_update_taxes(self):
        """Take the taxes of the fiscal position; what iUsed pays, excluding VAT, stays."""
        prices = {line: line._iused_untaxed_price() for line in self.order_line if not line.display_type}
        locked, self.locked = self.locked, False  # Odoo protects the taxes of a locked order
        self.action_update_taxes()
        for line, price in prices.items():
            line.price_unit = line._iused_tax_adapted_price(
                price, line.product_id, line.tax_ids, self.currency_id, self.partner_shipping_id
            )
        self.locked = locked

    def _iused_tell_taxes(self, judged):
        """Tell that a person has to decide about the taxes of an order whose address changed.

        :param judged: the `account.fiscal.position` of the new address
        """

        def compose(env):
            text = env._(
                "iUsed changed the delivery address, to %(country)s, where Odoo would choose the fiscal position "
                '"%(position)s". The order keeps its own: it was invoiced, or its position was chosen by hand.',
                country=self.with_env(env).partner_shipping_id.country_id.name or "-",
                position=judged.with_env(env).name or "-",
            )
            return env._("Check the taxes of this iUsed order"), text

        self.env["iused.trouble"]._tell("taxes", self, compose)

    def _iused_has_address(self, payload):
        """Tell whether the last push of an order had the address that this one has.

        Of an order whose consumer was erased only some digits are known: one other address in 256 is taken for the
        same, which changes nothing, as the goods have left.

        :param payload: a `tools.order_payload.Order`
        """
        self.ensure_one()
        digits = CHECK_DIGITS if self.iused_anonymized_at else None
        return self.iused_address_digest == payload.address_digest[:digits]

    def _iused_has_shipped(self):
        """Tell whether any goods of the order have left for the customer."""
        self.ensure_one()
        return any(
            move.state == "done" and move.location_dest_id.usage == "customer" for move in self.order_line.move_ids
        )

    def action_iused_view_updates(self):
        """Open the shipment updates of this order."""
        self.ensure_one()
        action = self.env["ir.actions.act_window"]._for_xml_id("sale_iused.iused_shipment_update_action")
        return {**action, "domain": [("order_id", "=", self.id)], "context": {}}
