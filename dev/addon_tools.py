"""The addon's `tools` without the addon, which would need Odoo."""

import importlib.util
import sys
from pathlib import Path

TOOLS = Path(__file__).resolve().parents[1] / "tools"


def load(name):
    """Return a module of `tools`, such as "webhook"; what is imported as `iused_tools` then is always the same."""
    if "iused_tools" not in sys.modules:
        spec = importlib.util.spec_from_file_location(
            "iused_tools", TOOLS / "__init__.py", submodule_search_locations=[str(TOOLS)]
        )
        sys.modules["iused_tools"] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules["iused_tools"])
    return importlib.import_module(f"iused_tools.{name}")
