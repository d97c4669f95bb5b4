#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""One service of the demo: answers GET with a page, after asking the services named by NEXT in turn.

Environment: NAME, PORT, NEXT ("host:port,host:port", may be empty), PAGE_BYTES.
"""
import http.client
import http.server
import itertools
import os

NAME = os.environ["NAME"]
PORT = int(os.environ.get("PORT", "9080"))
NEXT = itertools.cycle([item for item in os.environ.get("NEXT", "").split(",") if item] or [None])
PAGE = b"x" * int(os.environ.get("PAGE_BYTES", "2000"))


def ask_next():
    target = next(NEXT)
    if target is None:
        return b""
    connection = http.client.HTTPConnection(target, timeout=10)
    try:
        connection.request("GET", "/", headers={"Connection": "close"})
        return connection.getresponse().read()
    finally:
        connection.close()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        body = NAME.encode() + b"\n" + PAGE + ask_next()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


Server(("0.0.0.0", PORT), Handler).serve_forever()
