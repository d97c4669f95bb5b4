# SPDX-License-Identifier: Apache-2.0
"""Handles of the test cluster: its commands, its nodes, its processes."""
import json
import os
import pathlib
import subprocess
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
CLUSTER = os.environ.get("CLUSTER", "npt")
RUN = pathlib.Path(os.environ.get("CLUSTER_RUN", f"/var/tmp/npt-cluster-{CLUSTER}"))


def run(*command, check=True, text_input=None, timeout=600):
    result = subprocess.run([str(part) for part in command], input=text_input, text=True,
                            capture_output=True, check=False, timeout=timeout, cwd=ROOT)
    if check and result.returncode != 0:
        raise AssertionError(f"{command}: exit code {result.returncode}\n{result.stdout[-4000:]}"
                             f"\n{result.stderr[-4000:]}")
    return result


class Cluster:
    def kubectl(self, *arguments, check=True, text_input=None):
        return run(HERE / "kubectl", *arguments, check=check, text_input=text_input)

    def helm(self, *arguments):
        return run(HERE / "helm", *arguments)

    def apply(self, text, check=True):
        return self.kubectl("apply", "-f", "-", text_input=text, check=check)

    def get(self, *arguments):
        return json.loads(self.kubectl("get", *arguments, "-o", "json").stdout)

    def wait_until(self, what, question, seconds=30, pause=0.3):
        """Asks until the answer is true, and returns it."""
        end = time.monotonic() + seconds
        while True:
            answer = question()
            if answer:
                return answer
            if time.monotonic() > end:
                raise AssertionError(f"not within {seconds} s: {what}; last answer {answer!r}")
            time.sleep(pause)

    def connected_nodes(self):
        log = self.kubectl("-n", "npt-system", "logs", "deploy/npt-controller").stdout
        return {line.split('node="')[1].split('"')[0] for line in log.splitlines()
                if "says hello" in line}


def process_of(cluster, program, node=None):
    """The process id of one of our programs (on a node), by the pod in its control group; or None."""
    pods = cluster.get("pods", "-n", "npt-system", "-l", f"app.kubernetes.io/name={program}")["items"]
    uids = [pod["metadata"]["uid"] for pod in pods if node in (None, pod["spec"].get("nodeName"))]
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            groups = (process / "cgroup").read_text()
            if any(uid in groups for uid in uids) and (
                    (process / "comm").read_text().strip() == program[:15]):
                return int(process.name)
        except OSError:
            continue
    return None


def bpf_objects(pid):
    """{(kind, id)} of the BPF programs, maps and links that a process holds."""
    found = set()
    for info in pathlib.Path(f"/proc/{pid}/fdinfo").iterdir():
        try:
            fields = dict(line.split(":", 1) for line in info.read_text().splitlines() if ":" in line)
        except OSError:
            continue
        found |= {(kind, int(fields[f"{kind}_id"])) for kind in ("prog", "map", "link")
                  if f"{kind}_id" in fields}
    return found


def bpf_exists(kind, number):
    return run("bpftool", kind, "show", "id", number, check=False).returncode == 0
