from odoo import api, fields, models
from odoo.exceptions import ValidationError
from odoo.tools import ormcache

from ..tools.order_payload import FIELDS


class IusedFieldMapping(models.Model):
    """Where a field of ours is in the JSON of iUsed's orders, for a company. Wins over the names known by default."""

    _name = "iused.field.mapping"
    _description = "iUsed Field Mapping"
    _order = "company_id, field, sequence, id"
    _rec_name = "path"

    company_id = fields.Many2one(
        "res.company", required=True, index=True, ondelete="cascade", default=lambda self: self.env.company
    )
    field = fields.Selection([(name, name) for name in FIELDS], string="Our Field", required=True)
    path = fields.Char(
        "Path in iUsed's JSON",
        required=True,
        help="Names with dots between, from the outermost: data.ship.zip. For a field of a line: data.items[].code",
    )
    sequence = fields.Integer(default=10, help="Of several paths for one field, the first that holds something counts.")

    _path_unique = models.UniqueIndex("(company_id, field, path)", "This path is mapped to this field already.")

    @api.constrains("path")
    def _check_path(self):
        for mapping in self:
            if not all(step.strip() for step in mapping.path.split(".")):
                raise ValidationError(self.env._("A path is names with dots between: %s", mapping.path))

    @api.model_create_multi
    def create(self, vals_list):
        self.env.registry.clear_cache()
        return super().create(vals_list)

    def write(self, vals):
        self.env.registry.clear_cache()
        result = super().write(vals)
        if "company_id" in vals:
            # Odoo asks before a write alone: a mapping must not come to read the orders of somebody else's company.
            self.check_access("write")
        return result

    def unlink(self):
        self.env.registry.clear_cache()
        return super().unlink()

    @api.model
    @ormcache("company.id")
    def _paths(self, company):
        """Return a company's mapping as the reader takes it; asked for with every push, for a company that may be read.

        :rtype: dict: our field -> list of paths
        """
        # Cached for everybody: what somebody may see of it must not be what all others get.
        mappings = self.sudo().search([("company_id", "=", company.id)])
        return {field: rows.mapped("path") for field, rows in mappings.grouped("field").items()}
