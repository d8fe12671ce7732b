# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Mistakes in the inventory, on a mesh that works: one clear sentence, nothing is changed, the mesh goes on."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest
from mesh import Node, eventually, run_playbook

CLIENT = {"databases": ["imdb"], "users": ["imdb"], "source": "192.0.2.0/24"}
MISTAKES: list[tuple[dict[str, t.Any], str]] = [
    ({"multimaster_node_id": 1}, "have the same multimaster_node_id: 1"),
    ({"multimaster_node_id": 9}, "it must be from 1 to"),
    ({"postgresql_version": 99}, "postgresql_version is 99, but this role knows PostgreSQL"),
    ({"postgresql_prot": 5433}, "There is no variable postgresql_prot (did you mean postgresql_port?)"),
    ({"multimaster_databases": "imdb"}, "multimaster_databases must be a list, not a string."),
    ({"multimaster_databases": [{"nam": "imdb"}]}, "has no key nam (did you mean name?)"),
    ({"multimaster_databases": [{"name": "imdb", "owner": "imdb", "tables": []}]}, "has an empty list of tables"),
    ({"postgresql_replication_peers": [{"name": "pg9", "address": "no-such-node.invalid"}]}, "of the peer pg9 does not resolve"),
    # The key of another repository: PGDG's, where the packages come from a local one.
    (
        {"postgresql_repository_fingerprint": "B97B0AFCAA1A47F044F244A07FCC7D46ACCC4CF8", "postgresql_packages_extra": ["hello"]},
        "is expected, alone. Nothing was installed from there.",
    ),
    ({"postgresql_settings": {"shared_bufers": "1GB"}}, "postgresql_settings has shared_bufers, which PostgreSQL"),
    ({"postgresql_settings": {"wal_level": "minimal"}}, "postgresql_settings.wal_level is minimal, but the nodes need logical"),
    ({"postgresql_settings": {"shared_preload_libraries": "nosuch"}}, "The server would not start with this configuration"),
    ({"postgresql_hba": [{**CLIENT, "source": "300.1.2.3/99"}]}, "has the source 300.1.2.3/99, which is no address"),
    ({"postgresql_hba": [{**CLIENT, "options": {"clientcert": "maybe"}}]}, "invalid value for clientcert"),
    ({"postgresql_data_directory": "/srv/elsewhere"}, "this role moves no data"),
]


def state(nodes: list[Node]) -> list[str]:
    """All that a run could have changed: the managed files, what PostgreSQL knows of the mesh, and when the server started."""
    return [
        node.host().check_output("sha1sum /etc/postgresql/*/*/*.conf /etc/postgresql/*/*/conf.d/*")
        + node.admin(
            "SELECT subname, subenabled, subslotname, subpublications FROM pg_subscription ORDER BY oid; "
            "SELECT slot_name FROM pg_replication_slots ORDER BY 1; SELECT pg_postmaster_start_time(); "
            "SELECT pubname, prrelid::regclass FROM pg_publication p LEFT JOIN pg_publication_rel ON prpubid = p.oid ORDER BY 1,2"
        )
        for node in nodes
    ]


@pytest.mark.parametrize(("mistake", "said"), MISTAKES, ids=[" ".join(mistake) for mistake, _said in MISTAKES])
def test_a_mistake_is_told_before_anything_changes(nodes: list[Node], mistake: dict[str, t.Any], said: str) -> None:
    before = state(nodes)
    run = run_playbook("site", "-e", json.dumps(mistake), expect_success=False)
    assert run.returncode != 0
    assert said in " ".join(run.output.split())
    assert "Traceback" not in run.output
    assert run.changed() == 0
    assert state(nodes) == before


def test_a_schema_file_that_fails_half_way_leaves_nothing(nodes: list[Node], tmp_path: Path) -> None:
    file = tmp_path / "broken.sql"
    file.write_text("CREATE TABLE half_made (id int);\nINSERT INTO half_made VALUES (1);\nCREATE TABEL other (id int);\n")
    files = [{"database": "imdb", "path": str(file), "role": "imdb"}]
    run = run_playbook("site", "-e", json.dumps({"postgresql_schema_files": files}), expect_success=False)
    assert run.returncode != 0
    # The server's own word for an error is in its language.
    assert f"{file}:3: " in run.output
    assert "could not be applied to the database imdb, and nothing of it was" in " ".join(run.output.split())
    for node in nodes:
        assert node.value("SELECT pg_catalog.to_regclass('public.half_made') IS NULL")


def test_after_all_mistakes_rows_still_arrive(direction: tuple[Node, Node]) -> None:
    writer, reader = direction
    name = f"after mistakes {writer.name}"
    writer.query("INSERT INTO generos (genero) VALUES (%s)", [name])
    eventually(lambda: reader.value("SELECT count(*) FROM generos WHERE genero = %s", [name]) == 1, name)


def test_the_right_inventory_changes_nothing_after_them() -> None:
    run = run_playbook("site")
    assert run.changed() == 0
    # Nothing that a reader would have to wonder about, either: no group of the inventory is missed, nothing fails on the way.
    assert "[WARNING]" not in run.output
    assert "[ERROR]" not in run.output
