"""Makes orders by plain ORM calls and by HTTP pushes in turn. Runs in `odoo shell`; see `benches/orders.py`."""

import sys
import time

from odoo.fields import Command

sys.path.insert(0, values["dev"])  # noqa: F821

import order_server

from benches import orders as bench_orders


def make(env, order):
    """Make and confirm the order as anybody who programs Odoo would, and commit."""
    company = env.company
    address, line = order["shipping_address"], order["lines"][0]
    consumer = env["res.partner"].create(
        {
            "name": address["name"],
            "street": f"{address['street']} {address['house_number']}",
            "zip": address["postal_code"],
            "city": address["city"],
            "country_id": env.ref("base.nl").id,
            "email": order["customer"]["email"],
            "phone": "+31612345678",
            "company_id": company.id,
            "category_id": [Command.link(env.ref("sale_iused.partner_category_consumer").id)],
        }
    )
    product = env["product.product"].search([("default_code", "=", line["sku"])])
    sale = env["sale.order"].create(
        {
            "company_id": company.id,
            "partner_id": company.iused_partner_id.id,
            "partner_shipping_id": consumer.id,
            "pricelist_id": False,
            "source_id": env.ref("sale_iused.utm_source_iused").id,
            "origin": f"iUsed {order['order_id']}",
            "client_order_ref": order["order_id"],
            "iused_reference": order["order_id"],
            "order_line": [
                Command.create(
                    {"product_id": product.id, "product_uom_qty": line["quantity"], "price_unit": line["price"]}
                )
            ],
        }
    )
    sale.action_confirm()
    env.cr.commit()


def measure(env, url, key, skus, turns):
    """Return the seconds of each order, by way."""
    seconds = {"made": [], "pushed": []}
    for turn in range(-5, turns):  # the first ones only warm up
        sku = skus[turn % len(skus)]
        for way, act in (
            ("made", lambda order: make(env, order)),
            ("pushed", lambda order: bench_orders.push(url, key, order)),
        ):
            order = order_server.order(f"{way}-{turn}", sku)
            start = time.perf_counter()
            answer = act(order)
            if turn >= 0:
                seconds[way].append(time.perf_counter() - start)
            if answer and (answer[0] != 201 or answer[1]["status"] != "confirmed"):
                raise RuntimeError(f"The push was answered {answer}")
    return seconds


result = measure(env, values["url"], values["key"], values["skus"], values["turns"])  # noqa: F821
