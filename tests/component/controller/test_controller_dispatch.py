# SPDX-License-Identifier: Apache-2.0
"""What npt-controller tells agents, and what it makes of what they say: against an API server whose
answers can be held back."""
import json
import pathlib
import sys
import threading
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from channel_world import TASKS, Api, Controller, answers, hold, lists, refuses, wait_until  # noqa: E402
from fault_server import Authority  # noqa: E402

PODS = "/api/v1/namespaces/shop/pods"
NODES = "/api/v1/namespaces/npt/configmaps/npt-nodes"
SPEC = {"target": {"podNames": ["web"]}, "durationSeconds": 600, "intervalSeconds": 5, "layers": ["Base"]}


def now(seconds=0):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds))


def task(uid="task-1", spec=None, **status):
    return {"apiVersion": "netprof.io/v1alpha1", "kind": "NetworkProfilingTask",
            "metadata": {"name": uid, "namespace": "shop", "uid": uid, "resourceVersion": "5",
                         "generation": 1, "creationTimestamp": now(-5)},
            "spec": spec or SPEC, "status": status}


def web_pod():
    return {"metadata": {"name": "web", "namespace": "shop", "uid": "pod-1", "resourceVersion": "7"},
            "spec": {"nodeName": "node-1", "containers": [{"name": "c"}]},
            "status": {"phase": "Running", "podIP": "10.0.0.1", "containerStatuses": [
                {"name": "c", "containerID": "containerd://" + "0" * 64, "state": {"running": {}}}]}}


class World(Api):
    """Some tasks, and the pod web, whose list can be held back or refused; statuses as they were written."""

    def __init__(self, authority, *tasks):
        self.tasks, self.statuses, self.refusal = tasks, [], None
        self.published, self.publish_refusal = [], None
        self.pods_may_be_listed = threading.Event()
        super().__init__(authority)
        self.trouble = self.answer

    def answer(self, request):
        if request.path == NODES:
            self.published.append(json.loads(json.loads(request.body)["data"]["nodes.json"]))
            return self.publish_refusal or answers(200, {})
        if request.method == "PATCH":
            self.statuses.append(json.loads(request.body)["status"])
            return answers(200, {})
        if request.kind == "WATCH":
            return hold
        if request.path.startswith(TASKS):
            return lists(*self.tasks, kind="NetworkProfilingTaskList")
        if request.path.startswith(PODS):
            return self.list_pods
        return None

    def list_pods(self, peer, request):
        self.pods_may_be_listed.wait(20)
        (self.refusal or lists(web_pod()))(peer, request)


@pytest.fixture
def begin(tmp_path):
    """Starts a controller in a world with these tasks."""
    authority, made = Authority(tmp_path, "ours"), []

    def begin_with(*tasks):
        world = World(authority, *tasks)
        made.append(world)
        made.append(Controller(tmp_path, authority, world.port))
        return world, made[-1]

    yield begin_with
    for one in made:
        if isinstance(one, World):
            one.pods_may_be_listed.set()
        one.stop()


def say_hello(controller, holding=(), node="node-1"):
    agent = controller.dial(node)
    agent.send(json.dumps({"type": "hello", "proto": 1, "node": node, "instance": "i", "layers": ["Base"],
                           "holding": [{"id": "a", "taskUid": uid, "state": "Running"} for uid in holding]}))
    return agent


def receive_wanted(agent):
    message = json.loads(agent.receive_text())
    assert message["type"] == "wanted"
    return message["assignments"]


def test_an_agent_hears_nothing_before_it_is_known_whether_what_it_holds_is_wanted(begin):
    """An empty wanted state would make it let go of a task that runs, with its numbers."""
    world, controller = begin(task(startTime=now(-5)))
    agent = say_hello(controller, holding=["task-1"])
    agent.connection.settimeout(1.5)
    with pytest.raises(TimeoutError):
        agent.receive_text()
    agent.connection.settimeout(20)
    world.pods_may_be_listed.set()
    assignments = receive_wanted(agent)
    assert [one["task"]["uid"] for one in assignments] == ["task-1"]
    assert [target["name"] for target in assignments[0]["targets"]] == ["web"]
    agent.end()


def test_an_agent_is_told_at_once_that_what_it_holds_is_no_longer_there(begin):
    world, controller = begin()
    world.pods_may_be_listed.set()
    agent = say_hello(controller, holding=["another"])
    assert receive_wanted(agent) == []
    agent.end()


def test_an_agent_begins_only_when_the_start_is_in_the_api_server(begin):
    world, controller = begin(task())
    world.pods_may_be_listed.set()
    agent = say_hello(controller)
    while not (assignments := receive_wanted(agent)):
        pass
    assert [one["task"]["uid"] for one in assignments] == ["task-1"]
    assert world.statuses[0]["startTime"] and world.statuses[0]["phase"] == "Running"
    agent.end()


def test_why_pods_are_not_known_is_in_the_status(begin):
    world, _ = begin(task())
    world.refusal = refuses(403, "Forbidden", "pods is forbidden: no such right")
    world.pods_may_be_listed.set()
    wait_until(lambda: any("pods is forbidden" in status["message"] for status in world.statuses),
               lambda: world.statuses)
    assert world.statuses[-1]["phase"] == "Pending"


def kind_of(node, published):
    return published["kinds"][published["nodes"][node]]


def test_what_a_node_can_do_is_published_while_its_agent_is_connected(begin):
    world, controller = begin()
    agent = controller.dial("node-1")
    agent.send(json.dumps({"type": "hello", "proto": 1, "node": "node-1", "instance": "i", "version": "1.2",
                           "kernel": "6.1.0", "layers": ["Base"], "unavailable": {"unread": "6.3+"}}))
    wait_until(lambda: world.published and world.published[-1]["nodes"], lambda: world.published)
    assert kind_of("node-1", world.published[-1]) == {"version": "1.2", "kernel": "6.1.0", "layers": ["Base"],
                                                     "unavailable": {"unread": "6.3+"}}
    other = say_hello(controller, node="node-2")
    wait_until(lambda: len(world.published[-1]["nodes"]) == 2, lambda: world.published)
    assert kind_of("node-2", world.published[-1])["unavailable"] == {}
    agent.end()
    wait_until(lambda: list(world.published[-1]["nodes"]) == ["node-2"], lambda: world.published)
    other.end()


def test_a_publication_that_is_refused_is_logged_and_keeps_nothing_up(begin):
    world, controller = begin(task())
    world.publish_refusal = refuses(403, "Forbidden", "configmaps is forbidden")
    world.pods_may_be_listed.set()
    agent = say_hello(controller)
    controller.wait_for("is not published")
    while not receive_wanted(agent):
        pass
    assert world.statuses[0]["phase"] == "Running"
    agent.end()


def test_a_spec_that_cannot_be_carried_out_fails_the_task_with_the_reason(begin):
    world, _ = begin(task(spec={**SPEC, "target": {"podSelector": {"matchLabels": {"app": "a,b"}}}}))
    wait_until(lambda: world.statuses, lambda: "no status was written")
    status = world.statuses[0]
    conditions = {one["type"]: one for one in status["conditions"]}
    assert (status["phase"], status["finished"]) == ("Failed", True)
    assert "podSelector" in status["message"]
    assert (conditions["Accepted"]["status"], conditions["Accepted"]["reason"]) == ("False", "InvalidSpec")
