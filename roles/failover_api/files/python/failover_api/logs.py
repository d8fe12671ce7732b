# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""One line of JSON for each thing that happened. Requests are counted in metrics, not logged one by one."""

from __future__ import annotations

import asyncio
import datetime
import json
import logging
import sys
import typing as t


class Disconnected(logging.Filter):
    """A connection that was lost, or given up in the middle of its TLS handshake: one line, since no program is wrong."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, (OSError, asyncio.TimeoutError)):
            record.msg, record.args = f"{record.getMessage().splitlines()[0]}: {type(error).__name__}", ()
            record.exc_info, record.levelno, record.levelname = None, logging.INFO, "INFO"
        return True


class JsonFormatter(logging.Formatter):
    """``time``, ``level``, ``logger``, ``message``, and ``event`` where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.datetime.fromtimestamp(record.created, datetime.timezone.utc)
        line: dict[str, t.Any] = {
            "time": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        for name in ("event", "audit"):
            if hasattr(record, name):
                line[name] = getattr(record, name)
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def set_up(level: str) -> None:
    """To standard output, which the journal keeps."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.getLogger("uvicorn.access").disabled = True
    logging.getLogger("asyncio").addFilter(Disconnected())
