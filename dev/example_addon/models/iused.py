from odoo import api, models


class IusedOfferFeed(models.AbstractModel):
    _inherit = "iused.offer.feed"

    @api.model
    def _prepare_offer_fields(self, company):
        weight = self.env["product.product"].sudo()._field_to_sql("product", "weight")
        return {**super()._prepare_offer_fields(company), "weight": weight}


class IusedShipmentUpdate(models.Model):
    _inherit = "iused.shipment.update"

    def _prepare_body(self):
        return {**super()._prepare_body(), "picked_by": self.picking_id.user_id.name or ""}
