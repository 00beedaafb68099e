"""A consumer orders again at the very moment in which it is made anonymous: the parcel must not go to nobody."""

import pytest
from conftest import DEV_FOLDER, WAREHOUSE

from portal import sample_order
from services import odoo_script

SKU = "FP4-256-GRN-A"
COMMON = """
import json
from datetime import timedelta
from psycopg2.errors import SerializationFailure
from odoo import fields

def receive(env, reference):
    company = env["res.company"].search([("iused_user_id", "!=", False)])
    inbox = env["iused.order.inbox"].with_user(company.iused_user_id).sudo().with_company(company)
    document = {**values["order"], "order_id": reference}
    return inbox._push(company, json.dumps(document).encode())[0]

def make_old(env, reference):
    order = receive(env, reference)
    order.action_cancel()
    env.flush_all()
    then = fields.Datetime.now() - timedelta(days=400)
    env.cr.execute("UPDATE sale_order SET date_order = %s WHERE id = %s", [then, order.id])
    order.activity_ids.unlink()
    order.company_id.iused_anonymize_months = 6
    env.cr.commit()
    env.invalidate_all()

def anonymize(env):
    return env["iused.privacy"]._gc_consumers()[0]

def consumer(env, reference):
    env.cr.rollback()
    env.invalidate_all()
    order = env["sale.order"].search([("iused_reference", "=", reference)])
    return [order.partner_shipping_id.name, bool(order.partner_shipping_id.street)]
"""
# The push has found the contact; before it writes, the contact becomes anonymous.
PUSH_IS_LATE = """
make_old(env, values["old"])
with env.registry.cursor() as late:
    late_env = env(cr=late)
    late.execute("SELECT count(*) FROM res_partner")
    with env.registry.cursor() as early:
        done = anonymize(env(cr=early))
    try:
        receive(late_env, values["new"])
        outcome = "not replayed"
    except SerializationFailure:
        late.rollback()
        outcome = "replayed"
        receive(env(cr=late), values["new"])
result = [done, outcome, *consumer(env, values["new"])]
"""
# The order is there since the snapshot of who makes anonymous.
ORDER_CAME_BETWEEN = """
make_old(env, values["old"])
with env.registry.cursor() as late:
    late.execute("SELECT count(*) FROM res_partner")
    with env.registry.cursor() as early:
        receive(env(cr=early), values["new"])
    done = anonymize(env(cr=late))
result = [done, "left alone", *consumer(env, values["new"])]
"""
# The order is being made, and not committed yet.
ORDER_IS_BEING_MADE = """
make_old(env, values["old"])
with env.registry.cursor() as pushing:
    receive(env(cr=pushing), values["new"])
    env(cr=pushing).flush_all()
    with env.registry.cursor() as other:
        done = anonymize(env(cr=other))
result = [done, "left alone", *consumer(env, values["new"])]
"""


@pytest.fixture(scope="module")
def run(postgres, make_database, tmp_path_factory):
    """A refurbisher in a database of its own, and a function that lets a race happen there."""
    database = make_database()
    odoo_script(postgres, database.config, DEV_FOLDER / "shell/sample_data.py", database.log, **WAREHOUSE)

    def run(text, name):
        path = tmp_path_factory.mktemp("script") / "script.py"
        path.write_text(COMMON + text)
        order = sample_order("RACE", sku=SKU, price=289.0)
        order["shipping_address"]["name"] = name  # a consumer of each race's own
        references = {"old": f"{name}-OLD", "new": f"{name}-NEW"}
        return odoo_script(postgres, database.config, path, database.log, order=order, **references)

    return run


def test_push_that_found_the_contact_before_is_replayed_and_makes_a_new_one(run):
    assert run(PUSH_IS_LATE, "Late") == [2, "replayed", "Late", True]


def test_consumer_that_ordered_since_the_snapshot_is_left_alone(run):
    assert run(ORDER_CAME_BETWEEN, "Between") == [0, "left alone", "Between", True]


def test_consumer_whose_order_is_being_made_is_left_alone(run):
    assert run(ORDER_IS_BEING_MADE, "Making") == [0, "left alone", "Making", True]
