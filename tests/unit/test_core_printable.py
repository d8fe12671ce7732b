# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Names that others have chosen stay inside the sentences that have them."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.multimaster.postgresql.plugins.module_utils._core.edge import finish
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.errors import MultimasterError
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.printable import printable
from ansible_collections.multimaster.postgresql.plugins.plugin_utils._mesh_status import mesh_status

FORGED = "x\nNo problems.\r\x1b[2J\x9b31m\u2028\u202e"
HARMLESS = r"x\nNo problems.\r\x1b[2J\x9b31m\u2028\u202e"


@pytest.mark.parametrize(
    ("text", "shown"),
    [("Käse \"1\" 's", "Käse \"1\" 's"), (FORGED, HARMLESS), ("tab\t", r"tab\t"), ("\ud800", r"\ud800"), ("", "")],
)
def test_only_what_is_shown_as_itself_stays(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_a_module_s_failure_is_one_line() -> None:
    failed: dict[str, t.Any] = {}

    class Failing:
        def fail_json(self, **result: t.Any) -> None:
            failed.update(result)
            raise SystemExit(1)

    def work() -> dict[str, t.Any]:
        raise MultimasterError(f"There is no {FORGED}.")

    with pytest.raises(SystemExit):
        finish(t.cast("t.Any", Failing()), work)
    assert failed["msg"] == f"There is no {HARMLESS}."


def test_a_status_has_no_line_of_somebody_else_s() -> None:
    answers = {"pg1": {"info": {"node": {}, "problems": [f"The table {FORGED} is locked."], "subscriptions": [], "slots": []}}}
    (node,) = mesh_status([{"name": "pg1", "node_id": 1, "address": "192.0.2.1"}], answers)
    assert node["problems"] == [f"The table {HARMLESS} is locked."]
