# SPDX-License-Identifier: Apache-2.0
"""The chart's two stores: what the aggregator is told, and what is refused."""
import os
import subprocess
import sys

import pytest

sys.path[:0] = [os.path.dirname(__file__), os.path.join(os.path.dirname(__file__), "../../support")]
from clickhouse import CACHE  # noqa: E402
from world import ROOT  # noqa: E402

HELM = os.path.join(CACHE, "bin", "helm")


def template(**values):
    if not os.path.exists(HELM):
        pytest.skip("no helm: tests/cluster/deps installs it")
    sets = [part for key, value in values.items() for part in ("--set", f"aggregator.{key}={value}")]
    return subprocess.run([HELM, "template", "npt", ROOT / "helm/npt", "-s", "templates/aggregator.yaml",
                           *sets], capture_output=True, text=True, timeout=60)


def test_the_file_is_the_store_of_one_replica():
    text = template().stdout
    assert "--store=/var/lib/npt/windows.db" in text and "type: Recreate" in text
    assert "name: store, mountPath: /var/lib/npt" in text and "replicas: 1" in text


def test_a_server_is_the_store_of_several_and_its_password_a_file():
    text = template(**{"clickhouse.url": "https://npt@ch:8443/npt", "clickhouse.passwordSecret": "pw",
                       "clickhouse.caSecret": "ca", "replicas": 2}).stdout
    for line in ("replicas: 2", "- --store=https://npt@ch:8443/npt", "secretName: pw", "secretName: ca",
                 "- --store-password-file=/etc/npt/store-password/password",
                 "- --store-ca=/etc/npt/store-ca/ca.crt"):
        assert line in text, line
    assert "windows.db" not in text and "Recreate" not in text and "emptyDir" not in text


@pytest.mark.parametrize("values", [
    {"replicas": 2},
    {"clickhouse.url": "https://npt:secret@ch:8443/npt"},
    {"clickhouse.url": "https://npt@ch:8443/"},
    {"clickhouse.url": "tcp://npt@ch:9000/npt"},
    {"clickhouse.url": "https://npt@ch:8443/npt", "clickhouse.password": "secret"},
])
def test_what_would_lose_windows_or_tell_a_password_is_refused(values):
    done = template(**values)
    assert done.returncode != 0 and "don't meet the specifications" in done.stderr, done.stderr
