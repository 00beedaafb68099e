from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError


class IusedEraseConsumer(models.TransientModel):
    """Shows what is known of one consumer, and erases it where a manager says so."""

    _name = "iused.erase.consumer"
    _description = "Erase a Consumer"

    company_id = fields.Many2one("res.company", required=True, readonly=True, default=lambda self: self.env.company)
    reference = fields.Char("Order Number", help="iUsed's, or ours.")
    partner_id = fields.Many2one("res.partner", string="Contact", default=lambda self: self._default_partner_id())
    findings = fields.Text("What Would Be Erased", compute="_compute_findings")
    obstacles = fields.Text("What Stands in the Way", compute="_compute_findings")
    remarks = fields.Text("What Stays", compute="_compute_findings")
    can_erase = fields.Boolean(compute="_compute_findings")

    @api.model
    def _default_partner_id(self):
        return self.env.context.get("active_model") == "res.partner" and self.env.context.get("active_id")

    @api.depends("reference", "partner_id", "company_id")
    def _compute_findings(self):
        for wizard in self:
            wizard.update(wizard._look_up())

    def _check_manager(self):
        if not self.env.user.has_group("sale_iused.group_iused_manager"):
            raise AccessError(self.env._("Only iUsed managers can erase a consumer."))
        if self.company_id not in self.env.companies:
            raise AccessError(self.env._("You have no access to this company."))

    def _find(self):
        """Return what is known of the person: contacts, orders and rows of the log, as superuser, for managers alone.

        Managers need no rights of their own on contacts, deliveries and messages: what they may do there is to erase.
        """
        self.ensure_one()
        self._check_manager()
        privacy_sudo = self.env["iused.privacy"].sudo()
        return privacy_sudo._find_person(self.company_id, (self.reference or "").strip(), self.partner_id.sudo())

    def _look_up(self):
        """Return the values of the form's computed fields."""
        nothing = {"findings": False, "obstacles": False, "remarks": False, "can_erase": False}
        if not self.reference and not self.partner_id:
            return nothing
        contacts_sudo, orders_sudo, exchanges_sudo = self._find()
        privacy_sudo = self.env["iused.privacy"].sudo()
        pure = privacy_sudo._only_consumers(self.company_id, contacts_sudo.ids)
        erased = orders_sudo.filtered("iused_anonymized_at")
        orders_sudo -= erased
        if not pure and not orders_sudo and not exchanges_sudo.filtered("request_body"):
            text = (
                self.env._("This was erased before.")
                if erased
                else self.env._("No consumer of iUsed is found by this.")
            )
            return {**nothing, "remarks": text}
        ids = self.env["iused.erasure"].sudo()._find_documents(
            self.company_id, sorted(pure), orders_sudo.ids, exchanges_sudo.ids
        )  # fmt: skip
        contacts = contacts_sudo.filtered(lambda contact: contact.id in pure)
        open_orders = privacy_sudo._find_open(orders_sudo)
        return {
            "findings": self._describe(contacts, orders_sudo, ids),
            "obstacles": bool(open_orders)
            and self.env._(
                "Something is still to be done for %s: deliver or cancel it, and have iUsed told, first.",
                ", ".join(open_orders.mapped("name")),
            ),
            "remarks": "\n".join(self._describe_stays(contacts_sudo - contacts)),
            "can_erase": not open_orders,
        }

    def _describe(self, contacts, orders, ids):
        """Return a line for each kind of thing that would be erased.

        :param dict ids: of `iused.erasure._find_documents`
        """
        names = ", ".join(orders.mapped(lambda order: f"{order.iused_reference} ({order.name})"))
        lines = [
            *(self.env._("Contact: %s", contact.display_name) for contact in contacts),
            names and self.env._("Remarks and digests of addresses of orders: %s", names),
            ids["stock.picking"]
            and self.env._("Notes, files and messages of deliveries: %s", len(ids["stock.picking"])),
            ids["purchase.order"]
            and self.env._("Files and messages of purchases that vendors ship: %s", len(ids["purchase.order"])),
            ids["iused.exchange"] and self.env._("Bodies of calls in the log: %s", len(ids["iused.exchange"])),
        ]
        return "\n".join(filter(None, lines))

    def _describe_stays(self, others):
        """Yield in words what is not erased, and why.

        :param others: contacts that are more than consumers
        """
        known = self.env["iused.privacy"].sudo()._find_known(others.ids) if others else {}
        for contact in others:
            models_sudo = self.env["ir.model"].sudo().search([("model", "in", sorted(known.get(contact.id, ())))])
            yield self.env._(
                "The contact %(contact)s stays: it is known otherwise (%(where)s).",
                contact=contact.display_name,
                where=", ".join(models_sudo.mapped("name")),
            )
        yield self.env["iused.erasure"]._describe_kept()

    def action_erase(self):
        """Erase what is shown, and open the protocol.

        :raises UserError: where something is still to be done, or somebody works with it at this moment
        """
        contacts_sudo, orders_sudo, exchanges_sudo = self._find()
        values = self._look_up()
        if not values["can_erase"]:
            raise UserError(values["obstacles"] or values["remarks"] or self.env._("Fill in an order number."))
        privacy_sudo, erasures_sudo = self.env["iused.privacy"].sudo(), self.env["iused.erasure"].sudo()
        references = sorted(
            {*filter(None, [*orders_sudo.mapped("iused_reference"), *exchanges_sudo.mapped("reference")])}
        )
        orders_sudo = orders_sudo.filtered(lambda order: not order.iused_anonymized_at)
        due = privacy_sudo._due(privacy_sudo._only_consumers(self.company_id, contacts_sudo.ids), orders_sudo.ids)
        if privacy_sudo._lock(self.company_id, due) != due:
            raise UserError(self.env._("Somebody works with this consumer's orders at this moment. Try again."))
        erased = erasures_sudo._erase(self.company_id, due.contacts, due.orders, exchanges_sudo.ids)
        erasure = erasures_sudo._record(
            self.company_id,
            "request",
            erased,
            reference=", ".join(references),
            consumers=len(due.contacts),
            orders=len(due.orders),
        )
        return erasure.with_env(self.env)._get_records_action()
