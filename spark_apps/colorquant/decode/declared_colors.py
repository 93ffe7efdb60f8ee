"""The color space that a file declares: one function for each container, with the order in which its claims count.

Sources: PNG Specification, third edition, 13.13; ITU-T H.273, tables 2 and 3; Microsoft's BITMAPV5HEADER; DCF 2.0.
"""

import contextlib
import struct
from collections.abc import Callable

from PIL import ExifTags, Image

from colorquant.decode import boxes, png_file
from colorquant.decode.color_management import ColorSpace
from colorquant.decode.matrix_profile import ADOBE_RGB, ADOBE_RGB_EXPONENT, SRGB, matrix_profile
from colorquant.errors import UnknownColorSpace

_SRGB_GAMMA = 0.45455
_GAMMA_TOLERANCE = 0.01
_SAME_CHROMATICITY = 0.002
_UNCALIBRATED = 0xFFFF

_D65 = SRGB[:2]
_C = (0.310, 0.316)
_UNSPECIFIED = 2
# H.273 color primaries: CIE x, y of white, red, green, blue.
_PRIMARIES = {
    1: SRGB,
    _UNSPECIFIED: SRGB,
    4: (*_C, 0.67, 0.33, 0.21, 0.71, 0.14, 0.08),
    5: (*_D65, 0.64, 0.33, 0.29, 0.60, 0.15, 0.06),
    6: (*_D65, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070),
    7: (*_D65, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070),
    8: (*_C, 0.681, 0.319, 0.243, 0.692, 0.145, 0.049),
    9: (*_D65, 0.708, 0.292, 0.170, 0.797, 0.131, 0.046),
    11: (0.314, 0.351, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),
    12: (*_D65, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),
    22: (*_D65, 0.630, 0.340, 0.295, 0.605, 0.155, 0.077),
}
# H.273 transfer characteristics: the exponent of a power, or None for sRGB's curve. Viewers show the curves of video
# (BT.709 and those like it: 1, 6, 7, 11, 12, 14, 15) by sRGB's.
_TRANSFERS = {4: 2.2, 5: 2.8, 8: 1.0} | dict.fromkeys((1, _UNSPECIFIED, 6, 7, 11, 12, 13, 14, 15))
_HDR = {16: "PQ", 18: "HLG"}

# Enumerated color spaces of JPEG 2000 that decoders give as RGB, grey or CMYK: sRGB, grey, sYCC and CMYK.
_JPEG2000_SPACES = frozenset({12, 16, 17, 18})
_ENUMERATED, _RESTRICTED_PROFILE, _ANY_PROFILE = 1, 2, 3


def color_space_of(image: Image.Image, content: bytes) -> ColorSpace:
    """The color space of an opened file, whose bytes are ``content``.

    Raises
    ------
    UnknownColorSpace
        It cannot be converted to sRGB.
    """
    declared = _BY_FORMAT.get(image.format or "", _of_profile)
    return declared(image, content)


def _of_profile(image: Image.Image, content: bytes) -> ColorSpace:
    return ColorSpace(profile=image.info.get("icc_profile") or None)


def _of_png(image: Image.Image, content: bytes) -> ColorSpace:
    """cICP, iCCP, sRGB, gAMA with cHRM, in this order."""
    found = png_file.before_pixels(content, {b"cICP", b"iCCP", b"sRGB", b"gAMA", b"cHRM"})
    code_points = found.get(b"cICP", b"")
    # The matrix must be 0: a PNG holds RGB. Any other chunk is invalid, and ignored.
    if len(code_points) == 4 and code_points[2] == 0:
        if code_points[3] != 1:
            raise UnknownColorSpace("they are of the narrow range of video")
        return _of_code_points(code_points[0], code_points[1])
    if b"iCCP" in found:
        try:
            return ColorSpace(profile=png_file.inflated_profile(found[b"iCCP"]))
        except Exception as error:
            raise UnknownColorSpace(f"its color profile is damaged ({error})") from error
    gamma = int.from_bytes(found.get(b"gAMA", b"")) / 1e5
    if b"sRGB" in found or not gamma:
        return ColorSpace()
    values = found.get(b"cHRM", b"")
    return _of_gamma(gamma, tuple(v / 1e5 for v in struct.unpack(">8I", values)) if len(values) == 32 else None)


def _of_jpeg(image: Image.Image, content: bytes) -> ColorSpace:
    """An ICC profile, or else the color space of EXIF data."""
    if image.info.get("icc_profile"):
        return _of_profile(image, content)
    return ColorSpace(profile=matrix_profile(ADOBE_RGB, ADOBE_RGB_EXPONENT)) if _is_adobe_rgb(image) else ColorSpace()


def _of_avif(image: Image.Image, content: bytes) -> ColorSpace:
    """An ICC profile, or else code points."""
    if image.info.get("icc_profile"):
        return _of_profile(image, content)
    declared = boxes.code_points_of_avif(content)
    return _of_code_points(*declared) if declared else ColorSpace()


def _of_jpeg2000(image: Image.Image, content: bytes) -> ColorSpace:
    """The first color specification box that is understood."""
    unknown = 0
    for method, value in boxes.color_boxes_of_jpeg2000(content):
        if method in (_RESTRICTED_PROFILE, _ANY_PROFILE):
            return ColorSpace(profile=value)
        if method == _ENUMERATED:
            unknown = int.from_bytes(value[:4])
            if unknown in _JPEG2000_SPACES:
                return ColorSpace()
    if unknown:
        raise UnknownColorSpace(f"they are in the JPEG 2000 color space {unknown}")
    return ColorSpace()


def _of_bmp(image: Image.Image, content: bytes) -> ColorSpace:
    """An embedded profile (header of 124 bytes), or primaries and gamma (of 108 or more), if they make sense."""
    size = int.from_bytes(content[14:18], "little")
    kind = content[70:74] if size >= 108 else b""
    if kind == b"DEBM" and size >= 124:
        at, length = struct.unpack("<II", content[126:134])
        return ColorSpace(profile=content[14 + at : 14 + at + length])
    if kind == bytes(4):
        ends = [value / 2**30 for value in struct.unpack("<9i", content[74:110])]
        gammas = [value / 2**16 for value in struct.unpack("<3I", content[110:122])]
        colors = [ends[i : i + 3] for i in (0, 3, 6)]
        white = [sum(axis) for axis in zip(*colors, strict=True)]
        with contextlib.suppress(ValueError, struct.error, ZeroDivisionError):
            chromaticities = tuple(xyz[axis] / sum(xyz) for xyz in (white, *colors) for axis in (0, 1))
            return _of_gamma(1 / gammas[1], chromaticities)
    return ColorSpace()


_BY_FORMAT: dict[str, Callable[[Image.Image, bytes], ColorSpace]] = {
    "PNG": _of_png,
    "JPEG": _of_jpeg,
    "MPO": _of_jpeg,
    "AVIF": _of_avif,
    "JPEG2000": _of_jpeg2000,
    "BMP": _of_bmp,
}


def _of_code_points(primaries: int, transfer: int) -> ColorSpace:
    """The color space of coding-independent code points (ITU-T H.273)."""
    if primaries not in _PRIMARIES or transfer not in _TRANSFERS:
        kind = f", which is HDR ({_HDR[transfer]})" if transfer in _HDR else ""
        raise UnknownColorSpace(f"they are in ITU-T H.273 primaries {primaries} and transfer {transfer}{kind}")
    chromaticities, exponent = _PRIMARIES[primaries], _TRANSFERS[transfer]
    if chromaticities == SRGB and exponent is None:
        return ColorSpace()
    return ColorSpace(profile=matrix_profile(chromaticities, exponent))


def _of_gamma(gamma: float, chromaticities: tuple[float, ...] | None) -> ColorSpace:
    """The color space of primaries and the exponent of an encoding; primaries that make no sense are ignored."""
    if chromaticities and max(abs(x - y) for x, y in zip(chromaticities, SRGB, strict=True)) > _SAME_CHROMATICITY:
        with contextlib.suppress(ValueError, struct.error):
            return ColorSpace(profile=matrix_profile(chromaticities, 1 / gamma))
    return ColorSpace(gamma=gamma) if abs(gamma - _SRGB_GAMMA) > _GAMMA_TOLERANCE else ColorSpace()


def _is_adobe_rgb(image: Image.Image) -> bool:
    """Whether EXIF data declare Adobe RGB: by "R03" (DCF 2.0), or by a 2 in the color space tag, as some cameras do."""
    try:
        exif = image.getexif()
        space = exif.get_ifd(ExifTags.IFD.Exif).get(ExifTags.Base.ColorSpace)
        index = exif.get_ifd(ExifTags.IFD.Interop).get(ExifTags.Interop.InteropIndex)
    except Exception:  # Damaged EXIF data do not damage the pixels.
        return False
    return space == 2 or (space == _UNCALIBRATED and str(index).strip("\0 ") == "R03")
