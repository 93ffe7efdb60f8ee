"""Odd images by what is odd in their container: markers, chunks, depths, keys, palettes, orientations, color spaces."""

import io
import struct
import zlib

import imagecodecs
import numpy as np
import simplejpeg
import tifffile
from PIL import Image

from tests.odd_files import (
    ADOBE_RGB_TO_XYZ,
    SRGB_TO_XYZ,
    Odd,
    bmp,
    box,
    chunk,
    encode,
    grey_profile,
    jp2,
    jpeg_segment,
    jpeg_with_factors,
    png,
    rgb_profile,
    srgb_encoded,
)

HEIGHT, WIDTH = 32, 44

DETAILS: dict[str, Odd] = {}


def _right(name: str, row: str, content: bytes, pixels: np.ndarray, tolerance: int = 0) -> None:
    DETAILS[name] = Odd(row, content, pixels=np.asarray(pixels), tolerance=tolerance)


def _refused(name: str, row: str, content: bytes, refusal: str) -> None:
    DETAILS[name] = Odd(row, content, refusal=refusal)


def _as_pillow(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))


def _grey(levels: np.ndarray) -> np.ndarray:
    return np.repeat(levels[..., None], 3, axis=2).astype(np.uint8)


random = np.random.default_rng(21)
RGB = np.asarray(Image.fromarray(random.integers(0, 256, (5, 6, 3), np.uint8)).resize((WIDTH, HEIGHT), Image.BICUBIC))
LEVELS = np.ascontiguousarray(RGB[..., 1])
ALPHA = np.where(LEVELS < 60, 0, LEVELS)
DEEP = random.integers(0, 1 << 16, (HEIGHT, WIDTH, 4), np.uint16)
ROUNDED = np.rint(DEEP / 257).astype(np.uint8)
IMAGE = Image.fromarray(RGB)
ADOBE = rgb_profile(ADOBE_RGB_TO_XYZ, 563 / 256)


def _from(to_xyz: np.ndarray, gamma: float, pixels: np.ndarray = RGB) -> np.ndarray:
    return srgb_encoded((pixels / 255) ** gamma @ (np.linalg.inv(SRGB_TO_XYZ) @ to_xyz).T)


FROM_ADOBE = _from(ADOBE_RGB_TO_XYZ, 563 / 256)

# JPEG: warnings that do no harm.
_baseline = encode(IMAGE, "JPEG", quality=90)
_shown = _as_pillow(_baseline)
_harmless = "JPEG, numbers in headers that mean nothing"
_after_jfif = _baseline[20:]


def _adobe(transform: int) -> bytes:
    return b"\xff\xd8" + jpeg_segment(0xEE, b"Adobe\0\x64\0\0\0\0" + bytes([transform])) + _after_jfif


_scan = _baseline.index(b"\xff\xda") + int.from_bytes(_baseline[_baseline.index(b"\xff\xda") + 2 :][:2])
for at, value in ((0, 1), (0, 0), (1, 0), (2, 0x10)):
    _right(
        f"jpeg scan parameter {at} is {value}",
        _harmless,
        _baseline[: _scan - 1 + at] + bytes([value]) + _baseline[_scan + at :],
        _shown,
    )
for transform in (2, 3, 255):
    _right(f"jpeg adobe transform {transform}", _harmless, _adobe(transform), _shown)
for version in (0, 2, 9):
    _right(f"jpeg jfif {version}", _harmless, _baseline[:11] + bytes([version]) + _baseline[12:], _shown)
_inks = np.dstack([255 - RGB, np.zeros((HEIGHT, WIDTH), np.uint8)])
_ycck = simplejpeg.encode_jpeg(
    np.ascontiguousarray(255 - _inks), colorspace="CMYK", quality=100, colorsubsampling="444"
)
_transform = _ycck.index(b"Adobe") + 11
_right("jpeg ycck of transform 5", _harmless, _ycck[:_transform] + b"\5" + _ycck[_transform + 1 :], RGB, 6)

# JPEG: what is behind the end marker, and where it is missing.
_endings = "JPEG without an end marker"
_cmyk = encode(Image.fromarray(_inks, "CMYK"), "JPEG", quality=100, subsampling=0)
_kinds = {
    "baseline": _baseline,
    "grey": encode(Image.fromarray(LEVELS), "JPEG", quality=90),
    "progressive": encode(IMAGE, "JPEG", quality=90, progressive=True),
    "with restart markers": encode(IMAGE, "JPEG", quality=90, restart_marker_blocks=2),
    "4:4:4": encode(IMAGE, "JPEG", quality=90, subsampling=0),
    "cmyk": _cmyk,
}
for name, content in _kinds.items():
    _right(f"jpeg {name} without its end", _endings, content[:-2], _as_pillow(content), 6 if name == "cmyk" else 0)
    _refused(f"jpeg {name} cut in its last block", "truncated", content[:-6], "damaged")
_right("jpeg with a trailer and no end", _endings, _baseline[:-2] + b"SEFH\1\2" + bytes(64), _shown)
_progressive = _kinds["progressive"]
_refused(
    "jpeg without its last scan and end", "truncated", _progressive[: _progressive.rindex(b"\xff\xda")], "end is mis"
)
_behind = "JPEG with more behind it"
_right("jpeg with a film behind it", _behind, _baseline + random.bytes(1 << 20), _shown)
_right("jpeg with markers behind it", _behind, _baseline + b"\xff\xda" * 300, _shown)
_right("jpeg with another one behind it", _behind, _baseline + _kinds["grey"], _shown)
for marker in (0xE3, 0xFE):
    content = _baseline[:2] + jpeg_segment(marker, b"\xff\xda" * 300) + _baseline[2:]
    _right(f"jpeg with markers in segment {marker:x}", _behind, content, _shown)

# JPEG: sampling factors.
_luma = RGB @ np.array([0.299, 0.587, 0.114])
_ycc = np.dstack([_luma, 128 + (RGB[..., 2] - _luma) / 1.772, 128 + (RGB[..., 0] - _luma) / 1.402])
_factors = {
    "2x2 2x1 2x1": [(2, 2), (2, 1), (2, 1)],
    "2x2 1x2 1x2": [(2, 2), (1, 2), (1, 2)],
    "2x1 2x1 2x1": [(2, 1)] * 3,
    "4x1 1x1 2x1": [(4, 1), (1, 1), (2, 1)],
    "3x2": [(3, 2), (1, 1), (1, 1)],
    "1x4": [(1, 4), (1, 1), (1, 1)],
    "4x2": [(4, 2), (1, 1), (1, 1)],
    "chroma wider": [(1, 1), (2, 1), (2, 1)],
    "of one component": [(3, 2)],
}
for name, factors in _factors.items():
    content = jpeg_with_factors(_ycc[..., : len(factors)], factors)
    _right(f"jpeg sampled {name}", "JPEG", content, _as_pillow(content))
    if len(factors) > 1:
        _right(f"jpeg sampled {name} without its end", _endings, content[:-2], _as_pillow(content))
    _refused(
        f"jpeg sampled {name}, closed early", "damaged data", content[: len(content) * 2 // 3] + b"\xff\xd9", "damaged"
    )

# JPEG: damage that a later warning would hide, and kinds that are not read.
_restarts = encode(IMAGE, "JPEG", restart_marker_blocks=1)
_refused("jpeg restart marker out of turn", "damaged data", _restarts.replace(b"\xff\xd1", b"\xff\xd6", 1), "damaged")
_closed = _baseline[: len(_baseline) * 2 // 3] + b"\xff\xd9"
_refused(
    "jpeg closed early, and padded", "damaged data", _closed[:-2] + b"\xff\xd0" + bytes(40) + _closed[-2:], "damaged"
)
_deep_jpeg = bytes(imagecodecs.jpeg8_encode(DEEP[..., :3] >> 4, level=95, bitspersample=12))
_refused("jpeg of 12 bits", "JPEG of other kinds", _deep_jpeg, "JPEG of 12 bits")
_refused("jpeg lossless", "JPEG of other kinds", bytes(imagecodecs.ljpeg_encode(LEVELS)), "lossless JPEG")
_refused("jpeg-ls", "JPEG of other kinds", bytes(imagecodecs.jpegls_encode(LEVELS)), "JPEG-LS")

# PNG: transparent keys of every depth.
for bits in (1, 2, 4, 8):
    few = LEVELS >> (8 - bits)
    for key in {int(few[0, 0]), (1 << bits) - 1}:
        shown = np.dstack([_grey(few * (255 // ((1 << bits) - 1))), np.where(few == key, 0, 255)])
        # Only as many bits as a sample has count.
        for surplus in (0, 1 << 14):
            content = png(few[..., None], 0, bits, [chunk(b"tRNS", struct.pack(">H", key | surplus))], surplus == 0)
            if (few == key).any():
                _right(f"png grey {bits} bit key {key | surplus}", "transparency", content, shown)
_key = RGB[5, 7]
_keyed = np.dstack([RGB, np.where((RGB == _key).all(axis=2), 0, 255)])
_high = (_key.astype(">u2") | 0x300).astype(">u2")
_right("png color key with high bits", "transparency", png(RGB, 2, 8, [chunk(b"tRNS", _high.tobytes())]), _keyed)
_deep_key = DEEP[3, 4, :3]
_almost = DEEP[..., :3].copy()
_almost[0, 0] = _deep_key ^ 1  # The same in 8 bits, but not the key.
_right(
    "png color key 16 bit",
    "transparency",
    png(_almost, 2, 16, [chunk(b"tRNS", _deep_key.astype(">u2").tobytes())]),
    np.dstack([np.rint(_almost / 257), np.where((_almost == _deep_key).all(axis=2), 0, 255)]),
)
_right("png key of the wrong length", "PNG, damaged chunks", png(RGB, 2, 8, [chunk(b"tRNS", b"\0\1")]), RGB)


def _damaged(name: bytes, content: bytes) -> bytes:
    return chunk(name, content)[:-1] + bytes([chunk(name, content)[-1] ^ 1])


# PNG: damage of what does not make the pixels.
_iccp = chunk(b"iCCP", b"profile\0\0" + zlib.compress(ADOBE))
for name, content in {
    "tEXt": b"Comment\0hello",
    "zTXt": b"Comment\0\0nonsense",
    "iTXt": b"XML:com.adobe.xmp\0\0\0\0\0<x/>",
    "pHYs": struct.pack(">IIB", 3000, 3000, 1),
    "tIME": bytes([7, 230, 1, 1, 0, 0, 0]),
    "gAMA": struct.pack(">I", 100000),
    "iCCP": b"profile\0\0" + zlib.compress(ADOBE),
    "tRNS": bytes(6),
    "eXIf": b"MM\0*\0\0\0\x08\0\1\1\x12\0\3\0\0\0\1\0\6\0\0\0\0\0\0",
    "acTL": struct.pack(">II", 9, 0),
}.items():
    _right(f"png checksum of {name}", "PNG, damaged chunks", png(RGB, 2, 8, [_damaged(name.encode(), content)]), RGB)
for name, content in {
    "tEXt": b"",
    "cHRM": b"1",
    "gAMA": b"",
    "pHYs": b"\0",
    "zTXt": b"x\0\0?",
    "tIME": b"",
    "sRGB": b"",
}.items():
    _right(f"png nonsense in {name}", "PNG, damaged chunks", png(RGB, 2, 8, [chunk(name.encode(), content)]), RGB)
_plain = png(RGB, 2)
_right("png without its last chunk", "PNG, damaged chunks", _plain[:-12], RGB)
_right("png with more behind it", "PNG, RGB", _plain + b"PK\3\4" + bytes(99), RGB)
_long = struct.pack(">I", 3 << 20) + ADOBE[4:] + random.bytes((3 << 20) - len(ADOBE))
_right("png with a long profile", "ICC profile", encode(IMAGE, "PNG", icc_profile=_long), FROM_ADOBE, 2)
_refused(
    "png profile that does not inflate",
    "damaged or wrong ICC profile",
    png(RGB, 2, 8, [chunk(b"iCCP", b"profile\0\0" + zlib.compress(ADOBE)[:-40])]),
    "color profile is damaged",
)
_animation = chunk(b"acTL", struct.pack(">II", 1, 0)) + chunk(
    b"fcTL", struct.pack(">5I2H2B", 0, WIDTH, HEIGHT, 0, 0, 1, 1, 0, 0)
)
_right("png animation of one frame", "PNG, RGB", png(RGB, 2, 8, [_animation]), RGB)
_refused("png of an iphone app", "PNG of an unknown kind", png(RGB, 2, 8, [chunk(b"CgBI", bytes(4))]), "chunk 'CgBI'")

# PNG: which claim about colors counts.
_first, _srgb, _gamma = (
    "PNG, several claims about colors",
    chunk(b"sRGB", b"\0"),
    chunk(b"gAMA", struct.pack(">I", 100000)),
)
_cicp_srgb = chunk(b"cICP", bytes([1, 13, 0, 1]))
for name, chunks, shown in (
    ("cicp and profile", [_cicp_srgb, _iccp], RGB),
    ("profile and cicp", [_iccp, _cicp_srgb], RGB),
    ("profile and srgb", [_srgb, _iccp], FROM_ADOBE),
    ("profile and gamma", [_gamma, _iccp], FROM_ADOBE),
    ("srgb and gamma", [_gamma, _srgb], RGB),
    ("cicp of a matrix and profile", [chunk(b"cICP", bytes([1, 13, 1, 1])), _iccp], FROM_ADOBE),
    ("damaged cicp and profile", [_damaged(b"cICP", bytes([9, 16, 0, 1])), _iccp], FROM_ADOBE),
):
    _right(f"png {name}", _first, png(RGB, 2, 8, chunks), shown, 2)
_pq = chunk(b"cICP", bytes([9, 16, 0, 1]))
_refused("png hdr beside a profile", "HDR", png(RGB, 2, 8, [_iccp, _pq]), r"HDR \(PQ\)")
_refused("png hlg", "HDR", png(RGB, 2, 8, [chunk(b"cICP", bytes([9, 18, 0, 1]))]), r"HDR \(HLG\)")
_refused("png narrow range", "HDR", png(RGB, 2, 8, [chunk(b"cICP", bytes([1, 13, 0, 0]))]), "narrow range")
_right("png color chunks behind the pixels", _first, _plain[:-12] + _gamma + _plain[-12:], RGB)


def _primaries(*xy: float) -> np.ndarray:
    """RGB to XYZ, D65, which sRGB's matrix to the same white goes with."""
    columns = np.array([[x / y, 1, (1 - x - y) / y] for x, y in zip(xy[::2], xy[1::2], strict=True)]).T
    return columns * np.linalg.solve(columns, [0.3127 / 0.3290, 1, (1 - 0.3127 - 0.3290) / 0.3290])


def _with_primaries(*xy: float, exponent: float | None = None) -> np.ndarray:
    share = RGB / 255
    light = (
        np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4) if not exponent else share**exponent
    )
    return srgb_encoded(light @ (np.linalg.inv(_primaries(0.64, 0.33, 0.30, 0.60, 0.15, 0.06)) @ _primaries(*xy)).T)


_spaces = {
    "BT.601": ((6, 6), _with_primaries(0.630, 0.340, 0.310, 0.595, 0.155, 0.070)),
    "PAL": ((5, 6), _with_primaries(0.64, 0.33, 0.29, 0.60, 0.15, 0.06)),
    "Display P3": ((12, 13), _with_primaries(0.680, 0.320, 0.265, 0.690, 0.150, 0.060)),
    "BT.2020": ((9, 14), _with_primaries(0.708, 0.292, 0.170, 0.797, 0.131, 0.046)),
    "BT.709 by the curve of BT.2020": ((1, 15), RGB),
    "nothing": ((2, 2), RGB),
    "gamma 2.2": ((1, 4), _with_primaries(0.64, 0.33, 0.30, 0.60, 0.15, 0.06, exponent=2.2)),
    "linear light": ((1, 8), srgb_encoded(RGB / 255)),
}
_code_points = "code points (cICP, nclx)"
for name, ((primaries, transfer), shown) in _spaces.items():
    content = png(RGB, 2, 8, [chunk(b"cICP", bytes([primaries, transfer, 0, 1]))])
    _right(f"png in {name}", _code_points, content, shown, 2)
    options = {"primaries": primaries, "transfer": transfer, "matrix": 0}
    content = bytes(imagecodecs.avif_encode(RGB, level=100, pixelformat="444", **options))
    _right(f"avif in {name}", _code_points, content, shown, 3)
_pq_avif = bytes(imagecodecs.avif_encode(RGB, level=90, pixelformat="444", primaries=9, transfer=16, matrix=9))
_refused("avif hdr", "HDR", _pq_avif, r"HDR \(PQ\)")
_text = encode(IMAGE, "AVIF", quality=100, subsampling="4:4:4", xmp=b"colrnclx\0\x09\0\x10\0\x09\x80")
_right("avif with a text that speaks of code points", "AVIF", _text, RGB, 4)

# Orientation: EXIF counts, XMP does not.
_xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><tiff:Orientation="6" tiff:Orientation>6</tiff:Orientation></x:xmpmeta>'
_xmp_row = "orientation in XMP"
_right("jpeg xmp orientation", _xmp_row, encode(IMAGE, "JPEG", quality=90, xmp=_xmp), _shown)
_right("webp xmp orientation", _xmp_row, encode(IMAGE, "WEBP", lossless=True, xmp=_xmp), RGB)
_right("png xmp orientation", _xmp_row, png(RGB, 2, 8, [chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + _xmp)]), RGB)
_right("avif xmp orientation", _xmp_row, encode(IMAGE, "AVIF", quality=100, subsampling="4:4:4", xmp=_xmp), RGB, 4)


def _tiff(samples: np.ndarray, **options: object) -> bytes:
    stream = io.BytesIO()
    tifffile.imwrite(stream, samples, metadata=None, **options)
    return stream.getvalue()


_right(
    "tiff xmp orientation", _xmp_row, _tiff(RGB, photometric="rgb", extratags=[(700, 1, len(_xmp), _xmp, True)]), RGB
)
_turned = Image.Exif()
_turned[0x0112] = 6
_exif = chunk(b"eXIf", _turned.tobytes().removeprefix(b"Exif\0\0"))
_right("png exif behind the pixels", "EXIF orientation", _plain[:-12] + _exif + _plain[-12:], np.rot90(RGB, -1))
_right("png 16 bit with exif", "EXIF orientation", png(DEEP[..., :3], 2, 16, [_exif]), np.rot90(ROUNDED[..., :3], -1))

# BMP.
_five, _six = RGB.astype(int) >> 3, RGB.astype(int) >> 2
_565 = _five[..., 0] << 11 | _six[..., 1] << 5 | _five[..., 2]
_in_565 = np.rint(np.dstack([_five[..., 0] / 31, _six[..., 1] / 63, _five[..., 2] / 31]) * 255)
_in_555 = np.rint(_five / 31 * 255)
_555 = _five[..., 0] << 10 | _five[..., 1] << 5 | _five[..., 2]
_four = RGB.astype(int) >> 4
_4444 = _four[..., 0] << 8 | _four[..., 1] << 4 | _four[..., 2] | (ALPHA.astype(int) >> 4) << 12
_ten = DEEP.astype(int) >> 6
_shifts = np.array([16, 8, 0])
_packed = (RGB.astype(np.uint32) << _shifts.astype(np.uint32)).sum(axis=2)
_bmp = "BMP"
_masks_32 = (0xFF0000, 0xFF00, 0xFF)
_right("bmp 565", _bmp, bmp(_565, 16, (0xF800, 0x7E0, 0x1F)), _in_565)
_right("bmp 565 in a header of 56 bytes", _bmp, bmp(_565, 16, (0xF800, 0x7E0, 0x1F, 0), header=56), _in_565)
_right("bmp 555", _bmp, bmp(_555, 16), _in_555)
_right("bmp 555 by masks", _bmp, bmp(_555, 16, (0x7C00, 0x3E0, 0x1F)), _in_555)
_right("bmp bgr 565", _bmp, bmp(_565, 16, (0x1F, 0x7E0, 0xF800)), _in_565[..., ::-1])
_right(
    "bmp 1555",
    "transparency",
    bmp(_555 | (ALPHA.astype(int) >> 7) << 15, 16, (0x7C00, 0x3E0, 0x1F, 0x8000), 56),
    np.dstack([_in_555, 255 * (ALPHA >> 7)]),
)
_right(
    "bmp 4444",
    "transparency",
    bmp(_4444, 16, (0xF00, 0xF0, 0xF, 0xF000), 108),
    np.dstack([_four * 17, (ALPHA >> 4) * 17]),
)
_1010102 = _ten[..., 0] << 20 | _ten[..., 1] << 10 | _ten[..., 2]
_right("bmp of 10 bits", _bmp, bmp(_1010102, 32, (0x3FF00000, 0xFFC00, 0x3FF)), np.rint(_ten[..., :3] / 1023 * 255), 1)
_with_alpha = _packed | ALPHA.astype(np.uint32) << np.uint32(24)
for header in (56, 108, 124):
    content = bmp(_with_alpha, 32, (*_masks_32, 0xFF000000), header)
    _right(f"bmp with alpha, header {header}", "transparency", content, np.dstack([RGB, ALPHA]))
_right(
    "bmp with alpha by another code",
    "transparency",
    bmp(_with_alpha, 32, (*_masks_32, 0xFF000000), compression=6),
    np.dstack([RGB, ALPHA]),
)
_right("bmp whose alpha is all 0", "BMP whose alpha is all 0", bmp(_packed, 32, (*_masks_32, 0xFF000000), 108), RGB)
_right("bmp 32 bits without masks", _bmp, bmp(_with_alpha, 32), RGB)
for bits, colors in ((1, 2), (4, 16), (4, 2), (8, 256), (8, 2), (8, 3)):
    _palette = (
        _grey(np.linspace(0, 255, colors)[None])[0] if colors == 2 else random.integers(0, 256, (colors, 3), np.uint8)
    )
    _indexes = (LEVELS.astype(int) * colors) >> 8
    _right(
        f"bmp {bits} bit of {colors} colors",
        _bmp,
        bmp(_indexes, bits, palette=_palette, colors=colors),
        _palette[_indexes],
    )
_right(
    "bmp with a profile",
    "ICC profile",
    bmp(_packed, 32, (*_masks_32, 0), 124, space=b"DEBM" + bytes(48), profile=ADOBE),
    FROM_ADOBE,
    2,
)
_calibrated = struct.pack(
    "<9i3I",
    *(round(v * 2**30) for v in _primaries(0.64, 0.33, 0.21, 0.71, 0.15, 0.06).T.ravel()),
    *[round(563 / 256 * 65536)] * 3,
)
_right(
    "bmp with primaries",
    "BMP with primaries and gamma",
    bmp(_packed, 32, (*_masks_32, 0), 108, space=bytes(4) + _calibrated),
    FROM_ADOBE,
    2,
)
_right(
    "bmp with primaries of nothing",
    "BMP with primaries and gamma",
    bmp(_packed, 32, (*_masks_32, 0), 108, space=bytes(52)),
    RGB,
)
_refused("bmp 565 cut", "truncated", bmp(_565, 16, (0xF800, 0x7E0, 0x1F))[:-5], "damaged")
_refused("bmp of masks with gaps", "BMP of other kinds", bmp(_packed, 32, (0xF0F000, 0xFF00, 0xFF)), "masks have gaps")
_refused("bmp of a jpeg", "BMP of other kinds", bmp(_packed, 32, compression=4), "BMP file that cannot be read")

# TIFF: which picture, and samples.
_thumbnail = np.ascontiguousarray(RGB[::4, ::4])


def _tiff_of(*pages: tuple[np.ndarray, dict[str, object]]) -> bytes:
    stream = io.BytesIO()
    with tifffile.TiffWriter(stream) as writer:
        for samples, options in pages:
            writer.write(samples, photometric="rgb", metadata=None, **options)
    return stream.getvalue()


_small, _thumb = {"subfiletype": 1, "subifds": 1}, "TIFF with a thumbnail"
_right("tiff picture below the thumbnail", _thumb, _tiff_of((_thumbnail, _small), (RGB, {"subfiletype": 0})), RGB)
_right("tiff picture behind the thumbnail", _thumb, _tiff_of((_thumbnail, {"subfiletype": 1}), (RGB, {})), RGB)
_two = {"subfiletype": 1, "subifds": 2}
_right(
    "tiff picture and preview below",
    _thumb,
    _tiff_of((_thumbnail, _two), (_thumbnail, {"subfiletype": 1}), (RGB, {})),
    RGB,
)
_right("tiff thumbnails alone", _thumb, _tiff_of((RGB, {"subfiletype": 1}), (_thumbnail, {"subfiletype": 1})), RGB)
_refused(
    "tiff two pictures below",
    "several pages",
    _tiff_of((_thumbnail, _two), (RGB, {}), (RGB[::-1].copy(), {})),
    "several",
)
_camera = io.BytesIO()
with tifffile.TiffWriter(_camera) as writer:
    writer.write(_thumbnail, photometric="rgb", subfiletype=1, subifds=1, metadata=None)
    writer.write(DEEP[..., 0].copy(), photometric="cfa", subfiletype=0, metadata=None)
_refused("dng", "photographs in formats that are not read", _camera.getvalue(), "raw samples of a camera")


def _palette_tiff(indexes: np.ndarray, bits: int, colormap: np.ndarray) -> bytes:
    tag = (320, 3, colormap.size, colormap.ravel().tolist(), True)
    stream = io.BytesIO(_tiff(indexes, photometric="minisblack", bitspersample=bits, extratags=[tag]))
    with tifffile.TiffFile(stream) as file:
        at = file.pages.first.tags[262].valueoffset
    return stream.getvalue()[:at] + b"\3\0" + stream.getvalue()[at + 2 :]


_colors = random.integers(0, 256, (256, 3), np.uint8)
for bits in (1, 2, 4, 8):
    few = LEVELS >> (8 - bits)
    shown = _colors[few]
    for scale in (1, 257):
        content = _palette_tiff(few, bits, _colors[: 1 << bits].T.astype(np.uint16) * scale)
        _right(f"tiff palette of {bits} bits, colors times {scale}", "TIFF, palette", content, shown)
    shown = _grey(few * (255 // ((1 << bits) - 1)))
    for zero in ("minisblack", "miniswhite"):
        stored = few if zero == "minisblack" else ((1 << bits) - 1) - few
        _right(
            f"tiff grey {bits} bits {zero}", "TIFF, grey", _tiff(stored, photometric=zero, bitspersample=bits), shown
        )
for bits in (9, 10, 12, 14):
    shown = np.rint((DEEP[..., :3] >> (16 - bits)) / ((1 << bits) - 1) * 255)
    content = _tiff(DEEP[..., :3] >> (16 - bits), photometric="rgb", bitspersample=bits)
    _right(f"tiff rgb {bits} bits", "TIFF, other depths", content, shown, 1)
    content = _tiff((DEEP[..., 0] >> (16 - bits)).copy(), photometric="minisblack", bitspersample=bits)
    _right(f"tiff grey {bits} bits", "TIFF, other depths", content, _grey(shown[..., 0]), 1)
_grey_alpha = np.ascontiguousarray(DEEP[..., [0, 3]])
_options = {"photometric": "minisblack", "extrasamples": ["unassalpha"], "planarconfig": "contig"}
_right("tiff grey alpha 16 bits", "transparency", _tiff(_grey_alpha, **_options), ROUNDED[..., [0, 0, 0, 3]])
_soft = np.dstack([RGB, ALPHA])
_planes = np.ascontiguousarray(np.moveaxis(_soft, 2, 0))
_options = {"photometric": "rgb", "extrasamples": ["unassalpha"]}
_right("tiff alpha in planes", "transparency", _tiff(_planes, planarconfig="separate", **_options), _soft)
_right("tiff alpha in tiles", "transparency", _tiff(_soft, tile=(16, 16), compression="lzw", **_options), _soft)
for compression in ("jpeg2000", "webp", "zstd", "lzma", "png"):
    content = _tiff(
        RGB,
        photometric="rgb",
        compression=compression,
        compressionargs={"lossless": True}
        if compression == "webp"
        else {"level": 0}
        if compression == "jpeg2000"
        else None,
    )
    _right(f"tiff of {compression}", "TIFF", content, RGB)
for predictor in (2, 3):
    if predictor == 2:
        _right(
            "tiff predictor 16 bits",
            "TIFF, 16 bits",
            _tiff(DEEP[..., :3], photometric="rgb", compression="lzw", predictor=2),
            ROUNDED[..., :3],
        )
_profiled = _tiff(DEEP[..., :3] // 257 * 257, photometric="rgb", iccprofile=ADOBE)
_right("tiff 16 bits adobe rgb", "ICC profile", _profiled, _from(ADOBE_RGB_TO_XYZ, 563 / 256, DEEP[..., :3] // 257), 2)
_big = np.tile(RGB, (3, 3, 1))


def _sparse(compression: str | None) -> bytes:
    """Without its tiles 1 and 4."""
    stream = io.BytesIO(_tiff(_big, tile=(32, 32), photometric="rgb", compression=compression))
    with tifffile.TiffFile(stream) as file:
        for tag in (file.pages.first.tags[code] for code in (324, 325)):
            tag.overwrite([0 if i in (1, 4) else value for i, value in enumerate(tag.value)])
        return stream.getvalue()


_holes = _big.copy()
for i in (1, 4):
    _holes[i // 5 * 32 : i // 5 * 32 + 32, i % 5 * 32 : i % 5 * 32 + 32] = 0
_right("tiff sparse", "TIFF, sparse", _sparse("deflate"), _holes)
_right("tiff sparse, not compressed", "TIFF, sparse", _sparse(None), _holes)
_refused(
    "tiff of other inks",
    "TIFF, unusual samples",
    _tiff(DEEP, photometric="separated", extratags=[(332, 3, 1, 2, True)]),
    "other inks",
)
_refused(
    "tiff of signed samples", "TIFF, unusual samples", _tiff(RGB.astype(np.int8), photometric="rgb"), "signed samples"
)
_refused(
    "tiff of floating-point rgb",
    "TIFF, unusual samples",
    _tiff(RGB.astype(np.float32), photometric="rgb"),
    "floating-point",
)

# JPEG 2000.
_options_2000 = {"level": 0, "reversible": True}
for bits in (1, 2, 4, 5, 7, 10, 12, 16):
    deep = (DEEP[..., :3] >> (16 - bits)).astype(np.uint8 if bits <= 8 else np.uint16)
    shown = np.rint(deep / ((1 << bits) - 1) * 255)
    for codec in ("jp2", "j2k"):
        content = bytes(imagecodecs.jpeg2k_encode(deep, codecformat=codec, bitspersample=bits, **_options_2000))
        _right(f"{codec} {bits} bits", "JPEG 2000", content, shown)
    content = bytes(
        imagecodecs.jpeg2k_encode(deep[..., 0].copy(), codecformat="jp2", bitspersample=bits, **_options_2000)
    )
    _right(f"jp2 grey {bits} bits", "JPEG 2000", content, _grey(shown[..., 0]))
_deep_alpha = bytes(imagecodecs.jpeg2k_encode(DEEP >> 4, codecformat="jp2", bitspersample=12, **_options_2000))
_right("jp2 alpha 12 bits", "transparency", _deep_alpha, np.rint((DEEP >> 4) / 4095 * 255))
_few = (LEVELS >> 5).copy()
_stream = bytes(imagecodecs.jpeg2k_encode(_few, codecformat="j2k", bitspersample=8, **_options_2000))
_rgb_stream = bytes(imagecodecs.jpeg2k_encode(RGB, codecformat="j2k", bitspersample=8, **_options_2000))
_enumerated = box(b"colr", struct.pack(">BBBI", 1, 0, 0, 16))
_cmap = box(b"cmap", b"".join(struct.pack(">HBB", 0, 1, column) for column in range(3)))
for name, entries in {
    "of eight colors": range(8),
    "with equal colors": (0, 1, 1, 3, 4, 4, 4, 7),
    "of one color": [0] * 8,
}.items():
    _palette = _colors[list(entries)]
    _pclr = box(b"pclr", struct.pack(">HB", 8, 3) + b"\7\7\7" + _palette.tobytes())
    _right(
        f"jp2 palette {name}",
        "JPEG 2000",
        jp2(_stream, (WIDTH, HEIGHT), 1, 8, _enumerated, _pclr, _cmap),
        _palette[_few],
    )
_profile = box(b"colr", b"\2\0\0" + ADOBE)
_right("jp2 with a profile", "ICC profile", jp2(_rgb_stream, (WIDTH, HEIGHT), 3, 8, _profile), FROM_ADOBE, 2)
_unknown = box(b"colr", struct.pack(">BBBI", 1, 0, 0, 14))
_right(
    "jp2 of an unknown space and a profile",
    "ICC profile",
    jp2(_rgb_stream, (WIDTH, HEIGHT), 3, 8, _unknown, _profile),
    FROM_ADOBE,
    2,
)
_refused(
    "jp2 of lab",
    "JPEG 2000 of other colors",
    jp2(_rgb_stream, (WIDTH, HEIGHT), 3, 8, _unknown),
    "JPEG 2000 color space 14",
)
_refused("jp2 12 bits cut", "truncated", _deep_alpha[: len(_deep_alpha) // 2], "damaged")

# Formats that are known and not read.
_unread = "photographs in formats that are not read"
for name, content in {
    "HEIC": box(b"ftyp", b"heic\0\0\0\0mif1heic") + bytes(64),
    "JPEG XL": b"\xff\x0a" + bytes(64),
    "JPEG XL file": box(b"JXL ", b"\r\n\x87\n") + bytes(64),
    "Photoshop file": b"8BPS\0\1" + bytes(64),
    "raw photograph": box(b"ftyp", b"crx \0\0\0\1crx isom") + bytes(64),
}.items():
    _refused(name.lower(), _unread, content, name.removesuffix(" file"))
_refused("webp header alone", "truncated", b"RIFF\x20\0\0\0WEBPVP8 ", "WEBP file that cannot be read")
_refused(
    "jpeg profile of grey in cmyk",
    "damaged or wrong ICC profile",
    encode(Image.fromarray(_inks, "CMYK"), "JPEG", icc_profile=grey_profile(1)),
    "color profile",
)
