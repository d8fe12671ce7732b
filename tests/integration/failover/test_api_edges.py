# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The API's edge to the network, over real sockets: TLS, the administrators' token, clients that come in crowds."""

from __future__ import annotations

import ssl
import typing as t
from pathlib import Path

import httpx
import pytest
from api_process import PATIENCE, TOKEN, Api, assert_leaks_nothing
from failover_mesh import FailoverMesh
from servers import Authority, wait_until

# What a proxy on this host says of a caller from elsewhere
ELSEWHERE = {"X-Forwarded-For": "192.0.2.7", "X-Forwarded-Proto": "http"}
AWKWARD = "%s p\\a's\"$w{x}:#;=é@/ "


def switch(api: Api, token: str | bytes, headers: t.Mapping[str, str] | None = None) -> httpx.Response:
    sent = token if isinstance(token, bytes) else token.encode()
    pairs: list[tuple[bytes, bytes]] = [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
    return api.http.post("/switch-to/pg1", headers=[*pairs, (b"Authorization", b"Bearer " + sent)])


def test_a_token_over_plain_http_is_refused_unless_it_was_on_no_network(api: Api) -> None:
    for token in (TOKEN, "wrong-" * 5):
        answer = switch(api, token, ELSEWHERE)
        assert (answer.status_code, "HTTPS only" in answer.json()["error"]) == (403, True)
        assert_leaks_nothing(answer)
    assert switch(api, TOKEN, {**ELSEWHERE, "X-Forwarded-Proto": "https"}).status_code == 200
    assert switch(api, TOKEN).status_code == 200


def test_wrong_tokens_are_looked_at_a_few_times_only(api: Api) -> None:
    proxied = {**ELSEWHERE, "X-Forwarded-Proto": "https"}
    statuses = [switch(api, "wrong", proxied).status_code for _ignored in range(30)]
    assert statuses[:10] == [401] * 10
    # Some come back meanwhile on a machine that takes its time.
    assert statuses.count(429) >= 10
    answer = next(each for each in iter(lambda: switch(api, "wrong", proxied), None) if each.status_code == 429)
    assert 1 <= int(answer.headers["Retry-After"]) <= 6
    assert_leaks_nothing(answer)
    # The administrators at another address, and on the host
    assert switch(api, TOKEN, {**proxied, "X-Forwarded-For": "192.0.2.8"}).status_code == 200
    assert switch(api, TOKEN).status_code == 200
    refused = [audit for audit in api.audits() if audit.get("done") is False]
    assert len(refused) < 40


def test_crowds_that_guess_keep_nobody_on_the_host_from_switching(api: Api) -> None:
    guesses = [
        switch(api, "wrong", {"X-Forwarded-For": f"198.51.100.{number}", "X-Forwarded-Proto": "https"}).status_code
        for number in range(200)
    ]
    assert set(guesses) == {401, 429}
    assert guesses[:50] == [401] * 50
    assert switch(api, TOKEN).status_code == 200


@pytest.mark.parametrize("api", [{"token": AWKWARD}], indirect=True)
def test_a_token_is_any_line_of_text(api: Api) -> None:
    sent = AWKWARD.strip()
    assert switch(api, sent).status_code == 200
    assert switch(api, sent.encode("latin-1")).status_code == 200
    assert switch(api, sent.replace("é", "e")).status_code == 401
    assert AWKWARD.strip() not in api.log.read_text()


@pytest.mark.parametrize("api", [{"limits": {"head_seconds": 0.5, "connections": 50, "stop_seconds": 1}}], indirect=True)
def test_half_sent_headers_are_given_up(api: Api) -> None:
    halves = [api.connect(b"GET /health HTTP/1.1\r\nHost: x\r\nX-") for _ignored in range(40)]
    try:
        for half in halves:
            assert half.recv(100).startswith(b"HTTP/1.1 408 ")
    finally:
        for half in halves:
            half.close()
    assert api.http.get("/health").status_code == 200


def test_tls_is_all_that_is_spoken_where_there_is_a_certificate(tmp_path: Path, imdb: FailoverMesh, authority: Authority) -> None:
    folder = tmp_path / "api"
    folder.mkdir()
    authority.issue(folder, "server", "localhost")
    listen = {"tls_certificate_file": str(folder / "server.crt"), "tls_key_file": str(folder / "server.key")}
    instance = Api(folder, imdb, listen=listen, limits={"head_seconds": 1.0}, trusted=folder / "ca.crt")
    try:
        instance.start().wait_until_up()
        assert instance.http.post("/generos", json={"genero": "Sealed"}).status_code == 201
        assert switch(instance, TOKEN, {"X-Forwarded-For": "192.0.2.7", "X-Forwarded-Proto": "https"}).status_code == 200
        with pytest.raises(httpx.TransportError):
            httpx.get(f"http://127.0.0.1:{instance.port}/health", timeout=PATIENCE)
        # Who agrees on nothing is given up, too: as often as asked.
        silent = [instance.connect(b"") for _ignored in range(20)]
        for each in silent:
            assert each.recv(100) == b""
            each.close()
        with ssl.create_default_context(cafile=str(folder / "ca.crt")).wrap_socket(
            instance.connect(b""), server_hostname="127.0.0.1"
        ) as half:
            half.sendall(b"GET /health HTTP/1.1\r\n")
            assert half.recv(100).startswith(b"HTTP/1.1 408 ")
        wait_until(lambda: instance.http.get("/health").status_code == 200, PATIENCE, "an answer")
    finally:
        instance.stop()
