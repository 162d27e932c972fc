"""Which network address a webhook may go to.

A target's name is resolved here and the request goes to the very address that was checked, so a
name that answers differently the second time cannot lead it into the private network.
"""

from __future__ import annotations

import socket
from ipaddress import IPv4Address, IPv6Address, ip_address


class RefusedAddress(Exception):
    """The target cannot be sent to: its name is unknown, or leads to a refused address."""


def resolve(host: str, port: int, *, internal: bool, what: str = "target") -> str:
    """The address to connect to.

    Args:
        host: a name, or an address (IPv6 without brackets).
        port: the port to connect to.
        internal: also allow private, loopback and link-local addresses.
        what: what leads there, for the message.

    Raises:
        RefusedAddress: the name does not resolve, or one of its addresses is not public.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise RefusedAddress(f"cannot resolve {host}: {error}") from None
    addresses = [str(sockaddr[0]) for *_, sockaddr in found]
    if not internal:
        for address in addresses:
            if not is_public(address):
                raise RefusedAddress(
                    f"{host} leads to {address}, which is not a public address; "
                    f"set internal: true for this {what} if that is meant"
                )
    return addresses[0]


def is_public(address: str) -> bool:
    """Whether an address is one of the internet's, seen through IPv4 in IPv6 too."""
    parsed: IPv4Address | IPv6Address = ip_address(address.partition("%")[0])
    if isinstance(parsed, IPv6Address):
        embedded = parsed.ipv4_mapped or parsed.sixtofour
        if embedded is None and int(parsed) >> 32 == 0x64FF9B0000000000000000:
            embedded = IPv4Address(int(parsed) & 0xFFFFFFFF)
        if embedded is not None:
            parsed = embedded
    return parsed.is_global and not parsed.is_multicast
