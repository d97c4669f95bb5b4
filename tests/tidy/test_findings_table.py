# SPDX-License-Identifier: Apache-2.0
"""docs/findings.md has the thresholds that the code has."""
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]


def test_the_table_and_the_code_say_the_same():
    code = dict(re.findall(r"#define NPT_FINDING_(\w+)\s+(\d+)", (ROOT / "lib/model/finding.h").read_text()))
    text = (ROOT / "docs/findings.md").read_text()
    table = dict(re.findall(r"^\| ([A-Z_]+) \| (\d+) \|", text, re.M))
    assert code and code == table
    rules = text.split("## Thresholds")[0]
    assert [name for name in code if not re.search(rf"\b{name}\b", rules)] == []
