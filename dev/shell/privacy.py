"""What dev/benches/privacy.py does inside `odoo shell`. `values`: `order`, as JSON has it, and `orders`, how many.
Leaves `result`.

One order is sold and delivered as always, and multiplied by SQL with all that names its consumer: 100,000 that were
pushed would take half a day.
"""

import json
import time
from collections import Counter

SINGLE = 10  # rows for each thing that are made by Odoo, at most: whatever an order has more is no plain order
COPIES = """
    INSERT INTO {table} ({columns})
    SELECT {values} FROM {table} CROSS JOIN generate_series(1, {number}) AS number WHERE {table}.id = {one}
    RETURNING id
"""


def copy(env, record, number, **changed):
    """Multiply a row.

    :param changed: expressions for columns that differ; `number` is that of the copy
    :return: the ids of the copies, by number
    """
    env.flush_all()
    table = record._table
    env.cr.execute(
        "SELECT column_name FROM information_schema.columns WHERE table_name = %s AND is_generated = 'NEVER'", (table,)
    )
    columns = [name for (name,) in env.cr.fetchall() if name != "id"]
    values = ", ".join(str(changed.get(name, f'{table}."{name}"')) for name in columns)
    names = ", ".join(f'"{name}"' for name in columns)
    env.cr.execute(COPIES.format(table=table, columns=names, values=values, number=number, one=record.id))
    return [row[0] for row in env.cr.fetchall()]


def pick(ids):
    """Return the expression of one of some ids that are in a row, by the copy's number."""
    assert ids == list(range(ids[0], ids[0] + len(ids))), "the ids of copies are in a row"
    return f"{ids[0] - 1} + number"


def sell(env, document):
    """Return company and order: one that left and was told, with what names its consumer."""
    company = env["res.company"].search([("iused_user_id", "!=", False)], limit=1)
    env = env(context={"allowed_company_ids": company.ids})
    company = company.with_env(env)
    inbox = env["iused.order.inbox"].with_user(company.iused_user_id).sudo().with_company(company)
    order = inbox._push(company.with_env(inbox.env), json.dumps(document).encode())[0].with_env(env)
    push = {"method": "POST", "path": "/iused/v1/orders", "request_body": json.dumps(document)}
    env["iused.exchange"]._log_accepted(company, push, 201, {"order_id": "BENCH"}, order)
    order.picking_ids.carrier_tracking_ref = "3SBENCH"
    order.picking_ids.move_ids.picked = True
    order.picking_ids._action_done()
    order.iused_update_ids.write({"state": "sent", "body": "{}"})
    order.picking_ids.message_post(body="Label of the consumer")
    order.iused_note = "Ring twice"
    return company, order


def fill(env, document, number):
    """Multiply an order; return the company."""
    company, order = sell(env, document)
    picking, move, line = order.picking_ids, order.order_line.move_ids, order.order_line
    consumer, update = order.partner_shipping_id, order.iused_update_ids
    past = "now() AT TIME ZONE 'UTC' - interval '2 years'"
    contacts = copy(env, consumer, number, name="'Consumer ' || number", email="'c' || number || '@example.com'",
                    email_normalized="'c' || number || '@example.com'", create_date=past)  # fmt: skip
    env.cr.execute("UPDATE res_partner SET commercial_partner_id = id WHERE id = ANY(%s)", (contacts,))
    env.cr.execute(
        "INSERT INTO res_partner_res_partner_category_rel (partner_id, category_id)"
        " SELECT id, %s FROM unnest(%s) AS id",
        (env.ref("sale_iused.partner_category_consumer").id, contacts),
    )
    orders = copy(env, order, number, name="'B' || number", iused_reference="'BENCH-' || number",
                  partner_shipping_id=pick(contacts), date_order=past, create_date=past,
                  access_token="NULL")  # fmt: skip
    lines = copy(env, line, number, order_id=pick(orders))
    pickings = copy(env, picking, number, name="'B/' || number", sale_id=pick(orders), partner_id=pick(contacts))
    copy(env, move, number, sale_line_id=pick(lines), picking_id=pick(pickings), partner_id=pick(contacts), date=past)
    updates = copy(env, update, number, order_id=pick(orders), picking_id=pick(pickings), move_line_id="NULL",
                   event_id="'bench-' || number")  # fmt: skip
    pushed = env["iused.exchange"].search([("order_id", "=", order.id)], limit=1)
    copy(env, pushed, number, order_id=pick(orders), reference="'BENCH-' || number")
    copy(env, pushed, number, order_id="NULL", reference="NULL", kind="'shipment'", update_id=pick(updates))
    for record, ids in ((order, orders), (picking, pickings), (consumer, contacts)):
        for message in record.message_ids[:SINGLE]:
            copy(env, message, number, res_id=pick(ids), message_id="'bench-' || number")
        label = env["ir.attachment"].create({"name": "Label", "raw": b"%PDF", "res_model": record._name,
                                             "res_id": record.id})  # fmt: skip
        if record == picking:
            copy(env, label, number, res_id=pick(ids))
    company.iused_anonymize_months = 12
    env.cr.commit()
    env.cr.execute("ANALYZE")
    env.cr.commit()
    return company


def measure(env, company):
    """Make all consumers anonymous, a batch in each transaction, as Odoo's vacuum does; return the figures."""
    privacy, figures = env["iused.privacy"], {}
    start = time.perf_counter()
    figures["preview"] = privacy._preview(company, 12)
    figures["preview_seconds"] = time.perf_counter() - start
    start, slowest, counts = time.perf_counter(), 0, Counter()
    while True:
        begun = time.perf_counter()
        _done, remaining = privacy._gc_consumers()
        env.cr.commit()
        slowest = max(slowest, time.perf_counter() - begun)
        counts["batches"] += 1
        if not remaining:
            break
    env.cr.execute("SELECT count(*) FROM res_partner WHERE email LIKE 'c%@example.com'")
    return figures | {
        "seconds": time.perf_counter() - start,
        "slowest_batch": slowest,
        "batches": counts["batches"],
        "left": env.cr.fetchone()[0],
    }


result = measure(env, fill(env, values["order"], values["orders"]))  # noqa: F821 - the shell's
