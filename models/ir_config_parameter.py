from odoo import api, models
from odoo.exceptions import ValidationError

from ..tools import destination


class IrConfigParameter(models.Model):
    _inherit = "ir.config_parameter"

    @api.constrains("key", "value")
    def _check_iused_networks(self):
        for parameter in self._iused_networks():
            try:
                destination.read_networks(parameter.value)
            except ValueError as error:
                raise ValidationError(
                    self.env._(
                        "%(parameter)s names networks, such as 10.1.0.0/16, separated by commas: %(fault)s.",
                        parameter=destination.PARAMETER,
                        fault=str(error),
                    )
                ) from None

    @api.model_create_multi
    def create(self, vals_list):
        parameters = super().create(vals_list)
        parameters._iused_networks()._iused_try_again()
        return parameters

    def write(self, vals):
        result = super().write(vals)
        self._iused_networks()._iused_try_again()
        return result

    def _iused_networks(self):
        """Return the parameter that names networks which our calls may go to, if it is among these."""
        return self.filtered(lambda parameter: parameter.key == destination.PARAMETER)

    def _iused_try_again(self):
        """Let what waited for a network to be named be tried at once."""
        if self:
            sender = self.env["iused.shipment.sender"]
            sender._lift_holds(self.env["iused.shipment.update"].search(sender._hold_domain()).company_id)
            sender._trigger()
            self.env["iused.sftp.location"].search([("attempts", ">", 0)])._start_again()
