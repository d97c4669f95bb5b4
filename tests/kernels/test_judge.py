# SPDX-License-Identifier: Apache-2.0
"""What is said of a guest is right: each way to be wrong fails, and nothing else does."""
import dataclasses
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import expectations  # noqa: E402
import fetch  # noqa: E402
import judge  # noqa: E402
import table  # noqa: E402
import verifier  # noqa: E402

TRUTH = {"client": {"opened": 2, "closed": 2, "sent": 9, "received": 5, "writes": 3, "reads": 3}}
KERNEL = expectations.Kernel("6.1", "amd64", (), {"Base": expectations.WORKS, expectations.ALL: "lacks x"},
                             frozenset({"drops"}), accuracy="Base")
REFUSED = {"what": "run", "compiler": "c", "layers": expectations.ALL, "exit": 4, "error": "lacks x"}


SEALED = {"older": {"client": {"writes": 7, "kernel": 1, "tls": "yes", "protocol": "unknown"}}}


def sealed(**values):
    """What was measured of SEALED."""
    return {"older": {"client": {"edges": 1, **SEALED["older"]["client"], **values}},
            "lines": [["kernel", "metadata"]]}


def good():
    """All that a guest says where everything is as expected."""
    edges = {"client": {**TRUTH["client"], "quality": {"connect": "exact"}}}
    works = {"layers": "Base", "exit": 0, "error": "", "truth": TRUTH, "edges": edges,
             "unavailable": {"drops": "too old", "tls": judge.OFF[1]}, "lost": {"events": 0},
             "instructions": {"p": 100}, "misses": {}}
    return [{"what": "kernel", "release": "6.1.0"}, {"what": "run", "compiler": "c", **works}, dict(REFUSED),
            {"what": "program", "name": "t", "exit": 0, "output": ""}, {"what": "busy", **works},
            {"what": "kernel_tls", "option": "", "exit": 0, "error": "", "unavailable": {},
             "truth": SEALED, "edges": sealed()},
            *({"what": "test", "name": name, "outcome": "passed", "detail": ""} for name in KERNEL.tests),
            {"what": "end", "done": True, "error": ""}]


@pytest.fixture(autouse=True)
def budget(tmp_path, monkeypatch):
    monkeypatch.setattr(verifier, "TABLE", tmp_path / "verifier.tsv")
    verifier.write({KERNEL.title: good()})


def failed(said):
    return [name for name, outcome, _ in judge.judge(KERNEL, said, ["c"], 1) if outcome == "failed"]


def changed(what, **values):
    said = good()
    next(item for item in said if item["what"] == what).update(values)
    return said


def test_nothing_fails_where_all_is_as_expected():
    assert failed(good()) == []


@pytest.mark.parametrize("said, name", [
    (changed("run", edges={"client": {**TRUTH["client"], "sent": 8}}), "Base (c)"),
    (changed("run", edges={}), "Base (c)"),
    (changed("run", exit=4, error="lacks y"), "Base (c)"),
    (changed("run", unavailable={}), "Base (c)"),
    (changed("run", instructions={"p": 126}), "instructions (c)"),
    (changed("run", instructions={"q": 1}), "instructions (c)"),
    (changed("busy", edges={"client": {**TRUTH["client"], "closed": 1}}), "busy processes, Base"),
    (changed("program", exit=1), "t"),
    (changed("kernel_tls", edges=sealed(tls="no")), "TLS by the kernel"),
    (changed("kernel_tls", edges=sealed(edges=2)), "TLS by the kernel"),
    (changed("kernel_tls", edges=sealed(kernel=2)), "TLS by the kernel"),
    (changed("kernel_tls", edges={**sealed(), "lines": []}), "TLS by the kernel"),
    (changed("kernel_tls", edges={"lines": [["kernel", "metadata"]]}), "TLS by the kernel"),
    (changed("kernel_tls", exit=-1, error="no such ULP"), "TLS by the kernel"),
    (changed("test", outcome="failed"), KERNEL.tests[0]),
    (changed("test", name="another"), KERNEL.tests[0]),
    (changed("end", done=False), "boots and ends"),
    ([item for item in good() if item != REFUSED], "every agent has run"),
    ([item for item in good() if item["what"] != "kernel_tls"], "TLS by the kernel is measured"),
    ([item for item in good() if item["what"] != "program"], "every program of tests/bpf has run"),
    ([item if item != REFUSED else {**REFUSED, "error": "lacks y"} for item in good()],
     f"{expectations.ALL} (c) is refused"),
    ([item if item != REFUSED else {**REFUSED, "error": "lacks x\nand y"} for item in good()],
     f"{expectations.ALL} (c) is refused"),
    ([item if item != REFUSED else {**REFUSED, "exit": 1} for item in good()],
     f"{expectations.ALL} (c) is refused"),
])
def test_each_way_to_be_wrong_fails(said, name):
    assert failed(said) == [name]


def test_without_messages_the_kernels_tls_is_counted_and_not_named():
    kernel = dataclasses.replace(KERNEL, lacks=frozenset({"protocol"}))
    said = changed("kernel_tls", edges={**sealed(kernel=0, tls="unknown"), "lines": []})
    assert list(judge.judge_kernel_tls(kernel, said)) == [("TLS by the kernel", "passed", "")]
    assert [outcome for _, outcome, _ in judge.judge_kernel_tls(kernel, good())] == ["failed"]


def test_a_kernel_that_may_crash_must_be_refused():
    kernel = dataclasses.replace(KERNEL, walk_crashes=True)
    refusal = {"what": "refusal", "exit": 4, "error": "npt-agent: this kernel may crash when ..."}
    for said, outcome in (([refusal], "passed"), ([{**refusal, "exit": 0}], "failed"),
                          ([{**refusal, "error": "lacks x"}], "failed"), ([], "failed")):
        assert [found for _, found, _ in judge.judge_refusal(kernel, said)] == [outcome]
    assert list(judge.judge_refusal(KERNEL, [])) == []


def test_a_quarter_more_instructions_are_allowed():
    assert failed(changed("run", instructions={"p": 125})) == []


def test_the_table_names_reasons_once():
    text = table.render({KERNEL: good()})
    assert "| TLS by the kernel | recognised |" in text
    assert "| `drops` | [2] |" in text and "1. lacks x\n2. too old\n" in text
    assert "tls" not in text


def test_what_cannot_be_had_again_is_used_on(tmp_path, monkeypatch):
    def nothing(_):
        raise fetch.Unavailable("no answer")

    folder = tmp_path / "kernel"
    with pytest.raises(fetch.Unavailable):
        fetch.cached(folder, "kernel", nothing)
    fetch.cached(folder, "kernel", lambda new: (new / "vmlinuz").touch())
    monkeypatch.setattr(fetch, "FRESH_SECONDS", 0)
    assert (fetch.cached(folder, "kernel", nothing) / "vmlinuz").exists()
