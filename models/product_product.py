from odoo import api, fields, models
from odoo.fields import Domain


class ProductProduct(models.Model):
    _inherit = "product.product"

    iused_offered = fields.Boolean(
        "Offered on iUsed",
        company_dependent=True,
        help="Serve this product to iUsed. It is on sale there once its SKU, EAN and prices are filled in.",
    )
    iused_purchase_price = fields.Float(
        "iUsed Purchase Price",
        company_dependent=True,
        digits="Product Price",
        help="What iUsed pays for one piece, excluding VAT, in the company's currency.",
    )
    iused_consumer_price = fields.Float(
        "iUsed Consumer Price",
        company_dependent=True,
        digits="Product Price",
        help="The recommended price for the consumer, excluding VAT, in the company's currency.",
    )
    iused_ean = fields.Char(
        "iUsed EAN",
        copy=False,
        help="The EAN to tell iUsed. Needed where several grades of one phone share an EAN, "
        "which as a barcode only one product may have. Empty means the barcode.",
    )
    iused_is_imei = fields.Boolean(
        "Serial Number is an IMEI",
        help="Warn before a delivery whose serial number is not a valid IMEI: 15 digits, the last a check digit.",
    )

    @api.model
    def _iused_find(self, sku, ean):
        """Find the products that an order line of iUsed may mean: by SKU, else by EAN.

        :param str sku: the internal reference, or an empty string
        :param str ean: the EAN or barcode, or an empty string
        :return: the candidates of the current company; anything but one is for the caller to refuse
        """
        for value, names in ((sku, ("default_code",)), (ean, ("iused_ean", "barcode"))):
            if value:
                domain = Domain.OR(Domain(name, "=", value) for name in names)
                domain &= Domain(self._check_company_domain(self.env.company)) & Domain("sale_ok", "=", True)
                if found := self.search(domain):
                    # Grades that share an EAN are told apart by being offered.
                    return found.filtered("iused_offered") or found
        return self.browse()
