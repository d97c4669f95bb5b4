# SPDX-License-Identifier: Apache-2.0
"""npt-agent serve and pods that share the node's network: each is its processes, those that come later
too, and nobody else's traffic. A pod is played by a control group of its name, the node's network by a
namespace, the controller by a script. The traffic is that of the accuracy tests."""
import json
import os
import pathlib
import queue
import signal
import sys
import time

import pytest

TESTS = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TESTS / "component/kube"), str(TESTS / "accuracy")]
from fault_server import Authority  # noqa: E402
from programs import AGENT, Daemon, wait_until  # noqa: E402
from strange_controller import StrangeController  # noqa: E402
from support import SEED, TRAFFIC, Namespaces, Program  # noqa: E402

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: loads BPF, makes namespaces")

UIDS = ["11111111-2222-3333-4444-55555555555" + last for last in "12"]
COUNTS = ("connections", "writes", "written", "reads", "read")


class Pod:
    """A control group as a kubelet names it; cgroup v2, or any hierarchy of v1."""

    def __init__(self, uid, namespace):
        root = next(path for path in map(pathlib.Path, ("/sys/fs/cgroup/pids", "/sys/fs/cgroup"))
                    if (path / "cgroup.procs").exists())
        self.namespace = namespace
        self.group = root / f"npt-test-{os.getpid()}" / f"pod{uid}"
        self.group.mkdir(parents=True)

    def start(self, *command):
        """In the pod, and no child of a process that is in it."""
        return Program("sh", "-c", 'echo $$ >"$0" && exec "$@"', str(self.group / "cgroup.procs"), "ip",
                       "netns", "exec", self.namespace, *command)

    def take(self, program):
        """A process of elsewhere, with its children."""
        pid = str(program.child.pid)
        children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        for one in [pid, *children]:
            (self.group / "cgroup.procs").write_text(one)

    def end(self):
        """It may take a moment until those that were killed are out of it."""
        for pid in (self.group / "cgroup.procs").read_text().split():
            os.kill(int(pid), signal.SIGKILL)
        wait_until(lambda: not (self.group / "cgroup.procs").read_text(), "the pod does not end")
        self.group.rmdir()
        if not any(path.is_dir() for path in self.group.parent.iterdir()):
            self.group.parent.rmdir()


class Scene:
    """An agent that is told to measure two pods in one namespace, and what it says of them.

    options: further ones of the agent; wanted: further fields of its assignment."""

    def __init__(self, folder, host_network, options=(), wanted=None):
        self.folder, self.options, self.wanted = folder, options, wanted or {}
        self.host_network, self.heard, self.programs, self.pods = host_network, {}, [], []
        self.authority = Authority(folder, "ours")
        (folder / "token").write_text("the-token\n")
        self.controller = StrangeController(self.authority)
        self.namespaces = Namespaces()
        self.namespaces.__enter__()
        self.pods = [Pod(uid, self.namespaces.near) for uid in UIDS]
        self.start_agent()

    def start_agent(self):
        self.controller.steps.put(self.step)
        self.agent = Daemon(self.folder / "log", AGENT, "serve", "--controller", self.controller.url, "--ca",
                            self.authority.ca, "--token", self.folder / "token", "--node", "n", *self.options)

    def step(self, wire):
        wire.upgrade()
        targets = [{"uid": uid, "namespace": "shop", "name": f"pod-{uid[-1]}", "ip": "192.0.2.1",
                    "containers": [], "only": [], "hostNetwork": self.host_network} for uid in UIDS]
        wire.send(json.dumps({"type": "wanted", "epoch": "1", "assignments": [{
            "id": "a", "task": {"namespace": "shop", "name": "t", "uid": "t"}, "remainingMillis": 90000,
            "intervalSeconds": 1, "layers": ["Base", "Operations"], "maxEdgesPerPod": 100,
            "targets": targets, **self.wanted}]}))
        while True:
            self.controller.heard.put(wire.receive_text())

    def start(self, command, scenario):
        """Traffic, as far as it goes before it is told to go on."""
        program = command(*TRAFFIC, scenario, str(SEED))
        self.programs.append(program)
        assert program.line() == "ready"
        return program

    def outside(self, *command):
        return Program("ip", "netns", "exec", self.namespaces.near, *command)

    def pod(self, number):
        """What was said last of a pod."""
        while True:
            try:
                message = json.loads(self.controller.heard.get_nowait())
            except queue.Empty:
                return self.heard.get(UIDS[number], {})
            if message["type"] == "summary":
                self.heard.update({pod["uid"]: pod for held in message["assignments"]
                                   for pod in held["pods"]})

    def wait_for(self, number, **wanted):
        wait_until(lambda: self.pod(number).items() >= wanted.items(),
                   lambda: (wanted, self.pod(number), self.agent.lines()))

    def check(self, number, truths):
        """What is said of a pod is the truth, by side and port, and stays so."""
        wait_until(lambda: seen(self.pod(number)) == sums(truths),
                   lambda: (seen(self.pod(number)), sums(truths)))
        time.sleep(1.5)
        assert seen(self.pod(number)) == sums(truths)

    def end(self):
        for program in self.programs:
            program.end()
        for pod in self.pods:
            pod.end()
        self.namespaces.__exit__()
        self.controller.stop()
        try:
            self.agent.stop(seconds=6)
        finally:
            self.agent.kill()


@pytest.fixture
def scene(request, tmp_path):
    print("seed", SEED, "(repeat with NPT_SEED)")
    made = Scene(tmp_path, getattr(request, "param", True))
    yield made
    made.end()


def seen(pod):
    found = {}
    for edge in pod.get("edges", []):
        there = found.setdefault((edge["role"], edge["peer"]["port"]), dict.fromkeys(COUNTS, 0))
        for name, key in zip(COUNTS, ("opened", "writes", "bytesSent", "reads", "bytesReceived")):
            there[name] += edge.get(key, 0)
    return found


def sums(truths):
    found = {}
    for truth in truths:
        there = found.setdefault((truth["role"], truth["port"]), dict.fromkeys(COUNTS, 0))
        for name in COUNTS:
            there[name] += truth[name]
    return found


def go(program):
    program.say()
    return json.loads(program.line())


def test_pods_on_the_host_network_have_their_own_and_nobody_elses(scene):
    first, second = scene.start(scene.pods[0].start, "mixed"), scene.start(scene.pods[1].start, "prefork")
    outside = scene.start(scene.outside, "short_lived")
    for number in (0, 1):
        scene.wait_for(number, state="Running")
    go(outside)
    truths = [go(first), go(second)]
    for number in (0, 1):
        scene.check(number, truths[number])


def test_who_comes_later_to_a_pod_is_measured_with_what_it_has_open(scene):
    first = scene.start(scene.pods[0].start, "prefork")
    scene.wait_for(0, state="Running")
    truth = go(first)
    later = scene.start(scene.outside, "older")  # with connections that nobody has seen yet
    scene.pods[0].take(later)
    wait_until(lambda: {("client", 18102), ("server", 18102)} <= set(seen(scene.pod(0))),
               lambda: scene.pod(0))
    scene.check(0, truth + go(later))


def test_a_pod_on_the_host_network_is_gone_with_its_last_process(scene):
    first, second = scene.start(scene.pods[0].start, "mixed"), scene.start(scene.pods[1].start, "prefork")
    for number in (0, 1):
        scene.wait_for(number, state="Running")
    first.end()
    scene.wait_for(0, state="Gone")
    scene.check(1, go(second))
    assert scene.pod(1)["state"] == "Running" and scene.pod(0)["state"] == "Gone"


@pytest.mark.parametrize("scene", [False], indirect=True)
def test_pods_that_share_a_network_which_is_not_the_nodes_are_refused(scene):
    """Which Kubernetes does not do: the second cannot be told apart from the first."""
    for number in (0, 1):
        scene.start(scene.pods[number].start, ["mixed", "prefork"][number])
    wait_until(lambda: {scene.pod(number).get("state") for number in (0, 1)} == {"Running", "Failed"},
               lambda: (scene.pod(0), scene.pod(1)))
    assert "NetworkShared" in {scene.pod(number).get("reason") for number in (0, 1)}
