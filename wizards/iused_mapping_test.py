from odoo import fields, models
from odoo.exceptions import UserError
from odoo.fields import Command

from ..tools.order_payload import JsonError, explain, parse_json


class IusedMappingTest(models.TransientModel):
    """Shows, field by field, what would be read of a pasted order. Makes no order."""

    _name = "iused.mapping.test"
    _description = "Try an iUsed Order"

    company_id = fields.Many2one("res.company", required=True, default=lambda self: self.env.company)
    sample = fields.Text("Sample Order (JSON)")
    line_ids = fields.One2many("iused.mapping.test.line", "test_id", readonly=True)
    fault_count = fields.Integer("Faults", readonly=True)

    def action_explain(self):
        """Show what would be read.

        :raises odoo.exceptions.UserError: for a sample that is not JSON
        """
        self.ensure_one()
        self.company_id.check_access("read")
        try:
            document = parse_json((self.sample or "").encode())
        except JsonError as error:
            raise UserError(self.env._("The sample is not JSON: %s.", error)) from error
        # The zone is that of iUsed's user, who may belong to none of the companies that are switched on.
        company_sudo = self.company_id.sudo()
        rows = explain(document, **self.env["iused.order.inbox"]._reader_options(company_sudo))
        self.fault_count = sum(bool(row.fault) for row in rows)
        self.line_ids = [Command.clear(), *(Command.create(row._asdict()) for row in rows)]
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Try an iUsed Order"),
            "res_model": self._name,
            "res_id": self.id,
            "view_mode": "form",
            "target": "new",
        }


class IusedMappingTestLine(models.TransientModel):
    _name = "iused.mapping.test.line"
    _description = "Field of a Tried iUsed Order"
    _order = "id"

    test_id = fields.Many2one("iused.mapping.test", required=True, ondelete="cascade")
    field = fields.Char("Our Field")
    pointer = fields.Char("Found At")
    value = fields.Char()
    fault = fields.Char("What Is Wrong")
