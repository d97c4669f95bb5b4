# SPDX-License-Identifier: Apache-2.0
"""npt-agent run and its bad input: each mistake is one line on stderr and an exit code that says which
kind it is (0 done, 1 failure, 2 usage, 3 no permission, 4 no kernel support, 5 target gone)."""
import concurrent.futures
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import threading
import time

import pytest

from programs import AGENT, BUILD, Daemon, check_refused, options_of, run

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: loads BPF, mounts, drops rights")

OK, FAILURE, USAGE, PERMISSION, KERNEL, GONE = range(6)
OWN_NETNS = ("--netns", "/proc/self/ns/net")
BTF = pathlib.Path("/sys/kernel/btf/vmlinux")


@pytest.fixture
def sleeper():
    """Starts processes that sleep for some seconds; none is left behind."""
    children = []

    def start(seconds=60):
        children.append(subprocess.Popen(["sleep", str(seconds)]))
        return children[-1].pid

    yield start
    for child in children:
        child.kill()
        child.wait(10)


@pytest.fixture(scope="module")
def public_agent():
    """A copy of the program where everybody may run it."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        yield shutil.copy(AGENT, folder)


def documents(text):
    return [json.loads(line) for line in text.splitlines()]


# --- words and options ---

@pytest.mark.parametrize("arguments, words", [
    ([], ["a command is missing", "npt-agent help"]),
    (["nonsense"], ["there is no command 'nonsense'", "npt-agent help"]),
    (["--colour"], ["there is no command '--colour'"]),
    ([""], ["there is no command ''"]),
    (["run"], ["nothing to measure is named", "--pid", "--container", "--cgroup", "--netns", "-- COMMAND"]),
    (["run", "--colour"], ["unknown option '--colour'", "npt-agent run --help"]),
    (["run", "--colour=red"], ["unknown option '--colour=red'"]),
    (["run", "--pid", "1", "-x"], ["unknown option '-x'"]),
    (["run", "--pid", "1", "-xyz"], ["unknown option '-xyz'"]),
    (["run", "-hx"], ["unknown option '-hx'"]),
    (["run", "--help=yes"], ["unknown option '--help=yes'"]),
    (["run", "--l", "Base"], ["unknown option '--l'"]),  # --layers or --log-level?
    (["run", "--pid", "1", "--duration", "5", "now"], ["'now' is no option", "a command comes after --"]),
    (["run", "true"], ["'true' is no option", "a command comes after --"]),
    (["run", "--"], ["nothing to measure is named"]),
    (["run", "--pid", "1", "--pid", "2"], ["more than one target"]),
    (["run", "--pid", "1", *OWN_NETNS], ["more than one target"]),
    (["run", "--cgroup", "/", "--container", "a" * 12], ["more than one target"]),
    (["run", "--pid", "1", "--", "true"], ["more than one target"]),
])
def test_wrong_usage_is_one_line_that_names_the_mistake(arguments, words):
    done = run(AGENT, *arguments)
    check_refused(done, USAGE, *words)
    assert done.stdout == ""


FLAGS = ["help", "no-trampolines"]
ALONE_TOO = ["serve"]  # or with a value


@pytest.mark.parametrize("option", [name for name in options_of("agent/options.c")
                                    if name not in FLAGS + ALONE_TOO])
def test_an_option_without_its_value_is_named(option):
    done = run(AGENT, "run", f"--{option}")
    check_refused(done, USAGE, f"--{option} needs a value", "npt-agent run --help")


@pytest.mark.parametrize("option", FLAGS)
def test_a_flag_takes_no_value(option):
    assert run(AGENT, "run", f"--{option}", "--help").returncode == OK
    check_refused(run(AGENT, "run", f"--{option}=1"), USAGE, f"unknown option '--{option}=1'")


VALUES = {
    "--pid": (["", "0", "-1", "+1", " 1", "1 ", "0x1", "1.5", "self", "2147483648", "9" * 30],
              ["1", "2147483647"]),
    "--duration": (["", "0", "0s", "999ms", "-1s", "1.5s", "1 s", "s", "1S", "1d", "1h1m", "3601",
                    "3600001ms", "61m", "2h", "18446744073709551617"],
                   ["1", "1s", "1000ms", "3600", "3600000ms", "60m", "1h"]),
    "--interval": (["", "0", "999ms", "61", "60001ms", "2m", "1h", "1s,2s", "18446744073709551617"],
                   ["1", "1000ms", "60", "60000ms", "1m"]),
    "--layers": (["", "base", "BASE", "Base,", ",Base", "Base,,Operations", "Base;Operations",
                  "Base, Operations", "All", "Protocols", "Tls", "Base,Requests", "Requests"],
                 ["Base", "Operations", "Base,Operations", "Operations,Base", "Base,Base", "Protocol", "TLS",
                  "Base,Operations,Protocol,TLS"]),
    "--budget-cpu": (["", "-1", "0.5", "200m", "1000001"], ["0", "1", "1000000"]),
    "--budget-memory": (["", "-1", "64Mi", "1000001"], ["0", "64"]),
    "--output": (["", "JSON", "yaml", "json ", "jsonl", "0"], ["json", "table"]),
    "--log-level": (["", "loud", "warn", "INFO", "info ", "4"], ["error", "warning", "info", "debug"]),
}


@pytest.mark.parametrize("option, value", [(option, value) for option, (wrong, _) in VALUES.items()
                                           for value in wrong])
def test_a_value_that_makes_no_sense_is_refused_with_the_option_that_has_it(option, value):
    done = run(AGENT, "run", *(OWN_NETNS if option != "--pid" else ()), option, value)
    check_refused(done, USAGE)
    assert option in done.stderr or option == "--layers" and "Base,Operations" in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("option", VALUES)
def test_the_nearest_values_that_make_sense_are_taken(option):
    for value in VALUES[option][1]:
        done = run(AGENT, "run", option, value, "--help")
        assert (done.returncode, done.stderr) == (OK, ""), (value, done.stderr)


def test_a_layer_of_a_later_version_is_refused_as_such():
    done = run(AGENT, "run", *OWN_NETNS, "--layers", "Base,Requests")
    check_refused(done, USAGE, "the layer Requests is not in this version: use Base,Operations,Protocol,TLS")


def test_help_names_every_command_and_every_option():
    done = run(AGENT, "help")
    for command in ("run", "serve", "version", "help"):
        assert f"\n  {command} " in done.stdout
    for command, source in (("run", "agent/options.c"), ("serve", "agent/service_options.c")):
        done = run(AGENT, command, "--help")
        assert (done.returncode, done.stderr) == (OK, "")
        assert len(options_of(source)) >= 9
        for option in options_of(source):
            assert f"--{option}" in done.stdout, option
        assert "Exit codes: 0 " in done.stdout


@pytest.mark.parametrize("program", ["agent/npt-agent", "controller/npt-controller",
                                     "aggregator/npt-aggregator"])
def test_every_program_says_its_version_and_helps(program):
    name = program.split("/")[1]
    for word in ("version", "--version"):
        done = run(BUILD / program, word)
        assert (done.returncode, done.stderr) == (OK, "")
        assert done.stdout.startswith(f"{name} 0.") and done.stdout.count("\n") == 1
    for word in ("--help", "-h"):
        done = run(BUILD / program, word)
        assert (done.returncode, done.stderr) == (OK, "") and done.stdout.startswith("Usage: ")


# --- targets ---

def a_process_that_ended():
    child = subprocess.Popen(["true"])
    child.wait(10)
    return child.pid


@pytest.mark.parametrize("target, code, words", [
    (lambda: ["--pid", 2147483647], GONE, "there is no process 2147483647"),
    (lambda: ["--pid", a_process_that_ended()], GONE, "there is no process"),
    (lambda: ["--container", "0123456789ab"], GONE, "no process runs in a container 0123456789ab"),
    (lambda: ["--container", "a" * 64], GONE, "no process runs in a container aaaa"),
    (lambda: ["--container", "0123456789a"], USAGE, "'0123456789a' is no container id"),
    (lambda: ["--container", "0123456789AB"], USAGE, "is no container id"),
    (lambda: ["--container", "web-1-web-1-web-1"], USAGE, "at least its first 12 hexadecimal digits"),
    (lambda: ["--container", ""], USAGE, "is no container id"),
    (lambda: ["--cgroup", "/nowhere"], GONE, "cannot read the control group /nowhere: ENOENT"),
    (lambda: ["--cgroup", "/etc/passwd"], GONE, "cannot read the control group /etc/passwd: ENOTDIR"),
    (lambda: ["--cgroup", "/etc"], GONE, "cannot read the control group /etc: ENOENT"),
    (lambda: ["--netns", "/nowhere"], GONE, "cannot open the network namespace /nowhere: ENOENT"),
    (lambda: ["--netns", "/etc/passwd"], USAGE, "/etc/passwd: the file is not a network namespace"),
    (lambda: ["--netns", "/"], USAGE, "is not a network namespace"),
    (lambda: ["--netns", "/dev/null"], USAGE, "is not a network namespace"),
    (lambda: ["--netns", "/proc/self/ns/mnt"], USAGE, "is not a network namespace"),
    (lambda: ["--", "/no/such/command"], GONE, "cannot run '/no/such/command': ENOENT"),
    (lambda: ["--", "no-such-command", "--help"], GONE, "cannot run 'no-such-command': ENOENT"),
    (lambda: ["--", ""], GONE, "cannot run '': ENOENT"),
    (lambda: ["--", "/etc"], PERMISSION, "cannot run '/etc': EACCES"),
    (lambda: ["--", "/etc/passwd"], PERMISSION, "cannot run '/etc/passwd': EACCES"),
], ids=lambda value: value if isinstance(value, str) else None)
def test_a_target_that_is_not_there_is_said_and_nothing_is_measured(target, code, words):
    began = time.monotonic()
    done = run(AGENT, "run", "--duration", 30, *target())
    check_refused(done, code, words)
    assert done.stdout == "" and time.monotonic() - began < 10


def test_a_script_whose_interpreter_is_missing_is_said(tmp_path):
    script = tmp_path / "script"
    script.write_text("#!/no/such/interpreter\n")
    script.chmod(0o755)
    check_refused(run(AGENT, "run", "--duration", 30, "--", script), GONE, f"cannot run '{script}': ENOENT")


def test_a_pipe_is_no_namespace_and_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    check_refused(run(AGENT, "run", "--netns", tmp_path / "pipe"), USAGE, "is not a network namespace")


def test_a_thread_is_refused_with_the_number_of_its_process():
    ended = threading.Event()
    thread = threading.Thread(target=ended.wait, args=(30,))
    thread.start()
    done = run(AGENT, "run", "--pid", thread.native_id, "--duration", 2)
    ended.set()
    thread.join()
    check_refused(done, USAGE, f"{thread.native_id} is a thread", f"--pid {os.getpid()}")


@pytest.mark.parametrize("output", ["json", "table"])
def test_a_target_that_ends_ends_the_measurement_with_its_report(sleeper, output):
    began = time.monotonic()
    done = run(AGENT, "run", "--pid", sleeper(1.2), "--duration", 30, "--output", output)
    check_refused(done, GONE, "the target ended before the time was up")
    assert time.monotonic() - began < 10
    if output == "json":
        assert documents(done.stdout)[-1]["kind"] == "Report"
    else:
        assert "PROCESS" in done.stdout


def test_a_target_that_ends_while_the_agent_starts_is_gone_too():
    def measure(milliseconds):
        child = subprocess.Popen(["sleep", str(milliseconds / 1000)])
        done = run(AGENT, "run", "--pid", child.pid, "--duration", 3)
        child.wait(10)
        return done.returncode

    delays = range(20, 170, 25)
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        assert dict(zip(delays, pool.map(measure, delays))) == dict.fromkeys(delays, GONE)


def test_a_command_that_outlives_the_measurement_is_ended(tmp_path):
    done = run(AGENT, "run", "--duration", 1, "--output", "json", "--", "sh", "-c",
               f"echo $$ >{tmp_path}/pid; exec sleep 60")
    assert (done.returncode, done.stderr) == (OK, "")
    assert not os.path.exists(f"/proc/{(tmp_path / 'pid').read_text().strip()}")


@pytest.mark.parametrize("command, code", [(["true"], OK), (["false"], OK)])
def test_how_the_command_ends_is_its_own_affair(command, code):
    done = run(AGENT, "run", "--output", "json", "--", *command)
    assert (done.returncode, done.stderr) == (code, "")
    assert documents(done.stdout)[-1]["kind"] == "Report"


# --- rights ---

def run_as_nobody(program, capabilities, *arguments):
    some = [f"--{kind}={','.join(f'+{one}' for one in capabilities)}" for kind in
            ("inh-caps", "ambient-caps")] if capabilities else []
    return run("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *some, program, "run",
               "--duration", 1, "--output", "json", *arguments)


@pytest.mark.parametrize("target", ["namespace", "command"])
@pytest.mark.parametrize("capabilities", [(), ("perfmon",), ("bpf",), ("sys_ptrace",),
                                          ("perfmon", "sys_ptrace")], ids=",".join)
def test_without_rights_the_capabilities_are_named(public_agent, target, capabilities):
    arguments = OWN_NETNS if target == "namespace" else ("--", "true")
    done = run_as_nobody(public_agent, capabilities, *arguments)
    check_refused(done, PERMISSION, "root", "capabilities", "BPF", "PERFMON")
    assert done.stdout == ""


@pytest.mark.parametrize("capabilities", [(), ("bpf",), ("bpf", "perfmon")], ids=",".join)
def test_without_rights_to_somebodys_process_the_capability_is_named(public_agent, sleeper, capabilities):
    done = run_as_nobody(public_agent, capabilities, "--pid", sleeper())
    check_refused(done, PERMISSION, "root", "SYS_PTRACE")


@pytest.mark.parametrize("capabilities", [("bpf", "perfmon"), ("bpf", "perfmon", "sys_ptrace")],
                         ids=",".join)
def test_the_named_capabilities_are_enough(public_agent, sleeper, capabilities):
    target = ("--pid", sleeper()) if "sys_ptrace" in capabilities else OWN_NETNS
    done = run_as_nobody(public_agent, capabilities, *target)
    assert (done.returncode, done.stderr) == (OK, "")
    assert documents(done.stdout)[-1]["kind"] == "Report"


def test_a_namespace_that_may_not_be_read_is_a_matter_of_rights(public_agent, sleeper):
    done = run_as_nobody(public_agent, ("bpf", "perfmon"), "--netns", f"/proc/{sleeper()}/ns/net")
    check_refused(done, PERMISSION, "cannot open the network namespace", "EACCES")


# --- the kernel ---

def run_with_btf(mount, *arguments):
    """In a mount namespace of its own, where the kernel's BTF is another."""
    return run("unshare", "--mount", "sh", "-c", f'{mount} && exec "$@"', "sh", AGENT, "run",
               "--duration", 1, "--output", "json", *OWN_NETNS, *arguments)


@pytest.mark.parametrize("mount", ["mount -t tmpfs none /sys/kernel/btf",
                                   "mount --bind /dev/null /sys/kernel/btf/vmlinux",
                                   "mount --bind /etc/passwd /sys/kernel/btf/vmlinux"],
                         ids=["none", "empty", "garbage"])
@pytest.mark.parametrize("command", ["run", "serve"])
def test_a_kernel_without_btf_is_named_in_one_line(tmp_path, mount, command):
    arguments = ["run", *OWN_NETNS] if command == "run" else [
        "serve", "--controller", "wss://127.0.0.1:1/", "--ca", "x", "--token", "x", "--node", "x"]
    done = run("unshare", "--mount", "sh", "-c", f'{mount} && exec "$@"', "sh", AGENT, *arguments)
    check_refused(done, KERNEL, "no BTF", "CONFIG_DEBUG_INFO_BTF")


@pytest.fixture(scope="module")
def older_kernel(tmp_path_factory):
    """The kernel's BTF without the name of a tracepoint: all that we know of an older kernel."""
    def without(tracepoint):
        changed = tmp_path_factory.mktemp("btf") / tracepoint
        name = f"\0btf_trace_{tracepoint}\0".encode()
        whole = BTF.read_bytes()
        assert whole.count(name) == 1
        changed.write_bytes(whole.replace(name, name[:-2] + b"_\0"))
        return f"mount --bind {changed} {BTF}"

    return without


def test_a_kernel_without_a_tracepoint_is_told_apart_by_what_can_be_done(older_kernel):
    check_refused(run_with_btf(older_kernel("inet_sock_set_state")), KERNEL,
                  "the kernel lacks the tracepoint inet_sock_set_state")
    mount = older_kernel("sock_send_length")
    check_refused(run_with_btf(mount), KERNEL, "lacks the tracepoint sock_send_length (6.3+)",
                  "--layers Base")
    done = run_with_btf(mount, "--layers", "Base")
    assert (done.returncode, done.stderr) == (OK, "")


@pytest.mark.parametrize("tracepoint, metric", [("tcp_sendmsg_locked", "write.micros"),
                                                ("kfree_skb", "drops")])
def test_a_metric_that_the_kernel_cannot_give_is_unavailable_and_the_rest_is_measured(
        older_kernel, tracepoint, metric):
    done = run_with_btf(older_kernel(tracepoint))
    assert (done.returncode, done.stderr) == (OK, "")
    assert "the kernel" in documents(done.stdout)[-1]["unavailable"][metric]


# --- output and signals ---

@pytest.mark.parametrize("output, to", [("json", ">/dev/full"), ("json", ">&-"), ("json", "| head -c 1"),
                                        ("table", ">/dev/full"), ("table", ">&-")])
def test_a_report_that_could_not_be_printed_is_no_success(output, to):
    began = time.monotonic()
    done = run("bash", "-c", f'set -o pipefail; "$@" {to}', "bash", AGENT, "run", *OWN_NETNS,
               "--interval", "1s", "--duration", "10s" if output == "json" else "1s", "--output", output)
    check_refused(done, FAILURE, "cannot write to the standard output")
    assert time.monotonic() - began < 8, "it measures on for nobody"


@pytest.mark.parametrize("arguments", [["version"], ["help"], ["run", "--help"], ["serve", "--help"]])
def test_words_that_could_not_be_printed_are_no_success(arguments):
    with open("/dev/full", "w", encoding="ascii") as full:
        done = run(AGENT, *arguments, stdout=full)
    check_refused(done, FAILURE, "cannot write to the standard output: ENOSPC")


def test_an_error_needs_no_standard_stream_at_all():
    done = run("sh", "-c", '"$@" <&- >&- 2>&-', "sh", AGENT, "run", "--pid", 2147483647)
    assert (done.returncode, done.stderr) == (GONE, "")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("output", ["json", "table"])
def test_a_signal_ends_the_measurement_with_its_report(tmp_path, number, output):
    with open(tmp_path / "out", "w+", encoding="utf-8") as out:
        agent = Daemon(tmp_path / "log", AGENT, "run", *OWN_NETNS, "--log-level", "info", "--output",
                       output, stdout=out)
        try:
            agent.wait_for("measuring")
            agent.child.send_signal(number)
            assert agent.child.wait(3) == OK
        finally:
            agent.kill()
    assert len(agent.lines()) == 1
    text = (tmp_path / "out").read_text()
    if output == "json":
        assert [one["kind"] for one in documents(text)] == ["Window", "Report"]
    else:
        assert text.count("PROCESS") == 1
