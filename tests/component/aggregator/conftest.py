# SPDX-License-Identifier: Apache-2.0
"""The real npt-aggregator, and a real clickhouse-server, for all tests of the folder."""
import itertools
import os
import sys

import pytest

sys.path[:0] = [os.path.dirname(__file__), os.path.join(os.path.dirname(__file__), "../../support")]
import clickhouse as clickhouse_server  # noqa: E402
from world import Aggregator, Reviews, openssl  # noqa: E402

NUMBERS = itertools.count(1)


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pki")
    new_key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    openssl("req", "-x509", *new_key, "-subj", "/CN=ca", "-days", "2", "-keyout", folder / "ca.key",
            "-out", folder / "ca.crt")
    openssl("req", *new_key, "-subj", "/CN=npt-aggregator", "-keyout", folder / "tls.key", "-out",
            folder / "tls.csr")
    (folder / "ext").write_text("subjectAltName=IP:127.0.0.1\n")
    openssl("x509", "-req", "-in", folder / "tls.csr", "-CA", folder / "ca.crt", "-CAkey",
            folder / "ca.key", "-CAcreateserial", "-days", "2", "-extfile", folder / "ext", "-out",
            folder / "tls.crt")
    return folder / "tls.crt", folder / "tls.key", folder / "ca.crt"


@pytest.fixture
def reviews(certificate):
    made = Reviews(*certificate)
    made.people = {"all": ("admin", None), "shop-only": ("sarah", ["shop"]), "none": ("nick", [])}
    yield made
    made.stop()


@pytest.fixture
def aggregator_idle(tmp_path, reviews, certificate):
    """Not started yet."""
    made = Aggregator(tmp_path, reviews, *certificate)
    yield made
    if made.child:
        made.stop()


@pytest.fixture
def aggregator(aggregator_idle):
    return aggregator_idle.start()


@pytest.fixture(scope="session")
def clickhouse_once(tmp_path_factory):
    if not clickhouse_server.is_installed():
        pytest.skip("no clickhouse-server: tests/peers/deps_clickhouse installs it")
    made = clickhouse_server.Server(tmp_path_factory.mktemp("clickhouse")).start()
    yield made
    made.stop()


@pytest.fixture
def clickhouse(clickhouse_once):
    """The server, as it should be, with the name of a database that is not there yet."""
    clickhouse_once.database = f"npt_{next(NUMBERS)}"
    yield clickhouse_once
    if clickhouse_once.child:
        clickhouse_once.resume()
        clickhouse_once.sql(f"DROP DATABASE IF EXISTS {clickhouse_once.database}")
    else:
        clickhouse_once.start()
