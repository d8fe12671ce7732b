# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the journal says of connections that are lost."""

from __future__ import annotations

import json
import logging
import ssl

import pytest
from failover_api.logs import Disconnected, JsonFormatter


def said(error: Exception) -> dict[str, object]:
    info = None
    try:
        raise error
    except Exception as caught:  # noqa: BLE001 - as an event loop does
        info = (type(caught), caught, caught.__traceback__)
    assert info is not None
    record = logging.LogRecord("asyncio", logging.ERROR, "", 1, "Fatal error on SSL protocol\nprotocol: <x at 0x7f>", None, info)
    assert Disconnected().filter(record)
    return json.loads(JsonFormatter().format(record))


@pytest.mark.parametrize("error", [ssl.SSLError("handshake"), ConnectionResetError(), TimeoutError()])
def test_a_connection_that_is_lost_is_one_line(error: Exception) -> None:
    line = said(error)
    assert "trace" not in line
    assert (line["level"], line["message"]) == ("info", f"Fatal error on SSL protocol: {type(error).__name__}")


def test_a_mistake_of_a_program_is_shown_whole() -> None:
    line = said(KeyError("x"))
    assert "KeyError" in str(line["trace"])
    assert line["level"] == "error"
