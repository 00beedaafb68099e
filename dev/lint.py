"""Checks the sources: ruff, pylint-odoo, bandit, and the XML files (well-formed, valid for Odoo, evenly formatted); and
whether weaknesses are known of the packages that the addon imports, where there is somebody to ask."""

import ast
import json
import os
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import yaml
from lxml import etree

import odoo.release

from bootstrap import DEV, ROOT

LONGEST_XML_LINE = 140
# README.md instead of README.rst; a method called `read` outside a model is not the ORM's.
PYLINT = ("--disable=missing-readme,method-required-super",)
# A finding of security that is silenced names its rule and the reason.
SILENCED = re.compile(r"#\s*(?:nosec|noqa:[^#]*\bS\d)")
SILENCED_WITH_REASON = re.compile(r"# (?:noqa: S\d+ - \w|nosec B\d+ # \w)")
# Odoo 19 does not run with newer ones: what is known of them is told, and changes nothing.
HELD_BY_ODOO = {"cryptography", "werkzeug"}
AUDIT_TIMEOUT = 30  # seconds


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


def check_reasons():
    print("$ reasons of silenced findings ...", flush=True)
    faults = [
        f"{name}:{number}: silenced without a rule or a reason"
        for name in sources("*.py")
        if name != "dev/lint.py"
        for number, line in enumerate((ROOT / name).read_text().splitlines(), 1)
        if SILENCED.search(line) and not SILENCED_WITH_REASON.search(line)
    ]
    print("\n".join(faults), end="\n" if faults else "")
    return not faults


def audited_packages():
    """Return what the addon itself imports, as "name==version" of what it is tested with; all else is Odoo's choice."""
    manifest = ast.literal_eval((ROOT / "__manifest__.py").read_text())
    return [f"{name}=={version(name)}" for name in (*manifest["external_dependencies"]["python"], "paramiko")]


def audit(packages):
    """Ask pip-audit's service about packages.

    :return: its findings by package, each a list of ids, or None for one that it does not know
    :raises ConnectionError: where it cannot be asked
    """
    requirements = DEV / "audited.txt"
    requirements.write_text("\n".join(packages))
    command = [sys.executable, "-m", "pip_audit", "--disable-pip", "--no-deps", "--progress-spinner=off", "--timeout=5"]
    command += ["--cache-dir", str(DEV / "audit"), "--format=json", "--requirement", str(requirements)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=AUDIT_TIMEOUT)
    except subprocess.TimeoutExpired as error:
        raise ConnectionError(type(error).__name__) from error
    if done.stdout.startswith("{"):
        found = json.loads(done.stdout)["dependencies"]
        return {each["name"]: [fault["id"] for fault in each["vulns"]] if "vulns" in each else None for each in found}
    reason = (done.stderr.splitlines() or [""])[-1].partition(":")[0]
    if reason.startswith(("requests.exceptions.", "pip_audit._service.")):
        raise ConnectionError(reason)
    raise RuntimeError(done.stderr)


def check_known_weaknesses():
    packages = audited_packages()
    print("$ pip_audit", *packages, "...", flush=True)
    try:
        found = audit(packages)
    except ConnectionError as error:
        print(f"NOT AUDITED: the service that knows of weaknesses cannot be asked from here ({error}).")
        return True
    if unknown := [name for name, ids in found.items() if ids is None]:
        print("NOT AUDITED, as the service does not answer for them here:", ", ".join(unknown))
    for name, ids in found.items():
        if ids:
            print(name, *ids, "(as Odoo 19 needs it)" if name in HELD_BY_ODOO else "")
    return not any(ids for name, ids in found.items() if name not in HELD_BY_ODOO)


def main():
    python = [name for name in sources("*.py") if not name.startswith("dev/")]
    without_tests = [name for name in python if not name.startswith("tests/")]
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
        check_command(
            sys.executable, "-m", "bandit", "--quiet", "--configfile", "pyproject.toml", *without_tests, cwd=ROOT
        ),
        check_reasons(),
        check_known_weaknesses(),
        check_xml(),
        check_yaml(),
    ]
    print("lint: clean" if all(results) else "lint: NOT clean")
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
