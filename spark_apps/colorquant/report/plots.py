"""Plots as inline SVG with the colors of the page, in its light and its dark scheme."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from markupsafe import Markup

from colorquant.report.axes import Axis, linear_axis, palette_axis, ratio_axis
from colorquant.report.rows import Row
from colorquant.report.totals import KTotals
from colorquant.target import Target
from colorquant.text import printable, shorten

_WIDTH = 460
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 14, 26, 46
# With more lines, their names would cover the plot; each line still has its name as a tooltip.
_MAX_LABELS = 8
_LABEL_ROOM = 104


@dataclass(frozen=True)
class Line:
    """Points (x, y, label) in order. A ``strong`` line is emphasized, and its points are drawn."""

    name: str
    points: tuple[tuple[float, float, str], ...]
    strong: bool = False


def ratio_plot(
    rows_by_image: dict[str, list[Row]], library: Sequence[KTotals] = (), marked: int | None = None
) -> Markup:
    """Compression ratio against k: a line for each image, and one for the sums over all. ``marked`` is the chosen k."""
    lines = [
        _line(image, ((row.k, row.compression_ratio, row.k) for row in rows), strong=not library)
        for image, rows in rows_by_image.items()
    ]
    lines.append(_line("all images", ((part.k, part.compression_ratio, part.k) for part in library), strong=True))
    lines = [line for line in lines if line.points]
    if not lines:
        return Markup("")
    ks = sorted({int(x) for line in lines for x, _, _ in line.points})
    ratio = ratio_axis("compression ratio", [y for line in lines for _, y, _ in line.points])
    across = palette_axis(ks, _WIDTH - _LEFT - _RIGHT - _LABEL_ROOM)
    return _plot("Compression ratio against k", lines, across, ratio, _floor(library), marked)


def distortion_plot(
    rows_by_image: dict[str, list[Row]], library: Sequence[KTotals] = (), marked: int | None = None
) -> Markup:
    """PSNR against bits per pixel: a line for each image, and one for the medians. Lossless outputs have no PSNR."""
    lines = [
        _line(image, ((row.bits_per_pixel, row.psnr_db, row.k) for row in rows), strong=not library)
        for image, rows in rows_by_image.items()
    ]
    medians = ((part.median_bits_per_pixel, part.median_psnr_db, part.k) for part in library)
    lines.append(_line("median", medians, strong=True))
    lines = [line for line in lines if line.points]
    if not lines:
        return Markup("")
    bits = linear_axis("bits per pixel", [x for line in lines for x, _, _ in line.points], from_zero=True)
    psnr = linear_axis("PSNR, dB", [y for line in lines for _, y, _ in line.points])
    return _plot("PSNR against bits per pixel", lines, bits, psnr, _floor(library), marked)


def search_plot(row: Row, marked: int | None = None) -> Markup:
    """The target's measure against k, for every k that was tried."""
    target = Target.parse(row.target or "")
    line = _line(row.image, ((k, value, k) for k, value in row.tried), strong=True)
    if not line.points:
        return Markup("")
    quality = linear_axis(target.name, [*(y for _, y, _ in line.points), target.value], maximum=target.maximum)
    up = replace(quality, ticks=(*quality.ticks, (target.value, "")), reference=target.value)
    across = palette_axis([int(x) for x, _, _ in line.points], _WIDTH - _LEFT - _RIGHT)
    title = f"{target.name} against k, the target {target.value:g} dashed"
    return _plot(title, [line], across, up, _floor(()), marked)


def _floor(library: Sequence[KTotals]) -> int:
    """The plots of the library are higher than those of an image."""
    return 254 if library else 190


def _line(name: str, points: Iterable[tuple[float | None, float | None, int | None]], strong: bool) -> Line:
    known = tuple((x, y, _k(k)) for x, y, k in points if x is not None and y is not None and k is not None)
    return Line(printable(name), known, strong)


def _k(k: int) -> str:
    return f"k = {k}"


def _plot(title: str, lines: Sequence[Line], across: Axis, up: Axis, floor: int, marked: int | None = None) -> Markup:
    """Draw the plot, with the horizontal axis at ``floor``. Markup.format escapes all texts."""
    chosen = None if marked is None else _k(marked)
    labelled = 1 < len(lines) <= _MAX_LABELS
    right = _WIDTH - _RIGHT - (_LABEL_ROOM if labelled else 0)
    drawn = [[(_x(across, x, right), _y(up, y, floor), label) for x, y, label in line.points] for line in lines]
    parts = [_grid(across, up, right, floor)]
    dense = len(lines) > _MAX_LABELS
    for line, points in zip(lines, drawn, strict=True):
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y, _ in points)
        css = "line strong" if line.strong else "line"
        parts.append(Markup('<g class="{}"><title>{}</title><polyline points="{}"/>').format(css, line.name, path))
        # A line with a single point shows only its circle.
        if line.strong or not dense or len(points) == 1:
            parts += _circles(line, points, chosen)
        parts.append(Markup("</g>"))
    if labelled:
        parts += _labels(lines, [points[-1] for points in drawn], right, floor)
    elif len(lines) == 1:
        # Where the horizontal axis is k, its ticks name the other points.
        named = [point for point in drawn[0] if not across.logarithmic or point[2] == chosen]
        parts += _point_labels(named, drawn[0][-1][1] < drawn[0][0][1], right, floor)
    head = Markup('<svg class="{}" viewBox="0 0 {} {}" role="img" aria-label="{}">').format(
        "plot dense" if dense else "plot", _WIDTH, floor + _BOTTOM, _description(title, lines)
    )
    return head + Markup("").join(parts) + Markup("</svg>")


def _circles(line: Line, points: Sequence[tuple[float, float, str]], chosen: str | None) -> Iterator[Markup]:
    for (x, y, label), (_, value, _) in zip(points, line.points, strict=True):
        is_chosen = line.strong and label == chosen
        yield Markup('<circle{} cx="{:.1f}" cy="{:.1f}" r="{}"><title>{}</title></circle>').format(
            Markup(' class="chosen"') if is_chosen else "",
            x,
            y,
            6 if is_chosen else 3.5 if line.strong else 2,
            f"{line.name}, {label}{', chosen' if is_chosen else ''}: {value:.{2 if value >= 1 else 4}f}",
        )


def _x(axis: Axis, value: float, right: float) -> float:
    return _LEFT + axis.fraction(value) * (right - _LEFT)


def _y(axis: Axis, value: float, floor: int) -> float:
    return floor - axis.fraction(value) * (floor - _TOP)


def _grid(across: Axis, up: Axis, right: float, floor: int) -> Markup:
    # One element for all lines of a kind: a report has hundreds of plots.
    heights = {value: _y(up, value, floor) for value, _ in up.ticks}
    lines = " ".join(f"M{_LEFT},{y:.1f}H{right}" for value, y in heights.items() if value != up.reference)
    parts = [Markup('<path class="grid" d="{}"/>').format(lines)]
    if up.reference in heights:
        reference = f"M{_LEFT},{heights[up.reference]:.1f}H{right}"
        parts.append(Markup('<path class="grid reference" d="{}"/>').format(reference))
    parts += [_text(_LEFT - 8, heights[value] + 4, label, "end") for value, label in up.ticks if label]
    positions = [(_x(across, value, right), label) for value, label in across.ticks]
    ticks = " ".join(f"M{x:.1f},{floor}v4" for x, _ in positions)
    parts.append(Markup('<path class="floor" d="M{},{}H{} {}"/>').format(_LEFT, floor, right, ticks))
    parts += [_text(x, floor + 18, label, "middle") for x, label in positions]
    parts.append(_text((_LEFT + right) / 2, floor + _BOTTOM - 8, across.title, "middle", "title"))
    parts.append(_text(8, 12, up.title, "start", "title"))
    return Markup("").join(parts)


def _text(x: float, y: float, text: str, anchor: str, css: str = "label") -> Markup:
    return Markup('<text class="{}" x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>').format(css, x, y, anchor, text)


def _labels(lines: Sequence[Line], ends: Sequence[tuple[float, float, str]], right: float, floor: int) -> list[Markup]:
    """Names at the ends of the lines, moved apart where they would overlap."""
    spacing = 15.0
    order = sorted(range(len(lines)), key=lambda index: ends[index][1])
    heights: list[float] = []
    for index in order:
        heights.append(max(ends[index][1], heights[-1] + spacing if heights else _TOP))
    # Names below the floor move up, and with them those above that they would cover.
    limit = float(floor)
    for number in range(len(heights) - 1, -1, -1):
        heights[number] = min(heights[number], limit)
        limit = heights[number] - spacing
    parts = []
    for index, height in zip(order, heights, strict=True):
        x, y, _ = ends[index]
        css = "name strong" if lines[index].strong else "name"
        parts.append(
            Markup('<path class="leader" d="M{:.1f},{:.1f} L{:.1f},{:.1f}"/>').format(x + 4, y, right + 8, height)
        )
        parts.append(_text(right + 11, height + 4, shorten(lines[index].name, 14), "start", css))
    return parts


def _point_labels(points: Sequence[tuple[float, float, str]], rising: bool, right: float, floor: int) -> list[Markup]:
    """The k next to each point of a single line, where there is room, and always next to the last one.

    A label is on the free side of the line: below a rising line, above a falling one. At the right border, where it is
    to the left of its point, the sides are exchanged.
    """
    parts: list[Markup] = []
    last: tuple[float, float] | None = None
    for x, y, label in reversed(points):
        if last is None or abs(x - last[0]) > 44 or abs(y - last[1]) > 16:
            at_border = x > right - 44
            below = rising != at_border
            height = min(y + 15, floor - 5) if below else y - 7
            # Where the floor keeps a label at the height of its point, the label is further away from it.
            distance = 12 if below and height < y + 10 else 8
            anchor, left = ("end", x - distance) if at_border else ("start", x + distance)
            parts.append(_text(left, height, label, anchor))
            last = (x, y)
    return parts


def _description(title: str, lines: Sequence[Line]) -> str:
    strong = next((line for line in lines if line.strong), lines[0])
    points = "; ".join(f"{label}: {y:.2f}" for _, y, label in strong.points)
    return f"{title}. {strong.name}: {points}."
