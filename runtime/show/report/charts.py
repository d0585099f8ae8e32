"""Charts as SVG, through Vega-Lite. Colours are Okabe and Ito's palette for colour-blind readers;
text and grid use the colours of the page, so that they follow dark mode."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from runtime.errors import UsageError
from runtime.show.report.questions import Question
from runtime.text.values import visible

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")  # the last one is the most visible in a stack
# A phone scales a chart to its 360 px: in wider ones the text would be too small to read.
WIDTH, HEIGHT, ROW = 340, 220, 24
# A browser may use wider letters than those measured here, so labels get extra room.
LONGEST_NAME = 20  # characters
NAMES = {
    "minExtent": 180,
    "labelLimit": 150,
    "labelExpr": f"length(datum.label) > {LONGEST_NAME} ? "
    f"slice(datum.label, 0, {LONGEST_NAME - 1}) + '…' : datum.label",
}
NUMBERS = {"minExtent": 60, "titlePadding": 8}
TICKS = 6
PAPER = "#fdfdfd"  # replaced by the page's colour; separates the parts of a stack
# The page sets colours; a background of the chart would not follow dark mode.
CONFIG = {
    "background": None,
    "view": {"stroke": None},
    "font": "system-ui, sans-serif",
    "axis": {"labelFontSize": 13, "titleFontSize": 13, "labelLimit": 220, "gridOpacity": 0.3},
    "legend": {"labelFontSize": 13, "titleFontSize": 13, "columns": 2, "columnPadding": 30, "orient": "top"},
}


def drawn(question: Question, rows: Iterable[Mapping[str, Any]]) -> str:
    """The answer to a question as an SVG element."""
    rows = list(rows)
    x, y = _axis(question.x, question.x_title), _axis(question.y, question.y_title)
    if question.kind == "line":
        axis = {"format": question.labels, "labelOverlap": True, "labelSeparation": 24}
        x |= {"type": "temporal", "scale": {"type": "utc"}, "axis": axis}
    elif question.kind == "ranked":
        y |= {"type": "nominal", "sort": None, "title": None, "axis": NAMES}
        x |= _quantity(rows, question.x, {"tickCount": 3, "labelSeparation": 12})
    else:
        axis = {"labelAngle": 0, "labelExpr": question.labels}
        x |= {"type": "ordinal", "sort": list(question.order) or None, "axis": axis}
    if question.kind != "ranked":
        y |= _quantity(rows, question.y, NUMBERS)
    encoding: dict[str, Any] = {"x": x, "y": y}
    if question.colour:
        encoding |= _lines(question.colour, sorted({row[question.colour] for row in rows}))
    caption = _said(question.title, rows, *_number_and_name(question))
    return _svg(
        _mark(question.kind),
        encoding,
        rows,
        caption,
        height={"step": ROW} if question.kind == "ranked" else HEIGHT,
    )


def bars_over_batches(
    title: str, rows: Iterable[Mapping[str, Any]], unit: str, colour: str | None = None
) -> str:
    """Bars of column `n` by `batch`, stacked by column `colour`, ordered and coloured by `rank`."""
    rows = list(rows)
    encoding: dict[str, Any] = {
        "x": _axis("batch", "batch") | {"type": "ordinal", "axis": {"labelAngle": 0, "labelOverlap": True}},
        "y": _axis("n", unit) | _quantity(rows, "n", NUMBERS),
    }
    if colour:
        ranks = sorted({(row["rank"], row[colour]) for row in rows})
        encoding["color"] = _axis(colour, colour) | _scale(ranks)
        encoding["order"] = {"field": "rank"}
    return _svg(_mark("stack" if colour else "bar"), encoding, rows, _said(title, rows, "n", "batch"))


def _mark(kind: str) -> dict[str, Any]:
    if kind == "line":
        return {"type": "line", "strokeWidth": 2.5, "strokeJoin": "round", "point": True}
    return {"type": "bar", "color": COLOURS[0]} | ({"stroke": PAPER} if kind == "stack" else {})


def _axis(field: str, title: str) -> dict[str, Any]:
    return {"field": field, "title": title}


def _lines(field: str, names: Sequence[str]) -> dict[str, Any]:
    """A line per name, each with its own colour and dashes, in one legend."""
    legend = {"symbolType": "stroke", "symbolSize": 500}
    dashes = {"type": "nominal", "scale": {"domain": list(names)}, "sort": None}
    return {
        "color": _axis(field, field) | _scale(list(enumerate(names))) | {"legend": legend},
        "strokeDash": _axis(field, field) | dashes | {"legend": legend},
    }


def _quantity(rows: Iterable[Mapping[str, Any]], field: str, axis: Mapping[str, Any]) -> dict[str, Any]:
    """Whole numbers get an axis without fractions."""
    values = [row[field] for row in rows]
    if all(isinstance(value, int) for value in values):
        ticks = min(axis.get("tickCount", TICKS), max(values))
        axis = {**axis, "format": ",d", "tickCount": max(1, ticks)}
    return {"type": "quantitative", "axis": axis}


def _number_and_name(question: Question) -> tuple[str, str]:
    return (question.x, question.y) if question.kind == "ranked" else (question.y, question.x)


def _said(title: str, rows: Sequence[Mapping[str, Any]], number: str, name: str) -> str:
    """The chart as a sentence, for screen readers."""
    most = max(rows, key=lambda row: row[number])
    amount = f"{most[number]:,}" if isinstance(most[number], int) else f"{most[number]:.1f}"
    return f"{title}: at most {amount}, at {name} {visible(str(most[name]))}."


def _scale(ranks: Sequence[tuple[int, str]]) -> dict[str, Any]:
    domain, colours = [name for _, name in ranks], [COLOURS[rank % len(COLOURS)] for rank, _ in ranks]
    return {"type": "nominal", "scale": {"domain": domain, "range": colours}, "sort": None}


def _svg(
    mark: Mapping[str, Any],
    encoding: Mapping[str, Any],
    rows: Iterable[Mapping[str, Any]],
    caption: str,
    height: int | Mapping[str, int] = HEIGHT,
) -> str:
    try:
        import vl_convert
    except ImportError:
        raise UsageError(
            "report: drawing needs the packages of the extra `report`, which are not installed: "
            "pip install 'sparkify-lakehouse[report]'"
        ) from None
    spec = {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "width": WIDTH,
        "height": height,
        "padding": {"left": 5, "top": 5, "bottom": 5, "right": 20},
        "autosize": {"type": "fit-x", "contains": "padding"},
        "data": {"values": [{name: _plain(value) for name, value in row.items()} for row in rows]},
        "mark": mark,
        "encoding": encoding,
        "config": CONFIG,
    }
    return _of_the_page(str(vl_convert.vegalite_to_svg(spec)), caption)


def _plain(value: Any) -> Any:
    """Numbers unchanged; other values as text with control characters escaped."""
    return value if isinstance(value, int | float) else visible(str(value))


def _of_the_page(svg: str, caption: str) -> str:
    """Make the SVG scalable, labelled for screen readers, and coloured by the page."""
    size = re.search(r'width="([\d.]+)" height="([\d.]+)"', svg)
    assert size is not None
    svg = svg.replace(size[0], f'style="max-width:{size[1]}px"', 1).replace(
        "<svg ", f'<svg role="img" aria-label="{escape(caption)}" ', 1
    )
    svg = svg.replace(f'stroke="{PAPER}"', 'stroke="var(--paper)"')
    svg = re.sub(r'fill="(?:black|#000|#000000|#333)"', 'fill="currentColor"', svg)
    return re.sub(r'stroke="(?:#888|#ddd|#000|black)"', 'stroke="currentColor"', svg)
