from collections import Counter

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.tools import SQL

CHECK_DIGITS = 2  # of an address's digest, in hexadecimal: one address in 256 has the same
ERASED_BODY = "(erased)"  # iUsed knows of the update all the same, which its body tells
# What stays of a contact: where it is (VAT), its language, and that it is a consumer's.
KEPT_OF_CONTACT = {"name", "complete_name", "lang", "tz", "type", "display_name", "color", "employee"}
TEXTS = ("char", "text", "html")
SERIALIZED = (*TEXTS, "json", "properties", "reference")
# Models of Odoo whose messages, activities and files name the consumer of an order; those that are installed.
DOCUMENTS = ("res.partner", "sale.order", "stock.picking", "purchase.order", "iused.exchange")
WITH_FILES = ("res.partner", "sale.order", "stock.picking", "purchase.order")


class IusedErasure(models.Model):
    """Protocol of an erasure: what was erased where, by whom and why, without naming the person."""

    _name = "iused.erasure"
    _description = "iUsed Erasure"
    _order = "id desc"

    company_id = fields.Many2one("res.company", required=True, readonly=True, ondelete="cascade")
    reason = fields.Selection(
        [("request", "On Request"), ("age", "After the Time Set")], required=True, readonly=True, string="Why"
    )
    reference = fields.Char(
        "iUsed References", readonly=True, help="iUsed's numbers of the orders, where a person asked for the erasure."
    )
    user_id = fields.Many2one("res.users", "By", readonly=True, default=lambda self: self.env.user)
    consumers = fields.Integer(readonly=True)
    orders = fields.Integer(readonly=True)
    erased = fields.Text("What Was Erased", readonly=True)
    kept = fields.Text("What Is Kept, and Why", readonly=True)

    @api.depends("reference", "create_date")
    def _compute_display_name(self):
        for erasure in self:
            erasure.display_name = erasure.reference or self.env._("Erasure %s", erasure.id)

    # Erasing ---------------------------------------------------------------------------------------------------------

    @api.model
    def _erase(self, company, contacts, orders, exchanges=()):
        """Erase what is known of consumers, and of those their orders went to; orders, devices and amounts stay.

        In sets, and past the ORM: `write` of 100,000 contacts, with their deliveries and messages, takes hours, and
        would note on each what was there before. No stored field depends on what is written so but `complete_name`
        and `email_normalized`, `phone_sanitized` and the like, which are written as well.

        :param list contacts: ids of the contacts that become anonymous
        :param list orders: ids of the orders, of which the consumer's remark, bodies and the like are erased
        :param exchanges: ids of rows of the log besides those of the orders
        :return: Counter of what was erased, by the name of a thing in `_describe`
        """
        self.env.flush_all()
        ids = self._find_documents(company, contacts, orders, exchanges)
        erased = Counter()
        erased["contacts"] = self._erase_contacts(company, contacts)
        erased["orders"] = self._erase_orders(orders)
        erased["exchanges"] = self._erase_exchanges(ids["iused.exchange"])
        erased["updates"] = self._erase_updates(orders)
        erased["notes"] = self._execute(
            "UPDATE stock_picking SET note = NULL WHERE id = ANY(%s) AND note IS NOT NULL", ids["stock.picking"]
        )
        for model in DOCUMENTS:
            if ids[model]:
                erased += self._erase_chatter(model, ids[model])
        erased["messages"] += self._erase_followers(contacts)
        erased["files"] = self._erase_files(ids)
        self.env.invalidate_all()
        return +erased

    @api.model
    def _execute(self, statement, *parameters):
        self.env.cr.execute(statement, parameters)
        return self.env.cr.rowcount

    @api.model
    def _select_ids(self, statement, **parameters):
        self.env.cr.execute(statement, parameters)
        return [row_id for (row_id,) in self.env.cr.fetchall()]

    @api.model
    def _find_documents(self, company, contacts, orders, exchanges=()):
        """Return the ids of the documents that name consumers, by model; parameters as in `_erase`."""
        ids = dict.fromkeys(DOCUMENTS, ())
        parameters = {
            "company": company.id,
            "contacts": list(contacts),
            "orders": list(orders),
            "exchanges": list(exchanges),
        }
        ids["res.partner"], ids["sale.order"] = parameters["contacts"], parameters["orders"]
        ids["stock.picking"] = self._select_ids(
            """
            SELECT move.picking_id
              FROM sale_order_line line
              JOIN stock_move move ON move.sale_line_id = line.id
             WHERE line.order_id = ANY(%(orders)s) AND move.picking_id IS NOT NULL
             UNION SELECT id FROM stock_picking WHERE sale_id = ANY(%(orders)s)
             UNION SELECT id FROM stock_picking WHERE partner_id = ANY(%(contacts)s)
            """,
            **parameters,
        )
        ids["iused.exchange"] = self._select_ids(
            """
            SELECT id FROM iused_exchange WHERE order_id = ANY(%(orders)s)
             UNION
            SELECT exchange.id
              FROM sale_order
              JOIN iused_exchange exchange ON exchange.reference = sale_order.iused_reference
                                          AND exchange.company_id = sale_order.company_id
             WHERE sale_order.id = ANY(%(orders)s)
             UNION
            SELECT exchange.id
              FROM iused_shipment_update update
              JOIN iused_exchange exchange ON exchange.update_id = update.id
             WHERE update.order_id = ANY(%(orders)s)
             UNION
            SELECT id FROM iused_exchange WHERE id = ANY(%(exchanges)s) AND company_id = %(company)s
            """,
            **parameters,
        )
        if self._has_column("purchase_order_line", "sale_line_id"):
            ids["purchase.order"] = self._select_ids(
                """
                SELECT purchase.id
                  FROM sale_order_line line
                  JOIN purchase_order_line bought ON bought.sale_line_id = line.id
                  JOIN purchase_order purchase ON purchase.id = bought.order_id
                 WHERE line.order_id = ANY(%(orders)s) AND purchase.dest_address_id IS NOT NULL
                 UNION SELECT id FROM purchase_order WHERE dest_address_id = ANY(%(contacts)s)
                """,
                **parameters,
            )
        return ids

    @api.model
    def _erase_contacts(self, company, contacts):
        """Empty all that is written on contacts, whatever addons added to them, but for `KEPT_OF_CONTACT`."""
        emptied = [SQL("%s = NULL", SQL.identifier(name)) for name in self._erased_columns()]
        name = self.with_context(lang=company.partner_id.lang).env._("Anonymous consumer")
        self.env.cr.execute(
            SQL(
                """
                UPDATE res_partner
                   SET %s, name = %s, complete_name = %s, active = FALSE,
                       iused_anonymized_at = now() AT TIME ZONE 'UTC',
                       write_date = now() AT TIME ZONE 'UTC', write_uid = %s
                 WHERE id = ANY(%s)
                """,
                SQL(", ").join(emptied),
                name,
                name,
                self.env.uid,
                list(contacts),
            )
        )
        return self.env.cr.rowcount

    @api.model
    def _erased_columns(self):
        """Return the names of the fields of a contact that are emptied, in a list."""
        return [
            name
            for name, field in self.env["res.partner"]._fields.items()
            if field.store
            and field.column_type
            and not field.required
            and name not in KEPT_OF_CONTACT
            and (field.type in SERIALIZED or name in ("state_id", "title", "partner_latitude", "partner_longitude"))
        ]

    @api.model
    def _erase_orders(self, orders):
        # The digest of an address can be guessed; so few digits of it cannot, and tell repeats apart all the same.
        return self._execute(
            """
            UPDATE sale_order
               SET iused_note = NULL, iused_address_digest = left(iused_address_digest, %s),
                   iused_former_addresses = NULL, signed_by = NULL,
                   iused_anonymized_at = now() AT TIME ZONE 'UTC', write_date = now() AT TIME ZONE 'UTC', write_uid = %s
             WHERE id = ANY(%s)
            """,
            CHECK_DIGITS,
            self.env.uid,
            list(orders),
        )

    @api.model
    def _erase_exchanges(self, exchanges):
        # What the refusals for one reason share (`cause`) holds no values, and is counted by.
        return self._execute(
            """
            UPDATE iused_exchange SET request_body = NULL, answer_body = NULL, detail = NULL
             WHERE id = ANY(%s) AND (request_body IS NOT NULL OR answer_body IS NOT NULL OR detail IS NOT NULL)
            """,
            list(exchanges),
        )

    @api.model
    def _erase_updates(self, orders):
        return self._execute(
            """
            UPDATE iused_shipment_update SET body = CASE WHEN body != '' THEN %s END, last_answer = NULL
             WHERE order_id = ANY(%s) AND (body IS NOT NULL OR last_answer IS NOT NULL)
            """,
            ERASED_BODY,
            list(orders),
        )

    @api.model
    def _erase_chatter(self, model, ids):
        """Erase the words of messages and activities on documents; of old and new values, those that may be a person.

        Who did what when stays: the messages themselves, and tracked values such as states and dates.

        :return: Counter
        """
        erased = Counter()
        messages = self._select_ids(
            "SELECT id FROM mail_message WHERE model = %(model)s AND res_id = ANY(%(ids)s)", model=model, ids=list(ids)
        )
        # E-mail addresses of our own people, who are authors, stay.
        erased["messages"] = self._execute(
            """
            UPDATE mail_message
               SET body = '', subject = NULL, incoming_email_to = NULL, incoming_email_cc = NULL,
                   outgoing_email_to = NULL, reply_to = NULL,
                   email_from = CASE
                       WHEN EXISTS (SELECT FROM res_users WHERE partner_id = author_id) THEN email_from
                   END
             WHERE id = ANY(%s)
            """,
            messages,
        )
        erased["values"] = self._execute(
            """
            DELETE FROM mail_tracking_value
             WHERE mail_message_id = ANY(%s)
               AND (%s OR NOT EXISTS (
                       SELECT FROM ir_model_fields field
                        WHERE field.id = field_id AND field.ttype NOT IN ('char', 'text', 'html')
                          AND field.relation IS DISTINCT FROM 'res.partner'
                   ))
            """,
            messages,
            model == "res.partner",
        )
        for table in ("mail_mail", "sms_sms", "snailmail_letter"):
            column = "message_id" if table == "snailmail_letter" else "mail_message_id"
            if self._has_column(table, column):
                erased["messages"] += self._execute(
                    f"DELETE FROM {table} WHERE {column} = ANY(%s)",  # noqa: S608 - one of these three # nosec B608
                    messages,
                )
        if self._has_column("mail_message_translation", "message_id"):
            self._execute("DELETE FROM mail_message_translation WHERE message_id = ANY(%s)", messages)
        self._execute("DELETE FROM mail_scheduled_message WHERE model = %s AND res_id = ANY(%s)", model, list(ids))
        erased["activities"] = self._execute(
            """
            UPDATE mail_activity
               SET note = NULL, feedback = NULL, summary = CASE WHEN active THEN summary END,
                   res_name = CASE WHEN res_model != 'res.partner' THEN res_name END
             WHERE res_model = %s AND res_id = ANY(%s)
            """,
            model,
            list(ids),
        )
        return erased

    @api.model
    def _erase_followers(self, contacts):
        contacts = list(contacts)
        self._execute("DELETE FROM mail_followers WHERE partner_id = ANY(%s)", contacts)
        self._execute("DELETE FROM mail_followers WHERE res_model = 'res.partner' AND res_id = ANY(%s)", contacts)
        self._execute("DELETE FROM mail_notification WHERE res_partner_id = ANY(%s)", contacts)
        if self._has_column("sms_sms", "partner_id"):
            return self._execute("DELETE FROM sms_sms WHERE partner_id = ANY(%s)", contacts)
        return 0

    @api.model
    def _has_column(self, table, column):
        """Tell whether there is such a column: the addon that makes the table need not be installed."""
        model = self.env.get(table.replace("_", "."))
        return model is not None and column in model._fields

    @api.model
    def _erase_files(self, ids):
        """Delete what is attached to documents: labels, photos, signatures. Invoices keep theirs, by law.

        :param dict ids: of `_find_documents`
        """
        self.env["ir.attachment"].flush_model()
        files = self.env["ir.attachment"].browse(
            [
                file_id
                for model in WITH_FILES
                if ids[model]
                for file_id in self._select_ids(
                    "SELECT id FROM ir_attachment WHERE res_model = %(model)s AND res_id = ANY(%(ids)s)",
                    model=model,
                    ids=list(ids[model]),
                )
            ]
        )
        if files:
            files.sudo().unlink()  # removes them from the disk, too
        return len(files)

    # Writing it down -------------------------------------------------------------------------------------------------

    @api.model
    def _record(self, company, reason, erased, reference=False, consumers=0, orders=0):
        """Keep the protocol of an erasure.

        :param Counter erased: of `_erase`
        :return: the `iused.erasure`
        """
        return self.create(
            {
                "company_id": company.id,
                "reason": reason,
                "reference": reference,
                "consumers": consumers,
                "orders": orders,
                "erased": self._describe(erased),
                "kept": self._describe_kept(),
            }
        )

    @api.model
    def _describe(self, erased):
        """Return a line for each kind of thing that was erased."""
        names = {
            "contacts": self.env._("Contacts: name, address without the country, e-mail, telephone and all else"),
            "orders": self.env._("Orders: the consumer's remark, and the digests of addresses"),
            "notes": self.env._("Notes on deliveries"),
            "exchanges": self.env._("Log: bodies of calls, and words of refusals"),
            "updates": self.env._("Shipment updates: bodies and answers"),
            "messages": self.env._("Messages, e-mails and text messages: their words"),
            "values": self.env._("Messages: old and new values"),
            "activities": self.env._("Activities: their words"),
            "files": self.env._("Files on contact, orders and deliveries, such as labels"),
        }
        return "\n".join(f"{name}: {erased[kind]}" for kind, name in names.items() if erased[kind])

    @api.model
    def _describe_kept(self):
        """Return what an erasure must leave, and why."""
        return "\n".join(
            (
                self.env._(
                    "Orders, invoices and their PDFs, with amounts: tax law wants them kept (7 years in the"
                    " Netherlands, 8 in Germany, 10 in Belgium and France)."
                ),
                self.env._("iUsed's and our order number: they are on those invoices."),
                self.env._("Serial numbers, and when each device left: for warranty and against theft."),
                self.env._("Tracking references: proof that a parcel was handed over. They name nobody here."),
                self.env._("The country of delivery: VAT depends on it."),
                self.env._("iUsed, the carriers and backups have copies of their own, which this does not reach."),
            )
        )

    @api.ondelete(at_uninstall=False)
    def _unlink_never(self):
        raise UserError(self.env._("The protocol of an erasure is kept."))
