"""Two Odoo servers send shipment updates to a portal that misbehaves, and are killed while they send. By hand:

    dev/with-env fault_run.py --updates 500 --kills 10

`dev/tests/test_faults.py` runs a short form of it.
"""

import argparse
import contextlib
import random
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone

from round_trip import portal_process

from bootstrap import DEV, ROOT, say
from services import ADDON, Odoo, Postgres, base_database, odoo_once, odoo_script, write_config

DATABASE = "iused_faults"
SCRIPT = ROOT / "dev/shell/shipments.py"
SERVERS = 2
FAULTS = [
    {"status": 500},
    {"status": 503},
    {"status": 429, "retry_after": 1},
    {"status": None, "delay": 0.3},
    {"status": None, "drop": "before"},
    {"status": None, "drop": "after"},
]
# Retries wait for minutes: instead of that, the clock of the rows that nobody is sending is put forward.
HURRY = """UPDATE iused_shipment_update SET next_try = now() AT TIME ZONE 'UTC' - interval '1 second'
            WHERE id IN (SELECT id FROM iused_shipment_update WHERE state = 'retry' FOR UPDATE SKIP LOCKED)"""
TRIGGER = """INSERT INTO ir_cron_trigger (cron_id, call_at)
             SELECT res_id, now() AT TIME ZONE 'UTC' FROM ir_model_data
              WHERE module = 'sale_iused' AND name = 'ir_cron_send_shipment_updates'"""


class FaultRun:
    """A database with the addon, its servers, and the portal.

    :param postgres: a running `services.Postgres`
    :param portal: a `portal.PortalClient`
    :param seed: of the choice of faults and kills
    """

    def __init__(self, postgres, portal, seed):
        self.postgres, self.portal = postgres, portal
        self.random = random.Random(seed)
        self.kills = []  # when a server was killed: seconds since the epoch
        self.servers = []

    def prepare(self):
        self.postgres.copy(base_database(self.postgres), DATABASE)
        config = write_config(DEV / "faults.conf", self.postgres, DATABASE, max_cron_threads=0)
        odoo_once(self.postgres, config, DEV / "faults_install.log", "-i", ADDON, "--no-http")
        for number in range(SERVERS):
            config = write_config(DEV / f"faults{number}.conf", self.postgres, DATABASE, max_cron_threads=2)
            log = DEV / f"faults{number}.log"
            log.unlink(missing_ok=True)
            self.servers.append(Odoo(self.postgres, config, log))

    def shell(self, task, process=0, **values):
        config = write_config(DEV / f"faults_shell{process}.conf", self.postgres, DATABASE, max_cron_threads=0)
        return odoo_script(self.postgres, config, SCRIPT, DEV / f"faults_shell{process}.log", task=task, **values)

    def enqueue(self, updates):
        """Write updates, and give the company its address once the portal knows the orders."""
        self.portal.reset()
        self.portal.register_orders(*self.shell("enqueue", number=updates, each=2, webhook_url=False))
        self.shell("connect", webhook_url=self.portal.webhook_url)

    def wake(self):
        """Let the scheduled action of whichever server comes first run now."""
        self.postgres.query(HURRY, DATABASE)
        self.postgres.query(TRIGGER, DATABASE)
        self.postgres.query(f"SELECT pg_notify('cron_trigger', '{DATABASE}')", "postgres")

    def unsent(self):
        return self.postgres.query("SELECT count(*) FROM iused_shipment_update WHERE state != 'sent'", DATABASE)[0][0]

    def until_sent(self, timeout, disturb):
        """Wake the servers up until everything is sent.

        :param timeout: seconds
        :param disturb: called each time around
        :raises AssertionError: when it takes longer
        """
        end = time.monotonic() + timeout
        while unsent := self.unsent():
            assert time.monotonic() < end, f"{unsent} updates were not sent: " + str(
                self.postgres.query(
                    "SELECT state, last_answer, count(*) FROM iused_shipment_update GROUP BY 1, 2", DATABASE
                )
            )
            self.wake()
            disturb()
            time.sleep(0.3)

    def misbehave(self, kills):
        """Change the portal's fault, and now and then kill a server.

        :param kills: how many may be killed in all
        """
        self.portal.heal()
        self.portal.fail(times=None, probability=0.2, **self.random.choice(FAULTS))
        if len(self.kills) < kills and self.portal.state["counts"]["updates"] > 10 * len(self.kills):
            server = self.random.choice(self.servers)
            server.kill()
            self.kills.append(time.time())
            server.start()

    def check(self):
        """Check what the portal has against what we meant to tell.

        :return: the figures
        :raises AssertionError: when something is missing, was told twice without need, or changed on the way
        """
        state = self.portal.state
        rows = self.postgres.query("SELECT event_id, order_id, id FROM iused_shipment_update ORDER BY id", DATABASE)
        told = [update["idempotency_key"] for update in state["updates"]]
        taken_in = Counter(
            call["idempotency_key"] for call in state["received"] if call["outcome"] in ("accepted", "repeat")
        )
        repeats = {key: count - 1 for key, count in taken_in.items() if count > 1}
        lost_answers = Counter(
            call["idempotency_key"]
            for call in state["received"]
            if call["outcome"] in ("accepted", "repeat") and call["status"] is None
        )
        unexplained = {key: count - lost_answers[key] for key, count in repeats.items() if count > lost_answers[key]}
        assert sorted(told) == sorted(event for event, _order, _id in rows), "an update is missing, or came twice"
        assert not [call for call in state["received"] if "another one" in call["detail"]], "a repeat had another body"
        assert sum(unexplained.values()) <= len(self.kills), f"{unexplained} were repeated, {len(self.kills)} kills"
        orders = {event: order for event, order, _id in rows}
        by_order = {}
        for event in told:
            by_order.setdefault(orders[event], []).append(event)
        meant = {}
        for event, order, _id in rows:
            meant.setdefault(order, []).append(event)
        assert by_order == meant, "the order of an order's updates was not kept"
        return {
            "updates": len(told),
            "calls": len(state["received"]),
            "kills": len(self.kills),
            "lost_answers": sum(lost_answers.values()),
            "repeated": sum(repeats.values()),
            "repeated_by_kills": sum(unexplained.values()),
        }


@contextlib.contextmanager
def fault_run(seed):
    with Postgres() as postgres, portal_process("FAULTS") as portal:
        run = FaultRun(postgres, portal, seed)
        try:
            run.prepare()
            for server in run.servers:
                server.start()
            yield run
        finally:
            for server in run.servers:
                server.stop()
            postgres.drop(DATABASE)


def two_senders(run, updates):
    """Nothing breaks, but two servers, and two processes more without the scheduled action's lock, send at once.

    :raises AssertionError: when a row was sent twice
    """
    run.enqueue(updates)
    # Slow enough for all of them to be sending at the same time.
    run.portal.fail(status=None, times=None, delay=0.1)
    with ThreadPoolExecutor(2) as pool:
        shells = [pool.submit(run.shell, "send", process=process) for process in (1, 2)]
        run.until_sent(120, lambda: None)
        for shell in shells:
            shell.result()
    figures = run.check()
    assert figures["calls"] == updates, f"{figures['calls']} calls for {updates} updates"
    return figures


def breaking(run, updates, kills, timeout):
    """The portal misbehaves, and servers are killed while they send."""
    run.enqueue(updates)
    run.until_sent(timeout, lambda: run.misbehave(kills))
    return run.check()


def main():
    parser = argparse.ArgumentParser(prog="dev/with-env fault_run.py", description=__doc__.split("\n")[0])
    parser.add_argument("--updates", type=int, default=500, help="(default: %(default)s)")
    parser.add_argument("--kills", type=int, default=10, help="(default: %(default)s)")
    parser.add_argument("--seed", type=int, default=int(datetime.now(timezone.utc).timestamp()))
    options = parser.parse_args()
    say(f"fault run: seed {options.seed}")
    with fault_run(options.seed) as run:
        say(f"two servers at once: {two_senders(run, options.updates)}")
        say(f"everything breaks: {breaking(run, options.updates, options.kills, timeout=3600)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
