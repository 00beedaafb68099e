"""Another addon adds a field to the offers and to a shipment update by overriding one method each."""

import csv
import io

import requests
from conftest import DEV_FOLDER, WAREHOUSE

from bootstrap import DEV
from services import Odoo, odoo_addons, odoo_once, odoo_script, write_config

BODY = """
company = env["res.company"].search([("iused_user_id", "!=", False)])
inbox = env["iused.order.inbox"].with_user(company.iused_user_id).sudo().with_company(company)
order, _created = inbox._push(company, __import__("json").dumps(values["order"]).encode())
order = order.with_env(env)
order.picking_ids.write({"carrier_tracking_ref": "3S", "user_id": env.user.id})
order.picking_ids.button_validate()
result = order.iused_update_ids._prepare_body()
env["product.product"].search([("default_code", "=", "IP12-64-WHT-C")]).weight = 0.16
env.cr.commit()
"""


def test_example_addon_adds_its_fields(postgres, make_database, tmp_path):
    from portal import sample_order

    addons = tmp_path / "addons"
    addons.mkdir()
    (addons / "iused_example").symlink_to(DEV_FOLDER / "example_addon")
    database = make_database()
    path = ",".join(map(str, [*odoo_addons(), DEV / "addons", addons]))
    config = write_config(tmp_path / "odoo.conf", postgres, database.name, addons_path=path)
    made = odoo_script(postgres, config, DEV_FOLDER / "shell/sample_data.py", database.log, **WAREHOUSE)
    odoo_once(postgres, config, database.log, "-i", "iused_example", "--no-http")
    script = tmp_path / "script.py"
    script.write_text(BODY)
    order = sample_order("IU-EXTENDED", sku="IP12-64-WHT-C", price=149.0)
    body = odoo_script(postgres, config, script, database.log, order=order)
    assert list(body) == ["serial_number", "track_and_trace", "external_order_id", "picked_by"]
    assert body["picked_by"]
    with Odoo(postgres, config, database.log) as odoo:
        headers = {"Authorization": f"Bearer {made['api_key']}"}
        offers = requests.get(f"{odoo.url}/iused/v1/offers", headers=headers, timeout=60).json()
        text = requests.get(f"{odoo.url}/iused/v1/offers?format=csv", headers=headers, timeout=60).text
    assert list(offers[0])[-2:] == ["currency", "weight"]
    assert {offer["sku"]: offer["weight"] for offer in offers}["IP12-64-WHT-C"] == 0.16
    rows = list(csv.DictReader(io.StringIO(text), delimiter=";"))
    assert {row["sku"]: row["weight"] for row in rows}["IP12-64-WHT-C"] == "0.16"
