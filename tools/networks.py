"""Addresses that calls come from, and the networks that they may come from."""

import functools
import ipaddress
import re

LONGEST_ADDRESS = 64  # characters; what a proxy says may be anything
V4_MAPPED = ipaddress.ip_network("::ffff:0:0/96")
# Where a reverse proxy mostly is. `is_private` would count networks for documentation as well.
NEARBY = "127.0.0.0/8 10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 169.254.0.0/16 100.64.0.0/10 ::1/128 fc00::/7 fe80::/10"


def read_address(text):
    """Return the address that a call came from.

    :param text: what the server says; None where it does not know
    :return: an address of `ipaddress`, IPv4 where it was mapped into IPv6 (RFC 4291, 2.5.5.2); else the text, cut, and
        with nothing in it that cannot be printed
    """
    try:
        address = ipaddress.ip_address(text or "")
    except ValueError:
        return "".join(filter(str.isprintable, (text or "")[:LONGEST_ADDRESS])) or "unknown"
    return getattr(address, "ipv4_mapped", None) or address


@functools.lru_cache(maxsize=64)
def parse_networks(text):
    """Return the networks that are listed.

    :param text: addresses and networks of IPv4 or IPv6, separated by commas, semicolons or blanks; or nothing
    :return: tuple of networks of `ipaddress`
    :raises ValueError: with the first entry that is neither
    """
    return tuple(_parse_network(entry) for entry in re.split(r"[,;\s]+", text or "") if entry)


def _parse_network(entry):
    try:
        network = ipaddress.ip_network(entry)
    except ValueError:
        raise ValueError(entry) from None
    if network.version == 6 and network.subnet_of(V4_MAPPED):
        return ipaddress.ip_network((network.network_address.ipv4_mapped, network.prefixlen - V4_MAPPED.prefixlen))
    return network


def allows(networks, address):
    """Tell whether a call may come from an address, as `read_address` returns it; without networks from any."""
    return not networks or any(_holds(network, address) for network in networks)


def is_nearby(address):
    """Tell whether an address, as `read_address` returns it, may be a reverse proxy's and not the caller's own."""
    return any(_holds(network, address) for network in parse_networks(NEARBY))


def _holds(network, address):
    return not isinstance(address, str) and address in network
