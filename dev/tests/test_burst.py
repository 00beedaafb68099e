"""The short form of `dev/bench burst`: whatever comes at once is accepted in the end, once, and the server stays well.

On Odoo's default, the threaded server, and on eight workers.
"""

import functools
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
from conftest import DEV_FOLDER

from benches.burst import Target, burst, make_orders
from services import odoo_script

PIECES = 600
LIMIT = 15  # seconds for a server to end. Odoo lets requests go on for one second, then closes their connections.


@pytest.fixture(scope="module")
def phones(postgres, make_database):
    database = make_database()
    script = DEV_FOLDER / "shell/order_data.py"
    known = odoo_script(postgres, database.config, script, database.log, pieces=PIECES)
    return SimpleNamespace(postgres=postgres, database=database.name, known=known)


@pytest.fixture(scope="module", params=["threads", "workers8"])
def target(phones, request):
    with Target(**vars(phones), kind=request.param) as running:
        yield running


@pytest.mark.parametrize("load", ["equal12", "equal50", "sku20", "mixed10"])
def test_burst_ends_with_each_order_once_and_a_server_that_is_well(target, load):
    row = target.run(load)
    # Nothing but 200, 201 and 503 with Retry-After is no failure.
    assert (row["unanswered"], row["failures"]) == (0, {})
    assert row["orders"] == row["references"]
    assert (row["doubled"], row["stuck"]) == (0, 0)
    assert row["user_errors"] == []


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM], ids=lambda sent: sent.name)
def test_server_ends_in_the_middle_of_a_burst_and_a_repeat_makes_each_order_once(phones, sent):
    with Target(**vars(phones), kind="threads") as target, ThreadPoolExecutor(1) as pool:
        mark = target.mark()
        orders = make_orders("mixed", 40, mark, phones.known["skus"])
        assert len(orders) == 50
        cut_short = pool.submit(burst, [functools.partial(target.push, order, tries=1) for order in orders])
        wait_for_orders(target, mark)
        target.odoo.process.send_signal(sent)
        target.odoo.process.wait(timeout=LIMIT)
        outcomes, _seconds = cut_short.result()
        assert any(outcome.failure for outcome in outcomes), "the burst was over before the server ended"
        target.odoo.start()
        outcomes, _seconds = burst([functools.partial(target.push, order) for order in orders])
        counted = target.count_orders(mark, orders, outcomes)
    assert [outcome.failure for outcome in outcomes] == [""] * 50
    assert counted == {"references": 40, "orders": 40, "doubled": 0}


def wait_for_orders(target, mark):
    """Wait until the first order is made, so that others are under way."""
    end = time.monotonic() + 30
    while not target.find_orders(mark):
        assert time.monotonic() < end, "no order was made"
        time.sleep(0.05)
