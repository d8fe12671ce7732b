# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The status page in a browser: what a person sees of a failover, on a phone and on a screen."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
from api_process import Api, RedisServer
from browser import Browser
from failover_mesh import FailoverMesh, kill, start_again

# Where to put the pictures, for a look at them
PICTURES = os.environ.get("STATUS_PAGE_PICTURES")

pytestmark = pytest.mark.browser

PHONE, SCREEN = (360, 740), (1280, 900)


@pytest.mark.parametrize("size", [PHONE, SCREEN], ids=["phone", "screen"])
def test_the_page_shows_the_nodes_and_follows_what_happens(
    api: Api, imdb: FailoverMesh, redis_pair: list[RedisServer], tmp_path: Path, size: tuple[int, int]
) -> None:
    with redis_pair[0].client() as client:
        hostile = "<script>alert(1)</script>"
        record = {"timestamp": "2026-11-24T02:00:00Z", "type": "full", "stanza": "pg1", "label": "F", "size_bytes": 8_400_000,
                  "status": hostile}
        client.set("pgbackrest:backup:pg1:F", json.dumps(record))
        client.zadd("pgbackrest:history:pg1", {"F": time.time()})
        client.sadd("pgbackrest:stanzas", "pg1")
    with Browser(tmp_path / "profile", *size) as browser:
        browser.open(str(api.http.base_url))
        browser.wait_for("document.title === 'pg1 is active'")
        text = browser.text()
        for shown in ("pg1 → pg2", "pg2 → pg1", "streaming", "up to date for", "8.4 MB", "epoch 1", "Redis 2 of 2"):
            assert shown in text, (shown, text)
        assert hostile in text
        # Nothing goes beyond the edge, and letters can be read.
        assert browser.value("document.documentElement.scrollWidth") <= size[0]
        assert browser.value("parseFloat(getComputedStyle(document.querySelector('td')).fontSize)") >= 12
        if PICTURES:
            browser.picture(Path(PICTURES) / f"status_{size[0]}.png")

        kill(imdb.a)
        browser.wait_for("document.title === 'pg2 is active'")
        browser.wait_for("document.querySelector('.card.aside h3')?.textContent === 'pg1'")
        browser.wait_for("document.body.innerText.includes('Failover to pg2')")
        if PICTURES:
            browser.picture(Path(PICTURES) / f"status_{size[0]}_failed_over.png")
        start_again(imdb.a)
        browser.wait_for("document.querySelectorAll('.card.up').length === 2", 15)
        assert api.switch("-primary").status_code == 200
        browser.wait_for("document.title === 'pg1 is active'")

        assert {url.split("/")[2] for url in browser.requested if url.startswith("http")} == {f"127.0.0.1:{api.port}"}
        assert browser.complaints == []
        api.stop()
        browser.wait_for("getComputedStyle(document.getElementById('stale')).display === 'block'")


def test_the_description_of_the_api_needs_no_other_server(api: Api, tmp_path: Path) -> None:
    with Browser(tmp_path / "profile", *SCREEN) as browser:
        browser.open(f"{api.http.base_url}/docs")
        browser.wait_for("document.querySelectorAll('details').length > 8")
        assert "/switch-to-primary" in browser.text()
        assert {url.split("/")[2] for url in browser.requested if url.startswith("http")} == {f"127.0.0.1:{api.port}"}
        assert browser.complaints == []
