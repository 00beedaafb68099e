"""The round trip in an Odoo in which nothing is switched off: text messages, e-mails, other addons, two warehouses, a
carrier with fixed prices, the threaded server."""

import pytest
from conftest import DEV_FOLDER, WAREHOUSE
from round_trip import play
from test_module_tests import MODULES

from portal import Portal
from services import ADDON, Odoo, base_database, odoo_once, odoo_script

TO_CONSUMERS = """
    SELECT notification.notification_type, message.subject, partner.name
      FROM mail_notification notification
      JOIN mail_message message ON message.id = notification.mail_message_id
      JOIN res_partner partner ON partner.id = notification.res_partner_id
      JOIN res_partner_res_partner_category_rel tagged ON tagged.partner_id = partner.id
      JOIN ir_model_data tag ON tag.model = 'res.partner.category' AND tag.res_id = tagged.category_id
     WHERE tag.module = 'sale_iused' AND tag.name = 'partner_category_consumer'
"""


@pytest.fixture(scope="module")
def installed(postgres, make_database):
    """Odoo as it installs itself, connected to the simulated portal."""
    database = make_database(base_database(postgres, MODULES))
    odoo_once(postgres, database.config, database.log, "-i", ADDON, "--no-http")
    made = odoo_script(
        postgres, database.config, DEV_FOLDER / "shell/sample_data.py", database.log, warehouses=2, **WAREHOUSE
    )
    database.key = made["api_key"]
    with Portal() as portal, Odoo(postgres, database.config, database.log) as odoo:
        yield odoo, portal, database


def test_round_trip_holds_and_nobody_is_bothered(postgres, installed):
    odoo, portal, database = installed
    [(state,)] = postgres.query("SELECT state FROM ir_module_module WHERE name = 'stock_sms'", database.name)
    assert state == "installed"
    play(odoo, portal, database.key, database.name)
    assert postgres.query(TO_CONSUMERS, database.name) == []
    assert postgres.query("SELECT body FROM sms_sms", database.name) == []
    mails = """SELECT message.subject, mail.email_to
                 FROM mail_mail mail JOIN mail_message message ON message.id = mail.mail_message_id"""
    assert postgres.query(mails, database.name) == []
