"""Writers of image files that ordinary encoders do not write: PNG, TIFF and ICC profiles from their parts."""

import io
import struct
import zlib
from collections.abc import Sequence

import numpy as np
from PIL import Image

ADAM7 = ((0, 8, 0, 8), (4, 8, 0, 8), (0, 4, 4, 8), (2, 4, 0, 4), (0, 2, 2, 4), (1, 2, 0, 2), (0, 1, 1, 2))


def encode(image: Image.Image, kind: str, **options: object) -> bytes:
    """Encode by Pillow."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def chunk(name: bytes, content: bytes) -> bytes:
    """A PNG chunk."""
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png(
    samples: np.ndarray,
    color_type: int,
    bits: int = 8,
    chunks: Sequence[bytes] = (),
    interlaced: bool = False,
    size: tuple[int, int] | None = None,
) -> bytes:
    """A PNG of samples (H, W, channels), with other chunks before the image data; ``size`` is what its header says."""
    height, width = samples.shape[:2]
    passes = [samples[top::down, left::across] for left, across, top, down in ADAM7] if interlaced else [samples]
    rows = b"".join(b"\0" + _packed(row, bits) for part in passes if part.size for row in part)
    header = struct.pack(">IIBBBBB", *(size or (width, height)), bits, color_type, 0, 0, interlaced)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + b"".join(chunks)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def _packed(row: np.ndarray, bits: int) -> bytes:
    if bits == 16:
        return row.astype(">u2").tobytes()
    if bits == 8:
        return row.astype(np.uint8).tobytes()
    planes = np.unpackbits(row.astype(np.uint8).reshape(-1, 1), axis=1)[:, 8 - bits :]
    return np.packbits(planes.ravel()).tobytes()


def tiff(
    samples: np.ndarray,
    photometric: int,
    bits: int = 8,
    extra: int | None = None,
    orientation: int | None = None,
    planes: bool = False,
    order: str = "<",
) -> bytes:
    """An uncompressed TIFF of samples (H, W, channels) in one strip, or in one for each channel (``planes``)."""
    height, width, channels = samples.shape
    kind = {8: "u1", 16: "u2", 32: "u4"}[bits]
    parts = np.moveaxis(samples, 2, 0) if planes else samples[None]
    strips = [part.astype(order + kind).tobytes() for part in parts]
    tags: dict[int, tuple[str, list[int]]] = {
        256: ("I", [width]),
        257: ("I", [height]),
        258: ("H", [bits] * channels),
        259: ("H", [1]),
        262: ("H", [photometric]),
        273: ("I", [0] * len(strips)),
        277: ("H", [channels]),
        278: ("I", [height]),
        279: ("I", [len(strip) for strip in strips]),
        284: ("H", [2 if planes else 1]),
    }
    if orientation is not None:
        tags[274] = ("H", [orientation])
    if extra is not None:
        tags[338] = ("H", [extra])
    values_at = 8 + 2 + 12 * len(tags) + 4
    long = {tag: struct.calcsize(f"{len(v)}{k}") for tag, (k, v) in tags.items()}
    at = values_at + sum(length for length in long.values() if length > 4)
    tags[273] = ("I", [at + sum(map(len, strips[:i])) for i in range(len(strips))])
    directory, values = struct.pack(order + "H", len(tags)), b""
    for tag, (code, content) in sorted(tags.items()):
        packed = struct.pack(f"{order}{len(content)}{code}", *content)
        if len(packed) > 4:
            pointer, values = struct.pack(order + "I", values_at + len(values)), values + packed
        else:
            pointer = packed.ljust(4, b"\0")
        directory += struct.pack(order + "HHI", tag, {"H": 3, "I": 4}[code], len(content)) + pointer
    start = (b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, 8)
    return start + directory + bytes(4) + values + b"".join(strips)


def _icc(space: bytes, connection: bytes, tags: dict[bytes, bytes], device: bytes = b"mntr") -> bytes:
    tags = {
        b"desc": b"desc" + bytes(4) + struct.pack(">I", 5) + b"test\0" + bytes(78),
        b"cprt": b"text" + bytes(4) + b"none\0",
        b"wtpt": b"XYZ " + bytes(4) + _fixed(0.9642, 1, 0.8249),
        **tags,
    }
    at = 128 + 4 + 12 * len(tags)
    table, values = struct.pack(">I", len(tags)), b""
    for name, content in tags.items():
        content += bytes(-len(content) % 4)
        table += name + struct.pack(">II", at + len(values), len(content))
        values += content
    header = struct.pack(">I4sI4s4s4s12s4s", 0, bytes(4), 0x02400000, device, space, connection, bytes(12), b"acsp")
    header = header.ljust(68, b"\0") + _fixed(0.9642, 1, 0.8249)
    profile = header.ljust(128, b"\0") + table + values
    return struct.pack(">I", len(profile)) + profile[4:]


def _fixed(*values: float) -> bytes:
    return struct.pack(f">{len(values)}i", *(round(value * 65536) for value in values))


def _gamma(value: float) -> bytes:
    return b"curv" + bytes(4) + struct.pack(">IH", 1, round(value * 256))


ADOBE_RGB_TO_XYZ = np.array([[0.60974, 0.20528, 0.14919], [0.31111, 0.62567, 0.06322], [0.01947, 0.06087, 0.74457]])
SRGB_TO_XYZ = np.array([[0.43607, 0.38515, 0.14307], [0.22249, 0.71687, 0.06061], [0.01392, 0.09708, 0.71410]])


def rgb_profile(to_xyz: np.ndarray, gamma: float) -> bytes:
    """An ICC profile of RGB by a matrix to XYZ (D50) and a power curve."""
    columns = {name: b"XYZ " + bytes(4) + _fixed(*to_xyz[:, i]) for i, name in enumerate((b"rXYZ", b"gXYZ", b"bXYZ"))}
    return _icc(b"RGB ", b"XYZ ", columns | {name: _gamma(gamma) for name in (b"rTRC", b"gTRC", b"bTRC")})


def grey_profile(gamma: float) -> bytes:
    """An ICC profile of grey by a power curve."""
    return _icc(b"GRAY", b"XYZ ", {b"kTRC": _gamma(gamma)})


def cmyk_profile() -> bytes:
    """An ICC profile of a printer whose lightness (L*) falls from 100 to 0 with its black ink, other inks or not."""
    corners = np.array([[100 * (1 - corner % 2), 0, 0] for corner in range(16)])
    lab = np.clip(np.rint(corners * [2.55, 1, 1] + [0, 128, 128]), 0, 255).astype(np.uint8)
    ramp = bytes(range(256))
    table = (
        b"mft1"
        + bytes(4)
        + bytes([4, 3, 2, 0])
        + _fixed(1, 0, 0, 0, 1, 0, 0, 0, 1)
        + 4 * ramp
        + lab.tobytes()
        + 3 * ramp
    )
    return _icc(b"CMYK", b"Lab ", {b"A2B0": table, b"A2B1": table, b"A2B2": table}, device=b"prtr")


def srgb_encoded(light: np.ndarray) -> np.ndarray:
    """Linear light 0 to 1 as sRGB levels, uint8."""
    light = np.clip(light, 0, 1)
    return np.rint(255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)).astype(
        np.uint8
    )
