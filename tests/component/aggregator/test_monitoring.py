# SPDX-License-Identifier: Apache-2.0
"""The chart's rules, dashboard and options of exports: each word of them means something."""
import json
import os
import pathlib
import re
import subprocess
import sys

import pytest

sys.path.insert(0, os.path.dirname(__file__))
from oap import CACHE  # noqa: E402
from world import PROGRAM, ROOT  # noqa: E402

FILES = ROOT / "helm/npt/files"
ALL = ["aggregator.metrics.serviceMonitor.enabled=true", "aggregator.metrics.serviceMonitor.tokenSecret=t",
       "aggregator.metrics.rules.enabled=true", "aggregator.metrics.dashboard.enabled=true",
       "aggregator.metrics.everybody=true", "aggregator.otlp.endpoint=https://collector:4318",
       "aggregator.otlp.secret=o", "aggregator.skywalking.endpoint=oap:11800",
       "aggregator.skywalking.tls=true", "aggregator.skywalking.secret=s"]


def rendered(*values):
    """Documents of the chart as text, by kind and name."""
    done = subprocess.run([CACHE / "bin/helm", "template", "npt", ROOT / "helm/npt", "-n", "npt-system",
                           *(part for value in values for part in ("--set", value))],
                          capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    found = {}
    for text in done.stdout.split("\n---\n"):
        kind, name = re.search(r"^kind: (\S+)", text, re.M), re.search(r"^  name: (\S+)", text, re.M)
        if kind and name:
            found[kind[1], name[1]] = text
    return found


def arguments_of(deployment):
    return re.findall(r"^        - (--\S+)$", deployment, re.M)


def known_metrics():
    source = (ROOT / "aggregator/exports/metrics.c").read_text()
    names = set()
    for kind, name in re.findall(r'\.kind = NPT_EXPORT_(\w+),\s+\.name = "(\w+)"', source):
        names |= {name + end for end in ("_bucket", "_sum", "_count")} if kind == "TIMES" else {name}
    for path in (ROOT / "aggregator").rglob("*.c"):
        names |= set(re.findall(r'"(npt_(?:exporter|ingest|store|finding)\w*)"', path.read_text()))
    return names


def expressions():
    """Of the dashboard, with its variables filled in, and of the rules."""
    dashboard = json.loads((FILES / "dashboard.json").read_text())
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            text = target["expr"].replace("$__rate_interval", "1m")
            yield panel["title"], re.sub(r"\$\w+", ".*", text)
    for variable in dashboard["templating"]["list"][1:]:
        query = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["query"]["query"])
        yield variable["name"], re.sub(r"\$\w+", ".*", query[1])


def test_promtool_takes_every_expression_and_every_metric_in_it_is_one_of_ours(tmp_path):
    groups = [{"record": f"test:{i}", "expr": text} for i, (_, text) in enumerate(expressions())]
    assert len(groups) > 20
    rules = tmp_path / "rules.yml"
    rules.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": groups}]}))
    done = subprocess.run(["promtool", "check", "rules", rules, FILES / "rules.yaml"], capture_output=True,
                          text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    words = " ".join(text for _, text in expressions()) + (FILES / "rules.yaml").read_text()
    used = set(re.findall(r"(?<![:\w-])npt_\w+", words))
    assert len(used) > 15 and used <= known_metrics(), used - known_metrics()


def test_a_dashboard_is_what_grafana_can_read():
    dashboard = json.loads((FILES / "dashboard.json").read_text())
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    cells = set()
    for panel in panels:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24 and panel["title"] and panel["type"] in (
            "timeseries", "table", "heatmap")
        mine = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & mine, f"{panel['title']} lies on another"
        cells |= mine
        for target in panel["targets"]:
            assert set(re.findall(r"\$(\w+)", target["expr"])) <= {
                variable["name"] for variable in dashboard["templating"]["list"]} | {"__rate_interval"}


def test_the_charts_options_are_the_programs(tmp_path):
    found = rendered(*ALL)
    arguments = arguments_of(found["Deployment", "npt-aggregator"])
    assert "--metrics=:8443" in arguments and "--metrics-everybody" in arguments
    assert "--otlp-ca=/etc/npt/otlp/ca.crt" in arguments
    assert "--skywalking-ca=/etc/npt/skywalking/ca.crt" in arguments
    done = subprocess.run([PROGRAM, *arguments, "--help"], capture_output=True, text=True, timeout=20,
                          check=False)
    assert done.returncode == 0, done.stderr
    for option in {argument.split("=")[0] for argument in arguments}:
        assert option in done.stdout, f"{option} is not in --help"
    rule = found["PrometheusRule", "npt"].split("\nspec:", 1)[1]
    text = tmp_path / "rules.yml"
    text.write_text("\n".join(line[2:] for line in rule.splitlines()))
    checked = subprocess.run(["promtool", "check", "rules", text], capture_output=True, text=True,
                             timeout=60, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    shown = found["ConfigMap", "npt-dashboard"].split("npt.json: ", 1)[1].strip()
    assert json.loads(json.loads(shown)) == json.loads((FILES / "dashboard.json").read_text())


def test_nothing_is_pushed_or_shown_to_everybody_unless_somebody_says_so():
    found = rendered()
    arguments = arguments_of(found["Deployment", "npt-aggregator"])
    assert "--metrics=:8443" in arguments
    assert not [each for each in arguments if re.match("--(otlp|skywalking|metrics-everybody)", each)]
    assert ("ServiceMonitor", "npt-aggregator") not in found and ("PrometheusRule", "npt") not in found
    off = rendered("aggregator.metrics.enabled=false")["Deployment", "npt-aggregator"]
    assert "--metrics" not in off and "8443" not in off


@pytest.mark.parametrize("value", ["aggregator.otlp.endpoint=collector:4318",
                                   "aggregator.skywalking.endpoint=http://oap:11800",
                                   "aggregator.metrics.maxSeries=0", "aggregator.metrics.unknown=1"])
def test_a_wrong_value_is_refused_by_the_charts_schema(value):
    with pytest.raises(AssertionError, match="schema|Additional property"):
        rendered(value)


def test_every_metric_is_in_the_docs():
    text = (pathlib.Path(ROOT) / "docs/exports.md").read_text()
    source = (ROOT / "aggregator/exports/metrics.c").read_text()
    for name in re.findall(r'\.(?:name|otlp) = "([\w.]+)"', source):
        assert f"`{name}`" in text, f"{name} is not in docs/exports.md"
