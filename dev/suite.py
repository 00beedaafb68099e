"""dev/test: the whole suite, in a fresh test database, over two workers. Takes pytest's arguments.

Without arguments it runs `tests/` (the addon's own, inside Odoo) and `dev/tests/` (plain pytest: the portal, and
flows over several processes).
"""

import os
import subprocess
import sys
import time

from bootstrap import DEV, ROOT, run, say, stop
from services import ADDON, Postgres, base_database, find_chromium, find_sshd, odoo_once, write_config

DATABASE = "iused_test"
WORKERS = min(2, os.cpu_count() or 1)
TOURS = "tests/test_tours.py"
NOTHING_SELECTED = 5  # pytest's exit code, for instance of a -k that concerns the other command


def prepare_database(postgres):
    """Install the addon afresh into a copy of the template database.

    :return: the configuration file
    """
    base = base_database(postgres)
    say("Odoo: a fresh test database with the addon ...")
    for leftover in sorted(postgres.databases()):
        if leftover.startswith(DATABASE):
            postgres.drop(leftover)
    postgres.copy(base, DATABASE)
    # Odoo's limit is meant for a server: a process that runs half of the suite, fuzz tests included, may take more.
    config = write_config(
        DEV / "test.conf", postgres, DATABASE, screenshots=DEV / "screenshots", limit_memory_hard=0, limit_memory_soft=0
    )
    log = odoo_once(postgres, config, DEV / "test_install.log", "-i", ADDON, "--no-http")
    if warnings := [line for line in log.splitlines() if " WARNING " in line or " ERROR " in line]:
        stop("The addon's installation logged:\n" + "\n".join(warnings))
    return config


def check_browser():
    """Start the browser once: its first start on a machine takes longer than Odoo's test client waits."""
    browser = find_chromium()
    if browser:
        run(browser, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom", "about:blank", timeout=120)
    else:
        text = "no Chromium, and it could not be installed: the browser tours cannot run (apt-get install chromium)."
        if os.environ.get("CI"):
            stop(text)
        say(f"WARNING: {text} They will FAIL.")


def check_sshd():
    if not find_sshd():
        text = "no OpenSSH server: the tests of sFTP cannot run (apt-get install openssh-server openssh-client)."
        if os.environ.get("CI"):
            stop(text)
        say(f"WARNING: {text} They will FAIL.")


def pytest_commands(arguments):
    """Return the commands to run one after the other: the browser's tours come last and alone, because a page next to
    other work can be slower than Odoo's browser client waits for."""
    addon = DEV / "addons" / ADDON
    # Paths are given as in the checkout; pytest-odoo takes the module's name from the link.
    placed = [
        str(addon / os.path.relpath(argument.split("::")[0], ROOT)) + argument[len(argument.split("::")[0]) :]
        if not argument.startswith("-") and (ROOT / argument.split("::")[0]).exists()
        else argument
        for argument in arguments
    ]
    base = [sys.executable, "-m", "pytest", "--odoo-http", "-c", str(ROOT / "pyproject.toml"),
            "--rootdir", str(addon.parent), "--confcutdir", str(addon.parent),
            "-p", "no:cacheprovider", "--durations=8"]  # fmt: skip
    spread = [] if any(argument.startswith("-n") for argument in placed) else ["-n", str(WORKERS), "--dist", "loadfile"]
    if any(argument.startswith(str(addon)) for argument in placed):
        return [[*base, *spread, *placed]]
    tours = str(addon / TOURS)
    return [
        [*base, *spread, "--ignore", tours, *placed, str(addon / "tests"), str(addon / "dev/tests")],
        [*base, *placed, tours],
    ]


def run_tests(commands, environment):
    """Run each command, also after one that failed; return the exit code of the whole."""
    codes = set()
    for command in commands:
        codes.add(subprocess.run(command, check=False, env=environment, cwd=DEV / "addons").returncode)
    if len(codes) > 1:
        codes -= {NOTHING_SELECTED}
    return max(codes)


def main():
    with Postgres() as postgres:
        check_browser()
        check_sshd()
        config = prepare_database(postgres)
        environment = {**postgres.environment, "ODOO_RC": str(config)}
        start = time.monotonic()
        code = run_tests(pytest_commands(sys.argv[1:]), environment)
        say(f"tests: {time.monotonic() - start:.0f} s")
    return code


if __name__ == "__main__":
    sys.exit(main())
