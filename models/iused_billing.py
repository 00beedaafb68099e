import logging
from collections import Counter
from datetime import datetime, time, timedelta

from psycopg2 import OperationalError
from pytz import timezone, utc

from odoo import api, models
from odoo.exceptions import UserError
from odoo.fields import Command, Domain
from odoo.tools import format_date

from ..tools.order_payload import cut

_logger = logging.getLogger(__name__)

LONGEST_SERIALS = 10_000  # characters of a line's serial numbers


class IusedBilling(models.AbstractModel):
    """Money: what iUsed owes for devices that left, and the invoices that say so.

    iUsed pays what its customers received, and compares each device with its own statement. So an order is invoiced by
    what left, whatever the policy of its products, and each line of an invoice can be found by either order number.
    """

    _name = "iused.billing"
    _description = "iUsed Billing"

    @api.model
    def _to_invoice_domain(self, company, until=None):
        """Return the domain of the order lines that left and are not invoiced, and of those that came back after that.

        :param date until: the last day on which they left, where the user is
        :rtype: odoo.fields.Domain of `sale.order.line`
        """
        domain = Domain(
            [
                ("company_id", "=", company.id),
                ("iused_left_at", "!=", False),
                ("qty_to_invoice", "!=", 0),
            ]
        )
        return domain & Domain("iused_left_at", "<", self._end_of(until)) if until else domain

    @api.model
    def _take_over(self):
        """Write down when goods left that an older version shipped, and reckon anew what of them is to be invoiced."""
        self.env.cr.execute(
            """
            UPDATE sale_order_line AS line
               SET iused_left_at = moved.left_at
              FROM (
                    SELECT move.sale_line_id, max(move.date) AS left_at
                      FROM stock_move AS move
                      JOIN stock_location AS destination ON destination.id = move.location_dest_id
                     WHERE move.state = 'done' AND destination.usage = 'customer'
                     GROUP BY move.sale_line_id
                   ) AS moved
              JOIN sale_order_line AS sold ON sold.id = moved.sale_line_id
              JOIN sale_order AS sale ON sale.id = sold.order_id
             WHERE line.id = sold.id AND sale.iused_reference IS NOT NULL AND line.iused_left_at IS NULL
            RETURNING line.id
            """
        )
        lines = self.env["sale.order.line"].browse(line_id for (line_id,) in self.env.cr.fetchall())
        lines.invalidate_recordset(["iused_left_at"])
        self.env.add_to_compute(lines._fields["qty_to_invoice"], lines)

    @api.model
    def _zone(self):
        """Return the zone in which days of invoices are meant: that of who invoices."""
        return timezone(self.env.user.tz or "Europe/Amsterdam")

    @api.model
    def _day(self, moment):
        """Return the day of a moment where the user is, or None.

        :param moment: in UTC, without a zone
        """
        return utc.localize(moment).astimezone(self._zone()).date() if moment else None

    @api.model
    def _start_of(self, day):
        """Return the moment at which a day of the user's zone begins, in UTC without a zone."""
        return self._zone().localize(datetime.combine(day, time())).astimezone(utc).replace(tzinfo=None)

    @api.model
    def _end_of(self, day):
        """Return the moment at which a day of the user's zone ends, in UTC without a zone."""
        return self._start_of(day + timedelta(days=1))

    @api.model
    def _invoice(self, lines, title):
        """Make the draft invoices of order lines: one, unless currency or fiscal position keep some apart.

        They are sorted by the day on which they left, then by iUsed's number.

        :param lines: `sale.order.line` of iUsed's orders
        :param str title: the reference of the invoices
        :return: `account.move`
        :raises UserError: where nothing is left to invoice
        """
        self.env["account.move"].check_access("create")
        lines = lines.filtered("qty_to_invoice")
        if not lines:
            raise UserError(self.env._("Nothing of these orders is left to invoice."))
        orders = lines.order_id.sorted(
            lambda order: (max((lines & order.order_line).mapped("iused_left_at")), order.iused_reference)
        )
        invoices = orders.with_context(iused_invoiced_line_ids=lines._ids)._create_invoices(final=True)
        for invoice in invoices:
            sold = invoice.invoice_line_ids.sale_line_ids
            invoice.write(
                {
                    "ref": title,
                    # Odoo names all orders here, a thousand of them on the first page.
                    "invoice_origin": self.env._("iUsed, %s orders", len(sold.order_id)),
                    "delivery_date": max(sold.mapped("iused_left_at")),
                }
            )
        return invoices

    @api.model
    def _open(self, invoices):
        """Return the action that shows invoices."""
        action = self.env["ir.actions.act_window"]._for_xml_id("account.action_move_out_invoice_type")
        if len(invoices) == 1:
            return {**action, "views": [(False, "form")], "res_id": invoices.id, "context": {}}
        return {**action, "domain": [("id", "in", invoices.ids)], "context": {}}

    @api.model
    def _cron_invoice(self):
        """Invoice what left whole, each order by itself, for the companies that want it; one order, one transaction."""
        companies = self.env["res.company"].search([("iused_invoice_automatically", "=", True)])
        delivered = Domain("iused_reference", "!=", False) & Domain("delivery_status", "=", "full")
        orders = self.env["sale.order"].search(
            delivered & Domain("company_id", "in", companies.ids) & Domain("invoice_status", "=", "to invoice"),
            order="id",
        )
        self.env["ir.cron"]._commit_progress(remaining=len(orders))
        for order in orders:
            self._invoice_delivered(order.with_company(order.company_id))
            self.env["ir.cron"]._commit_progress(1)

    @api.model
    def _invoice_delivered(self, order):
        """Make the invoice of an order and confirm it, or tell who is responsible why that cannot be done."""
        try:
            with self.env.cr.savepoint():
                order._create_invoices(final=True).action_post()
        except OperationalError:
            raise  # a lost race, or no database
        except Exception as error:
            _logger.warning("The iUsed order %s could not be invoiced", order.id, exc_info=True)
            words = str(error)
            self.env["iused.trouble"]._tell(
                "invoice",
                order,
                lambda env: (env._("Invoice this iUsed order: Odoo could not do it by itself"), words),
            )

    # A line of an invoice --------------------------------------------------------------------------------------------

    @api.model
    def _complete_invoice_line(self, line, values):
        """Add to an invoice line by what iUsed and we find it: order numbers, date, serial numbers.

        :param line: a `sale.order.line` of an order of iUsed
        :param dict values: of the invoice line
        :return: them, completed
        """
        lots, typed = self._devices_to_invoice(line)
        heading = [line.order_id.iused_reference, line.order_id.name]
        if day := self._day(line.iused_left_at):
            heading.append(format_date(line.env, day))
        text = [" · ".join(heading), values["name"]]
        if serials := lots.mapped("name") + typed:
            text.append(line.env._("Serial numbers: %s", cut(", ".join(serials), LONGEST_SERIALS)))
        return {**values, "name": "\n".join(text), "iused_lot_ids": [Command.set(lots.ids)]}

    @api.model
    def _devices_to_invoice(self, line):
        """Return the devices of an order line that left and are not invoiced, or that are to be credited.

        :return: `stock.lot`, as superuser, and the numbers that were typed for devices without one, in a list
        """
        line_sudo = line.sudo()  # who invoices need not be allowed to read stock
        moved = line_sudo.move_ids.filtered(lambda move: move.state == "done").move_line_ids
        balance = Counter()
        for each in moved.filtered("lot_id"):
            way = (each.location_dest_id.usage == "customer") - (each.location_id.usage == "customer")
            balance[each.lot_id] += way * round(each.quantity_product_uom)
        for each in line_sudo._get_invoice_lines().filtered(lambda each: each.move_id.state != "cancel"):
            sign = -1 if each.move_id.move_type == "out_invoice" else 1
            for lot in each.iused_lot_ids:
                balance[lot] += sign
        wanted = 1 if line.qty_to_invoice > 0 else -1
        lots = line_sudo.env["stock.lot"].union(*(lot for lot, pieces in balance.items() if pieces * wanted > 0))
        # Nobody knows which of several devices without a lot a part of them is.
        typed = [] if balance or line.qty_to_invoice != line.qty_delivered else self._typed_serials(line_sudo, moved)
        return lots.sorted("name"), typed

    @api.model
    def _typed_serials(self, line, moved):
        """Return the serial numbers that people typed for devices of a product without lots, in a list.

        :param line: a `sale.order.line`
        :param moved: its done `stock.move.line`
        """
        last = {}  # an update that corrects another comes after it
        for update in line.order_id.iused_update_ids.sorted("id"):
            told = update._move_lines()
            if update.state != "dropped" and told and told <= moved:
                last[told] = (update.serial_number or "").splitlines()
        return [serial for serials in last.values() for serial in serials]
