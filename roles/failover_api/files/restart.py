# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""restart.py HOST UNIT URL SECONDS : restarts the instance and returns once it can carry out requests.

Ends with 1 and one sentence where it cannot within SECONDS. HOST is the name of this host: the task runs for another one.
"""

from __future__ import annotations

import http.client
import ssl
import subprocess
import sys
import time
import urllib.request

host, unit, url, seconds = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
# It asks itself by an address that no certificate is for, and no proxy knows.
context = ssl.create_default_context()
context.check_hostname = False
context.verify_mode = ssl.CERT_NONE
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))


def serves() -> bool:
    try:
        with opener.open(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except (OSError, http.client.HTTPException):
        return False


def systemctl(*arguments: str) -> bool:
    done = subprocess.run(["/usr/bin/systemctl", *arguments], check=False)  # noqa: S603 an argument list without a shell
    return done.returncode == 0


if systemctl("daemon-reload") and systemctl("restart", unit):
    limit = time.monotonic() + seconds
    while time.monotonic() < limit:
        if serves():
            sys.exit(0)
        time.sleep(0.2)
sys.exit(
    f"On {host} {unit} was restarted and cannot carry out requests: {url} did not answer with 200 within {seconds} s. "
    f"Further instances were not restarted. Look at journalctl --unit={unit} on {host}, mend it, and run this again."
)
