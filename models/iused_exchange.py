import hashlib
import json
import logging
from datetime import timedelta

from psycopg2 import OperationalError
from werkzeug.exceptions import HTTPException

from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError
from odoo.fields import Domain
from odoo.tools import plaintext2html

from ..tools.order_payload import MAX_REFERENCE, JsonError, cut, parse_json, read_reference
from .ir_http import ROUTE_PREFIX

_logger = logging.getLogger(__name__)

VACUUM_BATCH = 10_000  # rows deleted at a time
LONGEST_PROBLEM = 10_000  # characters of what was wrong, in lists and activities
LONGEST_PRETTY = 2**20  # characters of a body with one value a line: indents alone may make it 100 times as long

INSERT_POLL = """
    INSERT INTO iused_exchange (company_id, kind, direction, method, path, status, duration, size, offers, detail,
                                create_uid, create_date, write_uid, write_date)
    VALUES (%(company_id)s, 'offers', 'in', %(method)s, %(path)s, %(status)s, %(duration)s, %(size)s, %(offers)s,
            %(detail)s, %(uid)s, now() AT TIME ZONE 'UTC', %(uid)s, now() AT TIME ZONE 'UTC')
"""


class IusedExchange(models.Model):
    """Log of what went between us and iUsed, in either direction, kept also where the work itself rolled back."""

    _name = "iused.exchange"
    _description = "iUsed Exchange"
    _inherit = ["mail.thread", "mail.activity.mixin"]
    _order = "id desc"
    _rec_name = "path"

    company_id = fields.Many2one("res.company", required=True, readonly=True, ondelete="cascade")
    kind = fields.Selection(
        [("offers", "Offers"), ("order", "Order"), ("shipment", "Shipment update")],
        required=True,
        readonly=True,
    )
    direction = fields.Selection(
        [("in", "From iUsed"), ("out", "To iUsed")], required=True, readonly=True, default="in"
    )
    method = fields.Char(readonly=True)
    path = fields.Char(readonly=True, help="Without the host, and with *** in the place of a secret.")
    status = fields.Integer("HTTP Status", readonly=True, aggregator=None, help="0 where there was no answer.")
    duration = fields.Float("Duration (s)", readonly=True, aggregator="avg", digits=(16, 3))
    size = fields.Integer("Size (bytes)", readonly=True, aggregator=None)
    offers = fields.Integer(readonly=True, aggregator=None)
    detail = fields.Char(readonly=True, help="What was wrong with a poll or an upload.")
    problem = fields.Char(
        "What Was Wrong", compute="_compute_problem", compute_sudo=True, help="As the answer says, in words."
    )
    failed = fields.Boolean(compute="_compute_failed", search="_search_failed")
    request_body = fields.Text(readonly=True, groups="sale_iused.group_iused_manager")
    answer_body = fields.Text(readonly=True, groups="sale_iused.group_iused_manager")
    idempotency_key = fields.Char(readonly=True)
    reference = fields.Char("iUsed Reference", readonly=True, index="btree_not_null")
    state = fields.Selection(
        [("accepted", "Accepted"), ("refused", "Refused"), ("settled", "Accepted later")],
        string="Result",
        readonly=True,
    )
    cause = fields.Char(readonly=True, index="btree_not_null", help="Refusals for the same reason share it.")
    activity_id = fields.Many2one("mail.activity", readonly=True, ondelete="set null")
    processed_by_id = fields.Many2one("res.users", "Processed Again By", readonly=True, ondelete="set null")
    request_pretty = fields.Text("What Was Sent", compute="_compute_pretty", groups="sale_iused.group_iused_manager")
    answer_pretty = fields.Text("What Was Answered", compute="_compute_pretty", groups="sale_iused.group_iused_manager")
    order_id = fields.Many2one("sale.order", readonly=True, index="btree_not_null", ondelete="set null")
    update_id = fields.Many2one("iused.shipment.update", readonly=True, index="btree_not_null", ondelete="cascade")

    _poll_index = models.Index("(company_id, id) WHERE kind = 'offers' AND direction = 'in'")

    @api.depends("detail", "answer_body", "status", "direction")
    def _compute_problem(self):
        """The words of an answer that refuses are for every user of the log; its body may tell more."""
        for exchange in self:
            answer = exchange.direction == "in" and exchange.status >= 400 and self._describe(exchange.answer_body)
            exchange.problem = exchange.detail or answer or False

    @api.depends("detail", "status", "direction", "kind")
    def _compute_failed(self):
        for exchange in self:
            exchange.failed = bool(exchange.filtered_domain(self._failed_domain()))

    @api.model
    def _search_failed(self, operator, value):
        if operator != "in":
            return NotImplemented
        failed = self._failed_domain()
        return failed if set(value) == {True} else ~failed

    @api.model
    def _failed_domain(self):
        """What was refused; a shipment update that got no answer (0) or led elsewhere (3xx); an upload with a fault."""
        untold = Domain("kind", "=", "shipment") & (Domain("status", "<", 200) | Domain("status", ">=", 300))
        return Domain("status", ">=", 400) | Domain("detail", "!=", False) | untold

    @api.depends("request_body", "answer_body")
    def _compute_pretty(self):
        for exchange in self:
            exchange.request_pretty = self._prettify(exchange.request_body)
            exchange.answer_pretty = self._prettify(exchange.answer_body)

    @api.model
    def _prettify(self, text):
        """Return JSON with one value a line; anything else, and what would get too long, as it is."""
        pieces, left = [], LONGEST_PRETTY
        try:
            for piece in json.JSONEncoder(indent=2, ensure_ascii=False).iterencode(json.loads(text or "")):
                left -= len(piece)
                if left < 0:
                    return text
                pieces.append(piece)
        except (ValueError, RecursionError):
            return text
        return "".join(pieces)

    # Polls -----------------------------------------------------------------------------------------------------------

    @api.model
    def _log_poll(self, values):
        """Write down a poll of the offers.

        :param dict values: `company_id`, `method`, `path`, `status`, `duration` (s), `size` (bytes), and `offers` and
            `detail` if any
        """
        # iUsed waits for this: it neither waits for the disk, as a crash may lose the row, nor for somebody's lock. And
        # `create` would take longer than a poll that is answered by 304.
        self.env.cr.execute("SET LOCAL synchronous_commit = off; SET LOCAL lock_timeout = '1s'")
        self.env.cr.execute(INSERT_POLL, {"offers": None, "detail": None, **values, "uid": self.env.uid})

    @api.model
    def _poll_domain(self, company):
        return Domain("company_id", "=", company.id) & Domain("kind", "=", "offers") & Domain("direction", "=", "in")

    @api.model
    def _last_poll(self, company, good=False):
        """Return the newest poll of a company's offers, empty where there was none.

        :param bool good: only one that was answered well
        """
        domain = self._poll_domain(company)
        return self.search(domain & Domain("status", "<", 400) if good else domain, limit=1)

    # Pushed orders ---------------------------------------------------------------------------------------------------

    @api.model
    def _log_accepted(self, company, push, status, answer, order):
        """Write down a push that was accepted, in its own transaction: neither is kept without the other.

        What was refused of this order before is settled with it.

        :param dict push: `method`, `path`, `request_body`, `idempotency_key`, `duration`
        :param int status: the HTTP status of the answer
        :param answer: the answer, to be written as JSON
        :return: the row
        """
        exchange = self._create_push(
            company,
            {
                **push,
                "status": status,
                "answer_body": json.dumps(answer),
                "reference": order.iused_reference,
                "order_id": order.id,
                "state": "accepted",
            },
        )
        refused = Domain(
            [("company_id", "=", company.id), ("reference", "=", order.iused_reference), ("state", "=", "refused")]
        )
        if order.state != "cancel":
            # A repeat of the first push does not settle what was refused because of it.
            refused &= Domain("order_id", "=", False)
        self.search(refused)._settle(order)
        return exchange

    @api.model
    def _log_refused(self, company, push, status, answer):
        """Write down a push that was refused, after its own work was rolled back, and tell the responsible user.

        :param str answer: the body of the answer
        :return: the row
        """
        reference = self._find_reference(company, push)
        orders = self.env["sale.order"]
        cause = self._find_cause(company, reference, status, answer)
        orders._iused_lock(f"sale_iused {company.id} cause {cause}")  # of two at once, one makes the activity
        exchange = self._create_push(
            company,
            {
                **push,
                "status": status,
                "answer_body": answer,
                "reference": reference,
                "order_id": reference and orders._iused_search_reference(company, reference).id,
                "state": "refused",
                "detail": self._describe(answer).replace("\n", " "),
                "cause": cause,
            },
        )
        if status != 503:  # which iUsed repeats
            try:
                with self.env.cr.savepoint():
                    exchange._tell_responsible()
            except OperationalError:
                raise  # a lost race, or no database: all of this again, or nothing
            except Exception:
                # What was pushed is kept all the same.
                _logger.exception("Nobody could be told of a refused order of iUsed")
        return exchange

    @api.model
    def _create_push(self, company, values):
        # A row of a log needs neither followers nor a message that it was made.
        return self.with_context(tracking_disable=True).create({"company_id": company.id, "kind": "order", **values})

    @api.model
    def _find_reference(self, company, push):
        """Return iUsed's number of the order that was pushed, as far as it can be read, or False."""
        if reference := self._reference_of_path(push["path"]):
            return cut(reference, MAX_REFERENCE + 1)  # longer than any order's; and an index takes no long text
        orders = self.env["sale.order"]
        try:
            document = parse_json(push["request_body"].encode())
        except JsonError:
            return False
        read = read_reference(document, **orders._iused_reader_options(company))
        return read or (push["idempotency_key"] and orders._iused_reference_of_key(push["idempotency_key"])) or False

    @api.model
    def _reference_of_path(self, path):
        return path.removeprefix(f"{ROUTE_PREFIX}/orders").removeprefix("/")

    @api.model
    def _find_cause(self, company, reference, status, answer):
        """Return what the refusals for one reason have in common, whatever the order: the faults that were told."""
        faults = [error["detail"] for error in self._parse_answer(answer).get("errors", ())]
        text = json.dumps([company.id, status, sorted(faults) or [reference, self._detail(answer)]])
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    @api.model
    def _parse_answer(self, answer):
        """Return the problem details of an answer, or an empty dict."""
        try:
            document = json.loads(answer or "")
        except ValueError:
            return {}
        return document if isinstance(document, dict) else {}

    @api.model
    def _detail(self, answer):
        return self._parse_answer(answer).get("detail", "")

    @api.model
    def _describe(self, answer):
        """Return the problem of an answer for people: what is wrong, and a line for each field at fault; cut where it
        is too long to be shown.
        """
        document = self._parse_answer(answer)
        faults = [
            f"{error['parameter']}: {error['detail']}"
            if "parameter" in error
            else f"{error.get('pointer', '')} {error['detail']}".strip()
            for error in document.get("errors", ())
        ]
        return cut("\n".join([document.get("detail", ""), *faults]), LONGEST_PROBLEM)

    def _tell_responsible(self):
        """Give the responsible user one activity for each cause, however often it is met."""
        self.ensure_one()
        same_cause = self.search([("cause", "=", self.cause), ("activity_id.active", "=", True)], limit=1)
        if same_cause:
            self.activity_id = same_cause.activity_id
            return
        # On the order that is in the way, where there is one: that is where somebody has to look.
        self.activity_id = (self.order_id or self).activity_schedule(
            "mail.mail_activity_data_warning",
            summary=self.env._("iUsed order %s was refused", self.reference or ""),
            note=plaintext2html(self._describe(self.sudo().answer_body)),  # for managers; so is who reads this
            user_id=self.company_id._iused_responsible().id,
        )

    def _settle(self, order):
        """Mark refusals as accepted later, and close the activity of each cause of which nothing is left."""
        if not self:
            return
        activities = self.activity_id
        self.write({"state": "settled", "order_id": order.id})
        for activity in activities.filtered("active"):
            if not self.search_count([("activity_id", "=", activity.id), ("state", "=", "refused")], limit=1):
                activity.action_feedback(feedback=self.env._("Accepted later, as %s.", order.name))

    def action_process_again(self):
        """Process a refused push again, after its cause was mended.

        :raises odoo.exceptions.UserError: with the new refusal; nothing is changed then
        """
        self.ensure_one()
        self.check_access("read")
        if not self.env.user.has_group("sale_iused.group_iused_manager"):
            raise AccessError(self.env._("Only iUsed managers can process an order of iUsed again."))
        # Managers cannot write the log; and the order is made as in the call, by iUsed's user.
        exchange_sudo = self.sudo()
        company_sudo = exchange_sudo.company_id
        if exchange_sudo.state != "refused" or not company_sudo.iused_user_id:
            raise UserError(self.env._("Only what was refused can be processed again."))
        push = {name: exchange_sudo[name] for name in ("method", "path", "request_body", "idempotency_key")} | {
            "processed_by_id": self.env.uid
        }
        orders_sudo = self.env(
            user=company_sudo.iused_user_id, context={"allowed_company_ids": company_sudo.ids}, su=True
        )["sale.order"]
        try:
            order, created = orders_sudo._iused_push(
                company_sudo.with_env(orders_sudo.env),
                (push["request_body"] or "").encode(),
                self._reference_of_path(push["path"]),
                push["idempotency_key"] or "",
            )
        except HTTPException as refusal:
            raise UserError(self._describe(refusal.response.get_data(as_text=True))) from refusal
        exchanges_sudo = exchange_sudo.with_env(orders_sudo.env)
        exchanges_sudo._log_accepted(company_sudo, push, 201 if created else 200, order._iused_prepare_answer(), order)
        exchanges_sudo.filtered(lambda exchange: exchange.state == "refused")._settle(order)
        return order.with_env(self.env)._get_records_action()

    @api.autovacuum
    def _gc_exchanges(self):
        """Delete what is older than its company's retention, but for the last poll, which tells when it was."""
        for (company,) in self._read_group([], ["company_id"]):
            before = fields.Datetime.now() - timedelta(days=company.iused_retention_days)
            old = self.search(
                [
                    ("company_id", "=", company.id),
                    ("create_date", "<", before),
                    ("id", "!=", self._last_poll(company).id),
                ],
                limit=VACUUM_BATCH,
            )
            old.unlink()
            if len(old) == VACUUM_BATCH:
                self.env.ref("base.autovacuum_job")._trigger()
