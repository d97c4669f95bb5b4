# SPDX-License-Identifier: Apache-2.0
"""The aggregation service under load: agents post as fast as they are taken (store_load.c) until the store
has ROWS edge-windows, and a reader asks all the while, as a page does: topologies, an edge's history and
histogram, findings, the list. All over HTTP on loopback, one aggregator, SQLite with its usual durability.

The rate is that of each million rows; the last one is at the full size. Agents, the reader and the service
share the machine's CPUs.
"""
import http.client
import json
import os
import pathlib
import random
import signal
import subprocess
import tempfile
import threading
import time
import urllib.request

import variants
from sockets import memory_kib

AGGREGATOR = variants.BUILD / "aggregator/npt-aggregator"
LOAD, OTLP_LOAD = (variants.BUILD / "tests/bench" / name for name in ("bench-store-load", "bench-otlp-load"))
KEY = b"0123456789abcdef0123456789abcdef"
AGENTS, MILLION = 32, 1_000_000
PAUSE = 0.02  # of the reader, between two questions
PORT, HEALTH, OTHER = 18444, 18081, 18428
OTHER_WINDOWS = 1200  # 60,000 edge-windows: half a minute
WHOLE = 60  # windows of a task of the load (5 pods, 12 windows)


class Reader(threading.Thread):
    """One client with one connection. Questions are of tasks that are complete, chosen at random from all
    that were ever listed, so that most are not in any cache."""

    def __init__(self):
        super().__init__(daemon=True)
        self.connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=60)
        self.tasks, self.seconds, self.wrong = [], {}, 0
        self.random, self.ended = random.Random(1), False

    def ask(self, what, path):
        begin = time.monotonic()
        self.connection.request("GET", path)
        answer = self.connection.getresponse()
        body = answer.read()
        self.seconds.setdefault(what, []).append(time.monotonic() - begin)
        if answer.status != 200:
            self.wrong += 1
            return None
        return json.loads(body)

    def round(self):
        listed = self.ask("list of 100 tasks", "/v1/tasks?limit=100")
        self.tasks += [task["uid"] for task in listed["tasks"] if task["windows"] == WHOLE]
        self.tasks = self.tasks[-1:] + self.random.sample(self.tasks[:-1], min(len(self.tasks) - 1, 5000)) \
            if len(self.tasks) > 1 else self.tasks
        if not self.tasks:
            return
        task = f"/v1/tasks/{self.random.choice(self.tasks)}"
        topology = self.ask("topology of a task", f"{task}/topology")
        edge = f"{task}/edges/{self.random.choice(topology['edges'])['id']}"
        self.ask("history of an edge", edge)
        self.ask("histogram of an edge", f"{edge}/histogram?metric=rtt&step=10s")
        self.ask("findings of a task", f"{task}/findings")

    def run(self):
        while not self.ended:
            self.round()
            time.sleep(PAUSE)


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def rates(lines):
    """Rows a second, of each million rows."""
    found, seconds, rows = [], 0, 0
    for line in lines:
        if line["rows"] - rows >= MILLION:
            found.append((line["rows"] - rows) / (line["seconds"] - seconds))
            seconds, rows = line["seconds"], line["rows"]
    return found


def load(rows):
    """(lines of bench-store-load, reader, highest RSS in MiB, CPU seconds, bytes of the file)"""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        folder = pathlib.Path(name)
        (folder / "key").write_bytes(KEY)
        service = subprocess.Popen(
            [AGGREGATOR, "--listen", f"127.0.0.1:{PORT}", "--health", f"127.0.0.1:{HEALTH}", "--ingest-key",
             folder / "key", "--store", folder / "windows.db", "--insecure-local", "--max-mib", "100000"],
            stderr=subprocess.DEVNULL)
        try:
            time.sleep(1)
            posts = subprocess.Popen(
                [LOAD, f"http://127.0.0.1:{PORT}/v1/ingest", folder / "key", str(rows), str(AGENTS)],
                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            reader, lines, rss = Reader(), [], 0
            reader.start()
            for line in posts.stdout:
                lines.append(json.loads(line))
                rss = max(rss, memory_kib(service.pid))
            spent = cpu_seconds(service.pid)
            reader.ended = True
            reader.join(60)
            if posts.wait(60) != 0 or reader.wrong:
                raise variants.Wrong(f"the load ended with {posts.returncode}, {reader.wrong} wrong answers")
        finally:
            service.send_signal(signal.SIGTERM)
            service.wait(60)
        return lines, reader, rss / 1024, spent, (folder / "windows.db").stat().st_size


def part(report, rows):
    report.part("store", f"{AGENTS} agents post until there are {rows / 1e6:g} million edge-windows; a reader"
                " asks all the while")
    lines, reader, rss, spent, size = load(rows)
    found = rates(lines)
    report.add("edge-windows stored", "each million", found, "/s", "store.rate")
    report.add("edge-windows stored", "the last million", found[-1], "/s", "store.rate")
    report.add("posts turned away (503)", "of all", lines[-1]["refused"], "")
    report.add("CPU, per edge-window, with answers", "SQLite", spent / lines[-1]["rows"] * 1e6, "us")
    report.add("on disk, per edge-window", "SQLite", size / lines[-1]["rows"], "bytes", "store.size")
    report.add("RSS, highest", "npt-aggregator", rss, "MiB", "store.rss")
    every = [seconds for values in reader.seconds.values() for seconds in values]
    for what, values in {**reader.seconds, "all of them": every}.items():
        report.add(what, "median", percentile(values, 0.5) * 1e3, "ms")
        report.add(what, f"p99 of {len(values)}", percentile(values, 0.99) * 1e3, "ms", "store.query")
    victoria(report)


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def victoria(report):
    """The same windows, as OTLP, into what a user would pick instead: each edge a set of series."""
    deps = pathlib.Path(__file__).resolve().parent / "deps"
    program = subprocess.run([deps], capture_output=True, text=True, timeout=1800, check=True).stdout.strip()
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        server = subprocess.Popen(
            [program, f"-storageDataPath={folder}/data", f"-httpListenAddr=127.0.0.1:{OTHER}",
             "-retentionPeriod=10y"], stderr=subprocess.DEVNULL)
        try:
            time.sleep(2)
            before = cpu_seconds(server.pid)
            url = f"http://127.0.0.1:{OTHER}"
            done = subprocess.run([OTLP_LOAD, f"{url}/opentelemetry/v1/metrics", str(OTHER_WINDOWS)],
                                  capture_output=True, text=True, timeout=900, check=True)
            spent, rss = cpu_seconds(server.pid) - before, memory_kib(server.pid) / 1024
            urllib.request.urlopen(f"{url}/internal/force_flush", timeout=60).read()
            time.sleep(2)
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(120)
        size = sum(file.stat().st_size for file in pathlib.Path(folder).rglob("*") if file.is_file())
    found = json.loads(done.stdout)
    report.add("edge-windows stored", "VictoriaMetrics, OTLP", found["rows"] / found["seconds"], "/s")
    report.add("CPU, per edge-window", "VictoriaMetrics, OTLP", spent / found["rows"] * 1e6, "us")
    report.add("on disk, per edge-window", "VictoriaMetrics, OTLP", size / found["rows"], "bytes")
    report.add("RSS", "VictoriaMetrics, OTLP", rss, "MiB")
