"""Palette files: what programs write is read in its order, what runs write is read again, all else is refused."""

import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from colorquant.errors import InvalidSetting
from colorquant.hex_colors import Color
from colorquant.palettes import palette_files, read_palette, with_colors
from colorquant.settings import Settings
from tests.conftest import photograph

COLORS: list[Color] = [(214, 39, 40, 255), (0, 0, 0, 255), (255, 255, 255, 255), (1, 2, 3, 255), (31, 119, 180, 255)]
ROWS = b"".join(bytes(color[:3]) for color in COLORS)
LINES = [" ".join(map(str, color[:3])) for color in COLORS]
RIFF = (
    b"PAL data"
    + struct.pack("<IHH", 4 + 4 * len(COLORS), 0x300, len(COLORS))
    + b"".join(bytes(color[:3]) + b"\0" for color in COLORS)
)
FILES = {
    "brand.gpl": "\n".join(["GIMP Palette", "Name: brand", "Columns: 5", "# made by hand", *LINES, ""]).encode(),
    "names.gpl": "\r\n".join(["GIMP Palette", *(f"{line}\tsome name 7" for line in LINES)]).encode(),
    "jasc.pal": "\r\n".join(["JASC-PAL", "0100", "5", *LINES, ""]).encode(),
    "alpha.pal": "\n".join(["JASC-PAL", "0100", "5", *(f"{line} 255" for line in LINES), ""]).encode(),
    "windows.pal": b"RIFF" + struct.pack("<I", len(RIFF)) + RIFF,
    "photoshop.act": ROWS.ljust(768, b"\0") + struct.pack(">HH", 5, 0xFFFF),
    "lospec.hex": b"d62728\n000000\nffffff\n010203\n1f77b4\n",
    "paint.net.txt": b"; a comment\n#d62728\n\n#000\n#FFFFFF // white\n010203ff\n1F77B4\n",
    "with a mark.txt": b"\xef\xbb\xbfd62728\n000000\nffffff\n010203\n1f77b4",
}


@pytest.mark.parametrize("name", FILES)
def test_each_format_is_read_in_its_order(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(FILES[name])
    assert list(read_palette(str(tmp_path / name))) == COLORS


def test_a_png_has_its_own_palette_or_that_of_its_pixels(tmp_path: Path) -> None:
    indexed = Image.fromarray(np.zeros((2, 2), np.uint8), "P")
    indexed.putpalette(ROWS)
    indexed.save(tmp_path / "indexed.png")
    assert list(read_palette(str(tmp_path / "indexed.png"))) == COLORS
    strip = np.array([[color[:3] for color in (*COLORS, COLORS[0])]], np.uint8)
    Image.fromarray(strip).save(tmp_path / "strip.png")
    assert list(read_palette(str(tmp_path / "strip.png"))) == COLORS


def test_a_transparent_entry_is_read_from_formats_that_have_one(tmp_path: Path) -> None:
    table = ROWS.ljust(768, b"\0") + struct.pack(">HH", 5, 1)
    (tmp_path / "table.act").write_bytes(table)
    image = Image.fromarray(np.zeros((2, 2), np.uint8), "P")
    image.putpalette(ROWS)
    image.save(tmp_path / "image.png", transparency=1)
    for name in ("table.act", "image.png"):
        assert read_palette(str(tmp_path / name)) == (COLORS[0], (0, 0, 0, 0), *COLORS[2:])


_color = st.tuples(*[st.integers(0, 255)] * 3, st.just(255))


@given(colors=st.lists(_color, min_size=1, max_size=256, unique=True))
def test_what_is_written_is_read_again_to_the_color(
    colors: list[Color], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("palette")
    for suffix, content in palette_files(colors, "found").items():
        path = folder / f"palette{suffix}"
        path.write_bytes(content)
        assert list(read_palette(str(path))) == colors, suffix


def test_transparent_colors_are_written_where_a_format_has_them(tmp_path: Path) -> None:
    colors: list[Color] = [(0, 0, 0, 0), (255, 0, 0, 128), (1, 2, 3, 255)]
    files = palette_files(colors, "found")
    for suffix in (".png", ".hex"):
        (tmp_path / f"p{suffix}").write_bytes(files[suffix])
        assert list(read_palette(str(tmp_path / f"p{suffix}"))) == colors


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("none.gpl", None, "cannot be read: No such file or directory."),
        ("photo.jpg", b"\xff\xd8\xff\xe0" + bytes(range(256)), "is not a palette: it takes .png, .gpl, .act, .pal, or"),
        ("notes.txt", b"d62728\nsome words\n", "is not a palette: line 2, 'some words' is not a color: write #rrggbb"),
        ("empty.hex", b"\n\n", "has no colors."),
        ("twice.hex", b"d62728\n000000\nd62728", "is not a palette: colors 1 and 3 are both #d62728: name each once."),
        (
            "many.hex",
            b"".join(b"%06x\n" % i for i in range(257)),
            "there are 257 colors, and a palette has at most 256",
        ),
        ("wrong.gpl", b"GIMP Palette\n1 2 300\n", "line 2 does not begin with three numbers from 0 to 255."),
        ("short.pal", b"JASC-PAL\n0100\n3\n1 2 3\n", "is a JASC palette whose third line is not the number"),
        ("cut.pal", b"RIFF\x10\0\0\0PAL data\x10\0\0\0\0\3\4\0abcd", "is a RIFF palette that ends too early."),
        ("short.act", b"\0" * 100, "is not an Adobe color table: it has 100 bytes, not 768 or 772."),
        ("cut.png", b"\x89PNG\r\n\x1a\n\0\0\1\0IHDR", "is a PNG that ends too early."),
        ("large.gpl", b"GIMP Palette\n" + b"#" * 2**21, "is not a palette: it has more than 1,048,576 bytes."),
    ],
)
def test_what_is_not_a_palette_is_refused_with_a_sentence(
    name: str, content: bytes | None, sentence: str, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InvalidSetting) as caught:
        read_palette(str(tmp_path / name))
    assert str(caught.value).startswith("palette: ") and name in str(caught.value)
    assert sentence in str(caught.value)


def test_a_photograph_as_a_palette_has_too_many_colors(tmp_path: Path) -> None:
    Image.fromarray(photograph()).save(tmp_path / "p.png")
    with pytest.raises(InvalidSetting, match="is not a palette: there are .* colors, and a palette has at most 256"):
        read_palette(str(tmp_path / "p.png"))


@given(content=st.binary(max_size=800), suffix=st.sampled_from([".act", ".pal", ".png", ".gpl", ".hex"]))
def test_any_bytes_are_read_or_refused(content: bytes, suffix: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("any") / f"palette{suffix}"
    for start in (b"", b"RIFF\0\0\0\0PAL ", b"JASC-PAL\n", b"GIMP Palette\n", b"\x89PNG\r\n\x1a\n"):
        path.write_bytes(start + content)
        try:
            assert 1 <= len(read_palette(str(path))) <= 256
        except InvalidSetting as error:
            assert path.name in str(error)


def test_settings_get_the_colors_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "brand.hex").write_bytes(FILES["lospec.hex"])
    settings = with_colors(Settings(palette=str(tmp_path / "brand.hex"), keep="#000000"))
    assert settings.palette == "#d62728,#000000,#ffffff,#010203,#1f77b4"
    assert list(settings.colors) == COLORS
    assert with_colors(settings) == settings
    assert with_colors(Settings()) == Settings()


def test_colors_to_keep_must_be_in_the_palette() -> None:
    with pytest.raises(InvalidSetting, match="keep: #00ff00 is not in the palette: add it there, or leave keep out."):
        with_colors(Settings(palette="#ff0000,#0000ff", keep="#00ff00,#ff0000"))
