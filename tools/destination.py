"""Where our calls may go: to the public internet, and to networks that an administrator names.

Whoever has a say in a host's name, at its name server too, could else let this server call what only this server
reaches: a router, another customer's Odoo, a cloud's metadata (OWASP: Server-Side Request Forgery). So the addresses
of a name are looked up once, all of them are checked, and one of these same addresses is connected to. Plain Python
without Odoo.
"""

import contextlib
import ipaddress
import re
import socket

PARAMETER = "sale_iused.allowed_networks"  # the system parameter that names networks
LOOPBACK = ("127.0.0.0/8", "::1/128")
# Where an Odoo may stand that calls itself; not the cloud's metadata at 169.254.169.254.
INTERNAL = (*LOOPBACK, "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")
AZURE = "168.63.129.16/32"  # looks public; Azure's own services for each of its machines, reached by that machine alone
_LOCALHOST = ipaddress.ip_address("127.0.0.1")
_GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")  # all of IPv6 that is public lies here (RFC 4291, section 2.4)
_NAT64 = ipaddress.ip_network("64:ff9b::/96")  # ends with the IPv4 address that is called (RFC 6052)
# Special by IANA's registries (RFC 6890), which not each Python's `is_global` knows; tunnels that end anywhere.
_SPECIAL = [
    ipaddress.ip_network(network)
    for network in ("192.0.0.0/24", "192.88.99.0/24", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20", AZURE)
]


class DestinationRefused(Exception):
    """A host has an address that is neither public nor in a network that was named. Nothing was sent to it.

    No `OSError`: the network did not fail, and libraries keep their hands off it.

    :ivar address: as text
    """

    def __init__(self, address):
        super().__init__(f"{address} is not public.")
        self.address = str(address)


def read_networks(text):
    """Return the networks that a text names, such as "10.1.0.0/16, fd00::/8"; a single address is one, too.

    :raises ValueError: naming what is none
    """
    return tuple(ipaddress.ip_network(word, strict=False) for word in re.split(r"[\s,;]+", text or "") if word)


def is_public(address):
    """Tell whether everybody may be called at an address, as far as the address says.

    :param address: of `ipaddress`
    """
    address = _unwrap(address)
    if address.version == 6 and address not in _GLOBAL_UNICAST:
        return False
    return address.is_global and not address.is_multicast and not any(address in network for network in _SPECIAL)


def _unwrap(address):
    """Return the IPv4 address that an IPv6 one stands for, where it does."""
    if address.version == 6 and address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return getattr(address, "ipv4_mapped", None) or address


def check(address, networks=()):
    """Let nobody call an address that is not public, unless its network was named.

    :param address: of `ipaddress`, or its text
    :param networks: of `ipaddress`, or their texts
    :raises DestinationRefused: otherwise
    """
    address = ipaddress.ip_address(address)
    if not is_public(address) and not any(_unwrap(address) in ipaddress.ip_network(network) for network in networks):
        raise DestinationRefused(address)


def check_literal(host, networks=()):
    """As `check`, for a host that needs no name server: an address, however it is written, or this computer.

    :raises DestinationRefused: nothing for any other name, which is checked when it is called
    """
    host = host.strip("[]").rstrip(".").lower()
    if host == "localhost" or host.endswith(".localhost"):  # RFC 6761, section 6.3
        check(_LOCALHOST, networks)
        return
    with contextlib.suppress(ValueError):
        check(ipaddress.ip_address(host), networks)
        return
    with contextlib.suppress(OSError, ValueError):
        check(socket.inet_ntoa(socket.inet_aton(host)), networks)  # 127.1, 2130706433, 0x7f.1


def connect(host, port, seconds, networks=(), options=()):
    """Return a socket that is connected to a host, all of whose addresses may be called.

    It may take as long as the name server: see `peer.connect_within`.

    :param seconds: to connect to one of the host's addresses, of which the next is tried then
    :param options: arguments of `setsockopt`
    :raises DestinationRefused: before any of them is connected to
    :raises OSError: when none of them can be
    """
    found = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
    for *_kind, address in found:
        check(address[0], networks)
    failure = None
    for family, kind, protocol, _name, address in found:
        sock = socket.socket(family, kind, protocol)
        try:
            for option in options:
                sock.setsockopt(*option)
            sock.settimeout(seconds)
            sock.connect(address)
        except OSError as error:
            sock.close()
            failure = error
        else:
            return sock
    raise failure or OSError("The host has no address.")
