from datetime import timedelta

from odoo import api, fields, models
from odoo.tools import plaintext2html

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

    @api.model
    def _cron_watch(self):
        """Look for troubles, company by company."""
        companies = self.env["res.company"].search([("iused_user_id", "!=", False)])
        companies |= self.search([("ended_at", "=", False)]).company_id
        self.env["ir.cron"]._commit_progress(remaining=len(companies))
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
            self.with_context(lang=user.lang)._begin(company, kind, troubles[kind], user)

    @api.model
    def _begin(self, company, kind, detail, user):
        """Write a trouble down and give a user one activity for it."""
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
        trouble.with_context(mail_activity_quick_update=bool(quiet)).activity_schedule(
            "mail.mail_activity_data_warning",
            summary=trouble.display_name,
            note=plaintext2html(detail),
            user_id=user.id,
        )

    def _refresh(self, detail):
        """Say how a trouble is by now, where it is told already."""
        self.detail = detail
        self.activity_ids.note = plaintext2html(detail)

    def _end(self):
        """Write down that troubles are over, and close what is left of their activities."""
        self.write({"ended_at": fields.Datetime.now()})
        for trouble in self:
            trouble.activity_feedback(["mail.mail_activity_data_warning"], feedback=self.env._("It is over."))

    @api.autovacuum
    def _gc_ended(self):
        """Delete what was over longer ago than its company's retention."""
        for (company,) in self._read_group([("ended_at", "!=", False)], ["company_id"]):
            before = fields.Datetime.now() - timedelta(days=company.iused_retention_days)
            self.search([("company_id", "=", company.id), ("ended_at", "<", before)]).unlink()
