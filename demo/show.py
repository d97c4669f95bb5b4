#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Prints the edges of a task's status, read from stdin as JSON, one a line."""
import json
import sys

status = json.load(sys.stdin)["status"]
print(f"{'PROCESS':14}{'':4}{'PEER':44}{'CONNS':>6}{'SENT':>10}{'RECEIVED':>10}{'RTT-P95':>9}")
for edge in status["edges"]:
    peer = edge["peer"]
    name = f"{peer['kind']} {peer.get('name') or peer.get('address', '')}:{peer['port']}"
    if edge["role"] == "client" and peer.get("asked") and peer.get("reached") != peer["asked"]:
        name += f" (asked {peer['asked']})"
    print(f"{edge['process'][:13]:14}{'->' if edge['role'] == 'client' else '<-':4}{name[:43]:44}"
          f"{edge['connections']:>6}{edge['bytesSent']:>10}{edge['bytesReceived']:>10}"
          f"{edge['rttMicros']['p95']:>7}us")
