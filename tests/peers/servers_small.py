#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Servers whose library does all but the listening: servers_small.py SERVER PORT [ARGUMENT...]."""
import asyncio
import signal
import ssl
import sys
from concurrent import futures

LOOPBACK = "127.0.0.1"


def websocket(port):
    from websockets.sync.server import serve

    def echo(connection):
        for message in connection:
            connection.send(message)

    with serve(echo, LOOPBACK, port, ping_interval=None) as server:
        server.serve_forever()


def grpc(port):
    """The health service: SERVING, always."""
    import grpc as library

    class Health(library.GenericRpcHandler):
        def service(self, call):
            assert call.method == "/grpc.health.v1.Health/Check"
            return library.unary_unary_rpc_method_handler(lambda request, context: b"\x08\x01")

    server = library.server(futures.ThreadPoolExecutor(2), handlers=(Health(),))
    server.add_insecure_port(f"{LOOPBACK}:{port}")
    server.start()
    server.wait_for_termination()


def quic(port, certificate, key):
    """Streams come back as they are."""
    from aioquic.asyncio import serve
    from aioquic.quic.configuration import QuicConfiguration

    async def echo(reader, writer):
        writer.write(await reader.read())
        writer.write_eof()

    async def run():
        configuration = QuicConfiguration(is_client=False, alpn_protocols=["echo"])
        configuration.load_cert_chain(certificate, key)
        await serve(LOOPBACK, port, configuration=configuration,
                    stream_handler=lambda *stream: asyncio.ensure_future(echo(*stream)))
        await asyncio.Event().wait()

    asyncio.run(run())


def smtp(port, certificate, key):
    """Takes every mail; TLS by STARTTLS."""
    from aiosmtpd.controller import Controller
    from aiosmtpd.handlers import Sink

    secrets = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    secrets.load_cert_chain(certificate, key)
    Controller(Sink(), LOOPBACK, port, tls_context=secrets).start()
    signal.pause()


SERVERS = {server.__name__: server for server in (websocket, grpc, quic, smtp)}

if __name__ == "__main__":
    SERVERS[sys.argv[1]](int(sys.argv[2]), *sys.argv[3:])
