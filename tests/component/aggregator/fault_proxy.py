# SPDX-License-Identifier: Apache-2.0
"""Stands between the aggregator and ClickHouse, and lets things go wrong in one way at a time."""
import re
import socket
import ssl
import threading

TOO_MANY_PARTS = b"Code: 252, e.displayText() = DB::Exception: Too many parts (300)"


class FaultProxy:
    """mode: None        passes everything on
    "refuses"   answers that there is no room now, and asks nobody
    "cuts"      passes the request on and closes when the answer is there: it was done, who knows?
    "halves"    passes on half of a request's body and closes
    "garbles"   answers 200 with what is no row
    "breaks"    passes on half of an answer and closes
    With a certificate it speaks TLS to the aggregator."""

    def __init__(self, port, certificate=None, key=None):
        self.server_port, self.mode, self.harmed = port, None, 0
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) if certificate else None
        if self.tls:
            self.tls.load_cert_chain(certificate, key)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        with client, socket.create_connection(("127.0.0.1", self.server_port)) as server:
            try:
                stream = self.tls.wrap_socket(client, server_side=True) if self.tls else client
                with stream:
                    while self.exchange(stream, server):
                        pass
            except OSError:
                pass

    @staticmethod
    def message(stream):
        """(head, body) of a request or an answer; None at the end."""
        data = b""
        while b"\r\n\r\n" not in data:
            more = stream.recv(65536)
            if not more:
                return None
            data += more
        head, _, body = data.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: (\d+)", head)
        chunked = not length and b"chunked" in head.lower()
        while len(body) < int(length[1]) if length else chunked and not body.endswith(b"0\r\n\r\n"):
            more = stream.recv(65536)
            if not more:
                break
            body += more
        return head + b"\r\n\r\n", body

    def exchange(self, client, server):
        request = self.message(client)
        if not request:
            return False
        mode, insert = self.mode, b"INSERT" in request[0]
        if mode == "refuses":
            return self.answer(client, b"500 Internal Server Error", TOO_MANY_PARTS)
        if mode == "garbles" and not insert:
            return self.answer(client, b"200 OK", b"\xff" * 40)
        if mode == "halves" and insert:
            self.harmed += 1
            server.sendall(request[0] + request[1][:len(request[1]) // 2])
            return False
        server.sendall(b"".join(request))
        answer = self.message(server)
        if not answer:
            return False
        if mode == "cuts" and insert:
            self.harmed += 1
            return False
        if mode == "breaks" and not insert:
            self.harmed += 1
            client.sendall(answer[0] + answer[1][:len(answer[1]) // 2])
            return False
        client.sendall(b"".join(answer))
        return True

    def answer(self, client, status, body):
        self.harmed += 1
        client.sendall(b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body))
        return True

    def stop(self):
        self.listener.close()
