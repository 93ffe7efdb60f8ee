"""The plots: where points lie, and that the SVG is sound."""

from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from colorquant.report.axes import linear_axis, palette_axis, ratio_axis
from colorquant.report.plots import distortion_plot, ratio_plot
from colorquant.report.rows import Row
from colorquant.report.totals import totals_of

POSITIVE = st.lists(st.floats(1e-3, 1e6), min_size=1, max_size=20)


@given(POSITIVE, st.booleans())
def test_a_linear_axis_holds_its_values_and_ticks(values, from_zero) -> None:
    axis = linear_axis("x", values, from_zero)
    places = [axis.fraction(value) for value in [*values, *(tick for tick, _ in axis.ticks)]]
    assert all(-1e-6 <= place <= 1 + 1e-6 for place in places)
    assert 2 <= len(axis.ticks) <= 9
    assert not from_zero or axis.ticks[0] == (0, axis.ticks[0][1])
    assert len({label for _, label in axis.ticks}) == len(axis.ticks)


@given(POSITIVE)
def test_a_ratio_axis_holds_its_values_and_ticks(values) -> None:
    axis = ratio_axis("x", values)
    assert all(0 <= axis.fraction(value) <= 1 for value in values)
    assert all(-1e-9 <= axis.fraction(tick) <= 1 + 1e-9 for tick, _ in axis.ticks)
    assert len(axis.ticks) >= 2
    assert axis.reference == (1 if axis.low <= 1 <= axis.high else None)


@given(st.sets(st.integers(1, 256), min_size=1))
def test_ticks_of_palette_sizes_keep_apart_and_include_the_largest(ks) -> None:
    axis = palette_axis(sorted(ks), 400, spacing=24)
    shown = [tick for tick, _ in axis.ticks]
    assert set(shown) <= ks and shown[-1] == max(ks)
    places = [400 * axis.fraction(tick) for tick in shown]
    assert all(after - before >= 24 - 1e-9 for before, after in zip(places, places[1:], strict=False))


def rows(image: str, ks: tuple[int, ...], shift: float = 0.0) -> list[Row]:
    return [
        Row(
            image=image, k=k, state="done", original_bytes=1000, compressed_bytes=100 + k, ssim=0.9,
            compression_ratio=1000 / (100 + k) + shift, bits_per_pixel=k / 20, psnr_db=20 + k / 10 + shift,
            lossless=False,
        )
        for k in ks
    ]  # fmt: skip


def elements(svg: str, tag: str) -> list[ElementTree.Element]:
    return list(ElementTree.fromstring(str(svg)).iter(tag))


@pytest.mark.parametrize("plot", [ratio_plot, distortion_plot])
@pytest.mark.parametrize("name", ["<script>", "\"&'", "]]>", "a\x00\x1b\nb", "caf\udce9", "{{ ds }}"])
def test_a_plot_is_well_formed_whatever_the_name(plot, name) -> None:
    library = {name: rows(name, (2, 8)), "b": rows("b", (2, 8))}
    svg = plot(library, totals_of([row for part in library.values() for row in part]).by_k)
    assert not elements(svg, "script")
    assert len(elements(svg, "polyline")) == 3


def test_points_lie_where_the_figures_say() -> None:
    ratio = elements(ratio_plot({"a": rows("a", (2, 8, 32))}), "circle")
    x, y = [[float(circle.get(name)) for circle in ratio] for name in ("cx", "cy")]
    assert x[1] - x[0] == pytest.approx(x[2] - x[1], abs=0.2)  # k is on a logarithmic axis
    assert y == sorted(y)  # the ratio falls, so the points go down
    distortion = elements(distortion_plot({"a": rows("a", (2, 8, 32))}), "circle")
    x, y = [[float(circle.get(name)) for circle in distortion] for name in ("cx", "cy")]
    assert (x[2] - x[0]) / (x[1] - x[0]) == pytest.approx(30 / 6, abs=0.05)
    assert y == sorted(y, reverse=True)


def test_points_are_named_where_the_axis_does_not_say_k_and_the_chosen_one_always() -> None:
    def named(svg: str) -> set[str]:
        return {text.text for text in elements(svg, "text") if (text.text or "").startswith("k = ")}

    part = {"a": rows("a", (2, 8, 32))}
    assert named(distortion_plot(part, marked=8)) == {"k = 2", "k = 8", "k = 32"}
    assert named(ratio_plot(part, marked=8)) == {"k = 8"}
    assert named(ratio_plot(part)) == set()


def test_an_axis_ends_where_its_measure_does() -> None:
    assert linear_axis("SSIM", [0.6, 0.999], maximum=1).high == 1
    assert linear_axis("PSNR", [60, 120], maximum=100).high >= 120


def test_names_beside_lines_do_not_overlap() -> None:
    library = {f"image {number}": rows(f"image {number}", (2, 8), shift=number / 100) for number in range(7)}
    svg = ratio_plot(library, totals_of([row for part in library.values() for row in part]).by_k)
    names = [text for text in elements(svg, "text") if (text.get("class") or "").startswith("name")]
    places = sorted(float(text.get("y")) for text in names)
    assert len(names) == 8
    assert min(after - before for before, after in zip(places, places[1:], strict=False)) >= 13.9


def test_many_images_have_lines_and_no_names() -> None:
    library = {f"image {number}": rows(f"image {number}", (2, 8)) for number in range(100)}
    svg = ratio_plot(library, totals_of([row for part in library.values() for row in part]).by_k)
    assert len(elements(svg, "polyline")) == 101
    assert not [text for text in elements(svg, "text") if (text.get("class") or "").startswith("name")]


def test_lossless_outputs_have_no_point_and_failures_none_anywhere() -> None:
    lossless = Row(
        image="a", k=64, state="done", compression_ratio=3.0, bits_per_pixel=4.0, psnr_db=None, lossless=True
    )
    part = {"a": [*rows("a", (2, 8)), lossless, Row(image="a", k=128, state="failed", reason="x")]}
    assert len(elements(distortion_plot(part), "circle")) == 2
    assert len(elements(ratio_plot(part), "circle")) == 3
    assert distortion_plot({"a": [lossless]}) == ""
    assert ratio_plot({}) == ""
