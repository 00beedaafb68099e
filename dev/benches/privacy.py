"""dev/bench privacy: how long it takes until the consumers of many old orders are anonymous.

- preview_seconds: what an administrator waits who asks how many there are.
- seconds: all of them, batch after batch, as Odoo's vacuum does it; slowest_batch: the longest that rows are locked.
- left: consumers who still have their e-mail address; anything but 0 is a failure.
"""

import argparse
import json
from pathlib import Path

import order_server

from bootstrap import DEV, ROOT, say
from services import Postgres, odoo_script

DATABASE = "iused_bench_privacy"
LIMIT = 600  # seconds for 100,000 orders


def main(arguments):
    parser = argparse.ArgumentParser(prog="dev/bench privacy", description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to this file")
    parser.add_argument("--orders", type=int, default=100_000, help="one consumer each (default: %(default)s)")
    options = parser.parse_args(arguments)
    with Postgres() as postgres:
        config, known = order_server.prepare(postgres, DATABASE, 10, log_level="warn")
        say(f"bench: {options.orders:,} orders, made by SQL; then their consumers become anonymous ...")
        log = DEV / f"{DATABASE}.log"
        order = order_server.order("BENCH", known["skus"][0])
        script = ROOT / "dev/shell/privacy.py"
        figures = odoo_script(postgres, config, script, log, order=order, orders=options.orders)
    print(json.dumps(figures, indent=2))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2))
    return int(figures["left"] > 0 or figures["seconds"] > LIMIT * options.orders / 100_000)
