"""The corpus of odd images, made anew each time: each with the pixels that must come out, or why it must be refused."""

import io
import struct
import zlib
from collections.abc import Callable

import cv2
import numpy as np
import simplejpeg
from PIL import ExifTags, Image, ImageCms, ImageOps

from tests.odd_details import DETAILS
from tests.odd_files import (
    ADOBE_RGB_TO_XYZ,
    SRGB_TO_XYZ,
    Odd,
    chunk,
    cmyk_profile,
    encode,
    grey_profile,
    png,
    rgb_profile,
    srgb_encoded,
    tiff,
)

HEIGHT, WIDTH = 29, 37


ODD: dict[str, Odd] = dict(DETAILS)


def _right(name: str, row: str, content: bytes, pixels: np.ndarray, tolerance: int = 0) -> None:
    ODD[name] = Odd(row, content, pixels=pixels, tolerance=tolerance)


def _refused(name: str, row: str, content: bytes, refusal: str) -> None:
    ODD[name] = Odd(row, content, refusal=refusal)


def _as_pillow(content: bytes) -> np.ndarray:
    return np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(content))).convert("RGB"))


def _grey(levels: np.ndarray) -> np.ndarray:
    return np.repeat(levels.reshape(*levels.shape[:2], 1), 3, axis=2).astype(np.uint8)


random = np.random.default_rng(7)
RGB = np.asarray(Image.fromarray(random.integers(0, 256, (5, 6, 3), np.uint8)).resize((WIDTH, HEIGHT), Image.BICUBIC))
LEVELS = RGB[..., :1]
DEEP = random.integers(0, 1 << 16, (HEIGHT, WIDTH, 4), np.uint16)
ROUNDED = np.rint(DEEP / 257).astype(np.uint8)
IMAGE, GREY = Image.fromarray(RGB), Image.fromarray(LEVELS[..., 0])
OPAQUE = np.dstack([RGB, np.full((HEIGHT, WIDTH), 255, np.uint8)])
SOFT = np.dstack([RGB, LEVELS])

# PNG: bit depths, color types, interlacing.
for bits in (1, 2, 4, 8):
    few = LEVELS >> (8 - bits)
    palette = random.integers(0, 256, (1 << bits, 3), np.uint8)
    plte = chunk(b"PLTE", palette.tobytes())
    _right(f"png grey {bits} bit", "PNG, grey", png(few, 0, bits), _grey(few * (255 // ((1 << bits) - 1))))
    _right(f"png palette {bits} bit", "PNG, palette", png(few, 3, bits, [plte]), palette[few[..., 0]])
    _right(
        f"png palette {bits} bit interlaced",
        "PNG, interlaced",
        png(few, 3, bits, [plte], interlaced=True),
        palette[few[..., 0]],
    )
_right("png grey 16 bit", "PNG, 16 bits", png(DEEP[..., :1], 0, 16), _grey(ROUNDED[..., 0]))
_right("png rgb 16 bit", "PNG, 16 bits", png(DEEP[..., :3], 2, 16), ROUNDED[..., :3])
_right("png rgb 16 bit interlaced", "PNG, 16 bits", png(DEEP[..., :3], 2, 16, interlaced=True), ROUNDED[..., :3])
_right("png rgb", "PNG, RGB", png(RGB, 2), RGB)
_right("png rgb interlaced", "PNG, interlaced", png(RGB, 2, interlaced=True), RGB)
_right("png rgba opaque", "alpha, all opaque", png(OPAQUE, 6), RGB)
_right("png grey alpha opaque", "alpha, all opaque", png(OPAQUE[..., [0, 3]], 4), _grey(LEVELS))
_opaque_deep = DEEP.copy()
_opaque_deep[..., 3] = 65535
_right("png rgba 16 bit opaque", "alpha, all opaque", png(_opaque_deep, 6, 16), ROUNDED[..., :3])
_unused = struct.pack(">HHH", 1, 2, 3)
_right("png transparent color unused", "alpha, all opaque", png(RGB | 4, 2, 8, [chunk(b"tRNS", _unused)]), RGB | 4)
_right("png suggested palette", "PNG, RGB", png(RGB, 2, 8, [chunk(b"PLTE", bytes(768))]), RGB)
_right("png text", "PNG, RGB", png(RGB, 2, 8, [chunk(b"tEXt", b"Comment\0<script>{{ ds }}")]), RGB)
_right("png unknown chunk", "PNG, RGB", png(RGB, 2, 8, [chunk(b"quIz", b"?")]), RGB)

# Transparency.
_palette = random.integers(0, 256, (16, 3), np.uint8)
_alphas = random.integers(0, 256, 16).astype(np.uint8)
_few = LEVELS >> 4
_key, _grey_key, _deep_key = RGB[3, 4], LEVELS[3, 4], DEEP[3, 4, :1]


def _keyed(pixels: np.ndarray, transparent: np.ndarray) -> np.ndarray:
    return np.dstack([pixels, np.where(transparent, 0, 255).astype(np.uint8)])


_png = {
    "rgba": (png(SOFT, 6), SOFT),
    "rgba interlaced": (png(SOFT, 6, interlaced=True), SOFT),
    "rgba 16 bit": (png(DEEP, 6, 16), ROUNDED),
    "grey alpha": (png(SOFT[..., [0, 3]], 4), np.dstack([_grey(LEVELS), LEVELS])),
    "grey alpha 16 bit": (png(DEEP[..., [0, 3]], 4, 16), ROUNDED[..., [0, 0, 0, 3]]),
    "transparent palette": (
        png(_few, 3, 4, [chunk(b"PLTE", _palette.tobytes()), chunk(b"tRNS", _alphas.tobytes())]),
        np.dstack([_palette[_few[..., 0]], _alphas[_few]]),
    ),
    "transparent color": (
        png(RGB, 2, 8, [chunk(b"tRNS", _key.astype(">u2").tobytes())]),
        _keyed(RGB, (RGB == _key).all(axis=2)),
    ),
    "transparent grey": (
        png(LEVELS, 0, 8, [chunk(b"tRNS", _grey_key.astype(">u2").tobytes())]),
        _keyed(_grey(LEVELS), LEVELS[..., 0] == _grey_key),
    ),
    "transparent grey 16 bit": (
        png(DEEP[..., :1], 0, 16, [chunk(b"tRNS", _deep_key.astype(">u2").tobytes())]),
        _keyed(_grey(ROUNDED[..., 0]), DEEP[..., 0] == _deep_key),
    ),
}
for name, (content, pixels) in _png.items():
    _right(f"png {name}", "transparency", content, pixels)
_quarter = IMAGE.quantize(4)
_gif = np.dstack([np.asarray(_quarter.convert("RGB")), np.where(np.asarray(_quarter) == 0, 0, 255).astype(np.uint8)])
_right("gif transparent", "transparency", encode(_quarter, "GIF", transparency=0), _gif)
_right("webp alpha", "transparency", encode(Image.fromarray(SOFT), "WEBP", lossless=True, exact=True), SOFT)
_right("tiff alpha", "transparency", tiff(SOFT, 2, extra=2), SOFT)
_right("tiff alpha 16 bit", "transparency", tiff(DEEP, 2, 16, extra=2), ROUNDED)
_multiplied = np.minimum(SOFT, SOFT[..., 3:])
_straight = np.rint(_multiplied[..., :3] * (255 / np.maximum(SOFT[..., 3:], 1)))
_right("tiff premultiplied", "transparency", tiff(_multiplied, 2, extra=1), np.dstack([_straight, LEVELS]), 1)
_right(
    "png adobe rgb with alpha",
    "transparency",
    encode(Image.fromarray(SOFT), "PNG", icc_profile=rgb_profile(ADOBE_RGB_TO_XYZ, 563 / 256)),
    np.dstack([srgb_encoded((RGB / 255) ** (563 / 256) @ (np.linalg.inv(SRGB_TO_XYZ) @ ADOBE_RGB_TO_XYZ).T), LEVELS]),
    tolerance=2,
)

# JPEG.
_baseline = encode(IMAGE, "JPEG")
for name, content in {
    "jpeg": _baseline,
    "jpeg progressive": encode(IMAGE, "JPEG", progressive=True),
    "jpeg 4:4:4": encode(IMAGE, "JPEG", subsampling=0),
    "jpeg 4:2:2": encode(IMAGE, "JPEG", subsampling=1),
    "jpeg restart markers": encode(IMAGE, "JPEG", restart_marker_rows=1),
    "jpeg rgb inside": encode(IMAGE, "JPEG", keep_rgb=True),
    "jpeg grey": encode(GREY, "JPEG"),
    "jpeg grey progressive": encode(GREY, "JPEG", progressive=True),
}.items():
    _right(name, "JPEG, grey" if "grey" in name else "JPEG", content, _as_pillow(content))
_right("jpeg padded before its end", "JPEG", _baseline[:-2] + bytes(9) + _baseline[-2:], _as_pillow(_baseline))
_right("jpeg with more behind it", "JPEG", _baseline + b"PK\3\4 and more", _as_pillow(_baseline))
_mpo = encode(IMAGE, "MPO", save_all=True, append_images=[GREY.convert("RGB")])
_right("jpeg with a preview behind it (mpo)", "JPEG with previews or depth maps (MPO)", _mpo, _as_pillow(_mpo))
_smooth = Image.fromarray(RGB).resize((64, 48), Image.BICUBIC)
_inverse = 255 - np.asarray(_smooth)
_cmyk = Image.fromarray(np.dstack([_inverse, np.zeros((48, 64), np.uint8)]), "CMYK")
_right("jpeg cmyk", "CMYK", encode(_cmyk, "JPEG", quality=100, subsampling=0), np.asarray(_smooth), tolerance=6)
_ycck = simplejpeg.encode_jpeg(255 - np.asarray(_cmyk), colorspace="CMYK", quality=100, colorsubsampling="444")
_right("jpeg ycck", "CMYK", _ycck, np.asarray(_smooth), tolerance=6)
_right("tiff cmyk", "CMYK", tiff(np.asarray(_cmyk), 5), np.asarray(_smooth))
_inks = np.dstack([random.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8), LEVELS])
_lightness = 100 * (1 - LEVELS[..., 0] / 255)
_light = np.where(_lightness > 8, ((_lightness + 16) / 116) ** 3, _lightness / 903.3)
_right(
    "tiff cmyk with a profile",
    "CMYK with an ICC profile",
    encode(Image.fromarray(_inks, "CMYK"), "TIFF", icc_profile=cmyk_profile()),
    _grey(srgb_encoded(_light)),
    tolerance=2,
)

# Orientation.
for orientation in range(1, 9):
    exif = Image.Exif()
    exif[0x0112] = orientation
    upright = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(encode(IMAGE, "PNG", exif=exif)))))
    for kind, options in {"PNG": {}, "TIFF": {}, "WEBP": {"lossless": True}}.items():
        content = encode(IMAGE, kind, exif=exif, **options)
        _right(f"{kind.lower()} orientation {orientation}", "EXIF orientation", content, upright)
    content = encode(IMAGE, "JPEG", exif=exif)
    _right(f"jpeg orientation {orientation}", "EXIF orientation", content, _as_pillow(content))
    _right(
        f"tiff 16 bit orientation {orientation}",
        "EXIF orientation",
        tiff(DEEP[..., :3], 2, 16, orientation=orientation),
        np.asarray(
            ImageOps.exif_transpose(Image.open(io.BytesIO(encode(Image.fromarray(ROUNDED[..., :3]), "PNG", exif=exif))))
        ),
    )
_right(
    "jpeg damaged exif",
    "damaged EXIF data",
    encode(IMAGE, "JPEG", exif=b"Exif\0\0MM\0*\xff\xff"),
    _as_pillow(_baseline),
)
exif = Image.Exif()
exif[0x0112] = 9
_right("jpeg orientation unknown", "damaged EXIF data", encode(IMAGE, "JPEG", exif=exif), _as_pillow(_baseline))

# Color spaces.
_adobe = rgb_profile(ADOBE_RGB_TO_XYZ, 563 / 256)
_in_srgb = srgb_encoded((RGB / 255) ** (563 / 256) @ (np.linalg.inv(SRGB_TO_XYZ) @ ADOBE_RGB_TO_XYZ).T)
_linear = srgb_encoded(RGB / 255.0)
_right("png adobe rgb", "ICC profile", encode(IMAGE, "PNG", icc_profile=_adobe), _in_srgb, tolerance=2)
_right("webp adobe rgb", "ICC profile", encode(IMAGE, "WEBP", lossless=True, icc_profile=_adobe), _in_srgb, tolerance=2)
_right("tiff adobe rgb", "ICC profile", encode(IMAGE, "TIFF", icc_profile=_adobe), _in_srgb, tolerance=2)
_few_colors = IMAGE.quantize(200)
_right(
    "png palette adobe rgb",
    "ICC profile",
    encode(_few_colors, "PNG", icc_profile=_adobe),
    srgb_encoded(
        (np.asarray(_few_colors.convert("RGB")) / 255) ** (563 / 256)
        @ (np.linalg.inv(SRGB_TO_XYZ) @ ADOBE_RGB_TO_XYZ).T
    ),
    tolerance=2,
)
_srgb_like, _as_srgb = rgb_profile(SRGB_TO_XYZ, 563 / 256), srgb_encoded((LEVELS / 255) ** (563 / 256))
_right(
    "png linear rgb profile", "ICC profile", encode(IMAGE, "PNG", icc_profile=rgb_profile(SRGB_TO_XYZ, 1)), _linear, 2
)
_right(
    "png grey linear profile",
    "ICC profile of grey",
    encode(GREY, "PNG", icc_profile=grey_profile(1)),
    _grey(srgb_encoded(LEVELS / 255.0)),
    tolerance=1,
)
_right(
    "png grey with a profile of rgb",
    "ICC profile of grey",
    encode(GREY, "PNG", icc_profile=_srgb_like),
    _grey(_as_srgb),
    1,
)
_SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
_right("png srgb profile", "ICC profile of sRGB", encode(IMAGE, "PNG", icc_profile=_SRGB), RGB)
_right("jpeg srgb profile", "ICC profile of sRGB", encode(IMAGE, "JPEG", icc_profile=_SRGB), _as_pillow(_baseline))
_right(
    "png grey with the profile of srgb", "ICC profile of sRGB", encode(GREY, "PNG", icc_profile=_SRGB), _grey(LEVELS)
)
_refused(
    "png damaged profile",
    "damaged or wrong ICC profile",
    encode(IMAGE, "PNG", icc_profile=_adobe[:200]),
    "color profile",
)
_refused(
    "jpeg profile of grey",
    "damaged or wrong ICC profile",
    encode(IMAGE, "JPEG", icc_profile=grey_profile(1)),
    "color profile",
)
_gamma = chunk(b"gAMA", struct.pack(">I", 100000))
_right("png gamma 1", "PNG gamma (gAMA)", png(RGB, 2, 8, [_gamma]), _linear)
_right("png grey gamma 1", "PNG gamma (gAMA)", png(LEVELS, 0, 8, [_gamma]), _grey(srgb_encoded(LEVELS / 255.0)))
_right("png srgb chunk beats gamma", "PNG gamma (gAMA)", png(RGB, 2, 8, [chunk(b"sRGB", b"\0"), _gamma]), RGB)
_right("png gamma of srgb", "PNG gamma (gAMA)", png(RGB, 2, 8, [chunk(b"gAMA", struct.pack(">I", 45455))]), RGB)
_adobe_primaries = chunk(b"cHRM", struct.pack(">8I", 31270, 32900, 64000, 33000, 21000, 71000, 15000, 6000))
_srgb_primaries = chunk(b"cHRM", struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000))
_adobe_gamma = chunk(b"gAMA", struct.pack(">I", round(1e5 * 256 / 563)))
_right("png adobe rgb by chrm", "PNG primaries (cHRM)", png(RGB, 2, 8, [_adobe_gamma, _adobe_primaries]), _in_srgb, 2)
_right("png linear, chrm of srgb", "PNG primaries (cHRM)", png(RGB, 2, 8, [_gamma, _srgb_primaries]), _linear)
_right(
    "png srgb chunk beats chrm",
    "PNG primaries (cHRM)",
    png(RGB, 2, 8, [chunk(b"sRGB", b"\0"), _adobe_gamma, _adobe_primaries]),
    RGB,
)
_right("png chrm without gamma", "PNG primaries (cHRM)", png(RGB, 2, 8, [_adobe_primaries]), RGB)
_right("png chrm of nothing", "PNG primaries (cHRM)", png(RGB, 2, 8, [_gamma, chunk(b"cHRM", bytes(32))]), _linear)
_right(
    "png grey with chrm",
    "PNG primaries (cHRM)",
    png(LEVELS, 0, 8, [_adobe_gamma, _adobe_primaries]),
    _grey(_as_srgb),
    1,
)


def _camera(color_space: int, index: str | None) -> bytes:
    """EXIF data as a camera writes them."""
    exif = Image.Exif()
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.ColorSpace] = color_space
    if index:
        exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.IFD.Interop] = {ExifTags.Interop.InteropIndex: index}
    return exif.tobytes()


_from_adobe = srgb_encoded(
    (_as_pillow(_baseline) / 255) ** (563 / 256) @ (np.linalg.inv(SRGB_TO_XYZ) @ ADOBE_RGB_TO_XYZ).T
)
for name, space, index, shown in (
    ("R03", 0xFFFF, "R03", _from_adobe),
    ("tag 2", 2, None, _from_adobe),
    ("uncalibrated", 0xFFFF, None, _as_pillow(_baseline)),
    ("sRGB", 1, "R98", _as_pillow(_baseline)),
):
    content = encode(IMAGE, "JPEG", exif=_camera(space, index))
    _right(f"jpeg exif color space {name}", "Adobe RGB by EXIF", content, shown, tolerance=2)
_right(
    "jpeg profile beats exif",
    "Adobe RGB by EXIF",
    encode(IMAGE, "JPEG", exif=_camera(0xFFFF, "R03"), icc_profile=_SRGB),
    _as_pillow(_baseline),
)
_right(
    "png code points of srgb", "code points (cICP, nclx)", png(RGB, 2, 8, [chunk(b"cICP", bytes([1, 13, 0, 1]))]), RGB
)
_right(
    "png text that speaks of code points",
    "PNG, RGB",
    png(RGB, 2, 8, [chunk(b"tEXt", b"Comment\0cICP\x09\x10\0\1")]),
    RGB,
)
_refused(
    "png hdr",
    "HDR",
    png(RGB, 2, 8, [chunk(b"cICP", bytes([9, 16, 0, 1]))]),
    r"HDR \(PQ\)",
)

# TIFF.
for compression in ("tiff_lzw", "tiff_adobe_deflate", "packbits", None):
    _right(f"tiff {compression}", "TIFF", encode(IMAGE, "TIFF", compression=compression), RGB)
_right("tiff big-endian", "TIFF", tiff(RGB, 2, order=">"), RGB)
_right("tiff planes", "TIFF", tiff(RGB, 2, planes=True), RGB)
_right("tiff grey", "TIFF, grey", tiff(LEVELS, 1), _grey(LEVELS))
_right("tiff grey, white is zero", "TIFF, grey", tiff(255 - LEVELS, 0), _grey(LEVELS))
_black = Image.fromarray(LEVELS[..., 0] > 120)
_right("tiff fax", "TIFF, grey", encode(_black, "TIFF", compression="group4"), _grey(255 * (LEVELS > 120)))
_right("tiff palette", "TIFF", encode(IMAGE.quantize(64), "TIFF"), np.asarray(IMAGE.quantize(64).convert("RGB")))
_right("tiff 16 bit", "TIFF, 16 bits", tiff(DEEP[..., :3], 2, 16), ROUNDED[..., :3])
_right("tiff 16 bit big-endian", "TIFF, 16 bits", tiff(DEEP[..., :3], 2, 16, order=">"), ROUNDED[..., :3])
_right("tiff grey 16 bit", "TIFF, 16 bits", tiff(DEEP[..., :1], 1, 16), _grey(ROUNDED[..., 0]))
_right("tiff grey 16 bit, white is zero", "TIFF, 16 bits", tiff(65535 - DEEP[..., :1], 0, 16), _grey(ROUNDED[..., 0]))
_right("tiff 16 bit in planes", "TIFF, 16 bits", tiff(DEEP[..., :3], 2, 16, planes=True), ROUNDED[..., :3])
_right(
    "tiff 16 bit cmyk", "TIFF, 16 bits", tiff(DEEP, 5, 16), np.asarray(Image.fromarray(ROUNDED, "CMYK").convert("RGB"))
)
_refused("tiff 32 bit", "TIFF, unusual samples", tiff(DEEP[..., :1].astype(np.uint32), 1, 32), "32 bits a sample")
_refused("tiff floating point", "TIFF, unusual samples", encode(IMAGE.convert("F"), "TIFF"), "floating-point samples")
_refused("tiff lab", "TIFF, unusual samples", encode(IMAGE.convert("LAB"), "TIFF"), "L\\*a\\*b\\* colors")
_pages = encode(IMAGE, "TIFF", save_all=True, append_images=[IMAGE.rotate(180)])
_refused("tiff of two pages", "several pages", _pages, "animated or has several pages")
_thumbnail = GREY.resize((8, 6))
_thumbnail.encoderinfo = {"tiffinfo": {254: 1}}
_with_thumbnail = encode(IMAGE, "TIFF", save_all=True, append_images=[_thumbnail])
_right("tiff with a thumbnail page", "TIFF with a thumbnail", _with_thumbnail, RGB)
_in_jpeg = encode(IMAGE, "TIFF", compression="jpeg", quality=100)
_right("tiff of jpeg", "TIFF", _in_jpeg, _as_pillow(_in_jpeg))

# Other formats.
_indexed = IMAGE.quantize(64)
_shown = np.asarray(_indexed.convert("RGB"))
_right("gif", "GIF, still", encode(_indexed, "GIF"), _shown)
_right("gif interlaced", "GIF, still", encode(_indexed, "GIF", interlace=1), _shown)
_right("gif of one frame, with a delay", "GIF, still", encode(_indexed, "GIF", save_all=True, duration=100), _shown)
_gif = encode(_indexed, "GIF")
_around = np.zeros((HEIGHT + 3, WIDTH + 5, 4), np.uint8)
_around[:HEIGHT, :WIDTH] = np.dstack([_shown, np.full((HEIGHT, WIDTH), 255, np.uint8)])
_right(
    "gif whose frame is smaller than its screen",
    "GIF, still",
    _gif[:6] + struct.pack("<HH", WIDTH + 5, HEIGHT + 3) + _gif[10:],
    _around,
)
_lossy = encode(IMAGE, "WEBP", quality=80)
_right("webp", "WebP", _lossy, _as_pillow(_lossy))
_right("webp lossless", "WebP", encode(IMAGE, "WEBP", lossless=True), RGB)
_right("webp opaque alpha", "alpha, all opaque", encode(Image.fromarray(OPAQUE), "WEBP", lossless=True), RGB)
for mode in ("1", "L", "P", "RGB"):
    content = encode(IMAGE.convert(mode), "BMP")
    _right(f"bmp {mode}", "BMP", content, np.asarray(IMAGE.convert(mode).convert("RGB")))
_bmp = encode(IMAGE, "BMP")
_stride = -(-3 * WIDTH // 4) * 4
_rows = b"".join(reversed([_bmp[54 + i * _stride : 54 + (i + 1) * _stride] for i in range(HEIGHT)]))
_right("bmp top row first", "BMP", _bmp[:22] + struct.pack("<i", -HEIGHT) + _bmp[26:54] + _rows, RGB)
_header = f"{WIDTH} {HEIGHT}".encode()
_right("ppm", "PPM, PGM, PBM", b"P6 " + _header + b" 255\n" + RGB.tobytes(), RGB)
_right("ppm as text", "PPM, PGM, PBM", b"P3 " + _header + b" 255\n" + " ".join(map(str, RGB.ravel())).encode(), RGB)
_right("pgm", "PPM, PGM, PBM", b"P5\n# a comment\n" + _header + b" 255\n" + LEVELS.tobytes(), _grey(LEVELS))
_right(
    "pgm 16 bit",
    "PPM, PGM, PBM",
    b"P5 " + _header + b" 65535\n" + DEEP[..., 0].astype(">u2").tobytes(),
    _grey(ROUNDED[..., 0]),
)
_right(
    "ppm 16 bit",
    "PPM, PGM, PBM",
    b"P6 " + _header + b" 65535\n" + DEEP[..., :3].astype(">u2").tobytes(),
    ROUNDED[..., :3],
)
_right(
    "pgm of 100 levels",
    "PPM, PGM, PBM",
    b"P5 " + _header + b" 100\n" + (LEVELS // 3).tobytes(),
    _grey(np.rint((LEVELS // 3) * 2.55)),
    1,
)
_right("jpeg 2000", "JPEG 2000", encode(IMAGE, "JPEG2000"), RGB)
_right("jpeg 2000 grey", "JPEG 2000", encode(GREY, "JPEG2000"), _grey(LEVELS))
_large = random.integers(0, 1 << 16, (70, 80, 3), np.uint16)
_deep_jp2 = cv2.imencode(".jp2", _large[..., ::-1], [cv2.IMWRITE_JPEG2000_COMPRESSION_X1000, 1000])[1].tobytes()
_right("jpeg 2000 16 bit", "JPEG 2000", _deep_jp2, np.rint(_large / 257), tolerance=1)
_avif = encode(IMAGE, "AVIF", quality=90)
_right("avif", "AVIF", _avif, _as_pillow(_avif))

# Animations.
for kind in ("PNG", "GIF", "WEBP", "AVIF"):
    content = encode(IMAGE, kind, save_all=True, append_images=[IMAGE.rotate(180)], duration=100)
    _refused(f"animated {kind.lower()}", "animation", content, "animated or has several pages")

# Sizes.
_right("1 x 1", "1 x 1 and lines", png(RGB[:1, :1], 2), RGB[:1, :1])
_right("1 x 1 gif", "1 x 1 and lines", encode(_indexed.crop((0, 0, 1, 1)), "GIF"), _shown[:1, :1])
_line = random.integers(0, 256, (1, 65535, 3), np.uint8)
_right("65535 wide", "1 x 1 and lines", png(_line, 2), _line)
_right("65535 high", "1 x 1 and lines", png(_line.swapaxes(0, 1), 2), _line.swapaxes(0, 1))
_wide = encode(Image.fromarray(_line[:, :65500]), "JPEG")
_right("65500 wide jpeg", "1 x 1 and lines", _wide, _as_pillow(_wide))
_refused("zero wide", "zero size", png(RGB, 2, size=(0, HEIGHT)), "known format|damaged")
_refused("zero high", "zero size", png(RGB, 2, size=(WIDTH, 0)), "known format|damaged")
_bomb = png(np.zeros((1, 1, 1), np.uint8), 0, 1, size=(200_000, 200_000))
_refused("png bomb", "too many pixels", _bomb, "more than the limit")
_refused(
    "gif bomb",
    "too many pixels",
    encode(_indexed, "GIF")[:6] + b"\xff" * 4 + encode(_indexed, "GIF")[10:],
    "more than the limit",
)
_refused(
    "too long a line", "too many pixels", png(np.zeros((1, 1, 1), np.uint8), 0, 1, size=(1_000_001, 1)), "a side longer"
)
_text_bomb = chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(200 << 20), 9))
_right("png text bomb", "PNG, damaged text", png(RGB, 2, 8, [_text_bomb] * 2), RGB)

# Damage.
_frame = _baseline.index(b"\xff\xc0") + 5


def _taller(content: bytes, at: int, code: str, value: int) -> bytes:
    return content[:at] + struct.pack(code, value) + content[at + struct.calcsize(code) :]


_refused("jpeg header too high", "wrong size in the header", _taller(_baseline, _frame, ">H", 400), "damaged")
_refused("png header too high", "wrong size in the header", png(RGB, 2, size=(WIDTH, 300)), "damaged")
_refused("png header too low", "wrong size in the header", png(RGB, 2, size=(WIDTH, 3)), "damaged")
_refused("png header too wide", "wrong size in the header", png(RGB, 2, size=(WIDTH + 1, HEIGHT)), "damaged")
_refused("bmp header too high", "wrong size in the header", _taller(_bmp, 22, "<i", 300), "damaged")
_refused("jpeg without its middle", "damaged data", _baseline[:700] + _baseline[750:], "damaged")
_refused("jpeg closed too early", "damaged data", _baseline[:700] + b"\xff\xd9", "damaged")
_ycck_cut = _ycck[: len(_ycck) // 2] + b"\xff\xd9"
_refused("jpeg ycck closed too early", "damaged data", _ycck_cut, "damaged")
_scans = encode(IMAGE, "JPEG", progressive=True)
_scan = _scans[_scans.rindex(b"\xff\xda") : -2]
_refused("jpeg of a thousand scans", "damaged data", _scans[:-2] + 1000 * _scan + b"\xff\xd9", "scans")
_plain = png(RGB, 2)
_refused("png damaged chunk", "damaged data", _plain.replace(b"IDAT\x78", b"IDAT\x79"), "damaged")
_refused("png missing data", "damaged data", _plain[:33] + chunk(b"IEND", b""), "damaged|known format")
_refused("webp cut", "truncated", _lossy[: len(_lossy) // 2], "damaged|known format")
_refused("avif cut", "truncated", _avif[: len(_avif) // 2], "damaged|known format")
_refused("tiff cut", "truncated", encode(IMAGE, "TIFF", compression="tiff_lzw")[:900], "damaged|known format")
_one_row = struct.pack("<HHII", 278, 4, 1, HEIGHT)
_refused(
    "tiff with one of its strips",
    "damaged data",
    tiff(RGB, 2).replace(_one_row, struct.pack("<HHII", 278, 4, 1, 1)),
    f"1 of its {HEIGHT} strips",
)
_refused("header alone", "truncated", _plain[:60], "damaged")

# No images.
for name, content in {
    "text": b"Lorem ipsum dolor sit amet",
    "html": b"<html><body><img src=cat.png></body></html>",
    "postscript": encode(IMAGE, "EPS"),
    "pdf": encode(IMAGE, "PDF"),
    "svg": b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><script>alert(1)</script></svg>',
    "icon": encode(IMAGE, "ICO"),
    "zip": b"PK\3\4" + bytes(60),
    "zeros": bytes(5000),
}.items():
    _refused(name, "no image, or another format", content, "not an image of a known format")
_refused("signature alone", "truncated", b"\x89PNG\r\n\x1a\n", "PNG file that cannot be read: it is damaged")
_refused("empty", "empty file", b"", "is empty")

#: Files by whose every prefix truncation is tried.
SMALL: dict[str, Callable[[Image.Image], bytes]] = {
    "jpeg": lambda image: encode(image, "JPEG"),
    "jpeg progressive": lambda image: encode(image, "JPEG", progressive=True),
    "png": lambda image: encode(image, "PNG"),
    "webp": lambda image: encode(image, "WEBP"),
    "gif": lambda image: encode(image.quantize(8), "GIF"),
    "bmp": lambda image: encode(image, "BMP"),
    "tiff": lambda image: encode(image, "TIFF", compression="tiff_lzw"),
    "ppm": lambda image: encode(image, "PPM"),
    "jpeg2000": lambda image: encode(image, "JPEG2000"),
    "avif": lambda image: encode(image, "AVIF"),
}
