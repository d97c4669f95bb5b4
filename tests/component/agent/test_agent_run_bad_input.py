# SPDX-License-Identifier: Apache-2.0
"""npt-agent run where the ground moves: targets that die while it attaches, rights that somebody took
from root, a kernel without BTF. One line and the exit code of its kind (test_agent_commands.py has the
plain mistakes); afterwards nothing of it is in the kernel."""
import os
import random
import signal
import subprocess
import sys
import time

import pytest

from programs import AGENT, ROOT, check_refused, run

sys.path.append(str(ROOT / "tests/accuracy"))
from kernel_objects import exists, held_by_nobody

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: loads BPF, mounts, drops rights")

OK, FAILURE, USAGE, PERMISSION, KERNEL, GONE = range(6)
OWN_NETNS = ("--netns", "/proc/self/ns/net")


@pytest.fixture(autouse=True)
def nothing_stays_in_the_kernel():
    before = held_by_nobody()
    yield
    end = time.monotonic() + 3
    while (left := held_by_nobody() - before) and time.monotonic() < end:
        time.sleep(0.1)
    assert {each for each in left if exists(*each)} == set()


# --- targets ---

def one_that_is_killed_after(seconds, *arguments):
    """The agent at a process that dies a moment after the agent began."""
    child = subprocess.Popen(["sleep", "60"])
    agent = subprocess.Popen([AGENT, "run", "--pid", str(child.pid), "--duration", "3", *arguments],
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                             text=True)
    time.sleep(seconds)
    child.kill()
    child.wait(10)
    out, err = agent.communicate(timeout=20)
    return subprocess.CompletedProcess(agent.args, agent.returncode, out, err)


@pytest.mark.parametrize("layers", ["Base", "Base,Operations"])
def test_a_process_that_dies_while_the_agent_attaches_is_gone(layers):
    rng = random.Random(layers)
    for _ in range(6):
        done = one_that_is_killed_after(rng.uniform(0, 0.3), "--layers", layers)
        check_refused(done, GONE)
        assert "there is no process" in done.stderr or "the target ended before" in done.stderr


def test_a_process_and_its_agent_may_be_killed_at_any_moment():
    """Whatever comes first: no crash, and (by the fixture) nothing stays."""
    rng = random.Random(1)
    for _ in range(4):
        child = subprocess.Popen(["sleep", "60"])
        agent = subprocess.Popen([AGENT, "run", "--pid", str(child.pid)], stdin=subprocess.DEVNULL,
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(rng.uniform(0, 0.4))
        child.kill()
        agent.kill()
        child.wait(10)
        assert agent.wait(10) == -signal.SIGKILL


@pytest.mark.parametrize("kind", ["pid", "user", "uts", "cgroup"])
def test_a_namespace_of_another_kind_is_no_network(kind):
    done = run(AGENT, "run", "--netns", f"/proc/self/ns/{kind}", "--duration", 1)
    check_refused(done, USAGE, f"/proc/self/ns/{kind}: the file is not a network namespace")


def test_a_folder_or_a_socket_is_no_network(tmp_path):
    check_refused(run(AGENT, "run", "--netns", tmp_path), USAGE, "is not a network namespace")
    with subprocess.Popen([sys.executable, "-c", "import socket, sys, time\n"
                           f"s = socket.socket(socket.AF_UNIX)\ns.bind('{tmp_path}/s')\n"
                           "print(flush=True)\ntime.sleep(60)"], stdout=subprocess.PIPE) as child:
        child.stdout.readline()
        done = run(AGENT, "run", "--netns", tmp_path / "s")
        child.kill()
    check_refused(done, GONE, "cannot open the network namespace", "ENXIO")


# --- rights ---

def run_without(rights, *arguments):
    """As root, from whom some rights were taken for good."""
    dropped = ",".join(f"-{right}" for right in rights)
    return run("setpriv", f"--bounding-set={dropped}", f"--inh-caps={dropped}", AGENT, "run",
               "--duration", 1, "--output", "json", *arguments)


@pytest.mark.parametrize("rights", [("bpf", "sys_admin"), ("perfmon", "sys_admin"),
                                    ("bpf", "perfmon", "sys_admin")], ids=",".join)
@pytest.mark.parametrize("layers", ["Base", "Base,Operations"])
def test_root_without_the_rights_to_load_is_told_which(rights, layers):
    done = run_without(rights, *OWN_NETNS, "--layers", layers)
    check_refused(done, PERMISSION, "capabilities BPF and PERFMON")
    assert done.stdout == ""


@pytest.mark.parametrize("rights", [("bpf",), ("perfmon",), ("bpf", "perfmon"), ("sys_ptrace",),
                                    ("sys_admin",), ("net_admin",)], ids=",".join)
def test_one_of_two_ways_to_a_right_is_enough(rights):
    """SYS_ADMIN stands for BPF and PERFMON; of one's own namespace nothing more is asked."""
    done = run_without(rights, *OWN_NETNS)
    assert (done.returncode, done.stderr) == (OK, "")


def test_another_process_needs_the_right_to_look_at_it():
    child = subprocess.Popen(["sleep", "60"])
    try:
        done = run_without(("sys_ptrace",), "--pid", child.pid)
        check_refused(done, PERMISSION, f"the network namespace of process {child.pid}", "SYS_PTRACE")
    finally:
        child.kill()
        child.wait(10)


# --- the kernel ---

@pytest.mark.parametrize("layers", ["Base", "Base,Operations"])
@pytest.mark.parametrize("target", ["--netns", "--pid", "--"])
def test_without_btf_it_is_said_before_anything_is_started(tmp_path, layers, target):
    """libbpf looks into /boot and /lib/modules, too; a container has neither."""
    hide = "; ".join(f"if [ -d {folder} ]; then mount -t tmpfs none {folder}; fi"
                     for folder in ("/sys/kernel/btf", "/boot", "/lib/modules"))
    argument = {"--netns": "/proc/self/ns/net", "--pid": str(os.getpid())}.get(target)
    command = [target, argument] if argument else ["--", "touch", tmp_path / "started"]
    done = run("unshare", "--mount", "sh", "-c", f'{hide}; exec "$@"', "sh", AGENT, "run",
               "--duration", 1, "--layers", layers, *command)
    check_refused(done, KERNEL, "no BTF", "CONFIG_DEBUG_INFO_BTF")
    assert not (tmp_path / "started").exists()
