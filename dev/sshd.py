"""A real OpenSSH server on a free loopback port, with keys, a folder and a user of its own, and bad networks.

    with Sshd() as server: ...                  # as this user, or as `daemon` where that is root: keys only
    with Sshd(password="...") as server: ...    # also passwords; see `why_no_passwords`
    with Throttle(server.port, 10_000) as slow: ...

Needs psutil (which Odoo needs too) and OpenSSH (`sshd`, `ssh-keygen`).
"""

import contextlib
import os
import pwd
import secrets
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import psutil

UNPRIVILEGED = "daemon"  # a system user that every Linux has and that OpenSSH lets in
# A mount namespace in which the server sees user accounts of ours: the machine's own are never touched.
OWN_ACCOUNTS = """
mount --bind "$1/passwd" /etc/passwd && mount --bind "$1/shadow" /etc/shadow && mount -t tmpfs none /run &&
mkdir /run/sshd && shift && exec "$@"
"""


def find(name):
    """Return the path of a program of OpenSSH; those of administrators are not on everybody's path. Or None."""
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


def why_no_passwords():
    """Return why no server that takes passwords can be started here, or None.

    OpenSSH compares them with the system's accounts, for which it must be root. We give it accounts of its own in a
    mount namespace, for which that root must be allowed to mount.
    """
    if os.geteuid():
        return "OpenSSH checks passwords only as root, and this is not root."
    namespace = ["unshare", "--mount", "--propagation", "private", "mount", "-t", "tmpfs", "none", "/run"]
    if subprocess.run(namespace, capture_output=True, check=False).returncode:
        return "OpenSSH checks passwords of system users only; this root may not mount accounts made for the test."
    return None


def make_key(path, passphrase="", kind="ed25519"):
    """Make a pair of keys; return the private key's text."""
    program = [find("ssh-keygen"), "-q", "-t", kind, "-N", passphrase, "-C", "test", "-f", str(path)]
    subprocess.run(program, check=True, stdin=subprocess.DEVNULL)
    return path.read_text()


class Sshd:
    """The server. Its `folder` is what the user sees as `/`-path; `client_key` opens it.

    :param password: also take this password, for which it runs as root
    :param largest_file: bytes to which it can write a file; for a full disk
    :param options: lines of `sshd_config` by name, which win over ours
    """

    def __init__(self, password=None, largest_file=None, **options):
        self.home = Path(tempfile.mkdtemp(prefix="iused-sshd-"))
        self.folder = self.home / "folder"
        self.folder.mkdir()
        self.password = password
        self.largest_file = largest_file
        self.options = options
        account = pwd.getpwnam(UNPRIVILEGED) if not os.geteuid() else pwd.getpwuid(os.geteuid())
        self.uid, self.gid, self.user = account.pw_uid, account.pw_gid, account.pw_name
        if password:
            self.user = f"iused-{secrets.token_hex(4)}"
        self.client_key = make_key(self.home / "client")
        (self.home / "authorized").write_text((self.home / "client.pub").read_text())
        self.make_host_key()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.process = None

    def make_host_key(self, kind="ed25519"):
        """Give the server a new key of its own, in the place of the one it has."""
        for path in (self.home / "host", self.home / "host.pub"):
            path.unlink(missing_ok=True)
        make_key(self.home / "host", kind=kind)
        self.host_key = " ".join((self.home / "host.pub").read_text().split()[:2])

    def start(self):
        command = [find("sshd"), "-D", "-e", "-f", self._write_config()]
        if self.largest_file:
            command = ["prlimit", f"--fsize={self.largest_file}", *command]
        identity = {}
        if self.password:
            self._write_accounts()
            command = [
                "unshare",
                "--mount",
                "--propagation",
                "private",
                "sh",
                "-c",
                OWN_ACCOUNTS,
                "sh",
                self.home,
                *command,
            ]
        elif not os.geteuid():
            identity = {"user": self.uid, "group": self.gid, "extra_groups": []}
        for path in [self.home, *self.home.rglob("*")]:
            if not os.geteuid():
                os.chown(path, self.uid, self.gid)
        self.home.chmod(0o711)
        with (self.home / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                start_new_session=True,
                restore_signals=False,  # a write beyond `largest_file` is an error, which Python has set, not the end
                **identity,
            )
        end = time.monotonic() + 15
        while time.monotonic() < end and self.process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1) as probe:
                if probe.recv(4) == b"SSH-":
                    return self
            time.sleep(0.05)
        raise RuntimeError(f"sshd did not start:\n{self.log()}")

    def _write_config(self):
        options = {
            "ListenAddress": "127.0.0.1",
            "Port": self.port,
            "HostKey": self.home / "host",
            "AuthorizedKeysFile": self.home / "authorized",
            "PidFile": "none",
            "StrictModes": "no",
            "UsePAM": "no",
            "PasswordAuthentication": "yes" if self.password else "no",
            "KbdInteractiveAuthentication": "no",
            "AllowUsers": self.user,
            "Subsystem": "sftp internal-sftp",
            "ForceCommand": "internal-sftp",
            "LogLevel": "VERBOSE",
            **self.options,
        }
        config = self.home / "config"
        config.write_text("".join(f"{name} {value}\n" for name, value in options.items()))
        return config

    def _write_accounts(self):
        hashed = subprocess.run(
            ["openssl", "passwd", "-6", "-stdin"], input=self.password, capture_output=True, text=True, check=True
        ).stdout.strip()
        line = f"{self.user}:x:{self.uid}:{self.gid}::/:/bin/sh\n"
        (self.home / "passwd").write_text(Path("/etc/passwd").read_text() + line)
        (self.home / "shadow").write_text(f"{self.user}:{hashed}:19000:0:99999:7:::\n")
        (self.home / "shadow").chmod(0o600)

    def log(self):
        return (self.home / "log").read_text(errors="replace")

    def kill(self):
        """End the server and the connections that it has, as a crash does."""
        listener = psutil.Process(self.process.pid)
        for process in [listener, *listener.children(recursive=True)]:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self.process.wait()

    def stop(self):
        if self.process and self.process.poll() is None:
            self.kill()
        self.process = None

    __enter__ = start

    def __exit__(self, *_exc):
        self.stop()
        shutil.rmtree(self.home, ignore_errors=True)


class Throttle:
    """A bad network before a server: so many bytes a second go up, or none at all.

    :param rate: bytes a second from the client to the server
    :param stall_after: bytes after which nothing passes any more, in either direction; the connection stays open
    """

    def __init__(self, port, rate=None, stall_after=None):
        self.target, self.rate, self.stall_after = port, rate, stall_after
        self.passed = 0
        self.closed = threading.Event()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.sockets = [self.listener]

    def __enter__(self):
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def _accept(self):
        while not self.closed.is_set():
            try:
                client, _address = self.listener.accept()
                server = socket.create_connection(("127.0.0.1", self.target))
            except OSError:
                return
            # Small buffers: what the client believes to be sent is not far ahead of what passed.
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384)
            self.sockets += [client, server]
            threading.Thread(target=self._pass, args=(client, server, True), daemon=True).start()
            threading.Thread(target=self._pass, args=(server, client, False), daemon=True).start()

    def _pass(self, source, sink, upwards):
        piece = min(16_384, self.rate // 10) if self.rate and upwards else 65_536
        with contextlib.suppress(OSError):
            while data := source.recv(piece):
                if self.stall_after is not None and self.passed >= self.stall_after:
                    self.closed.wait()
                    return
                sink.sendall(data)
                if upwards:
                    self.passed += len(data)
                    if self.rate and self.closed.wait(len(data) / self.rate):
                        return
        # Also after a reset, as by a server that was killed: the other side must learn of it.
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    def __exit__(self, *_exc):
        self.closed.set()
        for each in self.sockets:
            each.close()
