"""The palettes that the images of a command line have in common, found before the images are compressed."""

from collections.abc import Sequence
from contextlib import suppress

from colorquant.cli.inputs import Task
from colorquant.errors import InvalidRecord, InvalidSetting, UnsupportedImage
from colorquant.jobs import SharedPalette, WeightsFile, content_of, name_of_palette, palette_path
from colorquant.limits import Limits
from colorquant.settings import Settings
from colorquant.storage import sha256_of


def require_earlier(settings: Settings, k: int | None, output: str) -> SharedPalette | None:
    """The earlier palette that is to be used again, if one is. Raises InvalidSetting where there is none."""
    if not settings.earlier_palette:
        return None
    path = palette_path(output, settings.earlier_palette, k)
    try:
        return SharedPalette.read(path)
    except (OSError, InvalidRecord):
        name = settings.earlier_palette
        raise InvalidSetting(f"palette: there is no palette {name!r}: {path} cannot be read.") from None


def common_palettes(
    tasks: Sequence[Task], settings: Settings, k: int | None, output: str, limits: Limits
) -> dict[str, SharedPalette]:
    """The palettes by ``Task.folder``: found and written to the output folder, or the earlier one.

    An image that cannot be read is left out. Its own turn says why.

    Raises
    ------
    OSError
        A palette cannot be written.
    """
    if not settings.shared or k is None:
        return {}
    if earlier := require_earlier(settings, k, output):
        return {"": earlier}
    from colorquant.compress import AddedColors, Origin, colors_of, find_shared_palette

    palettes = {}
    for folder in dict.fromkeys(task.folder(settings) for task in tasks):
        added, hashes = AddedColors(), list[str | None]()
        left_out = {}
        for task in tasks:
            if task.folder(settings) != folder:
                continue
            with suppress(OSError):
                hashes.append(content_of(sha256_of(str(task.image)), _hashed(task.weights)))
            try:
                added.add(colors_of(str(task.image), settings, limits=limits, weights=task.weights))
            except (UnsupportedImage, OSError) as error:
                left_out[task.title] = str(error)
        if added.images:
            name = name_of_palette(hashes, settings)
            origin = Origin(name=name, folder=folder, images=added.images, pixels=added.pixels, left_out=left_out)
            path = palette_path(output, name, k)
            palettes[folder] = find_shared_palette(added.source(), k, settings, path, origin)
    return palettes


def _hashed(weights: WeightsFile | None) -> WeightsFile | None:
    """A picture of weights with its hash; None where it cannot be read."""
    with suppress(OSError):
        return weights and WeightsFile(path=weights.path, sha256=sha256_of(weights.path))
    return None
