# SPDX-License-Identifier: Apache-2.0
"""An alert that was overtaken by a reset counts if the program reads it."""
import pytest

from support import ALERTS, measure, needs_root

pytestmark = needs_root
PORT = 18801


@pytest.mark.parametrize("scenario", ["overtaken", "unread"])
def test_alerts_that_a_reset_overtook(namespaces, scenario):
    truth, report = measure(namespaces.near, scenario, program=ALERTS)
    for role, ways in (("client", {"sent": truth["sent"], "received": {}}),
                       ("server", {"sent": {}, "received": truth["received"]})):
        edge, = [edge for edge in report["edges"] if edge["role"] == role and edge["peer"]["port"] == PORT]
        assert edge["tls"] == "yes"
        assert edge["handshakes"]["failed"] == truth["failed"]
        assert {way: edge["handshakes"].get("alerts", {}).get(way, {}) for way in ways} == ways
        assert edge["connections"]["open"] == 0
