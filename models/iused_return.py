from collections import Counter

from odoo import api, fields, models
from odoo.exceptions import AccessError
from odoo.fields import Domain
from odoo.tools import format_date


class IusedReturnReason(models.Model):
    """Why a device came back. Every refurbisher has words of its own: they can be changed and added to."""

    _name = "iused.return.reason"
    _description = "iUsed Return Reason"
    _order = "sequence, id"

    name = fields.Char(required=True, translate=True)
    sequence = fields.Integer(default=10)
    active = fields.Boolean(default=True)


class IusedReturn(models.Model):
    """A device of an iUsed order that came back, by the returns desk or by Odoo's own screens.

    A row is written in the transaction of the receipt. Figures, and what iUsed is sent, are made of these rows.
    """

    _name = "iused.return"
    _description = "iUsed Return"
    _order = "returned_on desc, id desc"
    _rec_name = "serial_number"

    company_id = fields.Many2one("res.company", required=True, readonly=True, index=True)
    order_id = fields.Many2one("sale.order", required=True, readonly=True, index=True, ondelete="cascade")
    iused_reference = fields.Char(related="order_id.iused_reference", related_sudo=True)
    order_line_id = fields.Many2one("sale.order.line", required=True, readonly=True, index=True, ondelete="cascade")
    product_id = fields.Many2one("product.product", required=True, readonly=True, ondelete="restrict")
    lot_id = fields.Many2one("stock.lot", readonly=True, index="btree_not_null", ondelete="restrict")
    serial_number = fields.Char("Serial Number / IMEI", readonly=True, index="btree_not_null")
    reason_id = fields.Many2one(
        "iused.return.reason", ondelete="restrict", help="Empty where it came back by Odoo's own screens."
    )
    note = fields.Text()
    left_line_id = fields.Many2one(
        "stock.move.line", readonly=True, index="btree_not_null", ondelete="set null", help="By which it left."
    )
    back_line_id = fields.Many2one(
        "stock.move.line", readonly=True, index="btree_not_null", ondelete="set null", help="By which it came back."
    )
    left_on = fields.Datetime("Left", readonly=True)
    returned_on = fields.Datetime("Came Back", required=True, readonly=True)
    days = fields.Integer("Days Since It Left", readonly=True, aggregator="avg")
    picking_id = fields.Many2one(
        "stock.picking", string="Receipt", readonly=True, index="btree_not_null", ondelete="set null"
    )
    location_id = fields.Many2one("stock.location", "Went To", readonly=True, ondelete="restrict")
    user_id = fields.Many2one("res.users", "Taken In By", readonly=True, ondelete="set null")
    credit_note_id = fields.Many2one(
        "account.move",
        readonly=True,
        ondelete="set null",
        groups="account.group_account_invoice,account.group_account_readonly",
    )
    replacement_id = fields.Many2one(
        "stock.picking", "Replaced By", readonly=True, index="btree_not_null", ondelete="set null"
    )
    replacement_serial = fields.Char("Replacement's Serial Number", readonly=True)

    @api.depends("serial_number", "product_id")
    def _compute_display_name(self):
        for each in self:
            each.display_name = each.serial_number or each.product_id.display_name

    def write(self, vals):
        """Let people say why a device came back, and nothing else: the rest is what happened.

        :raises AccessError: where something else is written by hand
        """
        if not self.env.su and vals.keys() - {"reason_id", "note"}:
            raise AccessError(self.env._("Only the reason and the note of a return can be changed."))
        return super().write(vals)

    @api.model
    def _note(self, moves):
        """Write down the devices that came back.

        :param moves: done `stock.move` of iUsed's orders from a customer
        :return: the `iused.return`
        """
        lines = moves.move_line_ids
        left = {move: self._find_left(move) for move in moves}
        candidates = lines.browse().union(*left.values())
        before = self._read_group([("left_line_id", "in", candidates.ids)], ["left_line_id"], ["__count"])
        taken = Counter(dict(before))
        values = []
        for line in lines:
            for serial in line._iused_serials():
                fitting = left[line.move_id].filtered(lambda each, line=line: each.lot_id == line.lot_id)
                its_line = next(
                    (each for each in fitting if taken[each] < round(each.quantity_product_uom)), fitting[:1]
                )
                taken[its_line] += 1
                values.append(self._prepare(line, serial, its_line))
        return self.create(values)

    @api.model
    def _note_past(self):
        """Write down what came back before there were such rows; called with each update, and does it once."""
        lines = self.env["stock.move.line"].search(
            Domain("state", "=", "done")
            & Domain("move_id.sale_line_id.order_id.iused_reference", "!=", False)
            & Domain("move_id.location_id.usage", "=", "customer")
            & Domain("move_id.location_dest_id.usage", "!=", "customer")
        )
        noted = self.search([("back_line_id", "in", lines.ids)]).back_line_id
        self._note((lines - noted).move_id)

    @api.model
    def _find_left(self, move):
        """Return the lines by which the goods of a return may have left, the last first."""
        left = move.origin_returned_move_id or move.sale_line_id.move_ids.filtered(lambda each: each.state == "done")
        return left._iused_leaving().move_line_ids.sorted(lambda line: (line.date, line.id), reverse=True)

    @api.model
    def _prepare(self, line, serial, left):
        """Return the values of a return.

        :param line: the `stock.move.line` by which it came back
        :param serial: its serial number, or None
        :param left: the one by which it left; none where nobody knows
        """
        return {
            "company_id": line.move_id.sale_line_id.company_id.id,
            "order_id": line.move_id.sale_line_id.order_id.id,
            "order_line_id": line.move_id.sale_line_id.id,
            "product_id": line.product_id.id,
            "lot_id": line.lot_id.id,
            "serial_number": serial,
            "left_line_id": left.id,
            "back_line_id": line.id,
            "left_on": left.date,
            "returned_on": line.date,
            "days": (line.date - left.date).days if left else 0,
            "picking_id": line.picking_id.id,
            "location_id": line.location_dest_id.id,
            "user_id": line.write_uid.id,
        }

    # Exchanges -------------------------------------------------------------------------------------------------------

    @api.model
    def _find_exchanges(self, moves):
        """Return the returns whose replacement leaves by some of these moves."""
        replacing = moves.filtered("origin_returned_move_id")
        return self.search([("replacement_id", "in", replacing.picking_id.ids)]) if replacing else self.browse()

    def _tell_exchange(self):
        """Have iUsed told of the replacement as a correction of the first device, where that is agreed."""
        updates = self.env["iused.shipment.update"]
        for each in self.filtered("company_id.iused_tell_exchanges"):
            told = each.left_line_id._iused_updates()._find_live()
            told = told.filtered(lambda update, each=each: each.serial_number in update._serials())[:1] or told[:1]
            told = told if told.pieces == 1 else updates  # a list goes on to tell of its other devices
            free = bool(told.try_lock_for_update())
            news = updates._enqueue(each.replacement_id.move_ids.move_line_ids)
            news.write({"corrects_id": told.id, "is_correction": not (told and free) or told._may_be_known()})
            for update in news.filtered(lambda update: not update._has_serials()):
                update.serial_number = each.replacement_serial
            if free and told.state != "sent":
                told._drop(self.env._("The device was exchanged; a later update tells of the other one."))
            news._release_complete()

    # Telling iUsed ---------------------------------------------------------------------------------------------------

    def action_text_for_iused(self):
        """Show what can be sent to iUsed about these returns."""
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Text for iUsed"),
            "res_model": "iused.return.text",
            "views": [(False, "form")],
            "target": "new",
            "context": {"default_text": self._text_for_iused()},
        }

    def _text_for_iused(self):
        """Return what iUsed is to know of these returns, one in a line, in iUsed's language."""
        partner_sudo = self.company_id[:1].sudo().iused_partner_id  # who takes returns in need not read contacts
        self = self.with_context(lang=partner_sudo.lang or self.env.lang)
        return "\n".join(each._line_for_iused() for each in self.sorted("returned_on"))

    def _line_for_iused(self):
        """Return what iUsed is to know of a return: order numbers, device, reason, day."""
        each_sudo = self.sudo()  # the order's number is no secret for who sees the return
        day = fields.Datetime.context_timestamp(self, self.returned_on).date()
        parts = [
            " / ".join(filter(None, (each_sudo.order_id.iused_reference, each_sudo.order_id.name))),
            self.serial_number or each_sudo.product_id.display_name,
            self.reason_id.name,
            self.env._("came back on %s", format_date(self.env, day)),
        ]
        if self.replacement_id:
            parts.append(self.env._("replaced by %s", self.replacement_serial or each_sudo.product_id.display_name))
        return " · ".join(filter(None, parts))

    # Of a device -----------------------------------------------------------------------------------------------------

    @api.model
    def _find_earlier(self, company, lots, serials):
        """Return the returns of devices, the last first.

        :param lots: their `stock.lot`
        :param serials: the numbers that were typed for others
        """
        numbers = Domain("lot_id", "in", lots.ids) | Domain("serial_number", "in", list(serials))
        return self.search(Domain("company_id", "=", company.id) & numbers)

    @api.model
    def _find_sent(self, company, number):
        """Return the `stock.move.line` by which a device without a lot left in place of another."""
        rows = self.search([("company_id", "=", company.id), ("replacement_serial", "=", number)])
        return rows.replacement_id.move_ids.move_line_ids

    @api.model
    def _find_sent_serials(self, line):
        """Return the number that was typed for a device without a lot which left in place of another, in a list."""
        row = self.search([("replacement_id", "=", line.picking_id.id)], limit=1) if line.picking_id else self
        return [row.replacement_serial] if row.replacement_serial else []
