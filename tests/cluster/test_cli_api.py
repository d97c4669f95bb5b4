# SPDX-License-Identifier: Apache-2.0
"""kubectl npt with a real kubectl before an API server that is played here: clusters in a state that the
real one of these tests is never in."""
import http.server
import json
import os
import signal
import subprocess
import threading
import time

import pytest

from cli import PROGRAM, default_signals
from driver import HERE, run

GROUP = "/apis/netprof.io/v1alpha1"
TASKS = f"{GROUP}/namespaces/shop/networkprofilingtasks"


def not_found(path):
    return 404, {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404,
                 "message": f"{path.rsplit('/', 1)[1]} not found"}


class Api:
    """Answers by path what `objects` has; a task that is created is kept, with the status `status`."""

    def __init__(self, **status):
        self.objects, self.status, self.patches = {GROUP: {}}, status, []
        self.objects["/api/v1/namespaces/shop/pods/web"] = {"metadata": {"name": "web"}}
        api = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def answer(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                code, answer = api.answer(self.command, self.path.split("?")[0], body)
                text = json.dumps(answer).encode()
                self.send_response(code)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            do_GET = do_POST = do_PATCH = answer

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, method, path, body):
        if method == "POST" and path == TASKS and GROUP in self.objects:
            task = json.loads(body)
            task["metadata"] = {"name": "web-abcde", "namespace": "shop", "uid": "u"}
            task["spec"].setdefault("durationSeconds", 60)
            self.objects[f"{TASKS}/web-abcde"] = {**task, "status": self.status} if self.status else task
            return 201, task
        if method == "PATCH" and path in self.objects:
            self.patches.append(json.loads(body))
        if path in self.objects:
            return 200, self.objects[path]
        return not_found(path)

    def task(self):
        return self.objects[f"{TASKS}/web-abcde"]


@pytest.fixture
def play(tmp_path, cluster):
    """Starts an API server; gives it, and a function that starts kubectl npt on it."""
    made = []

    def begin(**status):
        api = Api(**status)
        config = tmp_path / "kubeconfig"
        config.write_text(json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": "c",
            "users": [{"name": "u", "user": {}}],
            "clusters": [{"name": "k", "cluster": {"server": f"http://127.0.0.1:{api.server.server_port}"}}],
            "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u", "namespace": "shop"}}]}))
        folder = run("bash", "-c", f". {HERE}/env; echo $CLUSTER_BIN").stdout.strip()
        runtime = tmp_path / "runtime"
        runtime.mkdir(exist_ok=True)
        environment = {**os.environ, "PATH": f"{PROGRAM.parent}:{folder}:{os.environ['PATH']}",
                       "KUBECONFIG": str(config), "XDG_RUNTIME_DIR": str(runtime)}

        def start(*arguments):
            child = subprocess.Popen(["kubectl", "npt", *arguments], env=environment, text=True,
                                     stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                     stderr=subprocess.PIPE, preexec_fn=default_signals)
            made.append((child, api))
            return child

        return api, start

    yield begin
    for child, api in made:
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        api.server.shutdown()
        api.server.server_close()
    assert not any((tmp_path / "runtime").iterdir()), "a socket is left behind"


def said(child, words, seconds=20):
    """Reads its standard error up to these words."""
    text, end = "", time.monotonic() + seconds
    while words not in text:
        assert time.monotonic() < end, text
        line = child.stderr.readline()
        assert line, f"it ended: {text}"
        text += line
    return text


def test_where_npt_is_not_installed_that_is_said_with_what_to_do(play):
    api, start = play()
    del api.objects[GROUP]
    for arguments in (["run", "web"], ["results"], ["explain", "x"]):
        out, err = start(*arguments).communicate(timeout=30)
        assert "NPT is not installed in this cluster" in err and "helm install npt" in err and out == ""
    child = start("doctor")
    out, err = child.communicate(timeout=30)
    assert child.returncode == 1 and "the cluster has no NetworkProfilingTask" in out
    assert "there is no Deployment npt-controller" in out


def test_that_nobody_takes_the_task_is_said_after_some_seconds(play, cluster):
    api, start = play()
    child = start("run", "web")
    said(child, "no controller has taken the task yet")
    os.killpg(child.pid, signal.SIGINT)
    said(child, "ending the task; Ctrl-C again leaves it to itself")
    cluster.wait_until("the task is told to end", lambda: api.patches == [{"spec": {"cancel": True}}])
    os.killpg(child.pid, signal.SIGINT)
    assert child.wait(10) == 130


def test_a_node_without_an_agent_is_named(play):
    api, start = play(phase="Failed", finished=True, message="no pod could be measured", pods=[
        {"name": "web", "node": "node-7", "state": "Failed", "reason": "NoAgentOnNode",
         "message": "no agent of this node is connected"}])
    child = start("run", "web")
    out, err = child.communicate(timeout=30)
    assert child.returncode == 3 and "no pod could be measured" in err
    assert "pod web on node node-7: NoAgentOnNode" in err and "kubectl npt doctor" in err


def test_a_partial_result_has_its_own_exit_code(play):
    api, start = play(phase="PartiallySucceeded", finished=True, message="not every pod reported to the end",
                      edges=[{"pod": "web", "process": "nginx", "pid": 7, "role": "server", "bytesSent": 5,
                              "verdict": "Server", "finding": "it is slow \u001b[2J", "transport": "tcp",
                              "peer": {"kind": "address", "address": "10.0.0.1", "port": 80}}])
    child = start("run", "web")
    out, err = child.communicate(timeout=30)
    assert child.returncode == 4 and "PartiallySucceeded" in err
    assert out.startswith("1. web/nginx[7] <- 10.0.0.1:80: Server: it is slow ?[2J\n") and "\033" not in out


def test_a_task_that_is_deleted_meanwhile_ends_the_waiting(play):
    api, start = play(phase="Running", startTime="2026-01-01T00:00:00Z")
    child = start("run", "web")
    said(child, "Running")
    del api.objects[f"{TASKS}/web-abcde"]
    out, err = child.communicate(timeout=30)
    assert child.returncode == 1 and "there is no task web-abcde in namespace shop" in err


def test_an_api_server_that_goes_away_is_tried_again_and_then_said(play):
    api, start = play(phase="Running", startTime="2026-01-01T00:00:00Z")
    child = start("run", "web")
    said(child, "Running")
    answer = api.answer
    api.answer = lambda *_: (500, {"kind": "Status", "code": 500, "message": "etcd is away"})
    time.sleep(2)
    assert child.poll() is None
    api.answer = answer
    api.task()["status"] = {"phase": "Succeeded", "finished": True}
    out, err = child.communicate(timeout=30)
    assert child.returncode == 0, err
    api.answer = lambda *_: (500, {"kind": "Status", "code": 500, "message": "etcd is away"})
    dead = start("results")
    out, err = dead.communicate(timeout=30)
    assert dead.returncode == 1 and "the API server does not answer" in err and "kubectl get nodes" in err
