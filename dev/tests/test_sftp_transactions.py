"""An upload, with commits that are commits: no transaction is open while a slow server is talked to."""

import threading
import time

import pytest
from conftest import DEV_FOLDER

from services import odoo_script
from sshd import Sshd, Throttle

WAREHOUSE = {"login": "warehouse", "password": "warehouse"}
SET_UP = """
location = env["iused.sftp.location"].create({**values, "enabled": True, "host": "127.0.0.1"})
env.cr.commit()
answer = location.action_test()["params"]
location.action_accept_host_key()
env.cr.commit()
result = [answer["type"], location.fingerprint, location.action_test()["params"]["type"]]
env.cr.commit()
"""
UPLOAD = """
location = env["iused.sftp.location"].search([])
env["iused.sftp.location"]._cron_upload()
result = [location.last_error, location.last_offers, location.last_size]
"""


@pytest.fixture
def script(postgres, make_database, tmp_path):
    """Give a function that runs a text in `odoo shell` on a refurbisher's database."""
    database = make_database()
    odoo_script(postgres, database.config, DEV_FOLDER / "shell/sample_data.py", database.log, **WAREHOUSE)

    def run(text, **values):
        path = tmp_path / "script.py"
        path.write_text(text)
        return odoo_script(postgres, database.config, path, database.log, **values)

    run.query = lambda statement: postgres.query(statement, database.name)
    return run


def test_no_transaction_is_open_while_it_talks(script):
    with Sshd() as server, Throttle(server.port, rate=2_000) as slow:
        made = script(
            SET_UP,
            port=slow.port,
            username=server.user,
            new_private_key=server.client_key,
            folder=str(server.folder),
        )
        assert made[0] == "warning"
        assert made[2] == "success"
        results = []
        upload = threading.Thread(target=lambda: results.append(script(UPLOAD)))
        passed = slow.passed
        upload.start()
        end = time.monotonic() + 60
        while slow.passed == passed and time.monotonic() < end:
            time.sleep(0.02)
        looks = 0
        while upload.is_alive() and not (server.folder / "offers.json").exists():
            open_ones = script.query(
                "SELECT query FROM pg_stat_activity WHERE datname = current_database() AND xact_start IS NOT NULL"
                " AND pid != pg_backend_pid()"
            )
            if not (server.folder / "offers.json").exists():
                assert not open_ones
                looks += 1
            time.sleep(0.05)
        upload.join()
        size = (server.folder / "offers.json").stat().st_size
    assert looks > 10
    assert results == [[False, 13, size]]
