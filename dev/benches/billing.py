"""dev/bench billing: what one invoice of a month of iUsed's orders costs beside Odoo's own; its page, the statement."""

import argparse
import json
from pathlib import Path

from bootstrap import DEV, ROOT, say
from services import ADDON, Postgres, base_database, odoo_once, odoo_script, write_config

DATABASE = "iused_bench_billing"
# Seconds for 1,000 orders on two cores; the queries must not grow with each order as Odoo's own do.
LIMITS = {"invoice_vs_odoo": 1.5, "queries_per_order": 3}


def main(arguments):
    parser = argparse.ArgumentParser(prog="dev/bench billing", description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to this file")
    parser.add_argument("--orders", type=int, default=1000, help="that left (default: %(default)s)")
    options = parser.parse_args(arguments)
    with Postgres() as postgres:
        postgres.copy(base_database(postgres), DATABASE)
        config = write_config(DEV / f"{DATABASE}.conf", postgres, DATABASE, log_level="warn", max_cron_threads=0)
        odoo_once(postgres, config, DEV / f"{DATABASE}_install.log", "-i", ADDON, "--no-http")
        say(f"bench: {options.orders:,} orders of iUsed, delivered ...")
        try:
            figures = odoo_script(
                postgres, config, ROOT / "dev/shell/billing.py", DEV / f"{DATABASE}.log", orders=options.orders
            )
        finally:
            postgres.drop(DATABASE)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")
    print(json.dumps(figures, indent=2))
    missed = [name for name, limit in LIMITS.items() if figures[name] > limit]
    for name in missed:
        print(f"{name}: {figures[name]:.2f} (at most {LIMITS[name]})  MISSED")
    return 1 if missed else 0
