"""Kits, in a database with `mrp`, which the addon knows but does not need."""

import sys
from pathlib import Path

import pytest

DEV_FOLDER = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(DEV_FOLDER))

from bootstrap import DEV  # noqa: E402
from services import ADDON, Postgres, base_database, odoo_once, odoo_script, write_config  # noqa: E402

DATABASE = "iused_kits"


@pytest.fixture
def kits():
    with Postgres() as postgres:
        postgres.copy(base_database(postgres), DATABASE)
        config = write_config(DEV / "kits.conf", postgres, DATABASE)
        try:
            odoo_once(postgres, config, DEV / "kits_install.log", "-i", f"{ADDON},mrp", "--no-http")
            yield odoo_script(postgres, config, DEV_FOLDER / "tests/kits.py", DEV / "kits.log")
        finally:
            postgres.drop(DATABASE)


def test_kit_is_not_ready_and_says_so(kits):
    assert kits["served"] == ["MADE", "PLAIN"]
    assert kits["KIT"] == {
        "state": "not_ready",
        "reasons": "It is a kit, which has no stock of its own.",
        "changed": True,
    }
    assert kits["MADE"]["state"] == kits["PLAIN"]["state"] == "ready"
