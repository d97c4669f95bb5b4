#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The demo's traffic: asks web for a page some times a second and counts what it did.

Usage: generate.py HOST:PORT REQUESTS-PER-SECOND. Prints one line of JSON a second.
"""
import http.client
import json
import sys
import time

target, rate = sys.argv[1], float(sys.argv[2])
counts = {"requests": 0, "failed": 0, "bytes": 0}
told = 0.0
while True:
    began = time.monotonic()
    try:
        connection = http.client.HTTPConnection(target, timeout=10)
        connection.request("GET", "/", headers={"Connection": "close"})
        response = connection.getresponse()
        counts["bytes"] += len(response.read())
        counts["requests"] += response.status == 200
        counts["failed"] += response.status != 200
        connection.close()
    except OSError:
        counts["failed"] += 1
    if began - told >= 1:
        print(json.dumps(counts), flush=True)
        told = began
    time.sleep(max(0.0, 1 / rate - (time.monotonic() - began)))
