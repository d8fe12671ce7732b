# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fingerprints of keys as gpg tells them, and keys that must not be taken for the expected one."""

from __future__ import annotations

import base64
import subprocess
from pathlib import Path

import pytest

from ansible_collections.multimaster.postgresql.plugins.filter.openpgp_key_problem import openpgp_key_problem
from ansible_collections.multimaster.postgresql.plugins.plugin_utils._openpgp import fingerprints


class Keys:
    def __init__(self, home: Path) -> None:
        self._gpg = ["gpg", "--homedir", str(home), "--batch", "--quiet", "--passphrase", ""]
        for user, kind in (("first", "ed25519"), ("second", "rsa2048")):
            subprocess.run([*self._gpg, "--quick-generate-key", user, kind, "sign", "never"], check=True, capture_output=True)
        self.fingerprints = {user: self._fingerprint(user) for user in ("first", "second")}

    def _fingerprint(self, user: str) -> str:
        listed = subprocess.run([*self._gpg, "--with-colons", "--list-keys", user], check=True, capture_output=True, text=True)
        return next(line for line in listed.stdout.splitlines() if line.startswith("fpr:")).split(":")[9]

    def export(self, *users: str, armor: bool = True) -> bytes:
        command = [*self._gpg, *(["--armor"] if armor else []), "--export", *users]
        return subprocess.run(command, check=True, capture_output=True).stdout


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    home = tmp_path_factory.mktemp("gpg")
    home.chmod(0o700)
    return Keys(home)


def problem(content: bytes, fingerprint: str) -> str:
    return openpgp_key_problem(base64.b64encode(content).decode(), fingerprint)


@pytest.mark.parametrize("user", ["first", "second"])
@pytest.mark.parametrize("armor", [True, False])
def test_a_fingerprint_is_the_one_that_gpg_tells(keys: Keys, user: str, armor: bool) -> None:
    assert fingerprints(keys.export(user, armor=armor)) == [keys.fingerprints[user]]


def test_the_expected_key_alone_is_accepted(keys: Keys) -> None:
    first, second = keys.fingerprints["first"], keys.fingerprints["second"]
    spaced = " ".join(first[at : at + 4] for at in range(0, 40, 4)).lower()
    assert problem(keys.export("first"), spaced) == ""
    assert second in problem(keys.export("second"), first)
    # apt would trust what either signs.
    both = keys.export("first", "second")
    assert "alone" in problem(both, first)
    assert "alone" in problem(keys.export("first") + keys.export("second"), first)


@pytest.mark.parametrize("content", [b"", b"no key", b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n!\n-----END PGP", b"\x99\xff\xff"])
def test_what_is_no_key_is_said(content: bytes) -> None:
    assert "cannot be read as an OpenPGP key" in problem(content, "A" * 40)


def test_a_key_that_ends_too_early_is_said(keys: Keys) -> None:
    whole = keys.export("second", armor=False)
    for end in range(0, len(whole), 37):
        problem(whole[:end], keys.fingerprints["second"])  # no traceback
    assert "ends too early" in problem(whole[:100], keys.fingerprints["second"])
