# SPDX-License-Identifier: Apache-2.0
"""Each test has its own namespaces and leaves no process behind."""
import pathlib

import pytest

pytest.register_assert_rewrite("support")  # so that a failure there says what was different

from support import PROGRAMS, Namespaces


@pytest.fixture
def namespaces():
    with Namespaces() as made:
        yield made


def traffic_processes():
    ours = {path.encode() for path in PROGRAMS}
    found = set()
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if ours & set((process / "cmdline").read_bytes().split(b"\0")):
                found.add(process.name)
        except OSError:
            continue
    return found


@pytest.fixture(autouse=True)
def no_process_stays():
    before = traffic_processes()
    yield
    assert traffic_processes() <= before
