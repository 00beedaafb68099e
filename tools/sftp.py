"""Uploading a file to an sFTP server with paramiko, which is optional. Plain Python without Odoo."""

import base64
import contextlib
import errno
import hashlib
import inspect
import io
import logging
import posixpath
import socket
import threading
import time
from dataclasses import dataclass, field

from . import destination
from .peer import clean, connect_within

# Strict key exchange came with it: without, somebody on the way can take messages out of the beginning of a connection
# (Terrapin, CVE-2023-48795). A distribution's older version may have got it, too.
LEAST_PARAMIKO = "3.4"
CONNECT_TIMEOUT = 10  # seconds
BANNER_TIMEOUT = 15  # seconds until the server greets, and again until keys are agreed on
AUTH_TIMEOUT = 30  # seconds
CHANNEL_TIMEOUT = 30  # seconds without a sign of life, at any moment after that
SESSION_TIMEOUT = 60  # seconds until files can be written, however the server trickles
TEST_TIMEOUT = 30  # seconds for all of a test, which somebody waits for
LARGEST_TALK = 512 * 1024  # bytes that a server may say to us, and besides:
BYTES_PER_BYTE = 1 / 32  # for each byte that it is sent, which it confirms
PIECE = 64 * 1024  # bytes received at a time
LONGEST_WORDS = 500  # characters of what a server says that are repeated
# What OpenSSH 9 offers by default and still holds sound, without SHA-1; of it, what this paramiko knows is offered.
SOUND_KEX = {
    "mlkem768x25519-sha256",
    "sntrup761x25519-sha512",
    "sntrup761x25519-sha512@openssh.com",
    "curve25519-sha256",
    "curve25519-sha256@libssh.org",
    "ecdh-sha2-nistp256",
    "ecdh-sha2-nistp384",
    "ecdh-sha2-nistp521",
    "diffie-hellman-group-exchange-sha256",
    "diffie-hellman-group14-sha256",
    "diffie-hellman-group16-sha512",
    "diffie-hellman-group18-sha512",
}
SOUND_CIPHERS = {
    "chacha20-poly1305@openssh.com",
    "aes128-gcm@openssh.com",
    "aes256-gcm@openssh.com",
    "aes128-ctr",
    "aes192-ctr",
    "aes256-ctr",
}
SOUND_MACS = {
    "hmac-sha2-256-etm@openssh.com",
    "hmac-sha2-512-etm@openssh.com",
    "hmac-sha2-256",
    "hmac-sha2-512",
}
RSA_SIGNATURES = ("rsa-sha2-512", "rsa-sha2-256")
SOUND_HOST_KEYS = {
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    *RSA_SIGNATURES,
}
UNSOUND_SIGNATURES = ("ssh-rsa", "ssh-dss", "ssh-rsa-cert-v01@openssh.com")  # SHA-1
# What paramiko says of a failure, it raises too: without this, each try leaves a traceback in the server's log.
LOG_CHANNEL = f"{__name__}.wire"
logging.getLogger(LOG_CHANNEL).setLevel(logging.CRITICAL + 1)


def _lt(text):
    """Mark a text for translation, which is done where there is Odoo: see the model's `_explain`."""
    return text


UNEXPECTED = _lt("Unexpected error: %(kind)s")
NOT_PUBLIC = _lt(
    "The host has the address %(address)s, which is not on the public internet. If that is right, name its network in"
    " the system parameter %(parameter)s."
)
LOST = _lt("The password or private key cannot be read any more: enter it again.")


class SftpError(Exception):
    """An upload or a test failed; the text says why, for people, without a secret.

    :ivar text: in English, ours, with the names of the values in `%(name)s`
    :ivar values: texts, which may be the server's words and are cleaned, or another `SftpError` that is the cause
    """

    def __init__(self, text, **values):
        values = {
            name: clean(value, LONGEST_WORDS) if isinstance(value, str) else value for name, value in values.items()
        }
        super().__init__(text % values if values else text)
        self.text = text
        self.values = values


class HostKeyChanged(SftpError):
    """The server shows another key than the pinned one: nothing was sent, no password either.

    :ivar host_key: the key that it shows, as "type base64"
    """

    def __init__(self, host_key):
        super().__init__(_lt("The server shows another host key than the one that was accepted. Ask iUsed why."))
        self.host_key = host_key


@dataclass(frozen=True)
class Target:
    """Where to upload to.

    :ivar private_key: in PEM or OpenSSH's format; None to log in with the password alone
    :ivar host_key: the pinned key, as "type base64"
    :ivar networks: where the host may be beyond the public internet; see `destination.check`
    """

    host: str
    port: int
    user: str
    folder: str
    file_name: str
    host_key: str
    password: str | None = field(default=None, repr=False)
    private_key: str | None = field(default=None, repr=False)
    passphrase: str | None = field(default=None, repr=False)
    networks: tuple = ()

    @property
    def path(self):
        return posixpath.join(self.folder, self.file_name)

    @property
    def part_path(self):
        """The name while it is uploaded: always the same, so that broken uploads do not pile up."""
        return posixpath.join(self.folder, f".{self.file_name}.part")


def is_available():
    """Return whether paramiko is installed, in a version that is safe: see `LEAST_PARAMIKO`."""
    try:
        import paramiko
    except ImportError:
        return False
    return "strict_kex" in inspect.signature(paramiko.Transport.__init__).parameters


def fingerprint(host_key):
    """Return the SHA256 fingerprint of a key given as "type base64", as `ssh-keygen -l` writes it."""
    digest = hashlib.sha256(base64.b64decode(host_key.split()[1])).digest()
    return f"SHA256:{base64.b64encode(digest).decode().rstrip('=')}"


def read_private_key(text, passphrase=None):
    """Return the paramiko key of a text.

    :raises SftpError: where it cannot be read, or needs another passphrase
    """
    import paramiko

    for kind in (paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey):
        try:
            return kind.from_private_key(io.StringIO(text), password=passphrase or None)
        except paramiko.PasswordRequiredException:
            raise SftpError(_lt("The private key has a passphrase, which is missing.")) from None
        except (paramiko.SSHException, ValueError, IndexError, TypeError):
            continue  # another kind, or another passphrase
    raise SftpError(_lt("The private key cannot be read: OpenSSH's format is needed, and its right passphrase."))


def fetch_host_key(host, port, pinned=None, networks=()):
    """Return the key that a server shows, as "type base64", without logging in.

    :param pinned: the key that was accepted, whose kind is asked for first
    :param networks: as in `Target`
    :raises SftpError: where there is no server, or no sound one
    """
    with _described(), _negotiated(host, port, TEST_TIMEOUT, pinned, networks=networks) as transport:
        return _shown_key(transport)


def upload(target, file, seconds):
    """Put a file in its place: under another name first, so that nobody ever reads half of it.

    :param target: the `Target`
    :param file: an open binary file, uploaded from its start, a piece at a time
    :param float seconds: after which the upload is given up, wherever it is
    :raises HostKeyChanged: before anything is sent
    :raises SftpError: the file that was there before is intact
    """
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    with _described(), _session(target, seconds, size) as sftp:
        try:
            with _told(_lt("The file %(path)s cannot be written: %(cause)s"), path=target.part_path):
                sftp.putfo(file, target.part_path, file_size=size, confirm=False)
                _check_size(sftp, target.part_path, size)
            renaming = _lt("The file %(path)s cannot be renamed to %(name)s: %(cause)s")
            with _told(renaming, path=target.part_path, name=target.file_name):
                _replace(sftp, target)
        except SftpError:
            with contextlib.suppress(OSError, EOFError):
                sftp.remove(target.part_path)
            raise


def probe(target):
    """Log in and see that the folder can be written.

    :raises SftpError: with what is in the way
    """
    text = _lt("The folder %(folder)s cannot be used: %(cause)s")
    with _described(), _session(target, TEST_TIMEOUT) as sftp, _told(text, folder=target.folder or "."):
        with sftp.open(target.part_path, "w"):
            pass
        sftp.remove(target.part_path)


def _check_size(sftp, path, size):
    """Compare a file's size there with ours, as `putfo` does by `stat`; but that makes as many extended attributes as
    the server says there are, 2**32 of them if it likes. The size comes before them.

    :raises OSError: when it is another
    """
    import paramiko.sftp

    _kind, answer = sftp._request(paramiko.sftp.CMD_STAT, path)
    answer.get_int()  # which attributes there are
    if (there := answer.get_int64()) != size:
        raise OSError(f"size mismatch, {there} bytes are there and {size} were sent")


def _replace(sftp, target):
    """Rename in one step. Servers without OpenSSH's extension get the plain call, which some of them allow."""
    try:
        sftp.posix_rename(target.part_path, target.path)
    except OSError as error:
        if error.errno:  # a plain refusal
            raise
        sftp.rename(target.part_path, target.path)


@contextlib.contextmanager
def _session(target, seconds, size=0):
    """Give an `SFTPClient` that is logged in to the server with the pinned key.

    :param int size: bytes that will be sent
    """
    import paramiko

    with _negotiated(target.host, target.port, seconds, target.host_key, size, target.networks) as transport:
        if (shown := _shown_key(transport)) != target.host_key:
            raise HostKeyChanged(shown)
        with _given_up_after(SESSION_TIMEOUT, transport):
            _log_in(transport, target)
            sftp = paramiko.SFTPClient.from_transport(transport)
        sftp.get_channel().settimeout(CHANNEL_TIMEOUT)
        yield sftp


def _shown_key(transport):
    key = transport.get_remote_server_key()
    return f"{key.get_name()} {key.get_base64()}"


def _log_in(transport, target):
    asked_next = ["password"]
    if target.private_key:
        key = read_private_key(target.private_key, target.passphrase)
        asked_next = transport.auth_publickey(target.user, key)
    if target.password and "password" in asked_next:
        transport.auth_password(target.user, target.password)
    if not transport.is_authenticated():
        raise SftpError(_lt("The server asks for more than what is set: password, private key, or both."))


@contextlib.contextmanager
def _negotiated(host, port, seconds, pinned=None, size=0, networks=()):
    """Give a `Transport` that agreed on keys, but is not logged in. It is closed after so many seconds.

    :param pinned: the host key that is expected: of the several that a server may have, it shows that kind first
    :param int size: bytes that will be sent
    """
    import paramiko

    end = time.monotonic() + seconds
    sock = connect_within(seconds, lambda: destination.connect(host, port, CONNECT_TIMEOUT, networks))
    sock = _BoundedSocket(fileno=sock.detach())
    sock.left = LARGEST_TALK + size * BYTES_PER_BYTE
    try:
        transport = paramiko.Transport(sock, disabled_algorithms={"pubkeys": UNSOUND_SIGNATURES})
    except BaseException:
        sock.close()
        raise
    try:
        with _given_up_after(seconds, transport, end):
            transport.set_log_channel(LOG_CHANNEL)
            transport.packetizer.read_message = _bound_messages(transport.packetizer.read_message)
            transport.banner_timeout = transport.handshake_timeout = BANNER_TIMEOUT
            transport.auth_timeout = AUTH_TIMEOUT
            transport.channel_timeout = CHANNEL_TIMEOUT
            _choose_algorithms(transport.get_security_options(), pinned)
            transport.start_client(timeout=BANNER_TIMEOUT * 2)
            if not transport.initial_kex_done:
                raise TimeoutError
            yield transport
    finally:
        transport.close()


@contextlib.contextmanager
def _given_up_after(seconds, transport, end=None):
    """Close a connection when what is done inside takes longer: a server that trickles keeps every time-out of
    paramiko's from passing.

    :param float end: on the monotonic clock, where the seconds have begun already
    """
    overdue = threading.Event()
    left = seconds if end is None else end - time.monotonic()
    watchdog = threading.Timer(left, lambda: (overdue.set(), transport.close()))
    watchdog.daemon = True
    watchdog.start()
    try:
        yield
    except Exception as error:
        if overdue.is_set():
            raise SftpError(
                _lt("It took longer than %(seconds)s seconds and was given up."), seconds=round(seconds)
            ) from error
        raise
    finally:
        watchdog.cancel()


class _BoundedSocket(socket.socket):
    """Takes no more than `left` bytes in: paramiko keeps a greeting, or a packet of up to 4 GiB, until it is whole."""

    def recv(self, size, *flags):
        data = super().recv(min(size, PIECE), *flags)  # room for all of it would be made at once
        self.left -= len(data)
        if self.left < 0:
            raise OSError(errno.EMSGSIZE, "The server says too much.")
        return data


def _bound_messages(read_message):
    """Let the messages that are lists end where their bytes end.

    paramiko goes on with zeros, and would read as many entries as the server says there are, up to 2**32.

    :param read_message: a packetizer's, which returns a message's type and its `Message`
    """
    import paramiko

    class Bounded(paramiko.Message):
        def get_bytes(self, size):
            data = self.packet.read(size)
            if len(data) < size:
                raise paramiko.SSHException("A message ends too early.")
            return data

    def read():
        kind, message = read_message()
        if kind in (paramiko.common.MSG_EXT_INFO, paramiko.common.MSG_USERAUTH_INFO_REQUEST):
            message.__class__ = Bounded
        return kind, message

    return read


def _choose_algorithms(options, pinned):
    kind = pinned and pinned.split()[0]
    first = RSA_SIGNATURES if kind == "ssh-rsa" else (kind,)
    options.kex = [name for name in options.kex if name in SOUND_KEX]
    options.ciphers = [name for name in options.ciphers if name in SOUND_CIPHERS]
    options.digests = [name for name in options.digests if name in SOUND_MACS]
    key_types = [name for name in options.key_types if name in SOUND_HOST_KEYS]
    options.key_types = sorted(key_types, key=lambda name: name not in first)


# What went wrong, in words ---------------------------------------------------------------------------------------


@contextlib.contextmanager
def _told(text, **values):
    """Say what was being done when a server refuses.

    :param text: with `%(cause)s` for the refusal
    """
    try:
        yield
    except OSError as error:
        raise SftpError(text, **values, cause=_describe(error)) from error


@contextlib.contextmanager
def _described():
    """Turn whatever the network, the server or paramiko raise into an `SftpError`."""
    import paramiko

    try:
        yield
    except SftpError:
        raise
    except destination.DestinationRefused as error:
        raise SftpError(NOT_PUBLIC, address=error.address, parameter=destination.PARAMETER) from error
    except paramiko.SSHException as error:
        raise _describe_ssh(error) from error
    except (OSError, EOFError, ValueError) as error:
        raise _describe(error) from error


def _describe_ssh(error):
    import paramiko

    if isinstance(error, paramiko.AuthenticationException):
        return SftpError(_lt("The server does not accept the user name with this password or private key."))
    if "Incompatible" in type(error).__name__:
        return SftpError(_lt("The server offers outdated encryption only: %(detail)s."), detail=str(error))
    if "banner" in str(error):
        text = _lt("There is no SSH server at this address, or it did not answer within %(seconds)s seconds.")
        return SftpError(text, seconds=BANNER_TIMEOUT)
    return SftpError(_lt("The connection failed: %(detail)s"), detail=str(error))


def _describe(error):
    for kind, text in (
        (EOFError | ConnectionResetError | BrokenPipeError, _lt("The server closed the connection.")),
        (TimeoutError, _lt("The server did not answer in time.")),
        (socket.gaierror, _lt("The host name is not known.")),
        (ConnectionRefusedError, _lt("The server refuses connections at this port.")),
    ):
        if isinstance(error, kind):
            return SftpError(text)
    known = {
        errno.ENOENT: _lt("there is no such folder."),
        errno.EACCES: _lt("permission denied."),
        errno.EHOSTUNREACH: _lt("The server cannot be reached."),
        errno.ENETUNREACH: _lt("The server cannot be reached."),
        errno.EMSGSIZE: _lt("The server says more than a server of files has to."),
    }
    if text := known.get(getattr(error, "errno", None)):
        return SftpError(text)
    return SftpError("%(detail)s", detail=str(error) or type(error).__name__)
