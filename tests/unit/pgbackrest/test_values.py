# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What no option may be, in every module for backups: one sentence, before a program is run."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.multimaster.postgresql.plugins.module_utils._backup import catalog_manager
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.errors import MultimasterError
from ansible_collections.multimaster.postgresql.plugins.module_utils._core.values import nearest
from ansible_collections.multimaster.postgresql.plugins.module_utils._pgbackrest import backup, config, expire, stanza
from ansible_collections.multimaster.postgresql.plugins.module_utils._restore import proof, restore
from ansible_collections.multimaster.postgresql.plugins.modules import (
    backup_catalog,
    pgbackrest_backup,
    pgbackrest_expire,
    pgbackrest_prove,
    pgbackrest_restore,
    pgbackrest_stanza,
)

MODULES: dict[str, tuple[t.Any, t.Callable[..., t.Any], dict[str, t.Any]]] = {
    "backup": (pgbackrest_backup, backup.manage_backup, {"stanza": "pg1"}),
    "catalog": (backup_catalog, catalog_manager.manage_catalog, {"servers": [{"host": "h", "port": 6379}]}),
    "expire": (pgbackrest_expire, expire.manage_expiry, {"stanza": "pg1"}),
    "prove": (pgbackrest_prove, proof.manage_proof, {"pg_path": "/copy"}),
    "restore": (pgbackrest_restore, restore.manage_restore, {"stanza": "pg1", "pg_path": "/copy"}),
    "stanza": (pgbackrest_stanza, stanza.manage_stanza, {"stanza": "pg1"}),
}
SHARED: list[tuple[dict[str, t.Any], str]] = [
    ({"stanza": ""}, "stanza is ''"),
    ({"stanza": ".."}, "stanza is '..'"),
    ({"stanza": "a/b"}, "stanza is 'a/b'"),
    ({"stanza": "-x"}, "stanza is '-x'"),
    ({"stanza": "two\nlines"}, "stanza is"),
    ({"stanza": "global"}, "stanza is 'global'"),
    ({"repo": 0}, "repo is 0"),
    ({"repo": 10**30}, "repo is 1000"),
    ({"config": "pgbackrest.conf"}, "config is 'pgbackrest.conf', which is not an absolute path"),
    ({"options": {"repo1-pth": "/x"}}, "options has repo1-pth, which is no option of pgBackRest; did you mean repo1-path"),
    ({"options": {"repo1-path": "/x\ny"}}, "options.repo1-path is"),
    ({"options": {"process-max": "1\0"}}, "options.process-max has a null byte"),
    ({"options": {"": "1"}}, "options has '', which is no option of pgBackRest"),
    ({"options": {"process max": "1"}}, "options has 'process max'"),
    ({"options": {"stanza": "pg2"}}, "options has stanza, which this module decides. State the option stanza in its place"),
    ({"executable": " "}, "executable is empty"),
]
OWN: dict[str, list[tuple[dict[str, t.Any], str]]] = {
    "backup": [
        ({"archive_timeout": 0}, "archive_timeout is 0"),
        ({"archive_timeout": -1}, "archive_timeout is -1"),
        ({"archive_timeout": 86401}, "archive_timeout is 86401"),
        ({"lock_wait": -1}, "lock_wait is -1"),
        ({"lock_wait": 10**30}, "lock_wait is 1000"),
        ({"pg_path": "main"}, "pg_path is 'main'"),
        ({"annotations": {"a=b": "c"}}, "annotations has the key 'a=b'"),
        ({"annotations": {"": "c"}}, "annotations has the key ''"),
        ({"annotations": {"a": "b\nc=d"}}, "annotations.a is 'b\\nc=d'"),
        ({"annotations": {"a": ""}}, "annotations.a is ''"),
        ({"annotations": {"a": ["b"]}}, "annotations.a is ['b']"),
        ({"annotations": {"a": "b\0"}}, "annotations.a has a null byte"),
        ({"options": {"annotation": "a=b"}}, "State the option annotations in its place"),
        ({"annotations": {"node": "pg2"}, "node": "pg1"}, "both name the node"),
    ],
    "catalog": [
        *(({"timeout": float(each)}, f"timeout is {float(each)}") for each in ("-1", "0", "nan", "inf", "-inf", "1e30")),
        ({"servers": [{"host": "", "port": 1}]}, "servers[0].host is empty"),
        *(({"servers": [{"host": "h", "port": each}]}, f"servers[0].port is {each}") for each in (-1, 0, 65536, 10**30)),
        ({"ca_certs": "ca.crt"}, "ca_certs is 'ca.crt'"),
    ],
    "expire": [
        ({"retention_full": 0}, "retention_full is 0"),
        ({"retention_diff": -1}, "retention_diff is -1"),
        ({"retention_incr": 10**30}, "retention_incr is 1000"),
        ({"lock_wait": -1}, "lock_wait is -1"),
    ],
    "prove": [
        *(({"port": each}, f"port is {each}") for each in (-1, 0, 65536, 10**30)),
        *(({"timeout": each}, f"timeout is {each}") for each in (-1, 0, 10**30)),
        ({"pg_path": "copy"}, "pg_path is 'copy'"),
        ({"socket_directory": "run"}, "socket_directory is 'run'"),
        ({"settings": {"shared_buffers": "1\0"}}, "settings.shared_buffers has a null byte"),
        ({"settings": {"x y": "1"}}, "settings has 'x y'"),
        ({"databases": [""]}, "databases has an empty name"),
    ],
    "restore": [
        ({"pg_path": "restored"}, "pg_path is 'restored'"),
        ({"tablespace_map_all": "spaces"}, "tablespace_map_all is 'spaces'"),
        ({"tablespace_map": {"a": "b"}}, "tablespace_map.a is 'b'"),
        ({"tablespace_map": {"a=b": "/c"}}, "tablespace_map has the name 'a=b'"),
        ({"target_timeline": "first"}, "target_timeline is 'first'"),
        *(({"target_timeline": each}, f"target_timeline is '{each}'") for each in ("-1", "0x0", "4294967296")),
        ({"type": "xid", "target": "\N{SUPERSCRIPT TWO}"}, "is no transaction id"),
        ({"set": "latest"}, "set is 'latest', which is no backup's label"),
        ({"recovery_options": {"application_name": "a\0"}}, "recovery_options.application_name has a null byte"),
        ({"recovery_options": {"application_name": "a\nb"}}, "recovery_options.application_name is 'a\\nb'"),
        ({"recovery_options": {"a=b": "c"}}, "recovery_options has 'a=b'"),
        ({"recovery_options": {"a": None}}, "recovery_options.a is None"),
        ({"recovery_options": {"restore_command": "cp"}}, "recovery_options has restore_command"),
        ({"recovery_options": {"recovery_target_time": "x"}}, "which the option type decides"),
        ({"recovery_options": {"data_directory": "/x"}}, "which the option pg_path decides"),
        ({"options": {"pg1-path": "/x"}}, "State the option pg_path in its place"),
        ({"options": {"tablespace-map": "a=/b"}}, "State the option tablespace_map in its place"),
        ({"options": {"link-all": True}}, "which this module decides. Leave it out"),
        ({"recovery_options": {"max_logical_replication_workers": 4}}, "which the option subscriptions decides"),
    ],
    "stanza": [
        *(({"archive_timeout": each}, f"archive_timeout is {each}") for each in (-1, 0, 10**30)),
        ({"pg_path": "main"}, "pg_path is 'main'"),
        ({"stanza": "", "state": "absent", "force": True}, "stanza is ''"),
    ],
}
CASES = [
    *((name, given, told) for name in MODULES if name != "prove" for given, told in SHARED),
    *((name, given, told) for name, cases in OWN.items() for given, told in cases),
]


@pytest.mark.parametrize(("name", "given", "told"), CASES)
def test_one_sentence_and_nothing_is_run(name: str, given: dict[str, t.Any], told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(*arguments: t.Any, **named: t.Any) -> t.Any:
        raise AssertionError(f"Something was run: {arguments}")

    monkeypatch.setattr("subprocess.run", nothing)
    monkeypatch.setattr("subprocess.Popen", nothing)
    monkeypatch.setattr("os.geteuid", lambda: 999)
    module, manage, least = MODULES[name]
    defaults = {option: each.get("default") for option, each in module.ARGUMENT_SPEC.items()}
    with pytest.raises(MultimasterError) as error:
        manage({**defaults, **least, **given}, False, lambda message: None)
    assert told in str(error.value)
    assert "\n" not in str(error.value)
    assert "\0" not in str(error.value)


def test_names_of_options() -> None:
    assert config.meant_option("repo1-path") is None
    assert config.meant_option("repo12-s3-bucket") is None
    assert config.meant_option("process-max") is None
    assert config.meant_option("repo2-s3-buckett") == "repo2-s3-bucket"
    assert config.meant_option("compress-typ") == "compress-type"
    # like none: a newer pgBackRest may know it
    assert config.meant_option("wonderful") is None
    assert nearest("restore_prt", ["restore_port", "restore_path"]) == "restore_port"
    assert nearest("xyz", ["restore_port"]) is None
