from urllib.parse import urlsplit

from odoo import api, fields, models
from odoo.exceptions import ValidationError
from odoo.orm.models import NO_ACCESS

LOOPBACK_HOSTS = {"localhost", "127.0.0.1", "::1"}


class ResCompany(models.Model):
    """A company's connection to iUsed."""

    _inherit = "res.company"

    iused_user_id = fields.Many2one(
        "res.users",
        string="iUsed User",
        ondelete="restrict",
        help="The user that iUsed's calls act as. Made with the first access token; it needs no rights of its own.",
    )
    iused_partner_id = fields.Many2one(
        "res.partner",
        string="iUsed as Customer",
        ondelete="restrict",
        domain="[('company_id', 'in', (False, id))]",
        help="The customer of iUsed's orders: it is invoiced, while the goods go to the consumer.",
    )
    iused_warehouse_ids = fields.Many2many(
        "stock.warehouse",
        "res_company_iused_warehouse_rel",
        "company_id",
        "warehouse_id",
        string="iUsed Warehouses",
        help="The warehouses whose stock is offered. None chosen means all of the company's.",
    )
    iused_stock_buffer = fields.Integer(
        "iUsed Stock Buffer",
        help="Pieces of each product that are kept back: iUsed is told so many fewer.",
    )
    iused_purchase_pricelist_id = fields.Many2one(
        "product.pricelist",
        string="iUsed Purchase Pricelist",
        check_company=True,
        help="What iUsed pays for a product that has no iUsed purchase price of its own.",
    )
    iused_consumer_pricelist_id = fields.Many2one(
        "product.pricelist",
        string="iUsed Consumer Pricelist",
        check_company=True,
        help="The recommended price for the consumer of a product that has no iUsed consumer price of its own.",
    )
    iused_lang = fields.Selection(
        lambda self: self.env["res.lang"].get_installed(),
        string="iUsed Language",
        help="The language of the names that iUsed is told. Empty means the company's.",
    )
    iused_order_policy = fields.Selection(
        [("confirm", "Confirm at once"), ("quotation", "Leave as quotation")],
        string="iUsed Orders",
        default="confirm",
        required=True,
    )
    iused_responsible_id = fields.Many2one(
        "res.users",
        string="Responsible for iUsed",
        domain="[('share', '=', False), ('company_ids', 'in', id)]",
        help="Who gets an activity when something between iUsed and us needs a person. Empty means a sales manager.",
    )
    iused_retention_days = fields.Integer(
        "Keep iUsed Log (days)",
        default=90,
        required=True,
        help="Exchanges with iUsed and shipment updates that were sent are deleted after so many days.",
    )
    # The address is the secret: whoever knows it can report shipments. Nobody reads it back, administrators included.
    iused_webhook_url = fields.Char("iUsed Webhook URL", groups=NO_ACCESS, copy=False)
    iused_webhook_is_set = fields.Boolean(compute="_compute_iused_webhook_is_set")

    _iused_user_unique = models.UniqueIndex(
        "(iused_user_id) WHERE iused_user_id IS NOT NULL",
        "An iUsed user serves one company only: each company needs one of its own.",
    )

    _iused_stock_buffer_not_negative = models.Constraint(
        "CHECK (iused_stock_buffer >= 0)", "The stock buffer cannot be negative."
    )

    @api.depends("iused_webhook_url")
    def _compute_iused_webhook_is_set(self):
        for company, company_sudo in zip(self, self.sudo(), strict=True):  # the address itself is closed to everybody
            company.iused_webhook_is_set = bool(company_sudo.iused_webhook_url)

    @api.constrains("iused_webhook_url")
    def _check_iused_webhook_url(self):
        """:raises ValidationError: naming what is wrong, without repeating the address"""
        for company_sudo in self.sudo().filtered("iused_webhook_url"):
            try:
                url = urlsplit(company_sudo.iused_webhook_url)
                url.port  # noqa: B018 - reading it raises where it is no number
            except ValueError:
                url = urlsplit("")
            if url.scheme not in ("http", "https") or not url.hostname:
                raise ValidationError(self.env._("The webhook URL must be a whole address that starts with https://."))
            if url.scheme == "http" and url.hostname not in LOOPBACK_HOSTS:
                raise ValidationError(
                    self.env._("The webhook URL must start with https://: it carries a secret token.")
                )

    @api.constrains("iused_user_id")
    def _check_iused_user(self):
        for company in self.filtered("iused_user_id"):
            if company not in company.iused_user_id.company_ids:
                raise ValidationError(
                    self.env._(
                        "%(user)s has no access to %(company)s and cannot be its iUsed user.",
                        user=company.iused_user_id.name,
                        company=company.name,
                    )
                )

    @api.constrains("iused_warehouse_ids")
    def _check_iused_warehouses(self):
        for company in self:
            foreign = company.iused_warehouse_ids.filtered(lambda w, company=company: w.company_id != company)
            if foreign:
                raise ValidationError(
                    self.env._(
                        "%(warehouse)s does not belong to %(company)s and cannot be offered by it.",
                        warehouse=foreign[0].name,
                        company=company.name,
                    )
                )

    def write(self, vals):
        result = super().write(vals)
        if vals.get("iused_webhook_url"):
            # What waited for an address can be sent now.
            self.env["iused.shipment.update"]._trigger_cron()
        return result

    def _iused_warehouses(self):
        """Return the warehouses whose stock is offered: the chosen ones, else all of the company's."""
        self.ensure_one()
        return self.iused_warehouse_ids or self.env["stock.warehouse"].search([("company_id", "=", self.id)])

    def _iused_language(self):
        """Return the code of the language of the offers: the chosen one, else the company's, when they are installed."""
        self.ensure_one()
        installed = dict(self.env["res.lang"].get_installed())
        return next((code for code in (self.iused_lang, self.partner_id.lang) if code in installed), "en_US")

    def _iused_ensure_user(self):
        """Return the company's iUsed user, made when there is none yet.

        A portal user without a password: it takes no licence, cannot log in, and reaches nothing but our routes.
        """
        self.ensure_one()
        if not self.iused_user_id:
            # An administrator of settings need not be one of users; the values are ours.
            users_sudo = self.env["res.users"].sudo().with_context(no_reset_password=True)
            self.iused_user_id = users_sudo.create(
                {
                    "name": f"iUsed ({self.name})",
                    "login": f"iused-{self.id}",
                    "company_id": self.id,
                    "company_ids": [fields.Command.set(self.ids)],
                    "group_ids": [fields.Command.set(self.env.ref("base.group_portal").ids)],
                    "tz": self.partner_id.tz or self.env.user.tz,
                }
            )
        return self.iused_user_id

    def _iused_ensure_partner(self):
        """Return iUsed as the company's customer, made when there is none yet."""
        self.ensure_one()
        if not self.iused_partner_id:
            # An order must not fail because nobody made the customer; iUsed's user has no rights on contacts.
            self_sudo = self.sudo()
            self_sudo.iused_partner_id = self_sudo.env["res.partner"].create(
                {
                    "name": "iUsed",
                    "is_company": True,
                    "company_id": self.id,
                    "country_id": self.env.ref("base.nl").id,
                }
            )
        return self.iused_partner_id

    def _iused_responsible(self):
        """Return who takes care of what the connector cannot: the chosen user, else a sales manager of the company."""
        self.ensure_one()
        managers = self.env.ref("sales_team.group_sale_manager").all_user_ids.filtered(
            lambda user: user.active and not user.share and self in user.company_ids
        )
        chosen = self.iused_responsible_id.filtered("active")
        return chosen or managers.sorted("id")[:1] or self.env.ref("base.user_admin")
