"""What the tests over several processes share: databases, servers, a refurbisher with phones."""

import secrets
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

DEV_FOLDER = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(DEV_FOLDER))

from suite import DATABASE as INSTALLED  # noqa: E402

from bootstrap import DEV  # noqa: E402
from portal import Portal  # noqa: E402
from services import Odoo, Postgres, odoo_script, write_config  # noqa: E402

WAREHOUSE = {"login": "warehouse", "password": "warehouse"}


@pytest.fixture(scope="session")
def postgres():
    with Postgres() as running:
        yield running


@pytest.fixture(scope="module")
def make_database(postgres):
    """Give a function that makes a database of this module's own, dropped afterwards."""
    made = []

    def make(source=INSTALLED, **options):
        name = f"iused_scratch_{secrets.token_hex(4)}"
        made.append(name)
        postgres.copy(source, name)
        config = write_config(DEV / "scratch" / f"{name}.conf", postgres, name, **options)
        log = DEV / "scratch" / f"{name}.log"
        return SimpleNamespace(name=name, config=config, log=log)

    yield make
    for name in made:
        postgres.drop(name)


@pytest.fixture(scope="module")
def refurbisher(postgres, make_database):
    """A connected refurbisher: Odoo with two worker processes and a cron worker, and the simulated portal."""
    database = make_database(workers=2, max_cron_threads=1)
    made = odoo_script(postgres, database.config, DEV_FOLDER / "shell/sample_data.py", database.log, **WAREHOUSE)
    with Portal() as portal, Odoo(postgres, database.config, database.log) as odoo:
        yield SimpleNamespace(
            odoo=odoo,
            portal=portal,
            key=made["api_key"],
            database=database.name,
            log=database.log,
            query=lambda statement: postgres.query(statement, database.name),
        )
