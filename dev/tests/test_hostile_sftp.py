"""What an SSH server that is hostile or broken may cost: seconds, memory, and words. Needs no Odoo."""

import io
import json
import logging
import re
import subprocess
import sys
import time

import addon_tools
import pytest
from hostile_ssh import HOSTILE, WORDS, HostileSsh

sftp, destination = addon_tools.load("sftp"), addon_tools.load("destination")

MOST_MEMORY = 4 * 1024  # KiB
HANGS = 25  # seconds after which a call is taken to go on for ever; ours are to end after one
UNWRITABLE = re.compile(r"[\0-\x1f\x7f-\x9f\u2028\u2029\u202e\ud800-\udfff]")
# Run in a process of its own, whose memory is then this call's, and which can be ended.
CALL = """
import importlib, importlib.util, io, json, os, sys
spec = importlib.util.spec_from_file_location("iused_tools", sys.argv[1] + "/__init__.py",
                                              submodule_search_locations=[sys.argv[1]])
sys.modules["iused_tools"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(sys.modules["iused_tools"])
sftp = importlib.import_module("iused_tools.sftp")
import paramiko
def peak():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
for name in ("BANNER_TIMEOUT", "AUTH_TIMEOUT", "CHANNEL_TIMEOUT", "SESSION_TIMEOUT", "TEST_TIMEOUT"):
    setattr(sftp, name, 1)
target = sftp.Target(**json.loads(sys.argv[2]))
calls = {
    "upload": lambda: sftp.upload(target, io.BytesIO(b"[]"), 60),
    "probe": lambda: sftp.probe(target),
    "fetch": lambda: sftp.fetch_host_key(target.host, target.port, networks=target.networks),
}
before = peak()
kind, text = "", ""
try:
    calls[sys.argv[3]]()
except Exception as error:
    kind, text = type(error).__name__, str(error)
print(json.dumps([kind, text, peak() - before]), flush=True)
os._exit(0)
"""
FETCHED = {  # what shows a key, and harms only who uses it
    "endless-prompts",
    "refused-in-words",
    "silent-files",
    "garbled-files",
    "short-version",
    "endless-attributes",
}
ODD = {"garbled-files", "short-version"}  # raise what is no `SftpError`


def target_of(server, **values):
    return {
        "host": "127.0.0.1",
        "port": server.port,
        "user": "somebody",
        "folder": "",
        "file_name": "offers.json",
        "host_key": server.host_key,
        "password": "secret",
        "networks": destination.LOOPBACK,
        **values,
    }


@pytest.mark.parametrize("call", ["upload", "probe", "fetch"])
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_server_costs_little(name, call):
    with HostileSsh(name) as server:
        command = [sys.executable, "-c", CALL, str(addon_tools.TOOLS), json.dumps(target_of(server)), call]
        done = subprocess.run(command, capture_output=True, text=True, timeout=HANGS, check=False)
    assert not done.returncode, done.stderr
    assert not done.stderr, "nothing is logged of what the server says, nor said by a thread"
    kind, text, grown = json.loads(done.stdout)
    assert grown < MOST_MEMORY
    if call == "fetch" and name == "endless-extensions":
        assert kind in ("", "SftpError"), "it may have shown its key before"
    elif (call == "fetch" and name in FETCHED) or (call == "probe" and name == "endless-attributes"):
        assert not kind
    elif name in ODD:
        assert kind in ("SFTPError", "error")
    else:
        assert kind == "SftpError"
        assert not UNWRITABLE.search(text), text
        assert len(text) < 700


def test_words_of_a_server_are_told_in_one_line():
    said = re.compile("one two forged line")
    for name in ("malformed-key", "refused-in-words"):
        with HostileSsh(name) as server, pytest.raises(sftp.SftpError, match=said):
            sftp.upload(sftp.Target(**target_of(server)), io.BytesIO(b"[]"), HANGS)


def test_error_cleans_the_words_of_its_values_and_keeps_its_cause():
    cause = sftp.SftpError("permission denied.")
    error = sftp.SftpError("%(path)s: %(cause)s", path=WORDS * 1000, cause=cause)
    assert error.values["cause"] is cause
    assert not UNWRITABLE.search(str(error))
    assert len(error.values["path"]) == sftp.LONGEST_WORDS


def test_nothing_is_logged(caplog):
    caplog.set_level(logging.DEBUG)
    with HostileSsh("malformed-key") as server, pytest.raises(sftp.SftpError):
        sftp.upload(sftp.Target(**target_of(server)), io.BytesIO(b"[]"), HANGS)
    assert not caplog.records


def test_name_server_that_says_nothing_ends_in_time(monkeypatch):
    monkeypatch.setattr(sftp.socket, "getaddrinfo", lambda *_args, **_kwargs: time.sleep(HANGS) or [])
    target = sftp.Target(**target_of(HostileSsh("silence"), host="sftp.example"))
    start = time.monotonic()
    with pytest.raises(sftp.SftpError, match="in time"):
        sftp.upload(target, io.BytesIO(b"[]"), 0.5)
    assert time.monotonic() - start < HANGS / 2
