# SPDX-License-Identifier: Apache-2.0
"""A current ClickHouse engine (PyPI chdb-core, in this process) behind as much of ClickHouse's HTTP
interface as the store uses, so that the same tests show that it takes the same statements.

Usage: PYTHON-WITH-CHDB chdb_server.py PORT FOLDER
"""
import http.server
import pathlib
import sys
import threading
import urllib.parse

from chdb import session

OF_HTTP = {"database", "query", "wait_end_of_query"}


class Engine:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.session = session.Session(str(self.folder / "data"))
        self.lock = threading.Lock()

    def ask(self, parameters, body):
        """The answer's bytes."""
        database = parameters.get("database", "default")
        settings = {name: value for name, value in parameters.items() if name not in OF_HTTP}
        with self.lock:
            for name, value in settings.items():
                self.session.query(f"SET {name} = {value}")
            self.session.query(f"USE {database}")
            if "query" not in parameters:
                return self.session.query(body.decode()).bytes()
            rows = self.folder / "rows"
            rows.write_bytes(body)
            insert, _, name = parameters["query"].rpartition(" FORMAT ")
            return self.session.query(f"{insert} FROM INFILE '{rows}' FORMAT {name}").bytes()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        parameters = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.path).query))
        body = self.rfile.read(int(self.headers["content-length"]))
        try:
            status, answer = 200, self.server.engine.ask(parameters, body)
        except Exception as error:  # the binding's own type, with the server's words
            status, answer = 500, str(error).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


def main():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
    server.engine = Engine(sys.argv[2])
    server.serve_forever()


main()
