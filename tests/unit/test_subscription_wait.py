# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""When a subscription counts as working, look after look."""

from __future__ import annotations

import itertools
import typing as t

import pytest
from subscription_cases import SLOT, T, local, subscription, wanted

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.errors import MultimasterError
from ansible_collections.multimaster.postgresql.plugins.module_utils._subscription import wait as _subscription_wait
from ansible_collections.multimaster.postgresql.plugins.module_utils._subscription.model import Subscription, Worker

OLD, NEW = Worker(7, 95, 60), Worker(8, 95, 0.1)


@pytest.fixture
def wait(monkeypatch: pytest.MonkeyPatch) -> t.Callable[..., int]:
    """Wait with these looks in turn, the last of them for ever, one second apart. Returns how many were needed."""

    def run(*looks: Subscription | None, timeout: int = 20, **options: t.Any) -> int:
        seen = itertools.count()
        clock = itertools.count()

        def read(*_ignored: t.Any) -> t.Any:
            return local(subscription=looks[min(next(seen), len(looks) - 1)])

        monkeypatch.setattr(_subscription_wait, "read", read)
        monkeypatch.setattr(_subscription_wait.time, "monotonic", lambda: next(clock))
        monkeypatch.setattr(_subscription_wait.time, "sleep", lambda _seconds: None)
        _subscription_wait.wait(t.cast("t.Any", None), wanted(wait_timeout=timeout), lambda: SLOT, **options)
        return next(seen)

    return run


def test_one_look_is_enough_for_one_that_works(wait: t.Callable[..., int]) -> None:
    assert wait(subscription()) == 1


def test_tables_and_worker(wait: t.Callable[..., int]) -> None:
    assert wait(subscription(worker=None), subscription(tables={T: "d"}), subscription()) == 3


def test_the_worker_of_before_does_not_count(wait: t.Callable[..., int]) -> None:
    old = subscription(worker=OLD)
    assert wait(old, old, subscription(worker=None), subscription(worker=NEW), old_worker=7) == 4
    assert wait(old) == 1


def test_a_busy_worker_is_not_waited_out(wait: t.Callable[..., int]) -> None:
    """It looks whether its subscription changed once its transaction is over."""
    assert 3 < wait(subscription(worker=OLD), old_worker=7) < 10


def test_what_the_slot_held_is_got_over_first(wait: t.Callable[..., int]) -> None:
    assert wait(subscription(), subscription(worker=OLD._replace(received_lsn=120)), position=110) == 2
    with pytest.raises(MultimasterError, match="workers failed 3 times"):
        wait(subscription(), subscription(worker=None, apply_errors=3), position=110)


@pytest.mark.parametrize(
    ("last", "said"),
    [
        (subscription(enabled=False), "disabled"),
        (subscription(worker=None, sync_errors=3), "workers failed 3 times"),
        (subscription(tables={T: "d"}), "public.t"),
        (None, "was removed"),
    ],
)
def test_it_ends(wait: t.Callable[..., int], last: Subscription | None, said: str) -> None:
    with pytest.raises(MultimasterError, match=said):
        wait(subscription(worker=None), last)


def test_two_errors_may_pass(wait: t.Callable[..., int]) -> None:
    failing = subscription(worker=None, sync_errors=2)
    assert wait(subscription(worker=None), failing, subscription(sync_errors=2)) == 3


@pytest.mark.parametrize(
    ("changed", "restarts"),
    [(["conninfo.host"], True), (["comment", "binary"], True), (["comment", "synchronous_commit", "tables"], False), ([], False)],
)
def test_what_makes_the_worker_start_anew(changed: list[str], restarts: bool) -> None:
    assert _subscription_wait.restarts_worker(changed) is restarts
