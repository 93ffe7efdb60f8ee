"""Generated and mutated files, decoded here, by Pillow and by OpenCV: each difference is explained, or a defect."""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from colorquant.decode.decoders import decode
from colorquant.decode.tiled_tiff import tiled_image_above
from colorquant.errors import Undecodable, UnsupportedImage
from colorquant.limits import DEFAULT_LIMITS
from tests.differential import Made, by_opencv, by_pillow, difference, generated, mutated

DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "images.md"
MUTATIONS = 4000

#: Row of the table in docs/images.md: decoder, format, and the sets of traits one of which a file with it has.
EXPLAINED: dict[str, tuple[str, str, list[set[str]]]] = {
    "JPEG 2000 of other depths than 8 bits": (
        "Pillow",
        "JPEG 2000",
        [{f"{bits} bits"} for bits in (1, 2, 4, 7, 10, 12, 16)],
    ),
    "a transparent grey of 2 or 4 bits": ("Pillow", "PNG", [{"2 bits", "key"}, {"4 bits", "key"}]),
    "a transparent color of 16 bits": ("Pillow", "PNG", [{"16 bits", "key"}]),
    "TIFFs of 12 bits": ("Pillow", "TIFF", [{"12 bits"}]),
    "TIFFs of 16 bits in planes, or where white is zero": (
        "Pillow",
        "TIFF",
        [{"16 bits", kind} for kind in ("planes", "miniswhite")],
    ),
    "TIFFs of grey with alpha in planes": ("Pillow", "TIFF", [{"la", "planes"}]),
    "BMPs whose alpha is all 0": ("Pillow", "BMP", [{"empty alpha"}]),
    "EXIF orientation": ("OpenCV", "PNG JPEG WEBP", [{"turned"}]),
    "a transparent grey": ("OpenCV", "PNG", [{"type 0", "key"}]),
    "JPEG 2000 of 10 and 12 bits": ("OpenCV", "JPEG 2000", [{"10 bits"}, {"12 bits"}]),
    "bitmaps with masks or alpha": (
        "OpenCV",
        "BMP",
        [{"565"}, {"32 bits"}, {"rare masks"}, {"alpha"}, {"empty alpha"}],
    ),
    "other maxima than 255": ("OpenCV", "PNM", [{f"maximum {maximum}"} for maximum in (1, 7, 100, 1000, 65535)]),
    "TIFFs with alpha": ("OpenCV", "TIFF", [{"rgba"}, {"la"}]),
    "TIFFs of 12 or 16 bits in planes, or where white is zero": (
        "OpenCV",
        "TIFF",
        [{"12 bits"}, {"16 bits", "planes"}, {"16 bits", "miniswhite"}],
    ),
}
# libjpeg-turbo and libwebp of two packages; 8 bits of 16 are rounded here, and cut off by Pillow.
TOLERANCE = 2

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL", "ignore::Warning")


def _here(content: bytes) -> np.ndarray | Undecodable:
    try:
        return decode(content, DEFAULT_LIMITS)
    except Undecodable as error:
        return error


def _explanation(decoder: str, made: Made) -> str | None:
    return next(
        (
            row
            for row, (name, forms, sets) in EXPLAINED.items()
            if name == decoder and made.form in forms and any(traits <= made.traits for traits in sets)
        ),
        None,
    )


def _differences(made: Made, here: np.ndarray) -> Iterator[str]:
    """The decoders that read a file and see another picture in it."""
    for name, decoder in (("Pillow", by_pillow), ("OpenCV", by_opencv)):
        other = decoder(made.content)
        if other is not None and difference(here, other) > TOLERANCE:
            yield name


def test_every_generated_file_is_read_and_each_difference_is_explained() -> None:
    used: Counter[str | None] = Counter()
    for made in generated():
        here = _here(made.content)
        assert not isinstance(here, Undecodable), (made.form, sorted(made.traits), str(here))
        for name in _differences(made, here):
            explanation = _explanation(name, made)
            assert explanation, (name, made.form, sorted(made.traits))
            used[explanation] += 1
    assert set(used) == set(EXPLAINED), "an explanation that nothing needs any more"


def test_a_mutated_file_is_refused_in_a_sentence_or_read_as_pillow_reads_it() -> None:
    """What one of them refuses is not compared."""
    files, seen = generated(), Counter[str]()
    for number in range(MUTATIONS):
        made = mutated(files[number % len(files)], number)
        here = _here(made.content)
        if isinstance(here, Undecodable):
            assert str(here).endswith(".") and "\n" not in str(here)
            seen["refused"] += 1
            continue
        other = by_pillow(made.content)
        seen["both" if other is not None else "here alone"] += 1
        # A mutated header may be of another kind: such a file shows the differences of that one.
        if other is not None and difference(here, other) > TOLERANCE and not _explanation("Pillow", made):
            seen["another kind"] += 1
    assert seen["both"] > MUTATIONS / 5 and seen["refused"] > MUTATIONS / 5
    assert seen["another kind"] <= MUTATIONS / 500, seen


def test_a_tiff_has_the_same_pixels_by_regions_as_whole_or_is_refused_by_its_reason(tmp_path: Path) -> None:
    path, read = tmp_path / "t.tif", 0
    for made in (made for made in generated() if made.form == "TIFF"):
        path.write_bytes(made.content)
        if made.traits & {"rgba", "la"}:
            with pytest.raises(UnsupportedImage, match="transparent pixels"):
                tiled_image_above(str(path), 0)
            continue
        image, whole = tiled_image_above(str(path), 0), _here(made.content)
        assert image is not None and isinstance(whole, np.ndarray)
        assert np.array_equal(image.read(0, 0, *whole.shape[:2]), whole), sorted(made.traits)
        assert np.array_equal(image.read(5, 9, 21, 30), whole[5:21, 9:30]), sorted(made.traits)
        read += 1
    assert read > 100


def test_the_table_of_the_document_has_each_explanation() -> None:
    rows = re.findall(r"^\| ([^|]+?) \| (Pillow|OpenCV) \| [^|]+ \|$", DOCUMENT.read_text(), re.MULTILINE)
    assert dict(rows) == {row: decoder for row, (decoder, _, _) in EXPLAINED.items()}
