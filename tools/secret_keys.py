"""The keys that open secrets: Fernet (AES-128 in CBC mode, signed by HMAC-SHA256), as text or in a file."""

import os
import secrets
from contextlib import suppress
from pathlib import Path

from cryptography.fernet import Fernet


def read_keys(text):
    """Return the keys of a comma-separated text, each 32 bytes in base64.

    :rtype: list[Fernet]
    :raises ValueError: where one of them is none, without repeating it
    """
    try:
        keys = [Fernet(part.strip()) for part in text.split(",")]
    except ValueError:
        keys = []
    if not keys:
        raise ValueError("not a Fernet key")
    return keys


def read_key_file(path):
    """Return the keys of a file; none where it is missing.

    :rtype: list[Fernet]
    :raises ValueError: where it holds no key
    :raises OSError: where it cannot be read
    """
    try:
        return read_keys(Path(path).read_text("latin-1"))
    except FileNotFoundError:
        return []


def make_key_file(path):
    """Make a key in a file that nobody but its owner can read at any moment.

    Several processes may do this at once: all of them find the same key there afterwards, and none finds half of it.

    :raises OSError: where the folder cannot be written
    """
    draft = f"{path}.{secrets.token_hex(8)}"
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(Fernet.generate_key())
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):  # another process was faster
            os.link(draft, path)
    finally:
        os.unlink(draft)
    _sync_folder(os.path.dirname(path))


def _sync_folder(path):
    """Have a folder's entries on disk: what is encrypted must not outlive its key."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
