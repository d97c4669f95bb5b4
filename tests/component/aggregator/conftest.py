# SPDX-License-Identifier: Apache-2.0
"""npt-aggregator with certificates and an API server's reviews around it."""
import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(__file__))
from world import Aggregator, Reviews, openssl  # noqa: E402


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
