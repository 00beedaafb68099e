"""What dev/benches/billing.py does inside `odoo shell`. `values`: `orders`. Leaves `result`."""

import time

from odoo.fields import Command


def make_orders(env, number, iused):
    """Return so many orders of one customer that left, each for a consumer of its own, with one serial number each."""
    phone = env["product.product"].create(
        {
            "name": "Phone",
            "default_code": f"BENCH-{iused}",
            "type": "consu",
            "is_storable": True,
            "tracking": "serial",
            "invoice_policy": "delivery",
        }
    )
    stock = env["stock.warehouse"].search([("company_id", "=", env.company.id)], limit=1).lot_stock_id
    lots = env["stock.lot"].create(
        [{"name": f"35{n:013d}", "product_id": phone.id, "company_id": env.company.id} for n in range(number)]
    )
    for lot in lots:
        env["stock.quant"]._update_available_quantity(phone, stock, 1, lot_id=lot)
    customer = env["res.partner"].create({"name": f"Customer {iused}"})
    consumers = env["res.partner"].create([{"name": f"Consumer {n}"} for n in range(number)])
    orders = env["sale.order"].create(
        [
            {
                "partner_id": customer.id,
                "partner_shipping_id": consumer.id if iused else customer.id,
                **({"iused_reference": f"IU-{consumer.id}"} if iused else {}),
                "order_line": [
                    Command.create(
                        {
                            "product_id": phone.id,
                            "product_uom_qty": 1,
                            "price_unit": 199,
                            **({"iused_line_number": 1} if iused else {}),
                        }
                    )
                ],
            }
            for consumer in consumers
        ]
    )
    orders.action_confirm()
    orders.picking_ids.with_context(skip_sms=True).button_validate()
    env.cr.commit()
    env.invalidate_all()
    return orders


def measure(env, act):
    """Return what `act` returns, its seconds and its queries."""
    start, queries = time.perf_counter(), env.cr.sql_log_count
    result = act()
    env.flush_all()
    return result, time.perf_counter() - start, env.cr.sql_log_count - queries


def bill(env, values):
    number = values["orders"]
    env.company.write({"stock_move_email_validation": False, "stock_text_confirmation": False})
    others = make_orders(env, number, iused=False)
    ours = make_orders(env, number, iused=True)
    _invoice, plain_seconds, plain_queries = measure(env, lambda: others._create_invoices(final=True))
    env.cr.commit()
    env.invalidate_all()
    billing = env["iused.billing"]
    lines = env["sale.order.line"].search(billing._to_invoice_domain(env.company))
    if len(lines) != number:
        raise AssertionError(f"{len(lines)} of {number} lines are to be invoiced")
    invoice, seconds, queries = measure(env, lambda: billing._invoice(lines, "iUsed"))
    if len(invoice) != 1 or len(invoice.invoice_line_ids) != number:
        raise AssertionError(f"{len(invoice)} invoices of {len(invoice.invoice_line_ids)} lines")
    env.cr.commit()
    env.invalidate_all()
    report = env.ref("account.account_invoices")
    html, page_seconds, _queries = measure(env, lambda: report._render_qweb_html(report.id, invoice.ids)[0])
    since, until = env.cr.now().date().replace(day=1), env.cr.now().date()
    statement = env["iused.statement"]
    rows, statement_seconds, statement_queries = measure(env, lambda: statement._rows(env.company, since, until))
    content, workbook_seconds, _queries = measure(env, lambda: statement._workbook(rows, "iUsed"))
    env.invalidate_all()
    _read, list_seconds, list_queries = measure(env, lambda: ours.order_line[:80].read(["iused_serial_numbers"]))
    return {
        "orders": number,
        "invoice_seconds": seconds,
        "invoice_queries": queries,
        "odoo_seconds": plain_seconds,
        "odoo_queries": plain_queries,
        "invoice_vs_odoo": seconds / plain_seconds,
        "queries_per_order": max(0, queries - plain_queries) / number,
        "page_seconds": page_seconds,
        "page_bytes": len(html),
        "statement_rows": len(rows),
        "statement_seconds": statement_seconds,
        "statement_queries": statement_queries,
        "workbook_seconds": workbook_seconds,
        "workbook_bytes": len(content),
        "list_of_80_seconds": list_seconds,
        "list_of_80_queries": list_queries,
    }


result = bill(env, values)  # noqa: F821
