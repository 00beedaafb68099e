"""dev/run: a refurbisher's Odoo and the simulated iUsed do business over real HTTP.

Makes the demo database, starts Odoo and the portal as processes of their own, plays the round trip, and stays up.
"""

import argparse
import contextlib
import json
import secrets
import signal
import subprocess
import sys
import time
import uuid

import requests

from bootstrap import DEV, ROOT, say, stop
from portal import PortalClient
from services import ADDON, Odoo, Postgres, addon_digest, base_database, free_port, odoo_once, odoo_script, write_config

DATABASE = "iused_demo"
ADMIN = {"login": "admin", "password": "admin"}
WAREHOUSE = {"login": "warehouse", "password": "warehouse"}
STATE = DEV / "demo.json"  # what outlives a run: the token, and what the database was made from
RUN = DEV / "run.json"
NEEDED_PIECES = 4  # the round trip ships so many


class CheckFailed(Exception):
    """Something in the round trip was not as the guide or our contract says."""


def check(condition, text):
    """Print a check that held.

    :raises CheckFailed: when it did not hold
    """
    if not condition:
        raise CheckFailed(text)
    print(f"    ✓ {text}")


def heading(text):
    print(f"\n\033[1m{text}\033[0m" if sys.stdout.isatty() else f"\n{text}")


class OdooUser:
    """A user of Odoo's own API, as the web client uses it.

    :param str url: the server's
    :param str login: and its password
    :param timeout: seconds of silence after which a call fails
    """

    def __init__(self, url, login, password, database=DATABASE, timeout=120):
        self.url, self.timeout = url, timeout
        self.session = requests.Session()
        self._post("/web/session/authenticate", db=database, login=login, password=password)

    def call(self, model, method, *args, **kwargs):
        """Call a public method of a model.

        :raises CheckFailed: with Odoo's message when it refuses
        """
        return self._post(
            f"/web/dataset/call_kw/{model}/{method}", model=model, method=method, args=args, kwargs=kwargs
        )

    def _post(self, path, **params):
        response = self.session.post(self.url + path, json={"jsonrpc": "2.0", "params": params}, timeout=self.timeout)
        response.raise_for_status()
        answer = response.json()
        if "error" in answer:
            data = answer["error"].get("data", {})
            raise CheckFailed(f"Odoo refused {path}: {data.get('message') or answer['error']['message']}")
        return answer["result"]


# The environment -------------------------------------------------------------------------------------------------


def load_state():
    return json.loads(STATE.read_text()) if STATE.exists() else {}


def prepare_database(postgres, config, fresh):
    """Make the demo database, or bring it up to date with the addon.

    :return: what is known about it: `api_key`, `digest`, `portal_token`
    """
    state, digest = load_state(), addon_digest()
    if fresh or DATABASE not in postgres.databases() or "api_key" not in state:
        base = base_database(postgres)
        say("Odoo: the demo database: installing the addon, adding phones ...")
        postgres.copy(base, DATABASE)
        odoo_once(postgres, config, DEV / "install.log", "-i", ADDON, "--no-http")
        made = odoo_script(postgres, config, ROOT / "dev/shell/sample_data.py", DEV / "sample_data.log", **WAREHOUSE)
        state = {**made, "digest": digest, "portal_token": secrets.token_hex(16)}
    elif state["digest"] != digest:
        say("Odoo: the addon changed, upgrading the demo database ...")
        odoo_once(postgres, config, DEV / "upgrade.log", "-u", ADDON, "--no-http")
        state["digest"] = digest
    STATE.write_text(json.dumps(state))
    return state


@contextlib.contextmanager
def portal_process(token):
    """Run the simulated portal as a process of its own.

    :return: a `PortalClient`
    """
    ready = DEV / "portal.json"
    ready.unlink(missing_ok=True)
    with (DEV / "portal.log").open("wb") as log:
        process = subprocess.Popen(
            [
                sys.executable,
                str(ROOT / "dev/portal.py"),
                "serve",
                "--port",
                "0",
                "--token",
                token,
                "--ready-file",
                str(ready),
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        for _attempt in range(200):
            if ready.exists() and (text := ready.read_text()):
                break
            time.sleep(0.05)
        else:
            stop(f"The portal did not start; see {DEV}/portal.log")
        yield PortalClient(json.loads(text)["url"])
    finally:
        process.terminate()
        process.wait(timeout=10)


def connect(admin, portal):
    """Give Odoo the portal's webhook URL, as an administrator does in Settings; it is on this computer."""
    admin.call("ir.config_parameter", "set_param", "sale_iused.allowed_networks", "127.0.0.0/8")
    settings = admin.call("res.config.settings", "create", {"iused_new_webhook_url": portal.webhook_url})
    admin.call("res.config.settings", "execute", [settings])


# The round trip --------------------------------------------------------------------------------------------------


def orders_to_push(run, offers):
    """Return (method, order) of three orders: address joined, address split, two devices."""
    plenty = sorted(
        (offer for offer in offers if offer["stock_available"] >= 1), key=lambda offer: -offer["stock_available"]
    )
    first, second, third = (plenty * 3)[:3]
    joined = {
        "name": "Sanne de Vries",
        "street": "Dorpsstraat 12 A",
        "postal_code": "9711 AB",
        "city": "Groningen",
        "country": "NL",
        "phone": "06 12345678",
        "email": "sanne@example.com",
    }
    split = {
        "name": "Jeroen Bakker",
        "street": "Stationsplein",
        "house_number": "4",
        "house_number_addition": "bis",
        "postal_code": "3511 ED",
        "city": "Utrecht",
        "country": "NL",
        "phone": "+31 30 1234567",
        "email": "jeroen@example.com",
    }
    belgian = {
        "name": "Lotte Peeters",
        "street": "Meir 50",
        "postal_code": "2000",
        "city": "Antwerpen",
        "country": "BE",
        "email": "lotte@example.com",
    }

    def order(number, address, *lines):
        return {
            "order_id": f"IU-{run}-{number}",
            "created_at": "2026-11-23T09:00:00+01:00",
            "currency": "EUR",
            "customer": {"name": address["name"], "email": address["email"]},
            "shipping_address": address,
            "lines": [
                {
                    "line_id": str(index),
                    "sku": offer["sku"],
                    "quantity": quantity,
                    "price": offer["price_purchase_amount"],
                }
                for index, (offer, quantity) in enumerate(lines, 1)
            ],
        }

    return [
        ("POST", order(1, joined, (first, 1))),
        ("PUT", order(2, split, (second, 1))),
        ("PATCH", order(3, belgian, (first, 1), (third, 1))),
    ]


def poll(portal, url, key):
    """Poll the feed as iUsed does and check it against the guide."""
    heading(f"iUsed polls the offers: GET {url}/iused/v1/offers")
    feed = portal.poll_offers(f"{url}/iused/v1/offers", key)
    for offer in feed.offers or ():
        print(
            f"    {offer['sku']:<17}{offer['stock_available']:>3} pcs  {offer['price_purchase_amount']:>7.2f} / "
            f"{offer['price_consumer_amount']:>7.2f}  {offer['ean']}  {offer['name']}"
        )
    check(feed.status == 200, f"answered 200 in {feed.elapsed * 1000:.0f} ms")
    check(not feed.problems, "as the guide says" if not feed.problems else f"not as the guide says: {feed.problems}")
    return feed.offers


def check_sample(offers):
    by_sku = {offer["sku"]: offer for offer in offers}
    check("IPSE3-64-RED-B" not in by_sku, "the phone without an EAN is left out")
    check(by_sku["GA54-128-BLK-A"]["stock_available"] == 0, "the sold-out phone is there with 0")
    check(by_sku["IP13-128-MID-A"]["ean"] == by_sku["IP13-128-MID-B"]["ean"], "two grades share their EAN")


def push(portal, url, key, method, order):
    """Push an order twice, as a portal that lost the answer does.

    :return: our order number
    """
    lines = ", ".join(f"{line['quantity']} x {line['sku']}" for line in order["lines"])
    heading(f"iUsed pushes an order: {method} {url}/iused/v1/orders  {order['order_id']}: {lines}")
    answer = portal.push_order(f"{url}/iused/v1/orders", key, order, method=method)
    print(f"    {answer.status} {json.dumps(answer.body)}  ({answer.elapsed * 1000:.0f} ms)")
    check(answer.status == 201 and answer.body.get("external_order_id"), "answered 201 with our order number")
    again = portal.push_order(f"{url}/iused/v1/orders", key, order, method=method)
    check((again.status, again.body) == (200, answer.body), "pushed again: 200 with the same number, no second order")
    return answer.body["external_order_id"]


def deliver(warehouse, order_number, tracking):
    """Validate an order's deliveries as the warehouse does: one, or one from each warehouse.

    :return: serial number and tracking reference of each device that left
    """
    pickings = warehouse.call(
        "stock.picking",
        "search_read",
        [["origin", "=", order_number], ["state", "!=", "done"]],
        ["name", "state", "partner_id", "move_line_ids"],
    )
    check(pickings, f"there is something to deliver for {order_number}")
    left = []
    for number, picking in enumerate(pickings):
        reference = f"{tracking}{'ABC'[number]}" if number else tracking
        heading(f"The warehouse delivers {order_number} with tracking {reference}")
        left += [(serial, reference) for serial in validate(warehouse, picking, reference)]
    return left


def validate(warehouse, picking, tracking):
    """Validate a delivery.

    :return: the serial numbers that left
    """
    lines = warehouse.call("stock.move.line", "read", picking["move_line_ids"], ["lot_id", "product_id"])
    for line in lines:
        print(f"    {picking['name']}: {line['product_id'][1]}  {line['lot_id'] and line['lot_id'][1]}")
    check(picking["state"] == "assigned", f"the phones for {picking['partner_id'][1]} are reserved")
    warehouse.call("stock.picking", "write", [picking["id"]], {"carrier_tracking_ref": tracking})
    start = time.monotonic()
    result = warehouse.call("stock.picking", "button_validate", [picking["id"]])
    check(result is True, f"validated in {(time.monotonic() - start) * 1000:.0f} ms, and nothing was asked")
    return [line["lot_id"][1] for line in lines]


def check_updates(portal, before, expected):
    """Check that the portal knows of each device exactly once."""
    heading(f"iUsed receives {len(expected)} shipment updates")
    updates = portal.wait_for_updates(before + len(expected), timeout=60)[before:]
    for update in updates:
        print(f"    {update['serial_numbers'][0]}  {update['track_and_trace']}  {update['external_order_id']}")
    told = sorted(
        (*update["serial_numbers"], update["track_and_trace"], update["external_order_id"]) for update in updates
    )
    time.sleep(1)  # a repeat would come now
    check(len(portal.updates) == before + len(expected), "exactly one update per device")
    check(told == sorted(expected), "each with the right serial number, tracking reference and order number")


def play(odoo, portal, key, database=DATABASE):
    """Play the whole round trip.

    :raises CheckFailed: at the first thing that is not right
    """
    run = uuid.uuid4().hex[:6].upper()
    connect(OdooUser(odoo.url, **ADMIN, database=database), portal)
    offers = poll(portal, odoo.url, key)
    check_sample(offers)
    pushed = orders_to_push(run, offers)
    numbers = [push(portal, odoo.url, key, method, order) for method, order in pushed]
    before = len(portal.updates)
    warehouse = OdooUser(odoo.url, **WAREHOUSE, database=database)
    expected = []
    for position, number in enumerate(numbers, 1):
        left = deliver(warehouse, number, f"3S{run}{position:03d}")
        expected += [(serial, tracking, number) for serial, tracking in left]
    check_updates(portal, before, expected)
    left = {offer["sku"]: offer["stock_available"] for offer in poll(portal, odoo.url, key)}
    sold = sum(offer["stock_available"] - left[offer["sku"]] for offer in offers)
    check(sold == len(expected), f"the feed went down by {sold} pieces")


def parse_arguments():
    parser = argparse.ArgumentParser(prog="dev/run", description=__doc__.split("\n")[0])
    parser.add_argument("--once", action="store_true", help="exit after the round trip: 0 if every check held, else 1")
    parser.add_argument("--fresh", action="store_true", help="make the demo database anew")
    return parser.parse_args()


def stay(odoo, portal):
    heading("Odoo stays up; Ctrl-C ends it.")
    print(
        f"    {odoo.url}  login: {ADMIN['login']} / {ADMIN['password']}"
        f"  or  {WAREHOUSE['login']} / {WAREHOUSE['password']}\n    portal: {portal.url}\n    details: {RUN}"
    )
    with contextlib.suppress(KeyboardInterrupt):
        signal.pause()


def has_phones_left(postgres):
    rows = postgres.query(
        """SELECT COALESCE(SUM(quantity - reserved_quantity), 0) FROM stock_quant quant
                               JOIN stock_location location ON location.id = quant.location_id
                              WHERE location.usage = 'internal'""",
        DATABASE,
    )
    return rows[0][0] >= 2 * NEEDED_PIECES


def main():
    arguments = parse_arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with Postgres() as postgres:
        fresh = arguments.fresh or (DATABASE in postgres.databases() and not has_phones_left(postgres))
        config = write_config(DEV / "odoo.conf", postgres, DATABASE, free_port())
        state = prepare_database(postgres, config, fresh)
        say("Odoo and the portal: starting ...")
        with Odoo(postgres, config, DEV / "odoo.log") as odoo, portal_process(state["portal_token"]) as portal:
            RUN.write_text(
                json.dumps(
                    {
                        "base_url": odoo.url,
                        "db": DATABASE,
                        **ADMIN,
                        "api_key": state["api_key"],
                        "portal_url": portal.url,
                        "python": sys.executable,
                        "odoo_conf": str(config),
                    },
                    indent=2,
                )
            )
            try:
                play(odoo, portal, state["api_key"])
                heading("The round trip is complete: every check held.")
                if not arguments.once:
                    stay(odoo, portal)
            except CheckFailed as error:
                print(f"    ✗ {error}")
                heading(f"The round trip FAILED: {error}")
                if not arguments.once:
                    stay(odoo, portal)
                return 1
            finally:
                RUN.unlink(missing_ok=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
