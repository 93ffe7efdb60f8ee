"""Pictures for the page, from whatever files there are."""

import base64
import io
import os

import numpy as np
import pytest
from PIL import Image, ImageCms

from colorquant.report import summarize_run
from colorquant.report.previews import embed, embed_preview, load_preview, palette_strip
from tests.odd_images import ODD


def decoded(uri: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))


def test_a_preview_is_bounded_and_keeps_the_aspect(tmp_path, picture) -> None:
    picture(300, 200).save(tmp_path / "a.png")
    preview = load_preview(tmp_path / "a.png", side=60)
    assert (preview.size, preview.mode) == ((60, 40), "RGB")
    whole = load_preview(tmp_path / "a.png")
    assert np.array_equal(np.asarray(whole), np.asarray(picture(300, 200)))


def test_scaling_down_averages(tmp_path) -> None:
    checkers = np.indices((64, 64)).sum(axis=0) % 2 * np.uint8(200)
    Image.fromarray(checkers.astype(np.uint8)).save(tmp_path / "a.png")
    assert set(np.unique(load_preview(tmp_path / "a.png", side=16))) == {100}


def test_indexed_pictures_are_averaged_by_color_not_by_index(tmp_path) -> None:
    image = Image.new("P", (40, 40))
    image.putpalette([0, 0, 0, 255, 0, 0, 200, 200, 200])
    image.paste(2, (0, 0, 40, 20))
    image.save(tmp_path / "a.png")
    colors = {color for _, color in load_preview(tmp_path / "a.png", side=8).getcolors()}
    assert colors <= {(0, 0, 0), (200, 200, 200), (100, 100, 100)}


def test_the_orientation_of_a_jpeg_is_applied(tmp_path) -> None:
    image = Image.new("RGB", (80, 40), "red")
    image.paste("blue", (0, 0, 40, 40))
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise: what is stored on the left comes to the top
    image.save(tmp_path / "a.jpg", exif=exif, quality=95)
    preview = load_preview(tmp_path / "a.jpg", side=20)
    assert preview.size == (10, 20)
    assert preview.getpixel((5, 2))[2] > 200 and preview.getpixel((5, 17))[0] > 200


def test_transparency_is_kept_and_weights_what_is_averaged(tmp_path) -> None:
    image = Image.new("RGBA", (4, 4), (255, 0, 0, 0))
    image.paste((0, 0, 255, 255), (0, 0, 4, 2))
    image.save(tmp_path / "a.png")
    assert load_preview(tmp_path / "a.png", side=1).getcolors() == [(1, (0, 0, 255, 128))]
    shown = decoded(embed_preview(load_preview(tmp_path / "a.png"), 10_000).uri)
    assert [shown.getpixel((1, y))[3] for y in range(4)] == [255, 255, 0, 0]


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "I;16", "CMYK", "YCbCr", "F"])
def test_every_mode_gives_rgb_and_alpha_only_where_it_counts(tmp_path, mode) -> None:
    for color, alpha in (("white", False), ("#ffffff00", mode in ("LA", "RGBA"))):
        Image.new(mode, (30, 20), color if mode not in ("I;16", "F") else 0).save(tmp_path / "a.tif")
        preview = load_preview(tmp_path / "a.tif", side=10)
        assert (preview.mode, preview.size) == ("RGBA" if alpha else "RGB", (10, 7))


def test_sixteen_bits_are_scaled_not_clipped(tmp_path) -> None:
    Image.fromarray(np.full((8, 8), 128 * 257, np.uint16)).save(tmp_path / "a.png")
    assert abs(load_preview(tmp_path / "a.png").getpixel((0, 0))[0] - 128) <= 1


@pytest.mark.parametrize("content", [b"", b"nonsense", b"\x89PNG\r\n\x1a\n", "cut"], ids=repr)
def test_what_cannot_be_decoded_gives_none(tmp_path, picture, content, caplog) -> None:
    path = tmp_path / "a.png"
    if content == "cut":
        picture(100, 100).save(path)
        content = path.read_bytes()[:5000]
    path.write_bytes(content)
    assert load_preview(path) is None
    assert "a.png" in caplog.text
    assert load_preview(tmp_path / "missing.png") is None


def test_a_fifo_is_not_waited_for(tmp_path) -> None:
    os.mkfifo(tmp_path / "a.png")
    assert load_preview(tmp_path / "a.png") is None


def test_a_color_profile_is_applied(tmp_path) -> None:
    """The same numbers in another color space are another color."""
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    swapped = srgb.replace(b"rXYZ", b"----", 1).replace(b"bXYZ", b"rXYZ", 1).replace(b"----", b"bXYZ", 1)
    for name, profile in (("srgb", srgb), ("swapped", swapped), ("broken", b"no profile")):
        Image.new("RGB", (4, 4), (200, 100, 50)).save(tmp_path / f"{name}.png", icc_profile=profile)
    assert load_preview(tmp_path / "srgb.png").getpixel((0, 0)) == (200, 100, 50)
    assert np.allclose(load_preview(tmp_path / "swapped.png").getpixel((0, 0)), (50, 100, 200), atol=3)
    assert load_preview(tmp_path / "broken.png").getpixel((0, 0)) == (200, 100, 50)


@pytest.mark.parametrize(
    "name",
    ["png gamma 1", "png adobe rgb by chrm", "jpeg exif color space R03", "png adobe rgb", "tiff cmyk"]
    + ["tiff rgb 12 bits", "tiff palette of 8 bits, colors times 1", "bmp 565", "bmp with a profile", "jp2 12 bits"]
    + ["jpeg xmp orientation", "png checksum of tEXt", "jpeg orientation 5", "png 16 bit with exif"],
)
def test_an_original_is_shown_in_the_colors_that_its_outputs_are_made_from(tmp_path, name) -> None:
    (tmp_path / "a.png").write_bytes(ODD[name].content)
    assert np.abs(np.asarray(load_preview(tmp_path / "a.png"), int) - ODD[name].pixels).max() <= 2


@pytest.mark.parametrize("budget", [1500, 5000, 40_000])
@pytest.mark.parametrize("size", [(640, 480), (640, 4), (3, 640), (1, 1)])
def test_a_preview_fits_its_budget_even_if_it_is_noise(size, budget) -> None:
    random = np.random.default_rng(0)
    noise = Image.fromarray(random.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8))
    shown = embed_preview(noise, budget)
    assert len(base64.b64decode(shown.uri.partition(",")[2])) <= budget
    assert decoded(shown.uri).size == (shown.width, shown.height)
    assert not shown.whole


def test_a_generous_budget_scales_nothing_down(picture) -> None:
    image = picture(640, 480)
    assert (embed_preview(image, 10**6).width, embed_preview(image, 10**6).height) == (640, 480)


@pytest.mark.parametrize("suffix", ["png", "webp"])
def test_a_file_within_the_budget_is_embedded_byte_for_byte(suffix, tmp_path, picture) -> None:
    path = tmp_path / f"k004.{suffix}"
    picture(64, 48).quantize(4).save(path, lossless=True)
    preview = load_preview(path)
    shown = embed(path, preview, path.stat().st_size)
    assert shown.whole and shown.uri.startswith(f"data:image/{suffix};base64,")
    assert base64.b64decode(shown.uri.partition(",")[2]) == path.read_bytes()
    assert not embed(path, preview, path.stat().st_size - 1).whole


def test_a_huge_picture_is_not_embedded_however_few_its_bytes(tmp_path) -> None:
    path = tmp_path / "flat.png"
    Image.new("P", (5000, 5000)).save(path)
    shown = embed(path, load_preview(path), 10**6)
    assert (shown.whole, shown.width) == (False, 640)


@pytest.mark.parametrize("transparency", [1, bytes([255, 0, 128])])
def test_transparent_entries_of_a_palette_are_transparent_in_its_strip(tmp_path, transparency) -> None:
    image = Image.frombytes("P", (3, 1), bytes([0, 1, 2]))
    image.putpalette([250, 250, 250, 10, 0, 0, 0, 0, 200])
    image.save(tmp_path / "p.png", transparency=transparency)
    strip = Image.open(io.BytesIO(base64.b64decode(palette_strip(tmp_path / "p.png").partition(",")[2]))).convert(
        "RGBA"
    )
    pixels = [strip.getpixel((x, 0)) for x in range(3)]
    half = 255 if transparency == 1 else 128
    assert pixels == [(0, 0, 200, half), (250, 250, 250, 255), (0, 0, 0, 0)], "as light as they are on white"


def test_the_palette_strip_has_the_colors_of_the_file_from_dark_to_light(tmp_path, picture) -> None:
    path = tmp_path / "k.png"
    image = picture(64, 48).quantize(16)
    image.save(path)
    strip = decoded(palette_strip(path)).convert("RGB")
    colors = [color for _, color in image.convert("RGB").getcolors()]
    assert strip.size == (len(colors), 1)
    assert sorted(strip.get_flattened_data()) == sorted(colors)
    lightness = [0.299 * r + 0.587 * g + 0.114 * b for r, g, b in strip.get_flattened_data()]
    assert lightness == sorted(lightness)


def test_there_is_no_strip_where_there_is_no_palette(tmp_path, picture) -> None:
    picture().save(tmp_path / "rgb.png")
    assert palette_strip(tmp_path / "rgb.png") is None
    assert palette_strip(tmp_path / "missing.png") is None


def test_an_original_that_became_a_link_out_of_the_library_is_not_shown(library, picture) -> None:
    """A report would show whoever uploads images another picture of this machine."""
    library.add("a.png")
    plan = library.run((2,))

    def pictures() -> int:
        summarize_run(plan, library.folder())
        return (library.folder() / "summary.html").read_text().count("data:image/")

    before = pictures()
    picture(seed=9).save(library.output / "secret.png")
    (library.images / "a.png").unlink()
    (library.images / "a.png").symlink_to(library.output / "secret.png")
    assert pictures() == before, "the pictures that were drawn before"
    for kept in library.output.glob("compressed/**/pictures-*.json"):
        kept.unlink()
    assert pictures() < before
    assert load_preview(library.images / "a.png") is not None
    assert load_preview(library.images / "a.png", below=library.images) is None
