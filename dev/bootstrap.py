"""Makes the development environment, then runs one of this folder's scripts in it.

    python3 bootstrap.py SCRIPT [arguments]

Only the standard library is used here. Everything made lies under the git-ignored `.dev/`:
`odoo/` (Odoo's source, unless ODOO_SRC names a checkout), `venv/`, `addons/sale_iused` (a link to this checkout).
A stamp file beside each part says what it was made from, so that a second start does nothing.
"""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DEV = ROOT / ".dev"
VENV = DEV / "venv"
ODOO_PACKAGE = "odoo-19"
# What Debian's Odoo package reaches by relative links.
LINKED_PACKAGES = (
    "libjs-jquery",
    "libjs-underscore",
    "libjs-jquery-form",
    "fonts-font-awesome",
    "fonts-roboto-unhinted",
    "fonts-inconsolata",
)
ODOO_GIT = "https://github.com/odoo/odoo.git"


def say(text):
    """Print one line of progress."""
    print(f"\033[2m[set-up]\033[0m {text}" if sys.stderr.isatty() else f"[set-up] {text}", file=sys.stderr, flush=True)


def stop(text):
    """End with a message that a person can act on."""
    raise SystemExit(f"[set-up] {text}")


def run(*command, **kwargs):
    """Run a command; its output goes to .dev/setup.log, whose end is shown when it fails."""
    log = DEV / "setup.log"
    with log.open("ab") as output:
        output.write(f"\n$ {' '.join(map(str, command))}\n".encode())
        output.flush()
        done = subprocess.run(command, stdout=output, stderr=subprocess.STDOUT, check=False, **kwargs)
    if done.returncode:
        tail = log.read_text(errors="replace").splitlines()[-15:]
        raise RuntimeError(f"{' '.join(map(str, command))} failed ({done.returncode}):\n  " + "\n  ".join(tail))


class Step:
    """A part of the environment: made by `make`, unless the stamp says it was already made from the same input."""

    def __init__(self, name, made_from, text):
        self.stamp = DEV / f"{name}.stamp"
        self.made_from = made_from
        self.text = text

    def __call__(self, make):
        if self.stamp.exists() and self.stamp.read_text() == self.made_from:
            return
        say(self.text)
        start = time.monotonic()
        self.stamp.unlink(missing_ok=True)
        make()
        self.stamp.write_text(self.made_from)
        say(f"  done in {time.monotonic() - start:.0f} s")


def install_debian_packages(*packages):
    """Install Debian packages where this user may.

    :return: whether they were installed
    """
    if not shutil.which("apt-get"):
        return False
    prefix = [] if os.geteuid() == 0 else ["sudo", "-n"]
    if prefix and (
        not shutil.which("sudo") or subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode
    ):
        return False
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        run(*prefix, "apt-get", "update", env=environment)
        run(*prefix, "apt-get", "install", "-y", "--no-install-recommends", *packages, env=environment)
    except RuntimeError as error:
        say(str(error))
        return False
    return True


# Odoo's source ---------------------------------------------------------------------------------------------------


def find_odoo():
    """Return the folder to put on Python's path for `import odoo`, fetching Odoo 19 where it is not there yet."""
    if os.environ.get("ODOO_SRC"):
        source = Path(os.environ["ODOO_SRC"]).expanduser().resolve()
        if not (source / "odoo" / "release.py").is_file():
            stop(f"ODOO_SRC={source} is no Odoo checkout: it has no odoo/release.py.")
        if "version_info = (19, 0" not in (source / "odoo" / "release.py").read_text():
            stop(f"ODOO_SRC={source} is not Odoo 19.0.")
        return source
    target = DEV / "odoo"
    Step("odoo", "odoo 19.0", "Odoo 19: looking for Debian's package (about 125 MB) ...")(lambda: fetch_odoo(target))
    packaged = target / "usr/lib/python3/dist-packages"
    return packaged if packaged.is_dir() else target


def fetch_odoo(target):
    shutil.rmtree(target, ignore_errors=True)
    try:
        unpack_debian_odoo(target)
    except (RuntimeError, OSError) as error:
        say(f"no Debian package to be had ({str(error).splitlines()[0]}); cloning branch 19.0 instead ...")
        shutil.rmtree(target, ignore_errors=True)
        try:
            run("git", "clone", "--depth", "1", "--branch", "19.0", ODOO_GIT, str(target))
        except (RuntimeError, OSError) as clone_error:
            stop(f"Odoo 19 could not be fetched. Set ODOO_SRC to an Odoo 19 checkout.\n{clone_error}")


def unpack_debian_odoo(target):
    """Unpack the package from the machine's own Debian source, with the suite replaced, in a private apt state."""
    state = DEV / "apt"
    shutil.rmtree(state, ignore_errors=True)
    (state / "lists/partial").mkdir(parents=True)
    (state / "archives/partial").mkdir(parents=True)
    (state / "sources.d").mkdir()
    write_sid_source(state / "sources.d")
    (state / "apt.conf").write_text(
        f'Dir::State "{state}";\nDir::State::status "/var/lib/dpkg/status";\nDir::Cache "{state}";\n'
        f'Dir::Etc::sourcelist "/dev/null";\nDir::Etc::sourceparts "{state}/sources.d";\n'
        'APT::Sandbox::User "";\nAcquire::Languages "none";\n'
    )
    apt = ("apt-get", "-c", str(state / "apt.conf"))
    run(*apt, "update")
    run(*apt, "download", ODOO_PACKAGE, *LINKED_PACKAGES, cwd=state)
    target.mkdir(parents=True)
    for package in sorted(state.glob("*.deb")):
        run("dpkg-deb", "-x", str(package), str(target))
    # The package lacks this third-party file; its absence is an error in the browser's console.
    addons = target / "usr/lib/python3/dist-packages/odoo/addons"
    missing = addons / "mail/static/lib/selfie_segmentation/selfie_segmentation.js"
    missing.parent.mkdir(parents=True, exist_ok=True)
    missing.touch()
    shutil.rmtree(state)


def write_sid_source(folder):
    """Copy the configured Debian source with `sid` as its suite, in whichever of apt's two notations it is."""
    release = Path("/etc/os-release")
    if not release.exists() or not re.search(r'^ID="?debian"?$', release.read_text(), re.MULTILINE):
        raise RuntimeError("this is not Debian")
    etc = Path("/etc/apt")
    for path in sorted((etc / "sources.list.d").glob("*.sources")):
        for stanza in re.split(r"\n\s*\n", path.read_text()):
            if re.search(r"^URIs:.*/debian/?\s*$", stanza, re.MULTILINE):
                stanza = re.sub(r"^Suites:.*$", "Suites: sid", stanza, flags=re.MULTILINE)
                stanza = re.sub(r"^Components:.*$", "Components: main", stanza, flags=re.MULTILINE)
                (folder / "sid.sources").write_text(stanza + "\n")
                return
    for path in [etc / "sources.list", *sorted((etc / "sources.list.d").glob("*.list"))]:
        for line in path.read_text().splitlines() if path.exists() else ():
            if match := re.match(r"(deb\s+(?:\[[^]]*\]\s+)?\S+/debian/?)\s", line):
                (folder / "sid.list").write_text(f"{match[1]} sid main\n")
                return
    raise RuntimeError("no Debian source is configured")


# Python ----------------------------------------------------------------------------------------------------------


def make_venv(odoo):
    """Make the virtual environment: the pinned packages, and Odoo by its folder."""
    shutil.rmtree(VENV, ignore_errors=True)
    try:
        run(sys.executable, "-m", "venv", str(VENV))
    except RuntimeError:
        # Debian keeps ensurepip in a package of its own.
        version = f"python{sys.version_info.major}.{sys.version_info.minor}-venv"
        say(f"Python's venv module is incomplete; installing {version} ...")
        if not install_debian_packages(version):
            stop(f"Python's venv module is incomplete: apt-get install {version}")
        shutil.rmtree(VENV, ignore_errors=True)
        run(sys.executable, "-m", "venv", str(VENV))
    run(VENV / "bin/pip", "install", "--disable-pip-version-check", "-r", str(ROOT / "dev/requirements.txt"))
    site = next(VENV.glob("lib/python3.*/site-packages"))
    (site / "odoo-source.pth").write_text(f"{odoo}\n")


def link_addon():
    """Give the checkout the addon's name, whatever its folder is called."""
    link = DEV / "addons" / "sale_iused"
    link.parent.mkdir(exist_ok=True)
    if not link.is_symlink() or link.resolve() != ROOT:
        link.unlink(missing_ok=True)
        link.symlink_to(ROOT)


def main():
    script, *arguments = sys.argv[1:]
    DEV.mkdir(exist_ok=True)
    with (DEV / "setup.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        odoo = find_odoo()
        requirements = (ROOT / "dev/requirements.txt").read_bytes()
        made_from = f"{hashlib.sha256(requirements).hexdigest()} {sys.version} {odoo} {VENV}"
        Step("venv", made_from, "Python: a virtual environment with pinned packages ...")(lambda: make_venv(odoo))
        link_addon()
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    environment.pop("PYTHONPATH", None)
    python = str(VENV / "bin/python")
    os.execve(python, [python, str(ROOT / "dev" / script), *arguments], environment)


if __name__ == "__main__":
    try:
        main()
    except RuntimeError as failure:
        stop(str(failure))
    except KeyboardInterrupt:
        stop("interrupted")
