import hashlib
import json
import re
from datetime import timedelta

from werkzeug.exceptions import HTTPException

from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError
from odoo.fields import Domain
from odoo.tools import format_datetime

from ..const import KEY_SCOPE, ROUTE_PREFIX
from ..tools.networks import allows, parse_networks, read_address
from ..tools.order_payload import MAX_REFERENCE, JsonError, cut, parse_json, read_reference

VACUUM_BATCH = 10_000  # rows deleted at a time
# What a caller may fill who sends nonsense all day.
LONGEST_KEPT = 2**16  # characters of a body
CUT = "\n… (the rest was not kept)"
MOST_REFUSALS = 1_000  # of a company, in a day
MOST_REPEATS = 1_000  # whose bodies are kept, likewise
MOST_OUTSIDE = 1_000  # calls from networks that are not listed, likewise
MOST_OUTSIDE_OF_ADDRESS = 20  # the same, of one address
MOST_ACTIVITIES = 10  # open at a time because of a company's refusals
LONGEST_PROBLEM = 10_000  # characters of what was wrong, in forms and activities
LONGEST_DETAIL = 1_000  # the same, in lists
LAST_CALLS = 200  # whose addresses are shown
OUTSIDE_DAYS = 7  # that a call from elsewhere is a trouble
LONGEST_PRETTY = 2**20  # characters of a body with one value a line: indents alone may make it 100 times as long

# What is written without the ORM: what is not given is NULL.
INSERTED = (
    "company_id",
    "kind",
    "direction",
    "method",
    "path",
    "status",
    "duration",
    "size",
    "offers",
    "detail",
    "request_body",
    "answer_body",
    "order_id",
    "update_id",
    "key_name",
    "remote_address",
    "create_uid",
)
INSERT = f"""
    INSERT INTO iused_exchange ({", ".join(INSERTED)}, create_date)
    VALUES ({", ".join(f"%({column})s" for column in INSERTED)}, now() AT TIME ZONE 'UTC')
"""  # noqa: S608 - our own names # nosec B608


class IusedExchange(models.Model):
    """Log of what went between us and iUsed, in either direction, kept also where the work itself rolled back."""

    _name = "iused.exchange"
    _description = "iUsed Exchange"
    _inherit = ["mail.thread", "mail.activity.mixin"]
    _order = "id desc"
    _rec_name = "path"

    company_id = fields.Many2one("res.company", required=True, readonly=True, ondelete="cascade")
    kind = fields.Selection(
        [
            ("offers", "Offers"),
            ("order", "Order"),
            ("shipment", "Shipment update"),
            ("outside", "Call from elsewhere"),
        ],
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
    key_name = fields.Char("Access Token", readonly=True, help="The name of the token that the call was made with.")
    remote_address = fields.Char("Address", readonly=True, help="Where the call came from, as Odoo sees it.")
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
    _refused_index = models.Index("(company_id) WHERE state = 'refused'")
    _pushed_index = models.Index("(company_id, create_date) WHERE kind = 'order'")
    _outside_index = models.Index("(company_id, create_date) WHERE kind = 'outside'")

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

    # Writing ---------------------------------------------------------------------------------------------------------

    @api.model
    def _insert(self, values, also=""):
        """Write a row without the ORM, which would take longer than a poll that is answered 304, or a call to iUsed.

        No stored field depends on what is written so.

        :param dict values: by column, see `INSERTED`
        :param str also: a statement that is executed before, in the same round trip, and may use other values, too
        """
        self.env.cr.execute(f"{also};{INSERT}", {**dict.fromkeys(INSERTED), **values})

    @api.model
    def _log_upload(self, company, values):
        """Write down an upload of the offers.

        :param dict values: `path`, `duration` (s), `size` (bytes), `offers`, and `detail` where it failed
        """
        self.create({"company_id": company.id, "kind": "offers", "direction": "out", "method": "SFTP", **values})

    # Polls -----------------------------------------------------------------------------------------------------------

    @api.model
    def _log_poll(self, values):
        """Write down a poll of the offers.

        :param dict values: `company_id`, `method`, `path`, `status`, `duration` (s), `size` (bytes), `key_name`,
            `remote_address`, and `offers` and `detail` if any
        """
        # iUsed waits for this: it neither waits for the disk, as a crash may lose the row, nor for somebody's lock.
        self._insert(
            {"kind": "offers", "direction": "in", **values, "create_uid": self.env.uid},
            also="SET LOCAL synchronous_commit = off; SET LOCAL lock_timeout = '1s'",
        )

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

    # Calls from elsewhere --------------------------------------------------------------------------------------------

    @api.model
    def _log_outside(self, company, values):
        """Write down a call with a good key from a network that the company does not list, and have somebody told.

        Neither a poll nor a push: it must not hide that iUsed's own do not come, nor take their share of the log.

        :param dict values: `method`, `path`, `status`, `duration` (s), `detail`, `key_name`, `remote_address`
        """
        today = self._outside_domain(company) & Domain("create_date", ">=", self._midnight())
        counts = dict(self._read_group(today, ["remote_address"], ["__count"]))
        count = counts.get(values["remote_address"], 0)
        if count >= MOST_OUTSIDE_OF_ADDRESS or sum(counts.values()) >= MOST_OUTSIDE:
            return
        # A row of a log needs neither followers nor a message that it was made.
        self.with_context(tracking_disable=True).create({"company_id": company.id, "kind": "outside", **values})
        if not count:
            self.env["iused.trouble"]._watch_now()

    @api.model
    def _outside_domain(self, company):
        return Domain("company_id", "=", company.id) & Domain("kind", "=", "outside")

    @api.model
    def _outside_calls(self, company):
        """Return from where a key that is still good was used within the week, though it is not let in from there.

        :return: list of addresses, each with the name of the key, the last ones first
        """
        networks = parse_networks(company.iused_networks)
        if not networks:
            return []
        since = fields.Datetime.now() - timedelta(days=OUTSIDE_DAYS)
        groups = self._read_group(
            self._outside_domain(company) & Domain("create_date", ">=", since),
            ["remote_address", "key_name"],
            ["create_date:max", "id:max"],
            order="id:max desc",
        )
        keys = groups and self.env["res.users.apikeys"].search_read(
            [("user_id", "=", company.iused_user_id.id), ("scope", "=", KEY_SCOPE)], ["name", "create_date"]
        )
        return [
            (address, name)
            for address, name, last, _id in groups
            if not allows(networks, read_address(address))
            # One that was revoked is made again under the same name.
            and any(key["name"] == name and key["create_date"] <= last for key in keys)
        ]

    @api.model
    def _seen_addresses(self, company):
        """Return the addresses that a company's last calls came from, the last one first; of those that were let in."""
        calls = Domain("company_id", "=", company.id) & Domain("kind", "!=", "outside")
        last = self.search(calls & Domain("remote_address", "!=", False), limit=LAST_CALLS)
        return list(dict.fromkeys(last.mapped("remote_address")))

    # Pushed orders ---------------------------------------------------------------------------------------------------

    @api.model
    def _log_accepted(self, company, push, status, answer, order):
        """Write down a push that was accepted, in its own transaction: neither is kept without the other.

        What was refused of this order before is settled with it.

        :param dict push: `method`, `path`, `request_body`, `idempotency_key`, `duration`, and of a call of iUsed
            `key_name` and `remote_address`
        :param int status: the HTTP status of the answer
        :param answer: the answer, to be written as JSON
        :return: the row
        """
        if order.iused_anonymized_at:
            push = {**push, "request_body": ""}  # it would bring back what was erased
        elif status == 200 and (
            self._has_body(order, push["request_body"]) or self._count_repeats_today(company) >= MOST_REPEATS
        ):
            push = {**push, "request_body": ""}  # who repeats it all day, word for word or not, fills no disk
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
    def _has_body(self, order, body):
        """Tell whether the last body that was kept of an order's pushes is this one."""
        accepted = [("order_id", "=", order.id), ("state", "=", "accepted"), ("request_body", "not in", (False, ""))]
        return self.search(accepted, limit=1).request_body == body

    @api.model
    def _log_refused(self, company, push, status, answer):
        """Write down a push that was refused, after its own work was rolled back, and tell the responsible user.

        :param str answer: the body of the answer
        :return: the row, or none where the company's refusals of the day have filled their share
        """
        inbox = self.env["iused.order.inbox"]
        try:
            # One after the other, for one activity for each cause and not too many. It begins a transaction.
            inbox._take_turn([f"sale_iused {company.id} refusals"])
            in_turn = True
        except HTTPException:
            in_turn = False
        kept = self._count_refusals_today(company)
        if kept >= MOST_REFUSALS:
            return self
        if kept == MOST_REFUSALS - 1:
            self.env["iused.trouble"]._watch_now()
        reference = self._find_reference(company, push)
        order = inbox._search_reference(company, reference) if reference else self.env["sale.order"]
        if order.iused_anonymized_at:  # what was sent, and what is told of its fields, would bring back what was erased
            push, answer = {**push, "request_body": ""}, self._without_faults(answer)
        exchange = self._create_push(
            company,
            {
                **push,
                "status": status,
                "answer_body": answer,
                "reference": reference,
                "order_id": order.id,
                "state": "refused",
                "detail": cut(self._describe(answer).replace("\n", " "), LONGEST_DETAIL),
                "cause": self._find_cause(company, order, reference, status, answer),
            },
        )
        if in_turn and status != 503:  # which iUsed repeats
            exchange._tell_responsible()
        return exchange

    @api.model
    def _count_refusals_today(self, company):
        """Return how many refusals of a company are kept since midnight, UTC, whatever became of them since."""
        return self.search_count(self._pushed_today_domain(company) & Domain("cause", "!=", False))

    @api.model
    def _count_repeats_today(self, company):
        """Return of how many repeated pushes of a company a body is kept since midnight, UTC."""
        repeats = Domain("status", "=", 200) & Domain("request_body", "not in", (False, ""))
        return self.search_count(self._pushed_today_domain(company) & repeats)

    @api.model
    def _pushed_today_domain(self, company):
        today = Domain("create_date", ">=", self._midnight())
        return Domain("company_id", "=", company.id) & Domain("kind", "=", "order") & today

    @api.model
    def _midnight(self):
        """Return the last midnight, UTC."""
        return fields.Datetime.now().replace(hour=0, minute=0, second=0, microsecond=0)

    @api.model
    def _create_push(self, company, values):
        for name in ("request_body", "answer_body"):
            if len(values[name]) > LONGEST_KEPT:
                values = {**values, name: values[name][:LONGEST_KEPT] + CUT}
        # A row of a log needs neither followers nor a message that it was made.
        return self.with_context(tracking_disable=True).create({"company_id": company.id, "kind": "order", **values})

    @api.model
    def _find_reference(self, company, push):
        """Return iUsed's number of the order that was pushed, as far as it can be read, or False."""
        if reference := self._reference_of_path(push["path"]):
            return cut(reference, MAX_REFERENCE + 1)  # longer than any order's; and an index takes no long text
        inbox = self.env["iused.order.inbox"]
        try:
            document = parse_json(push["request_body"].encode())
        except JsonError:
            return False
        read = read_reference(document, **inbox._reader_options(company))
        return read or inbox._reference_of_key(push["idempotency_key"]) or False

    @api.model
    def _reference_of_path(self, path):
        return path.removeprefix(f"{ROUTE_PREFIX}/orders").removeprefix("/")

    @api.model
    def _find_cause(self, company, order, reference, status, answer):
        """Return what the refusals for one reason have in common: the faults that were told, whatever the values.

        :param order: the known order that is in the way, or none
        """
        faults = {
            self._without_values(f"{error.get('pointer', '')} {error['detail']}")
            for error in self._parse_answer(answer).get("errors", ())
        }
        detail = self._detail(answer).replace(reference or "\0", "…")
        about = sorted(faults) or [order.id, self._without_values(detail)]
        return hashlib.sha256(json.dumps([company.id, status, about]).encode()).hexdigest()[:32]

    @api.model
    def _without_values(self, text):
        """Return the words of a refusal without what differs from order to order: numbers, and what is in quotes."""
        return re.sub(r'"[^"]*"|[0-9]+', "…", text)

    @api.model
    def _without_faults(self, answer):
        """Return the problem details of an answer without what they say of single fields, whose values they quote."""
        return json.dumps({name: value for name, value in self._parse_answer(answer).items() if name != "errors"})

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
        """Give the responsible user one activity for each cause, however often it is met; not too many in all.

        Beyond these the trouble `many_refused` tells how many more there are.
        """
        self.ensure_one()
        troubles = self.env["iused.trouble"]
        known = self.search([("cause", "=", self.cause), ("activity_id.active", "=", True)], limit=1)
        if not known and self._count_activities(self.company_id) >= MOST_ACTIVITIES:
            troubles._watch_now()
            return
        # On the order that is in the way, where there is one: that is where somebody has to look.
        self.activity_id = troubles._tell(
            "refused",
            self.order_id or self,
            lambda env: (
                env._("iUsed order %s was refused", self.reference or ""),
                self._describe(self.sudo().answer_body),  # for managers; so is who reads this
            ),
            about=self.cause,
        )

    @api.model
    def _count_activities(self, company):
        """Return how many activities are open because of a company's refusals."""
        groups = self._read_group(
            [("company_id", "=", company.id), ("state", "=", "refused"), ("activity_id.active", "=", True)],
            [],
            ["activity_id:count_distinct"],
        )
        return groups[0][0]

    @api.model
    def _count_untold(self, company):
        """Return how many refusals of a company have no activity, as there are enough of them already."""
        return self.search_count(
            [
                ("company_id", "=", company.id),
                ("state", "=", "refused"),
                ("status", "!=", 503),
                ("activity_id", "=", False),
            ]
        )

    @api.model
    def _unsettled_domain(self, company):
        """What was refused and neither accepted later nor dealt with by a person, who marked its activity as done.

        What was refused because too much went on at once is repeated by iUsed.
        """
        undone = Domain("activity_id", "=", False) | Domain("activity_id.active", "=", True)
        return (
            Domain("company_id", "=", company.id)
            & Domain("state", "=", "refused")
            & Domain("status", "!=", 503)
            & undone
        )

    def _settle(self, order):
        """Mark refusals as accepted later, and close the activity of each cause of which nothing is left."""
        if not self:
            return
        activities = self.activity_id
        self.write({"state": "settled", "order_id": order.id})
        for activity in activities.filtered("active"):
            if not self.search_count([("activity_id", "=", activity.id), ("state", "=", "refused")], limit=1):
                env = self.with_context(lang=activity.user_id.lang).env
                activity.action_feedback(feedback=env._("Accepted later, as %s.", order.name))

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
        later = exchange_sudo._find_later()
        if later:
            raise UserError(
                self.env._(
                    "iUsed pushed order %(reference)s again on %(moment)s: process that push, as the last one counts.",
                    reference=exchange_sudo.reference,
                    moment=format_datetime(self.env, later.create_date, dt_format="short"),
                )
            )
        if not exchange_sudo.request_body:
            raise UserError(self.env._("What was sent was erased. Ask iUsed to push the order again."))
        if exchange_sudo.request_body.endswith(CUT):
            raise UserError(self.env._("The order was too long to be kept. Ask iUsed to push it again."))
        push = {name: exchange_sudo[name] for name in ("method", "path", "request_body", "idempotency_key")} | {
            "processed_by_id": self.env.uid
        }
        inbox_sudo = self.env(
            user=company_sudo.iused_user_id, context={"allowed_company_ids": company_sudo.ids}, su=True
        )["iused.order.inbox"]
        try:
            order, created = inbox_sudo._push(
                company_sudo.with_env(inbox_sudo.env),
                (push["request_body"] or "").encode(),
                self._reference_of_path(push["path"]),
                push["idempotency_key"] or "",
            )
        except HTTPException as refusal:
            raise UserError(self._describe(refusal.response.get_data(as_text=True))) from refusal
        exchanges_sudo = exchange_sudo.with_env(inbox_sudo.env)
        exchanges_sudo._log_accepted(
            company_sudo, push, 201 if created else 200, inbox_sudo._prepare_answer(order), order
        )
        exchanges_sudo.filtered(lambda exchange: exchange.state == "refused")._settle(order)
        return order.with_env(self.env)._get_records_action()

    @api.model
    def _was_cancelled(self, company, reference):
        """Tell whether iUsed cancelled an order that was not known then: refused, or still on its way."""
        # No other push is answered so.
        cancellations = self._pushes_domain(company, reference) & Domain("status", "=", 404)
        return bool(self.search_count(cancellations, limit=1))

    def _find_later(self):
        """Return the last push of the same order after this one, or none."""
        self.ensure_one()
        if not self.reference:
            return self.browse()
        later = self._pushes_domain(self.company_id, self.reference) & Domain("id", ">", self.id)
        return self.search(later, order="id desc", limit=1)

    @api.model
    def _pushes_domain(self, company, reference):
        return (
            Domain("company_id", "=", company.id) & Domain("kind", "=", "order") & Domain("reference", "=", reference)
        )

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
