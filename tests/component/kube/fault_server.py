# SPDX-License-Identifier: Apache-2.0
"""An API server on loopback, over TLS, that answers as a test's script says, byte by byte."""
import json
import os
import queue
import re
import socket
import ssl
import struct
import subprocess
import threading
import time
import urllib.parse


class Authority:
    """A CA and a server certificate for 127.0.0.1, in files."""

    def __init__(self, folder, name):
        self.ca, self.ca_key = folder / f"{name}-ca.crt", folder / f"{name}-ca.key"
        self.cert, self.key = folder / f"{name}.crt", folder / f"{name}.key"
        request, extension = folder / f"{name}.csr", folder / f"{name}.ext"
        self.run("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                 "-subj", f"/CN={name}", "-days", "2", "-keyout", self.ca_key, "-out", self.ca)
        self.run("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj",
                 "/CN=apiserver", "-keyout", self.key, "-out", request)
        extension.write_text("subjectAltName=IP:127.0.0.1\n")
        self.run("x509", "-req", "-in", request, "-CA", self.ca, "-CAkey", self.ca_key,
                 "-CAcreateserial", "-days", "2", "-extfile", extension, "-out", self.cert)

    @staticmethod
    def run(*arguments):
        subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True,
                       timeout=60)


class Request:
    def __init__(self, method, target, headers, body):
        self.method, self.headers, self.body = method, headers, body
        parts = urllib.parse.urlsplit(target)
        self.target, self.path = target, parts.path
        self.query = dict(urllib.parse.parse_qsl(parts.query, keep_blank_values=True))
        self.kind = "WATCH" if self.query.get("watch") else "LIST" if method == "GET" else method

    def __repr__(self):
        return f"{self.kind} {self.target}"


class Peer:
    """One connection, as a script's step sees it."""

    def __init__(self, connection):
        self.connection = connection

    def send(self, data):
        self.connection.sendall(data if isinstance(data, bytes) else data.encode())

    def answer(self, status=200, body=b"", headers=()):
        body = body if isinstance(body, bytes) else body.encode()
        lines = [f"HTTP/1.1 {status} X", "Content-Type: application/json",
                 f"Content-Length: {len(body)}", *headers, "", ""]
        self.send("\r\n".join(lines).encode() + body)

    def begin(self):
        self.send("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                  "Transfer-Encoding: chunked\r\n\r\n")

    def chunk(self, data):
        data = data if isinstance(data, bytes) else data.encode()
        self.send(b"%x\r\n%s\r\n" % (len(data), data))

    def end(self):
        self.send(b"0\r\n\r\n")

    def reset(self):
        """RST instead of FIN, after the client has read: what it has not, an RST takes with it."""
        time.sleep(0.3)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        os.close(self.connection.detach())


class FaultServer:
    """Each LIST takes the next step of `lists`, each WATCH of `watches`, other methods of `calls`.
    A step is called with (peer, request). Without one: LIST fails, WATCH stays open and silent."""

    def __init__(self, authority, port=0):
        self.lists, self.watches, self.calls = queue.Queue(), queue.Queue(), queue.Queue()
        self.seen = []
        self.changed = threading.Condition()
        self.stopping = threading.Event()
        self.open = set()
        self.use(authority)
        self.listener = None
        self.port = port
        self.listen()

    def use(self, authority):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(authority.cert, authority.key)

    def listen(self):
        self.listener = socket.create_server(("127.0.0.1", self.port))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, args=(self.listener,), daemon=True).start()

    def refuse(self):
        """Nobody listens from now on; open connections are cut."""
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.cut()

    def cut(self):
        for connection in list(self.open):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def stop(self):
        self.stopping.set()
        self.refuse()

    def accept(self, listener):
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, raw):
        try:
            raw.settimeout(60)
            connection = self.context.wrap_socket(raw, server_side=True)
        except OSError:
            raw.close()
            return
        self.open.add(connection)
        try:
            reader = connection.makefile("rb")
            while not self.stopping.is_set():
                request = self.read(reader)
                if not request:
                    break
                self.step(connection, request)
        except (OSError, ValueError):
            pass
        finally:
            self.open.discard(connection)
            connection.close()

    @staticmethod
    def read(reader):
        line = reader.readline(65536).decode()
        match = re.fullmatch(r"(\w+) (\S+) (HTTP/1.1)\r\n", line)
        if not match:
            return None
        headers = {}
        while (header := reader.readline(65536).decode().strip()):
            name, _, value = header.partition(":")
            headers[name.lower()] = value.strip()
        body = reader.read(int(headers.get("content-length", 0)))
        return Request(match[1], match[2], headers, body)

    def step(self, connection, request):
        steps = {"LIST": self.lists, "WATCH": self.watches}.get(request.kind, self.calls)
        with self.changed:
            self.seen.append(request)
            self.changed.notify_all()
        try:
            step = steps.get_nowait()
        except queue.Empty:
            step = hold if request.kind == "WATCH" else unexpected
        step(Peer(connection), request)

    def wait_for(self, count, timeout=20):
        """The first `count` requests."""
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.seen) >= count, timeout), self.seen
            return self.seen[:count]


# --- steps ---

def unexpected(peer, request):
    peer.answer(500, json.dumps(status(500, "InternalError", f"no step for {request}")))


def hold(peer, request):
    """A watch that stays open and silent."""
    peer.begin()
    peer.connection.recv(1)


def answers(code, body="", headers=()):
    return lambda peer, request: peer.answer(
        code, body if isinstance(body, (str, bytes)) else json.dumps(body), headers)


def refuses(code, reason, message="no", headers=(), **details):
    return answers(code, status(code, reason, message, **details), headers)


def lists(*items, version="10", more="", kind="PodList"):
    metadata = {"resourceVersion": version}
    if more:
        metadata["continue"] = more
    return answers(200, {"kind": kind, "apiVersion": "v1", "metadata": metadata,
                         "items": list(items)})


def streams(*events, then=hold):
    """A watch that tells the events, each in a chunk of its own, then stays open (or `then`)."""
    def step(peer, request):
        peer.begin()
        for event in events:
            peer.chunk(event if isinstance(event, (str, bytes)) else json.dumps(event) + "\n")
        if then is hold:
            peer.connection.recv(1)
        else:
            then(peer)
    return step


def ends(peer):
    peer.end()


def cuts(peer):
    """FIN in the middle, without TLS's goodbye."""
    peer.connection.shutdown(socket.SHUT_RDWR)


def resets(peer):
    peer.reset()


# --- objects ---

def pod(name, uid, version="1", kind="Pod", **metadata):
    return {"kind": kind, "apiVersion": "v1",
            "metadata": {"namespace": "shop", "name": name, "uid": uid, "resourceVersion": version,
                         **metadata}}


def event(kind, item):
    return {"type": kind, "object": item}


def bookmark(version):
    return event("BOOKMARK", {"kind": "Pod", "metadata": {"resourceVersion": version}})


def status(code, reason, message="no", **details):
    return {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code,
            "reason": reason, "message": message, "details": details}
