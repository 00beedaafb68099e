from odoo import api, fields, models
from odoo.fields import Domain

from ..tools.identifiers import is_imei
from .iused_shipment_update import FARTHEST_FIRST, STATES


class StockPicking(models.Model):
    _inherit = "stock.picking"

    iused_reference = fields.Char(
        "iUsed Reference",
        compute="_compute_iused_reference",
        compute_sudo=True,  # as below
        search="_search_iused_reference",
        help="iUsed's own number of the order; several where the delivery is for several orders.",
        groups="base.group_user",
    )
    iused_note = fields.Text(
        "Consumer's Remark",
        compute="_compute_iused_note",
        compute_sudo=True,  # as below
        help="What the consumer asks of who packs or delivers.",
        groups="base.group_user",
    )
    iused_update_ids = fields.One2many(
        "iused.shipment.update", "picking_id", string="iUsed Shipment Updates", groups="base.group_user"
    )
    iused_state = fields.Selection(
        STATES,
        string="iUsed",
        compute="_compute_iused_state",
        # Whoever sees the delivery may know, without rights on the outbox.
        compute_sudo=True,
        help="What iUsed knows of this delivery.",
        groups="base.group_user",
    )
    iused_state_time = fields.Datetime(
        compute="_compute_iused_state",
        compute_sudo=True,
        help="When iUsed was told, or when the next try is.",
        groups="base.group_user",
    )
    iused_trouble = fields.Char(
        "Why iUsed Does Not Know", compute="_compute_iused_state", compute_sudo=True, groups="base.group_user"
    )
    iused_warning = fields.Text(
        compute="_compute_iused_warning",
        compute_sudo=True,
        help="What iUsed will miss of this delivery.",
        groups="base.group_user",
    )

    iused_moved = fields.Char(
        "Changed Address",
        compute="_compute_iused_moved",
        compute_sudo=True,  # whoever packs may know, without rights on orders or the activities of others
        groups="base.group_user",
        help="The orders of this delivery whose address iUsed changed, until somebody has checked that.",
    )

    @api.depends("state")  # it is shown on a form alone, and read anew with it
    def _compute_iused_moved(self):
        """Say that an address was changed after the confirmation, until the activity about that is done."""
        for picking in self:
            orders = picking.state not in ("done", "cancel") and picking.move_ids.sale_line_id.order_id
            moved = orders and orders.filtered(
                lambda order: order.iused_reference and order.env["iused.trouble"]._find_told("address", order, "")
            )
            picking.iused_moved = ", ".join(moved.mapped("name")) if moved else False

    @api.depends("move_ids.sale_line_id.order_id.iused_reference")
    def _compute_iused_reference(self):
        for picking in self:
            orders = picking.move_ids.sale_line_id.order_id.filtered("iused_reference")
            picking.iused_reference = ", ".join(orders.mapped("iused_reference"))

    def _search_iused_reference(self, operator, value):
        path = "move_ids.sale_line_id.order_id.iused_reference"
        if operator in Domain.NEGATIVE_OPERATORS:
            return NotImplemented
        if operator == "in" and False in value:
            return ~Domain(path, "!=", False) | Domain(path, "in", set(value) - {False})
        return Domain(path, operator, value)

    @api.depends("move_ids.sale_line_id.order_id.iused_note")
    def _compute_iused_note(self):
        for picking in self:
            picking.iused_note = picking.move_ids.sale_line_id.order_id._iused_remarks()

    @api.depends("iused_update_ids.state", "iused_update_ids.reason")
    def _compute_iused_state(self):
        """Show the update that is farthest from being told."""
        for picking in self:
            updates = picking.iused_update_ids
            update = min(updates, key=lambda update: FARTHEST_FIRST.index(update.state), default=updates)
            picking.iused_state = update.state
            picking.iused_state_time = update.sent_at or (update.state == "retry" and update.next_try)
            picking.iused_trouble = update.reason

    @api.depends("state", "carrier_tracking_ref", "carrier_id")
    def _compute_iused_warning(self):
        """Say before the validation what iUsed will miss, without stopping anybody."""
        for picking in self:
            moves = picking.move_ids.filtered(lambda move: move.state not in ("done", "cancel"))._iused_leaving()
            picking.iused_warning = "\n".join(picking._iused_find_gaps(moves)) if moves else False

    def _iused_find_gaps(self, moves):
        """Yield in words what iUsed will miss when these moves are done.

        :param moves: the moves of the delivery that leave for customers of iUsed
        """
        self.ensure_one()
        if not self.carrier_tracking_ref and not self._iused_gets_label():
            yield self.env._(
                "There is no tracking reference yet (tab Additional Info). iUsed is told as soon as there is one."
            )
        lines = moves.move_line_ids.filtered(lambda line: line.quantity and line._iused_is_device())
        for line in lines:
            serial = line.lot_id.name or line.lot_name
            if not serial:
                yield self.env._("%s has no serial number.", line.product_id.display_name)
            elif line.product_id.iused_is_imei and not is_imei(serial):
                yield self.env._(
                    "%(serial)s of %(product)s is not a valid IMEI (15 digits, the last a check digit).",
                    serial=serial,
                    product=line.product_id.display_name,
                )
        yield from self._iused_find_told(lines)

    def _iused_gets_label(self):
        """Tell whether the validation has the carrier make a label, and with it a tracking reference."""
        self.ensure_one()
        carrier = self.carrier_id
        return (
            carrier.integration_level == "rate_and_ship"
            # Odoo's own kinds, which have that level as well, do no more than tell the price.
            and carrier.delivery_type not in ("fixed", "base_on_rule")
            and hasattr(carrier, f"{carrier.delivery_type}_send_shipping")
            and self.picking_type_id.print_label
        )

    def _iused_find_told(self, lines):
        """Yield in words which serial numbers iUsed was told for another order already, unless the device came back."""
        orders = {
            line.lot_id.name or line.lot_name: line.move_id.sale_line_id.order_id
            for line in lines
            if line.lot_id or line.lot_name
        }
        if not orders:
            return
        inside_lists = Domain.OR(Domain("serial_number", "like", serial) for serial in orders)
        # What other companies told is theirs, also of a device that came from them.
        told = lines.env["iused.shipment.update"].search(
            Domain("company_id", "=", self.company_id.id)
            & (
                (Domain("grouping", "=", "device") & Domain("serial_number", "in", list(orders)))
                | (Domain("grouping", "=", "delivery") & inside_lists)
            )
        )
        left = {update: update._move_lines() for update in told._find_live()}
        back = lines.browse().union(*left.values())._iused_came_back()
        for update, its_lines in left.items():
            back_again = {serial for line in its_lines & back for serial in line._iused_serials()}
            for serial in update._serials():
                if serial in orders and update.order_id != orders[serial] and serial not in back_again:
                    yield self.env._(
                        "%(serial)s was told to iUsed for order %(order)s already.",
                        serial=serial,
                        order=update.order_id.name,
                    )

    def write(self, vals):
        """Tell iUsed of a tracking reference that comes after the goods left, from a person or a carrier."""
        result = super().write(vals)
        if "carrier_tracking_ref" in vals:
            # Carriers and warehouse users have no rights on the outbox.
            self.sudo().iused_update_ids._refresh()
        return result

    # The consumer is iUsed's -----------------------------------------------------------------------------------------

    def _iused_quiet(self):
        """Return the deliveries of which Odoo itself tells the consumer nothing, as iUsed tells it all."""
        # A subcontractor moves goods in the portal, where iUsed's fields are closed.
        quiet_sudo = self.sudo().filtered(
            lambda picking: not picking.company_id.iused_notify_consumers and picking.iused_reference
        )
        return quiet_sudo.with_env(self.env)

    def _check_warn_sms(self):
        """Ask nothing about text messages that are not sent.

        This belongs to `stock_sms`, which need not be there: then nobody calls it.
        """
        asking = super()._check_warn_sms()
        return asking - asking._iused_quiet()

    def _message_sms_with_template(self, template=False, **kwargs):
        """Send the consumer no text message that nobody wrote. This belongs to `sms`, which need not be there."""
        if self._iused_quiet():
            return self.env["mail.message"]
        return super()._message_sms_with_template(template=template, **kwargs)

    def message_post_with_source(self, source_ref, **kwargs):
        """Leave out the e-mail that confirms a delivery.

        Here, and not where Odoo decides on it: there the carriers' labels are made as well, for all deliveries at once.
        """
        told = self
        if isinstance(source_ref, models.BaseModel):
            told -= self.filtered(
                lambda picking: picking.company_id.stock_mail_confirmation_template_id == source_ref
            )._iused_quiet()
        return super(StockPicking, told).message_post_with_source(source_ref, **kwargs)

    def _iused_change_consumer(self, order, consumer):
        """Send a delivery that has not left to another consumer, and tell who has to see to the rest.

        :param order: the `sale.order` whose address changed; its moves know already
        :param consumer: the `res.partner`
        """
        self.ensure_one()
        todo = []
        if self.location_id.usage != "supplier":  # of a dropshipment the contact is the vendor
            if self.move_ids.sale_line_id.order_id == order:
                self.partner_id = consumer
            else:
                todo.append(
                    lambda env: env._("Pack it apart: this delivery is for other orders too, and not readdressed.")
                )
        if self.carrier_tracking_ref:
            reference = self.carrier_tracking_ref
            todo.append(lambda env: env._("The label may be printed already (%s): make a new one.", reference))
        if self.printed:
            todo.append(lambda env: env._("This transfer was printed with the old address: print it again."))
        if todo:
            self.env["iused.trouble"]._tell_anew(
                "address", self, lambda env: order._iused_describe_move(env, *(line(env) for line in todo))
            )

    def action_iused_send_now(self):
        """Try the updates of this delivery again at once."""
        self.iused_update_ids.action_send_now()

    def action_iused_view_updates(self):
        """Open the shipment updates of this delivery."""
        self.ensure_one()
        action = self.env["ir.actions.act_window"]._for_xml_id("sale_iused.iused_shipment_update_action")
        return {**action, "domain": [("picking_id", "=", self.id)], "context": {}}
