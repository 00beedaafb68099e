from odoo import api, fields, models
from odoo.exceptions import AccessError

from ..tools import sftp

SHOWN = 5  # addresses that iUsed called from


class ResConfigSettings(models.TransientModel):
    _inherit = "res.config.settings"

    iused_user_id = fields.Many2one(related="company_id.iused_user_id", readonly=False)
    iused_networks = fields.Text(related="company_id.iused_networks", readonly=False)
    iused_seen_addresses = fields.Char(compute="_compute_iused_seen_addresses")
    iused_partner_id = fields.Many2one(related="company_id.iused_partner_id", readonly=False)
    iused_partner_lacks_vat = fields.Boolean(compute="_compute_iused_partner_lacks_vat")
    iused_warehouse_ids = fields.Many2many(related="company_id.iused_warehouse_ids", readonly=False)
    iused_stock_buffer = fields.Integer(related="company_id.iused_stock_buffer", readonly=False)
    iused_purchase_pricelist_id = fields.Many2one(related="company_id.iused_purchase_pricelist_id", readonly=False)
    iused_consumer_pricelist_id = fields.Many2one(related="company_id.iused_consumer_pricelist_id", readonly=False)
    iused_lang = fields.Selection(related="company_id.iused_lang", readonly=False)
    iused_order_policy = fields.Selection(related="company_id.iused_order_policy", readonly=False)
    iused_shortage_policy = fields.Selection(related="company_id.iused_shortage_policy", readonly=False)
    iused_withdrawn_policy = fields.Selection(related="company_id.iused_withdrawn_policy", readonly=False)
    iused_price_tolerance = fields.Float(related="company_id.iused_price_tolerance", readonly=False)
    iused_most_orders = fields.Integer(related="company_id.iused_most_orders", readonly=False)
    iused_most_value = fields.Monetary(related="company_id.iused_most_value", readonly=False)
    iused_salesperson_id = fields.Many2one(related="company_id.iused_salesperson_id", readonly=False)
    iused_team_id = fields.Many2one(related="company_id.iused_team_id", readonly=False)
    iused_carrier_id = fields.Many2one(related="company_id.iused_carrier_id", readonly=False)
    iused_fee = fields.Selection(related="company_id.iused_fee", readonly=False)
    iused_fee_product_id = fields.Many2one(related="company_id.iused_fee_product_id", readonly=False)
    iused_fee_amount = fields.Float(related="company_id.iused_fee_amount", readonly=False)
    iused_invoice_automatically = fields.Boolean(related="company_id.iused_invoice_automatically", readonly=False)
    iused_withdrawal_days = fields.Integer(related="company_id.iused_withdrawal_days", readonly=False)
    iused_warranty_months = fields.Integer(related="company_id.iused_warranty_months", readonly=False)
    iused_quarantine_location_id = fields.Many2one(related="company_id.iused_quarantine_location_id", readonly=False)
    iused_repair_location_id = fields.Many2one(related="company_id.iused_repair_location_id", readonly=False)
    iused_tell_exchanges = fields.Boolean(related="company_id.iused_tell_exchanges", readonly=False)
    iused_grade_attribute_id = fields.Many2one(related="company_id.iused_grade_attribute_id", readonly=False)
    iused_retention_days = fields.Integer(related="company_id.iused_retention_days", readonly=False)
    iused_anonymize_months = fields.Integer(related="company_id.iused_anonymize_months", readonly=False)
    iused_responsible_id = fields.Many2one(related="company_id.iused_responsible_id", readonly=False)
    iused_grouping = fields.Selection(related="company_id.iused_grouping", readonly=False)
    iused_webhook_method = fields.Selection(related="company_id.iused_webhook_method", readonly=False)
    iused_key_serial = fields.Char(related="company_id.iused_key_serial", readonly=False)
    iused_key_tracking = fields.Char(related="company_id.iused_key_tracking", readonly=False)
    iused_key_order = fields.Char(related="company_id.iused_key_order", readonly=False)
    iused_extra_keys = fields.Boolean(related="company_id.iused_extra_keys", readonly=False)
    iused_waiting_hours = fields.Integer(related="company_id.iused_waiting_hours", readonly=False)
    iused_notify_consumers = fields.Boolean(related="company_id.iused_notify_consumers", readonly=False)
    iused_sending_stopped = fields.Char(related="company_id.iused_sending_stopped")
    iused_sending_stopped_at = fields.Datetime(related="company_id.iused_sending_stopped_at")
    iused_webhook_is_set = fields.Boolean(related="company_id.iused_webhook_is_set")
    iused_webhook_is_lost = fields.Boolean(related="company_id.iused_webhook_is_lost")
    iused_webhook_tested_at = fields.Datetime(related="company_id.iused_webhook_tested_at")
    iused_watch_poll_hours = fields.Integer(related="company_id.iused_watch_poll_hours", readonly=False)
    iused_watch_order_days = fields.Integer(related="company_id.iused_watch_order_days", readonly=False)
    iused_watch_open_hours = fields.Integer(related="company_id.iused_watch_open_hours", readonly=False)
    iused_watch_offers = fields.Integer(related="company_id.iused_watch_offers", readonly=False)
    # Write-only: taken from the form, kept on the company, never read back into the form.
    iused_new_webhook_url = fields.Char(
        "iUsed Webhook URL",
        store=False,
        inverse="_inverse_iused_new_webhook_url",
        compute="_compute_iused_new_webhook_url",
    )
    iused_token_ids = fields.Many2many("res.users.apikeys", compute="_compute_iused_token_ids")
    iused_offers_url = fields.Char("Address of the Offers", compute="_compute_iused_urls")
    iused_orders_url = fields.Char("Address for Orders", compute="_compute_iused_urls")

    iused_sftp_location_id = fields.Many2one("iused.sftp.location", compute="_compute_iused_sftp_location_id")
    iused_sftp_state = fields.Selection(related="iused_sftp_location_id.state")
    iused_sftp_last_upload = fields.Datetime(related="iused_sftp_location_id.last_upload")
    iused_sftp_last_error = fields.Char(related="iused_sftp_location_id.last_error")
    iused_sftp_is_available = fields.Boolean(compute="_compute_iused_sftp_is_available")

    @api.depends("iused_partner_id.vat", "iused_partner_id.country_id")
    def _compute_iused_partner_lacks_vat(self):
        for settings in self:
            partner = settings.iused_partner_id
            settings.iused_partner_lacks_vat = bool(partner) and not (partner.vat and partner.country_id)

    @api.depends("company_id")
    def _compute_iused_new_webhook_url(self):
        self.iused_new_webhook_url = False

    def _inverse_iused_new_webhook_url(self):
        """Keep a webhook URL that was typed; an empty field leaves the one that is set as it is."""
        for settings in self.filtered("iused_new_webhook_url"):
            # The field is closed to everybody; only administrators reach the settings.
            settings.company_id.sudo().iused_webhook_url = settings.iused_new_webhook_url.strip()
        # What was typed would be read from the cache, by the answer to the browser.
        self.invalidate_recordset(["iused_new_webhook_url"], flush=False)

    @api.depends("company_id", "iused_user_id")
    def _compute_iused_token_ids(self):
        for settings in self:
            keys = self.env["res.users.apikeys"]
            settings.iused_token_ids = keys.search(keys._iused_domain(settings.company_id.iused_user_id))

    @api.depends("company_id")
    def _compute_iused_seen_addresses(self):
        for settings in self:
            # An administrator need not be a user of iUsed's log.
            exchanges_sudo = self.env["iused.exchange"].sudo()
            settings.iused_seen_addresses = ", ".join(exchanges_sudo._seen_addresses(settings.company_id)[:SHOWN])

    @api.depends("company_id")
    def _compute_iused_urls(self):
        for settings in self:
            addresses = self.env["iused.connection"]._addresses(settings.company_id)
            settings.iused_offers_url = addresses["offers"]
            settings.iused_orders_url = addresses["orders"]

    def _check_iused_administrator(self):
        """:raises AccessError: for who may not change settings; a button can be called without them"""
        if not self.env.is_system():
            raise AccessError(self.env._("Only administrators can connect a company to iUsed."))

    def action_iused_make_token(self):
        """Ask for the name and the end of an access token for iUsed, which is made then."""
        self._check_iused_administrator()
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("New Access Token for iUsed"),
            "res_model": "iused.token.new",
            "views": [(False, "form")],
            "target": "new",
        }

    def action_iused_forget_webhook(self):
        """Take the webhook URL away: shipment updates wait until there is a new one."""
        self._check_iused_administrator()
        self.env.company.sudo().iused_webhook_url = False  # closed to everybody; only administrators get here
        return {"type": "ir.actions.client", "tag": "soft_reload"}

    def action_iused_test_webhook(self):
        """Ask the webhook's address whether it is there; nothing is reported to iUsed."""
        self._check_iused_administrator()
        return self._notify_iused(*self.env["iused.connection"]._test_webhook(self.env.company))

    def action_iused_test_addresses(self):
        """Call our own addresses as iUsed would."""
        self._check_iused_administrator()
        return self._notify_iused(*self.env["iused.connection"]._test_addresses(self.env.company))

    def _notify_iused(self, kind, text):
        return {
            "type": "ir.actions.client",
            "tag": "display_notification",
            "params": {
                "type": kind,
                "message": text,
                "sticky": kind != "success",  # it may take a while to read
                "next": {"type": "ir.actions.client", "tag": "soft_reload"},
            },
        }

    def action_iused_share(self):
        """Open the page for iUsed's IT."""
        return self.env["iused.connection"].action_share()

    def action_iused_resume_sending(self):
        """Send shipment updates again after iUsed shut the company out."""
        self.env.company.action_iused_resume_sending()
        return {"type": "ir.actions.client", "tag": "soft_reload"}

    def action_iused_make_quarantine(self):
        """Make a place for devices that came back, beside the stock."""
        self._check_iused_administrator()
        self.env.company._iused_make_quarantine()
        return {"type": "ir.actions.client", "tag": "soft_reload"}

    # sFTP ------------------------------------------------------------------------------------------------------------

    @api.depends("company_id")
    def _compute_iused_sftp_location_id(self):
        for settings in self:
            settings.iused_sftp_location_id = self.env["iused.sftp.location"].search(
                [("company_id", "=", settings.company_id.id)]
            )

    def _compute_iused_sftp_is_available(self):
        self.iused_sftp_is_available = sftp.is_available()

    def action_iused_set_up_sftp(self):
        """Open the company's sFTP location."""
        self._check_iused_administrator()
        return self.env["iused.sftp.location"].action_open()
