# SPDX-License-Identifier: Apache-2.0
"""A controller on loopback that does what a script says, connection by connection."""
import queue
import socket
import ssl
import threading

from frames import Ended, Wire

NOTHING_WANTED = '{"type":"wanted","epoch":"1","assignments":[]}'


class StrangeController:
    """Each connection takes the next of `steps`, called with its Wire; without one it is well served,
    and what the agent says is in `heard`."""

    def __init__(self, authority):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(authority.cert, authority.key)
        self.steps, self.heard, self.asked, self.problems = (queue.Queue() for _ in range(4))
        self.open = set()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.url = f"wss://127.0.0.1:{self.port}/v1/agents"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                raw, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(raw,), daemon=True).start()

    def serve(self, raw):
        raw.settimeout(30)
        try:
            wire = Wire(self.context.wrap_socket(raw, server_side=True), mask=False)
        except OSError as problem:
            self.problems.put(problem)
            raw.close()
            return
        self.open.add(wire)
        try:
            try:
                step = self.steps.get_nowait()
            except queue.Empty:
                step = self.serve_well
            step(wire)
        except (Ended, OSError) as problem:
            self.problems.put(problem)
        finally:
            self.open.discard(wire)
            wire.end()

    def serve_well(self, wire):
        self.asked.put(wire.upgrade())
        wire.send(NOTHING_WANTED)
        while True:
            self.heard.put(wire.receive_text())

    def stop(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for wire in list(self.open):
            wire.end()
