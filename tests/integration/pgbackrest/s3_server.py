# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""``python s3_server.py ADDRESS PORT CERTIFICATE KEY`` : moto's S3 with TLS, in the foreground.

moto's own server ends an answer with the connection, without TLS's farewell: pgBackRest takes that for one that was cut off.
"""

from __future__ import annotations

import contextlib
import ssl
import sys

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server


class Handler(WSGIRequestHandler):
    def finish(self) -> None:
        super().finish()
        with contextlib.suppress(OSError, ssl.SSLError, ValueError):
            self.connection.settimeout(5)
            self.connection.unwrap()


if __name__ == "__main__":
    address, port, certificate, key = sys.argv[1:]
    application = DomainDispatcherApplication(create_backend_app)
    tls = (certificate, key)
    make_server(address, int(port), application, threaded=True, request_handler=Handler, ssl_context=tls).serve_forever()
