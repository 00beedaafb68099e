"""dev/bench burst: what bursts of pushes and polls do to a server, by the kind of server.

All clients of a load begin at the same moment. They wait and repeat where they are answered 503, refused or cut off;
meanwhile an administrator opens lists. The loads, each with its number:

- equal12: equal pushes. sku40: orders of one SKU. mixed40: orders of ten SKUs, every fourth pushed twice at the same
  moment, beside as many polls. polls40: polls of the whole feed, with 10,000 offers.
- distinct40: orders of ten SKUs, by 16 clients at once against one after the other, in turns; medians.

The columns: clients accepted at the first try, after a repeat, and never (`unanswered`); seconds; orders made, and
references with more than one order or number (`doubled`); the slowest call of the administrator, in seconds; database
connections at work or waiting three seconds after the last client (`stuck`), and the processors that the server then
still uses (`busy`); the throughput at once against that of one after the other (`ratio`).
"""

import argparse
import contextlib
import functools
import itertools
import json
import re
import statistics
import sys
import threading
import time
import uuid
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import order_server
import psutil
import requests
from round_trip import ADMIN, CheckFailed, OdooUser

from bootstrap import DEV, ROOT, say, stop
from services import Odoo, Postgres, odoo_script, write_config

DATABASE = "iused_bench_burst"
KINDS = "threads,workers2,workers8,workers16"
LOADS = "equal12,equal50,equal200,sku40,mixed40,distinct40"
POLLS = "polls40"
KIND = r"threads|workers[1-9]\d*"
LOAD = r"(equal|sku|mixed|distinct|polls)([1-9]\d*)"
MANY_OFFERS = 10_000
PIECES = 3000  # in stock, of ten SKUs: more than a whole run sells of any of them
CLIENTS = 16  # of the load `distinct`
ROUNDS = 3  # of the load `distinct`, each way
WARM = 6  # pushes before anything is measured, and two more for each worker
SETTLED = 3  # seconds after the last client: nothing may be going on any more
LOOKS = 10  # at the database connections, within a second; who is seen in half of them is stuck
BUSY = 0.5  # processors
SLOWEST = 5  # seconds of a user's call
USER_PATIENCE = 30  # seconds
RATIO = 0.8

AT_WORK = """SELECT pid FROM pg_stat_activity
              WHERE datname = current_database() AND pid != pg_backend_pid()
                AND (wait_event_type = 'Lock' OR state = 'active' OR state LIKE 'idle in transaction%')"""
LISTS = [
    ("res.partner", "search_read", {"domain": [], "fields": ["display_name", "email", "city"], "limit": 20}),
    (
        "sale.order",
        "web_search_read",
        {
            "domain": [],
            "specification": {"name": {}, "partner_id": {"fields": {"display_name": {}}}, "amount_total": {}},
            "limit": 20,
        },
    ),
]


# Clients ---------------------------------------------------------------------------------------------------------


def burst(calls):
    """Make all calls at the same moment.

    :param calls: functions without parameters
    :return: what they returned, and the seconds until the last one did
    """
    started = []
    barrier = threading.Barrier(len(calls), action=lambda: started.append(time.monotonic()))

    def client(call):
        barrier.wait()
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        results = list(pool.map(client, calls))
    return results, time.monotonic() - started[0]


def make_orders(load, number, mark, skus):
    """Return the orders that a load pushes; their references begin with `mark`."""
    if load == "polls":
        return []
    if load == "equal":
        return [order_server.order(f"{mark}-0", skus[0])] * number
    if load == "sku":
        skus = skus[:1]
    orders = [order_server.order(f"{mark}-{index}", skus[index % len(skus)]) for index in range(number)]
    return orders + orders[::4] if load == "mixed" else orders


class UserAtWork:
    """A user who opens lists again and again, in a thread, while the context lasts."""

    def __init__(self, user):
        self.user = user
        self.slowest, self.errors = 0, []
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._work)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_exc):
        self.over.set()
        self.thread.join()

    def _call(self, *call):
        """Open a list; once more, as a browser does, where the system cut the connection as its queue was full."""
        model, method, parameters = call
        try:
            self.user.call(model, method, **parameters)
        except requests.ConnectionError:
            self.user.call(model, method, **parameters)

    def _work(self):
        for model, method, parameters in itertools.cycle(LISTS):
            start = time.monotonic()
            try:
                self._call(model, method, parameters)
            except (CheckFailed, requests.RequestException) as error:
                self.errors.append(str(error)[:200])
            self.slowest = max(self.slowest, time.monotonic() - start)
            if self.over.wait(0.2):
                return


# Servers ---------------------------------------------------------------------------------------------------------


class Target:
    """A running Odoo server that bursts are sent to.

    :param str database: with phones, as `shell/order_data.py` leaves it
    :param known: what `shell/order_data.py` told: `key`, `skus`
    :param kind: `threads`, or `workers` and their number
    """

    def __init__(self, postgres, database, known, kind):
        self.postgres, self.database, self.known, self.kind = postgres, database, known, kind
        self.workers = int(kind.removeprefix("workers")) if kind != "threads" else 0
        config = write_config(DEV / "burst" / f"{database}_{kind}.conf", postgres, database, workers=self.workers)
        self.odoo = Odoo(postgres, config, DEV / "burst" / f"{database}_{kind}.log")
        self.user = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_exc):
        self.odoo.stop()

    def start(self):
        """Start the server, and have each of its workers load what first calls load."""
        self.odoo.start()
        self.user = OdooUser(self.odoo.url, **ADMIN, database=self.database, timeout=USER_PATIENCE)
        with ThreadPoolExecutor(self.workers or 1) as pool:
            list(pool.map(self.warm, make_orders("warm", 2 * self.workers + WARM, self.mark(), self.known["skus"])))

    def warm(self, order):
        for outcome in (self.push(order), self.poll()):
            if outcome.failure:
                stop(f"A call to the idle server failed: {outcome}; see {self.odoo.log}")
        for model, method, parameters in LISTS:
            self.user.call(model, method, **parameters)

    def restart_by_force(self):
        """Start again whatever the server is doing."""
        self.odoo.kill()
        self.cut_connections()
        self.start()

    def cut_connections(self):
        """End all connections to the database, what they do included."""
        self.query(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid != pg_backend_pid()"
        )

    def query(self, statement):
        return self.postgres.query(statement, self.database)

    def mark(self):
        """Return what no reference began with yet."""
        return f"{self.kind}-{uuid.uuid4().hex[:8]}"

    def push(self, order, **patience):
        return order_server.push(self.odoo.url, self.known["key"], order, **patience)

    def poll(self):
        return order_server.poll(self.odoo.url, self.known["key"])

    def find_orders(self, mark):
        """Return the numbers of the orders whose references begin with a mark: dict of reference -> list."""
        made = defaultdict(list)
        for reference, name in self.query(
            f"SELECT iused_reference, name FROM sale_order WHERE iused_reference LIKE '{mark}-%'"
        ):
            made[reference].append(name)
        return made

    # Looking at it

    def processes(self):
        parent = psutil.Process(self.odoo.process.pid)
        return [parent, *parent.children(recursive=True)]

    def memory(self):
        """Return the most memory (VmHWM) that the server's processes had so far, in MiB: their sum, which counts what
        workers share several times."""
        kib = 0
        for process in self.processes():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                status = Path(f"/proc/{process.pid}/status").read_text()
                kib += sum(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:"))
        return round(kib / 1024)

    def processor_seconds(self):
        seconds = {}
        for process in self.processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                seconds[process.pid] = times.user + times.system
        return seconds

    def look_for_stuck(self):
        """Look at what goes on although nobody calls, again where it may have been a scheduled action.

        :return: dict: the database connections that are `stuck`, the processors that are `busy`
        """
        for _attempt in range(3):
            time.sleep(SETTLED)
            found = self.look_once()
            if not found["stuck"] and found["busy"] < BUSY:
                break
        return found

    def look_once(self):
        before, start = self.processor_seconds(), time.monotonic()
        seen = Counter()
        for _look in range(LOOKS):
            seen.update(self.query(AT_WORK))
            time.sleep(1 / LOOKS)
        used = sum(seconds - before.get(pid, seconds) for pid, seconds in self.processor_seconds().items())
        return {
            "stuck": sum(looks >= LOOKS / 2 for looks in seen.values()),
            "busy": round(used / (time.monotonic() - start), 2),
        }

    # Measuring

    def run(self, load):
        """Send a load, and start the server again where it hangs, so that the next row tells of its own load.

        :param load: its name with its number, such as `equal12`
        :return: a row of the table
        """
        name, number = re.fullmatch(LOAD, load).groups()
        number = int(number)
        mark = self.mark()
        row = {"kind": self.kind, "load": load}
        if name == "distinct":
            orders, outcomes, figures = self.compare(number, mark)
        else:
            orders, outcomes, figures = self.burst(name, number, mark)
        row |= figures | count_outcomes(outcomes) | self.count_orders(mark, orders, outcomes) | self.look_for_stuck()
        if row["unanswered"] or row["stuck"] or row["busy"] > BUSY:
            self.restart_by_force()
        return row

    def burst(self, load, number, mark):
        """Push and poll at once.

        :return: the orders, the outcomes of their pushes and then of the polls, and the figures
        """
        orders = make_orders(load, number, mark, self.known["skus"])
        polls = [self.poll] * number if load in ("mixed", "polls") else []
        with UserAtWork(self.user) as user:
            outcomes, seconds = burst([*(functools.partial(self.push, order) for order in orders), *polls])
        figures = {"seconds": round(seconds, 2), "user_slowest": round(user.slowest, 2), "user_errors": user.errors}
        return orders, outcomes, figures

    def compare(self, number, mark):
        """Push orders one after the other and at once, in turns, until one fails; returns the same as `burst`."""
        pushed, outcomes, seconds = [], [], {1: [], CLIENTS: []}
        for turn, clients in itertools.product(range(ROUNDS), seconds):
            if any(outcome.failure for outcome in outcomes):
                break
            orders = make_orders("distinct", number, f"{mark}-{turn}-{clients}", self.known["skus"])
            start = time.monotonic()
            with ThreadPoolExecutor(clients) as pool:
                results = list(pool.map(self.push, orders) if clients > 1 else self.push_in_turn(orders))
            seconds[clients].append(time.monotonic() - start)
            pushed += orders[: len(results)]
            outcomes += results
        figures = {"seconds": round(sum(map(sum, seconds.values())), 2)}
        if not any(outcome.failure for outcome in outcomes):
            one, many = (number / statistics.median(seconds[clients]) for clients in (1, CLIENTS))
            figures |= {"one_by_one": round(one, 2), "at_once": round(many, 2), "ratio": round(many / one, 2)}
        return pushed, outcomes, figures

    def push_in_turn(self, orders):
        """Push one order after the other, until one fails."""
        for order in orders:
            outcome = self.push(order)
            yield outcome
            if outcome.failure:
                return

    def count_orders(self, mark, orders, outcomes):
        """Compare what was answered with what is there."""
        numbers = defaultdict(set)
        for order, outcome in zip(orders, outcomes, strict=False):  # polls come after the pushes
            if not outcome.failure:
                numbers[order["order_id"]].add(outcome.number)
        made = self.find_orders(mark)
        references = {order["order_id"] for order in orders}
        return {
            "references": len(references),
            "orders": sum(map(len, made.values())),
            "doubled": sum(len(made[each]) > 1 or not numbers[each] <= set(made[each]) for each in references),
        }


def count_outcomes(outcomes):
    failures = Counter(outcome.failure for outcome in outcomes if outcome.failure)
    tries = [outcome.tries for outcome in outcomes if not outcome.failure]
    return {
        "clients": len(outcomes),
        "first": tries.count(1),
        "repeated": len(tries) - tries.count(1),
        "unanswered": failures.total(),
        "failures": dict(failures),
    }


def find_faults(row):
    """Return in words what is not as it must be."""
    faults = [f"{row[name]} {name}" for name in ("unanswered", "doubled", "stuck") if row[name]]
    faults += [f"{count} x {failure}" for failure, count in row["failures"].items()]
    if row["busy"] > BUSY:
        faults.append("busy")
    if row.get("user_errors"):
        faults.append(f"{len(row['user_errors'])} errors of the user, the first: {row['user_errors'][0]}")
    if row.get("user_slowest", 0) >= SLOWEST:
        faults.append("slow for the user")
    if row.get("ratio", RATIO) < RATIO:
        faults.append("slower at once")
    return faults


# The whole -------------------------------------------------------------------------------------------------------


def names_like(pattern):
    """Return a reader of names, separated by commas, for argparse."""

    def read(text):
        names = text.split(",")
        if wrong := [name for name in names if not re.fullmatch(pattern, name)]:
            raise argparse.ArgumentTypeError(f"there is no {wrong[0]!r}")
        return names

    return read


def parse(arguments):
    parser = argparse.ArgumentParser(
        prog="dev/bench burst", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the figures to this file")
    parser.add_argument("--kinds", type=names_like(KIND), default=KINDS, help=f"(default: {KINDS})")
    parser.add_argument(
        "--loads", type=names_like(LOAD), help=f"with other numbers too (default: {LOADS}, and on threads {POLLS})"
    )
    parser.add_argument(
        "--offers", type=int, help=f"so many more during all loads (default: {MANY_OFFERS} more during the polls alone)"
    )
    return parser.parse_args(arguments)


def plan(options):
    """Return what to send to which kind of server: dicts of kind -> loads, the first without, the second with polls
    of many offers."""
    loads = options.loads or LOADS.split(",")
    few = {kind: [load for load in loads if not load.startswith("polls")] for kind in options.kinds}
    many = {kind: [load for load in loads if load.startswith("polls")] for kind in options.kinds}
    if not options.loads and "threads" in many:
        many["threads"].append(POLLS)
    return tuple({kind: chosen for kind, chosen in part.items() if chosen} for part in (few, many))


def add_offers(postgres, config, offers):
    say(f"Odoo: {offers:,} more offers ...")
    script, log = ROOT / "dev/shell/offers_data.py", DEV / "burst" / "offers.log"
    odoo_script(postgres, config, script, log, offers=offers, history=0)
    postgres.query("VACUUM ANALYZE", DATABASE)


def measure(postgres, known, loads):
    """Send the loads to their kinds of server.

    :param loads: dict of kind -> loads
    :return: the rows, and the memory in MiB before the loads and after the last of them: dict by kind and last load
    """
    rows, memory = [], {}
    for kind, names in loads.items():
        with Target(postgres, DATABASE, known, kind) as target:
            before = target.memory()
            for load in names:
                rows.append(target.run(load))
                say(f"{kind} {load}: {', '.join(find_faults(rows[-1])) or 'well'}")
            memory[f"{kind} {names[-1]}"] = [before, target.memory()]
    return rows, memory


def tell(rows, memory):
    columns = ("clients", "first", "repeated", "unanswered", "seconds", "orders", "doubled", "user_slowest", "stuck",
               "busy", "ratio")  # fmt: skip
    print(f"\n{'kind':<11}{'load':<12}" + "".join(f"{name.replace('user_', ''):>11}" for name in columns))
    for row in rows:
        cells = "".join(f"{row.get(name, '-'):>11}" for name in columns)
        print(f"{row['kind']:<11}{row['load']:<12}{cells}  {', '.join(find_faults(row))}".rstrip())
    for name, (before, after) in memory.items():
        print(f"memory at most: {before} MiB at first, {after} MiB after {name}")


def main(arguments):
    options = parse(arguments)
    few, many = plan(options)
    with Postgres() as postgres:
        config, known = order_server.prepare(postgres, DATABASE, PIECES)
        try:
            if options.offers:
                add_offers(postgres, config, options.offers)
            rows, memory = measure(postgres, known, few)
            if many and not options.offers:
                add_offers(postgres, config, MANY_OFFERS)
            polls = measure(postgres, known, many)
        finally:
            postgres.drop(DATABASE)
    figures = {"rows": rows + polls[0], "memory_mib": memory | polls[1]}
    tell(*figures.values())
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")
    return 1 if any(map(find_faults, figures["rows"])) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
