"""Kits, in a database with `mrp`, which the addon knows but does not need."""

from conftest import DEV_FOLDER

from services import ADDON, base_database, odoo_once, odoo_script


def test_kit_is_not_ready_and_says_so(postgres, make_database):
    database = make_database(base_database(postgres))
    odoo_once(postgres, database.config, database.log, "-i", f"{ADDON},mrp", "--no-http")
    kits = odoo_script(postgres, database.config, DEV_FOLDER / "shell/kits.py", database.log)
    assert kits["served"] == ["MADE", "PLAIN"]
    assert kits["KIT"] == {
        "state": "not_ready",
        "reasons": "It is a kit, which has no stock of its own.",
        "changed": True,
    }
    assert kits["MADE"]["state"] == kits["PLAIN"]["state"] == "ready"
