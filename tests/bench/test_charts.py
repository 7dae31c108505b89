"""What is drawn of a run, and that the drawings are harmless: an image runs nothing and asks nobody."""

from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.bench import plots
from tests.bench.charts import GAINS, LATENCIES, RATIOS, Chart, Kind, Series, charts
from tests.bench.figures import times
from tests.bench.goals import GOALS
from tests.bench.numbers import Spread
from tests.bench.processes import ROOT
from tests.bench.report import Measured
from tests.bench.test_command import RUN

CHARTS = [
    Chart(
        file="chart",
        title="Bars & lines",
        unit="ms",
        kind=kind,
        labels=["a", "b"],
        series=[
            Series(name="<measured>", values=[Spread.of([1.0, 2.0, 4.0]), Spread.of([3.0])]),
            Series(name="goal", values=[Spread.of([2.0]), Spread.of([2.0])]),
        ],
        is_logarithmic=kind is Kind.BARS,
    )
    for kind in Kind
]


def is_harmless(svg: bytes) -> bool:
    """Well-formed; without scripts, links, handlers, and anything that is fetched."""
    root = ElementTree.fromstring(svg)
    names = {one.tag.rpartition("}")[2] for one in root.iter()}
    attributes = {name.rpartition("}")[2] for one in root.iter() for name in one.attrib}
    text = svg.replace(b"http://www.w3.org/2000/svg", b"").lower()
    return (
        root.tag == f"{{{plots.SVG}}}svg"
        and not names & {"script", "a", "image", "use", "foreignObject", "iframe"}
        and not any(name == "href" or name.startswith("on") for name in attributes)
        and not any(word in text for word in (b"http:", b"https:", b"url(", b"@import", b"javascript", b"<?xml-st"))
    )


@pytest.mark.parametrize("chart", CHARTS, ids=lambda chart: chart.kind)
def test_a_drawing_is_small_harmless_and_always_the_same(chart: Chart) -> None:
    svg = plots.svg_of(chart)

    assert is_harmless(svg)
    assert svg == plots.svg_of(chart)
    assert len(svg) < 20_000
    assert b"prefers-color-scheme:dark" in svg
    assert b"&lt;measured&gt;" in svg


def test_the_drawings_of_the_readme_are_harmless() -> None:
    for path in sorted((ROOT / ".github" / "bench").glob("*.svg")):
        assert is_harmless(path.read_bytes()), path.name


def test_a_drawing_that_runs_or_fetches_something_is_found_out() -> None:
    for evil in ("<script/>", '<a href="x"/>', '<g onload="x"/>', "<style>@import 'x'</style>", '<g fill="url(x)"/>'):
        assert not is_harmless(f'<svg xmlns="{plots.SVG}">{evil}</svg>'.encode())
    assert is_harmless(f'<svg xmlns="{plots.SVG}"><g/></svg>'.encode())


def test_each_bar_has_a_goal() -> None:
    known = {(goal.benchmark, goal.figure) for goal in GOALS}
    assert {*RATIOS, *GAINS, *LATENCIES} <= known


def test_what_was_not_measured_is_not_drawn(tmp_path: Path) -> None:
    assert charts(RUN) == []
    short = {"of bare, 64 connections": times(Spread.of([0.4, 0.5, 0.6]))}
    one = Measured(asked_for={}, took_s=1.0, figures=short, found=None)
    [chart] = charts(replace(RUN, measured={"notifications": one}))

    assert chart.file == "throughput"
    assert [series.name for series in chart.series] == ["measured", "goal"]
    assert [[value.median for value in series.values] for series in chart.series] == [[0.5], [0.45]]


def test_a_drawing_of_a_quick_run_says_so() -> None:
    short = {"of openssl": times(0.8)}
    one = Measured(asked_for={}, took_s=1.0, figures=short, found=None)
    [long], [quick] = (charts(replace(RUN, quick=quick, measured={"opening": one})) for quick in (False, True))
    assert (long.unit, quick.unit) == ("yardstick = 1", "yardstick = 1; a quick run, rough")
