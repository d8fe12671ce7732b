# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""How often somebody may be wrong about the token."""

from __future__ import annotations

import ipaddress

import pytest
from failover_api.attempts import _ADDRESSES, OVERALL, PER_ADDRESS, Attempts, is_loopback


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def attempts(clock: Clock) -> Attempts:
    return Attempts(clock)


def test_an_address_has_some_tries_and_gets_them_back(attempts: Attempts, clock: Clock) -> None:
    assert [attempts.failed("192.0.2.1") for _ignored in range(PER_ADDRESS)] == [False] * (PER_ADDRESS - 1) + [True]
    assert attempts.wait("192.0.2.1") == 60 / PER_ADDRESS
    assert attempts.wait("192.0.2.2") == 0
    clock.now += 60 / PER_ADDRESS
    assert attempts.wait("192.0.2.1") == 0
    assert attempts.failed("192.0.2.1")
    clock.now += 3600
    assert [attempts.failed("192.0.2.1") for _ignored in range(PER_ADDRESS)].count(True) == 1


def test_all_together_have_more_and_this_host_its_own(attempts: Attempts) -> None:
    for number in range(OVERALL):
        assert attempts.wait("192.0.2.1") == 0
        attempts.failed(f"198.51.100.{number}")
    assert attempts.wait("192.0.2.1") == 1
    assert attempts.wait("127.0.0.1") == 0
    for _ignored in range(PER_ADDRESS):
        attempts.failed("127.0.0.1")
    assert attempts.wait("127.0.0.1") > 1


def test_a_network_of_ipv6_is_one_address(attempts: Attempts) -> None:
    for number in range(PER_ADDRESS):
        attempts.failed(f"2001:db8::{number}:1")
    assert attempts.wait("2001:db8::ffff") > 0
    assert attempts.wait("2001:db8:0:1::1") == 0
    attempts.failed("::ffff:192.0.2.7")
    assert "192.0.2.7" in attempts._addresses


def test_its_memory_is_bounded(attempts: Attempts) -> None:
    for number in range(_ADDRESSES + 100):
        attempts.failed(str(ipaddress.ip_address(2**24 + number)))
    assert len(attempts._addresses) == _ADDRESSES


@pytest.mark.parametrize(
    ("address", "expected"),
    [("127.0.0.9", True), ("::1", True), ("::ffff:127.0.0.1", True), ("10.0.0.1", False), ("unknown", False), ("", False)],
)
def test_what_this_host_is(address: str, expected: bool) -> None:
    assert is_loopback(address) is expected
