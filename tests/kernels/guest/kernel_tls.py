# SPDX-License-Identifier: Apache-2.0
"""Connections over loopback whose TLS is made by the kernel, with keys that both ends know: no
handshake, nothing but the ULP "tls". Each scene has a port of its own, and its truth per role.

What is inside is HTTP, so that plaintext that is taken for what goes over the wire shows.
"""
import os
import socket
import struct
import tempfile

TCP_ULP, SOL_TLS, TLS_TX, TLS_RX = 31, 282, 1, 2
TLS_1_3, AES_GCM_128 = 0x0304, 51
QUESTION = b"GET /sealed HTTP/1.1\r\nHost: inside.example\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
RECORD_MORE = 5 + 1 + 16  # head, type, tag
EXCHANGES, CONNECTIONS = 7, 3
CLIENT, SERVER = b"c", b"s"  # whose key it is


def key(whose):
    """struct tls12_crypto_info_aes_gcm_128: version, cipher; IV, key, salt, sequence number."""
    return struct.pack("=HH8s16s4s8s", TLS_1_3, AES_GCM_128, whose * 8, whose * 16, whose * 4, bytes(8))


def ask_for(end):
    end.setsockopt(socket.IPPROTO_TCP, TCP_ULP, b"tls")


def seal(end, mine, other):
    """From now on what this end writes and reads is plaintext, as far as there is a key."""
    ask_for(end)
    if mine:
        end.setsockopt(SOL_TLS, TLS_TX, key(mine))
    if other:
        end.setsockopt(SOL_TLS, TLS_RX, key(other))


def is_there():
    """Why not, or nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        with socket.create_connection(listener.getsockname()) as client, listener.accept()[0] as server:
            try:
                seal(client, CLIENT, SERVER)
                seal(server, SERVER, CLIENT)
            except OSError as error:
                return f"TCP_ULP tls: {error}"
    return ""


class Pair:
    """Two ends of one connection to a listener."""

    def __init__(self, listener):
        self.client = socket.create_connection(listener.getsockname())
        self.server = listener.accept()[0]

    def exchange(self, question, answer, question_bytes, answer_bytes):
        """One end after the other; how many bytes are read is what the other end's writing makes."""
        self.client.send(question)
        assert len(self.server.recv(question_bytes, socket.MSG_WAITALL)) == question_bytes
        self.server.send(answer)
        assert len(self.client.recv(answer_bytes, socket.MSG_WAITALL)) == answer_bytes

    def talk(self):
        for _ in range(EXCHANGES):
            self.exchange(QUESTION, ANSWER, len(QUESTION), len(ANSWER))

    def close(self):
        self.client.close()
        self.server.close()


def sealed(listener):
    pair = Pair(listener)
    seal(pair.client, CLIENT, SERVER)
    seal(pair.server, SERVER, CLIENT)
    return pair


def end_of(count, written, read, more, **label):
    """The truth of one end: counts of operations, their bytes, and those on the wire."""
    return {"writes": count, "written": count * written, "reads": count, "read": count * read,
            "sent": count * (written + more), "received": count * (read + more), **label}


def both_ends(count, more, **label):
    return {"client": end_of(count, len(QUESTION), len(ANSWER), more, **label),
            "server": end_of(count, len(ANSWER), len(QUESTION), more, **label)}


def one_end_each(client, server):
    """The truth of one short connection on which the client writes, if anybody does."""
    both = {**dict.fromkeys(("writes", "written", "reads", "read", "sent", "received"), 0),
            "opened": 1, "closed": 1, "kernel": 1, "tls": "yes", "protocol": "unknown"}
    return {"client": {**both, **client}, "server": {**both, **server}}


class Scenes:
    """Set up before the agent begins; play() is what happens while it measures."""

    def __init__(self):
        self.listeners = {name: socket.create_server(("127.0.0.1", 0)) for name in
                          ("idle", "older", "new", "reset", "reads", "by_file", "one_way", "no_key")}
        self.idle = sealed(self.listeners["idle"])
        self.older = sealed(self.listeners["older"])
        self.truth = {}

    def port_names(self):
        return {listener.getsockname()[1]: name for name, listener in self.listeners.items()}

    def play(self):
        """The truth: {scene: {role: numbers}}."""
        label = {"tls": "yes", "protocol": "unknown"}
        self.truth["idle"] = both_ends(0, 0, opened=0, closed=0, kernel=1, **label)
        self.older.talk()
        self.truth["older"] = both_ends(EXCHANGES, RECORD_MORE, opened=0, closed=0, kernel=1, **label)
        for _ in range(CONNECTIONS):  # over before anybody walks over sockets
            pair = sealed(self.listeners["new"])
            pair.talk()
            pair.close()
        self.truth["new"] = both_ends(CONNECTIONS * EXCHANGES, RECORD_MORE, opened=CONNECTIONS,
                                      closed=CONNECTIONS, kernel=CONNECTIONS, **label)
        self.reads()
        self.by_file()
        self.one_way()
        self.reset()
        self.no_key()
        return self.truth

    def reads(self):
        """One end only writes, the other only reads."""
        pair, wire = sealed(self.listeners["reads"]), len(QUESTION) + RECORD_MORE
        for _ in range(EXCHANGES):
            pair.client.send(QUESTION)
            assert pair.server.recv(len(QUESTION), socket.MSG_WAITALL) == QUESTION
        pair.close()
        bytes_ = EXCHANGES * len(QUESTION)
        self.truth["reads"] = one_end_each({"writes": EXCHANGES, "written": bytes_, "sent": EXCHANGES * wire},
                                           {"reads": EXCHANGES, "read": bytes_, "received": EXCHANGES * wire})

    def by_file(self):
        """sendfile() in, splice() out: the first counts plaintext, the other what records have taken."""
        pair = sealed(self.listeners["by_file"])
        wire, count = len(QUESTION) + RECORD_MORE, EXCHANGES
        source, sink = os.pipe()
        with tempfile.TemporaryFile() as file:
            file.write(QUESTION)
            file.flush()
            for _ in range(count):
                assert os.sendfile(pair.client.fileno(), file.fileno(), 0, len(QUESTION)) == len(QUESTION)
                assert os.splice(pair.server.fileno(), sink, len(QUESTION)) == len(QUESTION)
                assert os.read(source, len(QUESTION)) == QUESTION
        os.close(source)
        os.close(sink)
        pair.close()
        self.truth["by_file"] = one_end_each(
            {"writes": count, "written": count * len(QUESTION), "sent": count * wire},
            {"reads": count, "read": count * wire, "received": count * wire})

    def one_way(self):
        """The client's kernel makes records, its program opens those of the server, which has no kTLS."""
        pair = Pair(self.listeners["one_way"])
        seal(pair.client, CLIENT, None)
        record = b"\x17\x03\x03" + struct.pack("!H", 256) + os.urandom(256)
        for _ in range(EXCHANGES):
            pair.exchange(QUESTION, record, len(QUESTION) + RECORD_MORE, len(record))
        pair.close()
        wire, count = len(QUESTION) + RECORD_MORE, EXCHANGES
        client = end_of(count, len(QUESTION), len(record), 0, kernel=1, tls="yes", protocol="unknown")
        client["sent"] = count * wire
        server = end_of(count, len(record), wire, 0, kernel=0, tls="yes", protocol="unknown")
        self.truth["one_way"] = {"client": {**client, "opened": 1, "closed": 1},
                                 "server": {**server, "opened": 1, "closed": 1}}

    def reset(self):
        """The server never reads nor writes what its kernel would open: that shows at the reset."""
        pair, wire = Pair(self.listeners["reset"]), len(QUESTION) + RECORD_MORE
        seal(pair.client, CLIENT, None)
        seal(pair.server, None, CLIENT)
        pair.client.send(QUESTION)
        pair.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        pair.client.close()
        pair.server.close()
        self.truth["reset"] = one_end_each({"writes": 1, "written": len(QUESTION), "sent": wire},
                                           {"received": wire})

    def no_key(self):
        """A library has asked for it and made no use of it: what is written is what goes out."""
        pair = Pair(self.listeners["no_key"])
        ask_for(pair.client)
        ask_for(pair.server)
        pair.talk()
        pair.close()
        self.truth["no_key"] = both_ends(EXCHANGES, 0, opened=1, closed=1, kernel=0, tls="no",
                                         protocol="http1")

    def summary(self, report):
        """{scene: {role: what was measured}}"""
        found, names = {}, self.port_names()
        for edge in report.get("edges", []):
            name = names.get(edge["peer"]["port"])
            if not name:
                continue
            seen = found.setdefault(name, {}).setdefault(edge["role"], {"edges": 0})
            connections, write, read = edge["connections"], edge.get("write", {}), edge.get("read", {})
            numbers = {"edges": 1, "opened": connections["opened"], "closed": connections["closed"],
                       "kernel": connections.get("kernelTls", 0), "sent": edge["sent"]["bytes"],
                       "received": edge["received"]["bytes"], "writes": write.get("count", 0),
                       "written": write.get("bytes", 0), "reads": read.get("count", 0),
                       "read": read.get("bytes", 0)}
            for key_, number in numbers.items():
                seen[key_] = seen.get(key_, 0) + number
            seen.update(tls=edge["tls"], protocol=edge["protocol"])
        found["lines"] = [[line["library"], line["coverage"]] for line in report.get("tls", [])]
        return found

    def close(self):
        self.idle.close()
        self.older.close()
        for listener in self.listeners.values():
            listener.close()
