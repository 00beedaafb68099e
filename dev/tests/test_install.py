"""The addon comes, is upgraded and goes without leaving a mess."""

import json

import pytest
from conftest import DEV_FOLDER

from services import base_database, odoo_once, odoo_script

WAREHOUSE = {"login": "warehouse", "password": "warehouse"}

# Run in `odoo shell`: use every part of the addon once.
USE = """
env["res.config.settings"].create({"iused_new_webhook_url": "https://portal.invalid/webhook/shipment/18/X"}).execute()
env.company.iused_warehouse_ids = env["stock.warehouse"].search([("company_id", "=", env.company.id)])
from odoo.addons.sale_iused.tools.order_payload import read_order
def receive(reference, sku):
    order = read_order({"order_id": reference, "lines": [{"sku": sku, "quantity": 1, "price": 149}],
        "shipping_address": {"name": "Sanne", "street": "Dorpsstraat 1", "postal_code": "9711 AB", "city": "Groningen",
                             "country": "NL"}})
    return env["iused.order.inbox"].sudo()._receive(env.company, order)[0]
delivered, waiting = receive("IU-1", "IP12-64-WHT-C"), receive("IU-2", "IP12-64-WHT-C")
for order, tracking in ((delivered, "3S1"), (waiting, False)):
    order.picking_ids.carrier_tracking_ref = tracking
    order.picking_ids.button_validate()
receive("IU-3", "IP12-64-WHT-C")
env["iused.field.mapping"].create({"field": "order_id", "path": "nummer"})
env["iused.sftp.location"].create({"host": "sftp.invalid", "username": "refurb", "new_password": "secret"})
settings = {"iused_stock_buffer": 1, "iused_key_serial": "imei", "iused_retention_days": 33}
env["res.config.settings"].create(settings).execute()
env.ref("sale_iused.ir_cron_upload_offers").interval_number = 7
env.cr.commit()
push = {"method": "POST", "path": "/iused/v1/orders", "request_body": "{}", "idempotency_key": "", "duration": 0.1}
env["iused.exchange"].sudo()._log_refused(env.company, push, 422, '{"detail": "no lines"}')
result = {"orders": (delivered + waiting).mapped("name")}
env.cr.commit()
"""

# Everything that the addon keeps, whatever table it is in; and what iUsed is served.
SHOW = """
cr = env.cr
def rows(query, *parameters):
    cr.execute(query, parameters)
    return [row if len(row) > 1 else row[0] for row in cr.fetchall()]
own = rows("SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename LIKE 'iused%%' ORDER BY 1")
fields = rows("SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public'"
              " AND column_name LIKE 'iused%%' AND table_name NOT LIKE 'iused%%' ORDER BY 1, 2")
result = {
    "rows": {table: rows(f'SELECT to_jsonb(t) FROM "{table}" t ORDER BY to_jsonb(t)::text') for table in own},
    "fields": {f"{table}.{column}": rows(f'SELECT to_jsonb(t) FROM (SELECT * FROM "{table}") t'
                                         f' WHERE "{column}" IS NOT NULL ORDER BY to_jsonb(t)::text')
               for table, column in fields},
    "offers": [text.removesuffix(",")
               for (text,) in env.execute_query(env["iused.offer.feed"]._offers_query(env.company))],
    "keys": rows("SELECT id, key FROM res_users_apikeys WHERE scope = 'iused'"),
    "crons": rows("SELECT cron_name, active, interval_number FROM ir_cron WHERE cron_name LIKE '%%iUsed%%' ORDER BY 1"),
    "activities": rows("SELECT res_model, res_id, summary FROM mail_activity ORDER BY id"),
    "groups": rows("SELECT g.name->>'en_US', r.uid FROM res_groups_users_rel r JOIN res_groups g ON g.id = r.gid"
                   " ORDER BY 1, 2"),
}
"""

UNINSTALL = """
env["ir.module.module"].search([("name", "=", "sale_iused")]).button_immediate_uninstall()
result = True
"""

# After another installation: a new token, and what it opens.
INSTALL_AGAIN = """
env["ir.module.module"].search([("name", "=", "sale_iused")]).button_immediate_install()
wizard = env["iused.token.new"].create({})
key = type(wizard).action_make.__wrapped__(wizard)["context"]["default_key"]
env.cr.commit()
user = env["res.users"].browse(env["res.users.apikeys"]._check_credentials(scope="iused", key=key))
result = {"login": user.login, "is_ours": user == env.company.iused_user_id, "company": env.company.id}
"""

AFTER = """
order = env["sale.order"].search([("name", "in", values["orders"])], limit=1)
invoice = order._create_invoices()
copy = order.copy()
copy.action_confirm()
cr = env.cr
def rows(query):
    cr.execute(query)
    return [row[0] for row in cr.fetchall()]
result = {
    "columns": rows("SELECT table_name || '.' || column_name FROM information_schema.columns"
                    " WHERE table_schema = 'public' AND column_name LIKE 'iused%'"),
    "tables": rows("SELECT tablename FROM pg_tables WHERE tablename LIKE '%iused%'"),
    "data": rows("SELECT name FROM ir_model_data WHERE module = 'sale_iused'"),
    "models": rows("SELECT model FROM ir_model WHERE model LIKE 'iused%'"),
    "crons": rows("SELECT cron_name FROM ir_cron WHERE cron_name ILIKE '%iused%'"),
    "menus": rows("SELECT id FROM ir_ui_menu WHERE name->>'en_US' = 'iUsed'"),
    "keys": rows("SELECT id FROM res_users_apikeys WHERE scope = 'iused'"),
    "users": rows("SELECT login FROM res_users WHERE active AND login LIKE 'iused-%'"),
    "phone": env["product.product"].search([("default_code", "=", "IP12-64-WHT-C")]).qty_available,
    "copy": copy.state, "invoice": bool(invoice),
}
"""


@pytest.fixture
def script(postgres, tmp_path):
    """Give a function that runs a text in `odoo shell` and returns its `result`."""

    def run(database, text, **values):
        path = tmp_path / "script.py"
        path.write_text(text)
        return odoo_script(postgres, database.config, path, database.log, **values)

    return run


@pytest.fixture
def used(postgres, make_database, script):
    """A database in which every part of the addon was used."""
    database = make_database()
    odoo_script(postgres, database.config, DEV_FOLDER / "shell/sample_data.py", database.log, **WAREHOUSE)
    database.orders = script(database, USE)["orders"]
    return database


def test_upgrade_keeps_everything(postgres, used, script):
    before = script(used, SHOW)
    states = [update["state"] for update in before["rows"]["iused_shipment_update"]]
    assert sorted(states) == ["pending", "waiting"]
    kept = ("iused_exchange", "iused_field_mapping", "iused_sftp_location")
    assert all(before["rows"][table] for table in kept)
    assert before["keys"]
    assert before["activities"]
    assert len(before["offers"]) == 13
    log = odoo_once(postgres, used.config, used.log, "-u", "sale_iused", "--no-http")
    assert not [line for line in log.splitlines() if " WARNING " in line or " ERROR " in line]
    after = script(used, SHOW)
    for part in before:
        assert after[part] == before[part], part


def test_uninstall_takes_away_its_own_and_leaves_orders_usable(used, script):
    script(used, UNINSTALL)
    log = used.log.read_text()
    assert " ERROR " not in log, log[-3000:]
    left = script(used, AFTER, orders=used.orders)
    assert left.pop("phone") == 6  # eight, of which two left
    assert (left.pop("copy"), left.pop("invoice")) == ("sale", True)
    assert not {name: found for name, found in left.items() if found}, json.dumps(left)


def test_token_after_another_installation(used, script):
    script(used, UNINSTALL)
    made = script(used, INSTALL_AGAIN)
    assert made == {"login": f"iused-{made['company']}", "is_ours": True, "company": made["company"]}


def test_install_with_demonstration_data(postgres, make_database, script):
    database = make_database(source=base_database(postgres))
    # Odoo loads demonstration data only where what the addon depends on has its own.
    postgres.query("UPDATE ir_module_module SET demo = TRUE WHERE state = 'installed'", database.name)
    log = odoo_once(postgres, database.config, database.log, "-i", "sale_iused", "--with-demo", "--no-http")
    assert not [line for line in log.splitlines() if " WARNING " in line or " ERROR " in line]
    offers = script(database, SHOW)["offers"]
    assert [json.loads(offer.rstrip(","))["stock_available"] for offer in offers] == [0, 2, 1]
