# SPDX-License-Identifier: Apache-2.0
"""The tests with real peers measure as those of accuracy do, with the layers that name protocols."""
import os
import pathlib
import sys

import pytest

os.environ.setdefault("NPT_LAYERS", "Base,Operations,Protocol")
HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "accuracy")]
pytest.register_assert_rewrite("support", "servers")

COUNTS = {"edges": 0, "named": 0, "wrong": 0}


@pytest.fixture(scope="session")
def label_counts():
    """How many edges were looked at, how many had a label, how many another's."""
    return COUNTS


def pytest_terminal_summary(terminalreporter):
    if COUNTS["edges"]:
        terminalreporter.write_line("peers: {edges} edges, {named} with a protocol's name, "
                                    "{wrong} with another's".format(**COUNTS))
