# SPDX-License-Identifier: Apache-2.0
"""A bar is met or missed by what it is, and what noise may have done is said."""
import json
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import bars  # noqa: E402
import report  # noqa: E402
import variants  # noqa: E402

COST = bars.Bar("cost", 100, "ns")
RATE = bars.Bar("rate", 0.95, "x", bars.AT_LEAST)
EXACT = bars.Bar("exact", 0, "instructions", resolution=3)


@pytest.mark.parametrize("bar, value, noise, met, words", [
    (COST, 60, 0, True, "met"),
    (COST, 60, 50, True, "met (within noise, 50)"),
    (COST, 130, 0, False, "missed by 30"),
    (COST, 130, 31, False, "missed by 30 (within noise, 31)"),
    (RATE, 0.97, 0, True, "met"),
    (RATE, 0.9, 0, False, "missed by 0.050"),
    (EXACT, 2.9, 0, True, "met"),
    (EXACT, -7, 0, True, "met"),
    (EXACT, 4, 0, False, "missed by 4"),
])
def test_verdict(bar, value, noise, met, words):
    assert report.verdict(bar, value, noise) == (met, words)


def test_a_number_is_a_line_of_json_and_a_row(tmp_path, capsys):
    said = report.Report(tmp_path / "results.jsonl")
    said.part("operations", "ns")
    said.add("target", "Operations", [90, 120, 130], "ns", "operation.Operations")
    said.close()
    line = json.loads((tmp_path / "results.jsonl").read_text().splitlines()[1])
    assert (line["value"], line["spread"], line["met"], line["missedBy"]) == (120, 10, False, 20)
    assert line["rounds"] == [90, 120, 130]
    assert "bar <= 100: missed by 20" in capsys.readouterr().out


def test_what_nothing_differs_from_itself_is_noise(tmp_path, capsys):
    seen = {"nothing": [{"target": 1000}] * 3, "nothing again": [{"target": 1150}] * 3,
            "Operations": [{"target": 1110}] * 3}
    said = report.Report(tmp_path / "results.jsonl")
    said.part("operations", "ns")
    variants.say(said, seen, variants.differences, "ns", lambda what, name: "operation.Operations")
    assert "missed by 10 (within noise, 150)" in capsys.readouterr().out


def test_an_agent_that_saw_nothing_is_not_timed():
    edge = {"connections": {"opened": 1, "found": 0}, "write": {"count": 0}}
    with pytest.raises(variants.Wrong):
        variants.has_measured(variants.OPERATIONS, {"edges": [edge], "cost": {"degraded": []}})
    with pytest.raises(variants.Wrong):
        variants.has_measured(variants.BASE, {"edges": [edge], "cost": {"degraded": ["operations"]}})
    variants.has_measured(variants.BASE, {"edges": [edge], "cost": {"degraded": []}})


def test_an_agent_that_saw_no_call_of_tls_is_not_timed():
    edge = {"connections": {"opened": 1, "found": 0}, "write": {"count": 1}}
    report_of = {"edges": [edge], "cost": {"degraded": []}}
    with pytest.raises(variants.Wrong):
        variants.has_measured(variants.TLS, report_of)
    variants.has_measured(variants.PROTOCOL, report_of)
    edge["tlsCalls"] = {"write": {"count": 1, "bytes": 64}, "read": {"count": 0, "bytes": 0}}
    variants.has_measured(variants.TLS, report_of)
