"""The container of an image file by its signature: its name, what decoders get of it, and why it is not read."""

from colorquant.decode import bitmap, jpeg_file, png_file
from colorquant.errors import Undecodable
from colorquant.storage import FORMATS

_READ = {
    "PNG": (png_file.SIGNATURE,),
    "JPEG": (b"\xff\xd8\xff",),
    "GIF": (b"GIF87a", b"GIF89a"),
    "BMP": (b"BM",),
    "TIFF": (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
    "JPEG 2000": (b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51"),
}
#: Photographs in formats that are not read, with the format that they should be saved in.
_UNREAD = {
    "JPEG XL": (b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n"),
    "Photoshop file": (b"8BPS",),
    "JPEG XR": (b"II\xbc",),
    "OpenEXR": (b"v/1\x01",),
    "Radiance HDR": (b"#?RADIANCE", b"#?RGBE"),
    "QOI": (b"qoif",),
    "raw photograph (Panasonic)": (b"IIU\0",),
    "raw photograph (Olympus)": (b"IIRO", b"MMOR", b"IIRS"),
    "raw photograph (Fujifilm)": (b"FUJIFILMCCD-RAW",),
    "raw photograph (Sigma)": (b"FOVb",),
}
_PNM = tuple(b"P%d" % number for number in range(1, 8))
_BRANDS = {
    "AVIF": (b"avif", b"avis"),
    "HEIC": (b"heic", b"heix", b"hevc", b"heim", b"heis", b"hevm", b"hevs", b"mif1", b"msf1"),
    "raw photograph (Canon CR3)": (b"crx ",),
}


def name_of(content: bytes) -> str:
    """The name of a file's format, by its signature; empty for an unknown one."""
    for name, signatures in (_READ | _UNREAD).items():
        if content.startswith(signatures):
            return name
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "WEBP"
    if content[4:8] == b"ftyp":
        major = content[8:12]
        # AVIF files may name a general brand first.
        compatible = [content[at : at + 4] for at in range(16, min(int.from_bytes(content[:4]), 64), 4)]
        if major in (b"mif1", b"msf1") and set(compatible) & set(_BRANDS["AVIF"]):
            return "AVIF"
        return next((name for name, brands in _BRANDS.items() if major in brands), "")
    return "PNM" if content[:2] in _PNM and content[2:3] in b" \t\r\n#" else ""


def refuse_unread(name: str) -> None:
    """Raise Undecodable for a known format that is not read."""
    if name in _UNREAD or (name in _BRANDS and name != "AVIF"):
        raise Undecodable(f"is {_with_article(name)}, a format that is not read; save it as JPEG or PNG.")


def _with_article(name: str) -> str:
    return f"{'an' if name[0] in 'AO' else 'a'} {name}"


def readable_part(content: bytes, name: str) -> bytes:
    """What a decoder gets of a file: without what it would trip over, or what is behind the image."""
    if name == "PNG":
        return png_file.pixels_alone(content)
    if name == "BMP":
        return bitmap.with_known_masks(content)
    return content


def unopened(content: bytes, name: str, error: Exception) -> Undecodable:
    """Why the header of a file cannot be read: of a known format what is wrong, else which formats are read."""
    if not name:
        return Undecodable(f"is not an image of a known format ({', '.join(FORMATS)}); convert it to PNG.")
    if name == "JPEG":
        jpeg_file.refuse_unusual(jpeg_file.segments_of(content))
    why = str(error)
    why = "" if not why or why.startswith("cannot identify") else f" ({why})"
    return Undecodable(
        f"is {_with_article(name)} file that cannot be read{why}: it is damaged, or of a kind that is not supported; "
        "save it as PNG."
    )
