from odoo import api, fields, models
from odoo.fields import Command, Domain
from odoo.tools import ormcache

from odoo.addons.phone_validation.tools import phone_validation


class ResPartner(models.Model):
    _inherit = "res.partner"

    iused_anonymized_at = fields.Datetime(
        "Made Anonymous", readonly=True, copy=False, prefetch="iused", groups="base.group_user"
    )

    def signup_get_auth_param(self):
        """Invite iUsed to no sign-up with the notices of its orders.

        Odoo would write that it is invited on the contact each time, and two orders at once would collide there.
        """
        return super(ResPartner, self - self._iused_filtered()).signup_get_auth_param()

    def signup_prepare(self, signup_type="signup"):
        """Let nobody sign up as iUsed, or as the user that its calls act as."""
        return super(ResPartner, self - self._iused_filtered()).signup_prepare(signup_type=signup_type)

    def _iused_filtered(self):
        """Return those of the contacts that are iUsed: the customers, their people, and whom its calls act as."""
        companies_sudo = self.env["res.company"].sudo()  # who may post on an order need not read settings
        concerned = self | self.commercial_partner_id
        companies_sudo = companies_sudo.search(
            ["|", ("iused_partner_id", "in", concerned.ids), ("iused_user_id.partner_id", "in", concerned.ids)]
        )
        ours = companies_sudo.iused_partner_id | companies_sudo.iused_user_id.partner_id
        return self.filtered(lambda contact: contact in ours or contact.commercial_partner_id in ours)

    def _get_vat_required_valid(self, company=None):
        """Whoever gets the goods, it is iUsed that buys them: its VAT number counts (see `_get_fiscal_position`)."""
        buyer_id = self.env.context.get("iused_buyer_id")
        return super(ResPartner, self.browse(buyer_id) if buyer_id else self)._get_vat_required_valid(company=company)

    @api.model
    def _iused_find_or_create_consumer(self, company, payload):
        """Return the contact of the consumer that an order goes to.

        A consumer is a person of its own, not a child of iUsed, tagged so that sales can tell it and privacy requests
        find it. The same name, e-mail and address within one company is the same consumer.

        :param company: the `res.company` that sells
        :param payload: a `tools.order_payload.Order`; the reader lends its address what the customer has more
        """
        values = self._iused_prepare_consumer(company, payload.shipping_address)
        keys = (
            "company_id",
            "name",
            "company_name",
            "email",
            "street",
            "street2",
            "zip",
            "city",
            "state_id",
            "country_id",
        )
        tag = self.env.ref("sale_iused.partner_category_consumer")
        domain = Domain.AND(Domain(key, "=", values[key]) for key in keys) & Domain("category_id", "in", tag.ids)
        if consumer := self.search(domain, limit=1, order="id"):
            if values["phone"] and consumer.phone != values["phone"]:
                consumer.phone = values["phone"]
            return consumer
        # That it was made says the order; a note on the contact itself would cost every push some milliseconds.
        consumer = self.with_context(tracking_disable=True).create({**values, "category_id": [Command.link(tag.id)]})
        return consumer.with_env(self.env)

    def _iused_is_consumer(self, company, payload):
        """Tell whether this contact is what an order says of its consumer; parameters as above."""
        self.ensure_one()
        values = self._iused_prepare_consumer(company, payload.shipping_address)
        names = ["name", "company_name", "email", "phone", "street", "street2", "zip", "city", "state_id", "country_id"]
        [known] = self.read(names, load=None)
        return all(known[name] == values[name] for name in names)

    def _iused_describe(self):
        """Return who and where a consumer is, in one line."""
        self.ensure_one()
        parts = (
            self.name,
            self.company_name,
            self.street,
            self.street2,
            f"{self.zip or ''} {self.city or ''}".strip(),
            self.country_id.name,
            self.email,
            self.phone,
        )
        return ", ".join(filter(None, parts))

    @api.model
    def _iused_prepare_consumer(self, company, address):
        country = self.env["res.country"].browse(self._iused_country_id(address.country))
        state = address.state and self.env["res.country.state"].search(
            [
                ("country_id", "=", country.id),
                "|",
                ("code", "=ilike", address.state),
                ("name", "=ilike", address.state),
            ],
            limit=1,
        )
        return {
            "name": address.name,
            # The consumer stays a person, also where a company's name is part of the address.
            "company_name": address.company or False,
            "is_company": False,
            "company_id": company.id,
            "street": address.street_line,
            "street2": address.street2 or False,
            "zip": address.postal_code,
            "city": address.city,
            "state_id": state.id if state else False,
            "country_id": country.id,
            "email": address.email or False,
            "phone": self._iused_format_phone(address.phone, country),
            "lang": company.iused_partner_id.lang,
            "tz": False,
        }

    @api.model
    @ormcache("code", cache="stable")
    def _iused_country_id(self, code):
        return self.env["res.country"].search([("code", "=", code)], limit=1).id

    @api.model
    def _iused_format_phone(self, number, country):
        """Return a phone number in E.164, or as typed where it cannot be read: a number never refuses an order."""
        if not number:
            return False
        return phone_validation.phone_format(
            number, country.code, country.phone_code, force_format="E164", raise_exception=False
        )
