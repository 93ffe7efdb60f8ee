"""Names and figures as texts for people. Standard library only."""

import unicodedata
from collections.abc import Iterable

ELLIPSIS = "…"
BYTES_OF = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}


def readable(name: str) -> str:
    """The name with bytes that are not UTF-8 replaced by U+FFFD, so that it can be encoded as UTF-8.

    Python represents such bytes of a file name as lone surrogates, which encoders refuse.
    """
    return "".join("\ufffd" if "\ud800" <= character <= "\udfff" else character for character in name)


def printable(text: str) -> str:
    """One line without effects on a terminal: control, format and bidirectional characters become escapes."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in readable(text)
    )


def display_width(text: str) -> int:
    """Terminal columns of a printable text: wide East Asian characters take two, combining marks none."""
    return sum(map(_columns, text))


def _columns(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def shorten(text: str, width: int) -> str:
    """The text within ``width`` terminal columns; a text that is too long is cut in its middle.

    Names of one library often begin with the same folders, and differ at their ends.
    """
    if display_width(text) <= width:
        return text
    tail = _fitting(reversed(text), (width - 1) // 2)[::-1]
    head = _fitting(text, width - 1 - display_width(tail))
    return head + ELLIPSIS + tail


def _fitting(characters: Iterable[str], width: int) -> str:
    kept: list[str] = []
    used = 0
    for character in characters:
        used += _columns(character)
        if used > width:
            break
        kept.append(character)
    return "".join(kept)


def pad(text: str, width: int, right: bool = False) -> str:
    """The text padded with spaces to ``width`` terminal columns; ``right`` aligns it to the right."""
    space = " " * max(0, width - display_width(text))
    return space + text if right else text + space


def byte_size(count: int) -> str:
    """A size in bytes with three digits and a decimal unit: ``1.23 MB``."""
    unit = next((unit for unit, size in reversed(BYTES_OF.items()) if count >= 0.9995 * size), "B")
    if unit == "B":
        return f"{count} B"
    value = count / BYTES_OF[unit]
    return f"{value:.{2 if value < 9.995 else 1 if value < 99.95 else 0}f} {unit}"


def psnr_text(psnr_db: float | None, form: str = "PSNR {:.2f} dB") -> str:
    """A PSNR in dB such as ``PSNR 38.12 dB``; ``lossless`` for None, which stands for infinity.

    ``form`` is the format of the text; that of a column, whose title says the rest, is ``{:.2f}``.
    """
    return "lossless" if psnr_db is None else form.format(psnr_db)
