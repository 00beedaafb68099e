import json
import logging
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial

import psycopg2
from psycopg2.errors import DeadlockDetected, SerializationFailure

from odoo import SUPERUSER_ID, api, fields, models
from odoo.fields import Domain
from odoo.models import BaseModel
from odoo.modules.registry import Registry

from ..tools.delivery import BLAMED, SUSPECTED, Portal, decide
from ..tools.webhook import Outcome, Webhook

_logger = logging.getLogger(__name__)

BATCH = 100  # updates looked up at a time
TURN = 2  # seconds after which the next company has its turn
PROGRESS_SECONDS = 0.5  # after which the scheduled action's progress is written down; each update has its own commit
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
           last_answer = %(last_answer)s, sent_at = %(sent_at)s, body = %(body)s, blame = %(blame)s,
           write_uid = %(uid)s, write_date = now() AT TIME ZONE 'UTC'
     WHERE id = %(update_id)s
"""


def _wake_up(database):
    """Have the scheduled action run, in a transaction of its own, after the one that wrote an update.

    The update's row is what is promised; this only saves it waiting for the scheduled action's interval.

    :param str database: its name
    """
    try:
        with Registry(database).cursor() as cr:
            api.Environment(cr, SUPERUSER_ID, {})["iused.shipment.sender"]._cron_sudo()._trigger()
    except Exception:
        _logger.warning("Shipment updates wait for the scheduled action's next run", exc_info=True)


@dataclass
class Run:
    """What one run of the scheduled action does for one company.

    :ivar connection: the settings that the run began with, see `res.company._iused_connection`
    :ivar portal: what is known of iUsed's side
    :ivar held_back: ids of the orders whose updates wait, as an earlier one of theirs could not be sent
    :ivar jobs: what is to be sent, one after the other; see `_take_jobs`
    """

    company_sudo: BaseModel
    connection: dict | None = None
    webhook: Webhook | None = None
    portal: Portal = field(default_factory=Portal)
    held_back: set = field(default_factory=set)
    jobs: Iterator | None = None
    is_over: bool = False
    sent: int = 0  # since the progress was written down
    reported_at: float = field(default_factory=time.monotonic)


class IusedShipmentSender(models.AbstractModel):
    """Sends the shipment updates: the scheduled action's part of the outbox, after commit and one commit each.

    A remote failure is a row's state and never an exception, which would switch the scheduled action off. What follows
    from an answer is decided in `tools/delivery.py`.
    """

    _name = "iused.shipment.sender"
    _description = "iUsed Shipment Sender"

    # When to run -----------------------------------------------------------------------------------------------------

    @api.model
    def _trigger(self, at=None):
        """Have the scheduled action run.

        :param datetime at: when; None means as soon as this transaction is committed
        """
        if at:
            self._cron_sudo()._trigger(at=at)
            return
        postcommit = self.env.cr.postcommit
        if not postcommit.data.get("sale_iused.wake"):
            postcommit.data["sale_iused.wake"] = True
            postcommit.add(partial(WAKER.submit, _wake_up, self.env.cr.dbname))

    @api.model
    def _trigger_next(self):
        """Wake up when the first update is to be tried again; of a company that is held, when its holder is."""
        updates = self.env["iused.shipment.update"]
        tries = dict(updates._read_group([("state", "=", "retry")], ["company_id"], ["next_try:min"]))
        tries.update(updates._read_group(self._hold_domain(), ["company_id"], ["next_try:max"]))
        moments = [moment for company, moment in tries.items() if company.sudo()._iused_can_send()]
        if moments:
            # Not at once: what is due by now waits for somebody else's lock, or has just come due.
            self._trigger(at=max(min(moments), fields.Datetime.now() + timedelta(seconds=5)))

    @api.model
    def _cron_sudo(self):
        """Return the scheduled action, on which who validates a delivery has no rights."""
        return self.env.ref("sale_iused.ir_cron_send_shipment_updates").sudo()

    @api.model
    def _due_domain(self):
        return Domain("state", "in", ("pending", "retry")) & Domain("next_try", "<=", fields.Datetime.now())

    @api.model
    def _hold_domain(self):
        """An update that was tried last when iUsed was down: until its next try nothing of the company is sent."""
        return Domain("state", "=", "retry") & Domain("holds", "=", True)

    @api.model
    def _lift_holds(self, companies, failed=False):
        """Let companies send again at once.

        :param bool failed: bring forward whatever failed meanwhile, too: iUsed is back
        """
        domain = Domain("state", "=", "retry") if failed else self._hold_domain()
        # The holder may be another user's to see, or none's.
        updates_sudo = self.env["iused.shipment.update"].sudo()
        held_sudo = updates_sudo.search(domain & Domain("company_id", "in", companies.ids)).try_lock_for_update()
        held_sudo.write({"next_try": fields.Datetime.now(), "holds": False})

    @api.model
    def _suspects_domain(self):
        """Updates whose answer may mean that iUsed shuts the company out, and was neither confirmed nor disproved."""
        return Domain("state", "in", ("pending", "retry")) & Domain("blame", "=", SUSPECTED)

    @api.model
    def _blame_suspects(self, company):
        """Let what was answered so once more stop by itself: others are not, or the company was shut out for it."""
        suspects = self.env["iused.shipment.update"].search(
            self._suspects_domain() & Domain("company_id", "=", company.id)
        )
        suspects.try_lock_for_update().write({"blame": BLAMED})

    @api.model
    def _forget_blame(self, companies):
        """Begin anew after a change of the settings: what was shut out before says nothing of the new ones."""
        domain = Domain("company_id", "in", companies.ids) & Domain("state", "in", ("pending", "retry", "stopped"))
        # Whoever may change the settings has no rights on the outbox.
        updates_sudo = self.env["iused.shipment.update"].sudo()
        blamed_sudo = updates_sudo.search(domain & Domain("blame", ">", 0)).try_lock_for_update()
        blamed_sudo.write({"state": "pending", "blame": 0, "attempts": 0, "next_try": fields.Datetime.now()})

    # A run -----------------------------------------------------------------------------------------------------------

    @api.model
    def _cron_send(self):
        """Send what is due. The companies take turns, so that none waits for another's trouble."""
        cron = self.env["ir.cron"]
        with ExitStack() as stack:
            companies_sudo, due = self._find_companies()
            cron._commit_progress(remaining=due)
            runs = [Run(company_sudo) for company_sudo in companies_sudo]
            time_left = True
            while runs and time_left:
                for run in runs:
                    # Each has its turn, however little is left: who comes last must not starve.
                    time_left = self._take_turn(run, stack) and time_left
                runs = [run for run in runs if not run.is_over]
        self._trigger_next()
        cron._commit_progress(remaining=len(runs))

    @api.model
    def _find_companies(self):
        """Return the companies that have something to send and may, and how many updates that is.

        Who was in trouble at the last try comes last.
        """
        updates = self.env["iused.shipment.update"]
        counts = dict(updates._read_group(self._due_domain(), ["company_id"], ["__count"]))
        holds = dict(updates._read_group(self._hold_domain(), ["company_id"], ["next_try:max"]))
        now = fields.Datetime.now()
        # The scheduled action runs as the superuser; the address is closed to everybody else.
        companies_sudo = [company.sudo() for company in counts if company not in holds or holds[company] <= now]
        companies_sudo = [company_sudo for company_sudo in companies_sudo if company_sudo._iused_can_send()]
        companies_sudo.sort(key=lambda company_sudo: company_sudo in holds)
        return companies_sudo, sum(counts[company_sudo] for company_sudo in companies_sudo)

    @api.model
    def _begin(self, run, stack):
        """Look up what a company's run needs; it is over where the settings changed meanwhile."""
        company_sudo = run.company_sudo
        run.connection = company_sudo._iused_connection()
        run.jobs = self._take_jobs(run)
        if not run.connection:
            run.is_over = True
            return
        networks = self.env["iused.connection"]._allowed_networks()
        run.webhook = stack.enter_context(Webhook(run.connection["url"], run.connection["method"], networks))
        own = Domain("company_id", "=", company_sudo.id)
        updates = self.env["iused.shipment.update"]
        run.portal = Portal(
            is_down=bool(updates.search_count(self._hold_domain() & own, limit=1)),
            doubts=updates.search_count(self._suspects_domain() & own, limit=1),
        )
        run.held_back = self._held_back_orders(company_sudo)

    @api.model
    def _take_turn(self, run, stack):
        """Let a company send for some seconds. An error of ours ends the company's run and nobody else's.

        :param Run run: the company's
        :param contextlib.ExitStack stack: closes the connection to iUsed in the end
        :return: whether the scheduled action has time left
        """
        end = time.monotonic() + TURN
        left = True
        try:
            if run.jobs is None:
                self._begin(run, stack)
            # A row of failures is seen through: the next run would begin to count anew, and never learn that an iUsed
            # that takes its time to fail is down.
            while not run.is_over and (run.portal.failures or (left and time.monotonic() < end)):
                left = self._send_next(run)
        except psycopg2.OperationalError:
            raise  # the database is gone; so is everybody's work
        except Exception:
            self.env.cr.rollback()
            _logger.exception("The iUsed shipment updates of a company could not be sent")
            run.is_over = True
        return bool(left)

    @api.model
    def _send_next(self, run):
        """Send a company's next update and commit what came of it.

        The run ends where iUsed cannot be reached or shuts the company out. An update that could not be sent holds back
        the later ones of its order.

        :return: the seconds that the scheduled action has left
        """
        job = next(run.jobs, None)
        if not job:
            run.is_over = True
            return True
        outcome = self._attempt(job, run)
        left = self._commit(run, outcome)
        if outcome is None:
            run.held_back.add(job["order_id"])
            return left
        before, run.portal = run.portal, run.portal.after(outcome, job["blame"])
        run.is_over = run.portal.is_closed or (outcome.verdict == Outcome.RETRY and run.portal.is_down)
        if outcome.verdict == Outcome.RETRY or (outcome.verdict == Outcome.CLOSED and job["blame"] != BLAMED):
            run.held_back.add(job["order_id"])
        self._draw_conclusions(run, before)
        return left

    @api.model
    def _draw_conclusions(self, run, before):
        """Change a company's other updates for what a try showed of iUsed's side, and commit that.

        :param Portal before: what was known before the try
        """
        is_back = before.is_down and not run.portal.is_down
        is_judged = run.portal.is_closed or (before.doubts and not run.portal.doubts)
        if is_back:
            self._lift_holds(run.company_sudo, failed=True)
        if is_judged:
            self._blame_suspects(run.company_sudo)
        if is_back or is_judged:
            self.env["ir.cron"]._commit_progress()

    @api.model
    def _commit(self, run, outcome):
        """Commit one update, so that a crash repeats one at most.

        To write the scheduled action's progress costs as much as the update, hence not every time.

        :return: the seconds that the scheduled action has left, as far as they were looked at
        """
        run.sent += 1
        accepted = outcome and outcome.verdict == Outcome.ACCEPTED
        if accepted and time.monotonic() - run.reported_at < PROGRESS_SECONDS:
            self.env.cr.commit()  # pylint: disable=invalid-commit
            return True
        left = self.env["ir.cron"]._commit_progress(run.sent)
        run.sent, run.reported_at = 0, time.monotonic()
        return left

    # What is to be sent ----------------------------------------------------------------------------------------------

    @api.model
    def _take_jobs(self, run):
        """Yield what is to be sent, job by job, until the company's settings change; see `_prepare_jobs`."""
        last_id = 0
        while jobs := self._prepare_jobs(run.company_sudo, last_id):
            if run.company_sudo._iused_connection() != run.connection:
                return  # the next run takes the new ones
            for job in jobs:
                last_id = job["update"].id
                if job["order_id"] not in run.held_back:
                    yield job

    @api.model
    def _held_back_orders(self, company_sudo):
        """Return the ids of the orders whose first unsent update is not due yet."""
        rows = self.env["iused.shipment.update"]._read_group(
            [("company_id", "=", company_sudo.id), ("state", "=", "retry"), ("next_try", ">", fields.Datetime.now())],
            ["order_id"],
        )
        return {order.id for (order,) in rows}

    @api.model
    def _prepare_jobs(self, company_sudo, last_id):
        """Return what is needed to send the next due updates, read at once: each commit empties the cache.

        In the order in which they were made, after the one whose id is given.

        :rtype: list[dict]
        """
        updates = self.env["iused.shipment.update"].search_fetch(
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
                "blame": update.blame,
                "body": update.body or self._encode_body(update),
                "is_repeat": bool(update.body),
            }
            for update in updates
        ]

    @api.model
    def _encode_body(self, update):
        """Return the body as JSON, or None where making it failed: `_attempt` meets the error again and keeps it."""
        try:
            return json.dumps(update._prepare_body(), ensure_ascii=False)
        except psycopg2.OperationalError:
            raise
        except Exception:  # noqa: BLE001 - one row's trouble must not stop the others
            self.env.cr.rollback()  # nothing is written yet
            return None

    # One try ---------------------------------------------------------------------------------------------------------

    @api.model
    def _attempt(self, job, run):
        """Send one update and write down what came of it.

        :param dict job: see `_prepare_jobs`
        :return: the `tools.webhook.Outcome`, or None where it could not be sent
        """
        update = job["update"]
        try:
            if not self._lock_if_unchanged(update, job["version"]):
                return None
            body = job["body"] or json.dumps(update._prepare_body())
            outcome = run.webhook.send(body, job["event_id"])
            self._record(outcome, {**job, "body": body}, run)
        except (SerializationFailure, DeadlockDetected):
            self.env.cr.rollback()  # it changed meanwhile: the next run sees how
            return None
        except psycopg2.OperationalError:
            raise  # the database is gone; so is everybody's work
        except Exception as error:
            self.env.cr.rollback()
            _logger.exception("iUsed shipment update %s could not be sent", job["event_id"])
            self._stop_after_error(update, error)
            return None
        _logger.info("iUsed shipment update %s: %s", job["event_id"], outcome.text)
        return outcome

    @api.model
    def _lock_if_unchanged(self, update, version):
        """Lock the row for this transaction in one statement, unless another worker has it or it has changed.

        :param version: the `write_date` that its job was made from
        """
        self.env.cr.execute(LOCK_IF_UNCHANGED, (update.id, version))
        return bool(self.env.cr.rowcount)

    @api.model
    def _stop_after_error(self, update, error):
        """Stop an update that we could not send for a reason of our own, and tell somebody."""
        text = self.env._("Unexpected error: %s", type(error).__name__)
        update.write({"state": "stopped", "last_answer": text})
        update._tell("update_stopped", lambda env: (env._("iUsed was not told of a shipment"), text))

    @api.model
    def _record(self, outcome, job, run):
        """Write down what came of a try. See `_attempt` for the parameters."""
        update = job["update"]
        consequence = decide(outcome, job["attempts"], run.portal.after(outcome, job["blame"]), job["blame"])
        # `write` would take longer than the call itself. No stored field depends on what is written here.
        self.env["iused.exchange"]._insert(
            {
                **self._prepare_result(outcome, consequence),
                "attempts": job["attempts"] + 1,
                # What iUsed refused at once it does not know: the next try need not repeat it.
                "body": job["body"] if job["is_repeat"] or outcome.may_be_known else None,
                "uid": self.env.uid,
                "company_id": run.connection["company_id"],
                "kind": "shipment",
                "direction": "out",
                "method": run.connection["method"],
                "path": run.connection["path"],
                "status": outcome.status,
                "duration": outcome.duration,
                "request_body": job["body"],
                "answer_body": outcome.answer or outcome.text,
                "order_id": job["order_id"],
                "update_id": update.id,
            },
            also=WRITE_RESULT,
        )
        if consequence.state == "sent":
            return  # nothing is read before the commit, which empties the cache
        self.env.invalidate_all(flush=False)
        if consequence.closes:
            if update.company_id._iused_stop_sending(outcome.text, run.connection["url"]):
                update._tell("closed", lambda env: (env._("iUsed refuses all shipment updates"), outcome.text))
        elif consequence.state == "stopped":
            update._tell("update_stopped", lambda env: (env._("iUsed was not told of a shipment"), outcome.text))
        elif consequence.is_late and not self.env["iused.trouble"]._is_current(update.company_id, "down"):
            update._tell("update_late", lambda env: (env._("iUsed has not answered for days"), outcome.text))

    @api.model
    def _prepare_result(self, outcome, consequence):
        """Return the values that a try leaves in the update."""
        now = fields.Datetime.now()
        seconds = consequence.seconds
        return {
            "state": consequence.state,
            "next_try": None if seconds is None else now + timedelta(seconds=seconds),
            "holds": consequence.holds,
            "blame": consequence.blame,
            "last_answer": outcome.text,
            "sent_at": now if consequence.state == "sent" else None,
        }
