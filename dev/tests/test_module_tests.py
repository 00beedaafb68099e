"""Runs `dev/module_tests`, on a database of their own: they need addons that ours does not depend on."""

import re
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bootstrap import DEV, ROOT
from services import ADDON, BASE_MODULES, Postgres, base_database, odoo_once, write_config

DATABASE = "iused_module_tests"
MODULES = f"{BASE_MODULES},sale_mrp,stock_dropshipping,stock_picking_batch,l10n_be,l10n_de"


def test_flows_of_other_addons():
    with Postgres() as postgres:
        postgres.copy(base_database(postgres, MODULES), DATABASE)
        try:
            config = write_config(DEV / "module_tests.conf", postgres, DATABASE)
            odoo_once(postgres, config, DEV / "module_tests_install.log", "-i", ADDON, "--no-http")
            addon = DEV / "addons" / ADDON
            done = subprocess.run(
                [sys.executable, "-m", "pytest", "--odoo-http", "-q", "-c", ROOT / "pyproject.toml",
                 "--rootdir", addon.parent, "--confcutdir", addon.parent, "-p", "no:cacheprovider",
                 addon / "dev/module_tests"],
                check=False, capture_output=True, text=True, cwd=addon.parent,
                env={**postgres.environment, "ODOO_RC": str(config)},
            )  # fmt: skip
        finally:
            postgres.drop(DATABASE)
    written = sum(path.read_text().count("    def test_") for path in (ROOT / "dev/module_tests").glob("test_*.py"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(rf"\b{written} passed\b", done.stdout), "not every test ran:\n" + done.stdout
