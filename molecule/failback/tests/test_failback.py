# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A node that is back is proven, catches up and equals the others; what would lose rows is refused with the reason."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import signal
import subprocess
import time
import typing as t

import psycopg2
import pytest
from mesh import CLUSTER, INVENTORY, OWNERS, ROOT, SHOP, Node, PlaybookRun, eventually, run_playbook
from traps import caught, quoted

# Begins when it is called with a node; what it returns ends it.
Fault = t.Callable[[Node], t.Callable[[], t.Any]]

UNIT = f"postgresql@16-{CLUSTER}"
DATA = f"/srv/data disk/{CLUSTER}"
# All that a node's disk has of its server: its WAL and a tablespace are elsewhere.
PLACES = [DATA, "/srv/data disk/Speicher 1", f"/srv/wal disk/{CLUSTER}"]
HOLD = f"/etc/postgresql/16/{CLUSTER}/conf.d/zz_hold.conf"


def docker(*arguments: str) -> str:
    return subprocess.run(["docker", *arguments], check=True, capture_output=True, text=True).stdout


def with_places(command: str) -> str:
    """A shell's command for each of them, up to the first that fails: ``$p`` is the place."""
    return f"for p in {' '.join(map(shlex.quote, PLACES))}; do {command} || exit 1; done"


COPY = with_places('cp -a "$p" "$p.copy"')


def write(node: Node, *names: str) -> None:
    for name in names:
        node.query("INSERT INTO generos (genero) VALUES (%s)", [name])


def names(node: Node) -> list[str]:
    return [name for (name,) in node.query("SELECT genero FROM generos ORDER BY 1")]


def answers(node: Node) -> bool:
    node.close()
    try:
        return node.value("SELECT 1") == 1
    except psycopg2.Error:
        return False


def up(node: Node) -> None:
    eventually(lambda: answers(node), f"an answer of {node.name}")


def started(node: Node) -> str:
    return node.admin("SELECT pg_postmaster_start_time()")


def failback(node: Node, *options: str, refused: bool = False) -> PlaybookRun:
    node.close()
    run = run_playbook("failback", "-e", f"node={node.name}", *options, expect_success=not refused)
    assert (run.returncode != 0) is refused, run.output[-4000:]
    up(node)
    return run


def assert_equal(nodes: list[Node]) -> None:
    first, second = nodes[:2]
    assert names(first) == names(second)
    write(first, f"from {first.name} {time.time()}")
    write(second, f"from {second.name} {time.time()}")
    eventually(lambda: names(first) == names(second), "rows of both on both")


def write_much(node: Node, rows: int) -> None:
    """Rows of 100 kB, each in a transaction of its own."""
    node.query(
        f"DO $$ BEGIN FOR n IN 1..{rows} LOOP INSERT INTO articles (sku) "
        "SELECT string_agg(md5(random()::text), '') FROM generate_series(1, 3200); COMMIT; END LOOP; END $$",
        db=SHOP,
    )


def much(node: Node) -> int:
    return int(node.value("SELECT count(*) FROM articles", db=SHOP))


def stopped(node: Node) -> t.Callable[[], t.Any]:
    docker("stop", "--time", "10", node.name)
    return lambda: docker("start", node.name)


def server_killed(node: Node) -> t.Callable[[], t.Any]:
    """Every process at once; and then the unit does not start it again."""
    node.host().run_test(f"pkill -KILL -x postgres; systemctl stop {UNIT}")
    return lambda: None


def cut_off(node: Node) -> t.Callable[[], t.Any]:
    ((network, attached),) = json.loads(docker("inspect", "--format", "{{json .NetworkSettings.Networks}}", node.name)).items()
    addresses = ["--ip", attached["IPAddress"], "--ip6", attached["GlobalIPv6Address"]]
    docker("network", "disconnect", "--force", network, node.name)
    node.admin(as_owner("imdb", "INSERT INTO generos (genero) VALUES ('written where nobody could see it')"))
    return lambda: docker("network", "connect", *addresses, network, node.name)


@pytest.mark.parametrize("fault", [stopped, server_killed, cut_off])
def test_a_node_that_was_away_comes_back_with_every_row(nodes: list[Node], fault: Fault) -> None:
    back, stayed = nodes[:2]
    write(back, f"before {fault.__name__}")
    eventually(lambda: f"before {fault.__name__}" in names(stayed), "the row before")
    end = fault(back)
    back.close()
    write(stayed, *(f"{fault.__name__} {number}" for number in range(20)))
    # As much as a minute of writes
    write_much(stayed, 500)
    end()
    run = failback(back)
    assert "REFUSED" not in run.output
    assert len([name for name in names(back) if name.startswith(f"{fault.__name__} ")]) == 20
    assert much(back) == 500
    stayed.query("DELETE FROM articles", db=SHOP)
    assert_equal(nodes)


@pytest.mark.long
def test_how_much_is_left_is_said_while_it_catches_up(nodes: list[Node]) -> None:
    back, stayed = nodes[:2]
    # However fast the machine is: 600 rows take it 18 s at least, and it is looked at every five.
    back.query(
        "CREATE FUNCTION public.slowly() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.03); RETURN NEW; END';"
        "CREATE TRIGGER slowly BEFORE INSERT ON articles FOR EACH ROW EXECUTE FUNCTION public.slowly();"
        "ALTER TABLE articles ENABLE REPLICA TRIGGER slowly",
        db=SHOP,
    )
    back.close()
    back.host().run_test(f"systemctl stop {UNIT}")
    write_much(stayed, 600)
    run = failback(back, "-e", "stall_seconds=5")
    back.query("DROP TRIGGER slowly ON articles; DROP FUNCTION public.slowly()", db=SHOP)
    left = re.findall(r"\(item=([0-9.]+) (\w+) left\)", run.output)
    assert any(unit == "MB" and float(number) > 0 for number, unit in left), run.output[-4000:]
    assert float(left[-1][0]) == 0
    assert much(back) == 600
    stayed.query("DELETE FROM articles", db=SHOP)
    assert_equal(nodes)


@pytest.mark.long
def test_a_node_that_gets_nowhere_is_said_to_and_comes_back_once_it_does(nodes: list[Node]) -> None:
    back, stayed = nodes[:2]
    before = started(back)
    with contextlib.closing(back.session()) as holder:
        # Rows can be read, and none be written.
        holder.cursor().execute("BEGIN; LOCK TABLE generos IN EXCLUSIVE MODE")
        write(stayed, "not applied")
        run = failback(back, "-e", "stall_seconds=3", refused=True)
        assert started(back) == before
    output = " ".join(run.output.split())
    assert f"{back.name} and {stayed.address} have not caught up with each other in the database imdb" in output
    assert "nothing moved for 3 s" in output
    failback(back)
    assert "not applied" in names(back)
    assert_equal(nodes)


@pytest.mark.long
def test_a_node_that_is_used_is_compared_and_not_restarted(nodes: list[Node]) -> None:
    used = nodes[0]
    before = started(used)
    run = failback(used)
    assert f"{used.name} is back" in run.output
    assert started(used) == before
    assert not used.host().file(HOLD).exists
    assert_equal(nodes)


@pytest.mark.long
def test_a_run_that_was_killed_is_finished_by_the_next(nodes: list[Node]) -> None:
    back = nodes[0]
    back.close()
    back.host().run_test(f"systemctl stop {UNIT}")
    command = ["ansible-playbook", "-i", str(INVENTORY), str(ROOT / "playbooks/failback.yml"), "-e", f"node={back.name}"]
    environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")}
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, start_new_session=True)
    eventually(lambda: back.host().file(HOLD).exists, "subscriptions at rest")
    # While it runs, another one does not start.
    second = run_playbook("failback", "-e", f"node={back.name}", expect_success=False)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert "Another run of failback" in second.output
    # What it had begun on the host may still be at work, and keep its mark fresh.
    back.host().run("pkill -9 -f 'AnsiballZ|ansible-tmp'")
    # Its mark grows old.
    back.host().run_test("touch -d '2 minutes ago' /run/multimaster-failback")
    failback(back)
    assert not back.host().file(HOLD).exists
    assert_equal(nodes)


def test_two_nodes_are_not_taken_back_at_once(nodes: list[Node]) -> None:
    second, first = nodes[:2]
    first.host().run_test("echo another >/run/multimaster-failback")
    before = started(second)
    run = run_playbook("failback", "-e", f"node={second.name}", expect_success=False)
    assert run.returncode != 0
    output = " ".join(run.output.split())
    assert f"Another run of failback takes {first.name} back right now" in output
    assert "Nothing was changed" in output
    assert run.changed() == 0
    assert started(second) == before
    assert not second.host().file("/run/multimaster-failback").exists
    # Killed, and its mark has grown old
    first.host().run_test("touch -d '2 minutes ago' /run/multimaster-failback")
    failback(second)
    first.host().run_test("rm /run/multimaster-failback")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["-e", "node="], "Say which node is back"),
        (["-e", "node=pg9"], "pg9 is none of the nodes"),
        (["-e", "node={first}", "-e", "compare_seconds=abc"], "-e compare_seconds=abc is no number of seconds"),
    ],
)
def test_bad_input_changes_nothing(nodes: list[Node], options: list[str], expected: str) -> None:
    run = run_playbook("failback", *(option.format(first=nodes[0].name) for option in options), expect_success=False)
    assert run.returncode != 0
    assert expected in run.output
    assert "Nothing was changed" in run.output
    assert run.changed() == 0


def test_the_last_good_node_is_not_taken_back(nodes: list[Node]) -> None:
    last, away = nodes[:2]
    docker("stop", "--time", "10", away.name)
    try:
        run = run_playbook("failback", "-e", f"node={last.name}", expect_success=False)
        assert "it is the last good node" in " ".join(run.output.split())
        assert run.changed() == 0
        assert answers(last)
    finally:
        docker("start", away.name)
        up(away)


@pytest.mark.long
def test_a_held_node_is_not_a_good_one(nodes: list[Node]) -> None:
    """The wrong name was typed: the other node is the one that is away."""
    last, held = nodes[:2]
    held.close()
    held.host().run_test(f"echo 'max_logical_replication_workers = 0' >{HOLD} && systemctl restart {UNIT}")
    up(held)
    before = started(last)
    run = run_playbook("failback", "-e", f"node={last.name}", expect_success=False)
    output = " ".join(run.output.split())
    assert run.returncode != 0
    assert "it is the last good node" in output
    assert f"The subscriptions of {held.name} are kept at rest" in output
    assert "Nothing was changed" in output
    assert run.changed() == 0
    assert started(last) == before
    assert not last.host().file(HOLD).exists
    failback(held)
    assert not held.host().file(HOLD).exists
    assert_equal(nodes)


def workers(node: Node) -> str:
    return node.admin("SELECT count(*) FROM pg_stat_subscription WHERE pid IS NOT NULL")


def as_owner(db: str, command: str) -> str:
    """What the superuser writes would run what the owner has put on the table."""
    return f"SET SESSION AUTHORIZATION {quoted(OWNERS.get(db, db))};\n{command}"


def unreplicated(command: str) -> str:
    """As a change of imdb whose way from or to the other node was lost."""
    return (
        "SELECT pg_replication_origin_create('lost') WHERE NOT EXISTS (SELECT FROM pg_replication_origin WHERE roname = 'lost');"
        f"SELECT pg_replication_origin_session_setup('lost');\n{as_owner('imdb', command)}"
    )


def test_what_had_differed_before_is_told_and_holds_nothing(nodes: list[Node]) -> None:
    """It is the node that left, which is proven, and others' databases go on whatever one of them holds."""
    stayed, back = nodes[:2]
    write(stayed, "different before")
    eventually(lambda: "different before" in names(back), "the row on both")
    back.admin("COPY (SELECT * FROM generos WHERE genero = 'different before') TO '/tmp/kept'")
    back.admin(unreplicated("DELETE FROM generos WHERE genero = 'different before'"))
    for node in nodes:
        # Whoever is no owner and may not bypass it sees no row.
        node.query("ALTER TABLE articles ENABLE ROW LEVEL SECURITY", db=SHOP)
    stayed.query("INSERT INTO articles (sku) VALUES ('secret')", db=SHOP)
    back.close()
    back.host().run_test(f"systemctl stop {UNIT}")
    write(stayed, "written meanwhile")
    stayed.admin("SELECT pg_switch_wal()")
    run = failback(back, "-e", "compare_seconds=1")
    output = " ".join(run.output.split())
    assert f"DIFFERENT. database imdb, table public.generos, with {stayed.name}: 1 rows of {stayed.name} are missing" in output
    assert f"{back.name} is back" in output
    assert "written meanwhile" in names(back)
    assert not back.host().file(HOLD).exists
    assert workers(back) != "0"
    for node in nodes:
        node.query("ALTER TABLE articles DISABLE ROW LEVEL SECURITY; DELETE FROM articles", db=SHOP)
    back.admin(unreplicated("\\copy generos FROM '/tmp/kept'"))
    run = failback(back)
    assert "DIFFERENT" not in run.output
    assert_equal(nodes)


def test_a_stale_copy_of_a_node_that_only_applied_rows_is_refused(nodes: list[Node]) -> None:
    """Nothing of its own tells: what it was sent, and had confirmed, does."""
    stayed, back = nodes[:2]
    host = back.host()
    back.close()
    host.run_test(f"systemctl stop {UNIT} && ({COPY}) && systemctl start {UNIT}")
    up(back)
    write(stayed, "after the copy of the other")
    sent = stayed.admin("SELECT pg_current_wal_lsn()")
    confirmed = f"SELECT bool_and(confirmed_flush_lsn >= '{sent}') FROM pg_replication_slots WHERE database = 'imdb'"
    eventually(lambda: stayed.admin(confirmed) == "t", "confirmation")
    assert "after the copy of the other" in names(back)
    back.close()
    host.run_test(f"systemctl stop {UNIT} && " + with_places('mv "$p" "$p.true" && mv "$p.copy" "$p"'))
    run = failback(back, refused=True)
    output = " ".join(run.output.split())
    assert f"REFUSED. {back.name} is an older copy of itself: {stayed.name} has sent it 1 transactions with rows" in output
    assert workers(back) == "0"
    # As if it had run before anybody looked: what came since has arrived, what was sent before that never does.
    back.close()
    host.run_test(f"rm {HOLD} && systemctl restart {UNIT}")
    write(stayed, "for the copy that runs")
    eventually(lambda: answers(back) and "for the copy that runs" in names(back), "rows on the copy", 60)
    run = failback(back, refused=True)
    said = f"REFUSED. {back.name} is an older copy of itself: {stayed.name} has sent it 1 transactions with rows of database imdb"
    assert said in " ".join(run.output.split())
    assert workers(back) == "0"
    # The node itself was away for as long, and has it all.
    back.close()
    its_own = with_places('rm -rf "$p" && mv "$p.true" "$p"')
    host.run_test(f"systemctl stop {UNIT} && rm -f {HOLD} && ({its_own}) && systemctl start {UNIT}")
    up(back)
    # But for what the copy has taken and confirmed in its place.
    stayed.admin(unreplicated("DELETE FROM generos WHERE genero = 'for the copy that runs'"))
    assert_equal(nodes)


def test_an_older_copy_is_refused_and_stays_at_rest(nodes: list[Node]) -> None:
    """The node would have to be rebuilt: the tests after this one go on with the copy."""
    back, stayed = nodes[:2]
    host = back.host()
    host.run_test(f"systemctl stop {UNIT} && ({COPY}) && systemctl start {UNIT}")
    up(back)
    write(back, "after the copy")
    eventually(lambda: "after the copy" in names(stayed), "the row on the other node")
    host.run_test(f"systemctl stop {UNIT} && " + with_places('rm -rf "$p" && mv "$p.copy" "$p"'))
    write(stayed, "while it was a copy")
    run = failback(back, refused=True)
    assert "REFUSED" in run.output
    assert "is an older copy of itself" in " ".join(run.output.split())
    assert back.admin("SELECT count(*) FROM pg_stat_subscription WHERE pid IS NOT NULL") == "0"
    assert "after the copy" in names(stayed)


@pytest.mark.long
def test_an_older_copy_that_ran_before_failback_is_refused_too(nodes: list[Node]) -> None:
    """The copy of the test before, let loose: it replicates both ways, and nothing looks wrong any more."""
    back, stayed = nodes[:2]
    back.close()
    back.host().run_test(f"mv {HOLD} {HOLD}.kept && systemctl restart {UNIT}")
    up(back)
    # Its WAL grows past where the other node has got to.
    for number in range(3):
        back.admin("SELECT pg_switch_wal()")
        write(back, f"written by the copy {number}")
    eventually(lambda: "written by the copy 2" in names(stayed), "rows of the copy on the other node")
    write(stayed, "for the copy")
    eventually(lambda: "for the copy" in names(back), "rows on the copy")
    # A run was killed when it had written the file and not restarted the server: what is said of its subscriptions must be true.
    back.host().run_test(f"mv {HOLD}.kept {HOLD}")
    assert workers(back) != "0"
    run = failback(back, refused=True)
    output = " ".join(run.output.split())
    assert "is an older copy of itself that has been written to since" in output
    assert "REFUSED" in output
    assert "Its subscriptions stay at rest" in output
    assert workers(back) == "0"


def test_a_node_on_another_timeline_is_refused(nodes: list[Node]) -> None:
    """Promoted after a recovery, as after a restore."""
    back = nodes[0]
    back.close()
    host = back.host()
    host.run_test(f"systemctl stop {UNIT} && sudo -u postgres touch '{DATA}/standby.signal' && systemctl start {UNIT}")
    eventually(lambda: back.admin("SELECT pg_is_in_recovery()") == "t", "recovery")
    back.admin("SELECT pg_promote()")
    run = failback(back, refused=True)
    output = " ".join(run.output.split())
    assert f"{back.name} was restored or promoted since" in output
    assert "it is on timeline 2 and was on 1" in output


def test_nobody_ran_what_the_owners_put_in_the_way(nodes: list[Node]) -> None:
    """Neither who compared, repaired and proved, nor who replicates."""
    assert [caught(node) for node in nodes] == [[], []]
