"""Writers of image files that ordinary encoders do not write: PNG, TIFF and ICC profiles from their parts."""

import io
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

ADAM7 = ((0, 8, 0, 8), (4, 8, 0, 8), (0, 4, 4, 8), (2, 4, 0, 4), (0, 2, 2, 4), (1, 2, 0, 2), (0, 1, 1, 2))


@dataclass(frozen=True)
class Odd:
    """An odd image: ``row`` is its row in the table of docs/images.md."""

    row: str
    content: bytes
    pixels: np.ndarray | None = None
    refusal: str = ""
    tolerance: int = 0


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


_ZIGZAG = sorted(range(64), key=lambda i: (i // 8 + i % 8, i // 8 if (i // 8 + i % 8) % 2 else i % 8))
_AC_SYMBOLS = [(0, 0), (15, 0)] + [(run, size) for run in range(16) for size in range(1, 11)]


def jpeg_segment(marker: int, content: bytes) -> bytes:
    """A segment of a JPEG, with its length."""
    return bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content


def jpeg_with_factors(planes: np.ndarray, factors: Sequence[tuple[int, int]], step: int = 4) -> bytes:
    """A baseline JPEG of components (H, W, n), each with a horizontal and a vertical sampling factor.

    Codes of one length take the place of Huffman's: 4 bits for DC, 8 bits for AC.
    """
    height, width = planes.shape[:2]
    parts = b"".join(bytes([i + 1, h << 4 | v, 0]) for i, (h, v) in enumerate(factors))
    if len(factors) == 1:
        factors = [(1, 1)]  # A component alone is stored row by row, whatever its factors.
    max_h, max_v = (max(factor[axis] for factor in factors) for axis in (0, 1))
    across, down = -(-width // (8 * max_h)), -(-height // (8 * max_v))
    whole = np.pad(planes, ((0, down * 8 * max_v - height), (0, across * 8 * max_h - width), (0, 0)), mode="edge")
    sampled = [
        np.asarray(Image.fromarray(whole[..., i].astype(np.float32)).resize((across * 8 * h, down * 8 * v), Image.BOX))
        for i, (h, v) in enumerate(factors)
    ]
    n = np.arange(8)
    cosines = np.where(n[:, None] == 0, 8**-0.5, 0.5) * np.cos((2 * n + 1) * n[:, None] * np.pi / 16)
    codes = {symbol: code for code, symbol in enumerate(_AC_SYMBOLS)}
    bits: list[str] = []
    before = [0] * len(factors)

    def put(value: int, code: int, length: int) -> None:
        size = abs(value).bit_length()
        bits.append(format(code, f"0{length}b"))
        if size:
            bits.append(format(value if value > 0 else value + (1 << size) - 1, f"0{size}b"))

    def put_block(component: int, block: np.ndarray) -> None:
        levels = np.rint(cosines @ (block - 128) @ cosines.T / step).astype(int).ravel()[_ZIGZAG].tolist()
        difference, before[component] = levels[0] - before[component], levels[0]
        put(difference, abs(difference).bit_length(), 4)
        run = 0
        for level in levels[1:]:
            if level == 0:
                run += 1
                continue
            while run > 15:
                put(0, codes[15, 0], 8)
                run -= 16
            put(level, codes[run, abs(level).bit_length()], 8)
            run = 0
        if run:
            put(0, codes[0, 0], 8)

    for row in range(down):
        for column in range(across):
            for component, (h, v) in enumerate(factors):
                for y in range(row * v, row * v + v):
                    for x in range(column * h, column * h + h):
                        put_block(component, sampled[component][8 * y : 8 * y + 8, 8 * x : 8 * x + 8])
    text = "".join(bits)
    text += "1" * (-len(text) % 8)
    data = int(text, 2).to_bytes(len(text) // 8, "big").replace(b"\xff", b"\xff\0")
    ac = bytes(run << 4 | size for run, size in _AC_SYMBOLS)
    return (
        b"\xff\xd8"
        + jpeg_segment(0xDB, b"\0" + bytes([step] * 64))
        + jpeg_segment(0xC0, struct.pack(">BHHB", 8, height, width, len(factors)) + parts)
        + jpeg_segment(0xC4, b"\0" + bytes([0, 0, 0, 12] + [0] * 12) + bytes(range(12)))
        + jpeg_segment(0xC4, b"\x10" + bytes([0] * 7 + [len(ac)] + [0] * 8) + ac)
        + jpeg_segment(
            0xDA, bytes([len(factors)]) + b"".join(bytes([i + 1, 0]) for i in range(len(factors))) + b"\0\x3f\0"
        )
        + data
        + b"\xff\xd9"
    )


def bmp(
    samples: np.ndarray,
    bits: int,
    masks: Sequence[int] = (),
    header: int = 40,
    palette: np.ndarray | None = None,
    colors: int = 0,
    space: bytes = b"BGRs" + bytes(48),
    profile: bytes = b"",
    compression: int | None = None,
) -> bytes:
    """A BMP, top row first, of indexes or packed samples (H, W); its masks are in the header or follow it."""
    height, width = samples.shape
    if bits < 8:
        planes = np.unpackbits(samples.astype(np.uint8)[..., None], axis=2)[..., 8 - bits :].reshape(height, -1)
        rows = np.packbits(planes, axis=1)
    else:
        rows = samples.astype(f"<u{bits // 8}").view(np.uint8).reshape(height, -1)
    rows = np.pad(rows, ((0, 0), (0, -rows.shape[1] % 4)))
    packed = struct.pack(f"<{len(masks)}I", *masks)
    code = compression if compression is not None else 3 if masks else 0
    info = struct.pack("<IiiHHIIiiII", header, width, -height, 1, bits, code, rows.size, 0, 0, colors, 0)
    info += packed.ljust(max(header - 40, len(packed)), b"\0")[: max(header - 40, len(packed))]
    if header >= 108:
        info = info[:56] + space + info[56 + len(space) :]
    if header == 124:
        info = info[:112] + struct.pack("<2I", header + rows.size, len(profile)) + info[120:]
    table = b"" if palette is None else np.pad(palette[:, ::-1], ((0, 0), (0, 1))).astype(np.uint8).tobytes()
    start = 14 + len(info) + len(table)
    content = rows.tobytes() + profile
    return struct.pack("<2sIHHI", b"BM", start + len(content), 0, 0, start) + info + table + content


def box(name: bytes, content: bytes) -> bytes:
    """A box of a JP2 or AVIF file."""
    return struct.pack(">I4s", 8 + len(content), name) + content


def jp2(stream: bytes, size: tuple[int, int], channels: int, bits: int, *boxes: bytes) -> bytes:
    """A JP2 file of a codestream, with these boxes behind the first one in its header."""
    header = box(b"ihdr", struct.pack(">IIHBBBB", size[1], size[0], channels, bits - 1, 7, 0, 0)) + b"".join(boxes)
    start = box(b"jP  ", b"\r\n\x87\n") + box(b"ftyp", b"jp2 \0\0\0\0jp2 ")
    return start + box(b"jp2h", header) + box(b"jp2c", stream)
