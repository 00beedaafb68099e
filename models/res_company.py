from urllib.parse import urlsplit

from odoo import api, fields, models
from odoo.exceptions import AccessError, ValidationError
from odoo.orm.models import NO_ACCESS
from odoo.tools import SQL
from odoo.tools.misc import formatLang

from ..const import LOOPBACK_HOSTS
from ..tools.masking import mask_path
from ..tools.networks import parse_networks

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
# What must not be another company's. Users may lose their access to a company later, and are looked at when needed.
OF_THE_COMPANY = (
    "iused_partner_id",
    "iused_purchase_pricelist_id",
    "iused_consumer_pricelist_id",
    "iused_team_id",
    "iused_carrier_id",
)
# The least and the most that a limit may be. More than years of hours is a slip, and no moment that can be reckoned.
LIMITS = {
    "iused_retention_days": (1, 3_650),
    "iused_anonymize_months": (0, 600),
    "iused_waiting_hours": (0, 87_600),
    "iused_watch_poll_hours": (0, 87_600),
    "iused_watch_order_days": (0, 3_650),
    "iused_watch_open_hours": (0, 87_600),
    "iused_watch_offers": (0, 1_000_000),
    "iused_most_orders": (0, 1_000_000),
    "iused_most_value": (0, 1_000_000_000),
    "iused_withdrawal_days": (0, 3_650),
    "iused_warranty_months": (0, 120),
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
        domain=[("share", "=", True)],
        help="The user that iUsed's calls act as. Made with the first access token; it needs no rights of its own.",
        prefetch="iused",
        groups="base.group_user",
    )
    iused_networks = fields.Text(
        "iUsed's Networks",
        help="The addresses and networks that iUsed's calls may come from. Empty means any.",
        prefetch="iused",
        groups="base.group_user",
    )
    iused_partner_id = fields.Many2one(
        "res.partner",
        string="iUsed as Customer",
        ondelete="restrict",
        check_company=True,
        domain="[('company_id', 'in', (False, id))]",
        help="The customer of iUsed's orders: it is invoiced, while the goods go to the consumer.",
        prefetch="iused",
        groups="base.group_user",
    )
    iused_warehouse_ids = fields.Many2many(
        "stock.warehouse",
        "res_company_iused_warehouse_rel",
        "company_id",
        "warehouse_id",
        string="iUsed Warehouses",
        help="The warehouses whose stock is offered, and which deliver. None chosen means all of the company's.",
        groups="base.group_user",
    )
    iused_stock_buffer = fields.Integer(
        "iUsed Stock Buffer",
        help="Pieces of each product that are kept back: iUsed is told so many fewer.",
        prefetch="iused",
        groups="base.group_user",
    )
    iused_purchase_pricelist_id = fields.Many2one(
        "product.pricelist",
        string="iUsed Purchase Pricelist",
        check_company=True,
        help="What iUsed pays for a product that has no iUsed purchase price of its own.",
        prefetch="iused",
        groups="base.group_user",
    )
    iused_consumer_pricelist_id = fields.Many2one(
        "product.pricelist",
        string="iUsed Consumer Pricelist",
        check_company=True,
        help="The recommended price for the consumer of a product that has no iUsed consumer price of its own.",
        prefetch="iused",
        groups="base.group_user",
    )
    iused_lang = fields.Selection(
        lambda self: self.env["res.lang"].get_installed(),
        string="iUsed Language",
        help="The language of the names that iUsed is told. Empty means the company's.",
        prefetch="iused",
        groups="base.group_user",
    )
    iused_order_policy = fields.Selection(
        [("confirm", "Confirm at once"), ("quotation", "Leave as quotation")],
        string="iUsed Orders",
        default="confirm",
        required=True,
        prefetch="iused",
        groups="base.group_user",
    )
    iused_shortage_policy = fields.Selection(
        [("accept", "Accept the order and warn"), ("refuse", "Refuse the order")],
        string="When Stock Is Short for iUsed",
        default="accept",
        required=True,
        prefetch="iused",
        groups="base.group_user",
    )
    iused_withdrawn_policy = fields.Selection(
        [("quotation", "Leave the order as quotation and warn"), ("refuse", "Refuse the order")],
        string="When a Product Is Not Offered to iUsed",
        default="quotation",
        required=True,
        help="Of products with an iUsed purchase price. An order of others that are not offered is always refused.",
        prefetch="iused",
        groups="base.group_user",
    )
    iused_price_tolerance = fields.Float(
        "iUsed Price Tolerance (%)",
        help="An order whose prices differ from our offer by more becomes a quotation, for a person to check.",
        prefetch="iused",
        groups="base.group_user",
    )
    # What a thief of the key, or a mistake at iUsed, can have confirmed in 24 hours. 0 means no limit: what is usual
    # only the company knows, and a guess would keep consumers waiting.
    iused_most_orders = fields.Integer(
        "Most iUsed Orders in 24 Hours",
        help="Orders of iUsed beyond that stay quotations, for a person to confirm. 0: no limit.",
        prefetch="iused",
        groups="base.group_user",
    )
    iused_most_value = fields.Monetary(
        "Most Value of iUsed Orders in 24 Hours",
        help="Excluding VAT. Orders of iUsed beyond that stay quotations, for a person to confirm. 0: no limit.",
        prefetch="iused",
        groups="base.group_user",
    )
    iused_salesperson_id = fields.Many2one(
        "res.users",
        string="iUsed Salesperson",
        domain="[('share', '=', False), ('company_ids', 'in', id)]",
        help="Empty means the salesperson of the customer iUsed.",
        prefetch="iused",
        groups="base.group_user",
    )
    iused_team_id = fields.Many2one(
        "crm.team",
        string="iUsed Sales Team",
        check_company=True,
        domain="[('company_id', 'in', (False, id))]",
        help="Empty means the team that Odoo chooses.",
        prefetch="iused",
        groups="base.group_user",
    )
    iused_carrier_id = fields.Many2one(
        "delivery.carrier",
        string="iUsed Delivery Method",
        check_company=True,
        domain="[('company_id', 'in', (False, id))]",
        prefetch="iused",
        groups="base.group_user",
    )
    # What iUsed keeps back: shipping costs of an order, a levy of a device.
    iused_fee = fields.Selection(
        [("order", "For each order"), ("device", "For each device")],
        string="iUsed Fee",
        help="What iUsed keeps back. It is a line of each new order, with a negative amount.",
        prefetch="iused",
        groups="base.group_user",
    )
    iused_fee_product_id = fields.Many2one(
        "product.product",
        string="iUsed Fee Product",
        domain="[('type', '=', 'service'), ('company_id', 'in', (False, id))]",
        ondelete="restrict",
        help="The service that stands for the fee on orders and invoices; its taxes and account are taken.",
        prefetch="iused",
        groups="base.group_user",
    )
    iused_fee_amount = fields.Float(
        "iUsed Fee Amount",
        digits="Product Price",
        help="Excluding VAT.",
        prefetch="iused",
        groups="base.group_user",
    )
    # What the columns of iUsed's own statement are called, by what they hold.
    iused_statement_columns = fields.Json(prefetch="iused", groups="base.group_user")
    iused_invoice_automatically = fields.Boolean(
        "Invoice iUsed When Delivered",
        help="Each order is invoiced by itself once all of it left. Off: the invoices of a period are made at once.",
        prefetch="iused",
        groups="base.group_user",
    )
    # What the returns desk says of a device, and where it may go. 0 means that there are no such terms.
    iused_withdrawal_days = fields.Integer(
        "Withdrawal (days)",
        default=14,
        help="For so many days after it left, the desk says that a consumer may withdraw. The law's 14 days begin "
        "when the consumer has the goods.",
        prefetch="iused",
        groups="base.group_user",
    )
    iused_warranty_months = fields.Integer(
        "Warranty (months)",
        default=24,
        help="For so many months after it left, the desk says that a device is under warranty.",
        prefetch="iused",
        groups="base.group_user",
    )
    iused_quarantine_location_id = fields.Many2one(
        "stock.location",
        string="iUsed Quarantine",
        ondelete="restrict",
        domain="[('usage', '=', 'internal'), ('company_id', '=', id)]",
        help="Where devices that came back wait to be looked at. They are not for sale there.",
        prefetch="iused",
        groups="base.group_user",
    )
    iused_repair_location_id = fields.Many2one(
        "stock.location",
        string="iUsed Repair",
        ondelete="restrict",
        domain="[('usage', '=', 'internal'), ('company_id', '=', id)]",
        help="Where devices that came back are mended. They are not for sale there.",
        prefetch="iused",
        groups="base.group_user",
    )
    iused_tell_exchanges = fields.Boolean(
        "Tell iUsed of Exchanges",
        help="A device that replaces another is told to iUsed, as a correction. Only where iUsed has agreed to that.",
        prefetch="iused",
        groups="base.group_user",
    )
    iused_grade_attribute_id = fields.Many2one(
        "product.attribute",
        string="Attribute of the Grade",
        ondelete="set null",
        help="By which returns are counted as grades. Empty where each grade is a product of its own.",
        prefetch="iused",
        groups="base.group_user",
    )
    iused_responsible_id = fields.Many2one(
        "res.users",
        string="Responsible for iUsed",
        domain="[('share', '=', False), ('company_ids', 'in', id)]",
        help="Who gets an activity when something needs a person. Empty means the salesperson, else an iUsed manager.",
        prefetch="iused",
        groups="base.group_user",
    )
    iused_retention_days = fields.Integer(
        "Keep iUsed Log (days)",
        default=90,
        required=True,
        help="Exchanges with iUsed and shipment updates that were sent are deleted after so many days: 1 to 3,650.",
        prefetch="iused",
        groups="base.group_user",
    )
    iused_anonymize_months = fields.Integer(
        "Months Until Consumers Are Anonymous",
        help="Consumers whose orders left longer ago, and of whom nothing is open, are made anonymous. 0 means never.",
        prefetch="iused",
        groups="base.group_user",
    )
    # When somebody is told. 0 means never.
    iused_watch_poll_hours = fields.Integer(
        "Hours Without a Poll",
        default=2,
        help="Tell when iUsed did not fetch the offers for so many hours.",
        prefetch="iused",
        groups="base.group_user",
    )
    iused_watch_order_days = fields.Integer(
        "Days Without an Order",
        default=7,
        help="Tell when iUsed placed no order for so many days.",
        prefetch="iused",
        groups="base.group_user",
    )
    iused_watch_open_hours = fields.Integer(
        "Hours That an Order Is Open",
        default=48,
        help="Tell when an order of iUsed has not left after so many hours.",
        prefetch="iused",
        groups="base.group_user",
    )
    iused_watch_offers = fields.Integer(
        "Least Offers with Stock",
        default=1,
        help="Tell when iUsed is offered fewer products that are in stock.",
        prefetch="iused",
        groups="base.group_user",
    )
    # The address is the secret: whoever knows it can report shipments. It is taken, kept in `iused.secret`, and never
    # given back, administrators included.
    iused_webhook_url = fields.Char(
        "iUsed Webhook URL",
        groups=NO_ACCESS,
        copy=False,
        compute="_compute_iused_webhook_url",
        inverse="_inverse_iused_webhook_url",
    )
    iused_webhook_is_set = fields.Boolean(compute="_compute_iused_webhook_is_set", groups="base.group_user")
    iused_webhook_is_lost = fields.Boolean(
        compute="_compute_iused_webhook_is_lost",
        groups="base.group_user",
        help="There is an address, but no key of this server opens it.",
    )
    iused_webhook_tested_at = fields.Datetime(
        "iUsed Webhook Tested", readonly=True, copy=False, prefetch="iused", groups="base.group_user"
    )

    # How shipments are told
    iused_grouping = fields.Selection(
        [("device", "One update for each device"), ("delivery", "One update for each delivery, with a list")],
        string="iUsed Shipment Updates",
        default="device",
        required=True,
        groups="base.group_user",
    )
    iused_webhook_method = fields.Selection(
        [("POST", "POST"), ("PUT", "PUT"), ("PATCH", "PATCH")],
        string="iUsed Webhook Method",
        default="POST",
        required=True,
        prefetch="iused",
        groups="base.group_user",
    )
    iused_key_serial = fields.Char(
        "Key of the Serial Number", default="serial_number", required=True, prefetch="iused", groups="base.group_user"
    )
    iused_key_tracking = fields.Char(
        "Key of the Tracking Reference",
        default="track_and_trace",
        required=True,
        prefetch="iused",
        groups="base.group_user",
    )
    iused_key_order = fields.Char(
        "Key of the Order Number",
        default="external_order_id",
        required=True,
        prefetch="iused",
        groups="base.group_user",
    )
    iused_extra_keys = fields.Boolean(
        "Optional iUsed Keys",
        help="Tell carrier, tracking link, SKU, iUsed's line and the moment of shipment too, and mark corrections.",
        prefetch="iused",
        groups="base.group_user",
    )
    iused_waiting_hours = fields.Integer(
        "iUsed Waiting Limit (hours)",
        default=24,
        required=True,
        help="An update that waits longer for its serial number or tracking reference raises an activity. 0: none.",
        prefetch="iused",
        groups="base.group_user",
    )
    iused_notify_consumers = fields.Boolean(
        "Odoo Writes to iUsed's Consumers",
        help="Send iUsed's consumers Odoo's own text messages and e-mails about deliveries. iUsed tells them itself.",
        groups="base.group_user",
    )
    iused_sending_stopped = fields.Char(
        readonly=True,
        copy=False,
        help="Why no shipment update is sent: iUsed's answer that shut the company out.",
        prefetch="iused",
        groups="base.group_user",
    )
    iused_sending_stopped_at = fields.Datetime(
        "Sending Stopped", readonly=True, copy=False, prefetch="iused", groups="base.group_user"
    )

    _iused_user_unique = models.UniqueIndex(
        "(iused_user_id) WHERE iused_user_id IS NOT NULL",
        "An iUsed user serves one company only: each company needs one of its own.",
    )

    _iused_stock_buffer_not_negative = models.Constraint(
        "CHECK (iused_stock_buffer >= 0)", "The stock buffer cannot be negative."
    )

    def _compute_iused_webhook_url(self):
        self.iused_webhook_url = False

    def _inverse_iused_webhook_url(self):
        for company in self:
            self.env["iused.secret"]._put(company, "iused_webhook_url", company.iused_webhook_url)
        # What was written would be read from the cache until the end of the transaction.
        self.invalidate_recordset(["iused_webhook_url", "iused_webhook_is_set", "iused_webhook_is_lost"], flush=False)

    @api.depends("iused_webhook_url")
    def _compute_iused_webhook_is_set(self):
        names = self.env["iused.secret"]._find_names(self)
        for company in self:
            company.iused_webhook_is_set = "iused_webhook_url" in names.get(company._origin.id, ())

    @api.depends("iused_webhook_url")
    def _compute_iused_webhook_is_lost(self):
        for company in self:
            company.iused_webhook_is_lost = bool(company._origin) and self.env["iused.secret"]._is_lost(
                company._origin, "iused_webhook_url"
            )

    def _iused_webhook_address(self):
        """Return the webhook's address, which leaves in a call alone; None where there is none, or it is lost."""
        return self.env["iused.secret"]._take_or_none(self, "iused_webhook_url")

    @api.constrains("iused_webhook_url")
    def _check_iused_webhook_url(self):
        """:raises ValidationError: naming what is wrong, without repeating the address"""
        for address in filter(None, (company._iused_webhook_address() for company in self)):
            try:
                # A backslash ends the host for `requests`, but not for `urlsplit`, and so not in what people are shown.
                url = urlsplit("" if "\\" in address else address)
                url.port  # noqa: B018 - reading it raises where it is no number
            except ValueError:
                url = urlsplit("")
            if url.scheme not in ("http", "https") or not url.hostname:
                raise ValidationError(self.env._("The webhook URL must be a whole address that starts with https://."))
            if url.scheme == "http" and url.hostname not in LOOPBACK_HOSTS:
                raise ValidationError(
                    self.env._("The webhook URL must start with https://: it carries a secret token.")
                )
            self.env["iused.connection"]._check_host(url.hostname)

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
            if not company.iused_user_id.share:
                raise ValidationError(
                    self.env._(
                        "%s is an internal user and cannot be iUsed's: who has the key would act with that user's"
                        " rights. Make an access token, and a user without rights is made with it.",
                        company.iused_user_id.name,
                    )
                )

    @api.constrains("iused_networks")
    def _check_iused_networks(self):
        for company in self:
            try:
                parse_networks(company.iused_networks)
            except ValueError as error:
                raise ValidationError(
                    self.env._(
                        "“%s” is neither an IP address nor a network with its first address, such as 203.0.113.9,"
                        " 203.0.113.0/24 or 2001:db8::/48.",
                        error,
                    )
                ) from error

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

    @api.constrains(*OF_THE_COMPANY)
    def _check_iused_companies(self):
        """:raises UserError: for what belongs to another company; Odoo asks this of companies by itself nowhere"""
        self._check_company(OF_THE_COMPANY)

    @api.constrains("iused_quarantine_location_id", "iused_repair_location_id")
    def _check_iused_return_locations(self):
        for company in self:
            for location in (company.iused_quarantine_location_id, company.iused_repair_location_id):
                company._iused_check_aside(location)

    def _iused_check_aside(self, location):
        """Check that what lies in a location is not for sale.

        :raises ValidationError: where it is below the stock of a warehouse, which is offered, or not the company's own
        """
        self.ensure_one()
        if location and (location.company_id != self or location.usage != "internal"):
            raise ValidationError(
                self.env._(
                    "%(location)s is no internal location of %(company)s.",
                    location=location.display_name,
                    company=self.name,
                )
            )
        warehouses_sudo = self.env["stock.warehouse"].sudo().search([("company_id", "=", self.id)])
        for stock in warehouses_sudo.lot_stock_id if location else ():
            if location._child_of(stock):
                raise ValidationError(
                    self.env._(
                        "%(location)s belongs to %(stock)s, which is for sale. Choose one beside it, not inside.",
                        location=location.display_name,
                        stock=stock.display_name,
                    )
                )

    def _iused_make_quarantine(self):
        """Return the company's quarantine; made beside the stock of its first warehouse when there is none."""
        self.ensure_one()
        if not self.iused_quarantine_location_id:
            # An administrator of settings need not be one of stock.
            company_sudo = self.sudo()
            company_sudo.iused_quarantine_location_id = company_sudo.env["stock.location"].create(
                {
                    "name": self.env._("Quarantine"),
                    "usage": "internal",
                    "location_id": company_sudo._iused_warehouses()[:1].view_location_id.id,
                    "company_id": self.id,
                }
            )
        return self.iused_quarantine_location_id

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

    @api.model_create_multi
    def create(self, vals_list):
        companies = super().create(vals_list)
        self.env["iused.change"]._note_created(companies, vals_list)
        return companies

    def write(self, vals):
        settings = WEBHOOK_SETTINGS & vals.keys()
        changed = self.filtered(lambda company: any(company._iused_differs(name, vals[name]) for name in settings))
        if "iused_webhook_url" in vals:
            vals = {**vals, "iused_webhook_tested_at": False}
        with self.env["iused.change"]._watching(self, vals):
            result = super().write(vals)
        if changed:
            # What waited for another address or other settings can be sent now.
            self.env["iused.shipment.sender"]._forget_blame(changed)
            changed._iused_resume_sending()
        return result

    def _iused_differs(self, name, value):
        if name == "iused_webhook_url":
            return self._iused_webhook_address() != (value or None)
        return self.sudo()[name] != value  # whoever may write may not read all

    # Sending shipment updates ----------------------------------------------------------------------------------------

    def _iused_can_send(self):
        """Tell whether there is an address to send shipment updates to, and nothing has stopped it."""
        self.ensure_one()
        return not self.iused_sending_stopped and bool(self._iused_webhook_address())

    def _iused_connection(self):
        """Return how shipment updates are sent: `url`, its `path` as it may be shown, `method` and `company_id`.

        :return: a dict, or None where nothing may be sent
        """
        self.ensure_one()
        url = not self.iused_sending_stopped and self._iused_webhook_address()
        if not url:
            return None
        return {"url": url, "path": mask_path(url), "method": self.iused_webhook_method, "company_id": self.id}

    def _iused_stop_sending(self, reason, url):
        """Stop all sending after an answer that shuts the company out.

        :param str url: the address that gave it; where it was replaced meanwhile, the answer means nothing
        :return: whether it was stopped by this call
        """
        self.ensure_one()
        company_sudo = self.sudo()  # the scheduled action's own finding, on a company that users may not write
        if self._iused_webhook_address() != url or company_sudo.iused_sending_stopped:
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

    # Limits ----------------------------------------------------------------------------------------------------------

    def _iused_has_limit(self):
        """Tell whether so many orders, or orders of such value, are confirmed in 24 hours and no more."""
        self.ensure_one()
        return bool(self.iused_most_orders or self.iused_most_value)

    def _iused_describe_limit(self):
        """Return that limit in words."""
        self.ensure_one()
        value = self.iused_most_value and formatLang(self.env, self.iused_most_value, currency_obj=self.currency_id)
        orders = self.iused_most_orders and self.env._("%s orders", self.iused_most_orders)
        return ", ".join(filter(None, (orders, value))) or "-"

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
        """Return the company's iUsed user, one that can be used; made when there is none, or one that became internal.

        A portal user without a password: it takes no licence, cannot log in, and reaches nothing but our routes.
        """
        self.ensure_one()
        if not self.iused_user_id.active or not self.iused_user_id.share:
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
        """Return who takes care of what the connector cannot: the chosen user, else one that sells for the company.

        Where nobody of the company can, it is the database's administrator, with or without access to the company.
        """
        self.ensure_one()
        managers, administrators = (
            self.env.ref(group).all_user_ids.sorted("id")
            for group in ("sale_iused.group_iused_manager", "base.group_system")
        )
        for users in (self.iused_responsible_id, self.iused_salesperson_id, managers, administrators):
            if able := self._iused_colleagues(users):
                return able[0]
        return self.env.ref("base.user_admin")

    def _iused_colleagues(self, users):
        """Return those of some users who work at this company: others must not learn of its affairs."""
        self.ensure_one()
        return users.filtered(lambda user: user.active and not user.share and self in user.company_ids)
