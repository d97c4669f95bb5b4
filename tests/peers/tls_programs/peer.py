#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A TLS peer over Python's ssl, blocking or, with io=asyncio, through asyncio, whose TLS has no socket
(a memory BIO). See peer.c for how it is used. More of it is for the handshake's facts:

min=, max=        versions (1.2, 1.3)          alpn=a,b        offered or accepted
ciphers=          OpenSSL's string, TLS 1.2    cert=1          a client shows its certificate
ask=0|1|2         server asks for one: not, optional, required
number=N          as peer.c has it
resume=1          a client's second connection resumes the first
split=1           the ClientHello leaves a byte at a time
trust=FILE        instead of ca.pem            abort=N         a client closes after N bytes of its hello
fails=1           a handshake that fails is what is wanted
"""
import asyncio
import json
import os
import socket
import ssl
import sys
import threading

OPTIONS = {"dir": ".", "sni": "peer.test", "requests": 1, "size": 1000, "hold": 0, "reconnect": 0, "port": 0,
           "io": "blocking", "min": "", "max": "", "alpn": "", "ciphers": "", "cert": 0, "ask": 0,
           "number": 0, "resume": 0, "split": 0, "trust": "ca.pem", "abort": 0, "fails": 0}
VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
BYTES_RECEIVED_AT, BYTES_SENT_AT, BYTES_RETRANS_AT = 128, 200, 208  # in the kernel's tcp_info
READ_BYTES = 16384
BODIES = 23
END = {"pid": os.getpid(), "role": "", "requests": 0, "handshakes": 0,
       "tls": {"writes": 0, "written": 0, "reads": 0, "read": 0}, "wire": None, "version": "",
       "cipher": "", "sni": "", "alpn": "", "resumed": False, "failed": ""}
LOCK = threading.Lock()


def parse(arguments):
    for argument in arguments:
        key, value = argument.split("=", 1)
        OPTIONS[key] = type(OPTIONS[key])(value)


def print_truth():
    with LOCK:
        print(json.dumps({"library": ssl.OPENSSL_VERSION, "ends": [END]}), flush=True)


def wrote(size):
    """Counted before the call: who has the answer finds it counted."""
    with LOCK:
        END["tls"]["writes"] += 1
        END["tls"]["written"] += size


def took(data):
    if data:
        with LOCK:
            END["tls"]["reads"] += 1
            END["tls"]["read"] += len(data)
    return data


def count_request():
    with LOCK:
        END["requests"] += 1


def note_handshake(tls, sni=None):
    with LOCK:
        END["handshakes"] += 1
        END["version"], END["cipher"] = tls.version(), tls.cipher()[0]
        END["alpn"] = tls.selected_alpn_protocol() or ""
        END["resumed"] = bool(tls.session_reused)
        END["sni"] = sni if sni is not None else END["sni"]


def remember_sni(_, name, __):
    END["sni"] = name or ""


def make_context(server):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
    folder = OPTIONS["dir"]
    if server:
        context.load_cert_chain(f"{folder}/server.pem", f"{folder}/server.key")
        context.sni_callback = remember_sni
        context.verify_mode = (ssl.CERT_NONE, ssl.CERT_OPTIONAL, ssl.CERT_REQUIRED)[OPTIONS["ask"]]
    else:
        context.check_hostname = bool(OPTIONS["sni"])
    if OPTIONS["cert"]:
        context.load_cert_chain(f"{folder}/client.pem", f"{folder}/client.key")
    context.load_verify_locations(f"{folder}/{OPTIONS['trust']}")
    if OPTIONS["min"]:
        context.minimum_version = VERSIONS[OPTIONS["min"]]
    if OPTIONS["max"]:
        context.maximum_version = VERSIONS[OPTIONS["max"]]
    if OPTIONS["ciphers"]:
        context.set_ciphers(OPTIONS["ciphers"])
    if OPTIONS["alpn"]:
        context.set_alpn_protocols(OPTIONS["alpn"].split(","))
    return context


def answer_to(head):
    """(head, body) of a response: the path is the size."""
    size, _, query = head.split(b" ", 2)[1][1:].partition(b"?")
    count_request()
    return b"HTTP/1.1 200 OK\r\nContent-Length: %s\r\n\r\n" % size, body_of(query, int(size))


def body_of(query, size):
    """Body NUMBER of a size, as peer.c has it; without a number it is of x alone."""
    if not query:
        return b"x" * size
    letters = bytes(ord("a") + (int(query) + i) % BODIES for i in range(BODIES))
    return (letters * (size // BODIES + 1))[:size]


def next_query():
    """Of the request that comes: b"" or a number."""
    return b"%d" % ((OPTIONS["number"] + END["requests"]) % BODIES) if OPTIONS["number"] else b""


def request_bytes():
    query = next_query()
    return b"GET /%d%s%s HTTP/1.1\r\nHost: peer.test\r\n\r\n" % (
        OPTIONS["size"], b"?" if query else b"", query)


def check_body(body):
    """Before the request is counted."""
    if body != body_of(next_query(), OPTIONS["size"]):
        raise ValueError(f"another body than was asked for: {body[:100]}")


def body_length(head):
    assert head.startswith(b"HTTP/1.1 200"), head
    lines = dict(line.lower().split(b":", 1) for line in head.split(b"\r\n")[1:] if b":" in line)
    return int(lines[b"content-length"])


def send_all(tls, data):
    while data:
        wrote(0)
        sent = tls.send(data)
        with LOCK:
            END["tls"]["written"] += sent
        data = data[sent:]


def serve_one(sock, context):
    try:
        with context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False) as tls:
            tls.do_handshake()
            note_handshake(tls)
            while True:
                head = b""
                while b"\r\n\r\n" not in head:
                    data = took(tls.recv(READ_BYTES))
                    if not data:
                        return
                    head += data
                for part in answer_to(head):
                    send_all(tls, part)
    except OSError as error:
        END["failed"] = getattr(error, "reason", None) or str(error)


def serve_blocking(listener):
    context = make_context(True)
    while True:
        sock, _ = listener.accept()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=serve_one, args=(sock, context), daemon=True).start()


async def serve_stream(reader, writer):
    note_handshake(writer.get_extra_info("ssl_object"))
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            END["tls"]["read"] += len(head)
            for part in answer_to(head):
                wrote(len(part))
                writer.write(part)
            await writer.drain()
    except (asyncio.IncompleteReadError, OSError):
        writer.close()


async def serve_asyncio(listener):
    await asyncio.start_server(serve_stream, sock=listener, ssl=make_context(True))
    await asyncio.Event().wait()


def add_wire(sock):
    info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)

    def at(offset):
        return int.from_bytes(info[offset:offset + 8], "little")

    # A busy machine is slow to acknowledge: what was sent again for that is counted as sent, too.
    END["wire"] = {"sent": at(BYTES_SENT_AT) - at(BYTES_RETRANS_AT), "received": at(BYTES_RECEIVED_AT)}


class Blocking:
    """The client's connection, and its requests."""

    def __init__(self):
        self.context, self.tls, self.session, self.closed = make_context(False), None, None, None

    def handshake_split(self, sock):
        """The ClientHello a byte at a time: TLS beside the socket until the other side has answered."""
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        hello = self.context.wrap_bio(incoming, outgoing, server_hostname=OPTIONS["sni"] or None)
        try:
            hello.do_handshake()
        except ssl.SSLWantReadError:
            pass
        first = outgoing.read()
        if OPTIONS["abort"]:
            sock.send(first[:OPTIONS["abort"]])
            sock.close()
            return None
        for byte in first:
            sock.send(bytes([byte]))
        return Beside(sock, hello, incoming, outgoing)

    def connect(self):
        sock = socket.create_connection(("127.0.0.1", OPTIONS["port"]))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if OPTIONS["split"] or OPTIONS["abort"]:
            self.tls = self.handshake_split(sock)
        else:
            self.tls = self.context.wrap_socket(sock, server_hostname=OPTIONS["sni"] or None,
                                                session=self.session)
        if self.tls:
            note_handshake(self.tls, OPTIONS["sni"])

    def request(self):
        send_all(self.tls, request_bytes())
        data = b""
        while b"\r\n\r\n" not in data:
            data += self.more()
        head, body = data.split(b"\r\n\r\n", 1)
        length = body_length(head)
        while len(body) < length:
            body += self.more()
        check_body(body)
        count_request()

    def more(self):
        data = took(self.tls.recv(READ_BYTES))
        if not data:
            raise ConnectionError("the server closed")
        return data

    def batch(self, count):
        for number in range(count):
            if not self.tls:
                self.connect()
            if not self.tls:
                continue
            self.request()
            add_wire(self.tls)
            if OPTIONS["reconnect"] or (OPTIONS["resume"] and number == 0):
                self.session = self.tls.session if OPTIONS["resume"] else None
                self.tls.close()
                self.tls = None


class Beside:
    """TLS beside its socket, as asyncio has it, with what Blocking calls."""

    def __init__(self, sock, tls, incoming, outgoing):
        self.sock, self.tls, self.incoming, self.outgoing = sock, tls, incoming, outgoing
        self.pump(tls.do_handshake)
        for name in ("version", "cipher", "selected_alpn_protocol", "session_reused"):
            setattr(self, name, getattr(tls, name))
        self.getsockopt = sock.getsockopt

    def pump(self, call, *arguments):
        while True:
            try:
                result = call(*arguments)
            except ssl.SSLWantReadError:
                self.flush()
                data = self.sock.recv(READ_BYTES)
                self.incoming.write(data) if data else self.incoming.write_eof()
                continue
            self.flush()
            return result

    def flush(self):
        data = self.outgoing.read()
        if data:
            self.sock.sendall(data)

    def send(self, data):
        return self.pump(self.tls.write, data)

    def recv(self, size):
        return self.pump(self.tls.read, size)

    def close(self):
        self.sock.close()


class Asyncio:
    """The same through asyncio's streams."""

    def __init__(self):
        self.loop, self.writer = asyncio.new_event_loop(), None
        self.reader = None

    async def requests(self, count):
        for _ in range(count):
            if not self.writer:
                self.reader, self.writer = await asyncio.open_connection(
                    "127.0.0.1", OPTIONS["port"], ssl=make_context(False), server_hostname=OPTIONS["sni"])
                note_handshake(self.writer.get_extra_info("ssl_object"), OPTIONS["sni"])
            data = request_bytes()
            wrote(len(data))
            self.writer.write(data)
            head = await self.reader.readuntil(b"\r\n\r\n")
            body = await self.reader.readexactly(body_length(head))
            END["tls"]["read"] += len(head) + len(body)
            check_body(body)
            count_request()
            add_wire(self.writer.get_extra_info("socket"))
            if OPTIONS["reconnect"]:
                self.writer.close()
                self.writer = None

    def batch(self, count):
        self.loop.run_until_complete(self.requests(count))


def start_server():
    listener = socket.create_server(("127.0.0.1", OPTIONS["port"]), backlog=256)
    if OPTIONS["io"] == "asyncio":
        work = threading.Thread(target=lambda: asyncio.run(serve_asyncio(listener)), daemon=True)
    else:
        work = threading.Thread(target=serve_blocking, args=(listener,), daemon=True)
    work.start()


def run_client(client, count):
    """A failed handshake is a truth, too."""
    try:
        client.batch(count)
    except (ssl.SSLError, ConnectionError) as error:
        END["failed"] = getattr(error, "reason", None) or str(error)
        if not OPTIONS["fails"]:
            raise


def main():
    END["role"] = sys.argv[1]
    parse(sys.argv[2:])
    client = None
    if END["role"] == "server":
        start_server()
    else:
        client = Asyncio() if OPTIONS["io"] == "asyncio" else Blocking()
        if OPTIONS["hold"]:
            run_client(client, 1)
    if OPTIONS["io"] == "asyncio":
        END["tls"]["reads"] = None  # asyncio's own: how many it makes of what comes is not told
    print_truth()
    for _ in sys.stdin:
        if client:
            run_client(client, OPTIONS["requests"])
        print_truth()
    os._exit(0)


main()
