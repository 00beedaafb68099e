"""dev/package: makes the zip file that a user installs or uploads to Odoo Apps.

It holds the files of this checkout as they are now, without what only developers need.
"""

import argparse
import ast
import subprocess
import zipfile
from pathlib import Path

from bootstrap import DEV, ROOT

ADDON = "sale_iused"
# The tests need the simulated portal of dev/, so they stay behind with it.
LEFT_OUT = (".", "dev/", "tests/", "pyproject.toml")
TIME = (2026, 1, 1, 0, 0, 0)  # the same for every file: equal sources give an equal zip


def packaged_files():
    """Return the names of the files that a user gets, relative to the checkout."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    names = sorted({name for name in listed.split("\0") if name and (ROOT / name).is_file()})
    return [name for name in names if not name.startswith(LEFT_OUT)]


def version():
    return ast.literal_eval((ROOT / "__manifest__.py").read_text())["version"]


def make(folder):
    """Write the zip into a folder, which is made where it is missing; return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{ADDON}-{version()}.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as package:
        for name in packaged_files():
            entry = zipfile.ZipInfo(f"{ADDON}/{name}", TIME)
            entry.external_attr = 0o644 << 16
            package.writestr(entry, (ROOT / name).read_bytes(), zipfile.ZIP_DEFLATED)
    return path


def main():
    parser = argparse.ArgumentParser(prog="dev/package", description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=DEV / "dist", help="where the zip goes (.dev/dist)")
    print(make(parser.parse_args().folder))


if __name__ == "__main__":
    main()
