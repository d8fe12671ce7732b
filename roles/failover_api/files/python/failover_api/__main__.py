# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""python3 -m failover_api CONFIGURATION: runs one instance of the API until it is told to stop."""

from __future__ import annotations

import argparse
import contextlib
import sys

from .application import build
from .checked import Invalid
from .configuration import Configuration, load
from .logs import set_up
from .server import server


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
    instance = server(build(configuration), configuration)
    with contextlib.suppress(KeyboardInterrupt):
        instance.run()
    if not instance.started:
        # It could not start, and has said why.
        sys.exit(3)


if __name__ == "__main__":
    sys.exit(main())
