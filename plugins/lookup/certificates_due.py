# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: certificates_due
short_description: Which certificates on the controller have to be made, and why
version_added: 0.1.0
author: multimaster.postgresql contributors (@multimaster)
description:
  - Reads certificates and keys on the controller, without a task, and says which of them have to be made (again).
  - A certificate is due when it or its key is missing or cannot be read, when the two do not belong together, when it
    was not issued by the authority's certificate as it is now, when it ends within O(renew_before_days), or when its
    common name or its subjectAltName is not the one wanted, or when it was revoked.
  - Private keys never appear in what it returns.
requirements:
  - cryptography on the controller, 42 or later (ansible-core brings it)
options:
  _terms:
    description:
      - The certificates wanted. Each is a dictionary with the keys C(name), C(certificate) and C(key) (paths),
        C(common_name), C(subject_alt_names) (as the filter P(multimaster.postgresql.subject_alt_names#filter) gives
        them), C(issuer) (path of the authority's certificate; without it the entry is an authority), C(passphrase) of the
        key and C(revocations), the path of the authority's list of revoked certificates.
      - An entry with C(name), C(issuer), C(revocations) and no C(certificate) is that list itself. It is due when it is not
        there, was issued by another authority, lacks a certificate of the folder C(revoked) beside it, or ends within
        O(renew_before_days).
    type: list
    elements: dict
    required: true
  renew_before_days:
    description: How many days before its end a certificate is due.
    type: int
    default: 30
  given:
    description:
      - The certificates were brought by the user and are only checked. The reasons say what is wrong with them.
      - They must be valid now, be for the names wanted at least, and be issued by a root in the issuer's file, directly or
        by way of authorities whose certificates are in one of the two files.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Say which certificates have to be made
  ansible.builtin.debug:
    msg: "{{ query('multimaster.postgresql.certificates_due', *wanted, renew_before_days=30) }}"
"""

RETURN = r"""
_raw:
  description: One entry for each certificate that is due. None when all are good.
  type: list
  elements: dict
  contains:
    name:
      description: The name given.
      type: str
    reason:
      description: Why it is due.
      type: str
      sample: ends on 2026-12-31
"""

import datetime
import typing as t
from pathlib import Path

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.errors import MultimasterError
from ansible_collections.multimaster.postgresql.plugins.plugin_utils._certificates import (
    HAS_CRYPTOGRAPHY,
    Wanted,
    authority_due,
    certificate_due,
    given_problem,
    given_revocations_problem,
    revocations_due,
)


class LookupModule(LookupBase):
    def run(self, terms: list[dict[str, t.Any]], variables: t.Any = None, **kwargs: t.Any) -> list[dict[str, str]]:
        if not HAS_CRYPTOGRAPHY:
            raise AnsibleLookupError("The controller's Python has no cryptography, which reads certificates; install it there.")
        self.set_options(var_options=variables, direct=kwargs)
        now = datetime.datetime.now(datetime.timezone.utc)
        until = now + datetime.timedelta(days=self.get_option("renew_before_days"))
        given = self.get_option("given")
        due = []
        for term in terms:
            try:
                reason = _given_problem(term, now) if given else _reason(term, until)
            except MultimasterError as error:
                raise AnsibleLookupError(str(error)) from None
            if reason:
                due.append({"name": str(term["name"]), "reason": reason})
        return due


def _reason(term: dict[str, t.Any], until: datetime.datetime) -> str:
    if "certificate" not in term:
        return revocations_due(_path(term["revocations"]), _path(term["issuer"]), until)
    wanted = _wanted(term)
    return authority_due(wanted, until) if wanted.issuer is None else certificate_due(wanted, until)


def _given_problem(term: dict[str, t.Any], now: datetime.datetime) -> str:
    if "certificate" not in term:
        return given_revocations_problem(_path(term["revocations"]), _path(term["issuer"]), now)
    return given_problem(_wanted(term), now)


def _path(value: t.Any) -> Path:
    return Path(str(value)).expanduser()


def _wanted(term: dict[str, t.Any]) -> Wanted:
    paths = {name: _path(term[name]) for name in ("certificate", "key", "issuer", "revocations") if term.get(name)}
    return Wanted(
        name=str(term["name"]),
        certificate=paths["certificate"],
        key=paths.get("key", Path()),
        common_name=str(term.get("common_name") or ""),
        subject_alt_names=tuple(str(name) for name in term.get("subject_alt_names") or ()),
        issuer=paths.get("issuer"),
        passphrase=str(term.get("passphrase") or ""),
        revocations=paths.get("revocations"),
    )
