from urllib.parse import urlsplit

from odoo import api, fields, models
from odoo.exceptions import AccessError, ValidationError
from odoo.orm.models import NO_ACCESS
from odoo.tools import SQL

from ..const import LOOPBACK_HOSTS
from ..tools.masking import mask_path

# A change of one of these may be what iUsed was waiting for.
WEBHOOK_SETTINGS = {
    "iused_webhook_url",
    "iused_webhook_method",
    "iused_key_serial",
    "iused_key_tracking",
    "iused_key_order",
    "iused_extra_keys",
    "iused_grouping",
}
EXTRA_KEYS = ("carrier", "tracking_link", "sku", "line_id", "shipped_at", "corrects")
# The least and the most that a limit may be. More than years of hours is a slip, and no moment that can be reckoned.
LIMITS = {
    "iused_retention_days": (1, 3_650),
    "iused_anonymize_months": (0, 600),
    "iused_waiting_hours": (0, 87_600),
    "iused_watch_poll_hours": (0, 87_600),
    "iused_watch_order_days": (0, 3_650),
    "iused_watch_open_hours": (0, 87_600),
    "iused_watch_offers": (0, 1_000_000),
}


class ResCompany(models.Model):
    """A company's connection to iUsed.

    Everybody's reads of a company would carry these settings along: hence a prefetch group of their own. Only what each
    validation of an iUsed order asks for comes with the company.
    """

    _inherit = "res.company"

    iused_user_id = fields.Many2one(
        "res.users",
        string="iUsed User",
        ondelete="restrict",
        help="The user that iUsed's calls act as. Made with the first access token; it needs no rights of its own.",
        prefetch="iused",
    )
    iused_partner_id = fields.Many2one(
        "res.partner",
        string="iUsed as Customer",
        ondelete="restrict",
        domain="[('company_id', 'in', (False, id))]",
        help="The customer of iUsed's orders: it is invoiced, while the goods go to the consumer.",
        prefetch="iused",
    )
    iused_warehouse_ids = fields.Many2many(
        "stock.warehouse",
        "res_company_iused_warehouse_rel",
        "company_id",
        "warehouse_id",
        string="iUsed Warehouses",
        help="The warehouses whose stock is offered, and which deliver. None chosen means all of the company's.",
    )
    iused_stock_buffer = fields.Integer(
        "iUsed Stock Buffer",
        help="Pieces of each product that are kept back: iUsed is told so many fewer.",
        prefetch="iused",
    )
    iused_purchase_pricelist_id = fields.Many2one(
        "product.pricelist",
        string="iUsed Purchase Pricelist",
        check_company=True,
        help="What iUsed pays for a product that has no iUsed purchase price of its own.",
        prefetch="iused",
    )
    iused_consumer_pricelist_id = fields.Many2one(
        "product.pricelist",
        string="iUsed Consumer Pricelist",
        check_company=True,
        help="The recommended price for the consumer of a product that has no iUsed consumer price of its own.",
        prefetch="iused",
    )
    iused_lang = fields.Selection(
        lambda self: self.env["res.lang"].get_installed(),
        string="iUsed Language",
        help="The language of the names that iUsed is told. Empty means the company's.",
        prefetch="iused",
    )
    iused_order_policy = fields.Selection(
        [("confirm", "Confirm at once"), ("quotation", "Leave as quotation")],
        string="iUsed Orders",
        default="confirm",
        required=True,
        prefetch="iused",
    )
    iused_shortage_policy = fields.Selection(
        [("accept", "Accept the order and warn"), ("refuse", "Refuse the order")],
        string="When Stock Is Short for iUsed",
        default="accept",
        required=True,
        prefetch="iused",
    )
    iused_withdrawn_policy = fields.Selection(
        [("quotation", "Leave the order as quotation and warn"), ("refuse", "Refuse the order")],
        string="When a Product Is Not Offered to iUsed",
        default="quotation",
        required=True,
        help="Of products with an iUsed purchase price. An order of others that are not offered is always refused.",
        prefetch="iused",
    )
    iused_price_tolerance = fields.Float(
        "iUsed Price Tolerance (%)",
        help="An order whose prices differ from our offer by more becomes a quotation, for a person to check.",
        prefetch="iused",
    )
    iused_salesperson_id = fields.Many2one(
        "res.users",
        string="iUsed Salesperson",
        domain="[('share', '=', False), ('company_ids', 'in', id)]",
        help="Empty means the salesperson of the customer iUsed.",
        prefetch="iused",
    )
    iused_team_id = fields.Many2one(
        "crm.team",
        string="iUsed Sales Team",
        domain="[('company_id', 'in', (False, id))]",
        help="Empty means the team that Odoo chooses.",
        prefetch="iused",
    )
    iused_carrier_id = fields.Many2one(
        "delivery.carrier",
        string="iUsed Delivery Method",
        domain="[('company_id', 'in', (False, id))]",
        prefetch="iused",
    )
    # What iUsed keeps back: shipping costs of an order, a levy of a device.
    iused_fee = fields.Selection(
        [("order", "For each order"), ("device", "For each device")],
        string="iUsed Fee",
        help="What iUsed keeps back. It is a line of each new order, with a negative amount.",
        prefetch="iused",
    )
    iused_fee_product_id = fields.Many2one(
        "product.product",
        string="iUsed Fee Product",
        domain="[('type', '=', 'service'), ('company_id', 'in', (False, id))]",
        ondelete="restrict",
        help="The service that stands for the fee on orders and invoices; its taxes and account are taken.",
        prefetch="iused",
    )
    iused_fee_amount = fields.Float("iUsed Fee Amount", digits="Product Price", help="Excluding VAT.", prefetch="iused")
    iused_invoice_automatically = fields.Boolean(
        "Invoice iUsed When Delivered",
        help="Each order is invoiced by itself once all of it left. Off: the invoices of a period are made at once.",
        prefetch="iused",
    )
    iused_responsible_id = fields.Many2one(
        "res.users",
        string="Responsible for iUsed",
        domain="[('share', '=', False), ('company_ids', 'in', id)]",
        help="Who gets an activity when something needs a person. Empty means the salesperson, else an iUsed manager.",
        prefetch="iused",
    )
    iused_retention_days = fields.Integer(
        "Keep iUsed Log (days)",
        default=90,
        required=True,
        help="Exchanges with iUsed and shipment updates that were sent are deleted after so many days: 1 to 3,650.",
        prefetch="iused",
    )
    iused_anonymize_months = fields.Integer(
        "Months Until Consumers Are Anonymous",
        help="Consumers whose orders left longer ago, and of whom nothing is open, are made anonymous. 0 means never.",
        prefetch="iused",
    )
    # When somebody is told. 0 means never.
    iused_watch_poll_hours = fields.Integer(
        "Hours Without a Poll",
        default=2,
        help="Tell when iUsed did not fetch the offers for so many hours.",
        prefetch="iused",
    )
    iused_watch_order_days = fields.Integer(
        "Days Without an Order",
        default=7,
        help="Tell when iUsed placed no order for so many days.",
        prefetch="iused",
    )
    iused_watch_open_hours = fields.Integer(
        "Hours That an Order Is Open",
        default=48,
        help="Tell when an order of iUsed has not left after so many hours.",
        prefetch="iused",
    )
    iused_watch_offers = fields.Integer(
        "Least Offers with Stock",
        default=1,
        help="Tell when iUsed is offered fewer products that are in stock.",
        prefetch="iused",
    )
    # The address is the secret: whoever knows it can report shipments. Nobody reads it back, administrators included.
    iused_webhook_url = fields.Char("iUsed Webhook URL", groups=NO_ACCESS, copy=False, prefetch="iused")
    iused_webhook_is_set = fields.Boolean(compute="_compute_iused_webhook_is_set")
    iused_webhook_tested_at = fields.Datetime("iUsed Webhook Tested", readonly=True, copy=False, prefetch="iused")

    # How shipments are told
    iused_grouping = fields.Selection(
        [("device", "One update for each device"), ("delivery", "One update for each delivery, with a list")],
        string="iUsed Shipment Updates",
        default="device",
        required=True,
    )
    iused_webhook_method = fields.Selection(
        [("POST", "POST"), ("PUT", "PUT"), ("PATCH", "PATCH")],
        string="iUsed Webhook Method",
        default="POST",
        required=True,
        prefetch="iused",
    )
    iused_key_serial = fields.Char("Key of the Serial Number", default="serial_number", required=True, prefetch="iused")
    iused_key_tracking = fields.Char(
        "Key of the Tracking Reference", default="track_and_trace", required=True, prefetch="iused"
    )
    iused_key_order = fields.Char(
        "Key of the Order Number", default="external_order_id", required=True, prefetch="iused"
    )
    iused_extra_keys = fields.Boolean(
        "Optional iUsed Keys",
        help="Tell carrier, tracking link, SKU, iUsed's line and the moment of shipment too, and mark corrections.",
        prefetch="iused",
    )
    iused_waiting_hours = fields.Integer(
        "iUsed Waiting Limit (hours)",
        default=24,
        required=True,
        help="An update that waits longer for its serial number or tracking reference raises an activity. 0: none.",
        prefetch="iused",
    )
    iused_notify_consumers = fields.Boolean(
        "Odoo Writes to iUsed's Consumers",
        help="Send iUsed's consumers Odoo's own text messages and e-mails about deliveries. iUsed tells them itself.",
    )
    iused_sending_stopped = fields.Char(
        readonly=True,
        copy=False,
        help="Why no shipment update is sent: iUsed's answer that shut the company out.",
        prefetch="iused",
    )
    iused_sending_stopped_at = fields.Datetime("Sending Stopped", readonly=True, copy=False, prefetch="iused")

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

    @api.constrains("iused_price_tolerance")
    def _check_iused_price_tolerance(self):
        if any(company.iused_price_tolerance < 0 for company in self):
            raise ValidationError(self.env._("The price tolerance for iUsed cannot be negative."))

    @api.constrains(*LIMITS)
    def _check_iused_limits(self):
        for company in self:
            for name, (least, most) in LIMITS.items():
                if not least <= company[name] <= most:
                    raise ValidationError(
                        self.env._(
                            "%(setting)s must be a number from %(least)s to %(most)s.",
                            setting=self._fields[name]._description_string(self.env),
                            least=f"{least:,}",
                            most=f"{most:,}",
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

    @api.constrains("iused_key_serial", "iused_key_tracking", "iused_key_order")
    def _check_iused_keys(self):
        for company in self:
            names = (company.iused_key_serial, company.iused_key_tracking, company.iused_key_order)
            keys = [(name or "").strip() for name in names]
            if not all(keys):
                raise ValidationError(
                    self.env._(
                        "A shipment update needs a key for each of its three fields: serial number, tracking reference"
                        " and order number."
                    )
                )
            if len({*keys, *EXTRA_KEYS}) < len(keys) + len(EXTRA_KEYS):
                raise ValidationError(
                    self.env._(
                        "The keys of a shipment update must differ from each other and from the optional ones: %s.",
                        ", ".join(EXTRA_KEYS),
                    )
                )

    def write(self, vals):
        settings = WEBHOOK_SETTINGS & vals.keys()
        changed = self.filtered(lambda company: any(company.sudo()[name] != vals[name] for name in settings))
        if "iused_webhook_url" in vals:
            vals = {**vals, "iused_webhook_tested_at": False}
        result = super().write(vals)
        if changed:
            # What waited for another address or other settings can be sent now.
            self.env["iused.shipment.sender"]._forget_blame(changed)
            changed._iused_resume_sending()
        return result

    # Sending shipment updates ----------------------------------------------------------------------------------------

    def _iused_can_send(self):
        """Tell whether there is an address to send shipment updates to, and nothing has stopped it."""
        self.ensure_one()
        return bool(self.sudo().iused_webhook_url) and not self.iused_sending_stopped  # the address is closed to all

    def _iused_connection(self):
        """Return how shipment updates are sent: `url`, its `path` as it may be shown, `method` and `company_id`.

        :return: a dict, or None where nothing may be sent
        """
        if not self._iused_can_send():
            return None
        url = self.sudo().iused_webhook_url  # closed to everybody; it leaves in the call alone
        return {"url": url, "path": mask_path(url), "method": self.iused_webhook_method, "company_id": self.id}

    def _iused_stop_sending(self, reason, url):
        """Stop all sending after an answer that shuts the company out.

        :param str url: the address that gave it; where it was replaced meanwhile, the answer means nothing
        :return: whether it was stopped by this call
        """
        self.ensure_one()
        company_sudo = self.sudo()  # the scheduled action's own finding, on a company that users may not write
        if company_sudo.iused_webhook_url != url or company_sudo.iused_sending_stopped:
            return False
        company_sudo.write({"iused_sending_stopped": reason, "iused_sending_stopped_at": fields.Datetime.now()})
        return True

    def action_iused_resume_sending(self):
        """Send shipment updates again after iUsed shut the company out.

        :raises AccessError: for who is no manager of iUsed, or has no access to the company
        """
        self._check_iused_manager()
        self.check_access("read")
        self._iused_resume_sending()

    @api.model
    def _check_iused_manager(self):
        """:raises AccessError: for who is neither a manager of iUsed nor an administrator"""
        if not self.env.user.has_group("sale_iused.group_iused_manager") and not self.env.is_system():
            raise AccessError(self.env._("Only iUsed managers can do this."))

    def _iused_resume_sending(self):
        """Let shipment updates be sent (again)."""
        stopped_sudo = self.sudo().filtered("iused_sending_stopped")  # whoever may change the settings
        stopped_sudo.write({"iused_sending_stopped": False, "iused_sending_stopped_at": False})
        sender = self.env["iused.shipment.sender"]
        sender._lift_holds(self)
        sender._trigger()

    # Who and what ----------------------------------------------------------------------------------------------------

    def _iused_warehouses(self):
        """Return the warehouses whose stock is offered, by their sequence: the chosen ones, else the company's."""
        self.ensure_one()
        return self.iused_warehouse_ids.sorted() or self.env["stock.warehouse"].search([("company_id", "=", self.id)])

    def _iused_language(self):
        """Return the code of the language of the offers: the chosen one, else the company's, if it is installed."""
        self.ensure_one()
        installed = dict(self.env["res.lang"].get_installed())
        return next((code for code in (self.iused_lang, self.partner_id.lang) if code in installed), "en_US")

    def _iused_ensure_user(self):
        """Return the company's iUsed user, one that can be used; made when there is none.

        A portal user without a password: it takes no licence, cannot log in, and reaches nothing but our routes.
        """
        self.ensure_one()
        if not self.iused_user_id.active:
            self.iused_user_id = self._iused_revive_user() or self._iused_create_user()
        return self.iused_user_id

    def _iused_revive_user(self):
        """Return the company's own user from before, such as before a reinstallation, or none.

        Whatever keys it had then open nothing any more: that it was archived or taken away had ended them.
        """
        # An administrator of settings need not be one of users.
        users_sudo = self.env["res.users"].sudo().with_context(active_test=False)
        candidates_sudo = self.iused_user_id.sudo() | users_sudo.search([("login", "=", self._iused_login())])
        user_sudo = candidates_sudo.filtered(self._iused_is_own_user)[:1]
        if user_sudo:
            user_sudo.active = True
            self.env["res.users.apikeys"].sudo().search([("user_id", "=", user_sudo.id)]).unlink()
        return user_sudo.with_env(self.env)

    def _iused_is_own_user(self, user_sudo):
        """Tell whether a user is one that was made here: anybody may have taken its login, and know its password."""
        # The password is a column that no field reads.
        (has_password,) = self.env.execute_query(
            SQL("SELECT COALESCE(password, '') != '' FROM res_users WHERE id = %s", user_sudo.id)
        )[0]
        served = self.sudo().search([("iused_user_id", "=", user_sudo.id)])  # other companies, too
        return (
            not has_password
            and user_sudo.company_ids == self
            and user_sudo.group_ids == self.env.ref("base.group_portal")
            and served <= self
        )

    def _iused_create_user(self):
        """Return a new user for iUsed's calls."""
        # As above; the values are ours.
        users_sudo = self.env["res.users"].sudo().with_context(no_reset_password=True)
        login, number = self._iused_login(), 1
        while users_sudo.with_context(active_test=False).search_count([("login", "=", login)], limit=1):
            number += 1
            login = f"{self._iused_login()}-{number}"
        return users_sudo.create(
            {
                "name": f"iUsed ({self.name})",
                "login": login,
                "company_id": self.id,
                "company_ids": [fields.Command.set(self.ids)],
                "group_ids": [fields.Command.set(self.env.ref("base.group_portal").ids)],
                "tz": self.partner_id.tz or self.env.user.tz,
            }
        ).with_env(self.env)

    def _iused_login(self):
        return f"iused-{self.id}"

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
        """Return who takes care of what the connector cannot: the chosen user, else one that sells for the company."""
        self.ensure_one()
        chosen = (self.iused_responsible_id or self.iused_salesperson_id).filtered("active")
        if chosen:
            return chosen
        managers = self.env.ref("sale_iused.group_iused_manager").all_user_ids.filtered(
            lambda user: user.active and not user.share and self in user.company_ids
        )
        return managers.sorted("id")[:1] or self.env.ref("base.user_admin")
