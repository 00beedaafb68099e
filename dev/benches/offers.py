"""dev/bench offers: how fast and how sparing the offers are served, beside what they are measured against."""

import argparse
import concurrent.futures
import contextlib
import json
import statistics
import threading
import time
from pathlib import Path

import psycopg2
import requests

from bootstrap import DEV, ROOT, say
from services import ADDON, Odoo, Postgres, addon_digest, base_database, odoo_once, odoo_script, write_config

INSTALLED = "iused_bench_installed"
DATABASE = "iused_bench_offers"
SIZE = 100_000  # offers at which the figures are compared
REPEATS = 5
FIELDS = ["default_code", "name", "barcode", "free_qty", "lst_price"]
POLLERS = 10
ORDERS = 20
LIMITS = {"vs_json2": "at least 20", "vs_sql": "at most 2", "not_modified": "at most 0.15", "pricelist": "at most 5"}


def parse(arguments):
    parser = argparse.ArgumentParser(prog="dev/bench offers", description=__doc__)
    parser.add_argument(
        "--sizes", default=f"10000,{SIZE}", help="numbers of offers, by comma (%(default)s); 1000000 takes minutes"
    )
    parser.add_argument("--size", type=int, default=SIZE, help="the one at which figures are compared (%(default)s)")
    parser.add_argument("--history", type=int, default=200_000, help="done moves in the database (%(default)s)")
    parser.add_argument("--no-json2", action="store_true", help="leave out Odoo's own API, which takes minutes")
    parser.add_argument("--keep", action="store_true", help=f"keep the databases, {DATABASE}_SIZE")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the figures to this file")
    return parser.parse_args(arguments)


# Databases -------------------------------------------------------------------------------------------------------


def prepare(postgres, offers, history):
    """Make the database of so many offers.

    :return: its configuration file and what `shell/offers_data.py` left
    """
    digest = addon_digest()[:8]
    installed = f"{INSTALLED}_{digest}"
    if installed not in postgres.databases():
        for leftover in postgres.databases():
            if leftover.startswith(INSTALLED):
                postgres.drop(leftover)
        postgres.copy(base_database(postgres), installed)
        config = write_config(DEV / "bench.conf", postgres, installed)
        odoo_once(postgres, config, DEV / "bench_install.log", "-i", ADDON, "--no-http")
    say(f"bench: a database with {offers:,} offers ...")
    database = f"{DATABASE}_{offers}"
    postgres.copy(installed, database)
    config = write_config(DEV / f"{database}.conf", postgres, database, max_cron_threads=0, log_level="warn")
    script = ROOT / "dev/shell/offers_data.py"
    made = odoo_script(postgres, config, script, DEV / "bench_data.log", offers=offers, history=history)
    postgres.query("VACUUM ANALYZE", database)
    settle(postgres)
    return config, {**made, "database": database}


def settle(postgres):
    """Have what was just made written to the disk now, not beside the first measurements."""
    postgres.query("CHECKPOINT", "postgres", role="postgres")


# Measuring -------------------------------------------------------------------------------------------------------


class Client:
    """Polls an Odoo server and takes the time, in seconds."""

    def __init__(self, odoo, made):
        self.odoo, self.made = odoo, made
        self.session = requests.Session()
        self.session.headers.update({"Authorization": f"Bearer {made['key']}", "Accept-Encoding": "identity"})

    def poll(self, status=200, query="", **headers):
        start = time.monotonic()
        answer = self.session.get(f"{self.odoo.url}/iused/v1/offers{query}", headers=headers, timeout=600)
        elapsed = time.monotonic() - start
        if answer.status_code != status:
            raise RuntimeError(f"the poll was answered {answer.status_code}, not {status}: {answer.text[:300]}")
        return elapsed, answer

    def json2(self):
        """Read the products as an integrator would without us."""
        start = time.monotonic()
        answer = requests.post(
            f"{self.odoo.url}/json/2/product.product/search_read",
            json={"domain": [["is_storable", "=", True]], "fields": FIELDS, "limit": None},
            headers={"Authorization": f"Bearer {self.made['admin_key']}"},
            timeout=600,
        )
        elapsed = time.monotonic() - start
        if answer.status_code != 200:
            raise RuntimeError(f"/json/2 answered {answer.status_code}: {answer.text[:300]}")
        return elapsed


def sql_seconds(postgres, made):
    connection = psycopg2.connect(host=str(postgres.socket), dbname=made["database"], user="odoo")
    with connection, connection.cursor() as cursor:
        start = time.monotonic()
        cursor.execute(made["query"])
        elapsed = time.monotonic() - start
    connection.close()
    return elapsed


def memory(odoo, name):
    """Return a figure of the server's memory in MiB: VmRSS is now, VmHWM the largest since `reset_peak`."""
    for line in Path(f"/proc/{odoo.process.pid}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) / 1024
    return 0


def reset_peak(odoo):
    Path(f"/proc/{odoo.process.pid}/clear_refs").write_text("5")


def median(function, repeats=REPEATS):
    return statistics.median(function() for _repeat in range(repeats))


def take_prices_from_pricelists(postgres, made):
    database = made["database"]
    postgres.query("UPDATE product_product SET iused_purchase_price = NULL, iused_consumer_price = NULL", database)
    purchase, consumer = made["pricelists"]
    postgres.query(
        f"UPDATE res_company SET iused_purchase_pricelist_id = {purchase}, iused_consumer_pricelist_id = {consumer} "
        f"WHERE id = {made['company']}",
        database,
    )
    postgres.query("VACUUM FULL ANALYZE product_product", database)
    settle(postgres)


def scale(postgres, databases):
    """Take the time of the whole feed at each size, in turns: what slows the machine down slows all of them.

    :param dict databases: size -> what `prepare` returned
    :return: list of sizes and seconds
    """
    seconds = {size: [] for size in databases}
    with contextlib.ExitStack() as stack:
        clients = {}
        for size, (config, made) in databases.items():
            clients[size] = Client(stack.enter_context(Odoo(postgres, config, DEV / "bench_odoo.log")), made)
            clients[size].poll()
        for _repeat in range(REPEATS):
            for size, client in clients.items():
                seconds[size].append(client.poll()[0])
    return [(size, round(statistics.median(values), 3)) for size, values in seconds.items()]


def compare(postgres, config, made, with_json2):
    """Measure everything that is compared at one size.

    :return: dict of seconds and MiB, by name
    """
    seconds = {}
    with Odoo(postgres, config, DEV / "bench_odoo.log") as odoo:
        client = Client(odoo, made)
        client.poll(query="?limit=1")
        reset_peak(odoo)
        before = memory(odoo, "VmRSS")
        _elapsed, answer = client.poll()
        etag, offers, size = answer.headers["ETag"], int(answer.headers["X-Total-Count"]), len(answer.content)
        times = {"full": [], "gzip": [], "not_modified": [], "sql": []}
        for _repeat in range(REPEATS):
            times["full"].append(client.poll()[0])
            times["sql"].append(sql_seconds(postgres, made))
            times["not_modified"].append(client.poll(304, **{"If-None-Match": etag})[0])
            times["gzip"].append(client.poll(**{"Accept-Encoding": "gzip"})[0])
        peak = memory(odoo, "VmHWM") - before
        seconds = {name: statistics.median(values) for name, values in times.items()}
        seconds["page of 1000"] = median(lambda: client.poll(query="?limit=1000&page=3")[0])
        concurrent_figures = polls_and_orders(postgres, client)
        if with_json2:
            seconds["json2"] = median(client.json2)
    take_prices_from_pricelists(postgres, made)
    with Odoo(postgres, config, DEV / "bench_odoo.log") as odoo:
        client = Client(odoo, made)
        client.poll(query="?limit=1")
        _elapsed, answer = client.poll()
        seconds["pricelist"] = median(lambda: client.poll()[0])
        priced = int(answer.headers["X-Total-Count"])
    return {
        "offers": offers,
        "bytes": size,
        "priced_by_list": priced,
        "seconds": seconds,
        "memory_mib": peak,
        "at_once": concurrent_figures,
    }


# Polls while orders come in --------------------------------------------------------------------------------------


def order(number, offer):
    return {
        "order_id": f"BENCH-{number}",
        "currency": offer["currency"],
        "customer": {"name": "Sanne de Vries", "email": "sanne@example.com"},
        "shipping_address": {
            "name": "Sanne de Vries",
            "street": "Dorpsstraat 12",
            "postal_code": "9711 AB",
            "city": "Groningen",
            "country": "NL",
        },
        "lines": [{"line_id": "1", "sku": offer["sku"], "quantity": 1, "price": 199}],
    }


def polls_and_orders(postgres, client):
    """Poll ten times at once while orders come in, and watch for anybody who waits for a lock.

    :return: dict of counts, and the slowest order in seconds
    """
    offers = client.poll(query=f"?limit={ORDERS}")[1].json()
    waits, over = [], threading.Event()

    def watch():
        connection = psycopg2.connect(host=str(postgres.socket), dbname=client.made["database"], user="odoo")
        connection.autocommit = True
        with connection.cursor() as cursor:
            while not over.wait(0.01):
                cursor.execute(
                    "SELECT query FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
                )
                waits.extend(cursor.fetchall())
        connection.close()

    def push(number):
        start = time.monotonic()
        answer = requests.post(
            f"{client.odoo.url}/iused/v1/orders",
            json=order(number, offers[number]),
            headers={"Authorization": f"Bearer {client.made['key']}"},
            timeout=600,
        )
        if answer.status_code != 201:
            say(f"bench: an order was answered {answer.status_code}: {answer.text[:300]}")
        return answer.status_code, time.monotonic() - start

    def poll(_number):
        return Client(client.odoo, client.made).poll()[1].status_code

    with concurrent.futures.ThreadPoolExecutor(POLLERS + 2) as pool:
        watching = pool.submit(watch)
        polls = [pool.submit(poll, number) for number in range(POLLERS)]
        orders = [push(number) for number in range(ORDERS)]
        answers = [each.result() for each in polls]
        over.set()
        watching.result()
    return {
        "polls": answers.count(200),
        "orders": [status for status, _elapsed in orders].count(201),
        "lock_waits": len(waits),
        "slowest_order": max(elapsed for _status, elapsed in orders),
    }


# Telling ---------------------------------------------------------------------------------------------------------


def ratios(seconds):
    """Return the ratios that the figures are judged by."""
    full = seconds["full"]
    return {
        "vs_json2": round(seconds["json2"] / full, 1) if "json2" in seconds else None,
        "vs_sql": round(full / seconds["sql"], 2),
        "not_modified": round(seconds["not_modified"] / full, 3),
        "pricelist": round(seconds["pricelist"] / full, 2),
    }


def tell(figures, scaling):
    seconds, at_once = figures["seconds"], figures["at_once"]
    print(f"\n{figures['offers']:,} offers, {figures['bytes'] / 2**20:.1f} MiB, medians of {REPEATS}")
    for name, value in seconds.items():
        print(f"  {name:<14}{value:9.3f} s")
    print("ratios")
    for name, value in figures["ratios"].items():
        print(f"  {name:<14}{'-' if value is None else value:>9}   {LIMITS[name]}")
    print(f"worker's memory: {figures['memory_mib']:+.1f} MiB   at most 64")
    print(
        f"{POLLERS} polls at once while {ORDERS} orders come in: {at_once['polls']} and {at_once['orders']} succeeded, "
        f"{at_once['lock_waits']} waits for a lock, slowest order {at_once['slowest_order']:.2f} s"
    )
    print("scaling")
    for offers, value in scaling:
        print(f"  {offers:>9,} offers{value:9.3f} s{value / offers * 1e6:8.1f} µs each")


def main(arguments):
    options = parse(arguments)
    sizes = sorted({*(int(size) for size in options.sizes.split(",")), options.size})
    with Postgres() as postgres:
        databases = {size: prepare(postgres, size, options.history) for size in sizes}
        scaling = scale(postgres, databases)
        figures = compare(postgres, *databases[options.size], not options.no_json2)
        if not options.keep:
            for _config, made in databases.values():
                postgres.drop(made["database"])
    figures["ratios"] = ratios(figures["seconds"])
    figures["scaling"] = scaling
    tell(figures, scaling)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")
