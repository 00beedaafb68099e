"""Flows over several processes: real Odoo workers, a cron worker, real HTTP, commits that are commits."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import round_trip
from order_server import insist

from portal import sample_order

ORDERS = "/iused/v1/orders"


@pytest.fixture
def connected(refurbisher):
    """The refurbisher, its administrator and its warehouse user, with the webhook set."""
    round_trip_users = {
        name: round_trip.OdooUser(refurbisher.odoo.url, **login, database=refurbisher.database)
        for name, login in (("admin", round_trip.ADMIN), ("warehouse", round_trip.WAREHOUSE))
    }
    refurbisher.portal.heal()
    round_trip.connect(round_trip_users["admin"], refurbisher.portal)
    return refurbisher, round_trip_users["warehouse"]


def test_round_trip(refurbisher):
    round_trip.play(refurbisher.odoo, refurbisher.portal, refurbisher.key, refurbisher.database)


def test_twenty_identical_pushes_at_once_are_one_order(refurbisher):
    order = sample_order("IU-TWENTY", sku="IP12-64-WHT-C", price=149.0)
    methods = ["PUT", "POST", "PATCH", "POST"] * 5

    def push(method):
        return insist(refurbisher.odoo.url, refurbisher.key, method, "orders", order)

    with ThreadPoolExecutor(20) as pool:
        outcomes = list(pool.map(push, methods))
    assert sorted(outcome.status for outcome in outcomes) == [200] * 19 + [201]
    assert len({outcome.number for outcome in outcomes}) == 1
    assert refurbisher.query("SELECT COUNT(*) FROM sale_order WHERE iused_reference = 'IU-TWENTY'") == [(1,)]


def test_orders_of_one_product_at_once_wait_for_each_other_instead_of_failing(refurbisher):
    def push(number):
        order = sample_order(f"IU-HOT-{number}", sku="IP12-64-WHT-C", price=149.0)
        return insist(refurbisher.odoo.url, refurbisher.key, "POST", "orders", order)

    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(push, range(24)))
    assert [outcome.status for outcome in outcomes] == [201] * 24
    # Odoo would replay them after waits that double, and give up after five tries.
    assert " tries left, try again" not in refurbisher.log.read_text(errors="replace")


def test_webhook_down_and_up_again(connected):
    """A validation succeeds while the portal is down, at once; the update arrives without anyone's doing."""
    refurbisher, warehouse = connected
    portal = refurbisher.portal
    number = push_and_number(refurbisher, "IU-DOWN")
    before = len(portal.updates)
    portal.close()
    start = time.monotonic()
    ((serial, _tracking),) = round_trip.deliver(warehouse, number, "3SDOWN")
    assert time.monotonic() - start < 10, "the validation waited for the portal"
    wait_for(lambda: tried(refurbisher, number), 30)
    state, attempts, answer = refurbisher.query(
        "SELECT u.state, u.attempts, u.last_answer FROM iused_shipment_update u "
        f"JOIN sale_order o ON o.id = u.order_id WHERE o.name = '{number}'"
    )[0]
    assert (state, attempts) == ("retry", 1)
    assert "connection" in answer.lower()
    portal.start()
    portal.register_orders(number)
    # The first retry is due after a minute; cron workers look once a minute.
    updates = portal.wait_for_updates(before + 1, timeout=200)[before:]
    assert [(update["serial_numbers"], update["external_order_id"]) for update in updates] == [([serial], number)]


def test_update_is_sent_within_seconds_of_the_validation(connected):
    refurbisher, warehouse = connected
    number = push_and_number(refurbisher, "IU-SOON")
    before = len(refurbisher.portal.updates)
    round_trip.deliver(warehouse, number, "3SSOON")
    assert len(refurbisher.portal.wait_for_updates(before + 1, timeout=15)) == before + 1


def test_nothing_was_logged_as_an_error(refurbisher):
    lines = [line for line in refurbisher.log.read_text(errors="replace").splitlines() if " ERROR " in line]
    assert not lines


def push_and_number(refurbisher, reference):
    order = sample_order(reference, sku="GS21-128-GRY-B", price=169.0)
    answer = refurbisher.portal.push_order(refurbisher.odoo.url + ORDERS, refurbisher.key, order)
    assert answer.status == 201, answer.body
    return answer.body["external_order_id"]


def tried(refurbisher, number):
    return refurbisher.query(
        "SELECT 1 FROM iused_shipment_update u JOIN sale_order o ON o.id = u.order_id "
        f"WHERE o.name = '{number}' AND u.attempts > 0"
    )


def wait_for(condition, seconds):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.2)
