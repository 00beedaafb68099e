import json
import logging
import random
import time
import uuid
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial

import psycopg2
from markupsafe import Markup
from psycopg2.errors import DeadlockDetected, SerializationFailure

from odoo import SUPERUSER_ID, api, fields, models
from odoo.exceptions import AccessError, UserError
from odoo.fields import Domain
from odoo.modules.registry import Registry

from ..tools.webhook import Outcome, Webhook

_logger = logging.getLogger(__name__)

BATCH = 100  # updates looked up at a time
TURN = 2  # seconds after which the next company has its turn
PROGRESS_SECONDS = 0.5  # after which the scheduled action's progress is written down; each update has its own commit
VACUUM_BATCH = 10_000  # rows deleted at a time
# Minutes until the next try, about three days in all: the schedule of Standard Webhooks.
RETRY_MINUTES = (1, 5, 30, 120, 300, 600, 840, 1200, 1440)
JITTER = 0.1  # of that time, so that many updates do not come back all at once
FAILURES_IN_A_ROW = 5  # errors of iUsed's server after which it is taken to be down
# Who validates a delivery does not wait for the scheduled action to be woken up. See `_wake_up`.
WAKER = ThreadPoolExecutor(max_workers=1, thread_name_prefix="iused-wake-cron")

LOCK_IF_UNCHANGED = """
    SELECT 1 FROM iused_shipment_update
     WHERE id = %s AND write_date = %s
       FOR NO KEY UPDATE SKIP LOCKED
"""
WRITE_RESULT = """
    UPDATE iused_shipment_update
       SET state = %(state)s, attempts = %(attempts)s, next_try = %(next_try)s, holds = %(holds)s,
           last_answer = %(last_answer)s, sent_at = %(sent_at)s, body = %(body)s,
           write_uid = %(uid)s, write_date = now() AT TIME ZONE 'UTC'
     WHERE id = %(update_id)s;
    INSERT INTO iused_exchange (company_id, kind, direction, method, path, status, duration, request_body, answer_body,
                                order_id, update_id, create_date, write_date)
    VALUES (%(company_id)s, 'shipment', 'out', %(method)s, %(path)s, %(status)s, %(duration)s, %(body)s, %(answer)s,
            %(order_id)s, %(update_id)s, now() AT TIME ZONE 'UTC', now() AT TIME ZONE 'UTC')
"""

STATES = [
    ("waiting", "Waiting"),
    ("pending", "To send"),
    ("retry", "To retry"),
    ("stopped", "Stopped"),
    ("sent", "Sent"),
    ("dropped", "Dropped"),
]
FARTHEST_FIRST = ("stopped", "retry", "waiting", "pending", "sent", "dropped")  # from being told


def _wake_up(database):
    """Have the scheduled action run, in a transaction of its own, after the one that wrote an update.

    The update's row is what is promised; this only saves it waiting for the scheduled action's interval.

    :param str database: its name
    """
    try:
        with Registry(database).cursor() as cr:
            api.Environment(cr, SUPERUSER_ID, {})["iused.shipment.update"]._send_cron_sudo()._trigger()
    except Exception:
        _logger.warning("Shipment updates wait for the scheduled action's next run", exc_info=True)


class IusedShipmentUpdate(models.Model):
    """Outbox: one device (or one delivery) that left for a customer of iUsed, until iUsed knows.

    A row is written in the transaction of the delivery, and sent by the scheduled action alone, after commit: iUsed's
    troubles neither block nor slow a validation, and no crash loses an update.
    """

    _name = "iused.shipment.update"
    _description = "iUsed Shipment Update"
    _order = "id desc"
    _rec_name = "serial_number"

    order_id = fields.Many2one("sale.order", required=True, readonly=True, index=True, ondelete="cascade")
    company_id = fields.Many2one("res.company", required=True, readonly=True)
    picking_id = fields.Many2one(
        "stock.picking", string="Delivery", readonly=True, index="btree_not_null", ondelete="set null"
    )
    move_line_id = fields.Many2one("stock.move.line", readonly=True, index="btree_not_null", ondelete="set null")
    product_id = fields.Many2one("product.product", readonly=True, ondelete="restrict")
    grouping = fields.Selection(
        [("device", "One device"), ("delivery", "One delivery")], required=True, readonly=True, default="device"
    )
    pieces = fields.Integer("Devices", required=True, readonly=True, default=1)
    serial_number = fields.Text("Serial Number / IMEI", readonly=True, help="Of several devices: one on each line.")
    tracking_reference = fields.Char(readonly=True)
    event_id = fields.Char(
        required=True,
        readonly=True,
        copy=False,
        default=lambda self: str(uuid.uuid4()),
        help="Sent with every try as Idempotency-Key, so that iUsed can tell a repeat from something new.",
    )
    state = fields.Selection(
        STATES,
        string="Status",
        required=True,
        readonly=True,
        default="waiting",
        copy=False,
    )
    reason = fields.Char(compute="_compute_reason", help="Why iUsed does not know yet.")
    attempts = fields.Integer("Tries", readonly=True, copy=False)
    next_try = fields.Datetime(readonly=True, copy=False, default=fields.Datetime.now)
    holds = fields.Boolean(
        "Holds the Company",
        readonly=True,
        copy=False,
        help="iUsed was down at the last try: until the next one nothing of the company is sent.",
    )
    last_answer = fields.Char(readonly=True, copy=False)
    sent_at = fields.Datetime("Sent", readonly=True, copy=False)
    drop_reason = fields.Char(readonly=True, copy=False)
    # What was sent at the first try is what is repeated: a repeat with another body would be no repeat.
    body = fields.Text(readonly=True, copy=False, groups="sale_iused.group_iused_manager")
    is_correction = fields.Boolean("Correction", readonly=True, copy=False)
    corrects_id = fields.Many2one(
        "iused.shipment.update",
        readonly=True,
        copy=False,
        index="btree_not_null",
        ondelete="set null",
    )
    correction_ids = fields.One2many("iused.shipment.update", "corrects_id", readonly=True, string="Corrected by")
    waited_too_long = fields.Boolean(readonly=True, copy=False, help="Somebody was told that it waits.")
    exchange_ids = fields.One2many("iused.exchange", "update_id", string="Attempts", readonly=True)

    _event_unique = models.UniqueIndex("(event_id)", "Two shipment updates cannot be the same event.")
    _due_index = models.Index("(company_id, id) WHERE state IN ('pending', 'retry')")
    # Lists of serial numbers can be longer than an index takes.
    _serial_index = models.Index("(serial_number) WHERE grouping = 'device'")
    _waiting_index = models.Index("(company_id, create_date) WHERE state = 'waiting'")

    @api.depends("state", "serial_number", "tracking_reference", "last_answer", "drop_reason", "company_id")
    def _compute_reason(self):
        for update in self:
            update.reason = update._describe_trouble()

    @api.depends("serial_number", "order_id")
    def _compute_display_name(self):
        for update in self:
            update.display_name = update.serial_number or update.order_id.name

    def _describe_trouble(self):
        """Return in words why iUsed does not know of this device yet, or False when nothing is wrong."""
        self.ensure_one()
        if self.state == "dropped":
            return self.drop_reason
        if self.state in ("retry", "stopped"):
            return self.last_answer
        if self.state == "waiting" and not self._has_serials():
            return self.env._("There is no serial number.")
        if self.state == "waiting":
            return self.env._("There is no tracking reference yet.")
        if self.state == "pending" and not self.company_id.iused_webhook_is_set:
            return self.env._("The iUsed webhook URL is not set.")
        if self.state == "pending" and self.company_id.iused_sending_stopped:
            return self.env._("Sending was stopped: %s", self.company_id.iused_sending_stopped)
        return False

    def _has_serials(self):
        """Tell whether each device has its serial number."""
        return len(self._serials()) == self.pieces

    def _serials(self):
        """Return the serial numbers, a list of str."""
        return (self.serial_number or "").splitlines()

    # Filling the outbox ----------------------------------------------------------------------------------------------

    @api.model
    def _enqueue(self, move_lines):
        """Write the updates of devices that left, as the company wants them: one for each, or one for a delivery.

        :param move_lines: done `stock.move.line` of iUsed orders
        """
        values = []
        for (order, picking), lines in move_lines.grouped(
            lambda line: (line.move_id.sale_line_id.order_id, line.move_id.picking_id)
        ).items():
            common = {
                "order_id": order.id,
                "picking_id": picking.id,
                "tracking_reference": picking.carrier_tracking_ref or False,
                "grouping": order.company_id.iused_grouping,
            }
            devices = [(line, serial) for line in lines for serial in line._iused_serials()]
            if order.company_id.iused_grouping == "delivery":
                serials = "\n".join(serial for _line, serial in devices if serial)
                values.append({**common, "pieces": len(devices), "serial_number": serials or False})
            else:
                values += [
                    {**common, "move_line_id": line.id, "product_id": line.product_id.id, "serial_number": serial}
                    for line, serial in devices
                ]
        return self.create([value for value in values if value.get("pieces", 1)])

    @api.model_create_multi
    def create(self, vals_list):
        """Let what has all it needs be sent, in the very statement that writes it: a validation waits for this.

        The company is always the order's.
        """
        for values in vals_list:
            values["company_id"] = self.env["sale.order"].browse(values["order_id"]).company_id.id
            serials = (values.get("serial_number") or "").splitlines()
            if values.get("tracking_reference") and len(serials) == values.get("pieces", 1):
                values.setdefault("state", "pending")
        updates = super().create(vals_list)
        if "pending" in {values.get("state") for values in vals_list}:
            self._trigger_cron()
        return updates

    def _release_complete(self):
        """Let the waiting updates that have all they need be sent."""
        complete = self.filtered(lambda u: u.state == "waiting" and u.tracking_reference and u._has_serials())
        if complete:
            complete.write({"state": "pending", "next_try": fields.Datetime.now()})
            self._trigger_cron()

    @api.model
    def _trigger_cron(self, at=None):
        """Have the scheduled action run.

        :param datetime at: when; None means as soon as this transaction is committed
        """
        if at:
            self._send_cron_sudo()._trigger(at=at)
            return
        postcommit = self.env.cr.postcommit
        if not postcommit.data.get("sale_iused.wake"):
            postcommit.data["sale_iused.wake"] = True
            postcommit.add(partial(WAKER.submit, _wake_up, self.env.cr.dbname))

    @api.model
    def _send_cron_sudo(self):
        """Return the scheduled action, on which who validates a delivery has no rights."""
        return self.env.ref("sale_iused.ir_cron_send_shipment_updates").sudo()

    # Keeping up with the warehouse -----------------------------------------------------------------------------------

    def _refresh(self):
        """Take over a serial number or tracking reference that was written after the goods left.

        What iUsed was not told yet changes in place. What it was told, or may have been, is followed by a correction.
        """
        candidates = self.filtered(lambda update: update.state != "dropped" and not update.correction_ids)
        # A row that is being sent at this moment is locked: nobody waits for it, it is corrected.
        free = candidates.try_lock_for_update()
        for update in candidates:
            values = update._current_values()
            if all(update[name] == value for name, value in values.items()):
                continue
            if update in free and update.state in ("waiting", "pending") and not update.attempts:
                update.write({**values, "state": "waiting", "next_try": fields.Datetime.now()})
            elif all(values.values()):
                update._correct(values, update in free)
        candidates._release_complete()

    def _current_values(self):
        """Return serial number, tracking reference and devices as the delivery has them; what was typed here stays."""
        self.ensure_one()
        serials = [serial for line in self._move_lines() for serial in line._iused_serials()]
        if self.grouping == "device" and len(serials) > 1:
            serials = [None]  # pieces of a product without serial numbers
        tracking = self.picking_id.carrier_tracking_ref
        if not tracking and (self.attempts or not self.picking_id):
            tracking = self.tracking_reference  # what was told is not untold by an empty field
        return {
            "serial_number": "\n".join(serials) if serials and all(serials) else self.serial_number,
            "tracking_reference": tracking,
            "pieces": self.pieces if self.grouping == "device" else len(serials),
        }

    def _move_lines(self):
        """Return the move lines that this update tells of."""
        self.ensure_one()
        if self.grouping == "device":
            return self.move_line_id
        moves = self.picking_id.move_ids.filtered(lambda move: move.sale_line_id.order_id == self.order_id)
        return moves._iused_leaving().move_line_ids

    def _correct(self, values, free):
        """Write an update that follows this one; one that cannot be on its way any more is dropped.

        :param dict values: those of `_current_values`
        :param bool free: whether nobody is sending this one
        """
        self.ensure_one()
        told = not free or self.state in ("sent", "retry") or self.is_correction
        if free and self.state != "sent":
            self._drop(self.env._("Serial number or tracking changed; a later update tells it."))
        self.copy({**values, "corrects_id": self.id, "is_correction": told})

    def _drop(self, reason):
        """Give up updates that iUsed does not know of, keeping the rows as trace."""
        self.write({"state": "dropped", "drop_reason": reason, "next_try": False, "holds": False})

    def _type_serial(self, serials):
        """Take the serial numbers that a person typed for devices whose product has none.

        :param str serials: one on each line
        :raises UserError: when there are not as many as devices
        """
        self.ensure_one()
        self._check_may_ask()
        typed = "\n".join(serials.split())
        # Nobody may write the outbox by hand; this is one of the few things that may be asked of it.
        update_sudo = self.sudo().try_lock_for_update()
        if not update_sudo or update_sudo.state != "waiting":
            raise UserError(self.env._("This update does not wait for a serial number."))
        if len(typed.split("\n")) != self.pieces or not typed:
            raise UserError(self.env._("Type %s serial numbers, one on each line.", self.pieces))
        update_sudo.serial_number = typed
        update_sudo._release_complete()

    # What people may ask ---------------------------------------------------------------------------------------------

    def _check_may_ask(self):
        """:raises AccessError: for who has nothing to do with deliveries or sales, or does not see the updates"""
        if not self.env.user.has_group("sale_iused.group_iused_user"):
            raise AccessError(self.env._("Only warehouse, sales and iUsed users can do this."))
        self.check_access("read")

    def action_send_now(self):
        """Try the selected updates again at once. They are sent by the scheduled action, as always."""
        self._check_may_ask()
        # Nobody may write the outbox by hand; this is one of the few things that may be asked of it. What is locked is
        # being sent at this moment.
        updates_sudo = self.sudo().filtered(lambda u: u.state in ("pending", "retry", "stopped")).try_lock_for_update()
        # What stopped may have been mended by other settings: its body is made anew.
        updates_sudo.filtered(lambda update: update.state == "stopped").body = False
        updates_sudo.write({"state": "pending", "attempts": 0, "next_try": fields.Datetime.now(), "holds": False})
        self._lift_holds(updates_sudo.company_id)
        self._trigger_cron()

    def action_drop(self):
        """Give up the selected updates: iUsed will not be told."""
        self._check_may_ask()
        updates_sudo = self.sudo().filtered(lambda u: u.state not in ("sent", "dropped")).try_lock_for_update()
        updates_sudo._drop(self.env._("Dropped by %s.", self.env.user.name))

    def action_type_serial(self):
        """Ask for the serial numbers of devices whose product has none."""
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Serial Number"),
            "res_model": "iused.shipment.serial",
            "views": [(False, "form")],
            "target": "new",
            "context": {"default_update_id": self.id},
        }

    # Sending ---------------------------------------------------------------------------------------------------------

    @api.model
    def _due_domain(self):
        return Domain("state", "in", ("pending", "retry")) & Domain("next_try", "<=", fields.Datetime.now())

    @api.model
    def _cron_send(self):
        """Send what is due, one commit per update. The companies take turns, so that none waits for another's trouble.

        A remote failure is a row's state and never an exception, which would switch the scheduled action off.
        """
        cron = self.env["ir.cron"]
        counts = dict(self._read_group(self._due_domain(), ["company_id"], ["__count"]))
        holds = self._read_group(self._hold_domain(), ["company_id"], ["next_try:max"])
        now = fields.Datetime.now()
        held = {company for company, until in holds if until > now}
        # The scheduled action runs as the superuser; the address is closed to everybody else.
        companies_sudo = [company.sudo() for company in counts if company not in held]
        companies_sudo = [company_sudo for company_sudo in companies_sudo if company_sudo._iused_can_send()]
        # Who was in trouble at the last try comes last.
        companies_sudo.sort(key=lambda company_sudo: company_sudo in dict(holds))
        cron._commit_progress(remaining=sum(counts[company_sudo] for company_sudo in companies_sudo))
        turns = [self._send_company(company_sudo) for company_sudo in companies_sudo]
        time_left = True
        while turns and time_left:
            lefts = {sender: self._take_turn(sender) for sender in turns}
            turns = [sender for sender, left in lefts.items() if left is not None]
            time_left = all(left for left in lefts.values() if left is not None)
        for sender in turns:
            sender.close()
        self._trigger_next()
        cron._commit_progress(remaining=len(turns))

    @api.model
    def _take_turn(self, sender):
        """Let a company send for some seconds. An error of ours ends the company's run and nobody else's.

        :param sender: its `_send_company`
        :return: the seconds left to the scheduled action, or None when the company is through
        """
        end = time.monotonic() + TURN
        try:
            for left in sender:
                if not left or time.monotonic() > end:
                    return left
        except psycopg2.OperationalError:
            raise  # the database is gone; so is everybody's work
        except Exception:
            self.env.cr.rollback()
            _logger.exception("The iUsed shipment updates of a company could not be sent")
        return None

    @api.model
    def _send_company(self, company_sudo):
        """Send a company's due updates in the order in which they were made; yield now and then the seconds left.

        The company's run ends where iUsed cannot be reached or shuts it out: one try is enough to know. An update that
        could not be sent holds back the later ones of its order.
        """
        down = bool(self.search_count(self._hold_domain() & Domain("company_id", "=", company_sudo.id), limit=1))
        held_back = self._held_back_orders(company_sudo)
        failures = sent = 0
        reported_at = time.monotonic()
        connection = company_sudo._iused_connection()
        if not connection:
            return  # the settings changed meanwhile
        with Webhook(connection["url"], connection["method"]) as webhook:
            for job in self._take_jobs(company_sudo, connection, held_back):
                outcome = job["update"]._attempt(job, webhook, connection, failures, down)
                sent, left = sent + 1, None
                # Each update is committed by itself, so that a crash repeats one at most. To write the progress costs
                # as much as the update, hence not every time.
                accepted = outcome and outcome.verdict == Outcome.ACCEPTED
                if accepted and time.monotonic() - reported_at < PROGRESS_SECONDS:
                    self.env.cr.commit()  # pylint: disable=invalid-commit
                else:
                    left = self.env["ir.cron"]._commit_progress(sent)
                    sent, reported_at = 0, time.monotonic()
                if outcome is None:
                    held_back.add(job["order_id"])
                elif outcome.verdict == Outcome.CLOSED:
                    return
                elif outcome.verdict == Outcome.RETRY:
                    held_back.add(job["order_id"])
                    failures += 1
                    if self._is_down(outcome, failures):
                        return
                else:
                    failures = 0
                    if down:
                        self._lift_holds(company_sudo, failed=True)
                        self.env["ir.cron"]._commit_progress()
                        down = False
                if left is not None and not failures:
                    # A row of failures is seen through: the next run would begin to count anew, and never learn that
                    # an iUsed that takes its time to fail is down.
                    yield left

    @api.model
    def _take_jobs(self, company_sudo, connection, held_back):
        """Yield what is to be sent, job by job, until the company's settings change; see `_prepare_jobs`.

        :param dict connection: the settings that the run began with
        :param set held_back: ids of the orders to leave out
        """
        last_id = 0
        while jobs := self._prepare_jobs(company_sudo, last_id):
            if company_sudo._iused_connection() != connection:
                return  # the next run takes the new ones
            for job in jobs:
                last_id = job["update"].id
                if job["order_id"] not in held_back:
                    yield job

    @api.model
    def _held_back_orders(self, company_sudo):
        """Return the ids of the orders whose first unsent update is not due yet."""
        rows = self._read_group(
            [("company_id", "=", company_sudo.id), ("state", "=", "retry"), ("next_try", ">", fields.Datetime.now())],
            ["order_id"],
        )
        return {order.id for (order,) in rows}

    @api.model
    def _prepare_jobs(self, company_sudo, last_id):
        """Return what is needed to send the next due updates, read at once: each commit empties the cache.

        :rtype: list[dict]
        """
        updates = self.search_fetch(
            self._due_domain() & Domain("company_id", "=", company_sudo.id) & Domain("id", ">", last_id),
            order="id",
            limit=BATCH,
        )
        updates.order_id.fetch(["name"])  # an order has many fields more
        return [
            {
                "update": update,
                "order_id": update.order_id.id,
                "version": update.write_date,
                "event_id": update.event_id,
                "attempts": update.attempts,
                "body": update.body or update._encode_body(),
            }
            for update in updates
        ]

    def _encode_body(self):
        """Return the body as JSON, or None where making it failed: `_attempt` meets the error again and keeps it."""
        try:
            return json.dumps(self._prepare_body(), ensure_ascii=False)
        except psycopg2.OperationalError:
            raise
        except Exception:  # noqa: BLE001 - one row's trouble must not stop the others
            self.env.cr.rollback()  # nothing is written yet
            return None

    def _prepare_body(self):
        """Return what iUsed is told: the guide's "Required fields in the JSON body", under the company's names."""
        self.ensure_one()
        company = self.company_id
        serials = self._serials()
        body = {
            company.iused_key_serial: serials if self.grouping == "delivery" else serials[0],
            company.iused_key_tracking: self.tracking_reference,
            company.iused_key_order: self.order_id.name,
        }
        return {**body, **self._prepare_extra()} if company.iused_extra_keys else body

    @api.model
    def _prepare_example(self, company):
        """Return a body as `_prepare_body` makes them, for the document of our contract."""
        serial = "356938035643809"
        return {
            company.iused_key_serial: [serial] if company.iused_grouping == "delivery" else serial,
            company.iused_key_tracking: "3SABC123",
            company.iused_key_order: "S00042",
        }

    def _prepare_extra(self):
        """Return the optional keys; `sku` and `line_id` are lists where the serial numbers are one."""
        self.ensure_one()
        picking = self.picking_id
        lines = [line.move_id.sale_line_id for line in self._move_lines() for _serial in line._iused_serials()]
        skus = [line.product_id.default_code or None for line in lines]
        references = [line.iused_line_reference or None for line in lines]
        one = self.grouping == "device"
        extra = {
            "carrier": picking.carrier_id.name or None,
            "tracking_link": picking.carrier_tracking_url or None,
            "sku": (skus or [None])[0] if one else skus,
            "line_id": (references or [None])[0] if one else references,
            "shipped_at": f"{(picking.date_done or self.create_date).isoformat(timespec='seconds')}Z",
        }
        if self.is_correction:
            extra["corrects"] = self.corrects_id.event_id or True
        return extra

    def _attempt(self, job, webhook, connection, failures, down):
        """Send one update and write down what came of it.

        :param dict job: see `_prepare_jobs`
        :param tools.webhook.Webhook webhook: where to
        :param dict connection: see `res.company._iused_connection`
        :param int failures: errors of iUsed's server before this try, one after the other
        :param bool down: whether iUsed was down when this run began
        :return: the `tools.webhook.Outcome`, or None where it could not be sent
        """
        self.ensure_one()
        try:
            if not self._lock_if_unchanged(job["version"]):
                return None
            body = job["body"] or json.dumps(self._prepare_body())
            outcome = webhook.send(body, job["event_id"])
            self._record(outcome, {**job, "body": body}, connection, failures, down)
        except (SerializationFailure, DeadlockDetected):
            self.env.cr.rollback()  # it changed meanwhile: the next run sees how
            return None
        except psycopg2.OperationalError:
            raise  # the database is gone; so is everybody's work
        except Exception as error:
            self.env.cr.rollback()
            _logger.exception("iUsed shipment update %s could not be sent", job["event_id"])
            self._stop_after_error(error)
            return None
        _logger.info("iUsed shipment update %s: %s", job["event_id"], outcome.text)
        return outcome

    def _stop_after_error(self, error):
        """Stop an update that we could not send for a reason of our own, and tell somebody."""
        text = self.env._("Unexpected error: %s", type(error).__name__)
        self.write({"state": "stopped", "last_answer": text})
        try:
            with self.env.cr.savepoint():
                self._raise_activity(self.env._("iUsed was not told of a shipment"), text)
        except psycopg2.OperationalError:
            raise
        except Exception:
            # The row says it all the same; and a row that cannot be stopped would be tried for ever.
            _logger.exception("Nobody could be told of iUsed shipment update %s", self.event_id)

    def _lock_if_unchanged(self, version):
        """Lock the row for this transaction in one statement, unless another worker has it or it has changed.

        :param version: the `write_date` that its job was made from
        """
        self.env.cr.execute(LOCK_IF_UNCHANGED, (self.id, version))
        return bool(self.env.cr.rowcount)

    @api.model
    def _is_down(self, outcome, failures):
        """Tell whether a failure means that iUsed is down, or asks to be left alone, for every update.

        :param int failures: how many came one after the other, this one included
        """
        return not outcome.reached or outcome.retry_after is not None or failures >= FAILURES_IN_A_ROW

    def _record(self, outcome, job, connection, failures, down):
        """Write down what came of a try. See `_attempt` for the parameters."""
        holds = outcome.verdict == Outcome.RETRY and self._is_down(outcome, failures + 1)
        values = self._prepare_result(outcome, job["attempts"], holds, down or holds)
        # `write` and `create` would take longer than the call itself. No stored field depends on what is written here.
        self.env.cr.execute(
            WRITE_RESULT,
            {
                **values,
                **connection,
                "status": outcome.status,
                "duration": outcome.duration,
                "body": job["body"],
                "answer": outcome.answer or outcome.text,
                "order_id": job["order_id"],
                "update_id": self.id,
                "uid": self.env.uid,
            },
        )
        if outcome.verdict == Outcome.ACCEPTED:
            return  # nothing is read before the commit, which empties the cache
        self.env.invalidate_all(flush=False)
        if outcome.verdict == Outcome.CLOSED:
            if self.company_id._iused_stop_sending(outcome.text, connection["url"]):
                self._raise_activity(self.env._("iUsed refuses all shipment updates"), outcome.text)
        elif values["state"] == "stopped":
            self._raise_activity(self.env._("iUsed was not told of a shipment"), outcome.text)
        elif outcome.verdict == Outcome.RETRY and values["attempts"] == len(RETRY_MINUTES) + 1:
            self._raise_activity(self.env._("iUsed has not answered for days"), outcome.text)

    @api.model
    def _prepare_result(self, outcome, attempts, holds=False, down=False):
        """Return the values that a try leaves.

        :param int attempts: the tries before this one
        :param bool holds: whether the company waits for the next try of this update
        :param bool down: whether iUsed is down as a whole: that is no reason to give an update up
        """
        now = fields.Datetime.now()
        values = {
            "attempts": attempts + 1,
            "last_answer": outcome.text,
            "next_try": None,
            "holds": holds,
            "sent_at": None,
        }
        if outcome.verdict == Outcome.ACCEPTED:
            return {**values, "state": "sent", "sent_at": now}
        if outcome.verdict == Outcome.CLOSED:
            # It stops the company, and goes on with it.
            return {**values, "state": "pending", "next_try": now}
        if outcome.verdict == Outcome.REFUSED or (attempts >= len(RETRY_MINUTES) and not down):
            return {**values, "state": "stopped"}
        delay = RETRY_MINUTES[min(attempts, len(RETRY_MINUTES) - 1)] * 60 * random.uniform(1, 1 + JITTER)
        return {**values, "state": "retry", "next_try": now + timedelta(seconds=max(delay, outcome.retry_after or 0))}

    @api.model
    def _hold_domain(self):
        return Domain("state", "=", "retry") & Domain("holds", "=", True)

    @api.model
    def _lift_holds(self, companies, failed=False):
        """Let companies send again at once.

        :param bool failed: bring forward whatever failed meanwhile, too: iUsed is back
        """
        domain = Domain("state", "=", "retry") if failed else self._hold_domain()
        # The holder may be another user's to see, or none's.
        updates_sudo = self.sudo().search(domain & Domain("company_id", "in", companies.ids)).try_lock_for_update()
        updates_sudo.write({"next_try": fields.Datetime.now(), "holds": False})

    @api.model
    def _trigger_next(self):
        """Wake up when the first update is to be tried again; of a company that is held, when its holder is."""
        tries = dict(self._read_group([("state", "=", "retry")], ["company_id"], ["next_try:min"]))
        tries.update(self._read_group(self._hold_domain(), ["company_id"], ["next_try:max"]))
        moments = [moment for company, moment in tries.items() if company.sudo()._iused_can_send()]
        if moments:
            # Not at once: what is due by now waits for somebody else's lock, or has just come due.
            self._trigger_cron(at=max(min(moments), fields.Datetime.now() + timedelta(seconds=5)))

    # Telling people --------------------------------------------------------------------------------------------------

    def _raise_activity(self, summary, text):
        """Give the company's responsible an activity on the order, unless it has the same one already.

        :param str text: what iUsed answered, in words
        """
        for order in self.order_id:
            if order.activity_ids.filtered(lambda activity: activity.summary == summary):
                continue
            order.activity_schedule(
                "mail.mail_activity_data_warning",
                summary=summary,
                note=Markup("<p>%s</p>") % text,
                user_id=order.company_id._iused_responsible().id,
            )

    @api.model
    def _cron_watch_waiting(self):
        """Tell of what waits for a serial number or tracking longer than its company allows: once for each order."""
        for company in self.env["res.company"].search([("iused_user_id", "!=", False)]):
            before = fields.Datetime.now() - timedelta(hours=company.iused_waiting_hours)
            late = self.search(
                [
                    ("company_id", "=", company.id),
                    ("state", "=", "waiting"),
                    ("create_date", "<", before),
                    ("waited_too_long", "=", False),
                ]
            )
            reasons = defaultdict(set)
            for update in late:
                reasons[update.order_id].add(update.reason)
            for order, updates in late.grouped("order_id").items():
                updates._raise_activity(
                    self.env._("iUsed waits for a shipment update"), " ".join(sorted(reasons[order]))
                )
            late.waited_too_long = True

    @api.autovacuum
    def _gc_told(self):
        """Delete what was sent or dropped longer ago than the company's retention; what is still to be told, never."""
        for (company,) in self._read_group([("state", "in", ("sent", "dropped"))], ["company_id"]):
            before = fields.Datetime.now() - timedelta(days=company.iused_retention_days)
            old = self.search(
                [
                    ("company_id", "=", company.id),
                    ("state", "in", ("sent", "dropped")),
                    ("write_date", "<", before),
                ],
                limit=VACUUM_BATCH,
            )
            old.unlink()
            if len(old) == VACUUM_BATCH:
                self.env.ref("base.autovacuum_job")._trigger()
