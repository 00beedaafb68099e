"""dev/bench orders: what a push of an order costs, and how many go through two workers.

- vs_orm: HTTP push to confirmed order against the same order, with its consumer, made and confirmed by plain ORM
  calls in the same database. One client; the two take turns, so that a busy machine slows both; medians.
- throughput: orders a second at 1, 4 and 16 clients, each order another one; any answer but 201 is a failure.
- distinct_orders: sale orders after 50 equal pushes at once.
- largest: seconds until an order of as many lines as are taken is answered.
"""

import argparse
import json
import statistics
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import addon_tools
import order_server

from bootstrap import DEV, ROOT, say, stop
from services import Odoo, Postgres, odoo_script

DATABASE = "iused_bench_orders"
WORKERS = 2
TURNS = 60  # orders each way
CLIENTS = {1: 60, 4: 120, 16: 160}  # clients: orders
EQUAL = 50  # equal pushes at once
MAX_LINES = addon_tools.load("order_payload").MAX_LINES
LIMIT = 1.25
LIMIT_LARGEST = 5  # seconds


def push(url, key, order):
    """Push an order as iUsed must.

    :return: status, parsed answer
    """
    outcome = order_server.push(url, key, order)
    if outcome.status is None:
        stop(f"An order was not answered: {outcome.failure} after {outcome.tries} tries.")
    return outcome.status, outcome.document


def push_all(url, key, orders, clients):
    """Push orders, so many at a time.

    :return: the answers, and the seconds it took
    """
    start = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        answers = list(pool.map(lambda order: push(url, key, order), orders))
    return answers, time.perf_counter() - start


def measure_throughput(url, known):
    throughput = {}
    for clients, count in CLIENTS.items():
        orders = [
            order_server.order(f"T{clients}-{number}", known["skus"][number % len(known["skus"])])
            for number in range(count)
        ]
        answers, seconds = push_all(url, known["key"], orders, clients)
        if failed := [answer for answer in answers if answer[0] != 201]:
            stop(f"{len(failed)} of {count} orders failed at {clients} clients, the first with {failed[0]}")
        throughput[str(clients)] = round(count / seconds, 2)
    return throughput


def count_distinct_orders(postgres, url, known):
    """Return how many orders 50 equal pushes at once make."""
    order = order_server.order("EQUAL", known["skus"][0])
    answers, _seconds = push_all(url, known["key"], [order] * EQUAL, EQUAL)
    if sorted(status for status, _body in answers) != [200] * (EQUAL - 1) + [201]:
        stop(f"equal pushes were answered {sorted(status for status, _body in answers)}")
    made = postgres.query("SELECT COUNT(*) FROM sale_order WHERE iused_reference = 'EQUAL'", DATABASE)[0][0]
    return max(made, len({body["external_order_id"] for _status, body in answers}))


def measure_largest(url, known):
    """Return the seconds until the largest order is answered, each product in turn on its lines."""
    order = order_server.order("LARGEST", known["skus"][0])
    [line] = order["lines"]
    order["lines"] = [
        {**line, "line_id": str(number), "sku": known["skus"][number % len(known["skus"])]}
        for number in range(MAX_LINES)
    ]
    start = time.perf_counter()
    status, answer = push(url, known["key"], order)
    if status != 201:
        stop(f"The largest order was answered {status}: {answer}")
    return time.perf_counter() - start


def main(arguments):
    parser = argparse.ArgumentParser(prog="dev/bench orders", description=__doc__)
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the figures to this file")
    options = parser.parse_args(arguments)
    with Postgres() as postgres:
        pieces = 2 * TURNS + sum(CLIENTS.values()) + 20
        config, known = order_server.prepare(
            # With a dbfilter Odoo would list the databases for every call; one database needs none.
            postgres,
            DATABASE,
            pieces,
            workers=WORKERS,
            max_cron_threads=0,
            dbfilter="",
        )
        with Odoo(postgres, config, DEV / f"{DATABASE}.log") as odoo:
            warm, _seconds = push_all(
                odoo.url, known["key"], [order_server.order(f"W-{n}", known["skus"][0]) for n in range(6)], 2
            )
            say(f"warm: {[status for status, _body in warm]}; {TURNS} orders each way ...")
            turns = odoo_script(
                postgres,
                config,
                ROOT / "dev/shell/orders_turns.py",
                DEV / f"{DATABASE}_turns.log",
                dev=str(ROOT / "dev"),
                url=odoo.url,
                turns=TURNS,
                **known,
            )
            pushed, made = (statistics.median(turns[name]) for name in ("pushed", "made"))
            figures = {
                "ratios": {"vs_orm": round(pushed / made, 3)},
                "seconds": {"push": round(pushed, 4), "orm": round(made, 4)},
                "throughput": measure_throughput(odoo.url, known),
                "distinct_orders": count_distinct_orders(postgres, odoo.url, known),
            }
            # The last one: it takes all the stock, and Odoo would tell somebody that each later order is short.
            figures["seconds"]["largest"] = round(measure_largest(odoo.url, known), 2)
        postgres.drop(DATABASE)
    print(json.dumps(figures, indent=2))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")
    held = (
        figures["ratios"]["vs_orm"] <= LIMIT
        and figures["seconds"]["largest"] <= LIMIT_LARGEST
        and figures["distinct_orders"] == 1
    )
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
