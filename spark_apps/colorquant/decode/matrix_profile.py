"""ICC profiles of RGB from primaries and a curve, for files that declare these instead of a profile.

LittleCMS can make such profiles, but Pillow does not expose that.
"""

import struct

import numpy as np
import numpy.typing as npt

#: CIE x, y of white, red, green and blue; Adobe RGB (1998), whose curve is a power of 563/256.
ADOBE_RGB = (0.3127, 0.3290, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06)
ADOBE_RGB_EXPONENT = 563 / 256
SRGB = (0.3127, 0.3290, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)

# Exponent, a, b, c, d: ((a x + b) to the exponent) from d on, c x below (IEC 61966-2-1).
_SRGB_CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
_D50 = np.array([0.9642, 1.0, 0.8249])
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])


def matrix_profile(chromaticities: tuple[float, ...], exponent: float | None) -> bytes:
    """Make an ICC profile (version 4, ICC.1:2022) of a display with these primaries.

    Parameters
    ----------
    chromaticities : tuple of 8 floats
        CIE x, y of white, red, green, blue.
    exponent : float, optional
        0.1 to 10; linear light is the level to the power of it. None for sRGB's curve.

    Raises
    ------
    ValueError
        No display has such primaries, or the exponent is out of its limits.
    """
    if exponent is not None and not 0.1 <= exponent <= 10:
        raise ValueError(f"an exponent of {exponent}")
    columns = _to_xyz(chromaticities)
    kind, parameters = (0, (exponent,)) if exponent is not None else (3, _SRGB_CURVE)
    curve = b"para" + bytes(4) + struct.pack(">HH", kind, 0) + _fixed(*parameters)
    tags = {b"wtpt": _xyz(_D50)}
    tags |= {name: _xyz(columns[:, channel]) for channel, name in enumerate((b"rXYZ", b"gXYZ", b"bXYZ"))}
    tags |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve)
    at = 128 + 4 + 12 * len(tags)
    table, values = struct.pack(">I", len(tags)), b""
    for name, content in tags.items():
        table += name + struct.pack(">II", at + len(values), len(content))
        values += content
    header = struct.pack(">4x4sI4s4s4s12x4s", bytes(4), 0x04400000, b"mntr", b"RGB ", b"XYZ ", b"acsp")
    header = (header.ljust(68, b"\0") + _fixed(*_D50)).ljust(128, b"\0")
    return struct.pack(">I", at + len(values)) + header[4:] + table + values


def _to_xyz(chromaticities: tuple[float, ...]) -> npt.NDArray[np.float64]:
    """XYZ of red, green and blue as columns, their white adapted to D50 (Bradford; ICC.1:2022, annex E)."""
    x, y = np.array(chromaticities, np.float64).reshape(4, 2).T
    if not (np.isfinite(x).all() and (y > 1e-3).all() and (x >= 0).all() and (x + y <= 1 + 1e-6).all()):
        raise ValueError("no chromaticities")
    xyz = np.array([x / y, np.ones(4), (1 - x - y) / y])
    white, primaries = xyz[:, 0], xyz[:, 1:]
    if abs(np.linalg.det(primaries)) < 1e-3:
        raise ValueError("primaries on one line")
    matrix = primaries * np.linalg.solve(primaries, white)
    response = (_BRADFORD @ _D50) / (_BRADFORD @ white)
    return np.linalg.inv(_BRADFORD) @ (response[:, None] * (_BRADFORD @ matrix))


def _xyz(values: npt.NDArray[np.float64]) -> bytes:
    return b"XYZ " + bytes(4) + _fixed(*values)


def _fixed(*values: float) -> bytes:
    """Numbers as ICC's s15Fixed16. Raises struct.error where they are out of its limits."""
    return struct.pack(f">{len(values)}i", *(round(float(value) * 65536) for value in values))
