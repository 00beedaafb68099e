import json
import logging
from typing import NamedTuple

from dateutil.relativedelta import relativedelta
from psycopg2.errors import DeadlockDetected, SerializationFailure

from odoo import api, fields, models
from odoo.tools import SQL

_logger = logging.getLogger(__name__)

MANY = 10_000  # contacts that are too many to be named in each of some hundred queries
BATCH = 1_000  # orders, or contacts without any, that become anonymous in one transaction
# Where nothing has to be done for an order any more: cancelled, or all left that will, and told; nobody has to see to
# it. {o} stands for the order's alias.
SETTLED = """
    ({o}.state = 'cancel' OR {o}.state = 'sale' AND (
        EXISTS (SELECT FROM sale_order_line line JOIN stock_move move ON move.sale_line_id = line.id
                 WHERE line.order_id = {o}.id AND move.state = 'done')
        OR NOT EXISTS (SELECT FROM sale_order_line line
                         JOIN product_product variant ON variant.id = line.product_id
                         JOIN product_template product ON product.id = variant.product_tmpl_id
                        WHERE line.order_id = {o}.id AND product.type = 'consu' AND line.product_uom_qty > 0)
    ))
    AND NOT EXISTS (SELECT FROM sale_order_line line JOIN stock_move move ON move.sale_line_id = line.id
                     WHERE line.order_id = {o}.id AND move.state NOT IN ('done', 'cancel'))
    AND NOT EXISTS (SELECT FROM iused_shipment_update WHERE order_id = {o}.id AND state NOT IN ('sent', 'dropped'))
"""
# The time counts from what happened last: what left or came back, else when it was ordered.
LEFT_AT = """
    COALESCE((SELECT max(move.date) FROM sale_order_line line JOIN stock_move move ON move.sale_line_id = line.id
               WHERE line.order_id = {o}.id AND move.state = 'done'), {o}.date_order)
"""
UNWATCHED = """
    NOT EXISTS (SELECT FROM mail_activity WHERE active AND res_model = 'sale.order' AND res_id = {o}.id)
    AND NOT EXISTS (SELECT FROM mail_activity WHERE active AND res_model = 'res.partner'
                                                AND res_id = {o}.partner_shipping_id)
    AND NOT EXISTS (SELECT FROM sale_order_line line
                      JOIN stock_move move ON move.sale_line_id = line.id
                      JOIN mail_activity ON mail_activity.res_id = move.picking_id
                     WHERE line.order_id = {o}.id AND mail_activity.active
                       AND mail_activity.res_model = 'stock.picking')
"""
OLD = f"{LEFT_AT} < %(before)s"
OVER = f"{OLD} AND {SETTLED} AND {UNWATCHED}"
OURS = "{o}.company_id = %(company)s AND {o}.iused_reference IS NOT NULL AND {o}.iused_anonymized_at IS NULL"
IS_CONSUMER = """
    EXISTS (SELECT FROM res_partner_res_partner_category_rel WHERE partner_id = {p} AND category_id = %(tag)s)
"""
# The orders that are over, but for those whose consumer has another one that is not.
DUE_ORDERS = f"""
    SELECT o.id, o.partner_shipping_id
      FROM sale_order o
     WHERE {OURS.format(o="o")} AND {OVER.format(o="o")}
       AND NOT ({IS_CONSUMER.format(p="o.partner_shipping_id")} AND EXISTS (
           SELECT FROM sale_order other
            WHERE other.partner_shipping_id = o.partner_shipping_id AND other.id != o.id
              AND {OURS.format(o="other")} AND NOT ({OVER.format(o="other")})
       ))
"""  # noqa: S608 - our own words # nosec B608
# Consumers without an order that is not erased yet: those of a former address, or who were in somebody's hands before.
LEFT_OVER = f"""
    SELECT p.id
      FROM res_partner p
     WHERE p.company_id = %(company)s AND p.iused_anonymized_at IS NULL AND p.create_date < %(before)s
       AND {IS_CONSUMER.format(p="p.id")}
       AND NOT EXISTS (SELECT FROM sale_order o WHERE o.partner_shipping_id = p.id AND o.iused_anonymized_at IS NULL)
       AND NOT EXISTS (SELECT FROM stock_picking WHERE partner_id = p.id AND state NOT IN ('done', 'cancel'))
       AND NOT EXISTS (SELECT FROM mail_activity WHERE active AND res_model = 'res.partner' AND res_id = p.id)
     ORDER BY p.id
"""  # noqa: S608 - our own words # nosec B608
# What follows from an order of iUsed says nothing else of its consumer; {t} stands for the row that names a contact.
OF_IUSED = """
    NOT EXISTS (SELECT FROM sale_order WHERE id = {t}.sale_id AND iused_reference IS NOT NULL)
    AND NOT EXISTS (SELECT FROM stock_move move
                      JOIN sale_order_line line ON line.id = move.sale_line_id
                      JOIN sale_order ON sale_order.id = line.order_id AND sale_order.iused_reference IS NOT NULL
                     WHERE move.picking_id = {t}.id)
"""
# Which rows that name a contact make it more than a consumer of iUsed's, where not all of them do.
COUNTS_WHERE = {
    ("sale.order", "partner_shipping_id"): "{t}.iused_reference IS NULL",
    ("stock.picking", "partner_id"): OF_IUSED,
    # iUsed's own invoices, from before they were made without an address of the goods.
    ("account.move", "partner_shipping_id"): """
        NOT EXISTS (SELECT FROM res_company
                      JOIN res_partner iused ON iused.id = res_company.iused_partner_id
                     WHERE res_company.id = {t}.company_id AND iused.commercial_partner_id = {t}.commercial_partner_id)
    """,
    ("res.partner", "commercial_partner_id"): "{t}.id != {t}.commercial_partner_id",
}
# They follow from deliveries and orders, which are looked at.
NEVER_COUNT = {
    ("sale.order.line", "order_partner_id"),
    ("stock.move", "partner_id"),
    ("purchase.order", "dest_address_id"),
}
# What Odoo writes of itself, and what is erased with the contact.
OWN_MODELS = ("mail.", "sms.", "snailmail.", "bus.", "privacy.", "iused.", "discuss.")


class Due(NamedTuple):
    """What becomes anonymous: ids."""

    contacts: list
    orders: list


class IusedPrivacy(models.AbstractModel):
    """Consumers' data: whose become anonymous and when, what is found of one person, and what that is told to."""

    _name = "iused.privacy"
    _description = "iUsed Privacy"

    # Whose time has come ---------------------------------------------------------------------------------------------

    @api.model
    def _parameters(self, company, months):
        return {
            "company": company.id,
            "before": fields.Datetime.now() - relativedelta(months=months),
            # Without the tag nobody can tell who is a consumer, and no contact is touched.
            "tag": self.env["ir.model.data"]._xmlid_to_res_id("sale_iused.partner_category_consumer") or 0,
        }

    @api.model
    def _prepare_reading(self):
        self.env.flush_all()
        # PostgreSQL would take seconds to compile what it does in milliseconds.
        self.env.cr.execute("SET LOCAL jit = off")

    @api.model
    def _find_due(self, company, months, limit=None):
        """Return whose data become anonymous, as far as nobody else has them in hand.

        :param int months: since something left or came back, or was ordered
        :param limit: how many orders at most, but for others of the same consumers
        :rtype: Due
        """
        self._prepare_reading()
        parameters = self._parameters(company, months)
        self.env.cr.execute(f"{DUE_ORDERS} LIMIT %(limit)s", {**parameters, "limit": limit})
        rows = self.env.cr.fetchall()
        orders, contacts = [row[0] for row in rows], {row[1] for row in rows}
        consumers = self._only_consumers(company, contacts)
        if limit and len(orders) >= limit:  # the others of these consumers are over as well
            orders = sorted({*orders, *self._orders_of(company, consumers)})
        if not limit or len(orders) < limit:
            self.env.cr.execute(LEFT_OVER, parameters)
            left_over = {row[0] for row in self.env.cr.fetchall()} - consumers
            consumers |= set(sorted(self._only_consumers(company, left_over))[:limit])
        return Due(sorted(consumers), orders)

    @api.model
    def _orders_of(self, company, contacts):
        """Return the ids of the orders that went to contacts, as far as they are not erased yet."""
        self.env.cr.execute(
            f"SELECT id FROM sale_order o WHERE o.partner_shipping_id = ANY(%(contacts)s) AND {OURS.format(o='o')}",  # noqa: S608 - our own words # nosec B608
            {"contacts": list(contacts), "company": company.id},
        )
        return [row[0] for row in self.env.cr.fetchall()]

    @api.model
    def _only_consumers(self, company, contacts):
        """Return those of contacts that are this company's consumers and nothing else to anybody, in a set."""
        self.env.cr.execute(
            f"""
            SELECT id FROM res_partner
             WHERE id = ANY(%(contacts)s) AND company_id = %(company)s AND iused_anonymized_at IS NULL
               AND {IS_CONSUMER.format(p="res_partner.id")}
            """,  # noqa: S608 - our own words # nosec B608
            {"contacts": list(contacts), **self._parameters(company, 0)},
        )
        consumers = {row[0] for row in self.env.cr.fetchall()}
        return consumers - self._find_known(consumers).keys() if consumers else consumers

    @api.model
    def _find_known(self, contacts):
        """Return as what else contacts are known: dict of id to the names of models, in sets.

        Every field of any addon that names a contact counts, so that nobody loses a customer, a vendor or a colleague.
        """
        known = {}
        whose = SQL("= ANY(%s)", list(contacts))
        if len(contacts) > MANY:
            tag = self.env.ref("sale_iused.partner_category_consumer").id
            whose = SQL("IN (SELECT partner_id FROM res_partner_res_partner_category_rel WHERE category_id = %s)", tag)
        for model_name, column in self._references():
            condition = COUNTS_WHERE.get((model_name, column), "TRUE").format(t="t")
            self.env.cr.execute(
                SQL(
                    "SELECT DISTINCT %s FROM %s t WHERE %s %s AND %s",
                    SQL.identifier("t", column),
                    SQL.identifier(self.env[model_name]._table),
                    SQL.identifier("t", column),
                    whose,
                    SQL(condition),
                )
            )
            for (contact,) in self.env.cr.fetchall():
                known.setdefault(contact, set()).add(model_name)
        return known

    @api.model
    def _references(self):
        """Yield the models and fields that may name a contact."""
        for name, model in self.env.items():
            if not model._auto or model._abstract or model._transient or name.startswith(OWN_MODELS):
                continue
            for field in model._fields.values():
                is_link = field.type == "many2one" and field.comodel_name == "res.partner"
                if is_link and field.store and not field.company_dependent and (name, field.name) not in NEVER_COUNT:
                    yield name, field.name

    @api.model
    def _preview(self, company, months):
        """Return in words what would become anonymous now."""
        if months <= 0:
            return self.env._("Off: consumers' data are kept until somebody erases them.")
        due = self._find_due(company, months)
        if not due.contacts and not due.orders:
            text = self.env._("Nobody would be made anonymous now.")
        else:
            text = self.env._(
                "%(consumers)s consumers of %(orders)s orders would be made anonymous.",
                consumers=f"{len(due.contacts):,}",
                orders=f"{len(due.orders):,}",
            )
        if oldest := self._oldest(due.orders):
            text += " " + self.env._("The oldest order left on %s.", fields.Date.to_string(oldest))
        if waiting := self._count_old(company, months) - len(due.orders):
            text += "\n" + self.env._(
                "%s orders as old are left alone: something of them, or of another order of the same consumer, is"
                " open.",
                f"{waiting:,}",
            )
        return text

    @api.model
    def _oldest(self, orders):
        self.env.cr.execute(
            f"SELECT min({LEFT_AT.format(o='o')}) FROM sale_order o WHERE id = ANY(%s)",  # noqa: S608 - our own words # nosec B608
            [list(orders)],
        )
        return self.env.cr.fetchone()[0]

    @api.model
    def _count_old(self, company, months):
        """Return how many orders are old enough, be they over or not."""
        self.env.cr.execute(
            f"SELECT count(*) FROM sale_order o WHERE {OURS.format(o='o')} AND {OLD.format(o='o')}",  # noqa: S608 - our own words # nosec B608
            self._parameters(company, months),
        )
        return self.env.cr.fetchone()[0]

    # Erasing ---------------------------------------------------------------------------------------------------------

    @api.autovacuum
    def _gc_consumers(self):
        """Make some consumers anonymous whose time has come.

        :return: how many orders and contacts that were, and whether there may be more: Odoo asks again then, in a
            transaction of its own
        """
        companies = self.env["res.company"].search([("iused_anonymize_months", ">", 0)])
        for company in companies:
            due = self._find_due(company, company.iused_anonymize_months, limit=BATCH)
            if not due.contacts and not due.orders:
                continue
            try:
                with self.env.cr.savepoint():
                    done = self._erase_free(company, due)
            except (SerializationFailure, DeadlockDetected) as error:
                _logger.info("Consumers of company %s are made anonymous later: %s", company.id, error)
                continue
            if done.contacts or done.orders:
                return len(done.contacts) + len(done.orders), 1
        return 0, 0

    @api.model
    def _erase_free(self, company, due):
        """Erase what nobody works with at this moment, and keep a protocol.

        :return: what was erased, a `Due`
        """
        done = self._lock(company, due)
        if done.contacts or done.orders:
            erasures = self.env["iused.erasure"]
            erased = erasures._erase(company, done.contacts, done.orders)
            erasures._record(company, "age", erased, consumers=len(done.contacts), orders=len(done.orders))
        return done

    @api.model
    def _lock(self, company, due):
        """Return what of `due` is this transaction's until it ends, without the consumers that ordered again meanwhile.

        A new order locks the contact that it goes to (by its foreign key), and so does one that is changed: what is
        locked already is left out here, and whoever comes later collides with this lock and is replayed, after which
        the consumer is not found any more. What was committed since our snapshot only another one shows.

        :rtype: Due
        """
        contacts = self._lock_rows("res_partner", due.contacts)
        orders = self._lock_rows("sale_order", due.orders)
        missed = set(due.orders) - orders
        with self.env.registry.cursor() as cr:
            cr.execute(
                """
                SELECT DISTINCT partner_shipping_id FROM sale_order
                 WHERE partner_shipping_id = ANY(%s) AND iused_anonymized_at IS NULL AND NOT id = ANY(%s)
                """,
                (list(contacts), list(orders)),
            )
            contacts -= {row[0] for row in cr.fetchall()}
        contacts -= set(self.env["sale.order"].browse(missed).partner_shipping_id.ids)
        # Either all of a consumer, or nothing.
        left_out = set(due.contacts) - contacts
        orders -= set(
            self.env["sale.order"].browse(orders).filtered(lambda o: o.partner_shipping_id.id in left_out).ids
        )
        return Due(sorted(contacts), sorted(orders))

    @api.model
    def _lock_rows(self, table, ids):
        """Lock the rows that are free, as if to delete them: so that nothing can begin to refer to them."""
        self.env.cr.execute(
            SQL(
                "SELECT id FROM %s WHERE id = ANY(%s) ORDER BY id FOR UPDATE SKIP LOCKED",
                SQL.identifier(table),
                list(ids),
            )
        )
        return {row[0] for row in self.env.cr.fetchall()}

    @api.model
    def _due(self, contacts, orders):
        """:rtype: Due"""
        return Due(sorted(contacts), sorted(orders))

    # One person ------------------------------------------------------------------------------------------------------

    @api.model
    def _find_person(self, company, reference="", contact=None):
        """Return what is known of one person, by an order number of iUsed's or ours, or by a contact.

        Contacts of consumers with the same e-mail address are the same person.

        :return: the contacts, the orders, and the rows of the log besides those of the orders
        """
        contacts, orders = self.env["res.partner"], self.env["sale.order"]
        exchanges = self.env["iused.exchange"]
        tag = self.env.ref("sale_iused.partner_category_consumer", raise_if_not_found=False)
        ours = [("company_id", "=", company.id), ("iused_reference", "!=", False)]
        if reference:
            orders = orders.search([*ours, "|", ("iused_reference", "=", reference), ("name", "=", reference)])
            exchanges = exchanges.search([("company_id", "=", company.id), ("reference", "=", reference)])
            contacts |= orders.partner_shipping_id
        if contact:
            contacts |= contact
        contacts = contacts.filtered(lambda c: not c.iused_anonymized_at and tag and tag in c.category_id)
        contacts = contacts.filtered(lambda c: c.company_id == company)
        if emails := [email for email in contacts.mapped("email_normalized") if email]:
            contacts |= self._search_consumers(company, tag, [("email_normalized", "in", emails)])
            exchanges |= exchanges.browse(self._find_bodies(emails, company))
        orders |= orders.search([*ours, ("partner_shipping_id", "in", contacts.ids)])
        return contacts, orders, exchanges

    @api.model
    def _search_consumers(self, company, tag, domain):
        return (
            self.env["res.partner"]
            .with_context(active_test=False)
            .search(
                [
                    ("company_id", "=", company.id),
                    ("category_id", "in", tag.ids),
                    ("iused_anonymized_at", "=", False),
                    *domain,
                ]
            )
        )

    @api.model
    def _find_open(self, orders):
        """Return those of orders for which something is still to be done: their consumers cannot be erased."""
        self._prepare_reading()
        self.env.cr.execute(
            f"SELECT id FROM sale_order o WHERE id = ANY(%s) AND NOT ({SETTLED.format(o='o')})",  # noqa: S608 - our own words # nosec B608
            [orders.ids],
        )
        return orders.browse([row[0] for row in self.env.cr.fetchall()])

    # Odoo's own privacy look-up --------------------------------------------------------------------------------------

    @api.model
    def _find_bodies(self, texts, company=None):
        """Return the ids of the rows of the log in whose bodies a text stands, as such or as JSON has it."""
        self.env["iused.exchange"].flush_model()
        query = self._bodies_query(texts, SQL("id"))
        if company:
            query = SQL("%s AND company_id = %s", query, company.id)
        return [row[0] for row in self.env.execute_query(query)]

    @api.model
    def _bodies_query(self, texts, columns):
        spellings = {spelling for text in texts for spelling in (text, json.dumps(text)[1:-1])}
        patterns = [
            f"%{spelling.translate({ord(char): f'{chr(92)}{char}' for char in '%_' + chr(92)})}%"
            for spelling in sorted(spellings)
        ]
        return SQL(
            "SELECT %s FROM iused_exchange WHERE (request_body ILIKE ANY(%s) OR answer_body ILIKE ANY(%s)"
            " OR detail ILIKE ANY(%s))",
            columns,
            patterns,
            patterns,
            patterns,
        )

    def _register_hook(self):
        """Let Odoo's privacy look-up find bodies of the log, where that addon is installed.

        It looks through e-mail fields and links to contacts, and bodies are neither. A class cannot extend a model that
        need not be there, and this addon works without: hence here, as `base_automation` does it.
        """
        super()._register_hook()
        wizard = self.env.registry.get("privacy.lookup.wizard")
        if wizard is None or "_iused_origin" in vars(wizard._get_query):
            return
        origin = wizard._get_query

        def _get_query(self):
            return SQL("%s UNION ALL %s", origin(self), self.env["iused.privacy"]._lookup_query(self.name, self.email))

        _get_query._iused_origin = origin
        wizard._get_query = _get_query

    def _unregister_hook(self):
        result = super()._unregister_hook()
        wizard = self.env.registry.get("privacy.lookup.wizard")
        if wizard is not None and "_iused_origin" in vars(wizard._get_query):
            del wizard._get_query
        return result

    @api.model
    def _lookup_query(self, name, email):
        """Return the query that adds rows of the log to what Odoo's privacy look-up finds."""
        model_id = self.env["ir.model"]._get_id("iused.exchange")
        return self._bodies_query(
            [name.strip(), email.strip()], SQL("%s AS res_model_id, id AS res_id, TRUE AS is_active", model_id)
        )
