# SPDX-License-Identifier: Apache-2.0
"""What a handshake says on the wire, beside what both programs say of it: versions, resumption, client
certificates, ALPN, names, hellos of every shape, and handshakes that fail.

A case runs once; that it happened as meant, and that its edges say so, are tests of their own.
"""
import dataclasses
import functools
import pathlib
import sys
import tempfile

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
pytest.register_assert_rewrite("tls_world")

from tls_world import AFTER, NAME, Scene, World, needs_root, play  # noqa: E402

pytestmark = needs_root


@dataclasses.dataclass(frozen=True)
class Case:
    name: str
    server: dict = dataclasses.field(default_factory=dict)
    client: dict = dataclasses.field(default_factory=dict)
    programs: tuple = ("python", "python")
    version: str = "1.3"
    sni: str = NAME
    alpn: str = ""
    handshakes: int = 1
    resumed: int = 0
    certificates: object = 0  # asked for; None: TLS 1.3 hides it
    failed: int = 0
    alert: tuple = ()  # (role that sends it, its name)
    fails_as: str = ""  # what the client says of it

    def scene(self):
        options = {"requests": 1, **self.client, **({"fails": 1} if self.failed else {})}
        return Scene(*self.programs, server_options=tuple(self.server.items()),
                     client_options=tuple(options.items()))


def v12(**options):
    return {"max": "1.2", **options}


LONG = ",".join(f"{number:03}" + "y" * 200 for number in range(12))  # 2.4 KiB of ALPN
CASES = (
    Case("tls12", v12(), version="1.2"),
    Case("tls13"),
    Case("tls12-resumed", v12(), {"resume": 1, "requests": 2}, version="1.2", handshakes=2, resumed=1),
    Case("tls13-resumed", {}, {"resume": 1, "requests": 2}, handshakes=2, resumed=1),
    Case("tls12-certificate-given", v12(ask=2), {"cert": 1}, version="1.2", certificates=1),
    Case("tls12-certificate-not-given", v12(ask=1), version="1.2", certificates=1),
    Case("tls13-certificate-given", {"ask": 2}, {"cert": 1}, certificates=None),
    Case("tls12-alpn", v12(alpn="http/1.1"), {"alpn": "h2,http/1.1"}, version="1.2", alpn="http/1.1"),
    Case("tls13-alpn", {"alpn": "http/1.1"}, {"alpn": "h2,http/1.1"}, alpn="offered: h2,http/1.1"),
    Case("tls12-no-sni", v12(), {"sni": ""}, version="1.2", sni=""),
    Case("tls13-no-sni", {}, {"sni": ""}, sni=""),
    Case("tls12-hello-in-bytes", v12(), {"split": 1}, version="1.2"),
    Case("tls13-hello-in-bytes", {}, {"split": 1}),
    Case("tls12-hello-of-kilobytes", v12(alpn="http/1.1"), {"alpn": LONG + ",http/1.1"}, version="1.2",
         alpn="http/1.1"),
    Case("tls13-post-quantum-offered", programs=("c", "openssl-3.5")),
    Case("tls13-post-quantum", programs=("openssl-3.5", "openssl-3.5")),
    Case("tls12-wrong-ca", v12(), {"trust": "other-ca.pem"}, version="1.2", handshakes=0, failed=1,
         alert=("client", "unknown_ca"), fails_as="CERTIFICATE_VERIFY_FAILED"),
    Case("tls13-wrong-ca", {}, {"trust": "other-ca.pem"}, handshakes=0, failed=1,
         alert=("client", "encrypted"), fails_as="CERTIFICATE_VERIFY_FAILED"),
    Case("no-shared-cipher", v12(ciphers="ECDHE-ECDSA-AES128-GCM-SHA256"),
         {"ciphers": "ECDHE-ECDSA-AES256-GCM-SHA384"}, handshakes=0, failed=1, version="",
         alert=("server", "handshake_failure"), fails_as="SSLV3_ALERT_HANDSHAKE_FAILURE"),
    Case("no-shared-version", {"min": "1.3"}, v12(), handshakes=0, failed=1, version="",
         alert=("server", "protocol_version"), fails_as="TLSV1_ALERT_PROTOCOL_VERSION"),
    Case("closed-in-the-hello", {}, {"abort": 100}, handshakes=0, failed=1, version=""),
    Case("closed-after-the-hello", {}, {"abort": 100000}, handshakes=0, failed=1, version=None),
)
PARAMETERS = [pytest.param(number, id=case.name) for number, case in enumerate(CASES)]


@functools.cache
def result_of(number):
    with tempfile.TemporaryDirectory() as folder, World(pathlib.Path(folder)) as world:
        return play(world, CASES[number].scene(), AFTER)


@pytest.mark.parametrize("number", PARAMETERS)
def test_programs_say_that_it_was_as_meant(number):
    case, result = CASES[number], result_of(number)
    server, client = result.server_ends[0], result.client_ends[0]
    assert client["handshakes"] == case.handshakes
    if case.failed:
        assert server["handshakes"] == 0 or case.version == "1.3"
        assert client["failed"] == case.fails_as
        if case.alert and case.alert[0] == "client":
            assert server["failed"].endswith("ALERT_UNKNOWN_CA")
        assert server["failed"]
        return
    assert server["handshakes"] == case.handshakes
    for end in (server, client):
        assert end["version"] == case.version
        assert end["resumed"] == bool(case.resumed)
        if case.alpn:
            assert end["alpn"] == "http/1.1"
    assert server["sni"] == case.sni
    assert server["cipher"] == client["cipher"]
    assert server["requests"] == client["requests"] == dict(case.scene().client_options)["requests"]


def only(edges):
    assert len(edges) == 1, edges
    return edges[0]


@pytest.mark.parametrize("number", PARAMETERS)
def test_the_wire_says_so_too(number):
    case, result = CASES[number], result_of(number)
    for role, told in (("server", result.server_ends[0]), ("client", result.client_ends[0])):
        edge = only(result.edges(role))
        assert edge["tls"] == "yes"
        handshakes = edge.get("handshakes", {})
        assert handshakes.get("count", 0) == case.handshakes
        assert handshakes.get("failed", 0) == case.failed
        assert handshakes.get("resumed", 0) == case.resumed
        if case.certificates is not None:
            assert handshakes.get("clientCertificates", 0) == case.certificates
        alerts = handshakes.get("alerts", {})
        if case.alert:
            sender, name = case.alert
            way = "sent" if sender == role else "received"
            told = alerts[way].get(name, 0) + alerts[way].get("unknown_ca", 0) * (name == "encrypted")
            # What is read after a reset is not looked at any more.
            assert told == 1 or (told == 0 and way == "received" and edge["resets"]["received"])
        if case.version is not None and not case.failed:
            assert edge.get("tlsVersion", "") == case.version
            assert edge.get("cipher", "") == told["cipher"]
            assert edge.get("alpn", "") in (case.alpn, "http/1.1" if case.alpn else "")
            assert edge["handshakes"]["micros"]["count"] == case.handshakes
        if "abort" not in case.client:
            assert edge.get("sni", "") == case.sni


def test_a_post_quantum_hello_is_long():
    """What makes that case worth its name."""
    number = next(number for number, case in enumerate(CASES) if case.name == "tls13-post-quantum-offered")
    plain = next(number for number, case in enumerate(CASES) if case.name == "tls13")
    sent = [only(result_of(which).edges("client"))["sent"]["bytes"] for which in (number, plain)]
    assert sent[0] - sent[1] > 1000
