from odoo import api, fields, models


class IusedShipmentSerial(models.TransientModel):
    """Asks for the serial numbers of devices whose product is not tracked by serial number."""

    _name = "iused.shipment.serial"
    _description = "Serial Number of a Shipment Update"

    update_id = fields.Many2one("iused.shipment.update", required=True, readonly=True, ondelete="cascade")
    pieces = fields.Integer(related="update_id.pieces", related_sudo=False)
    serial_number = fields.Text("Serial Number / IMEI", required=True)

    @api.constrains("update_id")
    def _check_update(self):
        """Let nobody read a shipment update of another company through a wizard of one's own."""
        self.update_id.check_access("read")

    def onchange(self, values, field_names, fields_spec):
        """Odoo tells the name of whatever row a form names, which here is a serial number."""
        self.new({**self.default_get(["update_id"]), **values}).update_id.check_access("read")
        return super().onchange(values, field_names, fields_spec)

    def action_confirm(self):
        """Write the serial numbers down; the update is sent when it has a tracking reference, too."""
        self.ensure_one()
        self.update_id._type_serial(self.serial_number)
