import logging
import re
from base64 import b64encode
from collections import Counter
from typing import NamedTuple

from dateutil.relativedelta import relativedelta
from psycopg2 import OperationalError
from reportlab.graphics.barcode import createBarcodeDrawing

from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError
from odoo.fields import Command, Domain
from odoo.models import BaseModel
from odoo.tools import format_date

_logger = logging.getLogger(__name__)

MOST_PIECES = 50  # devices of an order that are listed
SHOWN_RETURNS = 5  # earlier ones of a device
LONGEST_NUMBER = 100
MOST_CODES = 50
CODE = re.compile("[A-Z0-9]{1,2}")
TAKER = "stock.group_stock_user"  # who moves goods


class Piece(NamedTuple):
    """A device that left."""

    line: BaseModel  # the stock.move.line by which it left
    number: int  # which piece of that line, from 0
    serial: str | None
    is_back: bool


class IusedReturnDesk(models.AbstractModel):
    """The page on which devices are taken back: what is known of a number, the return, the exchange.

    The page asks and shows; all words and decisions are made here.
    """

    _name = "iused.return.desk"
    _description = "iUsed Returns Desk"

    @api.model
    def _check_user(self, group="sale_iused.group_iused_user"):
        """:raises AccessError: for who is not in a group; whoever only sells looks up, and takes nothing in"""
        if not self.env.user.has_group(group):
            raise AccessError(self.env._("Only warehouse users can take devices back."))

    # What the page asks ----------------------------------------------------------------------------------------------

    @api.model
    def get_desk(self):
        """Return what the page shows before anything is scanned."""
        self._check_user()
        company = self.env.company
        return {
            "company": company.name,
            "may_return": self.env.user.has_group(TAKER),
            "reasons": [
                {"id": reason.id, "name": reason.name} for reason in self.env["iused.return.reason"].search([], limit=9)
            ],
            "lacks_quarantine": self.env.is_system() and not company.sudo().iused_quarantine_location_id,
        }

    @api.model
    def get_barcodes(self, codes):
        """Return pictures of what can be scanned instead of typed.

        :param list codes: texts of one or two letters or digits
        :return: a dict of addresses of pictures by code
        """
        self._check_user()
        return {code: self._draw_barcode(code) for code in codes[:MOST_CODES] if CODE.fullmatch(code)}

    @api.model
    def _draw_barcode(self, code):
        """Return a barcode as an address that holds it: Odoo's own route needs a library that draws bitmaps."""
        drawing = createBarcodeDrawing("Code128", value=code, barHeight=40, barWidth=1.2)
        return f"data:image/svg+xml;base64,{b64encode(drawing.asString('svg').encode()).decode()}"

    @api.model
    def make_quarantine(self):
        """Make a place beside the stock; for administrators, as in the settings."""
        if not self.env.is_system():
            raise AccessError(self.env._("Only administrators can make a quarantine location."))
        self.env.company._iused_make_quarantine()

    @api.model
    def look_up(self, number):
        """Return the devices behind a number, and what is to be said of it.

        :param str number: an IMEI or other serial number, iUsed's number of an order, or ours
        :return: a dict: `devices`, `more` (that are not listed) and `trouble`, in words, or False
        """
        self._check_user()
        number = number.strip()[:LONGEST_NUMBER]
        company = self.env.company
        pieces = self._find(company, number) if number else []
        if not pieces:
            return {"devices": [], "more": 0, "trouble": self._explain_unknown(company, number)}
        # What came back already stands below what can still come back.
        pieces.sort(key=lambda piece: piece.is_back)
        return {
            "devices": self._describe(company, pieces[:MOST_PIECES]),
            "more": max(0, len(pieces) - MOST_PIECES),
            "trouble": False,
        }

    @api.model
    def take_back(self, line_id, piece_number, reason_id, place, note=""):
        """Take a device back: receipt and, where it was invoiced, a draft credit note.

        :param int line_id: and `piece_number`: which device, as `look_up` says
        :param str place: one of the device's `places`
        :return: what happened, in words: a dict of `text` and `picking_id`
        :raises UserError: where it came back already
        """
        piece = self._find_piece(line_id, piece_number)
        if piece.is_back:
            raise UserError(self.env._("%s came back already.", self._name_piece(piece)))
        row = self._return(piece, place, self._values(reason_id, note))
        words = [*self._describe_return(row), self._credit(row)]
        return {"picking_id": row.picking_id.id, "text": "\n".join(words)}

    @api.model
    def exchange(self, line_id, piece_number, reason_id, place, replacement, tracking="", note=""):
        """Send another device for one that came back, or that is taken back by this very call.

        :param str replacement: the other device's serial number; of products without lots, what iUsed is told
        :param str tracking: the parcel's tracking reference; it can be typed on the delivery later
        :return: as `take_back`
        :raises UserError: where there is no such device to be sent
        """
        piece = self._find_piece(line_id, piece_number)
        found = self._find_replacement(piece, replacement.strip()[:LONGEST_NUMBER])
        if piece.is_back:
            row = self._find_row(piece)
            if row.replacement_id:
                raise UserError(
                    self.env._(
                        "%(device)s was exchanged already: %(delivery)s.",
                        device=self._name_piece(piece),
                        delivery=row.replacement_id.name,
                    )
                )
            words = []
        else:
            row = self._return(piece, place, self._values(reason_id, note), to_refund=False)
            words = self._describe_return(row)
        self._send(row, piece, found, tracking.strip())
        words.append(
            self.env._(
                "%(device)s left in its place: %(delivery)s.",
                device=row.replacement_serial or row.product_id.display_name,
                delivery=row.replacement_id.name,
            )
        )
        if row.company_id.iused_tell_exchanges:
            words.append(self.env._("iUsed is told, as a correction."))
        else:
            words.append(self.env._("iUsed is not told of it by Odoo."))
        return {"picking_id": row.replacement_id.id, "text": "\n".join(words)}

    @api.model
    def _values(self, reason_id, note):
        """:raises UserError: without a reason"""
        reason = self.env["iused.return.reason"].browse(reason_id).exists()
        if not reason:
            raise UserError(self.env._("Choose why the device came back."))
        return {"reason_id": reason.id, "note": note.strip() or False}

    # Finding ---------------------------------------------------------------------------------------------------------

    @api.model
    def _left_domain(self, company=None):
        """Return the domain of `stock.move.line` by which devices left for iUsed's customers, of one company or all."""
        ordered = "move_id.sale_line_id.order_id."
        domain = (
            Domain("state", "=", "done")
            & Domain(f"{ordered}iused_reference", "!=", False)
            & Domain("move_id.location_dest_id.usage", "=", "customer")
            & Domain("move_id.location_id.usage", "!=", "customer")
        )
        return domain & Domain(f"{ordered}company_id", "=", company.id) if company else domain

    @api.model
    def _find(self, company, number):
        """Return the pieces that left behind a number: one of a serial number, all of an order's."""
        # Warehouse users see no outbox of theirs, and salespeople no lots; what is found is the company's own.
        lines_sudo = self.env["stock.move.line"].sudo()
        names = [number, number.upper()]
        left = self._left_domain(company)
        lots = lines_sudo.search(left & Domain("lot_id.name", "in", names))
        typed = self._find_typed(company, number)
        pieces = self._pieces(lots | typed, serial=number)
        if pieces:
            # It may have left several times: it is the last one that can come back.
            return sorted(pieces, key=lambda piece: (not piece.is_back, piece.line.date, piece.line.id))[-1:]
        orders_sudo = self._find_orders(company, names)
        return self._pieces(lines_sudo.search(left & Domain("move_id.sale_line_id.order_id", "in", orders_sudo.ids)))

    @api.model
    def _find_typed(self, company, number):
        """Return the lines for whose devices, which have no lots, a person typed this serial number."""
        in_list = Domain("grouping", "=", "delivery") & Domain("serial_number", "like", number)
        alone = Domain("grouping", "=", "device") & Domain("serial_number", "=", number)
        updates_sudo = (
            self.env["iused.shipment.update"]
            .sudo()
            .search(Domain("company_id", "=", company.id) & Domain("state", "!=", "dropped") & (alone | in_list))
        )
        updates_sudo = updates_sudo.filtered(lambda update: number in update._serials())
        lines = updates_sudo.env["stock.move.line"].union(*(update._move_lines() for update in updates_sudo))
        sent = self.env["iused.return"].sudo()._find_sent(company, number)
        return (lines | sent).filtered(lambda line: not line.lot_id)

    @api.model
    def _find_orders(self, company, names):
        """Return the company's orders of a number, iUsed's or ours; of a salesperson's those that they may read."""
        orders_sudo = (
            self.env["sale.order"]
            .sudo()
            .search(
                Domain("company_id", "=", company.id)
                & Domain("iused_reference", "!=", False)
                & (Domain("iused_reference", "in", names) | Domain("name", "in", names))
            )
        )
        if self.env.user.has_group(TAKER):
            return orders_sudo
        return orders_sudo.sudo(False)._filtered_access("read").sudo()

    @api.model
    def _explain_unknown(self, company, number):
        """Say why there is no device behind a number, and nothing of another company."""
        names = [number, number.upper()]
        if order_sudo := self._find_orders(company, names)[:1]:
            return self.env._(
                "Nothing of order %(order)s (%(reference)s) has left yet.",
                order=order_sudo.name,
                reference=order_sudo.iused_reference,
            )
        # That it is another company's is all that is said of it.
        lots_sudo = self.env["stock.lot"].sudo().search([("name", "in", names)])
        lines_sudo = self.env["stock.move.line"].sudo()
        sold = lines_sudo.search_count(self._left_domain() & Domain("lot_id", "in", lots_sudo.ids), limit=1)
        numbers = Domain("iused_reference", "in", names) | Domain("name", "in", names)
        ordered = Domain("iused_reference", "!=", False) & Domain("company_id", "!=", company.id)
        if sold or self.env["sale.order"].sudo().search_count(ordered & numbers, limit=1):
            return self.env._("%s is of another company: it is not taken back here.", number)
        if lots_sudo.filtered(lambda lot: lot.company_id <= company):
            return self.env._("%s is known, but was never sold to iUsed.", number)
        return self.env._("%s was never sold to iUsed: it is no serial number and no order that left.", number)

    @api.model
    def _pieces(self, lines, serial=None):
        """Return the devices of lines by which goods left, which of them are back included.

        :param str serial: of products without lots, the one of which this is asked
        """
        # A device of several pieces with one number, or none, is back when as many were returned of its line.
        alone = lines.filtered(lambda line: line.lot_id and line.product_id.tracking == "serial")
        back = alone._iused_came_back()
        rows = self.env["iused.return"].sudo().search([("left_line_id", "in", lines.ids)])
        returned = Counter(row.left_line_id for row in rows)
        known = {(row.left_line_id, row.serial_number) for row in rows if row.serial_number}
        pieces = []
        for line in lines.sorted(lambda line: (line.date, line.id)):
            serials = [line.lot_id.name] * len(line._iused_serials()) if line.lot_id else self._typed_serials(line)
            # Those that came back by their own number first, then as many others as came back.
            others = returned[line] - len({each for each in known if each[0] == line})
            for number, its_serial in enumerate(serials):
                if line in alone:
                    is_back = line in back
                elif its_serial and (line, its_serial) in known:
                    is_back = True
                else:
                    is_back, others = others > 0, others - 1
                pieces.append(Piece(line, number, its_serial, is_back))
        return [piece for piece in pieces if piece.line.lot_id or serial in (None, piece.serial)]

    @api.model
    def _typed_serials(self, line):
        """Return the number of each piece of a line without lots, None where none was typed."""
        count = len(line._iused_serials())
        updates_sudo = line._iused_updates()._find_live().sorted("id")
        typed = [serial for update in updates_sudo if update.move_line_id == line for serial in update._serials()]
        if not typed and len(updates_sudo) == 1 and updates_sudo._move_lines() == line:
            typed = updates_sudo._serials()
        replaced = self.env["iused.return"].sudo()._find_sent_serials(line)
        return ((typed or replaced) + [None] * count)[:count]

    @api.model
    def _find_piece(self, line_id, number):
        """Return the device that the page names, once nobody else takes it back at the same moment.

        :raises UserError: where there is none
        """
        self._check_user(TAKER)
        line_sudo = self.env["stock.move.line"].sudo().browse(line_id).exists()  # checked by the next line
        line_sudo = line_sudo.filtered_domain(self._left_domain(self.env.company))
        pieces = {piece.number: piece for piece in self._pieces(line_sudo)}
        if number not in pieces:
            raise UserError(self.env._("This device is not there any more: scan it again."))
        # Two that take one device back write the same row: the second fails and is repeated by Odoo, after the first.
        self.env.flush_all()
        self.env.cr.execute(
            """
            UPDATE sale_order_line SET write_date = write_date
             WHERE id IN (SELECT id FROM sale_order_line WHERE id = %s FOR NO KEY UPDATE NOWAIT)
            """,
            (line_sudo.move_id.sale_line_id.id,),
            log_exceptions=False,
        )
        return pieces[number]

    # Describing ------------------------------------------------------------------------------------------------------

    @api.model
    def _name_piece(self, piece):
        return piece.serial or piece.line.product_id.display_name

    @api.model
    def _describe(self, company, pieces):
        """Return what the page shows of devices, a list of dicts."""
        lots = self.env["stock.lot"].sudo().union(*(piece.line.lot_id for piece in pieces))
        typed = {piece.serial for piece in pieces if piece.serial and not piece.line.lot_id}
        earlier_sudo = self.env["iused.return"].sudo()._find_earlier(company, lots, typed)
        # Orders of a product without numbers know their own returns.
        by_line = self.env["iused.return"].sudo().search([("left_line_id", "in", [piece.line.id for piece in pieces])])
        described = []
        for piece in pieces:
            order = piece.line.move_id.sale_line_id.order_id
            rows = earlier_sudo.filtered(
                lambda row, piece=piece: (
                    (row.lot_id or row.serial_number)
                    and (row.lot_id, row.serial_number) == (piece.line.lot_id, piece.serial)
                )
            )
            if not piece.serial:
                rows = by_line.filtered(lambda row, piece=piece: row.left_line_id == piece.line)
            described.append(
                {
                    "line_id": piece.line.id,
                    "piece": piece.number,
                    "serial": piece.serial or False,
                    "product": piece.line.product_id.display_name,
                    "order": order.name,
                    "reference": order.iused_reference,
                    "is_back": piece.is_back,
                    "expected": self._describe_expected(piece),
                    "earlier": [self._describe_row(row) for row in rows[:SHOWN_RETURNS]],
                    "places": [
                        {"key": key, "name": name, "note": words}
                        for key, name, words, _values in self._places(company, piece.line)
                    ],
                    **self._describe_time(company, piece.line.date),
                }
            )
        return described

    @api.model
    def _describe_expected(self, piece):
        """Return in words that somebody made a return in Odoo which is not done, or False."""
        returns = piece.line.move_id.returned_move_ids.filtered(lambda move: move.state not in ("done", "cancel"))
        if piece.is_back or not returns:
            return False
        return self.env._(
            "A return is expected by %s already: validate that one instead, or cancel it.",
            ", ".join(returns.picking_id.mapped("name")),
        )

    @api.model
    def _describe_row(self, row):
        """Return an earlier return in words."""
        day = fields.Datetime.context_timestamp(self, row.returned_on).date()
        parts = [format_date(self.env, day), row.order_id.name, row.reason_id.name]
        if row.replacement_id:
            parts.append(self.env._("exchanged for %s", row.replacement_serial or row.replacement_id.name))
        return " · ".join(filter(None, parts))

    @api.model
    def _describe_time(self, company, left_on):
        """Return when a device left, how long ago that is, and what the company's terms say of it."""
        left = fields.Datetime.context_timestamp(self, left_on).date()
        today = fields.Date.context_today(self)
        days = (today - left).days
        company_sudo = company.sudo()
        if days <= company_sudo.iused_withdrawal_days:
            terms = "success", self.env._("Within %s days of withdrawal", company_sudo.iused_withdrawal_days)
        elif today <= left + relativedelta(months=company_sudo.iused_warranty_months):
            terms = "info", self.env._("Under warranty of %s months", company_sudo.iused_warranty_months)
        else:
            terms = "warning", self.env._("Neither withdrawal nor warranty any more")
        ago = self.env._("%s days ago", days) if days > 1 else self.env._("yesterday") if days else self.env._("today")
        return {
            "left": format_date(self.env, left),
            "days": days,
            "ago": ago,
            "terms": {"kind": terms[0], "text": terms[1]},
        }

    @api.model
    def _describe_return(self, row):
        """Return in words where a device went, a list of lines."""
        receipt = row.picking_id
        words = [
            self.env._(
                "%(device)s came back: %(receipt)s, to %(place)s.",
                device=row.display_name,
                receipt=receipt.name,
                place=row.location_id.display_name,
            )
        ]
        following = receipt.move_ids.move_dest_ids.picking_id.filtered(
            lambda each: each.state not in ("done", "cancel")
        )
        if following:
            words.append(self.env._("It is for sale once it is put away: %s.", ", ".join(following.mapped("name"))))
        return words

    # Where it goes ---------------------------------------------------------------------------------------------------

    @api.model
    def _home(self, company, line):
        """Return the warehouse that a device left from; of a dropshipment, the first that iUsed is offered."""
        warehouse_sudo = line.location_id.warehouse_id
        return warehouse_sudo if warehouse_sudo.company_id == company else company.sudo()._iused_warehouses()[:1]

    @api.model
    def _places(self, company, line):
        """Return where a device may go: quarantine, the stock it came from, that of other warehouses, repair.

        The first is proposed: who has a quarantine wants a device to be looked at before it is sold again.

        :return: a list of (key, name, what that means in words, values of the receipt)
        """
        company_sudo = company.sudo()
        home_sudo = self._home(company, line)
        warehouses_sudo = home_sudo | company_sudo._iused_warehouses()
        stocks = []
        for warehouse in warehouses_sudo:
            kind = warehouse.out_type_id.return_picking_type_id
            kind = kind if kind.code == "incoming" else warehouse.in_type_id
            at = kind.default_location_dest_id
            words = (
                self.env._("for sale again at once")
                if at._child_of(warehouse.lot_stock_id)
                else self.env._("for sale again once it is put away")
            )
            name = self.env._("Stock")
            if len(warehouses_sudo) > 1:
                name = self.env._("Stock of %s", warehouse.name)
            stocks.append((f"stock-{warehouse.id}", name, words, self._receipt_values(line, kind, at)))
        aside = [
            [(key, name, self.env._("not for sale"), self._receipt_values(line, home_sudo.in_type_id, location))]
            if location
            else []
            for key, name, location in (
                ("quarantine", self.env._("Quarantine"), company_sudo.iused_quarantine_location_id),
                ("repair", self.env._("Repair"), company_sudo.iused_repair_location_id),
            )
        ]
        return [*aside[0], *stocks, *aside[1]]

    @api.model
    def _receipt_values(self, line, kind, location):
        return {
            "picking_type_id": kind.id,
            "location_id": line.move_id.location_dest_id.id,
            "location_dest_id": location.id,
        }

    # Taking it back --------------------------------------------------------------------------------------------------

    @api.model
    def _return(self, piece, place, values, to_refund=True):
        """Make and validate the receipt of a device; return its `iused.return`, for which the user has no rights.

        :param str place: the key of one of `_places`
        :param dict values: of the return
        :param bool to_refund: whether it counts as delivered no more
        """
        company = self.env.company
        receipt_values = {key: values for key, _name, _words, values in self._places(company, piece.line)}.get(place)
        if not receipt_values:
            raise UserError(self.env._("Choose where the device goes."))
        if place in ("quarantine", "repair"):
            location_sudo = self.env["stock.location"].sudo().browse(receipt_values["location_dest_id"])
            company.sudo()._iused_check_aside(location_sudo)  # it may have been moved since
        receipt = self._copy_picking(piece.line.move_id, receipt_values, to_refund)
        self._validate(receipt, piece.line.lot_id, package=piece.line.result_package_id)
        row_sudo = self.env["iused.return"].sudo().search([("picking_id", "=", receipt.id)], limit=1)
        if piece.serial and not row_sudo.serial_number:
            values = {**values, "serial_number": piece.serial}
        row_sudo.write(values)
        return row_sudo

    @api.model
    def _copy_picking(self, move, values, to_refund):
        """Return the picking that brings one piece of a done move the other way: Odoo's own return.

        :param move: the `stock.move`; the picking is made with the rights of the user
        :param dict values: of the picking
        """
        returning = self.env["stock.return.picking"].with_context(iused_return_values=values)
        wizard = returning.create({"picking_id": move.picking_id.id})
        line = wizard.product_return_moves.filtered(lambda each: each.move_id.id == move.id)
        line.write(
            {
                "quantity": move.product_id.uom_id._compute_quantity(1, move.product_uom, round=False),
                "to_refund": to_refund,
            }
        )
        return wizard._create_return()

    @api.model
    def _validate(self, picking, lot, source=None, package=None):
        """Validate a picking of one piece.

        :param lot: which `stock.lot` it is, or none
        :param source: the `stock.location` that it is taken from, where that is not the picking's
        :param package: the `stock.package` in which it left
        """
        move = picking.move_ids
        line = move.move_line_ids[:1]
        (move.move_line_ids - line).unlink()
        values = {"lot_id": lot.id, "picked": True}
        if source:
            values["location_id"] = source.id
        if package:
            values["package_id"] = package.id
        if line:
            line.write(values)
        else:
            line = line.create(
                {**move._prepare_move_line_vals(quantity=1), **values}  # nothing was reserved
            )
        result = picking.with_context(skip_sms=True, skip_backorder=True).button_validate()
        if picking.state != "done":
            _logger.warning("Transfer %s was not done by the returns desk: %r", picking.id, result)
            raise UserError(
                self.env._("Odoo asks something that the returns desk cannot answer: return it in Inventory.")
            )

    @api.model
    def _credit(self, row):
        """Make the draft credit note of a device that was invoiced; say in words what was done.

        It is the accountant's to check; whoever takes devices in has no rights on invoices.
        """
        line_sudo = row.order_line_id
        if line_sudo.qty_to_invoice >= 0:
            return self.env._("It was not invoiced: nothing has to be credited.")
        title = self.env._("Return %(order)s, %(device)s", order=row.iused_reference, device=row.display_name)
        billing_sudo = self.env["iused.billing"].sudo().with_company(row.company_id)
        try:
            with self.env.cr.savepoint():
                row.credit_note_id = billing_sudo._invoice(line_sudo, title)[:1]
        except OperationalError:
            raise  # a lost race, or no database
        except Exception as error:
            _logger.warning("The return %s could not be credited", row.id, exc_info=True)
            words = str(error)
            self.env["iused.trouble"]._tell(
                "invoice",
                row.order_id,
                lambda env: (env._("Credit a device that came back: Odoo could not do it by itself"), words),
            )
            return self.env._("The credit note could not be made; who is responsible for iUsed was told.")
        return self.env._("A draft credit note was made for the accountant.")

    # Exchanging it ---------------------------------------------------------------------------------------------------

    @api.model
    def _find_row(self, piece):
        """Return the return of a device that came back.

        :raises UserError: where it came back before returns were written down
        """
        rows_sudo = self.env["iused.return"].sudo().search([("left_line_id", "=", piece.line.id)])
        row_sudo = rows_sudo.filtered(lambda row: (row.serial_number or None) == piece.serial)[:1]
        if not row_sudo:
            raise UserError(self.env._("%s came back, but not by a return of its delivery.", self._name_piece(piece)))
        return row_sudo

    @api.model
    def _find_replacement(self, piece, number):
        """Return the device that is sent instead: its lot or none, number, location and warehouse.

        :raises UserError: where it is none of the same product, or does not lie in stock, or is promised to others
        """
        company = self.env.company
        product_sudo = piece.line.product_id
        warehouses_sudo = self._home(company, piece.line) | company.sudo()._iused_warehouses()
        lot_sudo = self.env["stock.lot"].sudo()
        if product_sudo.tracking != "none":
            lot_sudo = lot_sudo.search([("name", "in", (number, number.upper())), ("product_id", "=", product_sudo.id)])
            lot_sudo = lot_sudo.filtered(lambda lot: lot.company_id <= company)[:1]
            if not lot_sudo:
                raise UserError(
                    self.env._(
                        "%(number)s is no %(product)s: only another one of the same product can replace it.",
                        number=number or "-",
                        product=product_sudo.display_name,
                    )
                )
        quants_sudo = self.env["stock.quant"].sudo()
        for warehouse in warehouses_sudo:
            domain = Domain("product_id", "=", product_sudo.id) & Domain("quantity", ">", 0)
            domain &= Domain("location_id", "child_of", warehouse.lot_stock_id.ids)
            if lot_sudo:
                domain &= Domain("lot_id", "=", lot_sudo.id)
            lying = quants_sudo.search(domain).sorted("available_quantity", reverse=True)[:1]
            if not lying:
                continue
            if quants_sudo._get_available_quantity(product_sudo, warehouse.lot_stock_id) < 1:
                raise UserError(
                    self.env._(
                        "Every %(product)s in %(warehouse)s is promised to an order.",
                        product=product_sudo.display_name,
                        warehouse=warehouse.name,
                    )
                )
            return lot_sudo, lot_sudo.name or number, lying.location_id, warehouse
        raise UserError(self.env._("%s does not lie in stock.", number or product_sudo.display_name))

    @api.model
    def _send(self, row, piece, found, tracking):
        """Deliver the replacement: the return of the return, of another device.

        It counts as delivered where the return counted as not: so nothing is invoiced and nothing credited.
        """
        lot, number, location, warehouse = found
        came_back = row.picking_id.move_ids.filtered(lambda move: move.sale_line_id == row.order_line_id)[:1]
        values = {
            "picking_type_id": warehouse.out_type_id.id,
            "location_id": warehouse.lot_stock_id.id,
            "location_dest_id": piece.line.move_id.location_dest_id.id,
        }
        came_back = came_back.sudo(False)
        delivery = self._copy_picking(came_back, values, came_back.to_refund)
        # It is another device than the one that came back.
        delivery.move_ids._do_unreserve()
        delivery.move_ids.move_orig_ids = [Command.clear()]
        delivery.write({"carrier_id": piece.line.picking_id.carrier_id.id, "carrier_tracking_ref": tracking or False})
        row.write({"replacement_id": delivery.id, "replacement_serial": number})
        self._validate(delivery, lot.sudo(False), location.sudo(False))
