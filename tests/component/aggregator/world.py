# SPDX-License-Identifier: Apache-2.0
"""What npt-aggregator needs around it: certificates, reviews of an API server, agents' windows.

Windows and tokens are written here by hand, from window.proto and from the words of token.h, so that
an error in our own encoder cannot hide one in our decoder.
"""
import base64
import hashlib
import hmac
import http.server
import json
import os
import pathlib
import random
import signal
import socket
import ssl
import subprocess
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[3]
PROGRAM = os.environ.get("NPT_AGGREGATOR", str(ROOT / "build/dev/aggregator/npt-aggregator"))
KEY = b"0123456789abcdef0123456789abcdef"


# --- windows ---

def varint(value):
    out = bytearray()
    while value > 0x7f:
        out.append(value & 0x7f | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def field(number, value):
    if value is None or value == 0 or value == "" or value == b"":
        return b""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def packed(number, values):
    return field(number, b"".join(varint(value) for value in values))


def metric(number, count=0, size=0, buckets=None, total=0, largest=0, quality=0):
    buckets = buckets or {}
    return (field(1, number) + field(2, quality) + field(3, count) + field(4, size) +
            field(5, total) + field(6, largest) + packed(7, buckets) + packed(8, buckets.values()))


def edge(pid=1, process="nginx", address="10.0.0.1", port=80, role=1, sent=0, received=0, writes=0,
         written=0, opened=0, retransmits=0, drops=None, pod=""):
    return (field(1, pid) + field(2, 1000 + pid) + field(3, process) + field(4, process[:15]) +
            field(6, pod) + field(7, role) + field(8, 2) + field(9, "peer") + field(12, address) +
            field(13, port) + field(16, "tcp") + field(17, "unknown") + field(21, opened) +
            field(25, sent) + field(27, received) +
            field(29, metric(0, writes, written, {10: writes} if writes else {}, writes * 20, 20)) +
            field(30, retransmits) +
            b"".join(field(34, field(1, name) + field(2, count))
                     for name, count in (drops or {}).items()))


def window(task="task-1", pod="pod-1", node="node-1", instance="agent-1", sequence=1, edges=(),
           namespace="shop", start=1767225600000, duration=1000, kind=0, lost=0):
    return (field(1, kind) + field(2, start + sequence * 1000) + field(3, duration) +
            field(4, instance) + field(5, sequence) + field(6, "said by the agent") +
            field(7, "said by the agent") + field(8, task) + field(9, namespace) +
            field(10, f"name-of-{pod}") + field(11, pod) + field(12, node) + field(14, lost) +
            b"".join(field(15, one) for one in edges))


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def ingest_token(task="task-1", namespace="shop", name="slow", node="node-1", seconds=600, key=KEY):
    expiry = int((time.time() + seconds) * 1000)
    payload = b64(f"npt1\n{task}\n{namespace}\n{name}\n{node}\n{expiry}".encode())
    return payload + "." + b64(hmac.new(key, payload.encode(), hashlib.sha256).digest())


# --- the API server's reviews ---

class Reviews:
    """Knows tokens: {token: (user, [namespaces] or None for all)}."""

    def __init__(self, certificate, key, ca):
        self.ca = ca
        self.people = {}
        self.asked = []
        self.down = False
        reviews = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                answer = reviews.review(body)
                data = json.dumps(answer).encode()
                self.send_response(503 if reviews.down else 201)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True,
                                                 do_handshake_on_connect=False)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def review(self, body):
        if self.down:
            return {"kind": "Status", "code": 503, "reason": "ServiceUnavailable", "message": "away"}
        spec = body["spec"]
        if body["kind"] == "TokenReview":
            known = self.people.get(spec["token"])
            if not known or "npt-aggregator" not in spec["audiences"]:
                return {**body, "status": {"authenticated": False, "error": "unknown token"}}
            return {**body, "status": {"authenticated": True, "audiences": ["npt-aggregator"],
                                       "user": {"username": known[0], "uid": "1",
                                                "groups": ["system:authenticated"]}}}
        what = spec["resourceAttributes"]
        self.asked.append((spec["user"], what["namespace"], what["name"]))
        namespaces = next((n for user, n in self.people.values() if user == spec["user"]), [])
        allowed = (what["verb"] == "get" and what["group"] == "netprof.io" and
                   what["resource"] == "networkprofilingtasks" and
                   (namespaces is None or what["namespace"] in namespaces))
        return {**body, "status": {"allowed": allowed}}

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


# --- the program ---

def openssl(*arguments):
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True, timeout=60)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Aggregator:
    def __init__(self, folder, reviews, certificate, key, ca):
        self.folder, self.ca = folder, ca
        self.store = folder / "windows.db"
        self.log = folder / "log"
        (folder / "ingest-key").write_bytes(KEY)
        (folder / "kubeconfig").write_text(json.dumps({
            "clusters": [{"name": "t",
                          "cluster": {"server": f"https://127.0.0.1:{reviews.port}",
                                      "certificate-authority": str(reviews.ca)}}],
            "users": [{"name": "u", "user": {"token": "our-own"}}]}))
        self.arguments = ["--listen", "127.0.0.1:0", "--health", "127.0.0.1:0",
                          "--tls-cert", certificate, "--tls-key", key,
                          "--ingest-key", folder / "ingest-key", "--store", self.store,
                          "--kubeconfig", folder / "kubeconfig"]
        self.child = None
        self.port = self.metrics_port = 0

    def use_clickhouse(self, server, database, port=None):
        """Instead of the file."""
        self.arguments[self.arguments.index("--store") + 1] = server.url(database, port)
        self.arguments += ["--store-password-file", server.password_file]
        self.store = None

    def start(self, *more, port=None):
        arguments = list(self.arguments)
        if port:
            arguments[1] = f"127.0.0.1:{port}"
        begin = self.log.stat().st_size if self.log.exists() else 0
        with open(self.log, "ab") as log:
            self.child = subprocess.Popen([PROGRAM, *map(str, arguments), *more], stderr=log)
        for _ in range(500):
            for line in self.log.read_text()[begin:].splitlines():
                if "serving" in line:
                    self.port = int(line.split(' port="')[1].split('"')[0])
                    self.metrics_port = int(line.split(' metrics="')[1].split('"')[0])
                    return self
            if self.child.poll() is not None:
                break
            time.sleep(0.02)
        raise AssertionError(f"npt-aggregator did not start:\n{self.log.read_text()}")

    def stop(self):
        if self.child and self.child.poll() is None:
            self.child.terminate()
            assert self.child.wait(30) == 0, self.log.read_text()
        self.child = None

    def kill(self):
        self.child.send_signal(signal.SIGKILL)
        self.child.wait(30)
        self.child = None

    def curl(self, path, *arguments, data=None, port=None):
        """(status, body, headers) of one request by curl; status 0: no answer."""
        command = ["curl", "--silent", "--show-error", "--max-time", "20", "--cacert", self.ca,
                   "--include", "--http1.1", *arguments, f"https://127.0.0.1:{port or self.port}{path}"]
        if data is not None:
            command += ["--data-binary", "@-", "-H", "Expect:"]
        done = subprocess.run(list(map(str, command)), input=data, capture_output=True, timeout=60)
        if done.returncode != 0:
            return 0, done.stderr.decode(), ""
        head, _, body = done.stdout.decode().partition("\r\n\r\n")
        return int(head.split()[1]), body, head.lower()

    def post(self, data, token=None, content_type="application/x-protobuf"):
        if token is None:
            token = ingest_token()
        return self.curl("/v1/ingest", "-H", f"Authorization: Bearer {token}", "-H",
                         f"Content-Type: {content_type}", data=data)

    def get(self, path, token="all"):
        status, body, _ = self.curl(path, "-H", f"Authorization: Bearer {token}")
        return status, json.loads(body)

    def sql(self, query):
        done = subprocess.run(["sqlite3", "-json", str(self.store), query], capture_output=True,
                              text=True, timeout=60, check=True)
        return json.loads(done.stdout or "[]")


def total(report, *path):
    """The sum over all edges of one number in them."""
    result = 0
    for one in report["edges"]:
        for key in path:
            one = one.get(key, {})
        result += one or 0
    return result


def seeded():
    seed = int(os.environ.get("NPT_SEED", random.SystemRandom().randrange(1, 2**32)))
    print(f"seed {seed} (repeat with NPT_SEED={seed})")
    return random.Random(seed)
