"""A database of its own with phones in stock, for measuring and fuzzing orders, and clients that push and poll there
as iUsed must: over a connection of their own, again where they are cut off or asked to come back."""

import contextlib
import http.client
import json
import random
import time
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from bootstrap import DEV, ROOT, say
from portal import sample_order
from services import ADDON, base_database, odoo_once, odoo_script, write_config

PATIENCE = 60  # seconds in which a call must be accepted
SILENCE = 30  # seconds after which a try counts as not answered


def prepare(postgres, database, pieces, **options):
    """Make the database afresh, with the addon and as many pieces in stock.

    :param options: more options of Odoo's configuration file
    :return: the configuration file, and what is known: `key`, `skus`
    """
    say(f"Odoo: a fresh database {database} ...")
    postgres.copy(base_database(postgres), database)
    config = write_config(DEV / f"{database}.conf", postgres, database, **options)
    odoo_once(postgres, config, DEV / f"{database}_install.log", "-i", ADDON, "--no-http")
    known = odoo_script(postgres, config, ROOT / "dev/shell/order_data.py", DEV / f"{database}_data.log", pieces=pieces)
    return config, known


def order(reference, sku, price=199.0):
    """Return an order of one piece for a consumer of its own."""
    made = sample_order(reference, sku, price=price)
    made["customer"] = {"email": f"{reference.lower()}@example.com", "phone": "06 12345678"}
    made["shipping_address"]["name"] = f"Consumer of {reference}"
    return made


# Clients ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Outcome:
    """What became of a call that was repeated until it was accepted.

    :param failure: why it was given up, "" where it was accepted
    :param status: of the last try's answer, as are `headers` and `body`; None where there was no answer
    """

    tries: int
    failure: str
    status: int | None = None
    headers: object = None
    body: bytes = b""

    @property
    def document(self):
        return json.loads(self.body)

    @property
    def number(self):
        """The number of our sales order; None where the answer has none."""
        with contextlib.suppress(ValueError, KeyError, TypeError):
            return self.document["external_order_id"]
        return None


def push(url, key, order, **patience):
    """Push an order until it is accepted with a number; see `insist`."""
    outcome = insist(url, key, "POST", "orders", order, **patience)
    return outcome if outcome.failure or outcome.number else replace(outcome, failure="no number")


def poll(url, key, **patience):
    """Poll the feed until it is answered, all offers of it; see `insist`."""
    outcome = insist(url, key, "GET", "offers", **patience)
    if outcome.failure or str(outcome.body.count(b'"sku":')) == outcome.headers.get("X-Total-Count"):
        return outcome
    return replace(outcome, failure="not whole")


def insist(url, key, method, name, document=None, seconds=PATIENCE, tries=None, repeated=(503,)):
    """Make a call until it is accepted (200 or 201), or silence or `seconds` end it.

    It is repeated after a 503, when that says, and where the connection is refused or cut: Odoo's queue of connections
    is short, and the system may cut those beyond.

    :param tries: how often at most; None: as often as time allows
    :param repeated: the statuses that are worth another try
    :rtype: Outcome
    """
    end, number = time.monotonic() + seconds, 0
    while True:
        number += 1
        outcome, pause = _try(number, repeated, url, key, method, f"/iused/v1/{name}", document)
        if pause is None or number == tries or time.monotonic() + pause > end:
            return outcome
        time.sleep(pause)


def _try(number, repeated, *call):
    """Make a call once.

    :return: the outcome, and the seconds to wait before another try; None where that is not worth it
    """
    try:
        status, headers, body = _call(*call)
    except TimeoutError:
        return Outcome(number, "silence"), None
    except (OSError, http.client.HTTPException):
        return Outcome(number, "cut"), random.uniform(0.1, 0.5)
    failure, pause, told = "", None, headers.get("Retry-After", "")
    if status == 503 and not told.isdigit():
        failure = "503 without Retry-After"
    elif status in repeated:
        # Those who were sent away together must not all come back together.
        failure, pause = str(status), int(told or 0) + random.uniform(0.1, 0.5)
    elif status not in (200, 201):
        failure = str(status)
    return Outcome(number, failure, status, headers, body), pause


def _call(url, key, method, path, document):
    """Make a call over a connection of its own.

    :return: status, headers, body
    :raises OSError, http.client.HTTPException: where there is no whole answer
    """
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=SILENCE)
    try:
        connection.request(method, path, None if document is None else json.dumps(document), headers)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()
