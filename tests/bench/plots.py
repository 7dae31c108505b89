"""The charts as SVG, by pygal: small, without scripts and links, the same for the same figures, for light and dark.

pygal is in the extra `bench` and not needed for anything else, so it is looked for only when something is drawn.
"""

import importlib
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree

from tests.bench.charts import Chart, Kind, charts
from tests.bench.numbers import Spread
from tests.bench.report import Report

WIDTH: Final = 860
PER_ROW: Final = 54
AROUND: Final = 180  # title, axis and legend
LINES_HEIGHT: Final = 380
SVG: Final = "http://www.w3.org/2000/svg"
COLOURS: Final = ("#2f7ed8", "#d98c1f", "#3f9c5a", "#b8499b", "#7a6bd1", "#c0504d", "#2aa1a1", "#808a26")
BARS: Final = ("#768390", "#2f7ed8")  # the goal, what was measured
DROPPED: Final = frozenset({"script", "desc"})
SCHEMES: Final = """
.background,.plot>.background{fill:#ffffff!important}
text,.title,.legend text,.axis text,.text-overlay text{fill:#1f2328!important}
.axis .line,.axis .guides{stroke:#c4cad1!important}
@media (prefers-color-scheme:dark){
.background,.plot>.background{fill:#0d1117!important}
text,.title,.legend text,.axis text,.text-overlay text{fill:#e6edf3!important}
.axis .line,.axis .guides{stroke:#3d444d!important}
}
"""


def draw(report: Report, folder: Path) -> None:
    """All charts of the run that has figures for them; those that were there before are written over."""
    folder.mkdir(parents=True, exist_ok=True)
    for chart in charts(report):
        (folder / f"{chart.file}.svg").write_bytes(svg_of(chart))


def svg_of(chart: Chart) -> bytes:
    """One chart. Needs pygal."""
    graph = _graph(chart)
    order = -1 if chart.kind is Kind.BARS else 1  # bars are put one above the other, the first lowest
    graph.x_labels = list(chart.labels)[::order]
    for series in list(chart.series)[::order]:
        graph.add(series.name, [_value(one) for one in series.values][::order])
    root: ElementTree.Element = ElementTree.fromstring(graph.render())
    _clean(root)
    ElementTree.register_namespace("", SVG)
    return ElementTree.tostring(root, encoding="utf-8", xml_declaration=True) + b"\n"


def _graph(chart: Chart) -> Any:
    pygal = _pygal()
    kinds: dict[Kind, Callable[..., Any]] = {Kind.BARS: pygal.HorizontalBar, Kind.LINES: pygal.Line}
    is_bars = chart.kind is Kind.BARS
    return kinds[chart.kind](
        title=f"{chart.title}\n{chart.unit}",
        width=WIDTH,
        height=AROUND + PER_ROW * len(chart.labels) if is_bars else LINES_HEIGHT,
        style=pygal.style.Style(
            background="transparent",
            plot_background="transparent",
            font_family="system-ui,sans-serif",
            colors=COLOURS if chart.kind is Kind.LINES else BARS,
            opacity="1",
            transition="none",
            title_font_size=17,
            label_font_size=13,
            major_label_font_size=13,
            legend_font_size=13,
            value_font_size=12,
            ci_colors=("#a3adb8",) * len(COLOURS),
        ),
        css=["file://style.css", "file://graph.css", f"inline:{SCHEMES}"],
        no_prefix=True,
        js=(),
        print_values=is_bars,
        logarithmic=chart.is_logarithmic,
        legend_at_bottom=True,
        value_formatter=lambda value: f"{value:,.0f}" if value >= 100 else f"{value:.3g}",
        range=between(chart),
        zero=between(chart)[0],
        margin=30,
        truncate_label=-1,
        stroke_style={"width": 2.5},
    )


def _pygal() -> Any:
    """pygal without the finder of modules that it leaves behind: Python warns of it at every import that fails."""
    pygal = importlib.import_module("pygal")
    # Its own alone: a library that it brings puts one there by which all others find what is installed.
    sys.meta_path[:] = [one for one in sys.meta_path if not type(one).__module__.startswith("pygal")]
    return pygal


def between(chart: Chart) -> tuple[float, float]:
    """What the axis reaches from and to."""
    values = [value for series in chart.series for value in series.values]
    lowest = min(value.low for value in values) / 2 if chart.is_logarithmic else 0.0
    return lowest, max(value.high for value in values) * 1.1


def _value(spread: Spread) -> Any:
    if spread.low == spread.high:
        return spread.median
    return {"value": spread.median, "ci": {"low": spread.low, "high": spread.high}}


def _clean(element: ElementTree.Element) -> None:
    """Take away what an image neither runs nor shows: scripts, and what they would show to a pointer."""
    for child in list(element):
        if child.tag.rpartition("}")[2] in DROPPED or "tooltip" in _classes(child):
            element.remove(child)
        else:
            _clean(child)


def _classes(element: ElementTree.Element) -> Iterable[str]:
    return element.get("class", "").split()
