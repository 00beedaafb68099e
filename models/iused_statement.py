import csv
import io
from datetime import date
from decimal import Decimal

import xlsxwriter

from odoo import api, models
from odoo.fields import Domain

from ..tools.statement import Entry

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


class IusedStatement(models.AbstractModel):
    """Statements for iUsed: each device that left or came back in a period, fees, and what was invoiced for it."""

    _name = "iused.statement"
    _description = "iUsed Statement"

    @api.model
    def _columns(self):
        """Return the headings, by the keys of a row, in the order in which they stand."""
        return {
            "reference": self.env._("iUsed's Order"),
            "order": self.env._("Our Order"),
            "ordered": self.env._("Ordered On"),
            "left": self.env._("Left On"),
            "sku": self.env._("SKU"),
            "product": self.env._("Product"),
            "serial": self.env._("Serial Number"),
            "tracking": self.env._("Tracking Reference"),
            "price": self.env._("Price excl. VAT"),
            "shipped": self.env._("Shipped"),
            "returned": self.env._("Returned"),
            "returned_on": self.env._("Returned On"),
            "amount": self.env._("Amount excl. VAT"),
            "invoice": self.env._("Invoice"),
            "credit": self.env._("Credit Note"),
        }

    @api.model
    def _rows(self, company, since, until):
        """Return what happened in a period, as a list of dict with the keys of `_columns`: by day, then by order.

        A device that left and one that came back in the period are a row each, so that the amounts add up to what is to
        be paid for it. Fees stand where the first device of their order does.

        :param date since: the first day, where the user is
        :param date until: the last one
        """
        # Who invoices need not be allowed to read stock; the company is checked by who asks.
        moved_sudo = self.env["stock.move.line"].sudo().search(self._moved_domain(company, since, until))
        rows = [row for moved in moved_sudo for row in self._device_rows(moved)]
        fees_sudo = (
            self.env["sale.order.line"]
            .sudo()
            .search(
                Domain("company_id", "=", company.id)
                & Domain("iused_fee", "!=", False)
                & self._between("iused_left_at", since, until)
            )
        )
        rows += [self._fee_row(fee) for fee in fees_sudo]
        return sorted(rows, key=lambda row: (row["returned_on"] or row["left"], row["reference"], row["serial"]))

    @api.model
    def _between(self, name, since, until):
        billing = self.env["iused.billing"]
        return Domain(name, ">=", billing._start_of(since)) & Domain(name, "<", billing._end_of(until))

    @api.model
    def _moved_domain(self, company, since, until):
        """Return the domain of the move lines that left for a consumer in a period, or came back from one."""
        to_customer, from_customer = (
            Domain(place, "=", "customer") for place in ("location_dest_id.usage", "location_id.usage")
        )
        crossing = (to_customer & ~from_customer) | (from_customer & ~to_customer)
        return (
            Domain("company_id", "=", company.id)
            & Domain("state", "=", "done")
            & Domain("move_id.sale_line_id.order_id.iused_reference", "!=", False)
            & crossing
            & self._between("date", since, until)
        )

    @api.model
    def _device_rows(self, moved):
        """Return the rows of a done move line: one for each device."""
        line, billing = moved.move_id.sale_line_id, self.env["iused.billing"]
        is_back = moved.location_id.usage == "customer"
        serials = moved._iused_serials()
        if not is_back and None in serials:
            typed = billing._typed_serials(line, moved)
            serials = typed if len(typed) == len(serials) else serials
        invoices, credits_ = self._documents(line, moved.lot_id)
        day = billing._day(moved.date)
        row = {
            **self._common(line),
            "left": billing._day(line.iused_left_at) if is_back else day,
            "tracking": moved.picking_id.carrier_tracking_ref or "",
            "shipped": 0 if is_back else 1,
            "returned": 1 if is_back else 0,
            "returned_on": day if is_back else None,
            "amount": -line.price_reduce_taxexcl if is_back else line.price_reduce_taxexcl,
            "invoice": invoices,
            "credit": credits_,
        }
        return [{**row, "serial": serial or ""} for serial in serials]

    @api.model
    def _fee_row(self, fee):
        invoices, credits_ = self._documents(fee)
        return {
            **self._common(fee),
            "left": self.env["iused.billing"]._day(fee.iused_left_at),
            "serial": "",
            "tracking": "",
            "shipped": 0,
            "returned": 0,
            "returned_on": None,
            "amount": fee.price_reduce_taxexcl * fee.qty_delivered,
            "invoice": invoices,
            "credit": credits_,
        }

    @api.model
    def _common(self, line):
        order = line.order_id
        return {
            "reference": order.iused_reference,
            "order": order.name,
            "ordered": self.env["iused.billing"]._day(order.iused_ordered_at or order.date_order),
            "sku": line.product_id.default_code or "",
            "product": line.product_id.with_context(lang=self.env.lang).name,
            "price": line.price_reduce_taxexcl,
        }

    @api.model
    def _documents(self, line, lot=()):
        """Return the numbers of the invoices and of the credit notes of an order line's device, as texts."""
        about = line.invoice_lines.filtered(
            lambda each: (
                each.move_id.state != "cancel" and (not lot or not each.iused_lot_ids or lot in each.iused_lot_ids)
            )
        )
        return tuple(
            ", ".join(about.move_id.filtered(lambda move, kind=kind: move.move_type == kind).mapped("display_name"))
            for kind in ("out_invoice", "out_refund")
        )

    @api.model
    def _entries(self, rows):
        """Return the rows as they are compared with iUsed's own; see `tools.statement.compare`."""
        return [
            Entry(row["order"], row["serial"], row["sku"], Decimal(1), Decimal(str(round(row["amount"], 6))))
            for row in rows
        ]

    # Files -----------------------------------------------------------------------------------------------------------

    @api.model
    def _workbook(self, rows, title):
        """Return an Excel workbook of the rows, with their totals.

        :param list rows: of `_rows`
        :param str title: of the sheet
        :rtype: bytes
        """
        columns, buffer = self._columns(), io.BytesIO()
        book = xlsxwriter.Workbook(buffer, {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False})
        sheet = book.add_worksheet(title[:31])
        bold, day, money = (book.add_format(style) for style in ({"bold": True}, {"num_format": 14}, {"num_format": 4}))
        total = book.add_format({"bold": True, "num_format": 4, "top": 1})
        for place, (key, heading) in enumerate(columns.items()):
            sheet.write_string(0, place, heading, bold)
            style = {"price": money, "amount": money}.get(key)
            for number, row in enumerate(rows, 1):
                value = row[key]
                if isinstance(value, date):
                    sheet.write_datetime(number, place, value, day)
                elif isinstance(value, str):
                    sheet.write_string(number, place, value)
                elif value is not None:
                    sheet.write_number(number, place, value, style)
            width = max([len(heading), *(len(str(row[key] or "")) for row in rows[:1000])])
            sheet.set_column(place, place, min(50, width + 2))
            if key in ("shipped", "returned", "amount"):
                sheet.write_number(
                    len(rows) + 1, place, sum(row[key] for row in rows), total if key == "amount" else bold
                )
        sheet.write_string(len(rows) + 1, 0, self.env._("Total"), bold)
        sheet.freeze_panes(1, 2)
        sheet.autofilter(0, 0, max(1, len(rows)), len(columns) - 1)
        sheet.set_landscape()
        sheet.fit_to_pages(1, 0)
        sheet.repeat_rows(0)
        book.close()
        return buffer.getvalue()

    @api.model
    def _csv(self, rows):
        """Return a CSV file of the rows, as spreadsheets of the user's language open it.

        :rtype: bytes, UTF-8 with a mark at the start
        """
        lang = self.env["res.lang"]._get_data(code=self.env.lang or "en_US")
        comma = lang.decimal_point == ","
        buffer = io.StringIO()
        writer = csv.writer(buffer, delimiter=";" if comma else ",")
        columns = self._columns()
        writer.writerow(columns.values())
        for row in rows:
            writer.writerow(self._csv_value(row[key], comma) for key in columns)
        return buffer.getvalue().encode("utf-8-sig")

    @api.model
    def _csv_value(self, value, comma):
        if isinstance(value, date):
            return value.isoformat()
        if isinstance(value, float):
            return f"{value:.2f}".replace(".", "," if comma else ".")
        # A spreadsheet must not take a reference for a formula.
        return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA_STARTS) else value
