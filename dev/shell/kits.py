"""Makes a kit and a phone with an ordinary bill of materials. Run in `odoo shell` with `mrp` installed."""

import io
import json

from odoo import Command

company = env.company  # noqa: F821 - the shell's
phone = {
    "is_storable": True,
    "tracking": "serial",
    "taxes_id": False,
    "iused_offered": True,
    "iused_purchase_price": 100,
    "iused_consumer_price": 120,
}
part = env["product.product"].create({"name": "Part", "is_storable": True})  # noqa: F821
result = {}
feed = env["iused.offer.feed"]  # noqa: F821
query = feed._offers_query(company)
for sku, ean, kind in (
    ("PLAIN", "4006381333931", None),
    ("MADE", "96385074", "normal"),
    ("KIT", "036000291452", "phantom"),
):
    product = env["product.product"].create({"name": sku, "default_code": sku, "barcode": ean, **phone})  # noqa: F821
    before = feed._fingerprint(company, query)
    bom = kind and env["mrp.bom"].create(  # noqa: F821
        {
            "product_tmpl_id": product.product_tmpl_id.id,
            "type": kind,
            "bom_line_ids": [Command.create({"product_id": part.id, "product_qty": 1})],
        }
    )
    env.invalidate_all()  # noqa: F821
    result[sku] = {
        "state": product.iused_state,
        "reasons": product.iused_reasons,
        "changed": feed._fingerprint(company, query) != before,
    }
file = io.BytesIO()
feed._write(feed._offers_query(company), file)
result["served"] = [offer["sku"] for offer in json.loads(file.getvalue())]
