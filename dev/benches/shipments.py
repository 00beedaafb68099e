"""dev/bench shipments: what the addon costs at a validation, how fast it sends, and what an outage loses."""

import argparse
import json
import statistics
from pathlib import Path

from round_trip import portal_process

from bootstrap import DEV, ROOT, say
from services import ADDON, Postgres, base_database, free_port, odoo_once, odoo_script, write_config

WITH, WITHOUT = "iused_bench_with", "iused_bench_without"
SCRIPT = ROOT / "dev/shell/shipments.py"
UPDATES = 2000
LIMITS = {"validate": ("at most", 1.05), "drain_vs_requests": ("at least", 0.5)}


def parse_arguments(arguments):
    parser = argparse.ArgumentParser(prog="dev/bench shipments", description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to this file")
    parser.add_argument("--deliveries", type=int, default=500, help="validated on each side (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=4, help="in which updates are sent (default: %(default)s)")
    return parser.parse_args(arguments)


def prepare(postgres):
    """Make two databases that differ by the addon alone.

    :return: their configuration files by name
    """
    configs = {}
    for name in (WITH, WITHOUT):
        postgres.copy(base_database(postgres), name)
        configs[name] = write_config(DEV / f"{name}.conf", postgres, name, log_level="warn", max_cron_threads=0)
    odoo_once(postgres, configs[WITH], DEV / "bench_install.log", "-i", ADDON, "--no-http")
    return configs


def median_ratio(these, those):
    """Compare what was measured side by side: each pair had the same moment of the machine."""
    return statistics.median(one / other for one, other in zip(these, those, strict=True))


def main(arguments):
    options = parse_arguments(arguments)
    with Postgres() as postgres:
        say("bench: two databases, with the addon and without ...")
        configs = prepare(postgres)

        def run(name, task, **values):
            return odoo_script(postgres, configs[name], SCRIPT, DEV / f"bench_{task}.log", task=task, **values)

        try:
            say("bench: validating deliveries ...")
            seconds = run(WITH, "validate", number=options.deliveries, without=WITHOUT)
            validation = {side: statistics.median(values) for side, values in seconds.items()}
            say(f"bench: sending {UPDATES:,} updates ...")
            with portal_process("BENCH") as portal:
                drain = run(
                    WITH,
                    "drain",
                    number=UPDATES // options.rounds,
                    rounds=options.rounds,
                    webhook_url=portal.webhook_url,
                    portal_url=portal.url,
                )
            say("bench: the portal is away for three days, with 1,000 updates waiting ...")
            port = free_port()
            url = f"http://127.0.0.1:{port}/webhook/shipment/18/BENCH"
            outage = run(WITH, "outage", number=1000, webhook_url=url, port=port, seconds=3 * 86400,
                         portal_file=str(ROOT / "dev/portal.py"))  # fmt: skip
        finally:
            for name in (WITH, WITHOUT):
                postgres.drop(name)
    figures = {
        "validate": {f"{side}_seconds": value for side, value in validation.items()},
        "drain": {"updates": UPDATES, "seconds": sum(drain["ours"]), "requests_seconds": sum(drain["bare"])},
        "outage": outage,
        "ratios": {
            "validate": median_ratio(seconds["with"], seconds["without"]),
            "drain_vs_requests": median_ratio(drain["bare"], drain["ours"]),
        },
    }
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")
    return report(figures)


def report(figures):
    """Print the figures.

    :return: 0 where all is as promised, else 1
    """
    ratios, outage = figures["ratios"], figures["outage"]
    print(
        f"validating a delivery: {figures['validate']['with_seconds'] * 1000:.1f} ms with the addon, "
        f"{figures['validate']['without_seconds'] * 1000:.1f} ms without\n"
        f"sending {UPDATES:,} updates: {figures['drain']['seconds']:.2f} s, "
        f"a bare requests loop {figures['drain']['requests_seconds']:.2f} s\n"
        f"outage of {outage['days']:.1f} days with 1,000 updates: {outage['runs']} runs made {outage['tries']} tries; "
        f"the rest took {outage['drain_seconds']:.2f} s; {outage['lost']} lost, {outage['repeated']} repeated"
    )
    good = {
        "validate": ratios["validate"] <= LIMITS["validate"][1],
        "drain_vs_requests": ratios["drain_vs_requests"] >= LIMITS["drain_vs_requests"][1],
    }
    for name, (word, limit) in LIMITS.items():
        print(f"{name}: {ratios[name]:.3f} ({word} {limit}){'' if good[name] else '  MISSED'}")
    return 0 if all(good.values()) and not outage["lost"] and not outage["repeated"] else 1
