# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""python3 -m failover_api CONFIGURATION: runs one instance of the API until it is told to stop."""

from __future__ import annotations

import argparse
import sys

import uvicorn

from .application import build
from .checked import Invalid
from .configuration import Configuration, load
from .logs import set_up


def main() -> int:
    parser = argparse.ArgumentParser(prog="failover_api", description="The HTTP API over several masters.")
    parser.add_argument("configuration", help="file with the configuration, JSON")
    parser.add_argument("--check", action="store_true", help="only say whether the configuration can be used")
    arguments = parser.parse_args()
    try:
        configuration = load(arguments.configuration)
    except Invalid as problem:
        print(f"failover_api: {problem}", file=sys.stderr)
        return 2
    if not arguments.check:
        run(configuration)
    return 0


def run(configuration: Configuration) -> None:
    set_up(configuration.log_level)
    listen = configuration.listen
    uvicorn.run(
        build(configuration),
        host=listen.host,
        port=listen.port,
        ssl_certfile=listen.tls_certificate_file or None,
        ssl_keyfile=listen.tls_key_file or None,
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="on",
        ws="none",
        backlog=4096,
        timeout_keep_alive=30,
    )


if __name__ == "__main__":
    sys.exit(main())
