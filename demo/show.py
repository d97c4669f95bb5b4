#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Prints JSON from stdin as a table: `show.py status` the edges of a task, `show.py windows` its windows
as the aggregation service gives them."""
import json
import sys


def title(edge):
    """What is spoken, as people write it."""
    protocol, tls = edge.get("protocol", "unknown"), edge.get("tls") == "yes"
    if protocol in ("http", "http1"):
        return "HTTPS" if tls else "HTTP"
    name = edge["transport"].upper() if protocol == "unknown" else protocol
    return f"{name}(TLS)" if tls else name


def show_tls(status):
    """How far each library of a pod's processes is seen through."""
    for pod in status.get("pods", []):
        for use in pod.get("tls", []):
            library = ' '.join(filter(None, (use['library'], use.get('version'))))
            print(f"{pod['name']}: {library}: {use['coverage']}"
                  f"{', ' + use['why'] if use.get('why') else ''}")


def show_status(task):
    print(f"{'PROCESS':14}{'':4}{'PEER':44}{'PROTOCOL':10}{'CONNS':>6}{'SENT':>10}{'RECEIVED':>10}"
          f"{'RTT-P95':>9}")
    for edge in task["status"]["edges"]:
        peer = edge["peer"]
        name = f"{peer['kind']} {peer.get('name') or peer.get('address', '')}:{peer['port']}"
        if edge["role"] == "client" and peer.get("asked") and peer.get("reached") != peer["asked"]:
            name += f" (asked {peer['asked']})"
        print(f"{edge['process'][:13]:14}{'->' if edge['role'] == 'client' else '<-':4}{name[:43]:44}"
              f"{title(edge):10}{edge['connections']:>6}{edge['bytesSent']:>10}{edge['bytesReceived']:>10}"
              f"{edge['rttMicros']['p95']:>7}us")
    show_tls(task["status"])


def show_windows(page):
    print(f"{'START':26}{'MILLIS':>7}{'SEQUENCE':>9}{'EDGES':>6}{'WRITES':>8}{'READS':>8}{'SENT':>10}"
          f"{'RECEIVED':>10}")
    for window in page["windows"]:
        edges = window["edges"]
        print(f"{window['start']:26}{window['durationMillis']:>7}{window['sequence']:>9}{len(edges):>6}"
              f"{sum(edge['write']['count'] for edge in edges):>8}"
              f"{sum(edge['read']['count'] for edge in edges):>8}"
              f"{sum(edge['sent']['bytes'] for edge in edges):>10}"
              f"{sum(edge['received']['bytes'] for edge in edges):>10}")


{"status": show_status, "windows": show_windows}[sys.argv[1]](json.load(sys.stdin))
