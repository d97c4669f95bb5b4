# SPDX-License-Identifier: Apache-2.0
"""The network of test_findings.py, and the programs in it.

Three namespaces. In `one` both ends live together, so that the agent pairs them: by loopback, or by a
relay (findings/relay.c) that its own addresses are routed through. `near` and `far` have an end each,
joined by a veth pair and by a second relay; each is measured by an agent of its own, as pods on two nodes
are."""
import json
import os
import signal
import subprocess
import time

from support import BUILD, Agent, Program, ip, run_in

BEHAVIOUR, RELAY = (str(BUILD / "tests/accuracy" / name) for name in ("findings-behaviour", "findings-relay"))

DEVICE = "npt-relay"
VETH = ("198.18.7.1", "198.18.7.2")  # near, far
RELAYED = ("198.18.9.1", "198.18.9.2")
LOOP = ("198.18.8.1", "198.18.8.2")  # both in `one`


class Ordered(Program):
    """A program that is told what to do by lines and says when it is ready."""

    def __init__(self, lines, *command):
        super().__init__(*command)
        self.child.stdin.write("".join(line + "\n" for line in lines) + "\n")
        self.child.stdin.flush()
        assert self.line() == "ready"


class Judge(Agent):
    """Its report alone: many edges' windows would fill the pipe that nobody reads yet, and then the agent
    waits instead of measuring."""
    INTERVAL = "60"

    def report(self):
        self.child.send_signal(signal.SIGINT)
        lines, errors = self.child.communicate(timeout=30)
        assert self.child.returncode == 0, errors
        return json.loads(lines.splitlines()[-1])


class World:
    """A context: namespaces, devices and relays are gone with it, and all programs started in it."""

    def __init__(self):
        tag = f"nptf{os.getpid() % 100000}"
        self.one, self.near, self.far = (tag + part for part in "onf")
        self.programs = []

    def __enter__(self):
        try:
            self.make()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exception):
        for program in reversed(self.programs):
            program.end()
        for name in (self.one, self.near, self.far):
            subprocess.run(["ip", "netns", "del", name], check=False, timeout=30, stderr=subprocess.DEVNULL)

    def make(self):
        for name in (self.one, self.near, self.far):
            ip("netns", "add", name)
            ip("-n", name, "link", "set", "lo", "up")
        ip("link", "add", self.near, "netns", self.near, "type", "veth", "peer", "name", self.far, "netns",
           self.far)
        for name, address in ((self.near, VETH[0]), (self.far, VETH[1])):
            ip("-n", name, "addr", "add", address + "/24", "dev", name)
            ip("-n", name, "link", "set", name, "up")

    def start(self, program):
        self.programs.append(program)
        return program

    def relays(self, rules):
        """rules: (port, delay in us, loss in permille). Called once, before anything is connected."""
        for names in ((self.one,), (self.near, self.far)):
            self.start(Ordered(["%d %d %d" % rule for rule in rules], RELAY, *names))
        for name, address in ((self.near, RELAYED[0]), (self.far, RELAYED[1])):
            self.up(name, address)
        self.up(self.one, *LOOP)
        # Its own addresses, yet out by the device: "local" is asked first only for what comes in there.
        run_in(self.one, "sysctl", "-qw", "net.ipv4.conf.all.rp_filter=0",
               f"net.ipv4.conf.{DEVICE}.rp_filter=0", f"net.ipv4.conf.{DEVICE}.accept_local=1")
        ip("-n", self.one, "route", "add", "198.18.8.0/24", "dev", DEVICE, "table", "100")
        ip("-n", self.one, "rule", "add", "pref", "10", "iif", DEVICE, "lookup", "local")
        ip("-n", self.one, "rule", "add", "pref", "20", "to", "198.18.8.0/24", "lookup", "100")
        ip("-n", self.one, "rule", "add", "pref", "30", "lookup", "local")
        ip("-n", self.one, "rule", "del", "pref", "0")

    @staticmethod
    def up(namespace, *addresses):
        for address in addresses:
            ip("-n", namespace, "addr", "add", address + "/24", "dev", DEVICE)
        ip("-n", namespace, "link", "set", DEVICE, "txqueuelen", "20000", "up")

    def behave(self, namespace, role, lines):
        return self.start(Ordered(lines, "ip", "netns", "exec", namespace, BEHAVIOUR, role))

    def measure(self, ends, seconds):
        """ends: (namespace, role, lines); the servers first. Returns the reports by namespace."""
        programs = [self.behave(*end) for end in ends]
        names = sorted({namespace for namespace, _, _ in ends})
        agents = {name: self.start(Judge("--netns", f"/run/netns/{name}")) for name in names}
        for program in programs:
            program.say()
        time.sleep(seconds)
        reports = {name: agent.report() for name, agent in agents.items()}
        for program in programs:
            program.end()
        return reports
