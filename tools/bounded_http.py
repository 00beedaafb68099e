"""HTTP calls with `requests` that end in time and read little, whatever the other side does. Without Odoo.

The time-outs of `requests` begin anew with each byte that comes, it takes a hundred headers of 64 KiB, reads the
body of a redirect that it does not follow, unpacks what it was not told to, and connects to whatever address a name
server gives it. Here a call has one end, which the socket's time-out is set to before each wait, a number of bytes,
and networks beyond the public internet where it may go, none by default; the connection is the place to see to that,
as HTTP and TLS, headers and body all pass there. It takes no thread and a few microseconds for each wait.
"""

import contextlib
import functools
import http.client
import io
import logging
import threading
import time
from http.cookiejar import DefaultCookiePolicy

# pylint: disable=missing-return  # no model's methods
import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError

from . import destination
from .peer import connect_within

LARGEST_ANSWER = 256 * 1024  # bytes of a call's answers that are read in all, headers and those before the last too
LARGEST_BODY = 64 * 1024  # bytes of a body that are read: a connection whose answer was read whole can be used again

_call = threading.local()


class _Silence(logging.Filter):
    """Drops what the HTTP library logs of a call of ours: it writes the address down, warnings do so too."""

    def filter(self, record):
        return not getattr(_call, "limits", None)


for _name in list(logging.root.manager.loggerDict):
    if _name.partition(".")[0] in ("urllib3", "requests"):
        logging.getLogger(_name).addFilter(_Silence())


class _Limits:
    """What is left to a call.

    :param timeout: seconds to connect, to read; the call has their sum
    :ivar networks: as in `within`
    """

    def __init__(self, timeout, networks):
        self.networks = networks
        self._silence = timeout[1]
        self._end = time.monotonic() + sum(timeout)
        self._bytes = LARGEST_ANSWER

    def seconds(self):
        """:raises TimeoutError: when none are left"""
        seconds = self._end - time.monotonic()
        if seconds <= 0:
            raise TimeoutError("The call took too long.")
        return seconds

    def arm(self, sock):
        """Let the next thing that is done with a socket end in time."""
        sock.settimeout(min(self._silence, self.seconds()))

    def spend(self, count):
        """:raises http.client.HTTPException: when more was read than may be"""
        self._bytes -= count
        if self._bytes < 0:
            raise http.client.HTTPException("The answer is too long.")


@contextlib.contextmanager
def within(timeout, networks=()):
    """Bound the one call that is made inside.

    :param timeout: seconds to connect, to read: as for `requests`, but in all they are the call's end
    :param networks: where it may go beyond the public internet; see `destination.check`
    :raises destination.DestinationRefused: by the call, before anything is sent, when it would go elsewhere
    """
    _call.limits = _Limits(timeout, networks)
    try:
        yield
    finally:
        _call.limits = None


def open_session(url):
    """Return a `requests.Session` for many calls to one address, each of them `within` its limits.

    Proxies and certificates are looked up in the environment once and not for each call, which takes longer than all
    else on our side; a `.netrc` is not looked at. Redirects are not followed, and cookies are not kept. What is called
    without TLS is near, and not called through a proxy.
    """
    session = _Session()
    settings = session.merge_environment_settings(url, {}, None, None, None)
    session.trust_env = False
    session.proxies = settings["proxies"] if url.lower().startswith("https:") else {}
    session.verify = settings["verify"]
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))
    session.headers["Accept-Encoding"] = "identity"
    for scheme in ("http://", "https://"):
        session.mount(scheme, _Adapter())
    return session


def read_body(response):
    """Return the beginning of an answer's body as it came; the connection stays usable only where that is all of it.

    The status has come already: what is wrong with the rest changes nothing.

    :param response: a `requests.Response` that was not read yet
    """
    body = b""
    # Without it nothing is made ready to unpack, thousandfold where the header says so and the library is an old one.
    response.raw.headers.discard("Content-Encoding")
    with contextlib.suppress(HTTPError, http.client.HTTPException, OSError, ValueError, AttributeError):
        for piece in response.raw.stream(LARGEST_BODY, decode_content=False):
            body += piece
            if len(body) >= LARGEST_BODY:
                break
    return body[:LARGEST_BODY]


class _Session(requests.Session):
    def get_redirect_target(self, _response):
        """To know where a redirect leads, its body would be read first."""
        return


class _Adapter(HTTPAdapter):
    def init_poolmanager(self, *args, **kwargs):
        result = super().init_poolmanager(*args, **kwargs)
        _bound(self.poolmanager, _Connection)
        return result

    def proxy_manager_for(self, *args, **kwargs):
        return _bound(super().proxy_manager_for(*args, **kwargs), _ProxiedConnection)


def _bound(manager, kind):
    """Let a manager of connections make bounded ones; one for a proxy has connections of other kinds."""
    manager.pool_classes_by_scheme = {
        scheme: _bounded_pool(pool, kind) for scheme, pool in manager.pool_classes_by_scheme.items()
    }
    return manager


@functools.cache
def _bounded_pool(pool, kind):
    if issubclass(pool.ConnectionCls, _Connection):
        return pool
    connection = type(f"Bounded{pool.ConnectionCls.__name__}", (kind, pool.ConnectionCls), {})
    return type(f"Bounded{pool.__name__}", (pool,), {"ConnectionCls": connection})


class _Response(http.client.HTTPResponse):
    def __init__(self, sock, *args, **kwargs):
        super().__init__(sock, *args, **kwargs)
        self.fp = io.BufferedReader(_Reader(self.fp.detach(), sock, _call.limits))


class _Connection:
    """What a connection of urllib3's does otherwise here. It lives longer than a call."""

    response_class = _Response

    def _new_conn(self):
        limits = _call.limits
        try:
            connect = functools.partial(self._connect, limits.networks, super()._new_conn)
            sock = connect_within(limits.seconds(), connect)
        except TimeoutError as error:
            raise ConnectTimeoutError(self, "It took too long to connect.") from error
        except (OSError, UnicodeError) as error:  # the latter for a name that cannot be one
            raise NewConnectionError(self, "The host could not be reached.") from error
        sock.settimeout(min(self.timeout, limits.seconds()))  # for TLS, which begins next
        return sock

    def _connect(self, networks, _library):
        return destination.connect(self._dns_host, self.port, self.timeout, networks, self.socket_options or ())

    def send(self, data):
        if self.sock:
            _call.limits.arm(self.sock)
        return super().send(data)


class _ProxiedConnection(_Connection):
    """One through a proxy that the server's administrator named in the environment.

    It looks names up in our stead, and guards what lies behind it; we may know no names that are not ours.
    """

    def _connect(self, networks, library):
        destination.check_literal(self._tunnel_host or self.host, networks)
        return library()


class _Reader(io.RawIOBase):
    """The receiving end of a socket for one answer.

    :param file: the socket's own unbuffered file, which keeps it open
    """

    def __init__(self, file, sock, limits):
        self._file, self._sock, self._limits = file, sock, limits

    def readable(self):
        return True

    def readinto(self, buffer):
        self._limits.arm(self._sock)
        count = self._file.readinto(buffer)
        self._limits.spend(count)
        return count

    def close(self):
        self._file.close()
        return super().close()
