# Copyright (c) 2026 multimaster.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils file is private to the collection.

"""What pgBackRest says when it fails, turned into one sentence: what is wrong, where, and what to do."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, field, replace

MASK = "********"

# pgBackRest's own numbers (its exit code is the error's number).
CODES = {
    "AssertError": 25,
    "ChecksumError": 26,
    "ConfigError": 27,
    "FileInvalidError": 28,
    "FormatError": 29,
    "OptionInvalidError": 31,
    "OptionInvalidValueError": 32,
    "OptionRequiredError": 37,
    "PgRunningError": 38,
    "ProtocolError": 39,
    "PathNotEmptyError": 40,
    "FileOpenError": 41,
    "FileReadError": 42,
    "ArchiveMismatchError": 44,
    "VersionNotSupportedError": 46,
    "PathCreateError": 47,
    "HostConnectError": 49,
    "LockAcquireError": 50,
    "BackupMismatchError": 51,
    "FileSyncError": 52,
    "PathOpenError": 53,
    "FileMissingError": 55,
    "DbConnectError": 56,
    "DbQueryError": 57,
    "DbMismatchError": 58,
    "StopError": 62,
    "TermError": 63,
    "FileWriteError": 64,
    "ArchiveCommandInvalidError": 68,
    "LinkDestinationError": 70,
    "HostInvalidError": 72,
    "PathMissingError": 73,
    "BackupSetInvalidError": 75,
    "ArchiveTimeoutError": 82,
    "ArchiveDisabledError": 87,
    "CryptoError": 95,
    "ServiceError": 101,
    "ExecuteError": 102,
    "RepoInvalidError": 103,
    "CommandError": 104,
    "AccessError": 105,
}
LOCKED = CODES["LockAcquireError"]

_LOG_LINE = re.compile(
    r"^(?:\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+ )?(?:P\d+ +)?(ERROR|WARN|INFO|DETAIL|DEBUG|TRACE|ASSERT): (?:\[(\d+)\]: )?(.*)$"
)
_CLASS = re.compile(r"^\[?([A-Z][A-Za-z]+Error)\]?:? ")
_CLASS_AND_TEXT = re.compile(r"\[([A-Z][A-Za-z]+Error)\] (.*)")
_TLS = r"cert|TLS|tls|key file|authority|'[^']+:\d+'"
# What a file's contents raise when they are decrypted and decompressed.
_CONTENT_ERRORS = ("ChecksumError", "CryptoError", "FormatError")
# An answer of an object store, which pgBackRest quotes with all its headers: up to the next entry of the log, or error.
_HTTP = re.compile(
    r"(HTTP request failed with \d+(?: \([^)\n]*\))?):?\n(.*?)"
    r"(?=\n(?:\d{4}-\d\d-\d\d |P\d\d |ERROR|WARN| *\[\w+Error\])|\Z)",
    re.DOTALL,
)
_HTTP_ANSWER = re.compile(r"HTTP request failed with (\d+)(?: \([^)\n]*\))?(?:: (\w+)(?:: (.*))?)?")
# A reason below an error, by its class. What it says of its later tries is between brackets.
_CAUSE = re.compile(r"^\s*(?:repo\d+: )?([A-Z][A-Za-z]+Error): (.*)$", re.MULTILINE)
_STORE_ERRORS = ("HostConnectError", "ServiceError", "ProtocolError", "FileReadError", "AccessError")
# A connection that was there, and on which nothing comes any more.
_SILENT = r"timeout after \d+ms waiting for|unexpected (eof|end of file)|[Cc]onnection reset|[Bb]roken pipe|(read|write).* socket"
# The same over SFTP. -31 is an answer of the server, about a file.
_SFTP_LOST = r"libssh2 error \[-(?!31\])\d+\]"
_INFO_FILE = re.compile(r"unable to load info file '([^']+)'")


@dataclass
class Message:
    """One entry of pgBackRest's log."""

    level: str
    code: int | None
    text: str


@dataclass
class Failure:
    """A failed command. ``where`` is the repository in words; ``hints`` come from what the host itself knows."""

    code: int
    text: str
    command: str = ""
    stanza: str = ""
    where: str = "the repository"
    configured_cipher: str = "none"
    repository_full: bool = False
    warnings: list[str] = field(default_factory=list)
    node_host: str = ""
    """The host of the node, where it is that one that could not be reached, and not the repository's."""

    @property
    def first_line(self) -> str:
        return self.text.splitlines()[0].rstrip(":") if self.text else "no message"


def messages(output: str) -> list[Message]:
    """The log entries in what pgBackRest printed; a line that starts none continues the one before."""
    found: list[Message] = []
    for line in output.splitlines():
        match = _LOG_LINE.match(line)
        if match:
            level, code, text = match.groups()
            found.append(Message(level, int(code) if code else None, text))
        elif found:
            found[-1].text += "\n" + line.strip()
    return found


def cleaned(text: str, secrets: t.Iterable[str] = ()) -> str:
    """The text without secrets and without contents of files that pgBackRest quotes in its messages.

    A file that cannot be parsed is quoted from where it stops making sense; backup.info holds the keys of an encrypted
    repository, and a file read with a wrong key is noise.
    """
    for secret in sorted((each for each in secrets if each), key=len, reverse=True):
        text = text.replace(secret, MASK)
    text = _HTTP.sub(_http_in_short, text)
    text = re.sub(r"(at line \d+)[ :]+.*", r"\1", text)
    text = "".join(char for char in text if char == "\n" or char.isprintable())
    return text[:3000]


def _http_in_short(match: re.Match[str]) -> str:
    """The store's own code and message. Its headers and what else it quotes can tell of the account."""
    found = [re.search(f"<{name}>([^<]*)</{name}>", match[2]) for name in ("Code", "Message")]
    return ": ".join([match[1], *(" ".join(each[1].split()) for each in found if each)])


def error_of_class(text: str) -> tuple[int, str]:
    """Number and text of an error that is reported by its class: ``[CryptoError] unable to ...``."""
    match = _CLASS.match(text)
    if not match:
        return CODES["CommandError"], text
    return CODES.get(match.group(1), CODES["CommandError"]), text[match.end() :]


def _of_its_cause(failure: Failure) -> Failure:
    """Where a file could not be read because its store was away or refused, that is what went wrong. pgBackRest names the file,
    and its reasons below it; or it warns of them, and ends with an error that sounds as if it had looked."""
    told = failure.text.partition("\n")[2] if _INFO_FILE.search(failure.first_line) else ""
    if failure.code in (CODES["BackupSetInvalidError"], CODES["RepoInvalidError"]):
        told += "\n" + "\n".join(failure.warnings)
    for name, text in _CAUSE.findall(told):
        if name in _STORE_ERRORS:
            return replace(failure, code=CODES[name], text=text)
    return failure


def damage_in(code: int, text: str) -> str | None:
    """What is wrong with the contents of a file that an archive-get fetched; None where it failed for another reason, which
    says nothing about the file. The error of each repository that has it is in the text by its class."""
    names = [name for name, number in CODES.items() if number == code]
    told = _CLASS_AND_TEXT.findall(text) or [(name, (text.splitlines() or ["no message"])[0]) for name in names]
    for name, line in told:
        if name not in _CONTENT_ERRORS or _INFO_FILE.search(line) or (name == "CryptoError" and re.search(_TLS, line)):
            return None
    return told[0][1] if told else None


def explain(failure: Failure) -> str:
    """The sentence for the user."""
    failure = _of_its_cause(failure)
    for codes, pattern, sentence in _RULES:
        if failure.code not in codes:
            continue
        match = re.search(pattern, failure.text, re.DOTALL)
        if match:
            told = sentence(failure, match)
            if told:
                return told
    if failure.code > 128 or failure.code < 0:
        number = failure.code - 128 if failure.code > 128 else -failure.code
        return f"pgbackrest {failure.command} was ended by signal {number}. Run it again: what is done already is used."
    return f"pgbackrest {failure.command} failed with its error {failure.code}: {failure.first_line}."


# --- the sentences ------------------------------------------------------------------------------------------------------

Sentence = t.Callable[[Failure, "re.Match[str]"], "str | None"]


def _full(failure: Failure, match: re.Match[str]) -> str | None:
    if failure.command in ("restore", "archive-get"):
        # These write to this host's disk and only read the repository, which may be full at the same time.
        return _disk_full(failure) if "[28]" in failure.text else None
    if not failure.repository_full and "[28]" not in failure.text:
        return None
    return (
        f"{_capital(failure.where)} is full: pgbackrest {failure.command} could not write there. Give it more room or keep "
        "fewer backups (pgbackrest_expire), then run this again; backups that were complete before are untouched."
    )


def _disk_full(failure: Failure) -> str:
    return (
        f"The disk of this host is full: {failure.first_line}. Make room where pgbackrest {failure.command} writes, or restore "
        "to a larger disk, then run this again; the repository and its backups are untouched."
    )


def _wrong_key(failure: Failure, match: re.Match[str]) -> str:
    if failure.configured_cipher == "none":
        return (
            f"{_capital(failure.where)} cannot be read: the files of stanza {failure.stanza} are encrypted (or damaged), "
            f"and this host "
            "has no cipher for them. Set repo-cipher-type and repo-cipher-pass as on the host that made the stanza."
        )
    return (
        f"{_capital(failure.where)} cannot be read with this cipher key: the files of stanza {failure.stanza} were "
        f"written with another "
        "key (or are damaged). Use the repo-cipher-pass of the host that made the stanza; nothing was changed."
    )


def _not_encrypted(failure: Failure, match: re.Match[str]) -> str:
    return (
        f"{_capital(failure.where)} is not encrypted with what this host is configured for: the files of stanza "
        f"{failure.stanza} have no "
        "cipher header. Compare repo-cipher-type here with the host that made the stanza; nothing was changed."
    )


def _tls(failure: Failure, match: re.Match[str]) -> str:
    if failure.node_host:
        return (
            f"TLS with the node's host {failure.node_host} does not work: {failure.first_line}. Check the certificate, key and "
            f"authority files of pg-host and that the certificate of its pgBackRest server names that host."
        )
    if "://" in failure.where:
        return (
            f"TLS with the store of {failure.where} does not work: {failure.first_line}. Check ca_file (repo-storage-ca-file) "
            f"and that the store's certificate names its endpoint."
        )
    return (
        f"TLS with the host of {failure.where} does not work: {failure.first_line}. "
        "Check the certificate, key and authority files of repo-host and that the server's certificate names that host."
    )


def _damaged_info(failure: Failure, match: re.Match[str]) -> str:
    return (
        f"{match.group(1)} of stanza {failure.stanza} and its copy are damaged: {failure.where} cannot be used until one "
        f"of them is "
        "put back from a copy of the repository. Do not delete the stanza: its backups are still there."
    )


def _damaged_file(failure: Failure, match: re.Match[str]) -> str:
    return (
        f"The backup is damaged in {failure.where}: {match.group(1)} does not have the checksum that was recorded when it "
        f"was taken. "
        "Restore another backup (pgbackrest_info with verify names the sound ones) and take a new full one."
    )


def _damaged_backup(failure: Failure, match: re.Match[str]) -> str | None:
    """The index files could be read, so the key is right: what cannot be read then is damaged."""
    if failure.command != "restore":
        return None
    return (
        f"The backup is damaged in {failure.where}: {failure.first_line}. "
        "Restore another backup (pgbackrest_info with verify names the sound ones) and take a new full one."
    )


def _no_stanza(failure: Failure, match: re.Match[str]) -> str:
    return (
        f"Stanza {failure.stanza} does not exist in {failure.where} (no {match.group(1).rpartition('/')[2]}). "
        "Create it first (pgbackrest_stanza), or check the stanza's name and the repository's path."
    )


def _half_stanza(failure: Failure, match: re.Match[str]) -> str:
    return (
        f"Stanza {failure.stanza} is incomplete in {failure.where}: {failure.first_line}. Put the missing file back from "
        f"a copy of "
        "the repository; where there are no backups worth keeping, remove the stanza (state absent) and create it again."
    )


def _other_cluster(failure: Failure, match: re.Match[str]) -> str:
    return (
        f"Stanza {failure.stanza} in {failure.where} belongs to another cluster: {failure.first_line}. "
        "Use another stanza name for this cluster; where the node was rebuilt or upgraded, upgrade the stanza (state "
        "upgraded)."
    )


def _infos_differ(failure: Failure, match: re.Match[str]) -> str:
    return (
        f"backup.info and archive.info of stanza {failure.stanza} in {failure.where} speak of different clusters: the "
        f"repository was "
        "mixed up or is damaged. Put both files back from one copy of the repository."
    )


def _unknown_version(failure: Failure, match: re.Match[str]) -> str:
    return (
        f"This pgBackRest does not know the PostgreSQL version of stanza {failure.stanza}: {failure.first_line}. "
        "Install a pgBackRest that supports it (`pgbackrest version` shows this one's); no backup is taken until then."
    )


def _locked(failure: Failure, match: re.Match[str]) -> str:
    return (
        f"Another pgbackrest backup, expire or stanza command of stanza {failure.stanza} is running on this host and did "
        f"not end in time. "
        "Wait for it, or give this task a longer lock_wait."
    )


def _unreachable(failure: Failure, match: re.Match[str]) -> str:
    if failure.node_host:
        return (
            f"The node's host {failure.node_host} cannot be reached from here: {failure.first_line}. Start its pgBackRest "
            f"server, or check pg-host, port and firewall. The repository has no part in it."
        )
    if "://" in failure.where:
        return (
            f"The store of {failure.where} cannot be reached: {failure.first_line}. Check its endpoint, port and the network. "
            f"WAL stays on this node and is archived when the store is back."
        )
    return (
        f"The host of {failure.where} cannot be reached: {failure.first_line}. Start its pgBackRest server, or check "
        f"repo-host, port and "
        "firewall. WAL stays on this node and is archived when the host is back."
    )


def _no_database(failure: Failure, match: re.Match[str]) -> str:
    reason = next((line for line in failure.warnings if "unable to check" in line), failure.first_line)
    return (
        f"pgBackRest cannot use the PostgreSQL server of stanza {failure.stanza}: {_one_line(reason)}. "
        "Start it and check pg-path, pg-port and pg-socket-path; a server in recovery is no primary."
    )


def _mismatch_database(failure: Failure, match: re.Match[str]) -> str:
    return (
        f"pg-path and pg-port (or pg-socket-path) of stanza {failure.stanza} point to different servers: "
        f"{failure.first_line}. Correct the "
        "configuration of pgBackRest."
    )


def _not_archived(failure: Failure, match: re.Match[str]) -> str:
    return (
        f"WAL segment {match.group(1)} did not arrive in {failure.where} in time: the server's archiving does not work or "
        f"is behind. "
        f"Look at archive_command (its --stanza must be {failure.stanza}), the server's log and pg_stat_archiver."
    )


def _archive_off(failure: Failure, match: re.Match[str]) -> str:
    return (
        f"The server of stanza {failure.stanza} does not archive with pgBackRest: {failure.first_line}. Set archive_mode "
        f"= on and "
        f"archive_command = 'pgbackrest --stanza={failure.stanza} archive-push %p', and restart it where archive_mode "
        f"changed."
    )


def _stopped(failure: Failure, match: re.Match[str]) -> str:
    return (
        f"pgBackRest has been stopped on this host ({failure.first_line}). "
        f"Run `pgbackrest --stanza={failure.stanza} start` when it may work again."
    )


def _terminated(failure: Failure, match: re.Match[str]) -> str:
    return f"pgbackrest {failure.command} was told to stop before it was done. Run it again: what is done already is used."


def _denied(failure: Failure, match: re.Match[str]) -> str:
    return (
        f"{match.group(1)} is not accessible to the user that ran pgbackrest {failure.command}: {failure.first_line}. Run "
        f"the task "
        "as the repository's owner (become_user: postgres), or correct the owner of the path."
    )


def _no_set(failure: Failure, match: re.Match[str]) -> str:
    return f"There is no such backup in {failure.where}: {failure.first_line}. pgbackrest_info lists what can be restored."


def _server_runs(failure: Failure, match: re.Match[str]) -> str:
    return (
        f"PostgreSQL runs in the directory that pgbackrest {failure.command} wants for itself: {failure.first_line}. "
        "Stop that server first."
    )


def _not_empty(failure: Failure, match: re.Match[str]) -> str:
    return (
        f"The target directory holds files that are no backup of this stanza: {failure.first_line}. "
        "Empty it yourself, or choose another."
    )


def _nested(failure: Failure, match: re.Match[str]) -> str:
    return (
        f"pgBackRest does not back up a tablespace or link that leads into another one's directory, or into the data directory: "
        f"{failure.first_line}. Give it a directory of its own (ALTER TABLE .. SET TABLESPACE, then drop it)."
    )


def _options(failure: Failure, match: re.Match[str]) -> str:
    return (
        f"pgBackRest does not accept its options or configuration: {failure.first_line}. "
        "Correct /etc/pgbackrest or the task's options."
    )


def _wrong_host(failure: Failure, match: re.Match[str]) -> str:
    return (
        f"pgbackrest {failure.command} must run on another host: {failure.first_line}. "
        "With a repository host, run backup, expire and stanza tasks there (delegate_to)."
    )


def _http(failure: Failure, match: re.Match[str]) -> str | None:
    answer = _HTTP_ANSWER.search(failure.text)
    if answer is None:
        return None
    told = ", ".join(each for each in answer.groups() if each)
    advice = {
        "401": "Check the account and its key.",
        "403": "Check the account, its key and its rights.",
        "404": "Check the name of the bucket or container, which has to be there already, and the endpoint.",
    }.get(answer[1], "Check the store.")
    return f"The store of {failure.where} refused pgbackrest {failure.command}: {told.rstrip('.')}. {advice}"


def _no_key(failure: Failure, match: re.Match[str]) -> str:
    return (
        f"The SFTP server of {failure.where} does not accept this host's key: {failure.first_line}. Check user and "
        f"private_key_file, and what the server's log says; it refuses a locked account, too."
    )


def _service(failure: Failure, match: re.Match[str]) -> str:
    return (
        f"The storage service of {failure.where} refused or failed: {failure.first_line}. Check its address, account and rights."
    )


def _no_repository(failure: Failure, match: re.Match[str]) -> str:
    code, text = error_of_class(re.sub(r"^repo\d+: ", "", match.group(1)))
    return explain(
        Failure(code, text, failure.command, failure.stanza, failure.where, failure.configured_cipher, failure.repository_full)
    )


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]


def _one_line(text: str) -> str:
    return " ".join(text.split())


_WRITES = (CODES["FileWriteError"], CODES["FileSyncError"], CODES["PathCreateError"], CODES["FileOpenError"], 54, 63)

# First rule whose numbers and pattern fit, and whose sentence applies.
_RULES: list[tuple[tuple[int, ...], str, Sentence]] = [
    (_WRITES, r"", _full),
    ((CODES["RepoInvalidError"],), r"unable to find a valid repository:\n\s*(repo\d+: .*)", _no_repository),
    # Of a segment: its path and then the error.
    ((CODES["FileReadError"],), r"unable to get \S+\s+repo\d+: \S+ (\[[A-Z][A-Za-z]+Error\] .*)", _no_repository),
    ((CODES["CryptoError"],), r"cipher header invalid", _not_encrypted),
    ((CODES["CryptoError"],), _TLS, _tls),
    (
        (CODES["CryptoError"], CODES["FormatError"], CODES["ChecksumError"]),
        r"^(?!.*(unable to load info file|error restoring '))",
        _damaged_backup,
    ),
    ((CODES["CryptoError"], CODES["FormatError"]), r"unable to flush|outside of section", _wrong_key),
    ((CODES["FormatError"], CODES["ChecksumError"]), _INFO_FILE.pattern, _damaged_info),
    ((CODES["ChecksumError"], CODES["FormatError"]), r"error restoring '([^']+)'", _damaged_file),
    ((CODES["FileMissingError"],), r"unable to load info file '([^']+)'", _no_stanza),
    ((CODES["FileMissingError"],), r"(archive|backup)\.info exists but", _half_stanza),
    ((CODES["PathNotEmptyError"],), r"(archive|backup) directory", _half_stanza),
    ((CODES["BackupMismatchError"], CODES["ArchiveMismatchError"]), r"", _other_cluster),
    ((CODES["FileInvalidError"],), r"do not match the database", _other_cluster),
    ((CODES["FileInvalidError"],), r"do not match", _infos_differ),
    ((CODES["VersionNotSupportedError"],), r"", _unknown_version),
    ((LOCKED,), r"", _locked),
    ((CODES["HostConnectError"],), r"", _unreachable),
    ((CODES["FileReadError"], CODES["FileWriteError"], CODES["ServiceError"], CODES["ProtocolError"]), _SILENT, _unreachable),
    (tuple(range(41, 65)), _SFTP_LOST, _unreachable),
    ((CODES["DbConnectError"], CODES["DbQueryError"]), r"", _no_database),
    ((CODES["ConfigError"],), r"no database found", _no_database),
    ((CODES["DbMismatchError"],), r"", _mismatch_database),
    ((CODES["ArchiveTimeoutError"],), r"WAL segment ([0-9A-F]{24})", _not_archived),
    ((CODES["ArchiveCommandInvalidError"], CODES["ArchiveDisabledError"]), r"", _archive_off),
    ((CODES["StopError"],), r"", _stopped),
    ((CODES["TermError"],), r"", _terminated),
    ((CODES["BackupSetInvalidError"],), r"", _no_set),
    ((CODES["PgRunningError"],), r"", _server_runs),
    ((CODES["PathNotEmptyError"],), r"", _not_empty),
    ((CODES["HostInvalidError"],), r"", _wrong_host),
    ((CODES["LinkDestinationError"],), r"", _nested),
    ((CODES["ProtocolError"],), r"HTTP request failed with", _http),
    ((CODES["ServiceError"],), r"public key authentication failed", _no_key),
    ((CODES["ServiceError"], CODES["AccessError"]), r"", _service),
    (tuple(range(41, 65)), r"'([^']+)'.*\[13\] Permission denied", _denied),
    ((27, 31, 32, 37), r"", _options),
]
