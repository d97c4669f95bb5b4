# SPDX-License-Identifier: Apache-2.0
"""What the protocol tests share: scenes of real servers in a network namespace of their own, what is
expected of the edges between their processes, and clients that know what they moved.

A scene is a set of servers with lines between them, each at a port of its own and never at a
protocol's usual one: what is spoken is told by the bytes. A line has a client, or is one server's way
to another. Every client runs twice: connected before the agent looks, and after.
"""
import collections
import dataclasses
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time

from support import LAYERS, Agent, Traffic, ip

HERE = pathlib.Path(__file__).resolve().parent
CACHE = pathlib.Path(os.environ.get("NPT_CACHE") or
                     pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "npt")
PYTHON = str(CACHE / "peers/servers-python/bin/python")
JARS = str(CACHE / "peers/servers-java")
SMALL = str(HERE / "servers_small.py")
PEERS_GO = str(CACHE / "bin/peers-go")
REQUESTS = 5
READY_SECONDS = 90
BEFORE, AFTER = "before", "after"  # the connection is older than the measurement, or not

# Why a protocol may stay unknown on a connection that is joined in its middle.
BINARY = "its messages begin with lengths and numbers only; what tells them apart was said at the start"
ENCRYPTED = "what is inside of TLS was told by its handshake"
CIPHERED = "after the handshake every byte is random"


@dataclasses.dataclass(frozen=True)
class Line:
    """What is expected of the edges at a port, client's and server's."""
    port: int
    protocol: str            # what is spoken, with TLS inside of it
    tls: str = "no"
    wire: tuple = ()         # with TLS: what can be told without its library; nothing: "unknown"
    middle: str = ""         # why "unknown" is right where the connection is older
    transport: str = "tcp"
    client: str = ""         # of servers_clients.py; none: another server of the scene
    arguments: tuple = ()
    loose: str = ""          # why there may be more than the client counts
    idle: str = ""           # why there may be no edge, or an older connection in both orders

    @property
    def name(self):
        return f"{self.client or 'inner'} {self.transport}/{self.port}"

    def labels(self, order):
        """The protocols that an edge may have."""
        wanted = {self.protocol}
        if self.tls == "yes" and self.wire != (self.protocol,):
            wanted = set(self.wire or ("unknown",))
            if "TLS" in LAYERS.split(","):
                wanted.add(self.protocol)
            if "http" in wanted:  # of which version is better still
                wanted |= {"http1", "http2"}
        if self.tls == "yes" and (order == BEFORE or self.idle):
            wanted.add("unknown")
        if self.middle and (order == BEFORE or self.idle):
            wanted.add("unknown")
        return wanted


@dataclasses.dataclass(frozen=True)
class Scene:
    name: str
    start: object            # function of a World: starts the servers, returns when they are ready
    lines: tuple
    proof: object = None     # function of a World and how often: asserts by the servers' own logs


class World:
    """A network namespace and a folder for the servers of a scene; all processes in it end with it."""

    def __init__(self, name):
        self.namespace = f"npt{os.getpid() % 100000}{name[:5]}"
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="npt-peers-"))
        self.folder.chmod(0o755)  # some servers give up root
        self.started = []

    def __enter__(self):
        ip("netns", "add", self.namespace)
        ip("-n", self.namespace, "link", "set", "lo", "up")
        return self

    def __exit__(self, *exception):
        try:
            self.stop()
        finally:
            subprocess.run(["ip", "netns", "del", self.namespace], check=False, timeout=30)
            shutil.rmtree(self.folder, ignore_errors=True)

    def pids(self):
        answer = subprocess.run(["ip", "netns", "pids", self.namespace], capture_output=True, text=True,
                                check=True, timeout=30).stdout
        return [int(pid) for pid in answer.split()]

    def stop(self):
        """First those that began last; who does not go by asking is ended."""
        for each, patience_seconds in ((signal.SIGTERM, 2), (signal.SIGKILL, 10)):
            for pid in reversed(self.pids()):
                try:
                    os.kill(pid, each)
                except ProcessLookupError:
                    pass
            end = time.monotonic() + patience_seconds
            while self.alive() and time.monotonic() < end:
                time.sleep(0.02)
        assert not self.alive(), self.alive()

    def alive(self):
        """Its processes; our own children are waited for first, so that none stays as a zombie."""
        self.started = [process for process in self.started if process.poll() is None]
        return self.pids()

    def write(self, name, text, mode=0o644):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)
        return path

    def output(self, name):
        return (self.folder / f"{name}.out").read_text(errors="replace")

    def spawn(self, name, *command, user=None, **options):
        """Starts a server; what it prints goes to NAME.out."""
        prefix = ["ip", "netns", "exec", self.namespace]
        if user:
            prefix += ["setpriv", "--reuid", user, "--regid", user, "--init-groups", "--"]
        with open(self.folder / f"{name}.out", "wb") as out:
            process = subprocess.Popen([*prefix, *map(str, command)], stdin=subprocess.DEVNULL, stdout=out,
                                       stderr=subprocess.STDOUT, cwd=self.folder, start_new_session=True,
                                       **options)
        self.started.append(process)
        return process

    def run(self, *command, user=None, **options):
        """Runs a command to its end, in the namespace."""
        process = self.spawn("run", *command, user=user, **options)
        assert process.wait(60) == 0, f"{command}: {self.output('run')}"
        self.started.remove(process)

    def wait(self, what, ready):
        end = time.monotonic() + READY_SECONDS
        while not ready():
            ended = [process.args for process in self.started if process.poll() is not None]
            if ended or time.monotonic() > end:
                logs = "\n".join(self.output(path.stem)[-2000:] for path in self.folder.glob("*.out"))
                raise AssertionError(f"{what} is not ready; ended: {ended}\n{logs}")
            time.sleep(0.05)

    def listening(self, *ports):
        """Waits until there are listeners: read, not tried by a connection, which would be an edge."""
        wanted = set(ports)

        def ready():
            found = set()
            for table in ("tcp", "tcp6", "udp", "udp6"):
                text = subprocess.run(["ip", "netns", "exec", self.namespace, "cat", f"/proc/net/{table}"],
                                      capture_output=True, text=True, check=True, timeout=30).stdout
                rows = [line.split() for line in text.splitlines()[1:]]
                found |= {int(row[1].rsplit(":", 1)[1], 16) for row in rows if row[3] in ("0A", "07")}
            return wanted <= found

        self.wait(f"a listener at {sorted(wanted)}", ready)

    def certificate(self, owner=None):
        """A key and a certificate for localhost that signs itself, as key.pem and cert.pem."""
        key, certificate = self.folder / "key.pem", self.folder / "cert.pem"
        if not key.exists():
            subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                            "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj", "/CN=localhost",
                            "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", key,
                            "-out", certificate], check=True, capture_output=True, timeout=30)
            key.chmod(0o644)
        if owner:
            mine = self.folder / f"{owner}.key"
            if not mine.exists():  # a server may be reading it
                shutil.copy(key, mine)
                shutil.chown(mine, owner, owner)
                mine.chmod(0o600)
            return mine, certificate
        return key, certificate



def seen(report, line, role):
    """The edges of one side of a line; what they moved, added up."""
    edges = [edge for edge in report["edges"] if edge["role"] == role
             and edge["peer"]["port"] == line.port and edge["transport"] == line.transport]
    total = collections.Counter()
    for edge in edges:
        total["opened"] += edge["connections"]["opened"]
        total["found"] += edge["connections"]["found"]
        total["sent"] += edge["sent"]["bytes"]
        total["received"] += edge["received"]["bytes"]
    return edges, total


class Client(Traffic):
    """A client at a line: it says what its sockets had moved at each of its lines."""

    def __init__(self, world, line, order):
        super().__init__(world.namespace, line.client, str(REQUESTS), order, str(line.port),
                         str(world.folder), *map(str, line.arguments),
                         program=(PYTHON, str(HERE / "servers_clients.py")))
        self.of = line

    def wrong(self, report, order, moved):
        """What the agent says otherwise than the client. Its sockets were asked before and after each
        of the agent's own looks: what is quiet in between is equal, not close."""
        ready, begun, ended, later = moved
        problems = []
        for role, there, back in (("client", "sent", "received"), ("server", "received", "sent")):
            edges, total = seen(report, self.of, role)
            if not edges and self.of.transport == "udp" and order == BEFORE:
                continue  # who gets a datagram first counts as the server, of a socket that is older
            if not edges:
                problems.append(f"no edge of the {role}")
                continue
            for ours, theirs in ((there, "sent"), (back, "received")):
                low, high = ended[theirs] - begun[theirs], later[theirs] - ready[theirs]
                if self.of.loose:
                    low, high = (low if role == "client" else 1), total[ours]
                if not low <= total[ours] <= high:
                    problems.append(f"{role}: {total[ours]} bytes {ours}, not {low} to {high}")
            if self.of.transport == "tcp":
                problems += self.wrong_connections(role, total, order, ended["connections"])
        return problems

    def wrong_connections(self, role, total, order, wanted):
        there, other = ("found", "opened") if order == BEFORE else ("opened", "found")
        if self.of.loose:
            return [] if total[there] >= wanted else [f"{role}: {total[there]} {there}, {wanted} at least"]
        if (total[there], total[other]) == (wanted, 0):
            return []
        return [f"{role}: {total[there]} {there}, {total[other]} {other}; not {wanted}, 0"]


def wrong_between(report, line):
    """What one end says otherwise than the other: both are in the namespace."""
    if line.loose or line.idle:
        return []
    client, server = (seen(report, line, role)[1] for role in ("client", "server"))
    ends = (client["sent"], client["received"]), (server["received"], server["sent"])
    return [] if ends[0] == ends[1] and min(ends[0]) > 0 else [f"client and server: {ends}"]


def perform(world, lines, order):
    """Runs the clients of the lines with the agent beside; (report, {line: what is wrong of its sums})."""
    clients, agent = [], None
    try:
        clients = [Client(world, line, order) for line in lines if line.client]
        moved = {client: [client.truth()] for client in clients}
        agent = Agent("--netns", f"/run/netns/{world.namespace}")
        for client in clients:
            client.say()
        for client in clients:
            moved[client] += client.truth()
        report = agent.report()
        for client in clients:
            client.say()
            moved[client].append(client.truth())
        wrong = {line: wrong_between(report, line) for line in lines}
        for client in clients:
            wrong[client.of] += client.wrong(report, order, moved[client])
        for client in clients:
            client.bye()
        return report, wrong
    finally:
        for program in [*clients, *([agent] if agent else [])]:
            program.end()
