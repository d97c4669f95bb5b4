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

LOOPBACK = "127.0.0.1"
TIMEOUT_SECONDS = 20
PIDFD_GETFD = 438
QUIC_SETTLES_SECONDS = 0.1  # acknowledgements, session tickets: what comes after an answer
FOLDER = pathlib.Path(".")
CHILDREN = []
ENDS = []  # what says goodbye, where a server would otherwise go on asking for its client
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
    ENDS.append(lambda: child.communicate(timeout=TIMEOUT_SECONDS))

    def ask(number):
        child.stdin.write("ok\n")
        child.stdin.flush()
        assert child.stdout.readline() == "ok\n"

    return ask


def http(port, *words):
    """httpx; words: 2 (HTTP/2), 1 2 (either, which ends in 2), tls."""
    import httpx

    scheme = "https" if "tls" in words else "http"
    limits = httpx.Limits(keepalive_expiry=None)  # however long the agent takes to begin
    client = httpx.Client(limits=limits, http1="1" in words or "2" not in words, http2="2" in words,
                          verify=trusting() if "tls" in words else False, timeout=TIMEOUT_SECONDS)

    def ask(number):
        answer = client.get(f"{scheme}://{LOOPBACK}:{port}/page?{number}")
        assert answer.status_code == 200 and "hello" in answer.text, answer
        assert answer.http_version == ("HTTP/2" if "2" in words else "HTTP/1.1")

    return ask


def websocket(port):
    from websockets.sync.client import connect

    connection = connect(f"ws://{LOOPBACK}:{port}/ws", ping_interval=None).__enter__()

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


def kafka(port):
    """kafka-python: a record is produced and fetched."""
    from kafka import KafkaConsumer, KafkaProducer, TopicPartition

    servers = f"{LOOPBACK}:{port}"
    producer = KafkaProducer(bootstrap_servers=servers, acks="all")
    consumer = KafkaConsumer(bootstrap_servers=servers, group_id=None, consumer_timeout_ms=20000)
    part = TopicPartition("topic", 0)

    def ask(number):
        offset = producer.send("topic", b"record %d" % number).get(TIMEOUT_SECONDS).offset
        consumer.assign([part])
        consumer.seek(part, offset)
        assert next(consumer).value == b"record %d" % number

    return ask


def amqp(port):
    """pika: a message is published and got."""
    import pika

    channel = pika.BlockingConnection(pika.ConnectionParameters(LOOPBACK, port)).channel()
    channel.confirm_delivery()
    queue = channel.queue_declare("", exclusive=True).method.queue

    def ask(number):
        channel.basic_publish("", queue, b"message %d" % number)
        assert channel.basic_get(queue, auto_ack=True)[2] == b"message %d" % number

    return ask


def nats(port, *words):
    """nats-py: a request that the client answers itself."""
    import nats as library

    loop = asyncio.new_event_loop()

    async def connect():
        tls = {"tls": trusting(), "tls_hostname": "localhost"} if "tls" in words else {}
        connection = await library.connect(f"nats://{LOOPBACK}:{port}", **tls)

        async def answer(message):
            await message.respond(message.data)

        await connection.subscribe("subject", cb=answer)
        return connection

    connection = loop.run_until_complete(connect())

    def ask(number):
        data = b"message %d" % number
        asked = connection.request("subject", data, timeout=TIMEOUT_SECONDS)
        assert loop.run_until_complete(asked).data == data

    return ask


def mqtt(port, version):
    """Eclipse Paho: what is published comes back, as it is subscribed to."""
    import queue

    from paho.mqtt import client as paho

    arrived = queue.Queue()
    client = paho.Client(paho.CallbackAPIVersion.VERSION2,
                         protocol=paho.MQTTv5 if version == "5" else paho.MQTTv311)
    client.on_message = lambda _, __, message: arrived.put(message.payload)
    client.on_connect = lambda *_: client.subscribe(f"topic{version}", qos=1)
    client.on_subscribe = lambda *_: arrived.put(b"subscribed")
    client.connect(LOOPBACK, port)
    client.loop_start()
    assert arrived.get(timeout=TIMEOUT_SECONDS) == b"subscribed"

    def ask(number):
        sent = client.publish(f"topic{version}", b"message %d" % number, qos=1)
        sent.wait_for_publish(TIMEOUT_SECONDS)
        assert arrived.get(timeout=TIMEOUT_SECONDS) == b"message %d" % number

    return ask


def zookeeper(port):
    from kazoo.client import KazooClient

    client = KazooClient(f"{LOOPBACK}:{port}")
    client.start(timeout=TIMEOUT_SECONDS)
    client.ensure_path("/node")

    def ask(number):
        client.set("/node", b"value %d" % number)
        assert client.get("/node")[0] == b"value %d" % number

    return ask


def grpc(port):
    """grpcio; the health service's messages: an empty question, SERVING (1) as field 1."""
    import grpc as library

    check = library.insecure_channel(f"{LOOPBACK}:{port}").unary_unary("/grpc.health.v1.Health/Check")

    def ask(number):
        assert check(b"", timeout=TIMEOUT_SECONDS, wait_for_ready=True) == b"\x08\x01"

    return ask


class CountedTransport:
    """A datagram transport that counts what it is given."""

    def __init__(self, transport):
        self.transport = transport

    def sendto(self, data, address=None):
        DATAGRAMS["sent"] += len(data)
        self.transport.sendto(data, address)

    def __getattr__(self, name):
        return getattr(self.transport, name)


def quic(port):
    """aioquic: each request is a stream that comes back."""
    from aioquic.asyncio import QuicConnectionProtocol, connect
    from aioquic.quic.configuration import QuicConfiguration

    class Counted(QuicConnectionProtocol):
        def connection_made(self, transport):
            super().connection_made(CountedTransport(transport))

        def datagram_received(self, data, address):
            DATAGRAMS["received"] += len(data)
            super().datagram_received(data, address)

    loop = asyncio.new_event_loop()
    configuration = QuicConfiguration(is_client=True, alpn_protocols=["echo"], verify_mode=ssl.CERT_NONE)
    connected = connect(LOOPBACK, port, configuration=configuration, create_protocol=Counted)
    connection = loop.run_until_complete(connected.__aenter__())

    async def echo(said):
        reader, writer = await connection.create_stream()
        writer.write(said)
        writer.write_eof()
        heard = await reader.read()
        await asyncio.sleep(QUIC_SETTLES_SECONDS)
        return heard

    def ask(number):
        assert loop.run_until_complete(echo(b"message %d" % number)) == b"message %d" % number

    ENDS.append(lambda: loop.run_until_complete(connected.__aexit__(None, None, None)))
    return ask


def dns(port, transport):
    """dnspython: names that the server knows, and names that it asks another for."""
    from dns import message, query

    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM if transport == "udp" else socket.SOCK_STREAM)
    sock.connect((LOOPBACK, port))
    sock.setblocking(False)

    def ask(number):
        for name, address in (("own.test.", "192.0.2.7"), ("forwarded.test.", "192.0.2.8")):
            question = message.make_query(name, "A")
            by = query.udp if transport == "udp" else query.tcp
            answer = by(question, LOOPBACK, TIMEOUT_SECONDS, port, sock=sock)
            assert answer.answer[0][0].address == address
            if transport == "udp":
                DATAGRAMS["sent"] += len(question.to_wire())
                DATAGRAMS["received"] += len(answer.wire)

    return ask


def smtp(port, *words):
    import smtplib

    client = smtplib.SMTP(LOOPBACK, port, "localhost", TIMEOUT_SECONDS)
    if "starttls" in words:
        client.starttls(context=ssl.create_default_context(cafile=str(FOLDER / "cert.pem")))

    def ask(number):
        assert client.sendmail("from@test", ["to@test"], f"Subject: {number}\r\n\r\ntext") == {}

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
    for end in ENDS:
        end()
    os._exit(0)  # libraries' threads are of no interest any more


CLIENTS = {client.__name__: client for client in (
    program, http, websocket, postgresql, postgresql_prepared, mysql, redis, memcached, memcached_binary,
    kafka, amqp, nats, mqtt, zookeeper, grpc, quic, dns, smtp)}

if __name__ == "__main__":
    main()
