"""Servers that are killed and database connections that are cut while orders come in: each is made once, and whole."""

import time
from concurrent.futures import ThreadPoolExecutor

from conftest import DEV_FOLDER

from benches.burst import Target, make_orders
from services import odoo_script

ORDERS = 30
CLIENTS = 6
PATIENCE = 150  # seconds for all of it

MADE = """
    SELECT sale.iused_reference, COUNT(DISTINCT sale.id), COUNT(DISTINCT line.id), COUNT(DISTINCT picking.id),
           COALESCE(SUM(DISTINCT line.product_uom_qty), 0)
      FROM sale_order sale
 LEFT JOIN sale_order_line line ON line.order_id = sale.id
 LEFT JOIN stock_picking picking ON picking.sale_id = sale.id
     WHERE sale.iused_reference LIKE '{mark}-%'
  GROUP BY sale.iused_reference
"""


def test_crashes_neither_lose_nor_double_an_order(postgres, make_database):
    database = make_database()
    script = DEV_FOLDER / "shell/order_data.py"
    known = odoo_script(postgres, database.config, script, database.log, pieces=5 * ORDERS)
    with Target(postgres, database.name, known, "threads") as target, ThreadPoolExecutor(CLIENTS) as pool:
        mark, end = target.mark(), time.monotonic() + PATIENCE

        def push(order):
            # A connection that PostgreSQL has closed costs a 500, by Odoo itself.
            return target.push(order, seconds=end - time.monotonic(), repeated=range(500, 600))

        pushes = [pool.submit(push, order) for order in make_orders("crash", ORDERS, mark, known["skus"])]
        for accepted, disturb in (
            (4, lambda: restart(target.odoo)),
            (10, target.cut_connections),
            (15, lambda: restart(target.odoo)),
            (20, target.cut_connections),
        ):
            wait_for(pushes, accepted)
            disturb()
        outcomes = [each.result() for each in pushes]
        made = target.query(MADE.format(mark=mark))
        numbers = target.find_orders(mark)
    assert [outcome.failure for outcome in outcomes] == [""] * ORDERS
    assert sorted(made) == sorted((f"{mark}-{number}", 1, 1, 1, 1) for number in range(ORDERS))
    assert [[outcome.number] for outcome in outcomes] == [numbers[f"{mark}-{number}"] for number in range(ORDERS)]
    assert any(outcome.tries > 1 for outcome in outcomes), "nobody noticed the crashes"


def restart(odoo):
    odoo.kill()
    odoo.start()


def wait_for(pushes, accepted):
    """Wait until so many pushes are over, others not yet."""
    end = time.monotonic() + PATIENCE
    while (over := sum(push.done() for push in pushes)) < accepted:
        assert time.monotonic() < end, f"{over} of {ORDERS} pushes ended"
        time.sleep(0.02)
    assert over < ORDERS, "the pushes were over before the crash"
