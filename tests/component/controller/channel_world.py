# SPDX-License-Identifier: Apache-2.0
"""What npt-controller needs around it: an API server that knows tokens, and agents made by hand."""
import json
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "kube"), str(HERE.parent / "agent")]
from fault_server import FaultServer, Peer, answers, hold, lists, refuses  # noqa: E402
from frames import dial, status_of  # noqa: E402
from programs import CONTROLLER, Daemon, free_port, wait_until  # noqa: E402

TASKS = "/apis/netprof.io/v1alpha1/networkprofilingtasks"
NODE_CLAIM = "authentication.kubernetes.io/node-name"


def forbidden(request):
    resource = request.path.rsplit("/", 1)[1]
    return refuses(403, "Forbidden", f'{resource} is forbidden: User "npt" cannot do this')


def reviewed(authenticated=True, user="system:serviceaccount:npt:npt-agent", node="node-1",
             audiences=("npt-controller",)):
    extra = {NODE_CLAIM: [node]} if node else {}
    return {"authenticated": authenticated, "audiences": list(audiences),
            "user": {"username": user, "extra": extra}}


class Api(FaultServer):
    """No tasks, and reviews of the tokens in `tokens`; `trouble` answers instead, if it is set: it is
    called with a request and gives a step, or None."""

    def __init__(self, authority, port=0):
        self.tokens = {f"node-{i}": reviewed(node=f"node-{i}") for i in range(1, 4)}
        self.trouble = None
        super().__init__(authority, port)

    def step(self, connection, request):
        with self.changed:
            self.seen.append(request)
            self.changed.notify_all()
        step = self.trouble and self.trouble(request)
        if not step and request.path.endswith("/tokenreviews"):
            body = json.loads(request.body)
            status = self.tokens.get(body["spec"]["token"], {"authenticated": False})
            step = answers(201, {**body, "status": status})
        elif not step:
            step = hold if request.kind == "WATCH" else lists(kind="NetworkProfilingTaskList")
        step(Peer(connection), request)


def write_kubeconfig(path, port, ca):
    path.write_text(json.dumps({
        "clusters": [{"name": "t", "cluster": {"server": f"https://127.0.0.1:{port}",
                                               "certificate-authority": str(ca)}}],
        "users": [{"name": "u", "user": {"token": "our-own"}}]}))
    return path


class Controller(Daemon):
    def __init__(self, folder, authority, api_port, api_ca=None):
        self.port, self.health_port, self.ca = free_port(), free_port(), authority.ca
        kubeconfig = write_kubeconfig(folder / "kubeconfig", api_port, api_ca or authority.ca)
        super().__init__(folder / "log", CONTROLLER, "run", "--listen", f"127.0.0.1:{self.port}",
                         "--health", f"127.0.0.1:{self.health_port}", "--tls-cert", authority.cert,
                         "--tls-key", authority.key, "--kubeconfig", kubeconfig, "--namespace", "npt")
        self.wait_for("controller started")

    def health(self, path):
        done = subprocess.run(["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--max-time", "10",
                               f"http://127.0.0.1:{self.health_port}/{path}"], capture_output=True,
                              text=True, timeout=20, check=False)
        return int(done.stdout)

    def wait_ready(self):
        wait_until(lambda: self.health("readyz") == 200, lambda: "\n".join(self.lines()))

    def dial(self, token, **options):
        """A connection of an agent that has this token, upgraded."""
        headers = [f"Authorization: Bearer {token}"] if token is not None else []
        wire = dial(self.port, self.ca, headers=headers, **options)
        assert status_of(wire) == 101
        return wire

    def check_works(self, token="node-3"):
        """An agent that keeps to the rules is told what is wanted."""
        agent = self.dial(token)
        agent.send(json.dumps({"type": "hello", "proto": 1, "node": token, "instance": "i", "version": "1",
                               "layers": ["Base"], "holding": []}))
        assert json.loads(agent.receive_text())["type"] == "wanted"
        assert self.health("healthz") == 200
        agent.end()
