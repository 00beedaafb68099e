from datetime import datetime, timedelta
from typing import NamedTuple

from babel.dates import format_timedelta

from odoo import api, fields, models
from odoo.exceptions import AccessError
from odoo.fields import Domain
from odoo.models import BaseModel
from odoo.tools import SQL, format_datetime
from odoo.tools.misc import babel_locale_parse

from ..tools.delivery import tries_within
from ..tools.networks import is_nearby, read_address
from .iused_exchange import MOST_ACTIVITIES, MOST_REFUSALS

ADMINISTRATOR = "base.group_system"
MANAGER = "sale_iused.group_iused_manager"
USER = "sale_iused.group_iused_user"
SALES = "sales_team.group_sale_salesman"
UNTOLD = ("waiting", "pending", "retry")  # states of shipment updates that go out by themselves
TO_SEND = ("pending", "retry")  # those that have all they need
FAILED = ("retry", "stopped")  # those that were sent, and not accepted
PATIENCE = timedelta(hours=1)  # for a scheduled action
DOWN_AFTER = timedelta(days=1)  # for iUsed's server
WARN_BEFORE = timedelta(days=14)  # an access token ends
# A token is replaced once iUsed uses another and has left it alone for so long: the use is known to the hour, and two
# programs of iUsed may use one each.
REPLACED_AFTER = timedelta(hours=2)
MOST_CRON_FAILURES = 3  # in a row
MOST_ADDRESSES = 5  # that are named
# What can be opened from the page, and who may.
DOORS = {
    "token": ADMINISTRATOR,
    "test": ADMINISTRATOR,
    "settings": ADMINISTRATOR,
    "sftp": ADMINISTRATOR,
    "share": MANAGER,
    "products": SALES,
    "ready": SALES,
    "not_ready": SALES,
    "orders": SALES,
    "orders_today": SALES,
    "open_orders": SALES,
    "polls": USER,
    "pushes": USER,
    "untold": USER,
    "stopped": USER,
    "late": USER,
    "refused": USER,
    "outside": USER,
    "to_check": SALES,
    "beyond_limit": SALES,
    "short": SALES,
    "cut_off": SALES,
}
# The orders that have a line which left in part, or not at all, while nothing of it is on its way any more. What came
# back had left. A kit has the moves of its parts: of it we know what Odoo reckons.
CUT_OFF_ORDERS = """
    SELECT line.order_id
      FROM sale_order_line line
      JOIN stock_move move ON move.sale_line_id = line.id
      JOIN stock_location source ON source.id = move.location_id
      JOIN stock_location destination ON destination.id = move.location_dest_id
     WHERE line.state = 'sale'
       AND line.qty_delivered_method = 'stock_move'
       AND line.qty_delivered < line.product_uom_qty
     GROUP BY line.id
    HAVING bool_or(source.usage != 'customer')
       AND NOT bool_or(source.usage != 'customer' AND move.state NOT IN ('done', 'cancel'))
       AND CASE WHEN bool_or(move.product_id = line.product_id)
                THEN line.product_uom_qty > COALESCE(SUM(move.quantity) FILTER (
                         WHERE move.state = 'done' AND source.usage != 'customer' AND destination.usage = 'customer'
                     ), 0)
                ELSE NOT bool_or(move.state = 'done' AND source.usage = 'customer')
           END
"""
CUT_OFF_FIELDS = {
    "sale.order.line": ("state", "qty_delivered_method", "qty_delivered", "product_uom_qty", "product_id"),
    "stock.move": ("sale_line_id", "location_id", "location_dest_id", "product_id", "state", "quantity"),
}


class Orders(NamedTuple):
    """Orders in the same trouble."""

    count: int
    first: BaseModel  # the oldest


class Facts(NamedTuple):
    """What is known of a company's connection, read by a fixed number of queries."""

    tokens: BaseModel  # res.users.apikeys that let iUsed in
    last_ended: tuple | None  # name and moment of the token that ended last, where none was revoked since
    was_connected: bool  # iUsed can get in, or could
    outside: list  # the addresses that a good key was used from though they are not listed, each with the key's name
    last_poll: BaseModel  # iused.exchange, answered well or not
    was_read: bool  # iUsed had the offers at least once, by a poll or an upload
    location: BaseModel  # iused.sftp.location that is switched on
    ready: int
    not_ready: int
    with_stock: int
    last_order: BaseModel
    orders_today: int
    oldest_open: BaseModel  # the order that waits longest
    open_orders: int
    to_check: Orders  # quotations that somebody has to confirm
    beyond_limit: Orders  # quotations, as more came within 24 hours than the company allows
    short: Orders  # of stock
    cut_off: Orders  # they will not become whole by themselves
    untold: int
    to_send: int  # updates that have all they need
    due_since: datetime | None  # when the first of them came due
    last_try: datetime | None  # when an update was sent last, whatever was answered
    sender: BaseModel  # the scheduled action that sends them
    failing: BaseModel  # an update that iUsed has not taken for long
    late: int  # updates that lack something for longer than the company allows
    stopped: int
    was_told: bool  # iUsed accepted a shipment update at least once
    refused: int  # refusals that nobody has dealt with
    refused_today: int
    refused_untold: int  # refusals beyond those that somebody has an activity for

    @property
    def has_token(self):
        return bool(self.tokens)


class IusedOverview(models.AbstractModel):
    """The page that shows at a glance how the current company and iUsed get on, and the troubles that it shows."""

    _name = "iused.overview"
    _description = "iUsed Overview"

    # Facts -----------------------------------------------------------------------------------------------------------

    @api.model
    def _read_facts(self, company):
        """Return the facts of a company.

        They are read as superuser, as numbers and moments that everybody at the company may know: a salesperson has
        no rights on keys, the warehouse none on orders.

        :rtype: Facts
        """
        self_sudo = self.sudo()
        orders_sudo, exchanges_sudo = self_sudo.env["sale.order"], self_sudo.env["iused.exchange"]
        last_poll = exchanges_sudo._last_poll(company)
        location = self_sudo.env["iused.sftp.location"].search(
            [("company_id", "=", company.id), ("enabled", "=", True)]
        )
        good_poll = last_poll if last_poll.status < 400 else exchanges_sudo._last_poll(company, good=True)
        ready, not_ready, with_stock = self_sudo.env["iused.offer.feed"]._count_by_state(company)
        open_domain = self._open_orders_domain(company)
        last_order = orders_sudo.search(self._orders_domain(company), order="id desc", limit=1)
        tokens_sudo, user_sudo = self_sudo._read_tokens(company), company.sudo().iused_user_id
        last_ended = self_sudo._find_last_ended(company, tokens_sudo)
        tokens_sudo = tokens_sudo.filtered(lambda token: not token.iused_has_ended)
        return Facts(
            tokens=tokens_sudo,
            last_ended=last_ended,
            was_connected=bool(
                tokens_sudo or last_ended or (user_sudo and not user_sudo.active) or last_poll or last_order
            ),
            outside=exchanges_sudo._outside_calls(company.sudo()),
            last_poll=last_poll,
            was_read=bool(good_poll or location.last_upload),
            location=location,
            ready=ready,
            not_ready=not_ready,
            with_stock=with_stock,
            last_order=last_order,
            orders_today=orders_sudo.search_count(self._orders_today_domain(company)),
            oldest_open=orders_sudo.search(open_domain, order="create_date, id", limit=1),
            open_orders=orders_sudo.search_count(open_domain),
            to_check=self_sudo._count_orders(self._to_check_domain(company)),
            beyond_limit=self_sudo._count_orders(self._beyond_limit_domain(company)),
            short=self_sudo._count_orders(self._short_domain(company)),
            cut_off=self_sudo._count_orders(self._cut_off_domain(company)),
            **self_sudo._read_update_facts(company),
            refused=exchanges_sudo.search_count(exchanges_sudo._unsettled_domain(company)),
            refused_today=exchanges_sudo._count_refusals_today(company),
            refused_untold=exchanges_sudo._count_untold(company)
            if exchanges_sudo._count_activities(company) >= MOST_ACTIVITIES
            else 0,
        )

    @api.model
    def _count_orders(self, domain):
        """:rtype: Orders"""
        ((count, first),) = self.env["sale.order"]._read_group(domain, [], ["__count", "id:min"])
        return Orders(count, self.env["sale.order"].browse(first or ()))

    @api.model
    def _read_update_facts(self, company):
        """Return the facts about shipment updates, in a dict."""
        rows = self.env["iused.shipment.update"]._read_group(
            [("company_id", "=", company.id)],
            ["state", "waited_too_long"],
            ["__count", "next_try:min", "sent_at:max", "write_date:max"],
        )
        counts = dict.fromkeys((*UNTOLD, "stopped", "sent"), 0)
        for state, _late, count, *_moments in rows:
            counts[state] = counts.get(state, 0) + count
        due = [next_try for state, _late, _count, next_try, *_moments in rows if state in TO_SEND and next_try]
        # What was not accepted was written last when it was tried last.
        tries = [
            moment
            for state, _late, _count, _next_try, sent_at, written_at in rows
            if (moment := sent_at if state == "sent" else written_at if state in FAILED else None)
        ]
        return {
            "untold": sum(counts[state] for state in UNTOLD),
            "to_send": sum(counts[state] for state in TO_SEND),
            "due_since": min(due, default=None),
            "last_try": max(tries, default=None),
            "sender": self.env["iused.shipment.sender"]._cron_sudo(),
            "failing": self.env["iused.shipment.update"].search(self._failing_domain(company), order="id", limit=1),
            "late": sum(count for state, late, count, *_moments in rows if state == "waiting" and late),
            "stopped": counts["stopped"],
            "was_told": bool(counts["sent"]),
        }

    @api.model
    def _failing_domain(self, company):
        """What was sent first longer ago than that, by the log or, where the log is not kept so long, by its tries."""
        tried = Domain("exchange_ids.create_date", "<", fields.Datetime.now() - DOWN_AFTER)
        return (
            Domain("company_id", "=", company.id)
            & Domain("state", "=", "retry")
            & (tried | Domain("attempts", ">=", tries_within(DOWN_AFTER)))
        )

    @api.model
    def _read_tokens(self, company):
        """Return a company's access tokens, ended ones included until Odoo deletes them, within a day."""
        user, keys = company.iused_user_id, self.env["res.users.apikeys"]
        return keys.search(keys._iused_domain(user)) if user.active else keys

    @api.model
    def _find_last_ended(self, company, tokens):
        """Return name and moment of the token that ended last, or None where the last that went was revoked."""
        if ended := tokens.filtered("iused_has_ended").sorted("expiration_date")[-1:]:
            return ended.name, ended.expiration_date
        gone = Domain("company_id", "=", company.id) & Domain("kind", "in", ("token_ended", "token_revoked"))
        change = self.env["iused.change"].search(gone, limit=1)
        return (change.name, change.date) if change.kind == "token_ended" else None

    @api.model
    def _orders_domain(self, company):
        return Domain("company_id", "=", company.id) & Domain("iused_reference", "!=", False)

    @api.model
    def _orders_today_domain(self, company):
        """Today is the user's own day."""
        now = fields.Datetime.context_timestamp(self, fields.Datetime.now())
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
        start = fields.Datetime.now() - (now - midnight)
        return self._orders_domain(company) & Domain("create_date", ">=", start)

    @api.model
    def _open_orders_domain(self, company):
        return self._orders_domain(company) & (Domain("state", "in", ("draft", "sent")) | self._not_left_domain())

    @api.model
    def _not_left_domain(self):
        """A confirmed order is open until all of it has left, or it is cancelled.

        Odoo's delivery status alone does not tell: it counts returns, and services have none.
        """
        leaving = (
            Domain("state", "not in", ("done", "cancel"))
            & Domain("location_id.usage", "!=", "customer")
            # Inner steps are on their way to the customer too.
            & (Domain("location_final_id.usage", "=", "customer") | Domain("location_dest_id.usage", "=", "customer"))
        )
        goods = Domain("product_id.type", "=", "consu") & Domain("product_uom_qty", ">", 0)
        is_leaving = Domain("delivery_status", "not in", (False, "full")) & Domain(
            "order_line.move_ids", "any", list(leaving)
        )
        # No delivery yet, as of goods that are still to be bought for dropshipping, or none any more.
        is_left_out = Domain("delivery_status", "=", False) & Domain("order_line", "any", list(goods))
        return Domain("state", "=", "sale") & (is_leaving | is_left_out)

    @api.model
    def _to_check_domain(self, company):
        """A quotation waits for a person where nobody wanted it to be one, or where somebody was told to look."""
        waits = Domain("activity_ids.iused_key", "!=", False)
        if company.iused_order_policy == "confirm":
            # A large one is confirmed by a scheduled action.
            waits |= Domain("iused_to_confirm", "=", False) | Domain(
                "create_date", "<", fields.Datetime.now() - PATIENCE
            )
        waits &= Domain("iused_beyond_limit", "=", False)
        return self._orders_domain(company) & Domain("state", "in", ("draft", "sent")) & waits

    @api.model
    def _beyond_limit_domain(self, company):
        waits = Domain("state", "in", ("draft", "sent")) & Domain("iused_beyond_limit", "=", True)
        return self._orders_domain(company) & waits

    @api.model
    def _short_domain(self, company):
        """An order is short where Odoo reserves by itself and could not, or where somebody was told so."""
        by_itself = Domain("picking_type_id.reservation_method", "=", "at_confirm")
        told = Domain("activity_ids.iused_key", "=like", "short %")
        lacking = self._lacking_domain(by_itself) | (self._lacking_domain() & told)
        return self._orders_domain(company) & lacking

    @api.model
    def _lacking_domain(self, moves=Domain.TRUE):
        """Return the domain of confirmed orders of which goods are not reserved.

        :param odoo.fields.Domain moves: which of their moves count
        """
        moves &= Domain("state", "in", ("confirmed", "partially_available"))
        moves &= Domain("product_id.is_storable", "=", True)
        return Domain("state", "=", "sale") & Domain("order_line.move_ids", "any", moves)

    @api.model
    def _cut_off_domain(self, company):
        """An order is cut off where some of it has not left and nothing is on its way any more: *No Backorder*, say."""
        to_flush = [self.env[model]._fields[name] for model, names in CUT_OFF_FIELDS.items() for name in names]

        def to_sql(_model, alias, _query):
            return SQL("%s IN (%s)", SQL.identifier(alias, "id"), SQL(CUT_OFF_ORDERS, to_flush=to_flush))

        return self._orders_domain(company) & Domain("state", "=", "sale") & Domain.custom(to_sql=to_sql)

    # Troubles --------------------------------------------------------------------------------------------------------

    @api.model
    def _find_troubles(self, company, facts):
        """Return what is wrong, by the company's own limits. A company that was never connected has no troubles.

        Uploads, and sending that iUsed's answer stopped, have troubles of their own, which they tell themselves.

        :return: dict of a kind of `iused.trouble` to a sentence, in the language and time zone of the environment
        """
        if not facts.was_connected:
            return {}
        if lost := self._describe_lost_key(company, facts):
            troubles = {"no_key": lost}
        else:
            troubles = self._find_call_troubles(company, facts) | self._find_key_troubles(facts)
        return (
            troubles
            | self._find_refusals(facts)
            | self._find_order_troubles(company, facts)
            | self._find_shipment_troubles(company, facts)
        )

    @api.model
    def _describe_lost_key(self, company, facts):
        """Say in words why iUsed cannot get in, or return an empty string where it can."""
        user_sudo, tokens = company.sudo().iused_user_id, facts.tokens
        if tokens and (not facts.last_ended or any(tokens.mapped("iused_last_use"))):
            return ""
        if user_sudo and not user_sudo.active:
            return self.env._(
                "iUsed cannot get in: its user %s is archived. Make a new access token, and give it to iUsed.",
                user_sudo.name,
            )
        if not facts.last_ended:
            return self.env._(
                "iUsed cannot get in: there is no access token any more. Make a new one, and give it to iUsed."
            )
        name, moment = facts.last_ended
        if tokens:
            return self.env._(
                "iUsed cannot get in since %(moment)s: the access token “%(name)s” ended, and “%(other)s” was not used"
                " yet. Give it to iUsed.",
                moment=self._moment(moment),
                name=name,
                other=tokens[-1:].name,
            )
        return self.env._(
            "iUsed cannot get in since %(moment)s: the access token “%(name)s” ended. Make a new one, and give it to"
            " iUsed.",
            moment=self._moment(moment),
            name=name,
        )

    @api.model
    def _find_key_troubles(self, facts):
        """Return the trouble with access tokens that end soon, unless iUsed uses another by now that lasts longer."""
        soon = fields.Datetime.now() + WARN_BEFORE
        texts = []
        for token in facts.tokens.sorted("id"):
            end = token.expiration_date
            if not end or end > soon:
                continue
            longer = facts.tokens.filtered(lambda other, end=end: (other.expiration_date or datetime.max) > end)
            if text := self._describe_ending(token, longer):
                texts.append(text)
        return {"key_ends": " ".join(texts)} if texts else {}

    @api.model
    def _describe_ending(self, token, longer):
        """Say in words what is to be done about a token that ends, or return an empty string for nothing.

        :param longer: the tokens that last longer
        """
        values = {
            "name": token.name,
            "moment": self._moment(token.expiration_date),
            "other": longer.sorted("id")[-1:].name,
        }
        used = max(filter(None, longer.mapped("iused_last_use")), default=None)
        if not longer:
            return self.env._(
                "The access token “%(name)s” ends on %(moment)s. Make another, and give it to iUsed.", **values
            )
        if not used:
            return self.env._(
                "The access token “%(name)s” ends on %(moment)s, and iUsed has not used “%(other)s” yet. Give it to"
                " iUsed.",
                **values,
            )
        if token.iused_last_use and used - token.iused_last_use < REPLACED_AFTER:
            return self.env._(
                "The access token “%(name)s” ends on %(moment)s. iUsed uses “%(other)s” too, but this one until lately:"
                " ask iUsed whether it was replaced everywhere.",
                **values,
            )
        return ""

    @api.model
    def _find_call_troubles(self, company, facts):
        """Return the troubles that show in iUsed's calls, or in what they find."""
        troubles = {}
        now = fields.Datetime.now()
        poll, order = facts.last_poll, facts.last_order
        # Who uploads the offers need not be polled.
        limit = company.iused_watch_poll_hours
        if limit and poll and not facts.location and poll.create_date < now - timedelta(hours=limit):
            troubles["no_poll"] = self.env._(
                "iUsed last asked for the offers on %(moment)s. It should do so at least every %(hours)s hours.",
                moment=self._moment(poll.create_date),
                hours=limit,
            )
        if poll.status >= 400:
            troubles["poll_failed"] = self.env._(
                "When iUsed last asked for the offers, the answer was an error (HTTP %(status)s): %(detail)s",
                status=poll.status,
                detail=poll.detail,
            )
        if facts.outside:
            troubles["outside"] = self._describe_outside(facts.outside)
        limit = company.iused_watch_offers
        if facts.was_read and facts.with_stock < limit:
            troubles["few_offers"] = self.env._(
                "iUsed finds %(count)s offers in stock; there should be %(limit)s or more.",
                count=facts.with_stock,
                limit=limit,
            )
        limit = company.iused_watch_order_days
        if limit and order and order.create_date < now - timedelta(days=limit):
            troubles["no_order"] = self.env._(
                "The last order came on %(moment)s, more than %(days)s days ago.",
                moment=self._moment(order.create_date),
                days=limit,
            )
        return troubles

    @api.model
    def _describe_outside(self, outside):
        """Say in words from where a good key was used.

        :param list outside: as in `Facts`
        """
        addresses = list(dict.fromkeys(address for address, _name in outside))
        more = len(addresses) - MOST_ADDRESSES
        text = self.env._(
            "The key “%(key)s” was used from %(addresses)s, which is not in the list of networks: it may be known to"
            " others. These calls were refused. If it was iUsed, list the address in the settings; if not, give iUsed a"
            " new access token and revoke this one.",
            key=", ".join(dict.fromkeys(name for _address, name in outside)),
            addresses=", ".join([*addresses[:MOST_ADDRESSES], *([f"… +{more}"] if more > 0 else [])]),
        )
        if not any(is_nearby(read_address(address)) for address in addresses):
            return text
        hint = self.env._(
            "One is an address of your own network: behind a reverse proxy Odoo sees iUsed's own address only with"
            " proxy_mode = True."
        )
        return f"{text} {hint}"

    @api.model
    def _find_refusals(self, facts):
        """Return the troubles with orders that were refused."""
        troubles = {}
        if facts.refused:
            troubles["refused"] = self.env._(
                "%s pushes of orders were refused and not accepted since. Mend the cause and process them again; where"
                " nothing is to be done, mark the activity as done.",
                facts.refused,
            )
        if facts.refused_untold:
            troubles["many_refused"] = self.env._(
                "%(count)s refusals more have other reasons than the %(told)s that there are activities for.",
                count=facts.refused_untold,
                told=MOST_ACTIVITIES,
            )
        if facts.refused_today >= MOST_REFUSALS:
            troubles["refusals_full"] = self.env._(
                "%s orders were refused today. What is refused until midnight (UTC) is answered, but not kept.",
                facts.refused_today,
            )
        return troubles

    @api.model
    def _find_order_troubles(self, company, facts):
        """Return the troubles with orders that were accepted."""
        troubles = {}
        now, oldest = fields.Datetime.now(), facts.oldest_open
        limit = company.iused_watch_open_hours
        if limit and oldest and oldest.create_date < now - timedelta(hours=limit):
            troubles["open_order"] = self.env._(
                "%(order)s came on %(moment)s and has not left yet. It should leave within %(hours)s hours.",
                order=oldest.name,
                moment=self._moment(oldest.create_date),
                hours=limit,
            )
        if facts.to_check.count:
            troubles["to_check"] = self.env._(
                "%(order)s waits as a quotation for somebody to check and confirm it (in all: %(count)s).",
                order=facts.to_check.first.name,
                count=facts.to_check.count,
            )
        if facts.beyond_limit.count:
            troubles["beyond_limit"] = self.env._(
                "%(count)s orders wait as quotations, %(order)s first: more came from iUsed within 24 hours than"
                " you allow (%(limit)s). It is a good day, or somebody else has iUsed's key. Confirm what is right;"
                " else cancel them, and give iUsed a new access token.",
                count=facts.beyond_limit.count,
                order=facts.beyond_limit.first.name,
                limit=company._iused_describe_limit(),
            )
        if facts.short.count:
            troubles["short"] = self.env._(
                "There is too little in stock for %(order)s (in all: %(count)s).",
                order=facts.short.first.name,
                count=facts.short.count,
            )
        if facts.cut_off.count:
            troubles["cut_off"] = self.env._(
                "Not all of %(order)s has left, and there is no delivery for the rest: iUsed still waits. Deliver it,"
                " or agree with iUsed and lower the ordered quantity (in all: %(count)s).",
                order=facts.cut_off.first.name,
                count=facts.cut_off.count,
            )
        return troubles

    @api.model
    def _find_shipment_troubles(self, company, facts):
        """Return the troubles with shipment updates that do not get to iUsed."""
        troubles = {}
        hours = company.iused_waiting_hours
        if hours and facts.late:
            troubles["update_waits"] = self.env._(
                "%(count)s shipment updates wait for a serial number or tracking reference for more than %(hours)s"
                " hours.",
                count=facts.late,
                hours=hours,
            )
        if company.iused_webhook_is_lost:
            return troubles | {"webhook_lost": self._describe_lost_webhook()}
        if not facts.to_send:
            return troubles
        if not company.iused_webhook_is_set:
            troubles["no_webhook"] = self.env._(
                "%s shipment updates wait: there is no webhook address to send them to.", facts.to_send
            )
        elif company.iused_sending_stopped:
            return troubles  # told when it was stopped, and shown in a row of its own
        elif reason := self._describe_idle_sender(facts):
            troubles["no_sending"] = reason
        elif facts.failing:
            troubles["down"] = self.env._(
                "%(count)s shipment updates wait: iUsed has not taken that of %(order)s for more than a day. The last"
                " answer: %(answer)s",
                count=facts.to_send,
                order=facts.failing.order_id.name,
                answer=facts.failing.last_answer or "",
            )
        return troubles

    @api.model
    def _describe_lost_webhook(self):
        return self.env._(
            "The webhook's address cannot be read any more: bring back the key that encrypted it, or enter it again."
            " The shipment updates wait meanwhile."
        )

    @api.model
    def _describe_idle_sender(self, facts):
        """Say in words why nothing sends the updates that are due, or return an empty string where something does."""
        now = fields.Datetime.now()
        count, action = facts.to_send, facts.sender
        if not facts.due_since or facts.due_since > now:
            return ""
        if not action.active:
            return self.env._(
                "%(count)s shipment updates wait: the scheduled action “%(action)s” is switched off.",
                count=count,
                action=action.name,
            )
        if max(facts.due_since, facts.last_try or facts.due_since) > now - PATIENCE:
            return ""
        if action.failure_count >= MOST_CRON_FAILURES:
            return self.env._(
                "%(count)s shipment updates wait: the scheduled action “%(action)s” fails. The server's log says why.",
                count=count,
                action=action.name,
            )
        if action.nextcall < now - PATIENCE:
            return self.env._(
                "%(count)s shipment updates wait: the scheduled action “%(action)s” should have run on %(moment)s. Do"
                " scheduled actions run on the server?",
                count=count,
                action=action.name,
                moment=self._moment(action.nextcall),
            )
        return ""

    @api.model
    def _moment(self, moment):
        return format_datetime(self.env, moment, tz=self.env.tz.zone, dt_format="short")

    # The page --------------------------------------------------------------------------------------------------------

    @api.model
    @api.readonly
    def get_overview(self):
        """Return all that the page of the current company shows, in words.

        :return: dict of `summary`, `steps` and `proposals` (none when all steps are done), `health` (none before
            anything has happened) and `counts`; where something can be opened, its name for `open_door` is `door`
        :raises AccessError: for who is no user of iUsed
        """
        if not self.env.user.has_group(USER) and not self.env.is_system():
            raise AccessError(self.env._("Only iUsed users can see this."))
        company = self.env.company
        facts = self._read_facts(company)
        troubles = self._find_troubles(company, facts)
        steps = self._prepare_steps(company, facts)
        health = self._prepare_health(company, facts, troubles)
        return {
            "company": company.name,
            "summary": self._summarize(facts, steps, health),
            "steps": [] if all(step["done"] for step in steps) else steps,
            "proposals": [] if all(step["done"] for step in steps) else self._prepare_proposals(company),
            "health": health if any(row["state"] != "none" for row in health) else [],
            "counts": self._prepare_counts(facts),
        }

    @api.model
    def _door(self, name):
        """Return the name of what can be opened, or False for who may not."""
        return self.env.user.has_group(DOORS[name]) and name

    @api.model
    def _note_who(self, name):
        """Return who can open what the user may not, in words, or False."""
        if self._door(name):
            return False
        if DOORS[name] == ADMINISTRATOR:
            return self.env._("Your administrator does this.")
        return self.env._("Somebody in sales does this.")

    @api.model
    def _ago(self, moment):
        """Return a moment in words, such as "3 hours ago"."""
        delta = moment - fields.Datetime.now()
        if delta > -timedelta(minutes=1):
            return self.env._("Just now")
        return format_timedelta(delta, add_direction=True, locale=babel_locale_parse(self.env.lang))

    @api.model
    def _summarize(self, facts, steps, health):
        """Return the page's first line: `kind` (well, open or trouble) and `text`."""
        troubles = sum(row["state"] == "trouble" for row in health) + bool(facts.stopped)
        done = sum(step["done"] for step in steps)
        if troubles == 1:
            return {"kind": "trouble", "text": self.env._("One thing needs attention")}
        if troubles:
            return {"kind": "trouble", "text": self.env._("%s things need attention", troubles)}
        if done < len(steps):
            text = self.env._("Getting connected: %(done)s of %(all)s steps done", done=done, all=len(steps))
            return {"kind": "open", "text": text}
        return {"kind": "well", "text": self.env._("All is well")}

    @api.model
    def _prepare_steps(self, company, facts):
        """Return the steps to be connected, done or not, in the order in which they are best done."""
        return [
            self._step(
                "token",
                facts.has_token,
                self.env._("Make an access token"),
                self.env._("iUsed gets in with it. It is shown once: copy it, and give it to iUsed safely."),
                self.env._("Make an Access Token"),
            ),
            self._step(
                "products",
                bool(facts.ready),
                self.env._("Have offers ready"),
                self.env._("Switch products on and fill in what they lack: SKU, EAN and two prices."),
                self.env._("Choose Products"),
            ),
            self._step(
                "share",
                facts.was_read,
                self.env._("Let iUsed fetch the offers"),
                self.env._("Send iUsed the page that tells how. This step is done once iUsed has called."),
                self.env._("Share with iUsed"),
            ),
            self._prepare_webhook_step(company, facts),
            self._step(
                "pushes",
                bool(facts.last_order),
                self.env._("Receive the first order"),
                self.env._("Ask iUsed for a test order. It arrives by itself; one that was refused is in the log."),
                self.env._("Look into the Log"),
            ),
        ]

    @api.model
    def _prepare_proposals(self, company):
        """Return what is best decided at the set-up, but may be left as it is: such as steps, and no step."""
        if company.iused_anonymize_months:
            return []
        return [
            {
                "name": "privacy",
                "title": self.env._("Decide how long consumers' data are kept"),
                "text": self.env._(
                    "They can be made anonymous some months after the last order left, by themselves. Off until you"
                    " decide."
                ),
                "button": self.env._("Open the Settings"),
                "door": self._door("settings"),
                "note": self._note_who("settings"),
            }
        ]

    @api.model
    def _prepare_webhook_step(self, company, facts):
        """The address is entered first and then tested; a shipment that was reported has tested it, too."""
        if not company.iused_webhook_is_set:
            return self._step(
                "settings",
                False,
                self.env._("Enter the webhook address"),
                self.env._("iUsed gives it to you: your shipments are reported there."),
                self.env._("Open the Settings"),
            )
        return self._step(
            "test",
            bool(company.iused_webhook_tested_at or facts.was_told),
            self.env._("Test the webhook address"),
            self.env._(
                "iUsed's server is asked whether it is there; nothing is reported. Change the address in the settings."
            ),
            self.env._("Test It"),
        )

    @api.model
    def _step(self, door, done, title, text, button):
        return {
            "name": door,
            "done": done,
            "title": title,
            "text": text,
            "button": button,
            "door": not done and self._door(door),
            "note": not done and self._note_who(door),
        }

    @api.model
    def _prepare_health(self, company, facts, troubles):
        """Return the rows of what iUsed watches: `state` is ok, trouble, or none where nothing happened yet.

        Of a company that was never connected there is nothing to watch but its uploads; of one whose key is lost, what
        is wrong.
        """
        if not facts.was_connected:
            return [self._prepare_upload_row(facts.location)] if facts.location else []
        rows = [
            self._prepare_order_row(facts, troubles),
            self._prepare_open_row(facts, troubles),
            self._health_row(
                "offers",
                self.env._("Offers with stock"),
                str(facts.with_stock),
                "",
                troubles.get("few_offers"),
                "ready",
                happened=facts.was_read,
            ),
        ]
        if facts.last_poll or not facts.location:
            rows.insert(0, self._prepare_poll_row(facts, troubles))
        if facts.location:
            rows.append(self._prepare_upload_row(facts.location))
        rows += self._prepare_trouble_rows(facts, troubles)
        if company.iused_sending_stopped:
            stopped = company.iused_sending_stopped
            row = self._health_row(
                "sending", self.env._("Shipment updates"), self.env._("Stopped"), "", stopped, "settings"
            )
            rows.append(row)
        return rows if facts.has_token else [row for row in rows if row["state"] == "trouble"]

    @api.model
    def _prepare_trouble_rows(self, facts, troubles):
        """Return the rows of what is shown only where it is wrong."""
        updates = self.env._("Shipment updates")
        rows = (
            ("access", self.env._("iUsed's access"), self.env._("None"), ("no_key",), "settings"),
            ("access_ends", self.env._("iUsed's access"), self.env._("Ends soon"), ("key_ends",), "settings"),
            ("outside", self.env._("Calls from elsewhere"), len(dict(facts.outside)), ("outside",), "outside"),
            (
                "refused",
                self.env._("Refused orders"),
                facts.refused,
                ("refused", "many_refused", "refusals_full"),
                "refused",
            ),
            ("to_check", self.env._("Orders to check"), facts.to_check.count, ("to_check",), "to_check"),
            (
                "beyond_limit",
                self.env._("Orders beyond the limit"),
                facts.beyond_limit.count,
                ("beyond_limit",),
                "beyond_limit",
            ),
            ("short", self.env._("Orders short of stock"), facts.short.count, ("short",), "short"),
            ("cut_off", self.env._("Orders not whole"), facts.cut_off.count, ("cut_off",), "cut_off"),
            ("late", self.env._("Updates that lack something"), facts.late, ("update_waits",), "late"),
            ("webhook", self.env._("Webhook address"), self.env._("Lost"), ("webhook_lost",), "settings"),
            ("updates", updates, facts.to_send, ("no_webhook", "no_sending", "down"), "untold"),
        )
        return [
            self._health_row(name, title, str(value), "", " ".join(texts), door)
            for name, title, value, kinds, door in rows
            if (texts := [troubles[kind] for kind in kinds if kind in troubles])
        ]

    @api.model
    def _health_row(self, name, title, value, note, trouble, door, happened=True):
        return {
            "name": name,
            "title": title,
            "value": value,
            "note": trouble or note,
            "state": "trouble" if trouble else "ok" if happened else "none",
            "door": self._door(door),
        }

    @api.model
    def _prepare_poll_row(self, facts, troubles):
        poll = facts.last_poll
        trouble = " ".join(troubles[kind] for kind in ("no_poll", "poll_failed") if kind in troubles)
        if not poll:
            value, note = self.env._("Not yet"), ""
        else:
            value = self._ago(poll.create_date)
            note = (
                self.env._("Nothing had changed (HTTP 304)")
                if poll.status == 304
                else self.env._("%(count)s offers (HTTP %(status)s)", count=poll.offers, status=poll.status)
            )
        return self._health_row("poll", self.env._("Last poll"), value, note, trouble, "polls", happened=bool(poll))

    @api.model
    def _prepare_order_row(self, facts, troubles):
        order = facts.last_order
        return self._health_row(
            "order",
            self.env._("Last order"),
            self._ago(order.create_date) if order else self.env._("Not yet"),
            f"{order.name} · {order.iused_reference}" if order else "",
            troubles.get("no_order"),
            "orders",
            happened=bool(order),
        )

    @api.model
    def _prepare_open_row(self, facts, troubles):
        oldest = facts.oldest_open
        return self._health_row(
            "open",
            self.env._("Oldest open order"),
            self._ago(oldest.create_date) if oldest else self.env._("None"),
            self.env._("%(order)s, of %(count)s that have not left", order=oldest.name, count=facts.open_orders)
            if oldest
            else "",
            troubles.get("open_order"),
            "open_orders",
            happened=bool(facts.last_order),
        )

    @api.model
    def _prepare_upload_row(self, location):
        states = dict(location._fields["state"]._description_selection(self.env))
        return self._health_row(
            "upload",
            self.env._("Last upload"),
            self._ago(location.last_upload) if location.last_upload else self.env._("Not yet"),
            self.env._("%s offers", location.last_offers) if location.last_upload else states[location.state],
            location.state in ("missing", "stopped", "retry") and (location.last_error or states[location.state]),
            "sftp",
            happened=bool(location.last_upload),
        )

    @api.model
    def _prepare_counts(self, facts):
        """Return the numbers of the page, each with the list behind it; `kind` says where one is bad news."""
        counts = [
            ("ready", self.env._("Offers ready"), facts.ready, ""),
            ("not_ready", self.env._("Offers not ready"), facts.not_ready, "warning"),
            ("orders_today", self.env._("Orders today"), facts.orders_today, ""),
            ("untold", self.env._("Updates waiting"), facts.untold, ""),
            ("stopped", self.env._("Updates stopped"), facts.stopped, "danger"),
        ]
        return [
            {"name": name, "label": label, "value": value, "kind": kind if value else "", "door": self._door(name)}
            for name, label, value, kind in counts
        ]

    # Doors -----------------------------------------------------------------------------------------------------------

    @api.model
    def open_door(self, name):
        """Return the action behind a button or a number of the page.

        :param str name: of `DOORS`
        :raises AccessError: for who may not open it
        """
        if name not in DOORS or not self._door(name):
            raise AccessError(self.env._("You cannot open this."))
        return getattr(self, f"_open_{name}")()

    def _open_token(self):
        return self.env["res.config.settings"].create({}).action_iused_make_token()

    def _open_test(self):
        return self.env["res.config.settings"].create({}).action_iused_test_webhook()

    def _open_share(self):
        return self.env["iused.connection"].action_share()

    def _open_settings(self):
        return self._action("iused_settings_action")

    def _open_sftp(self):
        return self.env["iused.sftp.location"].action_open()

    def _open_products(self):
        return self._action("iused_offer_action", context={})

    def _open_ready(self):
        return self._action(
            "iused_offer_action", self.env._("Offers Ready"), Domain("iused_state", "=", "ready"), context={}
        )

    def _open_not_ready(self):
        return self._action(
            "iused_offer_action", self.env._("Offers Not Ready"), Domain("iused_state", "=", "not_ready"), context={}
        )

    def _open_polls(self):
        return self._action("iused_exchange_action", context={"search_default_polls": 1})

    def _open_pushes(self):
        return self._action("iused_exchange_action", context={"search_default_orders": 1})

    def _open_orders(self):
        return self._action("iused_order_action", domain=self._orders_domain(self.env.company))

    def _open_orders_today(self):
        return self._action(
            "iused_order_action", self.env._("Orders Today"), self._orders_today_domain(self.env.company)
        )

    def _open_open_orders(self):
        return self._action("iused_order_action", self.env._("Open Orders"), self._open_orders_domain(self.env.company))

    def _open_untold(self):
        domain = Domain("company_id", "=", self.env.company.id) & Domain("state", "in", UNTOLD)
        return self._action("iused_shipment_update_action", self.env._("Updates Waiting"), domain)

    def _open_stopped(self):
        domain = Domain("company_id", "=", self.env.company.id) & Domain("state", "=", "stopped")
        return self._action("iused_shipment_update_action", self.env._("Updates Stopped"), domain)

    # What the troubles are about is found as superuser, by what not everybody may look at: activities of others, say.

    def _open_late(self):
        domain = Domain("state", "=", "waiting") & Domain("waited_too_long", "=", True)
        domain &= Domain("company_id", "=", self.env.company.id)
        return self._action("iused_shipment_update_action", self.env._("Updates That Lack Something"), domain)

    def _open_refused(self):
        exchanges_sudo = self.env["iused.exchange"].sudo()
        refused_sudo = exchanges_sudo.search(exchanges_sudo._unsettled_domain(self.env.company))
        return self._action(
            "iused_exchange_action", self.env._("Refused Orders"), Domain("id", "in", refused_sudo.ids), context={}
        )

    def _open_outside(self):
        domain = self.env["iused.exchange"]._outside_domain(self.env.company)
        action = self._action("iused_exchange_action", self.env._("Calls from Elsewhere"), domain, context={})
        listed = self.env.ref("sale_iused.iused_exchange_view_list_outside")
        action["views"] = [(listed.id if kind == "list" else view_id, kind) for view_id, kind in action["views"]]
        return action

    def _open_to_check(self):
        return self._open_orders_of(self.env._("Orders to Check"), self._to_check_domain(self.env.company))

    def _open_beyond_limit(self):
        return self._open_orders_of(self.env._("Orders beyond the Limit"), self._beyond_limit_domain(self.env.company))

    def _open_short(self):
        return self._open_orders_of(self.env._("Orders Short of Stock"), self._short_domain(self.env.company))

    def _open_cut_off(self):
        return self._open_orders_of(self.env._("Orders Not Whole"), self._cut_off_domain(self.env.company))

    def _open_orders_of(self, title, domain):
        orders_sudo = self.env["sale.order"].sudo().search(domain)
        return self._action("iused_order_action", title, Domain("id", "in", orders_sudo.ids))

    def _action(self, name, title=None, domain=None, context=None):
        """Return one of our actions, with another title, domain or context where they are given."""
        action = self.env["ir.actions.act_window"]._for_xml_id(f"sale_iused.{name}")
        if title:
            action["display_name"] = action["name"] = title
        if domain is not None:
            action["domain"] = list(domain)
        if context is not None:
            action["context"] = context
        return action
