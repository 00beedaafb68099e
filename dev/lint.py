"""Checks the sources: ruff, pylint-odoo, and the XML files (well-formed, valid for Odoo, evenly formatted)."""

import os
import re
import subprocess
import sys
from pathlib import Path

import yaml
from lxml import etree

import odoo.release

from bootstrap import DEV, ROOT

LONGEST_XML_LINE = 140
# README.md instead of README.rst; a method called `read` outside a model is not the ORM's.
PYLINT = ("--disable=missing-readme,method-required-super",)


def sources(*patterns):
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", *patterns],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    return [name for name in listed if (ROOT / name).is_file()]


def check_command(*command, **kwargs):
    print("$", " ".join(command[2:6] if command[1] == "-m" else command[:4]), "...", flush=True)
    return subprocess.run(command, check=False, **kwargs).returncode == 0


def xml_faults(path, schema):
    """Yield what is wrong with an XML file, as text."""
    text = path.read_text()
    try:
        tree = etree.fromstring(text.encode())
    except etree.XMLSyntaxError as error:
        yield f"not well-formed: {error}"
        return
    if tree.tag == "odoo" and not schema.validate(tree):
        yield f"not valid for Odoo: {schema.error_log.last_error}"
    if not text.startswith('<?xml version="1.0" encoding="utf-8"?>\n') or not text.endswith(">\n"):
        yield "must start with the XML declaration and end with one newline"
    for number, line in enumerate(text.splitlines(), 1):
        indent = re.match(r"[ \t]*", line)[0]
        if "\t" in indent or line != line.rstrip() or len(indent) % 4:
            yield f"line {number}: indent by four spaces, nothing at the end"
        if len(line) > LONGEST_XML_LINE and "help=" not in line and "<p>" not in line:
            yield f"line {number}: {len(line)} characters"


def check_xml():
    print("$ XML ...", flush=True)
    schema = etree.RelaxNG(etree.parse(str(Path(odoo.release.__file__).parent / "import_xml.rng")))
    faults = [f"{name}: {fault}" for name in sources("*.xml") for fault in xml_faults(ROOT / name, schema)]
    print("\n".join(faults), end="\n" if faults else "")
    return not faults


def check_yaml():
    print("$ YAML ...", flush=True)
    faults = []
    for name in sources("*.yml") + sources("*.yaml"):
        try:
            yaml.safe_load((ROOT / name).read_text())
        except yaml.YAMLError as error:
            faults.append(f"{name}: {error}")
    print("\n".join(faults), end="\n" if faults else "")
    return not faults


def main():
    python = [name for name in sources("*.py") if not name.startswith("dev/")]
    # pylint-odoo looks for the addon by its folder's name.
    addon = DEV / "addons" / "sale_iused"
    results = [
        check_command(sys.executable, "-m", "ruff", "check", ".", cwd=ROOT),
        check_command(sys.executable, "-m", "ruff", "format", "--check", "--quiet", ".", cwd=ROOT),
        check_command(
            sys.executable,
            "-m",
            "pylint",
            "--rcfile",
            str(ROOT / "pyproject.toml"),
            *PYLINT,
            *(str(addon / name) for name in python),
            cwd=addon.parent,
            env={**os.environ, "PYTHONPATH": str(addon.parent)},
        ),
        check_xml(),
        check_yaml(),
    ]
    print("lint: clean" if all(results) else "lint: NOT clean")
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
