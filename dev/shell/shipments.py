"""What dev/benches/shipments.py and dev/fault_run.py do inside `odoo shell`: `values["task"]` names the function.

`values`: `task` and its arguments. Leaves `result`.
"""

import subprocess
import sys
import time
from datetime import datetime

import requests

from odoo import SUPERUSER_ID, api
from odoo.modules.registry import Registry

from odoo.addons.sale_iused.models.iused_shipment_sender import WAKER


def make_phones(env, pieces):
    """Return a phone tracked by serial number, with so many in stock."""
    phone = env["product.product"].create(
        {"name": "Phone", "default_code": "BENCH", "type": "consu", "is_storable": True, "tracking": "serial"}
    )
    stock = env["stock.warehouse"].search([("company_id", "=", env.company.id)], limit=1).lot_stock_id
    lots = env["stock.lot"].create(
        [{"name": f"{number:015d}", "product_id": phone.id, "company_id": env.company.id} for number in range(pieces)]
    )
    for lot in lots:
        env["stock.quant"]._update_available_quantity(phone, stock, 1, lot_id=lot)
    return phone


def make_deliveries(env, number):
    """Return so many deliveries that are ready, of iUsed orders where the addon is installed, for a warehouse user."""
    env.company.write({"stock_move_email_validation": False, "stock_text_confirmation": False})
    phone = make_phones(env, number)
    customer = env["res.partner"].create({"name": "Customer"})
    orders = env["sale.order"].create(
        [
            {"partner_id": customer.id, "order_line": [(0, 0, {"product_id": phone.id, "product_uom_qty": 1})]}
            for _number in range(number)
        ]
    )
    if "iused_reference" in orders._fields:
        for order in orders:
            order.iused_reference = f"B{order.id}"
    orders.action_confirm()
    orders.picking_ids.carrier_tracking_ref = "3SBENCH"
    groups = [env.ref("base.group_user").id, env.ref("stock.group_stock_user").id]
    user = env["res.users"].create({"name": "Warehouse", "login": "warehouse", "group_ids": [(6, 0, groups)]})
    env.cr.commit()
    return orders.picking_ids.with_user(user)


def validate(env, values):
    """Validate deliveries as the warehouse does, one with the addon and one without in turns.

    Both are Odoo databases of one process, so that whatever slows the machine down slows both.

    :return: the seconds that each took, its commit included
    """
    registries = {"with": env.registry, "without": Registry(values["without"])}
    deliveries = {}
    for name, registry in registries.items():
        with registry.cursor() as cr:
            pickings = make_deliveries(api.Environment(cr, SUPERUSER_ID, {}), values["number"])
            deliveries[name] = [(pickings.env.uid, picking.id) for picking in pickings]
    seconds = {"with": [], "without": []}
    for turn in range(values["number"]):
        for name in sorted(registries, reverse=turn % 2):
            seconds[name].append(take_time(registries[name], *deliveries[name][turn]))
    updates = env["iused.shipment.update"].search_count(
        [("picking_id", "in", [picking_id for _uid, picking_id in deliveries["with"]])]
    )
    if updates != values["number"]:
        raise AssertionError(f"{updates} of {values['number']} shipment updates were written")
    return seconds


def take_time(registry, uid, picking_id):
    """Validate a delivery, in a transaction of its own as a request is, and return the seconds that its user waits."""
    with registry.cursor() as cr:
        picking = api.Environment(cr, uid, {})["stock.picking"].browse(picking_id)
        start = time.perf_counter()
        picking.button_validate()
        cr.commit()
        seconds = time.perf_counter() - start
    let_waker_finish()  # nobody waits for it, least of all the next delivery
    return seconds


def let_waker_finish():
    """Wait until the scheduled action is woken up for all that was committed: it is done aside."""
    WAKER.submit(bool).result()


def enqueue(env, values):
    """Write updates that are ready to be sent, several for each order.

    :return: the order numbers
    """
    env["iused.shipment.update"].search([]).unlink()
    env["ir.config_parameter"].set_param("sale_iused.allowed_networks", "127.0.0.0/8")  # the portal's
    env.company.iused_webhook_url = values["webhook_url"]
    customer = env.company._iused_ensure_partner()
    number, each = values["number"], values.get("each", 1)
    start = time.time_ns()
    orders = env["sale.order"].create(
        [{"partner_id": customer.id, "iused_reference": f"B{start}-{index}"} for index in range(number // each)]
    )
    env["iused.shipment.update"].create(
        [
            {"order_id": order.id, "serial_number": f"{order.id}-{index}", "tracking_reference": "3SBENCH"}
            for index in range(each)
            for order in orders
        ]
    )
    env.cr.commit()
    return orders.mapped("name")


def connect(env, values):
    """Give the company the portal's address. No setting changes by that which would wake the scheduled action up."""
    env["iused.secret"]._put(env.company, "iused_webhook_url", values["webhook_url"])
    env.cr.commit()


def forget_triggers(env):
    """Only what is sent from now on wakes the scheduled action up. Not for use beside a server that runs it."""
    let_waker_finish()
    env["ir.cron.trigger"].search([]).unlink()
    env.cr.commit()


def make_due(env):
    return env["iused.shipment.update"].search_count([("state", "in", ("pending", "retry"))])


def run_cron(env):
    """Run the scheduled action as a cron worker does, until it has nothing left to do now."""
    cron = env.ref("sale_iused.ir_cron_send_shipment_updates")
    due = env["iused.shipment.sender"]._due_domain
    while True:
        cron.method_direct_trigger()
        env.cr.commit()
        left = env["iused.shipment.update"].search([*due()], limit=1)
        if not left or env["iused.shipment.update"].search_count(env["iused.shipment.sender"]._hold_domain()):
            return


def drain(env, values):
    """Send what is due, then the same bodies by a bare loop, in several rounds: what slows the machine down slows both.

    :return: seconds of each round, of both
    """
    seconds = {"ours": [], "bare": []}
    for _round in range(values["rounds"]):
        orders = enqueue(env, values)
        forget_triggers(env)
        reset_portal(values, orders)
        start = time.perf_counter()
        run_cron(env)
        seconds["ours"].append(time.perf_counter() - start)
        updates = env["iused.shipment.update"].search([])
        if set(updates.mapped("state")) != {"sent"}:
            raise AssertionError(f"not all were sent: {set(updates.mapped('state'))}")
        calls = [(update.event_id, update.body.encode()) for update in updates]
        env.cr.commit()
        reset_portal(values, orders)
        start = time.perf_counter()
        with requests.Session() as session:
            for event, body in calls:
                headers = {"Content-Type": "application/json", "Idempotency-Key": event}
                session.post(values["webhook_url"], data=body, headers=headers, timeout=20).raise_for_status()
        seconds["bare"].append(time.perf_counter() - start)
    return seconds


def reset_portal(values, orders):
    """Let the portal forget all but these orders."""
    control = f"{values['portal_url']}/_control"
    requests.post(f"{control}/reset", json={}, timeout=30).raise_for_status()
    requests.post(f"{control}/orders", json={"orders": orders}, timeout=30).raise_for_status()


def outage(env, values):
    """Let the portal be away for some days, on a clock that jumps from one wake-up to the next, and then return.

    :return: what it cost, and how long the rest took once the portal was back
    """
    orders = enqueue(env, values)
    forget_triggers(env)
    updates = env["iused.shipment.update"].search([], order="id")
    clock = runs = 0
    while clock < values["seconds"]:
        run_cron(env)
        runs += 1
        clock += jump(env)
    tries = sum(updates.mapped("attempts"))
    command = [sys.executable, values["portal_file"], "serve", "--port", str(values["port"]), "--token", "BENCH"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as portal:
        try:
            control = f"http://127.0.0.1:{values['port']}/_control"
            wait_for(control)
            requests.post(f"{control}/orders", json={"orders": orders}, timeout=30).raise_for_status()
            start = time.perf_counter()
            while make_due(env):
                run_cron(env)
                jump(env)
            seconds = time.perf_counter() - start
            state = requests.get(f"{control}/state", timeout=60).json()
        finally:
            portal.terminate()
    told = {update["idempotency_key"] for update in state["updates"]}
    return {
        "days": clock / 86400,
        "runs": runs,
        "tries": tries,
        "drain_seconds": seconds,
        "lost": len(set(updates.mapped("event_id")) - told),
        "repeated": state["counts"]["received"] - len(told),
    }


def wait_for(control):
    for _attempt in range(200):
        try:
            return requests.get(f"{control}/state", timeout=5)
        except requests.ConnectionError:
            time.sleep(0.05)
    raise AssertionError("the portal did not start")


def jump(env):
    """Let the time pass until the scheduled action is to run again.

    :return: the seconds that passed
    """
    cron = env.ref("sale_iused.ir_cron_send_shipment_updates")
    env.invalidate_all()
    triggers = env["ir.cron.trigger"].search([("cron_id", "=", cron.id)])
    if not triggers:
        return 0
    seconds = max((min(triggers.mapped("call_at")) - datetime.utcnow()).total_seconds(), 0) + 1
    triggers.unlink()
    env.cr.execute("UPDATE iused_shipment_update SET next_try = next_try - %s * interval '1 second'", (seconds,))
    env.cr.commit()
    return seconds


def send(env, values):
    """Send what is due without the scheduled action's own lock, as if two machines were at it."""
    env["iused.shipment.sender"]._cron_send()
    env.cr.commit()


TASKS = {"validate": validate, "enqueue": enqueue, "connect": connect, "drain": drain, "outage": outage, "send": send}
result = TASKS[values["task"]](env, values)  # noqa: F821 - the shell's
env.cr.commit()  # noqa: F821
