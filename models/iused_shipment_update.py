import logging
import random
import uuid
from datetime import timedelta

import requests
from psycopg2.errors import SerializationFailure

from odoo import api, fields, models
from odoo.exceptions import AccessError
from odoo.fields import Domain

from ..tools.webhook import Outcome, send

_logger = logging.getLogger(__name__)

BATCH = 100  # updates looked up at a time
# Minutes until the next try, about three days in all: the schedule of Standard Webhooks.
RETRY_MINUTES = (1, 5, 30, 120, 300, 600, 840, 1200, 1440)
JITTER = 0.1  # of that time, so that many updates do not come back all at once


class IusedShipmentUpdate(models.Model):
    """Outbox: one device that left for a customer of iUsed, until iUsed knows.

    A row is written in the transaction of the delivery, and sent by the scheduled action alone, after commit: iUsed's
    troubles neither block nor slow a validation, and no crash loses an update.
    """

    _name = "iused.shipment.update"
    _description = "iUsed Shipment Update"
    _order = "id desc"
    _rec_name = "serial_number"

    order_id = fields.Many2one("sale.order", required=True, readonly=True, index=True, ondelete="cascade")
    company_id = fields.Many2one(related="order_id.company_id", store=True, index=True)
    picking_id = fields.Many2one(
        "stock.picking", string="Delivery", readonly=True, index="btree_not_null", ondelete="set null"
    )
    move_line_id = fields.Many2one("stock.move.line", readonly=True, index="btree_not_null", ondelete="set null")
    product_id = fields.Many2one("product.product", readonly=True, ondelete="restrict")
    serial_number = fields.Char("Serial Number / IMEI", readonly=True)
    tracking_reference = fields.Char(readonly=True)
    event_id = fields.Char(
        required=True,
        readonly=True,
        copy=False,
        default=lambda self: str(uuid.uuid4()),
        help="Sent with every try as Idempotency-Key, so that iUsed can tell a repeat from something new.",
    )
    state = fields.Selection(
        [
            ("waiting", "Waiting"),
            ("pending", "To send"),
            ("retry", "To retry"),
            ("stopped", "Stopped"),
            ("sent", "Sent"),
        ],
        string="Status",
        required=True,
        readonly=True,
        default="waiting",
        copy=False,
    )
    reason = fields.Char(compute="_compute_reason", help="Why iUsed does not know yet.")
    attempts = fields.Integer("Tries", readonly=True, copy=False)
    next_try = fields.Datetime(readonly=True, copy=False, default=fields.Datetime.now)
    last_answer = fields.Char(readonly=True, copy=False)
    sent_at = fields.Datetime("Sent", readonly=True, copy=False)

    _event_unique = models.UniqueIndex("(event_id)", "Two shipment updates cannot be the same event.")
    _due_index = models.Index("(company_id, id) WHERE state IN ('pending', 'retry')")

    @api.depends("state", "serial_number", "tracking_reference", "last_answer", "company_id")
    def _compute_reason(self):
        for update in self:
            update.reason = update._describe_trouble()

    def _describe_trouble(self):
        """Return in words why iUsed does not know of this device yet, or False when nothing is wrong."""
        self.ensure_one()
        if self.state in ("retry", "stopped"):
            return self.last_answer
        if self.state == "waiting" and not self.serial_number:
            return self.env._("There is no serial number.")
        if self.state == "waiting":
            return self.env._("There is no tracking reference yet.")
        if self.state == "pending" and not self.company_id.iused_webhook_is_set:
            return self.env._("The iUsed webhook URL is not set.")
        return False

    # Filling the outbox ----------------------------------------------------------------------------------------------

    @api.model_create_multi
    def create(self, vals_list):
        updates = super().create(vals_list)
        updates._release_complete()
        return updates

    def _release_complete(self):
        """Let the waiting updates that have all they need be sent."""
        complete = self.filtered(lambda u: u.state == "waiting" and u.serial_number and u.tracking_reference)
        if complete:
            complete.write({"state": "pending", "next_try": fields.Datetime.now()})
            self._trigger_cron()

    def _set_tracking_reference(self, reference):
        """Take a tracking reference that was written after the goods left, unless the update was tried already."""
        self.filtered(lambda u: u.state in ("waiting", "pending") and not u.attempts).tracking_reference = reference
        self._release_complete()

    @api.model
    def _trigger_cron(self, at=None):
        # Whoever validates a delivery has no rights on scheduled actions.
        self.env.ref("sale_iused.ir_cron_send_shipment_updates").sudo()._trigger(at=at)

    def action_send_now(self):
        """Try the selected updates again at once. They are sent by the scheduled action, as always."""
        if not self.env.user.has_group("stock.group_stock_user") and not self.env.user.has_group(
            "sales_team.group_sale_salesman"
        ):
            raise AccessError(self.env._("Only warehouse and sales users can do this."))
        self.check_access("read")
        # Nobody may write the outbox by hand; this is the one thing that may be asked of it.
        updates_sudo = self.sudo().filtered(lambda u: u.state in ("pending", "retry", "stopped"))
        updates_sudo.write({"state": "pending", "attempts": 0, "next_try": fields.Datetime.now()})
        self._trigger_cron()

    # Sending ---------------------------------------------------------------------------------------------------------

    @api.model
    def _due_domain(self):
        return Domain("state", "in", ("pending", "retry")) & Domain("next_try", "<=", fields.Datetime.now())

    @api.model
    def _cron_send(self):
        """Send what is due, company by company, one commit per update."""
        counts = self._read_group(self._due_domain(), ["company_id"], ["__count"])
        counts = [(company, count) for company, count in counts if company.sudo().iused_webhook_url]
        self.env["ir.cron"]._commit_progress(remaining=sum(count for _company, count in counts))
        for company, _count in counts:
            with requests.Session() as session:
                # The scheduled action runs as the superuser; the address is closed to everybody else.
                self._send_company(company.sudo(), session)
        self.env["ir.cron"]._commit_progress(remaining=0)
        later = self.search([("state", "=", "retry")], order="next_try", limit=1)
        if later:
            self._trigger_cron(at=max(later.next_try, fields.Datetime.now()))

    @api.model
    def _send_company(self, company_sudo, session):
        """Send a company's due updates in the order in which they were made.

        The run ends for this company where the portal cannot be reached: one time-out is enough to know.
        """
        last_id = 0
        while updates := self.search(
            self._due_domain() & Domain("company_id", "=", company_sudo.id) & Domain("id", ">", last_id),
            order="id",
            limit=BATCH,
        ):
            for update in updates:
                last_id = update.id
                if not update._lock_if_due():
                    continue
                outcome = update._send(company_sudo, session)
                if not self.env["ir.cron"]._commit_progress(1) or not outcome.reached:
                    return

    def _lock_if_due(self):
        """Lock the row for this transaction, unless another worker has it or has sent it already."""
        try:
            with self.env.cr.savepoint():
                return self.try_lock_for_update().filtered_domain(self._due_domain())
        except SerializationFailure:
            return self.browse()  # it was changed since we looked

    def _send(self, company_sudo, session):
        """Send one update and write down what came of it.

        :rtype: tools.webhook.Outcome
        """
        self.ensure_one()
        outcome = send(session, company_sudo.iused_webhook_url, self._prepare_body(), self.event_id)
        self.write(self._prepare_result(outcome))
        _logger.info("iUsed shipment update %s: %s", self.event_id, outcome.text)
        return outcome

    def _prepare_body(self):
        """Return what iUsed is told: the guide's "Required fields in the JSON body"."""
        self.ensure_one()
        return {
            "serial_number": self.serial_number,
            "track_and_trace": self.tracking_reference,
            "external_order_id": self.order_id.name,
        }

    @api.model
    def _prepare_example(self):
        """Return a body as `_prepare_body` makes them, for the document of our contract."""
        order = self.env["sale.order"].new({"name": "S00042"})
        example = self.new({"serial_number": "356938035643809", "tracking_reference": "3SABC123", "order_id": order.id})
        return example._prepare_body()

    def _prepare_result(self, outcome):
        """Return the values that a try leaves."""
        self.ensure_one()
        now = fields.Datetime.now()
        values = {"attempts": self.attempts + 1, "last_answer": outcome.text, "next_try": False}
        if outcome.verdict == Outcome.ACCEPTED:
            return {**values, "state": "sent", "sent_at": now}
        if outcome.verdict == Outcome.REFUSED or self.attempts >= len(RETRY_MINUTES):
            return {**values, "state": "stopped"}
        delay = RETRY_MINUTES[self.attempts] * 60 * random.uniform(1, 1 + JITTER)
        return {**values, "state": "retry", "next_try": now + timedelta(seconds=max(delay, outcome.retry_after or 0))}
