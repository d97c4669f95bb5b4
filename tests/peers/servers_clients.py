#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Clients of the protocol tests: each speaks one protocol by a library or program that others use, and
knows what its sockets moved.

Usage: servers_clients.py CLIENT REQUESTS before|after PORT FOLDER [ARGUMENT...]

Prints what its sockets have moved, as JSON, and waits for a line; makes its requests, each answer
checked, prints the pair of what had been moved before and after; waits for a line, prints the same once
more, and ends with another line. "before": it has connected and asked once before the first.
"""
import asyncio
import ctypes
import json
import os
import pathlib
import socket
import ssl
import struct
import subprocess
import sys
import threading

LOOPBACK = "127.0.0.1"
TIMEOUT_SECONDS = 20
PIDFD_GETFD = 438
FOLDER = pathlib.Path(".")
CHILDREN = []
DATAGRAMS = {"sent": 0, "received": 0}  # of those who use UDP, by their own count


def tcp_sockets(pid, port):
    """A process's connections to a port, as duplicates of its sockets."""
    pidfd = os.pidfd_open(pid)
    call = ctypes.CDLL(None, use_errno=True).syscall
    for entry in os.listdir(f"/proc/{pid}/fd"):
        try:
            if not os.readlink(f"/proc/{pid}/fd/{entry}").startswith("socket:"):
                continue
        except OSError:
            continue
        duplicate = call(PIDFD_GETFD, pidfd, int(entry), 0)
        if duplicate < 0:
            continue
        with socket.socket(fileno=duplicate) as sock:
            try:
                if sock.type == socket.SOCK_STREAM and sock.getpeername()[1:2] == (port,):
                    yield sock
            except OSError:
                continue
    os.close(pidfd)


def moved(port):
    """What has been sent and received, by the sockets' own count (struct tcp_info: bytes_received is at
    128, bytes_sent at 200, bytes_retrans at 208)."""
    total = {"connections": 0, **DATAGRAMS}
    for pid in [os.getpid(), *CHILDREN]:
        for sock in tcp_sockets(pid, port):
            info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
            received, = struct.unpack_from("Q", info, 128)
            sent, again = struct.unpack_from("QQ", info, 200)
            total["connections"] += 1
            total["sent"] += sent - again
            total["received"] += received
    return total


def trusting():
    """TLS that trusts the scene's certificate."""
    return ssl.create_default_context(cafile=str(FOLDER / "cert.pem"))


def program(port, *command):
    """A program that makes a request for each line on its standard input, and says a line for it."""
    command = [part.replace("PORT", str(port)).replace("FOLDER", str(FOLDER)) for part in command]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    CHILDREN.append(child.pid)

    def ask(number):
        child.stdin.write(f"ok\n")
        child.stdin.flush()
        assert child.stdout.readline() == "ok\n"

    return ask


def http(port, *words):
    """httpx; words: 2 (HTTP/2), tls."""
    import httpx

    scheme = "https" if "tls" in words else "http"
    client = httpx.Client(http1="2" not in words, http2="2" in words,
                          verify=trusting() if "tls" in words else False, timeout=TIMEOUT_SECONDS)
    path = next((word for word in words if word.startswith("/")), "/page")

    def ask(number):
        answer = client.get(f"{scheme}://{LOOPBACK}:{port}{path}?{number}")
        assert answer.status_code == 200 and "hello" in answer.text, answer
        assert answer.http_version == ("HTTP/2" if "2" in words else "HTTP/1.1")

    return ask


def websocket(port):
    from websockets.sync.client import connect

    connection = connect(f"ws://{LOOPBACK}:{port}/ws")

    def ask(number):
        connection.send(f"message {number}")
        assert connection.recv(timeout=TIMEOUT_SECONDS) == f"message {number}"

    return ask


def postgresql(port, mode):
    """psycopg2: simple queries."""
    import psycopg2

    connection = psycopg2.connect(host=LOOPBACK, port=port, user="postgres", dbname="postgres", sslmode=mode)
    connection.autocommit = True
    cursor = connection.cursor()

    def ask(number):
        cursor.execute("select %s + 1, ssl from pg_stat_ssl where pid = pg_backend_pid()", (number,))
        assert cursor.fetchone() == (number + 1, mode == "require")

    return ask


def postgresql_prepared(port, mode):
    """psycopg 3: prepared statements."""
    import psycopg

    connection = psycopg.connect(f"host={LOOPBACK} port={port} user=postgres sslmode={mode}", autocommit=True,
                                 prepare_threshold=0)

    def ask(number):
        assert connection.execute("select %s::int + 1", (number,)).fetchone() == (number + 1,)

    return ask


def mysql(port, *words):
    import pymysql

    connection = pymysql.connect(host=LOOPBACK, port=port, user="guest", password="guest",
                                 ssl={"ca": str(FOLDER / "cert.pem")} if "tls" in words else None,
                                 ssl_disabled="tls" not in words)
    cursor = connection.cursor()

    def ask(number):
        cursor.execute("show status like 'Ssl_version'")
        assert bool(cursor.fetchone()[1]) == ("tls" in words)

    return ask


def redis(port, *words):
    from redis import Redis

    tls = {"ssl": True, "ssl_ca_certs": str(FOLDER / "cert.pem")} if "tls" in words else {}
    client = Redis(LOOPBACK, port, protocol=3 if "3" in words else 2, single_connection_client=True, **tls)

    def ask(number):
        assert client.set("key", number)
        assert client.get("key") == str(number).encode()

    return ask


def memcached(port):
    """pymemcache: the text protocol."""
    from pymemcache.client.base import Client

    client = Client((LOOPBACK, port))

    def ask(number):
        assert client.set("key", str(number), noreply=False)
        assert client.get("key") == str(number).encode()

    return ask


def memcached_binary(port):
    """libmemcached: the binary protocol."""
    import pylibmc

    client = pylibmc.Client([f"{LOOPBACK}:{port}"], binary=True)

    def ask(number):
        assert client.set("key", str(number))
        assert client.get("key") == str(number)

    return ask


def main():
    global FOLDER
    name, requests, order, port, folder, *arguments = sys.argv[1:]
    port, FOLDER = int(port), pathlib.Path(folder)
    ask = None
    if order == "before":
        ask = CLIENTS[name](port, *arguments)
        ask(0)
    print(json.dumps(moved(port)), flush=True)
    sys.stdin.readline()
    begun = moved(port)
    ask = ask or CLIENTS[name](port, *arguments)
    for number in range(1, int(requests) + 1):
        ask(number)
    print(json.dumps([begun, moved(port)]), flush=True)
    sys.stdin.readline()
    print(json.dumps(moved(port)), flush=True)
    sys.stdin.readline()
    os._exit(0)  # libraries' threads are of no interest any more; children end with their input


CLIENTS = {client.__name__: client for client in (
    program, http, websocket, postgresql, postgresql_prepared, mysql, redis, memcached, memcached_binary)}

if __name__ == "__main__":
    main()
