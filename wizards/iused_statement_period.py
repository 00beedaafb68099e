import base64
from datetime import timedelta

from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError
from odoo.fields import Command, Domain
from odoo.tools import format_date

from ..tools.statement import COLUMNS, StatementError, compare, guess_columns, read_entries, read_table

MOST_DIFFERENCES = 1_000  # that are shown


class IusedStatementPeriod(models.TransientModel):
    """Our statement of a period, as a file, and iUsed's own beside it."""

    _name = "iused.statement.period"
    _description = "iUsed Statement of a Period"

    company_id = fields.Many2one("res.company", required=True, readonly=True, default=lambda self: self.env.company)
    currency_id = fields.Many2one(related="company_id.currency_id")
    since = fields.Date("From", required=True, default=lambda self: self._last_month()[0])
    until = fields.Date("To", required=True, default=lambda self: self._last_month()[1], help="The last day.")
    shipped = fields.Integer("Devices Shipped", compute="_compute_totals")
    returned = fields.Integer("Devices Returned", compute="_compute_totals")
    amount = fields.Monetary("Total excl. VAT", compute="_compute_totals")
    file = fields.Binary(readonly=True, attachment=False)
    file_name = fields.Char(readonly=True)

    theirs = fields.Binary("iUsed's Statement", attachment=False, help="A CSV file or an Excel workbook.")
    theirs_name = fields.Char()
    # What the columns of iUsed's statement are called: typed once, kept for the company.
    column_order = fields.Char("Order Number", help="iUsed's number or ours.")
    column_serial = fields.Char("Serial Number", help="Empty where iUsed names none.")
    column_sku = fields.Char("SKU", help="Empty where iUsed names none.")
    column_quantity = fields.Char("Quantity", help="Empty means one each.")
    column_amount = fields.Char("Amount excl. VAT", help="Of all pieces of the row.")
    headings = fields.Char("Columns of the File", readonly=True)
    difference_ids = fields.One2many("iused.statement.difference", "wizard_id", readonly=True)
    result = fields.Char(readonly=True)

    @api.model
    def _last_month(self):
        end = fields.Date.context_today(self).replace(day=1) - timedelta(days=1)
        return end.replace(day=1), end

    @api.constrains("since", "until")
    def _check_period(self):
        for wizard in self:
            if wizard.since > wizard.until:
                raise UserError(self.env._("The period ends before it begins."))

    def _rows(self):
        self.ensure_one()
        self.env["account.move"].check_access("read")
        if self.company_id not in self.env.companies:  # which anybody may write who makes a wizard
            raise AccessError(self.env._("You have no access to this company."))
        return self.env["iused.statement"]._rows(self.company_id, self.since, self.until)

    @api.depends("since", "until", "company_id")
    def _compute_totals(self):
        for wizard in self:
            rows = wizard._rows() if wizard.since and wizard.until and wizard.since <= wizard.until else []
            wizard.shipped = sum(row["shipped"] for row in rows)
            wizard.returned = sum(row["returned"] for row in rows)
            wizard.amount = sum(row["amount"] for row in rows)

    # Our own ---------------------------------------------------------------------------------------------------------

    def action_download_workbook(self):
        """Download the statement as an Excel workbook."""
        return self._download("xlsx", self.env["iused.statement"]._workbook(self._rows(), self._title()))

    def action_download_csv(self):
        """Download the statement as a CSV file."""
        return self._download("csv", self.env["iused.statement"]._csv(self._rows()))

    def _title(self):
        return f"iUsed {self.since} - {self.until}"

    def _download(self, kind, content):
        self.write({"file": base64.b64encode(content), "file_name": f"{self._title()}.{kind}"})
        address = f"/web/content/{self._name}/{self.id}/file/{self.file_name}?download=true"
        return {"type": "ir.actions.act_url", "url": address, "target": "download"}

    # iUsed's ---------------------------------------------------------------------------------------------------------

    @api.onchange("theirs")
    def _onchange_theirs(self):
        """Say what the columns of a file may be: as they were last time, else as their headings sound."""
        self.update({"headings": False, "result": False, "difference_ids": [Command.clear()]})
        if not self.theirs:
            return
        headings = self._read_table()[0][1]
        self.headings = ", ".join(filter(None, headings))
        known = self.company_id.sudo().iused_statement_columns or {}  # who invoices need not read settings
        guessed = guess_columns(headings)
        for key in COLUMNS:
            self[f"column_{key}"] = known[key] if known.get(key) in headings else guessed.get(key, False)

    def _read_table(self):
        try:
            return read_table(base64.b64decode(self.theirs))
        except StatementError as error:
            raise UserError(self._explain(error)) from error

    def _explain(self, error):
        """Return in words what is wrong with a file."""
        kind, _colon, value = str(error).partition(": ")
        words = {
            "large": self.env._("The file is too large: 10 MB at most."),
            "many": self.env._("The file has too many rows: 100,000 at most."),
            "empty": self.env._("The file has no rows below its headings."),
            "broken": self.env._("The file is neither a CSV file nor an Excel workbook (.xlsx) that can be read."),
            "column": self.env._("The file has no column %s.", value),
            "number": self.env._("This is not a number: %s", value),
        }
        return words[kind]

    def action_compare(self):
        """Put iUsed's statement beside ours, and show what they do not agree on."""
        self.ensure_one()
        rows = self._rows()
        columns = {key: (self[f"column_{key}"] or "").strip() for key in COLUMNS}
        if not columns["order"] or not columns["amount"]:
            raise UserError(self.env._("Say which column has the order number, and which the amount."))
        try:
            theirs, others = read_entries(self._read_table(), columns)
        except StatementError as error:
            raise UserError(self._explain(error)) from error
        # Whoever invoices may remember what the columns are called, without rights on settings.
        self.company_id.sudo().iused_statement_columns = columns
        orders = self._find_orders({entry.order for entry in theirs} | {row["order"] for row in rows})
        names = {number.casefold(): order.name for number, order in orders.items()}
        differences, agreed = compare(self.env["iused.statement"]._entries(rows), theirs, names)
        result = [self.env._("%(agreed)s agree, %(differing)s differ.", agreed=agreed, differing=len(differences))]
        if len(differences) > MOST_DIFFERENCES:
            result.append(self.env._("The first %s are shown.", MOST_DIFFERENCES))
        if others:
            shown = ", ".join(str(number) for number in others[:20])
            result.append(self.env._("Rows of the file without an order number: %s", shown))
        self.write(
            {
                "result": " ".join(result),
                "difference_ids": [
                    Command.clear(),
                    *(
                        Command.create(self._prepare_difference(each, orders.get(each.order)))
                        for each in differences[:MOST_DIFFERENCES]
                    ),
                ],
            }
        )
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Statement"),
            "res_model": self._name,
            "res_id": self.id,
            "views": [(False, "form")],
        }

    def _find_orders(self, numbers):
        """Return the company's `sale.order` by either number, in a dict."""
        orders = self.env["sale.order"].search(
            Domain("company_id", "=", self.company_id.id)
            & Domain("iused_reference", "!=", False)
            & (Domain("iused_reference", "in", list(numbers)) | Domain("name", "in", list(numbers)))
        )
        return {order.iused_reference: order for order in orders} | {order.name: order for order in orders}

    def _prepare_difference(self, difference, order):
        return {
            "kind": difference.kind,
            "order_number": difference.order,
            "order_id": order and order.id,
            "serial_number": difference.serial or False,
            "sku": difference.sku or False,
            "ours": float(difference.ours or 0),
            "theirs": float(difference.theirs or 0),
            "rows": ", ".join(str(number) for number in difference.rows),
            "note": self._note(difference, order),
        }

    def _note(self, difference, order):
        """Return what is known of an order that only iUsed has."""
        if difference.kind != "theirs":
            return False
        if not order:
            return self.env._("There is no such order here.")
        if order.state == "cancel":
            return self.env._("The order was cancelled.")
        left = max(filter(None, order.order_line.mapped("iused_left_at")), default=None)
        if not left:
            return self.env._("Nothing of the order has left.")
        return self.env._("The order left on %s.", format_date(self.env, self.env["iused.billing"]._day(left)))


class IusedStatementDifference(models.TransientModel):
    """What iUsed's statement and ours do not agree on."""

    _name = "iused.statement.difference"
    _description = "Difference of Statements"
    _order = "id"

    wizard_id = fields.Many2one("iused.statement.period", required=True, readonly=True, ondelete="cascade")
    currency_id = fields.Many2one(related="wizard_id.currency_id")
    kind = fields.Selection(
        [
            ("theirs", "Only iUsed has it"),
            ("ours", "Only we have it"),
            ("amount", "Other price"),
            ("quantity", "Other quantity"),
        ],
        string="What Differs",
        required=True,
        readonly=True,
    )
    order_number = fields.Char(readonly=True)
    order_id = fields.Many2one("sale.order", readonly=True, ondelete="cascade")
    serial_number = fields.Char(readonly=True)
    sku = fields.Char("SKU", readonly=True)
    ours = fields.Monetary(readonly=True)
    theirs = fields.Monetary("iUsed's", readonly=True)
    rows = fields.Char("Rows of the File", readonly=True)
    note = fields.Char(readonly=True)
