from odoo import api, models


class IusedGuard(models.AbstractModel):
    """Keeps fields that the addon decides by from everybody: those declared with `iused_own=True`.

    `readonly` stops views alone; RPC, imports, `copy` with values and defaults get by. The addon writes them as
    superuser.
    """

    _name = "iused.guard"
    _description = "iUsed's Own Fields"

    @api.model
    def _valid_field_parameter(self, field, name):
        return name == "iused_own" or super()._valid_field_parameter(field, name)

    @api.model
    def _has_field_access(self, field, operation):
        """Odoo asks this for each field that is given to `create` or `write`, or by a `default_…` of the context.

        It raises an AccessError that names the field, and imports do not offer it.
        """
        if operation == "write" and not self.env.su and getattr(field, "iused_own", False):
            return False
        return super()._has_field_access(field, operation)

    @api.model
    def default_get(self, fields):
        """Our own fields have no defaults: neither what a user made one, nor what a context brings along."""
        own = {name for name in fields if getattr(self._fields.get(name), "iused_own", False)}
        return super().default_get([name for name in fields if name not in own])
