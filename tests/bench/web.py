# SPDX-License-Identifier: Apache-2.0
"""nginx and wrk over loopback, with keep-alive or with a connection for each request, both in the measured
namespace or both outside: requests per second, p99, and the CPU time of both per request, as ratios to
"nothing" of the same round.

Both ends are measured, so a pod that is one of the two pays less. The CPU time does not see what the
machine's other guests take, and is the steadier number.
"""
import contextlib
import os
import pathlib
import re
import resource
import shutil
import signal
import subprocess
import tempfile
import time

import variants
from variants import INSIDE, OUTSIDE

PORT, CONNECTIONS = 18280, 16
SECONDS, WARM_SECONDS = 3, 1
UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1}
# Without tickets each connection has a whole handshake.
TLS = """ ssl; ssl_protocols TLSv1.3; ssl_certificate {}; ssl_certificate_key {}; ssl_session_tickets off"""
CONFIGURATION = """daemon off; master_process off; worker_processes 1; pid {folder}/pid; error_log stderr;
events {{ worker_connections 1024; }}
http {{
    access_log off; keepalive_requests 1000000000; client_body_temp_path {folder};
    proxy_temp_path {folder}; fastcgi_temp_path {folder}; uwsgi_temp_path {folder}; scgi_temp_path {folder};
    server {{ listen 127.0.0.1:{port}{tls}; location / {{ return 200 "{body}"; }} }}
}}
"""


def cpus():
    """One for each, where there are two."""
    usable = sorted(os.sched_getaffinity(0))
    return usable[0], usable[1 % len(usable)]


def pinned(namespace, cpu, command):
    return variants.within(namespace, ["taskset", "-c", cpu, *command])


@contextlib.contextmanager
def nginx(namespace, certificate):
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / "nginx.conf"
        file.write_text(CONFIGURATION.format(folder=folder, port=PORT, body="x" * 1000,
                                             tls=TLS.format(*certificate) if certificate else ""))
        server = pinned(namespace, cpus()[0], ["nginx", "-p", folder, "-c", file, "-e", "stderr"])
        child = subprocess.Popen(["setpriv", "--pdeathsig", "TERM", *server], stderr=subprocess.DEVNULL)
        try:
            await_port(namespace, child)
            yield child.pid
        finally:
            child.send_signal(signal.SIGTERM)
            child.wait(30)


def await_port(namespace, child):
    """Until it accepts, asked from within."""
    probe = f"import socket; socket.create_connection(('127.0.0.1', {PORT}), 1).close()"
    for _ in range(100):
        if subprocess.run(variants.within(namespace, ["python3", "-c", probe]), check=False,
                          stderr=subprocess.DEVNULL).returncode == 0:
            return
        if child.poll() is not None:
            break
        time.sleep(0.1)
    raise variants.Wrong("nginx does not come up")


def cpu_ns(pid):
    return int(pathlib.Path(f"/proc/{pid}/schedstat").read_text().split()[0])


def connects(namespace):
    """How many were begun there."""
    table = subprocess.run(variants.within(namespace, ["cat", "/proc/net/snmp"]), capture_output=True,
                           text=True, check=True).stdout
    names, numbers = (line.split() for line in table.splitlines() if line.startswith("Tcp:"))
    return int(numbers[names.index("ActiveOpens")])


def wrk(namespace, seconds, scheme, reconnect):
    """(requests per second, p99 in seconds, requests, CPU seconds of wrk)"""
    opened = connects(namespace)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    output = subprocess.run(pinned(namespace, cpus()[1], [
        "wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--latency",
        *(["-H", "Connection: close"] if reconnect else []), f"{scheme}://127.0.0.1:{PORT}/"]),
        capture_output=True, text=True, check=True).stdout
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    opened = connects(namespace) - opened
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", output)[1])
    p99 = re.search(r"\s99%\s+([\d.]+)(us|ms|s)\s", output)
    if re.search(r"Non-2xx|Socket errors", output):
        raise variants.Wrong(f"wrk: {output}")
    requests = int(re.search(r"(\d+) requests in", output)[1])
    if reconnect and opened < requests or not reconnect and opened > 2 * CONNECTIONS:
        raise variants.Wrong(f"wrk: {opened} connections for {requests} requests")
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return rate, float(p99[1]) * UNITS[p99[2]], requests, spent


def measure(certificate=None, reconnect=False):
    """certificate: (file, file of its key), for https. reconnect: a connection for each request."""
    found, scheme = {}, "https" if certificate else "http"
    for what, namespace in (("target", INSIDE), ("bystander", OUTSIDE)):
        with nginx(namespace, certificate) as pid:
            wrk(namespace, WARM_SECONDS, scheme, reconnect)
            before = cpu_ns(pid)
            rate, p99, requests, spent = wrk(namespace, SECONDS, scheme, reconnect)
            spent += (cpu_ns(pid) - before) / 1e9
        found.update({f"{what}, requests per second": rate, f"{what}, p99": p99 * 1e6,
                      f"{what}, CPU per request": spent / requests * 1e6})
    return found


def bar_of(what, name):
    if name not in (variants.BASE, variants.OPERATIONS) or "CPU" in what:
        return None
    return f"{'p99' if 'p99' in what else 'rate'}.{name}"


def part(report, rounds):
    report.part("http", "nginx and wrk, keep-alive, 1000 bytes, 16 connections; ratio to \"nothing\"")
    if not shutil.which("nginx") or not shutil.which("wrk"):
        report.note("SKIPPED: nginx or wrk is not there (make deps)")
        return
    seen, _ = variants.interleave(rounds, measure)
    variants.say_nothing(report, seen, lambda what: "per second" if "second" in what else "us")
    variants.say(report, seen, variants.ratios, "x", bar_of)
