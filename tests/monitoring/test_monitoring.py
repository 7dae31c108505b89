"""The alerts, the dashboard and the runbook say of the metrics what is so."""

import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.monitoring.cases import CASES, rule_tests
from tests.monitoring.conftest import Scraped
from tests.monitoring.promql import metrics_of

FOLDER = Path(__file__).parents[2] / "deploy" / "monitoring"
ALERTS = FOLDER / "alerts.yml"
DASHBOARD = json.loads((FOLDER / "dashboard.json").read_text(encoding="utf-8"))
RULES: list[Mapping[str, Any]] = [
    rule for group in yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"] for rule in group["rules"]
]
OF_PROMETHEUS = {"up"}


def promtool(*arguments: str | Path, text: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["promtool", *map(str, arguments)], input=text, capture_output=True, text=True, check=False)


def panels() -> Iterator[Mapping[str, Any]]:
    return (panel for panel in DASHBOARD["panels"] if panel["type"] != "row")


def asked_by_dashboard() -> set[str]:
    expressions = [target["expr"] for panel in panels() for target in panel["targets"]]
    expressions += [one["expr"] for one in DASHBOARD["annotations"]["list"] if "expr" in one]
    variables = [one["definition"] for one in DASHBOARD["templating"]["list"] if one["type"] == "query"]
    expressions += [re.fullmatch(r"label_values\((.*), \w+\)", one)[1] for one in variables]  # type: ignore[index]
    return set().union(*map(metrics_of, expressions))


@pytest.mark.parametrize(
    ("expression", "names"),
    [
        ("up == 0", {"up"}),
        ('sum by (le, job) (rate(a_bucket{le="3.0", b=~"c|d"}[5m])) / on (job) group_left (e) f', {"a_bucket", "f"}),
        ("(a > 900 unless on (instance) b > 0) or c > 1e9", {"a", "b", "c"}),
        ("predict_linear(a[6h], 3 * 86400) < 0 and rate(b[$__rate_interval] offset 5m) > bool 1", {"a", "b"}),
        ('label_replace(a, "b", "$1", "c", "(d{1})") or vector(0)', {"a"}),
        ("histogram_quantile(0.9, sum without (x) (job:a:rate5m))", {"job:a:rate5m"}),
    ],
)
def test_the_names_in_an_expression_are_found(expression: str, names: set[str]) -> None:
    assert metrics_of(expression) == names


def test_every_metric_of_the_alerts_and_the_dashboard_is_exposed(scraped: Scraped) -> None:
    exposed = {sample.name for family in text_string_to_metric_families(scraped.text) for sample in family.samples}
    asked = asked_by_dashboard().union(*(metrics_of(rule["expr"]) for rule in RULES))
    assert asked - exposed - OF_PROMETHEUS == set()
    named = {f"selma_gateway_{name}" for name in re.findall(r"see (?:selma_gateway_)?(\w+_\w+)", scraped.text)}
    assert named - exposed == set()


def test_every_metric_is_on_the_dashboard(scraped: Scraped) -> None:
    families = [one for one in text_string_to_metric_families(scraped.text) if one.name.startswith("selma_gateway_")]
    asked = asked_by_dashboard()
    forgotten = {one.name for one in families if not asked & {sample.name for sample in one.samples}}
    assert forgotten == set()


def test_every_metric_has_a_help_that_says_something(scraped: Scraped) -> None:
    for family in text_string_to_metric_families(scraped.text):
        assert len(family.documentation.split()) >= 4, family.name
        assert family.documentation.endswith("."), family.name
        assert family.type != "unknown", family.name


def test_promtool_finds_no_fault_with_a_scrape(scraped: Scraped) -> None:
    """But that days are no base unit: it is by days that people count until a secret ends."""
    checked = promtool("check", "metrics", text=scraped.text)
    complaints = (checked.stdout + checked.stderr).splitlines()
    assert complaints == ['selma_gateway_credential_days_left use base unit "seconds" instead of "days"']


def test_promtool_finds_no_fault_with_the_rules_nor_with_the_example() -> None:
    rules = promtool("check", "rules", "--lint-fatal", ALERTS)
    example = promtool("check", "config", "--syntax-only", FOLDER / "prometheus.yml")  # its key is not here
    for checked in (rules, example):
        assert checked.returncode == 0, checked.stdout + checked.stderr


def test_each_alert_fires_when_it_is_to_and_rests_when_it_is_not(tmp_path: Path) -> None:
    assert {rule["alert"] for rule in RULES} == set(CASES)
    file = tmp_path / "tests.yml"
    file.write_text(json.dumps(rule_tests(str(ALERTS), RULES)), encoding="utf-8")  # JSON is YAML
    tested = promtool("test", "rules", file)
    assert tested.returncode == 0, tested.stdout + tested.stderr


def test_each_alert_says_how_bad_it_is_what_is_and_what_to_do_and_the_runbook_says_more() -> None:
    runbook = (FOLDER / "runbook.md").read_text(encoding="utf-8")
    sections = re.split(r"^### (\w+)$", runbook, flags=re.MULTILINE)[1:]
    said = dict(zip(sections[::2], sections[1::2], strict=True))
    assert list(said) == [rule["alert"] for rule in RULES]
    for rule in RULES:
        name, notes = rule["alert"], rule["annotations"]
        assert rule["labels"]["severity"] in ("critical", "warning"), name
        assert set(notes) == {"summary", "action", "runbook_url"}, name
        assert notes["summary"].endswith("."), name
        assert notes["action"].endswith("."), name
        assert notes["runbook_url"] == f"runbook.md#{name.lower()}"
        for part in ("**What it means.**", "**How to look.**", "**What to do.**"):
            assert part in said[name], (name, part)


def test_what_the_runbook_names_is_there(scraped: Scraped) -> None:
    runbook = (FOLDER / "runbook.md").read_text(encoding="utf-8")
    exposed = {sample.name for family in text_string_to_metric_families(scraped.text) for sample in family.samples}
    named = set(re.findall(r"`(selma_gateway_\w+)", runbook))
    assert named
    assert {name for name in named if not any(one.startswith(name) for one in exposed)} == set()


def test_the_dashboard_is_one_that_grafana_can_load() -> None:
    """As far as can be told without one: what its documentation says of the model.

    https://grafana.com/docs/grafana/latest/dashboards/build-dashboards/view-dashboard-json-model/
    """
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)
    assert DASHBOARD["id"] is None
    assert {"uid", "title", "schemaVersion", "templating", "time", "refresh"} <= set(DASHBOARD)
    rows = [panel["title"] for panel in DASHBOARD["panels"] if panel["type"] == "row"]
    assert rows == ["Is mail flowing?", "Microsoft Graph", "Watching", "Store", "Host", "Credentials"]
    variables = {one["name"] for one in DASHBOARD["templating"]["list"]}
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24, panel["title"]
        cells = {(place["x"] + right, place["y"] + down) for right in range(place["w"]) for down in range(place["h"])}
        assert not cells & taken, panel["title"]
        taken |= cells
    for panel in panels():
        assert panel["type"] in ("timeseries", "stat"), panel["title"]
        assert panel["description"].endswith("."), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}, panel["title"]
        refs = [target["refId"] for target in panel["targets"]]
        assert len(set(refs)) == len(refs), panel["title"]
        for target in panel["targets"]:
            asked = set(re.findall(r"\$(\w+)", target["expr"]))
            assert asked <= variables | {"__rate_interval"}, panel["title"]


def test_promtool_understands_every_question_of_the_dashboard(tmp_path: Path) -> None:
    """As recording rules, since that is what it checks."""
    rules = [
        {"record": f"panel_{panel['id']}:{target['refId']}", "expr": target["expr"].replace("$__rate_interval", "5m")}
        for panel in panels()
        for target in panel["targets"]
    ]
    file = tmp_path / "panels.yml"
    file.write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}), encoding="utf-8")
    checked = promtool("check", "rules", "--lint=none", file)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert f"{len(rules)} rules" in checked.stdout
