# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What pgBackRest says when it fails, as one sentence without secrets."""

from __future__ import annotations

import typing as t

import pytest
from backups import recorded, recorded_stanza
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.multimaster.postgresql.plugins.module_utils._pgbackrest.errors import (
    CODES,
    Failure,
    cleaned,
    damage_in,
    error_of_class,
    explain,
    messages,
)

INFO = "unable to load info file '/r/backup/bk/backup.info' or '/r/backup/bk/backup.info.copy':\n"


def sentence(code: int, text: str, **more: t.Any) -> str:
    return explain(Failure(code, text, "backup", "bk", "repository 1 (/r)", **more))


@pytest.mark.parametrize(
    ("code", "text", "words"),
    [
        (95, INFO + "CryptoError: cipher header invalid", "have no cipher header"),
        (95, "unable to flush", "are encrypted (or damaged)"),
        (95, "unable to load cert file '/etc/x': [2] no details", "TLS with the host"),
        (95, "unable to verify certificate presented by 'h:8432'", "TLS with the host"),
        (29, INFO + "FormatError: key/value found outside of section at line 1", "are encrypted (or damaged)"),
        (29, INFO + "FormatError: invalid JSON value at line 6", "its copy are damaged"),
        (26, INFO + "ChecksumError: invalid checksum, actual 'a' but expected 'b'", "its copy are damaged"),
        (26, "error restoring '/d/base/1/1255': actual checksum 'a' does not match", "The backup is damaged"),
        (55, INFO + "FileMissingError: unable to open missing file", "Stanza bk does not exist"),
        (55, "archive.info exists but backup.info is missing on repo1", "is incomplete"),
        (40, "backup directory and/or archive directory not empty", "is incomplete"),
        (40, "unable to restore to path '/d' because it contains files", "holds files that are no backup"),
        (51, "PostgreSQL version 16, system-id 1 do not match stanza version 16, system-id 2", "another cluster"),
        (28, "backup and archive info files exist but do not match the database", "another cluster"),
        (28, "backup info file and archive info file do not match", "speak of different clusters"),
        (103, "unable to find a valid repository:\nrepo1: [ArchiveMismatchError] version 16 do not match", "another cluster"),
        (46, "unexpected control version = 2000 and catalog version = 1", "does not know the PostgreSQL version"),
        (50, "unable to acquire lock on file '/tmp/pgbackrest/bk-backup-1.lock'", "is running on this host"),
        (49, "unable to connect to '127.0.0.1:8432': [111] Connection refused", "cannot be reached"),
        (56, "unable to find primary cluster - cannot proceed", "cannot use the PostgreSQL server"),
        (27, "no database found", "cannot use the PostgreSQL server"),
        (27, "unable to load configuration file", "does not accept its options"),
        (58, "version '16' and path 'a' queried from cluster do not match version", "point to different servers"),
        (82, "WAL segment 000000010000000000000057 was not archived before the 2000ms timeout", "did not arrive"),
        (68, "archive_command 'false' must contain pgbackrest", "does not archive with pgBackRest"),
        (87, "archive_mode must be enabled", "does not archive with pgBackRest"),
        (62, "stop file exists for stanza bk", "has been stopped"),
        (63, "terminated on signal [SIGTERM]", "was told to stop"),
        (75, "backup set foo is not valid", "no such backup"),
        (38, "unable to restore while PostgreSQL is running", "Stop that server first"),
        (41, "unable to open file '/r/backup' for read: [13] Permission denied", "become_user: postgres"),
        (64, "unable to write '/r/x': [28] No space left on device", "is full"),
        (70, "link 'pg_tblspc/2' (/a/b) destination is a subdirectory of link 'pg_tblspc/1' (/a)", "a directory of its own"),
        (72, "backup command must be run on the repository host", "must run on another host"),
        (101, "HTTP request failed with 503", "refused or failed"),
        (31, "invalid option '--foo'", "does not accept its options"),
        (37, "backup command requires option: repo1-cipher-pass", "does not accept its options"),
        (139, "", "was ended by signal 11"),
        (-9, "", "was ended by signal 9"),
        (104, "3 jobs failed", "failed with its error 104: 3 jobs failed"),
        (55, "unable to open missing file '/x'", "failed with its error 55"),
    ],
)
def test_each_failure_has_its_sentence(code: int, text: str, words: str) -> None:
    told = sentence(code, text)
    assert words in told
    assert "\n" not in told
    assert told.endswith(".")


def test_a_full_repository_whatever_the_error_number() -> None:
    text = "unable to write '/r/x.pgbi': [2] No such file or directory"
    assert sentence(64, text, repository_full=True).startswith("Repository 1 (/r) is full")
    assert "is full" not in sentence(64, text)


@pytest.mark.parametrize("command", ["restore", "archive-get"])
def test_a_disk_that_is_full_where_files_are_restored_costs_no_backups(command: str) -> None:
    text = "unable to write '/d/base/1/1259': [28] No space left on device"
    told = explain(Failure(64, text, command, "bk", "repository 1 (/r)", repository_full=True))
    assert told.startswith("The disk of this host is full: unable to write '/d/base/1/1259'")
    assert "fewer backups" not in told
    denied = explain(Failure(41, "unable to open '/d/x': [13] Permission denied", command, "bk", repository_full=True))
    assert "is not accessible" in denied


def test_a_wrong_key_and_no_key_are_told_apart() -> None:
    told = messages(cleaned(recorded("error_wrong_key.bin")))
    assert [(each.level, each.code) for each in told] == [("ERROR", 29)]
    assert "another key" in sentence(29, told[0].text, configured_cipher="aes-256-cbc").replace("another  key", "another key")
    assert "has no cipher for them" in sentence(29, told[0].text)


def test_what_cannot_be_read_during_a_restore_is_damaged() -> None:
    for code, text in ((29, "raised from local-1 protocol: zst error: [-20] Data corruption detected"), (95, "unable to flush")):
        told = explain(Failure(code, text, "restore", "bk", "repository 1 (/r)", configured_cipher="aes-256-cbc"))
        assert told.startswith("The backup is damaged")


def test_errors_by_class() -> None:
    message = recorded_stanza("info_wrong_key.bin").repositories[0].message
    assert error_of_class(message)[0] == CODES["FormatError"]
    message = recorded_stanza("info_cipher_header.json").repositories[0].message
    assert error_of_class(message)[0] == CODES["CryptoError"]
    assert error_of_class("no class at all") == (CODES["CommandError"], "no class at all")


def test_log_lines_of_every_form() -> None:
    told = messages(
        "2026-11-24 04:00:03.129 P00  ERROR: [055]: unable to load\n"
        "                                    HINT: do\n"
        "WARN: repo1: something\n"
        "P00  ERROR: [032]: 'json' is not allowed\n"
        "            HINT: allowed values are\n"
        "INFO: verify command end"
    )
    assert [(each.level, each.code, each.text) for each in told] == [
        ("ERROR", 55, "unable to load\nHINT: do"),
        ("WARN", None, "repo1: something"),
        ("ERROR", 32, "'json' is not allowed\nHINT: allowed values are"),
        ("INFO", None, "verify command end"),
    ]
    assert messages("no log at all") == []


def test_what_a_message_quotes_of_a_damaged_file_is_not_shown() -> None:
    """backup.info of an encrypted repository holds the key of its backups."""
    text = (
        "FormatError: invalid JSON value at line 3 'cipher-pass=\"LmEq9Df': expected\n"
        'FormatError: at line 3: cipher-pass="LmEq9Df'
    )
    assert "LmEq9Df" not in cleaned(text)
    assert "line 3" in cleaned(text)


@given(st.text(min_size=1), st.text(), st.text())
def test_no_secret_survives(secret: str, before: str, after: str) -> None:
    shown = cleaned(before + secret + after, [secret])
    assert secret not in shown or secret in "********"


@given(st.integers(-64, 255), st.text(max_size=300))
def test_whatever_it_says_there_is_a_sentence(code: int, text: str) -> None:
    assert explain(Failure(code, cleaned(text), "backup", "bk"))


NAME = "000000010000000000000001"
GET = f"unable to get {NAME}:\nrepo1: 16-1/0000000100000000/{NAME}-27500fe262a1564e15eac67e611d7b7b206bd6d9.zst "


@pytest.mark.parametrize(
    ("code", "text", "damage"),
    [
        (42, GET + "[FormatError] zst error: [-20] Data corruption detected", "zst error: [-20] Data corruption detected"),
        (42, GET + "[CryptoError] unable to flush", "unable to flush"),
        (29, "unexpected eof in compressed data", "unexpected eof in compressed data"),
        (26, "", "no message"),
        (42, GET + "[FileOpenError] unable to open file '/x' for read: [13] Permission denied", None),
        (42, GET + "[FormatError] zst error\nrepo2: x [HostConnectError] unable to connect to 'b:8432'", None),
        (49, "unable to connect to 'backup:8432': [111] Connection refused", None),
        (103, "unable to find a valid repository:\nrepo1: [HostConnectError] unable to connect to 'backup:8432'", None),
        (103, "unable to find a valid repository:\nrepo1: [CryptoError] unable to load info file '/a'", None),
        (95, "unable to verify certificate presented by 'backup:8432'", None),
        (-9, "", None),
    ],
)
def test_what_says_that_a_segment_is_damaged(code: int, text: str, damage: str | None) -> None:
    assert damage_in(code, text) == damage


def test_a_segment_that_cannot_be_fetched() -> None:
    told = explain(Failure(42, GET + "[HostConnectError] unable to connect to 'backup:8432'", "archive-get", "bk"))
    assert "cannot be reached" in told
    assert "backup:8432" in told


ANSWER = """\
HTTP request failed with {status}:
*** Path/Query ***:
GET /backups/?delimiter=%2F&list-type=2&prefix=pg%2Fbackup%2F
*** Request Headers ***:
authorization: <redacted>
host: s3.store.internal
*** Response Content ***:
<?xml version="1.0" encoding="utf-8"?>
<Error><Code>{code}</Code><Message>{message}</Message><AWSAccessKeyId>AKIAIOSFODNN7EXAMPLE</AWSAccessKeyId></Error>"""


@pytest.mark.parametrize(
    ("status", "code", "message", "words"),
    [
        ("403 (FORBIDDEN)", "SignatureDoesNotMatch", "It differs.", "403, SignatureDoesNotMatch, It differs"),
        ("404 (NOT FOUND)", "NoSuchBucket", "It does not exist", "404, NoSuchBucket, It does not exist. Check the name"),
        ("503", "SlowDown", "Later.", "503, SlowDown, Later. Check the store."),
    ],
)
def test_what_an_object_store_answers(status: str, code: str, message: str, words: str) -> None:
    told = cleaned(f"ERROR: [039]: {ANSWER.format(status=status, code=code, message=message)}\nP00 INFO: next")
    assert "AKIA" not in told
    assert "next" in told
    failure = Failure(39, messages(told)[0].text, "backup", "pg1", "repository 1 (s3://backups/pg)")
    sentence = explain(failure)
    assert sentence.startswith("The store of repository 1 (s3://backups/pg) refused pgbackrest backup: ")
    assert words in sentence
    assert "\n" not in sentence


@pytest.mark.parametrize("code", [49, 95])
def test_the_host_that_is_away_is_named(code: int) -> None:
    text = "unable to connect to '10.0.0.1:8432': [111] Connection refused"
    assert "The node's host 10.0.0.1" in explain(Failure(49, text, "backup", "pg1", node_host="10.0.0.1"))
    assert "The host of the repository" in explain(Failure(49, text, "backup", "pg1"))
    assert "The store of repository 1 (s3://b/p)" in explain(Failure(49, text, "backup", "pg1", "repository 1 (s3://b/p)"))
    assert "with the node's host" in explain(Failure(95, text, "backup", "pg1", node_host="10.0.0.1"))
    assert code in (49, 95)


AWAY = "unable to connect to 'store:9000': [113] No route to host"
# A file, and why it could not be read, with what its later tries brought.
NOT_LOADED = f"""unable to load info file '/pg/backup/bk/backup.info' or '/pg/backup/bk/backup.info.copy':
FileReadError: timeout after 10000ms waiting for read from 'store:9000'
[HostConnectError] on retry at 1264ms: timeout connecting to 'store:9000'
HostConnectError: {AWAY}
HINT: has a stanza-create been performed?"""


@pytest.mark.parametrize(
    ("code", "text", "warnings", "reason"),
    [
        (41, NOT_LOADED, [], "timeout after 10000ms waiting for read from 'store:9000'"),
        (49, NOT_LOADED.replace("FileReadError: timeout", "[FileReadError] timeout"), [], AWAY),
        # It warns of what went wrong, and says that it has looked.
        (75, "no backup set found to restore", [f"repo1: [HostConnectError] {NOT_LOADED}"], "timeout after 10000ms waiting"),
        (103, "unable to find a valid repository", [f"repo1: [HostConnectError] {NOT_LOADED}"], "timeout after 10000ms waiting"),
        (42, "timeout after 10000ms waiting for read from 'store:9000'", [], "timeout after 10000ms waiting"),
        (49, AWAY, [], AWAY),
        (42, "unable to read '/pg/archive.info': libssh2 error [-39]", [], "unable to read '/pg/archive.info': libssh2 error"),
    ],
)
def test_a_store_that_is_away_whatever_was_read(code: int, text: str, warnings: list[str], reason: str) -> None:
    told = explain(Failure(code, text, "backup", "bk", "repository 1 (s3://backups/pg)", warnings=warnings))
    assert told.startswith(f"The store of repository 1 (s3://backups/pg) cannot be reached: {reason}")
    assert "\n" not in told


def test_a_file_that_is_not_there_is_not_a_store_that_is_away() -> None:
    told = sentence(41, "unable to open '/pg/x': libssh2 error [-31]: sftp error [3] permission denied")
    assert "cannot be reached" not in told
    text = "unable to load info file '/b.info' or '/b.info.copy':\nFileMissingError: unable to open missing file '/b.info'"
    assert "does not exist in" in sentence(55, text)
    assert "no such backup" in sentence(75, "no backup set found to restore", warnings=[f"repo1: [FileMissingError] {text}"])
