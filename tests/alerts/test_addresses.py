from __future__ import annotations

import socket

import pytest

from alerts.addresses import RefusedAddress, is_public, resolve


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.0.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "::1",
        "::",
        "fe80::1%eth0",
        "fd00::1",
        "ff02::1",
        "::ffff:10.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
    ],
)
def test_what_is_not_of_the_internet(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "2001:4860:4860::8888", "64:ff9b::808:808"])
def test_what_is(address: str) -> None:
    assert is_public(address)


def test_loopback_needs_internal() -> None:
    assert resolve("127.0.0.1", 80, internal=True) == "127.0.0.1"
    with pytest.raises(RefusedAddress, match=r"127.0.0.1, which is not a public address.*internal"):
        resolve("127.0.0.1", 80, internal=False)


def test_one_private_address_among_public_ones_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    def answers(*_: object, **__: object) -> list[tuple[object, ...]]:
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 443))
            for address in ("8.8.8.8", "10.0.0.1")
        ]

    monkeypatch.setattr(socket, "getaddrinfo", answers)
    with pytest.raises(RefusedAddress, match="10.0.0.1"):
        resolve("rebind.example", 443, internal=False)


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(RefusedAddress, match="cannot resolve"):
        resolve("does-not-exist.invalid", 443, internal=False)
    with pytest.raises(RefusedAddress, match="cannot resolve"):
        resolve("a" * 70 + ".example", 443, internal=False)
