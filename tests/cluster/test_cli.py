# SPDX-License-Identifier: Apache-2.0
"""kubectl npt against the real cluster: what it prints is what the traffic's own programs counted, in
every format, and it leaves nothing behind."""
import csv
import io
import json
import re
import subprocess
import threading

import pytest
import yaml

from cli import PROGRAM, READER, Running, as_json, npt, on_a_terminal, rows_of, sockets_left
from driver import CLUSTER, HERE, RUN, run
from scene import add_up, both, let_go, run_traffic, status_of, task, truth_of, wait_finished, wait_running


@pytest.fixture(scope="module", autouse=True)
def nothing_is_left(cluster):
    run(HERE / "rest", "/v1/tasks")  # makes the service account that may read
    before = sockets_left()
    yield
    assert sockets_left() == before


@pytest.fixture
def running():
    made = []

    def start(*arguments):
        made.append(Running(*arguments))
        return made[-1]

    yield start
    for one in made:
        one.kill()


@pytest.mark.connections(200)
def test_run_prints_what_the_programs_counted_in_every_format(cluster, pods, running):
    command = running("run", "-l", "app=plain", "-n", pods, "-d", "16s", "-i", "2s", "--name", "cli", *READER)
    command.wait_for("task cli in namespace")
    wait_running(cluster, pods, "cli", 2)
    truth = run_traffic(cluster, pods)
    code, table = command.finish()
    assert code == 0, command.said
    assert "Running" in command.said and "status" not in command.said
    check_table(table, truth)
    check_formats(pods, truth)
    check_summary(pods, truth)
    check_explained(pods)


def short(number):
    """As tables write it: 9999, 10.0k, 1.2M; cut, not rounded."""
    for unit, scale in (("G", 10**9), ("M", 10**6), ("k", 1000)):
        if number >= max(scale, 10000):
            return f"{number // scale}.{number % scale * 10 // scale}{unit}"
    return str(number)


def check_table(table, truth):
    rows = {row["POD"]: row for row in rows_of(table) if row["PROTOCOL"] != "DNS"}
    assert table.splitlines()[0], "the first line is a finding, or that there is none"
    assert set(rows) == {"client", "server"}
    assert int(rows["client"]["CONNS"]) == truth["client"]["connections"]
    assert rows["client"]["PEER"] == "server:9000" and rows["server"]["PEER"] == "client:9000"
    for pod, counted in truth.items():
        assert rows[pod]["SENT"] == short(counted["written"])


def check_formats(namespace, truth):
    """json is REST's own bytes, yaml the same tree, csv the same numbers."""
    raw = npt("results", "cli", "-n", namespace, *READER, "-o", "json").stdout
    report = json.loads(raw)
    assert raw.strip() == run(HERE / "rest", f"/v1/tasks/{report['task']['uid']}").stdout.strip()
    assert report["kind"] == "Report" and add_up(report["edges"]) == truth
    assert yaml.safe_load(npt("results", "cli", "-n", namespace, *READER, "-o", "yaml").stdout) == report
    text = npt("results", "cli", "-n", namespace, *READER, "-o", "csv").stdout
    rows = list(csv.DictReader(io.StringIO(text)))
    assert len(rows) == len(report["edges"])
    for pod, counted in truth.items():
        of_pod = [row for row in rows if row["pod"] == pod and row["transport"] == "tcp"]
        assert sum(int(row["sentBytes"]) for row in of_pod) == counted["written"]
        assert sum(int(row["readCount"]) for row in of_pod) == counted["reads"]
    dot = npt("results", "cli", "-n", namespace, *READER, "-o", "dot").stdout
    assert re.search(r'"process/client/traffic/\d+" -> "process/server/traffic/\d+" \[label="TCP :9000', dot)
    assert dot.startswith('digraph "cli" {') and dot.rstrip().endswith("}")


def check_summary(namespace, truth):
    """Without a token it is the status, and that is said; the numbers are the same."""
    done = npt("results", "cli", "-n", namespace, "-o", "json")
    report = json.loads(done.stdout)
    assert report["from"] == "status" and "no token" in done.stderr and "--service-account" in done.stderr
    assert {edge["process"]["pod"]: edge["sent"]["bytes"] for edge in report["edges"]
            if edge["transport"] == "tcp"} == {pod: counted["written"] for pod, counted in truth.items()}
    done = npt("results", "cli", "-n", namespace)
    assert "client" in done.stdout and "without histograms" in done.stderr
    refused = npt("results", "cli", "-n", namespace, "--token", "nonsense", check=False)
    assert refused.returncode == 1 and "401" in refused.stderr and refused.stdout == ""


def check_explained(namespace):
    everything = npt("explain", "cli", "-n", namespace, *READER).stdout
    assert everything.count("\n  finding ") >= 2 and "  write " in everything and "  rtt " in everything
    one = npt("explain", "cli", "server", "-n", namespace, *READER).stdout
    assert "server" in one and re.search(r"^\d+\. ", one)
    first = npt("explain", "cli", "1", "-n", namespace, *READER).stdout
    assert first.startswith("1. ") and first.count("finding ") == 1
    nothing = npt("explain", "cli", "no-such-peer", "-n", namespace, check=False)
    assert nothing.returncode == 1 and "no edge of the task is 'no-such-peer'" in nothing.stderr


def test_ctrl_c_ends_the_task_and_prints_what_was_found_until_then(cluster, pods, running):
    command = running("run", "server", "client", "-n", pods, "-d", "10m", "--name", "long")
    command.wait_for("Running")
    wait_running(cluster, pods, "long", 2)
    let_go(cluster, pods)
    truth_of(cluster, pods)
    command.wait_for(" edges")
    command.interrupt()
    code, table = command.finish(30)
    assert code == 130, command.said
    assert "ending the task" in command.said and "Cancelled" in command.said
    assert {row["POD"] for row in rows_of(table)} == {"client", "server"}
    assert status_of(cluster, pods, "long")["phase"] == "Cancelled"


def test_detached_it_only_creates_and_a_service_is_its_selector(cluster, pods):
    done = npt("run", "svc/server", "-n", pods, "--detach", "-d", "5s", "-i", "1s", "--layers",
               "base,operations", "-c", "serve")
    name = done.stdout.strip().removeprefix("networkprofilingtask.netprof.io/")
    spec = cluster.get("npt", name, "-n", pods)["spec"]
    assert name.startswith("server-")
    assert spec["target"] == {"podSelector": {"matchLabels": {"side": "server"}}, "containers": ["serve"]}
    assert (spec["durationSeconds"], spec["intervalSeconds"]) == (5, 1)
    assert spec["layers"] == ["Base", "Operations"]
    listed = npt("results", "-n", pods).stdout
    assert listed.splitlines()[0].startswith("NAME ") and name in listed
    assert npt("results", "-A").stdout.splitlines()[0].startswith("NAMESPACE ")
    code = npt("watch", name, "-n", pods).returncode
    assert code == 0 and status_of(cluster, pods, name)["phase"] == "Succeeded"


@pytest.mark.connections(120)
def test_watch_draws_on_a_terminal_and_writes_lines_elsewhere(cluster, pods):
    cluster.apply(both(pods, "seen", 15))
    drawn = {}
    thread = threading.Thread(target=lambda: drawn.update(tty=on_a_terminal("watch", "seen", "-n", pods)))
    thread.start()
    wait_running(cluster, pods, "seen", 2)
    let_go(cluster, pods)
    plain = npt("watch", "seen", "-n", pods)
    thread.join(60)
    code, picture = drawn["tty"]
    assert code == 0 and picture.count("\033[H") > 2 and "of 15 s" in picture and "traffic[" in picture
    assert "\033" not in plain.stdout + plain.stderr and "Running" in plain.stderr
    assert plain.stdout.startswith("Succeeded") and "traffic[" in plain.stdout


@pytest.mark.connections(60)
def test_two_tasks_are_compared(cluster, pods):
    for name in ("before", "after"):
        cluster.apply(both(pods, name, 15))
    for name in ("before", "after"):
        wait_running(cluster, pods, name, 2)
    run_traffic(cluster, pods)
    for name in ("before", "after"):
        wait_finished(cluster, pods, name)
    found = as_json("compare", "before", f"{pods}/after", "-n", pods, *READER)
    edges = [edge for edge in found["edges"] if edge["in"] == "both" and edge["transport"] == "tcp"]
    assert found["kind"] == "Comparison" and len(edges) == 2
    # The same traffic, seen twice: no difference of times is more than noise.
    assert {edge["micros"]["response"]["change"] for edge in edges} == {"none"}
    table = npt("compare", "before", "after", "-n", pods, *READER).stdout
    assert table.startswith("no time and no loss has changed by more than noise") and "response p95" in table
    assert re.search(r"rtt p95 .* noise\n", table)
    summary = npt("compare", "before", "after", "-n", pods)
    assert "histograms, which a status does not have" in summary.stderr and "sent/s" in summary.stdout


def test_doctor_says_what_each_node_can_do(cluster):
    found = as_json("doctor", *READER)
    checks = {check["check"]: check["state"] for check in found["checks"]}
    assert set(checks.values()) == {"ok"}, found["checks"]
    assert {node["node"]: node["agent"] for node in found["nodes"]} == {
        f"{CLUSTER}-1": "connected", f"{CLUSTER}-2": "connected"}
    assert all(node["layers"]["Base"] and node["layers"]["Operations"] for node in found["nodes"])
    assert not any(node["layers"]["Requests"] for node in found["nodes"])
    table = npt("doctor", *READER).stdout
    assert re.search(rf"{CLUSTER}-2 +connected +0\.1\.0 +\S+ +yes +yes", table)


def test_doctor_names_the_agent_that_went(cluster):
    """Its pod is there again in seconds: in between, or right after, the connection is what is told."""
    node = f"{CLUSTER}-2"
    pods = cluster.get("pods", "-n", "npt-system", "-l", "app.kubernetes.io/name=npt-agent")["items"]
    name, = [pod["metadata"]["name"] for pod in pods if pod["spec"]["nodeName"] == node]
    cluster.kubectl("-n", "npt-system", "delete", "pod", name, "--wait=false")

    def is_missed():
        done = npt("doctor", "-o", "json", check=False)
        agents = {one["node"]: one["agent"] for one in json.loads(done.stdout)["nodes"]}
        return done.returncode == 1 and agents[node] != "connected" and agents[f"{CLUSTER}-1"] == "connected"

    cluster.wait_until("it is missed", is_missed, 30, 0.05)
    cluster.wait_until("it is back", lambda: npt("doctor", check=False).returncode == 0, 60)


@pytest.fixture
def account(cluster, pods):
    """A kubeconfig of a service account without any right: (its path, its user's name)."""
    cluster.kubectl("-n", pods, "create", "serviceaccount", "nobody")
    text = cluster.kubectl("config", "view", "--raw", "--flatten", "--minify", "-o", "json").stdout
    config = json.loads(text)
    config["contexts"][0]["context"]["namespace"] = pods
    path = RUN / "node1/run/nobody.json"

    def write(**user):
        config["users"][0]["user"] = user
        path.write_text(json.dumps(config))
        return "/run/nobody.json"

    yield write
    path.unlink(missing_ok=True)


# What chart and docs say that somebody needs who asks the aggregation service.
MAY_REACH = """
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {{name: {name}, namespace: npt-system}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: Role, name: npt-cli}}
subjects: [{{kind: ServiceAccount, name: nobody, namespace: {name}}}]
"""


def token_of(cluster, namespace, *audiences):
    words = [word for audience in audiences for word in ("--audience", audience)]
    return cluster.kubectl("-n", namespace, "create", "token", "nobody", *words).stdout.strip()


def test_who_may_not_is_told_what_to_ask_for(cluster, pods, account):
    path = account(token=token_of(cluster, pods))
    for arguments in (["run", "server", "-d", "5s"], ["results"], ["watch", "x"], ["explain", "x"]):
        done = npt(*arguments, "--kubeconfig", path, check=False)
        assert done.returncode == 1 and done.stdout == ""
        assert f"system:serviceaccount:{pods}:nobody" in done.stderr
        assert "ClusterRole npt-edit" in done.stderr
    doctor = npt("doctor", "--kubeconfig", path)
    assert "you may not: create tasks, read tasks" in doctor.stdout
    assert cluster.get("npt", "-n", pods)["items"] == []


def test_a_credential_plugin_signs_in_and_a_token_of_the_kubeconfig_is_enough(cluster, pods, account):
    """The rights are npt-edit in one namespace; the namespace is the context's."""
    cluster.kubectl("-n", pods, "create", "rolebinding", "nobody", "--clusterrole=edit",
                    f"--serviceaccount={pods}:nobody")
    credential = json.dumps({"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential",
                             "status": {"token": token_of(cluster, pods)}})
    path = account(exec={"apiVersion": "client.authentication.k8s.io/v1", "command": "sh",
                         "interactiveMode": "Never", "args": ["-c", f"echo '{credential}'"]})
    done = npt("run", "server", "-d", "2s", "-i", "1s", "--name", "plugin", "--kubeconfig", path)
    assert "no token" in done.stderr
    wait_finished(cluster, pods, "plugin")
    # Of the API server and of the service: one token that both take.
    claims = cluster.kubectl("get", "--raw", "/.well-known/openid-configuration").stdout
    path = account(token=token_of(cluster, pods, "npt-aggregator", json.loads(claims)["issuer"]))
    cluster.apply(MAY_REACH.format(name=pods))
    whole = npt("results", "plugin", "-o", "json", "--kubeconfig", path)
    assert "from" not in json.loads(whole.stdout) and whole.stderr == ""


def test_wrong_words_are_usage_errors_and_wrong_names_are_errors(cluster, pods):
    for arguments in ([], ["walk"], ["run"], ["compare", "one"], ["results", "x", "-o", "xml"]):
        done = npt(*arguments, check=False)
        assert done.returncode == 2 and "see: kubectl npt" in done.stderr and done.stdout == ""
    for arguments, words in ((["run", "nopod"], "there is no pod nopod in namespace"),
                             (["run", "deploy/none"], "there is no deploy/none in namespace"),
                             (["results", "none"], "there is no task none in namespace")):
        done = npt(*arguments, "-n", pods, check=False)
        assert done.returncode == 1 and words in done.stderr
    assert "kubectl knows no cluster" in npt("results", "--kubeconfig", "/nowhere", check=False).stderr
    assert "Usage: kubectl npt run" in npt("run", "--help").stdout


def test_a_task_without_a_pod_fails_with_its_own_exit_code(cluster, pods):
    cluster.apply(task(pods, "nobody", {"podSelector": {"matchLabels": {"app": "nobody"}}}, durationSeconds=5,
                       startDeadlineSeconds=2))
    done = npt("watch", "nobody", "-n", pods, check=False)
    assert done.returncode == 3 and "no pod in namespace" in done.stdout


def test_completion_asks_the_cluster_for_names(cluster, pods):
    cluster.apply(task(pods, "complete-me", {"podNames": ["server"]}, durationSeconds=2))
    assert npt("__complete", "explain", "-n", pods, "comp").stdout.startswith("complete-me\t")
    script = npt("completion", "bash").stdout + """
COMP_WORDS=(kubectl-npt results -o y) COMP_CWORD=3
_kubectl_npt
echo "${COMPREPLY[@]}"
"""
    done = subprocess.run(["bash"], input=script, text=True, capture_output=True, check=False, timeout=60,
                          env={"PATH": f"{PROGRAM.parent}:/usr/bin:/bin"})
    assert done.stdout == "yaml\n", done.stderr
    wait_finished(cluster, pods, "complete-me")


@pytest.mark.parametrize("variables, coloured", [
    ({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)])
def test_colour_is_for_terminals_that_want_it(cluster, variables, coloured):
    code, said = on_a_terminal("doctor", **variables)
    assert code == 0 and ("\033[3" in said) == coloured
    assert "\033" not in npt("doctor").stdout
