# Managed by Ansible, role multimaster.postgresql.postgresql: changes made here are overwritten.
# SPDX-License-Identifier: GPL-3.0-or-later
"""wait_for_addresses.py SECONDS ADDRESS... : returns once this host has all of them, or after so many seconds.

A server that starts before one of its addresses is there leaves it out without an error; nobody reaches it until its next start.
"""

from __future__ import annotations

import socket
import sys
import time


def is_here(address: str) -> bool:
    """Whether anything can listen on it. A name is where any of its addresses is."""
    try:
        known = socket.getaddrinfo(address, 0, type=socket.SOCK_STREAM)
    except OSError:
        return False
    for family, kind, protocol, _name, where in known:
        try:
            with socket.socket(family, kind, protocol) as listener:
                listener.bind(where)
        except OSError:
            continue
        return True
    return False


limit = time.monotonic() + float(sys.argv[1])
missing = [address for address in sys.argv[2:] if not is_here(address)]
while missing and time.monotonic() < limit:
    time.sleep(0.2)
    missing = [address for address in missing if not is_here(address)]
if missing:
    print(f"This host has no address {', '.join(missing)}.", file=sys.stderr)
    sys.exit(1)
