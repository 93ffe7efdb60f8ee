"""Generated and mutated image files, each with its traits: what three decoders make of them is compared."""

import io
import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import imagecodecs
import numpy as np
import tifffile
from PIL import Image, ImageOps

from tests.odd_files import bmp, chunk, encode, jpeg_with_factors, png

HEIGHT, WIDTH = 24, 33


@dataclass(frozen=True)
class Made:
    """A file: its format, and what is special about it."""

    form: str
    traits: frozenset[str]
    content: bytes


random = np.random.default_rng(20261126)
RGB = np.asarray(Image.fromarray(random.integers(0, 256, (4, 5, 3), np.uint8)).resize((WIDTH, HEIGHT), Image.BICUBIC))
ALPHA = np.where(RGB[..., 1] < 60, 0, RGB[..., 2])
DEEP = random.integers(0, 1 << 16, (HEIGHT, WIDTH, 4), np.uint16)
SOFT = np.dstack([RGB, ALPHA]).astype(np.uint8)


def _exif(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif.tobytes()


def _samples(channels: int, bits: int) -> np.ndarray:
    """(H, W, channels): grey, grey and alpha, RGB or RGBA of a depth."""
    chosen = {1: [1], 2: [1, 3], 3: [0, 1, 2], 4: [0, 1, 2, 3]}[channels]
    if bits <= 8:
        return SOFT[..., chosen] >> (8 - bits)
    return DEEP[..., chosen] >> np.uint16(16 - bits)


def _pngs() -> Iterator[Made]:
    depths = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
    for kind, depths_of_kind in depths.items():
        for bits, interlaced, keyed, turned in itertools.product(depths_of_kind, (False, True), (False, True), (1, 6)):
            if keyed and kind in (4, 6):
                continue
            samples, chunks, traits = _samples(channels[kind], bits), [], {f"type {kind}", f"{bits} bits"}
            if kind == 3:
                chunks.append(chunk(b"PLTE", random.integers(0, 256, (1 << bits, 3), np.uint8).tobytes()))
            if keyed:
                key = bytes([0, 128]) if kind == 3 else samples[3, 4].astype(">u2").tobytes()
                chunks.append(chunk(b"tRNS", key))
                traits.add("key")
            if turned > 1:
                chunks.append(chunk(b"eXIf", _exif(turned).removeprefix(b"Exif\0\0")))
                traits.add("turned")
            yield Made("PNG", frozenset(traits), png(samples, kind, bits, chunks, interlaced))


def _jpegs() -> Iterator[Made]:
    image = Image.fromarray(RGB)
    inks = Image.fromarray(np.dstack([255 - RGB, ALPHA // 4]).astype(np.uint8), "CMYK")
    for mode, progressive, subsampling, turned in itertools.product(
        ("L", "RGB", "CMYK"), (False, True), (0, 1, 2), (1, 3)
    ):
        picture = inks if mode == "CMYK" else image.convert(mode)
        options = {} if turned == 1 else {"exif": _exif(turned)}
        content = encode(picture, "JPEG", quality=85, progressive=progressive, subsampling=subsampling, **options)
        yield Made("JPEG", frozenset({mode} | ({"turned"} if turned > 1 else set())), content)
    for factors in itertools.product(((1, 1), (2, 1), (1, 2), (2, 2), (4, 1)), ((1, 1), (2, 1), (1, 2))):
        if factors[0][0] * factors[0][1] + 2 * factors[1][0] * factors[1][1] <= 10:
            content = jpeg_with_factors(RGB, [factors[0], factors[1], factors[1]])
            yield Made("JPEG", frozenset({"RGB", "factors"}), content)


def _tiffs() -> Iterator[Made]:
    kinds = {"minisblack": 1, "miniswhite": 1, "rgb": 3, "rgba": 4, "la": 2, "separated": 4, "palette": 1}
    for (kind, channels), bits, compression, layout, order in itertools.product(
        kinds.items(), (1, 2, 4, 8, 12, 16), (None, "lzw", "deflate", "packbits"), ("strips", "tiles", "planes"), "<>"
    ):
        if (bits < 8 and channels > 1) or (kind == "palette" and bits != 8) or (layout == "planes" and channels == 1):
            continue
        if bits not in (8, 16) and compression:
            continue
        samples = _samples(channels, bits)
        options: dict[str, object] = {"photometric": {"rgba": "rgb", "la": "minisblack"}.get(kind, kind)}
        if channels == 1:
            samples = samples[..., 0]
        if kind in ("rgba", "la"):
            options |= {"extrasamples": ["unassalpha"], "planarconfig": "contig"}
        if kind == "palette":
            options["colormap"] = random.integers(0, 1 << 16, (3, 256)).astype(np.uint16)
        if layout == "tiles":
            options["tile"] = (16, 16)
        if layout == "planes":
            samples, options["planarconfig"] = np.moveaxis(samples, 2, 0), "separate"
        options |= {"compression": compression, "bitspersample": bits, "byteorder": order}
        stream = io.BytesIO()
        tifffile.imwrite(stream, np.ascontiguousarray(samples), metadata=None, **options)
        yield Made("TIFF", frozenset({kind, f"{bits} bits", str(compression), layout}), stream.getvalue())


def _others() -> Iterator[Made]:
    image, soft = Image.fromarray(RGB), Image.fromarray(SOFT)
    for bits in (1, 4, 8):
        palette = random.integers(0, 256, (1 << bits, 3), np.uint8)
        yield Made("BMP", frozenset({"palette"}), bmp(RGB[..., 0] >> (8 - bits), bits, palette=palette))
    packed = (RGB.astype(np.uint32) << np.array([16, 8, 0], np.uint32)).sum(axis=2) | ALPHA.astype(
        np.uint32
    ) << np.uint32(24)
    five = (RGB[..., 0] >> 3).astype(int) << 11 | (RGB[..., 1] >> 2).astype(int) << 5 | RGB[..., 2] >> 3
    for header in (40, 56, 108, 124):
        yield Made("BMP", frozenset({"565"}), bmp(five, 16, (0xF800, 0x7E0, 0x1F), header))
        yield Made("BMP", frozenset({"32 bits"}), bmp(packed, 32, (0xFF0000, 0xFF00, 0xFF), header))
        yield Made("BMP", frozenset({"rare masks"}), bmp(packed, 32, (0xFF, 0xFF0000, 0xFF00), header))
        if header > 40:
            yield Made("BMP", frozenset({"alpha"}), bmp(packed, 32, (0xFF0000, 0xFF00, 0xFF, 0xFF000000), header))
            empty = packed & np.uint32(0xFFFFFF)
            yield Made("BMP", frozenset({"empty alpha"}), bmp(empty, 32, (0xFF0000, 0xFF00, 0xFF, 0xFF000000), header))
    yield Made("BMP", frozenset({"24 bits"}), encode(image, "BMP"))
    for picture, lossless, turned in itertools.product((image, soft), (False, True), (1, 8)):
        options = {} if turned == 1 else {"exif": _exif(turned)}
        content = encode(picture, "WEBP", lossless=lossless, quality=80, exact=True, **options)
        yield Made("WEBP", frozenset({picture.mode} | ({"turned"} if turned > 1 else set())), content)
        content = encode(picture, "AVIF", quality=80 if not lossless else 100, speed=9)
        yield Made("AVIF", frozenset({picture.mode}), content)
    for colors, interlace in itertools.product((2, 7, 64, 256), (0, 1)):
        yield Made("GIF", frozenset(), encode(image.quantize(colors), "GIF", interlace=interlace))
        yield Made(
            "GIF", frozenset({"key"}), encode(image.quantize(colors), "GIF", interlace=interlace, transparency=1)
        )
    for bits, channels, form in itertools.product((1, 2, 4, 7, 8, 10, 12, 16), (1, 2, 3, 4), ("jp2", "j2k")):
        samples = np.squeeze(_samples(channels, bits))
        if bits <= 8:
            samples = samples.astype(np.uint8)
        content = imagecodecs.jpeg2k_encode(samples, level=0, codecformat=form, reversible=True, bitspersample=bits)
        yield Made("JPEG 2000", frozenset({f"{channels} channels", f"{bits} bits"}), bytes(content))
    for maximum, plain in itertools.product((1, 7, 100, 255, 1000, 65535), (False, True)):
        for letter, samples in ((2, RGB[..., :1]), (3, RGB)):
            scaled = np.rint(samples / 255 * maximum).astype(int)
            head = f"P{letter if plain else letter + 3} {WIDTH} {HEIGHT} {maximum}\n".encode()
            body = (
                " ".join(map(str, scaled.ravel())).encode()
                if plain
                else scaled.astype(">u2" if maximum > 255 else "u1").tobytes()
            )
            yield Made("PNM", frozenset({f"maximum {maximum}"}), head + body)


def generated() -> list[Made]:
    """Every format by depth, kind of color, layout, transparency and orientation."""
    return [*_pngs(), *_jpegs(), *_tiffs(), *_others()]


def mutated(made: Made, seed: int) -> Made:
    """The same file with a byte changed, a part missing or doubled, or its end cut."""
    choose = np.random.default_rng(seed)
    content, kind = made.content, int(choose.integers(5))
    at = int(choose.integers(len(content)) if kind else choose.integers(min(len(content), 200)))
    length = int(choose.integers(1, 40))
    changed = (
        content[:at] + bytes([content[at] ^ (1 << int(choose.integers(8)))]) + content[at + 1 :],
        content[:at] + bytes([int(choose.integers(256))]) + content[at + 1 :],
        content[:at] + content[at + length :],
        content[:at] + content[at : at + length] + content[at:],
        content[:at],
    )[kind]
    return Made(made.form, made.traits | {"mutated"}, changed)


def by_pillow(content: bytes) -> np.ndarray | None:
    """Upright RGB or RGBA, as Pillow has it; None where it refuses."""
    try:
        with Image.open(io.BytesIO(content)) as image:
            image.load()
            image = ImageOps.exif_transpose(image)
            if image.mode.startswith("I"):
                levels = np.asarray(image).astype(float) / 257
                return np.repeat(np.rint(levels)[..., None], 3, axis=2).astype(np.uint8)
            return np.asarray(image.convert("RGBA" if image.has_transparency_data else "RGB"))
    except Exception:
        return None


def by_opencv(content: bytes) -> np.ndarray | None:
    """RGB or RGBA as OpenCV has it, not turned; None where it refuses, or for a depth of its own."""
    try:
        pixels = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        return None
    if pixels is None or pixels.dtype not in (np.uint8, np.uint16):
        return None
    if pixels.dtype == np.uint16:
        pixels = np.rint(pixels / 257).astype(np.uint8)
    if pixels.ndim == 2:
        return np.repeat(pixels[..., None], 3, axis=2)
    order = [2, 1, 0, 3][: pixels.shape[2]] if pixels.shape[2] > 2 else [0, 0, 0]
    return pixels[..., order]


def difference(one: np.ndarray, other: np.ndarray) -> float:
    """The largest difference of a channel where pixels are visible; infinite for another size."""
    if one.shape[:2] != other.shape[:2]:
        return float("inf")
    if one.shape[2] != other.shape[2]:
        one, other = (
            p if p.shape[2] == 4 else np.dstack([p, np.full(p.shape[:2], 255, np.uint8)]) for p in (one, other)
        )
    a, b = one.astype(int), other.astype(int)
    if a.shape[2] == 4:
        a, b = a * (a[..., 3:] > 0), b * (b[..., 3:] > 0)
    return float(np.abs(a - b).max())
