#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Connects that fail, each in its way, to one port; and requests whose last segment is lost. The truth is
what the program itself was told.

Usage: failures.py SCENARIO SEED ADDRESS      the protocol is that of traffic.py

What happens to a connect follows from its source port: the test has a firewall at the far side that
refuses, rejects or swallows, by FATES.
"""
import errno
import select
import socket
import time

from traffic import End, go, listen, read_all, retransmits, run, wait_until_acknowledged

PORT = 18401
# The first source port of each kind; there are at most 100 of one.
FATES = {"closed": 20000, "reset": 20100, "swallowed": 20200, "host": 20300, "net": 20400, "admin": 20500,
         "given_up": 20600}
TCP_USER_TIMEOUT = 18


def begin(address, source, fate):
    """A connect that is on its way."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.setblocking(False)
    if fate == "swallowed":  # so that it ends after one second, not two minutes
        sock.setsockopt(socket.IPPROTO_TCP, TCP_USER_TIMEOUT, 500)
    sock.bind(("0.0.0.0", source))
    assert sock.connect_ex((address, PORT)) == errno.EINPROGRESS
    return sock


def is_closed(sock):
    """tcpi_state, the first byte of struct tcp_info, is TCP_CLOSE."""
    return sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1) == b"\x07"


def errors_of(end, socks, in_haste):
    """By name, what the program was told of each. It may be told of an ICMP error while the kernel still
    tries: in haste it closes the socket then, else it waits until the kernel has given up, too."""
    errors = {}
    waiting = {sock.fileno(): sock for sock in socks}
    poll = select.poll()
    for fd in waiting:
        poll.register(fd, select.POLLOUT)
    while waiting:
        for fd, _ in poll.poll(20000):
            poll.unregister(fd)
            sock = waiting.pop(fd)
            while not in_haste and not is_closed(sock):
                time.sleep(0.001)
            name = errno.errorcode[sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)]
            errors[name] = errors.get(name, 0) + 1
            end.truth["retransmits"] += retransmits(sock)
            sock.close()
    return errors


def connects(rng, address, in_haste=False):
    """A random number of each kind, in random order, all at one port: told apart by their errno alone."""
    plan = [(fate, first + index) for fate, first in FATES.items() for index in range(rng.randint(1, 6))]
    rng.shuffle(plan)
    go()
    end = End("client", PORT)
    socks = [(fate, begin(address, source, fate)) for fate, source in plan]
    given_up = [sock for fate, sock in socks if fate == "given_up"]
    failed = errors_of(end, [sock for fate, sock in socks if fate != "given_up"], in_haste)
    for sock in given_up:
        end.truth["retransmits"] += retransmits(sock)
        sock.close()
    end.truth["failed"] = dict(failed, ECANCELED=len(given_up))
    end.truth["attempts"] = len(plan)
    return [end.truth]


def connects_in_haste(rng, address):
    return connects(rng, address, in_haste=True)


def tail_server(_, address):
    """The far side of tail_client."""
    listener = listen(18501, address)
    go()
    end = End("server", 18501)
    for _ in range(5):
        sock, _ = listener.accept()
        end.took(len(sock.recv(1000)))
        end.wrote(sock.send(b"k"))
        sock.recv(1)
        end.finish(sock)
        end.truth["connections"] += 1
    return [end.truth]


def tail_client(rng, address):
    """Requests of one segment each; the firewall loses it the first time, and nothing comes after it that
    could tell."""
    go()
    end = End("client", 18501)
    for _ in range(5):
        with socket.create_connection((address, 18501)) as sock:
            time.sleep(0.02)  # the server has a socket, and knows the round trip
            end.wrote(sock.send(bytes(rng.randint(200, 1000))))
            wait_until_acknowledged(sock)
            end.took(len(sock.recv(1)))
            end.finish(sock)
            end.truth["connections"] += 1
    return [end.truth]


if __name__ == "__main__":
    run((connects, connects_in_haste, tail_server, tail_client))
