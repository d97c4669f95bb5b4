# SPDX-License-Identifier: Apache-2.0
"""WebSocket by hand, both ends of it, so that a test can break every rule of it."""
import base64
import hashlib
import os
import re
import socket
import ssl
import struct

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
MAGIC = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def accept_key(key):
    return base64.b64encode(hashlib.sha1((key + MAGIC).encode()).digest()).decode()


def encode(payload, opcode=TEXT, final=True, mask=False, reserved=0):
    data = payload.encode() if isinstance(payload, str) else payload
    head = bytes([final << 7 | reserved << 4 | opcode])
    if len(data) < 126:
        size = bytes([mask << 7 | len(data)])
    elif len(data) < 65536:
        size = bytes([mask << 7 | 126]) + struct.pack("!H", len(data))
    else:
        size = bytes([mask << 7 | 127]) + struct.pack("!Q", len(data))
    if not mask:
        return head + size + data
    key = os.urandom(4)
    repeated = int.from_bytes((key * (len(data) // 4 + 1))[:len(data)], "big")
    masked = (int.from_bytes(data, "big") ^ repeated).to_bytes(len(data), "big")
    return head + size + key + masked


class Ended(Exception):
    """The peer is gone."""


class Wire:
    """One end of a connection. A client masks what it sends, a server does not."""

    def __init__(self, connection, mask):
        self.connection, self.mask = connection, mask
        self.buffer = b""
        self.close_code, self.close_reason = None, ""

    def fill(self):
        try:
            data = self.connection.recv(65536)
        except (ConnectionError, ssl.SSLError) as problem:
            raise Ended(str(problem)) from problem
        if not data:
            raise Ended("end of the stream")
        self.buffer += data

    def read(self, count):
        while len(self.buffer) < count:
            self.fill()
        data, self.buffer = self.buffer[:count], self.buffer[count:]
        return data

    def read_head(self):
        """First line and headers of a request or an answer."""
        while b"\r\n\r\n" not in self.buffer:
            self.fill()
        head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        first, *rest = head.decode().split("\r\n")
        return first, {line.split(":", 1)[0].lower(): line.split(":", 1)[1].strip() for line in rest}

    def write(self, data):
        try:
            self.connection.sendall(data if isinstance(data, bytes) else data.encode())
        except (ConnectionError, ssl.SSLError) as problem:
            raise Ended(str(problem)) from problem

    def send(self, payload, opcode=TEXT, **options):
        self.write(encode(payload, opcode, mask=self.mask, **options))

    def receive(self):
        """The next frame (opcode, payload); pings are answered, a close frame is kept."""
        while True:
            first, size = self.read(2)
            length = size & 127
            if length > 125:
                length = int.from_bytes(self.read(2 if length == 126 else 8), "big")
            key = self.read(4) if size & 128 else bytes(4)
            data = bytes(byte ^ key[i % 4] for i, byte in enumerate(self.read(length)))
            if first & 15 == PING:
                self.send(data, PONG)
            elif first & 15 == CLOSE:
                self.close_code = int.from_bytes(data[:2], "big") if data else 1005
                self.close_reason = data[2:].decode(errors="replace")
                raise Ended(f"closed: {self.close_code} {self.close_reason}")
            else:
                return first & 15, data

    def receive_text(self):
        opcode, data = self.receive()
        while opcode != TEXT:
            opcode, data = self.receive()
        return data.decode()

    def is_answered(self):
        """The peer still lives: it answers a ping."""
        self.send("are you there", PING)
        while True:
            if self.receive() == (PONG, b"are you there"):
                return True

    def wait_closed(self):
        """Reads to the end; (code, reason) of the close frame, code None if none came."""
        try:
            while True:
                self.receive()
        except Ended:
            return self.close_code, self.close_reason

    def upgrade(self):
        """As a server: takes the request and agrees."""
        _, headers = self.read_head()
        self.write("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                   f"Sec-WebSocket-Accept: {accept_key(headers['sec-websocket-key'])}\r\n\r\n")
        return headers

    def end(self):
        try:
            self.connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.connection.close()


def dial(port, ca, path="/v1/agents", headers=(), timeout=20):
    """A client's connection, not upgraded yet."""
    context = ssl.create_default_context(cafile=str(ca))
    raw = socket.create_connection(("127.0.0.1", port), timeout)
    wire = Wire(context.wrap_socket(raw, server_hostname="127.0.0.1"), mask=True)
    key = base64.b64encode(os.urandom(16)).decode()
    wire.write("\r\n".join([f"GET {path} HTTP/1.1", f"Host: 127.0.0.1:{port}", "Upgrade: websocket",
                            "Connection: Upgrade", f"Sec-WebSocket-Key: {key}",
                            "Sec-WebSocket-Version: 13", *headers, "", ""]))
    return wire


def status_of(wire):
    """The status of the answer to the upgrade; 0: none came."""
    try:
        first, _ = wire.read_head()
    except Ended:
        return 0
    return int(re.match(r"HTTP/1\.[01] (\d+)", first)[1])
