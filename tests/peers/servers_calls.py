# SPDX-License-Identifier: Apache-2.0
"""gRPC and QUIC in two languages, DNS, SMTP, SSH."""
import pathlib
import subprocess

from servers import CACHE, CIPHERED, ENCRYPTED, PEERS_GO, PYTHON, SMALL, Line, Scene

GRPC_GO, GRPC_PYTHON = 18601, 18602
QUIC_GO, QUIC_PYTHON = 18611, 18612
DNS, DNS_BEHIND = 18621, 18622
SMTP, SMTP_STARTTLS = 18631, 18632
SSH = 18641

LATE = "what acknowledges the last datagrams may come when the client has been asked already"

COREFILE = """.:{port} {{
 hosts {{
  192.0.2.7 own.test
  fallthrough
 }}
 forward . 127.0.0.1:{behind}
}}
"""
SSHD = """Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host
AuthorizedKeysFile {folder}/client.pub
PidFile none
StrictModes no
UsePAM no
PermitRootLogin yes
PasswordAuthentication no
"""
SSH_CLIENT = ("ssh", "-T", "-F", "none", "-p", "PORT", "-i", "FOLDER/client", "-o", "BatchMode=yes",
              "-o", "UserKnownHostsFile=/dev/null", "-o", "StrictHostKeyChecking=no",
              "-o", "LogLevel=ERROR", "root@127.0.0.1", "cat")


def start_grpc(world):
    world.spawn("go", PEERS_GO, "grpc-server", GRPC_GO)
    world.spawn("python", PYTHON, SMALL, "grpc", GRPC_PYTHON)
    world.listening(GRPC_GO, GRPC_PYTHON)


def start_quic(world):
    key, certificate = world.certificate()
    world.spawn("go", PEERS_GO, "quic-server", QUIC_GO, certificate, key)
    world.spawn("python", PYTHON, SMALL, "quic", QUIC_PYTHON, certificate, key)
    world.listening(QUIC_GO, QUIC_PYTHON)


def start_dns(world):
    corefile = world.write("Corefile", COREFILE.format(port=DNS, behind=DNS_BEHIND))
    world.spawn("dnsmasq", "dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv",
                "--no-hosts", "--user=root", "--pid-file", f"--port={DNS_BEHIND}",
                "--listen-address=127.0.0.1", "--bind-interfaces", "--address=/forwarded.test/192.0.2.8")
    world.spawn("coredns", CACHE / "bin/coredns", "-conf", corefile)
    world.listening(DNS, DNS_BEHIND)
    world.wait("CoreDNS", lambda: "CoreDNS-" in world.output("coredns"))


def start_smtp(world):
    key, certificate = world.certificate()
    for port in (SMTP, SMTP_STARTTLS):
        world.spawn(f"smtp{port}", PYTHON, SMALL, "smtp", port, certificate, key)
    world.listening(SMTP, SMTP_STARTTLS)


def start_ssh(world):
    pathlib.Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    for name in ("host", "client"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", world.folder / name],
                       check=True, timeout=30)
    config = world.write("sshd.conf", SSHD.format(port=SSH, folder=world.folder))
    world.spawn("sshd", "/usr/sbin/sshd", "-D", "-e", "-f", config)
    world.listening(SSH)


SCENES = [
    Scene("grpc", start_grpc, (
        Line(GRPC_GO, "grpc", client="grpc"),
        Line(GRPC_PYTHON, "grpc", client="program", arguments=(PEERS_GO, "grpc-client", "PORT")),
    )),
    Scene("quic", start_quic, (
        Line(QUIC_GO, "quic", "yes", ("quic",), CIPHERED, "udp", client="quic", loose=LATE),
        Line(QUIC_PYTHON, "quic", "yes", ("quic",), CIPHERED, "udp", client="program",
             arguments=(PEERS_GO, "quic-client", "PORT"), loose="quic-go does not count what it moves"),
    )),
    Scene("dns", start_dns, (
        Line(DNS, "dns", transport="udp", client="dns", arguments=("udp",)),
        Line(DNS, "dns", transport="tcp", client="dns", arguments=("tcp",)),
        Line(DNS_BEHIND, "dns", transport="udp"),
        Line(DNS_BEHIND, "dns", transport="tcp"),
    )),
    Scene("smtp", start_smtp, (
        Line(SMTP, "smtp", client="smtp"),
        # The server greets before TLS begins.
        Line(SMTP_STARTTLS, "smtp", "yes", ("smtp",), ENCRYPTED, client="smtp", arguments=("starttls",)),
    )),
    Scene("ssh", start_ssh, (
        Line(SSH, "ssh", client="program", arguments=SSH_CLIENT, middle=CIPHERED),
    )),
]
