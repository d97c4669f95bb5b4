# SPDX-License-Identifier: Apache-2.0
"""A cluster for the whole session: up, with our images and the chart in it, and down again."""
import json
import os
import pathlib
import subprocess
import time

import pytest

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PROGRAMS = ["npt-controller", "npt-agent"]


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


@pytest.fixture(scope="session")
def cluster(tmp_path_factory):
    if os.geteuid() != 0:
        pytest.skip("needs root: makes namespaces and control groups")
    archives = run(HERE / "image", ROOT, *PROGRAMS, timeout=1500).stdout.split()
    before = tmp_path_factory.mktemp("leftovers") / "before.json"
    before.write_text(run(HERE / "leftovers", "snapshot").stdout)
    run(HERE / "up", timeout=2400)
    made = Cluster()
    try:
        run(HERE / "load", *archives)
        made.helm("install", "npt", ROOT / "helm/npt", "-n", "npt-system", "--create-namespace",
                  "--set", "aggregator.enabled=false", "--wait", "--timeout", "90s")
        made.wait_until("both agents are connected", lambda: len(connected(made)) == 2)
        yield made
    finally:
        run(HERE / "down")
    found = run(HERE / "leftovers", "compare", before, check=False)
    assert found.returncode == 0, found.stdout + found.stderr


def connected(made):
    log = made.kubectl("-n", "npt-system", "logs", "deploy/npt-controller").stdout
    return {line.split('node="')[1].split('"')[0] for line in log.splitlines()
            if "says hello" in line}
