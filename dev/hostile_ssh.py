"""SSH servers that harm who talks to them unguarded, which OpenSSH (see `sshd.py`) cannot be made to do.

    with HostileSsh("endless-greeting") as server: ...

`HOSTILE` names them: some send bytes alone, the others speak SSH up to the point of harm. Needs paramiko.
"""

import contextlib
import logging
import socket
import struct
import threading

import paramiko
from paramiko import common, sftp

WORDS = "one\0two\r\nforged line\x1b[2J\x85three"  # what a server may say, and what may not be written down as it is
GREETING = b"SSH-2.0-hostile\r\n"
BLOCK = b"A" * 65536
MOST = 2**32 - 1
LOG_CHANNEL = f"{__name__}.wire"  # paramiko says there of whom it serves what the tests look for elsewhere
logging.getLogger(LOG_CHANNEL).setLevel(logging.CRITICAL + 1)

# -- servers that send bytes alone: functions that yield them ---------------------------------------------------------


def _endless_greeting():
    while True:
        yield BLOCK


def _dripped_greeting():
    while True:
        threading.Event().wait(0.2)
        yield b"A"


def _endless_lines():
    """Before its greeting a server may say something (RFC 4253, section 4.2)."""
    while True:
        yield f"{WORDS}\r\n".encode() * 100


def _no_ssh():
    yield b"\0\xff\xfe\r\n" * 200


def _bad_version():
    yield f"SSH-1.{WORDS.splitlines()[0]}\x1b[2J-hostile\r\n".encode()


def _garbled_algorithms():
    yield GREETING + _packet(bytes([common.MSG_KEXINIT]) + bytes(16) + (struct.pack(">I", 4) + b"\xff\xfe\0\r") * 10)


def _endless_packet():
    yield GREETING + struct.pack(">I", 2**31 - 4)
    while True:
        yield BLOCK


def _silence():
    yield b""
    threading.Event().wait()


def _packet(payload):
    """Return a message as it is sent before keys are agreed on (RFC 4253, section 6)."""
    padding = 8 - (len(payload) + 5) % 8 + 8
    return struct.pack(">IB", len(payload) + padding + 1, padding) + payload + bytes(padding)


BYTES = {
    "endless-greeting": _endless_greeting,
    "dripped-greeting": _dripped_greeting,
    "endless-lines": _endless_lines,
    "no-ssh": _no_ssh,
    "bad-version": _bad_version,
    "garbled-algorithms": _garbled_algorithms,
    "endless-packet": _endless_packet,
    "silence": _silence,
}

# -- servers that speak SSH -------------------------------------------------------------------------------------------

SPEAKING = (
    "malformed-key",  # its kind is said in `WORDS`
    "endless-extensions",
    "endless-prompts",
    "refused-in-words",
    "silent-files",
    "garbled-files",
    "short-version",
    "endless-attributes",
)
HOSTILE = (*BYTES, *SPEAKING)


class _MalformedKey(paramiko.ECDSAKey):
    def asbytes(self):
        return struct.pack(">I", len(WORDS.encode())) + WORDS.encode()


class _Many(list):
    """Says that it holds more than it does."""

    def __len__(self):
        return MOST


class _Transport(paramiko.Transport):
    hostile = ""

    def _activate_outbound(self):
        super()._activate_outbound()
        if self.hostile == "endless-extensions":
            message = paramiko.Message()
            message.add_byte(common.cMSG_EXT_INFO)
            message.add_int(MOST)
            self._send_message(message)


class _Server(paramiko.ServerInterface):
    def __init__(self, name):
        self.name = name

    def get_banner(self):
        return WORDS, "en"

    def get_allowed_auths(self, _username):
        return "keyboard-interactive" if self.name == "endless-prompts" else "publickey,password"

    def check_auth_password(self, _username, _password):
        return paramiko.AUTH_FAILED if self.name == "endless-prompts" else paramiko.AUTH_SUCCESSFUL

    def check_auth_publickey(self, _username, _key):
        return paramiko.AUTH_SUCCESSFUL

    def check_auth_interactive(self, _username, _submethods):
        query = paramiko.InteractiveQuery()
        query.prompts = _Many()
        return query

    def check_channel_request(self, _kind, _number):
        return paramiko.OPEN_SUCCEEDED

    def check_channel_subsystem_request(self, channel, _subsystem):
        threading.Thread(target=_speak_sftp, args=(channel, self.name), daemon=True).start()
        return True


def _speak_sftp(channel, name):
    """Answer a client that uploads a file (draft-ietf-secsh-filexfer-02)."""

    def send(kind, data):
        channel.sendall(struct.pack(">IB", len(data) + 1, kind) + data)

    def send_status(number, code, text):
        send(sftp.CMD_STATUS, number + struct.pack(">II", code, len(text)) + text + bytes(4))

    with contextlib.suppress(OSError, EOFError):
        while True:
            (size,) = struct.unpack(">I", _receive(channel, 4))
            message = _receive(channel, size)
            kind, number = message[0], message[1:5]
            if name == "silent-files":
                continue
            if name == "garbled-files":
                channel.sendall(b"\xff" * 1000)
            elif kind == sftp.CMD_INIT:
                send(sftp.CMD_VERSION, b"" if name == "short-version" else struct.pack(">I", 3))
            elif kind == sftp.CMD_OPEN and name == "refused-in-words":
                send_status(number, sftp.SFTP_FAILURE, WORDS.encode() * 1000)
            elif kind == sftp.CMD_OPEN:
                send(sftp.CMD_HANDLE, number + struct.pack(">I", 1) + b"h")
            elif kind == sftp.CMD_STAT:
                flags = paramiko.SFTPAttributes.FLAG_SIZE | paramiko.SFTPAttributes.FLAG_EXTENDED
                send(sftp.CMD_ATTRS, number + struct.pack(">IQI", flags, 0, MOST))
            else:
                send_status(number, sftp.SFTP_OK, b"")


def _receive(channel, size):
    data = b""
    while len(data) < size:
        if not (piece := channel.recv(size - len(data))):
            raise EOFError
        data += piece
    return data


class HostileSsh:
    """One of `HOSTILE`, on a free port of 127.0.0.1, with a `host_key` and for any user, password or key."""

    def __init__(self, name):
        self.name = name
        self.key = paramiko.ECDSAKey.generate()
        self.host_key = f"{self.key.get_name()} {self.key.get_base64()}"
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.connections = []

    def __enter__(self):
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def _accept(self):
        serve = self._speak if self.name in SPEAKING else self._send
        with contextlib.suppress(OSError):
            while True:
                connection, _address = self.listener.accept()
                self.connections.append(connection)
                threading.Thread(target=serve, args=(connection,), daemon=True).start()

    def _send(self, connection):
        with contextlib.suppress(OSError), connection:
            for piece in BYTES[self.name]():
                connection.sendall(piece)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65536):
                pass  # what is left unread would take back what was sent

    def _speak(self, connection):
        transport = _Transport(connection)
        transport.hostile = self.name
        transport.set_log_channel(LOG_CHANNEL)
        if self.name == "malformed-key":
            self.key.__class__ = _MalformedKey
        transport.add_server_key(self.key)
        with contextlib.suppress(paramiko.SSHException, OSError, EOFError):
            transport.start_server(server=_Server(self.name))

    def __exit__(self, *_error):
        self.listener.close()
        for connection in self.connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
