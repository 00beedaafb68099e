"""Two at once: what must not happen twice does not, whatever the transactions saw of each other."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from conftest import DEV_FOLDER, WAREHOUSE

from portal import Portal, sample_order
from services import Odoo, odoo_script

SKU = "FP4-256-GRN-A"
# The first transaction looks around, a second one takes the last piece, and only then the first one goes on.
STALE = """
import json
from odoo.exceptions import ConcurrencyError
from psycopg2.errors import SerializationFailure

def receive(env, reference):
    company = env["res.company"].search([("iused_user_id", "!=", False)])
    inbox = env["iused.order.inbox"].with_user(company.iused_user_id).sudo().with_company(company)
    document = {**values["order"], "order_id": reference}
    return inbox._push(company, json.dumps(document).encode())[0].name

with env.registry.cursor() as late:
    late.execute("SELECT count(*) FROM sale_order")
    with env.registry.cursor() as early:
        result = [receive(env(cr=early), values["first"])]
    try:
        result.append(receive(env(cr=late), values["second"]))
    except SerializationFailure:
        late.rollback()
        result.append("replayed")
"""
PREPARE = """
company = env["res.company"].search([("iused_user_id", "!=", False)])
company.iused_shortage_policy = "refuse"
env["stock.picking.type"].search([("code", "=", "outgoing")]).reservation_method = "manual"
product = env["product.product"].search([("default_code", "=", values["sku"])])
for quant in env["stock.quant"].search([("product_id", "=", product.id), ("location_id.usage", "=", "internal")])[1:]:
    quant.sudo().unlink()
env.cr.commit()
result = product.iused_stock
"""


@pytest.fixture(scope="module")
def last_piece(postgres, make_database, tmp_path_factory):
    """A refurbisher who refuses what is short, reserves by hand and has one piece left; and a function for scripts."""
    database = make_database()
    made = odoo_script(postgres, database.config, DEV_FOLDER / "shell/sample_data.py", database.log, **WAREHOUSE)

    def run(text, **values):
        path = tmp_path_factory.mktemp("script") / "script.py"
        path.write_text(text)
        return odoo_script(postgres, database.config, path, database.log, **values)

    assert run(PREPARE, sku=SKU) == 1
    return database, made["api_key"], run, lambda statement: postgres.query(statement, database.name)


def cancel(query):
    """Take the orders' demand away, so that the piece is free again."""
    query("UPDATE stock_move SET state = 'cancel' WHERE sale_line_id IS NOT NULL")


def test_of_two_orders_of_the_last_piece_the_one_with_the_old_view_is_replayed(last_piece):
    _database, _key, run, query = last_piece
    order = sample_order("STALE", sku=SKU, price=289.0)
    result = run(STALE, order=order, first="LAST-1", second="LAST-2")
    assert result[0].startswith("S")
    assert result[1] == "replayed"
    cancel(query)


def test_of_two_pushes_of_one_reference_the_one_with_the_old_view_is_replayed(last_piece):
    _database, _key, run, query = last_piece
    order = sample_order("STALE", sku=SKU, price=289.0)
    script = STALE.replace("except SerializationFailure", "except (SerializationFailure, ConcurrencyError)")
    assert run(script, order=order, first="SAME", second="SAME")[1] == "replayed"
    assert query("SELECT count(*) FROM sale_order WHERE iused_reference = 'SAME'") == [(1,)]
    cancel(query)


def test_of_orders_of_the_last_piece_at_once_one_is_accepted(postgres, last_piece):
    database, key, _run, query = last_piece
    with Portal() as portal, Odoo(postgres, database.config, database.log) as odoo:

        def push(reference):
            order = sample_order(reference, sku=SKU, price=289.0)
            return portal.push_order(f"{odoo.url}/iused/v1/orders", key, order, timeout=60).status

        for turn in range(5):
            with ThreadPoolExecutor(4) as pool:
                statuses = sorted(pool.map(push, [f"RACE-{turn}-{number}" for number in range(4)]))
            assert statuses == [201, 409, 409, 409]
            cancel(query)


PENDING = """
inbox = env["iused.order.inbox"]
env.company.name = "Not to be lost"
env.flush_all()
try:
    inbox._take_turn(["a key"])
    result = "lost"
except RuntimeError:
    result = env.company.name
"""


def test_nothing_that_was_written_is_lost_for_a_turn(last_piece):
    _database, _key, run, _query = last_piece
    assert run(PENDING) == "Not to be lost"
