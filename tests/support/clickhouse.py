#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A real clickhouse-server of Debian on loopback, in a folder of its own; or a current engine.

Usage: tests/support/clickhouse.py [--current] COMMAND [ARGUMENT...]
Runs the command with NPT_TEST_CLICKHOUSE set to the server's URL (user and database in it) and
NPT_TEST_CLICKHOUSE_PASSWORD to a file, and stops the server. --current: chdb_server.py instead. Exits
with the command's code; with 77 (skipped) where the server is not installed (by
tests/peers/deps_clickhouse).
"""
import base64
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

PROGRAM = "clickhouse-server"
CACHE = os.environ.get("NPT_CACHE") or os.path.join(
    os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "npt")
CURRENT = pathlib.Path(CACHE, "peers", "chdb", "bin", "python")
USER, PASSWORD = "npt", "correct horse"
START_SECONDS = 60

# The root was called "yandex" in 2018, and is still taken by that name.
CONFIG = """<yandex>
  <logger><level>warning</level><log>{folder}/log</log><errorlog>{folder}/errors</errorlog></logger>
  <http_port>{port}</http_port>
  <listen_host>127.0.0.1</listen_host>
  <path>{folder}/data/</path><tmp_path>{folder}/tmp/</tmp_path>
  <users_config>{folder}/users.xml</users_config>
  <default_profile>default</default_profile><default_database>default</default_database>
  <mark_cache_size>67108864</mark_cache_size>
</yandex>
"""
USERS = """<yandex>
  <profiles><default><max_memory_usage>2000000000</max_memory_usage></default></profiles>
  <quotas><default/></quotas>
  <users>
    <npt><password>{password}</password><networks><ip>127.0.0.1</ip></networks><profile>default</profile>
      <quota>default</quota></npt>
  </users>
</yandex>
"""


def is_installed():
    return shutil.which(PROGRAM) is not None


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """Of Debian."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.port = free_port()
        self.password_file = self.folder / "password"
        self.child = None
        for name in ("data", "tmp"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        (self.folder / "config.xml").write_text(CONFIG.format(folder=self.folder, port=self.port))
        (self.folder / "users.xml").write_text(USERS.format(password=PASSWORD))
        self.password_file.write_text(PASSWORD + "\n")

    def url(self, database, port=None):
        return f"http://{USER}@127.0.0.1:{port or self.port}/{database}"

    def command(self):
        return [PROGRAM, f"--config-file={self.folder}/config.xml"]

    def start(self):
        with open(self.folder / "output", "ab") as output:
            self.child = subprocess.Popen(self.command(), stdout=output, stderr=output,
                                          cwd=self.folder / "tmp")  # chdb would read a config.xml
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self.child.poll() is None:
            try:
                self.sql("SELECT 1")
                return self
            except OSError:
                time.sleep(0.05)
        output = (self.folder / "output").read_text(errors="replace")[-2000:]
        self.kill()
        raise AssertionError(f"{PROGRAM} did not start:\n{output}")

    def sql(self, query, database=None, timeout=60):
        """Rows as lists of text."""
        where = urllib.parse.urlencode({"database": database} if database else {})
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/?{where}", query.encode())
        secret = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        request.add_header("Authorization", f"Basic {secret}")
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:
                text = answer.read().decode()
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{query}: {error.read().decode()}") from None
        return [line.split("\t") for line in text.splitlines()]

    def pause(self):
        self.child.send_signal(signal.SIGSTOP)

    def resume(self):
        self.child.send_signal(signal.SIGCONT)

    def kill(self):
        if self.child:
            self.child.kill()
            self.child.wait(30)
        self.child = None

    def stop(self):
        if self.child and self.child.poll() is None:
            self.resume()
            self.child.terminate()
            try:
                self.child.wait(20)
            except subprocess.TimeoutExpired:
                pass
        self.kill()


class CurrentServer(Server):
    """One process with the engine inside; no users, no signals of its own."""

    def command(self):
        return [CURRENT, pathlib.Path(__file__).with_name("chdb_server.py"), str(self.port), self.folder]

    def stop(self):
        self.kill()


def main():
    current = sys.argv[1] == "--current"
    if current:
        del sys.argv[1]
    if not (CURRENT.exists() if current else is_installed()):
        print(f"skipped: no {CURRENT if current else PROGRAM}")
        return 77
    with tempfile.TemporaryDirectory(prefix="npt-clickhouse-", dir="/var/tmp") as folder:
        server = (CurrentServer if current else Server)(folder).start()
        try:
            where = {"NPT_TEST_CLICKHOUSE": server.url("npt_test"),
                     "NPT_TEST_CLICKHOUSE_PASSWORD": str(server.password_file)}
            if current:
                where["NPT_TEST_CLICKHOUSE_NO_USERS"] = "1"
            return subprocess.run(sys.argv[1:], env=os.environ | where, check=False).returncode
        finally:
            server.stop()


if __name__ == "__main__":
    sys.exit(main())
