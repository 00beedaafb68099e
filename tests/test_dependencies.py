"""What the addon imports is named in its manifest; what is optional must be safe to be used."""

import ast
import sys
from importlib.metadata import packages_distributions
from pathlib import Path
from types import ModuleType
from unittest.mock import patch

from odoo.exceptions import UserError
from odoo.tests import TransactionCase, tagged

from ..tools import sftp

ADDON = Path(__file__).parents[1]
OPTIONAL = {"paramiko"}
# Odoo cannot start without it, and it has several names: psycopg2, psycopg2-binary.
ODOO_ITSELF = {"odoo", "psycopg2"}
IMPORTED_BY_ODOO = {"phonenumbers"}  # by phone_validation, which asks for it only where it is there; we need it


def imported_modules():
    """Return the modules from elsewhere that the addon's own code imports, wherever in it."""
    found = set()
    folders = [path for path in ADDON.iterdir() if path.is_dir() and path.name not in ("dev", "tests", ".dev")]
    for path in (*ADDON.glob("*.py"), *(path for folder in folders for path in folder.rglob("*.py"))):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                found.add(node.module.partition(".")[0])
    return found - sys.stdlib_module_names


@tagged("post_install", "-at_install")
class TestDependencies(TransactionCase):
    def test_manifest_names_what_is_imported_and_nothing_else(self):
        manifest = ast.literal_eval((ADDON / "__manifest__.py").read_text())
        named = set(manifest["external_dependencies"]["python"])
        names = packages_distributions()
        needed = imported_modules() - OPTIONAL - ODOO_ITSELF | IMPORTED_BY_ODOO
        for module in needed:
            with self.subTest(module=module):
                self.assertTrue(named & {name.lower() for name in names[module]}, "Odoo looks for packages' names")
        for name in named:
            with self.subTest(name=name):
                modules = {module for module, packages in names.items() if name in map(str.lower, packages)}
                self.assertTrue(modules & needed)

    def test_paramiko_without_strict_key_exchange_is_refused_with_words(self):
        self.assertTrue(sftp.is_available())
        old = ModuleType("paramiko")
        old.Transport = type("Transport", (), {"__init__": lambda self, sock, disabled_algorithms=None: None})
        location = self.env["iused.sftp.location"].create(
            {"enabled": True, "host": "sftp.example", "username": "user", "host_key": "ssh-ed25519 AAAA"}
        )
        with patch.dict(sys.modules, {"paramiko": old}):
            self.assertFalse(sftp.is_available())
            self.assertFalse(location.paramiko_is_available)
            self.assertEqual(location.state, "missing")
            with self.assertRaisesRegex(UserError, f"{sftp.LEAST_PARAMIKO} or newer"):
                location.action_test()
