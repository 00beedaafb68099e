from odoo import api, models


class AccountFiscalPosition(models.Model):
    _inherit = "account.fiscal.position"

    @api.model
    def _get_fiscal_position(self, partner, delivery=None):
        """Judge a sale to iUsed by its VAT number and the place of delivery, as Odoo does for a company's own address.

        The consumer is a contact by itself, without a VAT number, so that Odoo would see a sale to a consumer. All of
        Odoo asks here: a new order, one that a person changes, an invoice.
        """
        customer_sudo = self.env.company.sudo().iused_partner_id  # who sells need not read settings
        if delivery and partner and partner.commercial_partner_id == customer_sudo.commercial_partner_id:
            delivery = delivery.with_context(iused_buyer_id=partner.commercial_partner_id.id)
        return super()._get_fiscal_position(partner, delivery=delivery)
