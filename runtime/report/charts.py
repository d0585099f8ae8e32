"""Charts as SVG, through Vega-Lite. Colours are Okabe and Ito's, which colour-blind readers tell apart;
texts and grid take the page's own colours, so that a dark page has light ones."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from runtime.errors import UsageError
from runtime.report.questions import Question
from runtime.values import visible

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")  # the last stands out in a stack
# A phone shows a chart scaled to its 360 px: wider ones would have letters too small to read there.
WIDTH, NARROW, HEIGHT, ROW = 460, 340, 220, 24
# A browser may write wider letters than those measured here: names get more room than they seem to need.
NAMES = {"minExtent": 190, "labelLimit": 160}
# The page sets fonts and colours by class; a chart that brings its own could not follow dark mode.
CONFIG = {
    "background": None,
    "view": {"stroke": None},
    "font": "system-ui, sans-serif",
    "axis": {"labelFontSize": 13, "titleFontSize": 13, "labelLimit": 220, "gridOpacity": 0.3},
    "legend": {"labelFontSize": 13, "titleFontSize": 13, "columns": 2, "orient": "top"},
}


def drawn(question: Question, rows: Iterable[Mapping[str, Any]]) -> str:
    """The answer to a question as an SVG element."""
    x, y = _axis(question.x, question.x_title), _axis(question.y, question.y_title)
    if question.kind == "line":
        x |= {"type": "temporal", "axis": {"format": "%-d %b", "labelOverlap": True, "labelSeparation": 16}}
        y |= {"type": "quantitative"}
    elif question.kind == "ranked":
        x |= {"type": "quantitative", "axis": {"tickCount": 5}}
        y |= {"type": "nominal", "sort": None, "title": None, "axis": NAMES}
    else:
        axis = {"labelAngle": 0, "labelExpr": question.labels}
        x |= {"type": "ordinal", "sort": list(question.order) or None, "axis": axis}
        y |= {"type": "quantitative"}
    encoding: dict[str, Any] = {"x": x, "y": y}
    if question.colour:
        encoding["color"] = _axis(question.colour, question.colour) | _scale()
        encoding["strokeDash"] = _axis(question.colour, question.colour) | {"type": "nominal"}
    return _svg(_mark(question.kind), encoding, rows, ranked=question.kind == "ranked")


def bars_over_batches(title: str, rows: Iterable[Mapping[str, Any]], colour: str | None = None) -> str:
    """`batch` and `n` as bars; `colour` names what is stacked, in the order of `rank`."""
    encoding: dict[str, Any] = {
        "x": _axis("batch", "batch") | {"type": "ordinal", "axis": {"labelAngle": 0, "labelOverlap": True}},
        "y": _axis("n", title) | {"type": "quantitative"},
    }
    if colour:
        encoding["color"] = _axis(colour, colour) | _scale() | {"sort": None}
        encoding["order"] = {"field": "rank"}
    return _svg(_mark("bar"), encoding, rows, ranked=False, width=NARROW)


def _mark(kind: str) -> dict[str, Any]:
    if kind == "line":
        return {"type": "line", "strokeWidth": 2.5, "point": True}
    return {"type": "bar", "color": COLOURS[0]}


def _axis(field: str, title: str) -> dict[str, Any]:
    return {"field": field, "title": title}


def _scale() -> dict[str, Any]:
    return {"type": "nominal", "scale": {"range": list(COLOURS)}}


def _svg(
    mark: Mapping[str, Any],
    encoding: Mapping[str, Any],
    rows: Iterable[Mapping[str, Any]],
    *,
    ranked: bool,
    width: int = WIDTH,
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
        "width": width,
        "height": {"step": ROW} if ranked else HEIGHT,
        "padding": {"left": 5, "top": 5, "bottom": 5, "right": 20},
        "autosize": {"type": "fit-x", "contains": "padding"},
        "data": {"values": [{name: _plain(value) for name, value in row.items()} for row in rows]},
        "mark": mark,
        "encoding": encoding,
        "config": CONFIG,
    }
    return _of_the_page(str(vl_convert.vegalite_to_svg(spec)))


def _plain(value: Any) -> Any:
    """Numbers as they are; all else as text in which nothing is hidden."""
    return value if isinstance(value, int | float) else visible(str(value))


def _of_the_page(svg: str) -> str:
    """Scalable, silent to screen readers (the figure has words and a table), in the page's colours."""
    size = re.search(r'width="([\d.]+)" height="([\d.]+)"', svg)
    assert size is not None
    svg = svg.replace(size[0], f'style="max-width:{size[1]}px"', 1).replace(
        "<svg ", '<svg aria-hidden="true" ', 1
    )
    svg = re.sub(r'fill="(?:black|#000|#000000|#333)"', 'fill="currentColor"', svg)
    return re.sub(r'stroke="(?:#888|#ddd|#000|black)"', 'stroke="currentColor"', svg)
