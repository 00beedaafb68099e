"""Uploads by sFTP against a real OpenSSH server, over good and bad networks. Needs no Odoo but for the last test."""

import io
import json
import os
import subprocess
import sys
import threading
import time

import addon_tools
import pytest

from sshd import Sshd, Throttle, find, make_key, why_no_passwords

sftp, destination = addon_tools.load("sftp"), addon_tools.load("destination")

OLD, NEW = b"[]\n", b'[{"sku": "NEW"}]\n'
PASSWORD = "correct horse é"
OFFER = (
    '{"sku": "IP13-%07d", "name": "iPhone 13 128 GB Midnight (grade A) %d", "ean": "4006381333931",'
    ' "stock_available": 3, "price_purchase_amount": 199.00, "price_consumer_amount": 249.00, "currency": "EUR"},\n'
)
# Run in a process of its own, whose memory is then this upload's.
UPLOAD = """
import importlib.util, json, sys, time
spec = importlib.util.spec_from_file_location("iused_tools", sys.argv[1] + "/__init__.py",
                                              submodule_search_locations=[sys.argv[1]])
sys.modules["iused_tools"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(sys.modules["iused_tools"])
from iused_tools import sftp
def peak():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
target = sftp.Target(**json.loads(sys.argv[3]))
sftp.probe(target)
before = peak()
start = time.monotonic()
with open(sys.argv[2], "rb") as file:
    sftp.upload(target, file, 100)
print(time.monotonic() - start, peak() - before)
"""


@pytest.fixture
def server():
    with Sshd() as running:
        (running.folder / "offers.json").write_bytes(OLD)
        os.chown(running.folder / "offers.json", running.uid, running.gid)
        yield running


def target_of(server, **values):
    return sftp.Target(
        **{
            "host": "127.0.0.1",
            "port": server.port,
            "user": server.user,
            "folder": str(server.folder),
            "file_name": "offers.json",
            "host_key": server.host_key,
            "private_key": server.client_key,
            "networks": destination.LOOPBACK,
            **values,
        }
    )


def upload(server, content=NEW, seconds=60, **values):
    sftp.upload(target_of(server, **values), io.BytesIO(content), seconds)


def refuse(server, text, **values):
    """The upload fails, in these words, and the file that was there is untouched."""
    with pytest.raises(sftp.SftpError, match=text) as caught:
        upload(server, **values)
    assert (server.folder / "offers.json").read_bytes() == OLD
    return caught.value


def names(server):
    return sorted(path.name for path in server.folder.iterdir())


def test_key(server):
    upload(server)
    assert (server.folder / "offers.json").read_bytes() == NEW
    assert names(server) == ["offers.json"]


@pytest.mark.parametrize("kind", ["rsa", "ecdsa"])
def test_other_kinds_of_key_with_passphrase(server, tmp_path, kind):
    key = make_key(tmp_path / kind, passphrase="ph é", kind=kind)
    (server.home / "authorized").write_text((tmp_path / f"{kind}.pub").read_text())
    upload(server, private_key=key, passphrase="ph é")
    assert names(server) == ["offers.json"]


@pytest.fixture
def password_server():
    if reason := why_no_passwords():
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.xfail(reason)
    with Sshd(password=PASSWORD) as running:
        (running.folder / "offers.json").write_bytes(OLD)
        yield running


def test_password(password_server):
    upload(password_server, private_key=None, password=PASSWORD)
    assert (password_server.folder / "offers.json").read_bytes() == NEW


def test_wrong_password(password_server):
    error = refuse(password_server, "does not accept", private_key=None, password="SECRET")
    assert "SECRET" not in str(error)


def test_wrong_key(server, tmp_path):
    refuse(server, "does not accept", private_key=make_key(tmp_path / "other"))


@pytest.mark.parametrize("kind", ["ed25519", "rsa"])
def test_changed_host_key_gets_nothing(server, kind):
    pinned = server.host_key
    server.stop()
    server.make_host_key(kind)
    server.start()
    error = refuse(server, "another host key", host_key=pinned)
    assert isinstance(error, sftp.HostKeyChanged)
    assert error.host_key == server.host_key
    assert sftp.fetch_host_key("127.0.0.1", server.port, networks=destination.LOOPBACK) == server.host_key
    upload(server, host_key=error.host_key)


def test_server_with_several_keys_is_known_by_the_pinned_one(tmp_path):
    make_key(tmp_path / "rsa", kind="rsa")
    with Sshd() as server:
        server.stop()
        (server.home / "rsa").write_text((tmp_path / "rsa").read_text())
        (server.home / "rsa").chmod(0o600)
        server.options["HostKey"] = f"{server.home / 'host'}\nHostKey {server.home / 'rsa'}"
        server.start()
        pinned = " ".join((tmp_path / "rsa.pub").read_text().split()[:2])
        upload(server, host_key=pinned)
        assert sftp.fetch_host_key("127.0.0.1", server.port, pinned, destination.LOOPBACK) == pinned


@pytest.mark.parametrize(
    "option",
    [
        {"KexAlgorithms": "diffie-hellman-group14-sha1"},
        {"Ciphers": "aes256-cbc"},
        {"MACs": "hmac-sha1"},
    ],
    ids=str,
)
def test_outdated_encryption_is_refused(option):
    with Sshd(**option) as server:
        (server.folder / "offers.json").write_bytes(OLD)
        refuse(server, "outdated encryption")


def test_read_only_folder(server):
    server.folder.chmod(0o555)
    refuse(server, "cannot be written: permission denied")
    with pytest.raises(sftp.SftpError, match="permission denied"):
        sftp.probe(target_of(server))


def test_missing_folder(server):
    refuse(server, "no such folder", folder=str(server.folder / "missing"))


def test_denied_rename_leaves_nothing_behind(server):
    (server.folder / "taken").mkdir()
    refuse(server, "cannot be renamed", file_name="taken")
    assert names(server) == ["offers.json", "taken"]


def test_full_disk():
    """A limit on the size of files stands for the disk."""
    with Sshd(largest_file=1_000_000) as server:
        (server.folder / "offers.json").write_bytes(OLD)
        refuse(server, "cannot be written", content=b"x" * 5_000_000)
        assert names(server) == ["offers.json"]


def test_nobody_there_or_no_ssh(server):
    server.stop()
    with pytest.raises(sftp.SftpError, match="refuses connections"):
        upload(server)
    with pytest.raises(sftp.SftpError, match="host name"):
        upload(server, host="nowhere.invalid")


def test_server_killed_in_mid_transfer(server):
    with Throttle(server.port, rate=2_000_000) as slow:

        def kill_in_mid_transfer():
            # Not by the clock: a server that is still starting the session would leave a part of it alive.
            while slow.passed < 1_000_000:
                time.sleep(0.05)
            server.kill()

        killer = threading.Thread(target=kill_in_mid_transfer, daemon=True)
        killer.start()
        refuse(
            server,
            "closed the connection|connection failed|Socket is closed",
            content=os.urandom(20_000_000),
            port=slow.port,
        )
        killer.join()
        assert 1_000_000 <= slow.passed < 20_000_000
    server.start()
    upload(server)
    assert names(server) == ["offers.json"], "the broken upload's rest is taken over by the next"


def test_slow_server_is_given_up(server):
    with Throttle(server.port, rate=200_000) as slow:
        start = time.monotonic()
        refuse(server, "longer than 3 seconds", content=os.urandom(20_000_000), port=slow.port, seconds=3)
        assert time.monotonic() - start < 8


def test_black_holes_time_out(server, monkeypatch):
    for name in ("CONNECT_TIMEOUT", "BANNER_TIMEOUT", "AUTH_TIMEOUT", "CHANNEL_TIMEOUT"):
        monkeypatch.setattr(sftp, name, 1)
    for stall_after in (0, 1_000, 2_600, 500_000):  # before the greeting, during keys, log-in, transfer
        with Throttle(server.port, stall_after=stall_after) as hole:
            start = time.monotonic()
            refuse(server, ".", content=os.urandom(5_000_000), port=hole.port, seconds=30)
            assert time.monotonic() - start < 10, stall_after


def test_a_hundred_thousand_offers_beside_plain_sftp(server, tmp_path, capsys):
    """The memory does not grow with the file, and the time is near OpenSSH's own."""
    feed = tmp_path / "feed.json"
    with feed.open("w") as file:
        file.write("[")
        file.writelines(OFFER % (number, number) for number in range(100_000))
        file.write("]\n")
    done = subprocess.run(
        [sys.executable, "-c", UPLOAD, str(addon_tools.TOOLS), str(feed), json.dumps(vars(target_of(server)))],
        capture_output=True,
        text=True,
        check=False,
    )
    assert not done.returncode, done.stderr
    seconds, grown = map(float, done.stdout.split())
    assert (server.folder / "offers.json").read_bytes() == feed.read_bytes()
    key = tmp_path / "key"
    key.write_text(server.client_key)
    key.chmod(0o600)
    batch = f"put {feed} {server.folder}/plain.json\n"
    start = time.monotonic()
    subprocess.run(
        [find("sftp"), "-q", "-b", "-", "-P", str(server.port), "-i", str(key), "-o", "StrictHostKeyChecking=no",
         "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR", f"{server.user}@127.0.0.1"],
        input=batch, text=True, check=True, capture_output=True,
    )  # fmt: skip
    plain = time.monotonic() - start
    with capsys.disabled():
        size = feed.stat().st_size / 1e6
        print(f"\n100,000 offers, {size:.1f} MB: ours {seconds:.2f} s, sftp put {plain:.2f} s; +{grown / 1024:.1f} MiB")
    assert grown < 16 * 1024, "KiB"
