import logging
from datetime import timedelta

from markupsafe import Markup
from psycopg2 import OperationalError

from odoo import api, fields, models
from odoo.fields import Domain

_logger = logging.getLogger(__name__)

MOST_LINES = 100  # of an activity
# Where a trouble's own records have activities already: the model, and what they have. Nobody is told twice.
TOLD_ELSEWHERE = {
    "refused": ("iused.exchange", [("state", "=", "refused"), ("activity_id.active", "=", True)]),
    "to_check": ("sale.order", [("state", "in", ("draft", "sent")), ("activity_ids.iused_key", "!=", False)]),
    "short": ("sale.order", [("activity_ids.iused_key", "=like", "short %")]),
    "update_waits": ("sale.order", [("activity_ids.iused_key", "=like", "update_waits %")]),
    "down": ("sale.order", [("activity_ids.iused_key", "=like", "update_late %")]),
}
QUIET_HOURS = 24  # after a trouble's end: when it comes back within them, no mail is sent again


class IusedTrouble(models.Model):
    """Something between a company and iUsed that needs a person, from when it was noticed until it is over.

    It is told once, by an activity. Whoever closes that by hand is not told again while the trouble lasts.
    """

    _name = "iused.trouble"
    _description = "iUsed Trouble"
    _inherit = ["mail.thread", "mail.activity.mixin"]
    _order = "id desc"

    company_id = fields.Many2one("res.company", required=True, readonly=True, index=True, ondelete="cascade")
    kind = fields.Selection(
        [
            ("no_poll", "iUsed does not fetch the offers"),
            ("poll_failed", "iUsed cannot fetch the offers"),
            ("few_offers", "iUsed finds too little in stock"),
            ("open_order", "An order of iUsed has not left"),
            ("no_order", "No order comes from iUsed"),
            ("many_refused", "Orders of iUsed are refused for many reasons"),
            ("refusals_full", "Refused orders of iUsed are not kept any more"),
            ("no_key", "iUsed cannot get in any more"),
            ("key_ends", "An access token of iUsed ends soon"),
            ("outside", "iUsed's key was used from elsewhere"),
            ("refused", "Orders of iUsed were refused"),
            ("to_check", "Orders of iUsed wait to be checked"),
            ("beyond_limit", "More orders came from iUsed than the limit allows"),
            ("short", "Stock is short for orders of iUsed"),
            ("cut_off", "Orders of iUsed will not become whole"),
            ("update_waits", "Shipment updates lack something"),
            ("webhook_lost", "The webhook's address cannot be read any more"),
            ("no_webhook", "Shipment updates have no address to go to"),
            ("no_sending", "Nothing sends the shipment updates"),
            ("down", "iUsed does not take shipment updates"),
        ],
        string="Trouble",
        required=True,
        readonly=True,
    )
    detail = fields.Char(readonly=True)
    ended_at = fields.Datetime("Over Since", readonly=True)

    _current_unique = models.UniqueIndex("(company_id, kind) WHERE ended_at IS NULL", "This trouble is known already.")

    @api.depends("kind")
    def _compute_display_name(self):
        kinds = dict(self._fields["kind"]._description_selection(self.env))
        for trouble in self:
            trouble.display_name = kinds.get(trouble.kind)

    # Telling people --------------------------------------------------------------------------------------------------

    @api.model
    def _tell(self, kind, record, compose, about="", user=None):
        """Give who is responsible for iUsed an activity on a record, unless the same trouble has an open one.

        :param str kind: what the trouble is
        :param record: on which somebody has to look: it has activities and a company
        :param compose: what to say: gets an environment in the reader's language, returns summary and plain text
        :param str about: what the trouble is about, where that is not the record: it is told once on all of them
        :param user: who is told, where that is not who is responsible for iUsed
        :return: the open `mail.activity`; none where nobody can be told, which is logged and stops nothing
        """
        if told := self._find_told(kind, record, about):
            return told
        key = self._activity_key(kind, record, about)
        company = record.company_id
        user = (user and company._iused_colleagues(user)) or company._iused_responsible()
        record = record.with_context(lang=user.lang, tz=user.tz)
        try:
            with self.env.cr.savepoint():
                summary, text = compose(record.env)
                # Whoever meets a trouble may neither read nor write its key.
                activity_sudo = record.sudo().activity_schedule(
                    "mail.mail_activity_data_warning",
                    summary=summary,
                    note=self._to_html(self._shorten(text)),
                    user_id=user.id,
                    iused_key=key,
                )
                return activity_sudo.with_env(record.env)
        except OperationalError:
            raise  # a lost race, or no database: all of this again, or nothing
        except Exception:
            _logger.exception("Nobody could be told of a trouble with iUsed: %s", key)
            return self.env["mail.activity"]

    @api.model
    def _tell_anew(self, kind, record, compose, about=""):
        """Tell of a trouble that may have grown: an open activity says how it is by now. Otherwise as `_tell`."""
        if told := self._find_told(kind, record, about):
            for activity in told:
                reader = self.with_context(lang=activity.user_id.lang, tz=activity.user_id.tz)
                activity.note = self._to_html(self._shorten(compose(reader.env)[1]))
            return told
        return self._tell(kind, record, compose, about)

    @api.model
    def _tell_over(self, kind, record, compose, about=""):
        """Close the activity of a trouble that is over, if it is open; parameters as in `_tell`.

        :param compose: what to say: gets an environment in the reader's language, returns plain text
        """
        for activity in self._find_told(kind, record, about):
            activity.action_feedback(feedback=compose(self.with_context(lang=activity.user_id.lang).env))

    @api.model
    def _shorten(self, text):
        """Return the lines of a text that somebody may read, and how many more there are."""
        lines = text.split("\n")
        more = len(lines) - MOST_LINES
        return "\n".join([*lines[:MOST_LINES], f"… +{more}"] if more > 0 else lines)

    @api.model
    def _to_html(self, text):
        """Return plain text as HTML. Odoo's own `plaintext2html` makes links of addresses, whoever they come from."""
        return Markup("<p>%s</p>") % Markup("<br>").join(text.split("\n"))

    @api.model
    def _activity_key(self, kind, record, about):
        return f"{kind} {about or f'{record._name},{record.id}'}"

    @api.model
    def _find_told(self, kind, record, about):
        domain = [("iused_key", "=", self._activity_key(kind, record, about))]
        if not about:  # anybody could make an activity with any key once, but not on a record that is still to come
            domain += [("res_model", "=", record._name), ("res_id", "=", record.id)]
        # Whoever meets a trouble need not see the activities of who is responsible, nor may read the key.
        return self.env["mail.activity"].sudo().search(domain)

    # Looking for troubles --------------------------------------------------------------------------------------------

    @api.model
    def _cron_watch(self):
        """Look for troubles, company by company."""
        # The user may have been taken away; the customer was made with the first token.
        companies = self.env["res.company"].search(
            ["|", ("iused_user_id", "!=", False), ("iused_partner_id", "!=", False)]
        )
        companies |= self.search([("ended_at", "=", False)]).company_id
        self.env["ir.cron"]._commit_progress(remaining=len(companies))
        self._close_over()
        for company in companies:
            self._watch(company)
            self.env["ir.cron"]._commit_progress(1)

    @api.model
    def _watch_now(self):
        """Have the scheduled action look for troubles once this transaction is committed."""
        # Whoever meets a trouble need not have rights on scheduled actions.
        self.env.ref("sale_iused.ir_cron_watch").sudo()._trigger()

    @api.model
    def _watch(self, company):
        """Tell of a company's troubles that began, and close those that are over."""
        user = company._iused_responsible()
        overview = self.env["iused.overview"].with_company(company).with_context(lang=user.lang, tz=user.tz)
        troubles = overview._find_troubles(company, overview._read_facts(company))
        known = self.search([("company_id", "=", company.id), ("ended_at", "=", False)])
        known.filtered(lambda trouble: trouble.kind not in troubles)._end()
        for trouble in known.filtered(lambda trouble: troubles.get(trouble.kind, trouble.detail) != trouble.detail):
            trouble._refresh(troubles[trouble.kind])
        for kind in troubles.keys() - set(known.mapped("kind")):
            self._begin(company, kind, troubles[kind])

    @api.model
    def _close_over(self):
        """Close the activities on orders whose trouble is over, by whatever way."""
        activities = self.env["mail.activity"].search([("res_model", "=", "sale.order"), ("iused_key", "!=", False)])
        orders_by_kind = {
            kind: self.env["sale.order"].browse(told.mapped("res_id"))
            for kind, told in activities.grouped(lambda activity: activity.iused_key.partition(" ")[0]).items()
        }
        for kind, lasting in self._lasting_domains().items():
            orders = orders_by_kind.get(kind, self.env["sale.order"])
            for order in orders - orders.search(lasting & Domain("id", "in", orders.ids)):
                self._tell_over(kind, order, lambda env: env._("It is over."))

    @api.model
    def _lasting_domains(self):
        """Return for which orders a trouble that they have an activity of still lasts, by the kind given to `_tell`."""
        quotation = Domain("state", "in", ("draft", "sent"))
        return {
            "prices": quotation,
            "withdrawn": quotation,
            "address": self.env["iused.overview"]._not_left_domain(),
            "unconfirmed": quotation,
            "short": quotation | self.env["iused.overview"]._lacking_domain(),
            "update_waits": Domain("iused_update_ids.state", "=", "waiting"),
            "update_stopped": Domain("iused_update_ids.state", "=", "stopped"),
            "update_late": Domain("iused_update_ids.state", "=", "retry"),
            "closed": Domain("company_id.iused_sending_stopped", "!=", False),
        }

    @api.model
    def _is_current(self, company, kind):
        """Tell whether a company has a trouble that is not over."""
        return bool(
            self.search_count([("company_id", "=", company.id), ("kind", "=", kind), ("ended_at", "=", False)], limit=1)
        )

    @api.model
    def _is_told_elsewhere(self, company, kind):
        """Tell whether what a trouble is about has an activity of its own."""
        model, told = TOLD_ELSEWHERE.get(kind, (None, None))
        own = Domain("company_id", "=", company.id)
        return model is not None and bool(self.env[model].search_count(Domain(told) & own, limit=1))

    @api.model
    def _begin(self, company, kind, detail):
        """Write a trouble down and tell of it, unless somebody is told already.

        :param str detail: in the language of who is told
        """
        quiet = self.search_count(
            [
                ("company_id", "=", company.id),
                ("kind", "=", kind),
                ("ended_at", ">", fields.Datetime.now() - timedelta(hours=QUIET_HOURS)),
            ],
            limit=1,
        )
        # It needs neither followers nor a message that it was made.
        trouble = self.with_context(tracking_disable=True).create(
            {"company_id": company.id, "kind": kind, "detail": detail}
        )
        if self._is_told_elsewhere(company, kind):
            return
        self._tell(
            kind,
            trouble.with_context(mail_activity_quick_update=bool(quiet)),
            lambda env: (trouble.with_env(env).display_name, detail),
        )

    def _refresh(self, detail):
        """Say how a trouble is by now, where it is told already."""
        self.detail = detail
        self.activity_ids.note = self._to_html(detail)

    def _end(self):
        """Write down that troubles are over, and close what is left of their activities."""
        self.write({"ended_at": fields.Datetime.now()})
        for trouble in self:
            self._tell_over(trouble.kind, trouble, lambda env: env._("It is over."))

    @api.autovacuum
    def _gc_ended(self):
        """Delete what was over longer ago than its company's retention."""
        for (company,) in self._read_group([("ended_at", "!=", False)], ["company_id"]):
            before = fields.Datetime.now() - timedelta(days=company.iused_retention_days)
            self.search([("company_id", "=", company.id), ("ended_at", "<", before)]).unlink()
