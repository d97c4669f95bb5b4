#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Servers whose library does all but the listening: servers_small.py SERVER PORT [ARGUMENT...]."""
import signal
import sys

LOOPBACK = "127.0.0.1"


def websocket(port):
    from websockets.sync.server import serve

    def echo(connection):
        for message in connection:
            connection.send(message)

    with serve(echo, LOOPBACK, port) as server:
        server.serve_forever()


SERVERS = {server.__name__: server for server in (websocket,)}

if __name__ == "__main__":
    SERVERS[sys.argv[1]](int(sys.argv[2]), *sys.argv[3:])
