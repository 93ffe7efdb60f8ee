"""Color management: samples in the color space of a file to sRGB.

LittleCMS (Pillow's ImageCms) applies ICC profiles, with relative colorimetric intent and black point compensation.
A file without a color space is taken as sRGB, as in browsers (CSS Color 4, 5.1).
"""

import io
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from PIL import Image, ImageCms

from colorquant.errors import UnknownColorSpace
from colorquant.pixels import Pixels

_BAND_PIXELS = 1 << 20
# Two sRGB profiles may differ by this many 8-bit levels, from rounding in their curves: pixels are then kept.
_SAME = 2
_NEUTRAL = 2


@dataclass(frozen=True)
class ColorSpace:
    """The color space of a file; sRGB where both attributes are None.

    Attributes
    ----------
    profile : bytes, optional
        ICC profile.
    gamma : float, optional
        Exponent of the encoding, of a PNG without a profile.
    """

    profile: bytes | None = None
    gamma: float | None = None

    def to_srgb(self, samples: Pixels) -> Pixels:
        """Convert samples uint8 (H, W, 1, 3 or 4: grey, RGB or CMYK) to sRGB uint8 (H, W, 3); RGB in place.

        Grey stays grey. Raises UnknownColorSpace where the profile is damaged or does not match the kind of samples.
        """
        channels = samples.shape[2]
        if channels == 1:
            return self._grey_table[samples[..., 0]]
        if channels == 3 and self._is_srgb:
            return samples
        pixels = samples if channels == 3 else np.empty((*samples.shape[:2], 3), np.uint8)
        rows = max(1, _BAND_PIXELS // samples.shape[1])
        for top in range(0, len(samples), rows):
            pixels[top : top + rows] = self._converted(samples[top : top + rows])
        return pixels

    def _converted(self, samples: Pixels, exact: bool = False) -> Pixels:
        """Convert rows (h, w, 1, 3 or 4) to sRGB (h, w, 3)."""
        mode = {1: "L", 3: "RGB", 4: "CMYK"}[samples.shape[2]]
        if self.gamma is not None and mode != "CMYK":
            return np.broadcast_to(_srgb_levels(self.gamma)[samples], (*samples.shape[:2], 3))
        image = Image.fromarray(samples[..., 0] if mode == "L" else samples, mode)
        if self.profile is None:
            return np.asarray(image.convert("RGB"))
        converted = ImageCms.applyTransform(image, self._transform(mode, exact))
        return np.asarray(converted)

    def _transform(self, mode: str, exact: bool) -> ImageCms.ImageCmsTransform:
        try:
            return ImageCms.buildTransform(
                self._opened_profile,
                ImageCms.createProfile("sRGB"),
                mode,
                "RGB",
                renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
                flags=ImageCms.Flags.BLACKPOINTCOMPENSATION | (ImageCms.Flags.NOOPTIMIZE if exact else 0),
            )
        except ImageCms.PyCMSError as error:
            raise UnknownColorSpace(f"its color profile is not one of {mode} samples") from error

    @cached_property
    def _opened_profile(self) -> ImageCms.ImageCmsProfile:
        try:
            return ImageCms.ImageCmsProfile(io.BytesIO(self.profile or b""))
        except OSError as error:
            raise UnknownColorSpace("its color profile is damaged") from error

    @cached_property
    def _grey_table(self) -> Pixels:
        """The sRGB color of each grey level, uint8 (256, 3)."""
        levels = np.arange(256, dtype=np.uint8)
        # Programs that turn a color image grey may keep its profile, which is for RGB.
        rgb = self.profile is not None and self._opened_profile.profile.xcolor_space.strip() == "RGB"
        grey = np.repeat(levels[:, None, None], 3 if rgb else 1, axis=2)
        # Optimized, LittleCMS is up to 10 levels off for dark grey; for RGB and CMYK colors at most 1 and 2.
        table = np.array(self._converted(grey, exact=True)[:, 0])
        if _difference(table, levels[:, None]) <= _SAME:
            table = np.repeat(levels[:, None], 3, axis=1)
        if _difference(table, table[:, 1:2]) <= _NEUTRAL:
            table = np.repeat(table[:, 1:2], 3, axis=1)
        return table

    @cached_property
    def _is_srgb(self) -> bool:
        if self.profile is None and self.gamma is None:
            return True
        levels = np.linspace(0, 255, 18).astype(np.uint8)
        colors = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(-1, 1, 3)
        return _difference(self._converted(colors), colors) <= _SAME


def _srgb_levels(gamma: float) -> Pixels:
    """The sRGB level uint8 (256,) of each level of an encoding by a pure power (IEC 61966-2-1)."""
    light = (np.arange(256) / 255) ** (1 / gamma)
    encoded = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.rint(255 * encoded).astype(np.uint8)


def _difference(one: Pixels, other: Pixels) -> int:
    return int(np.abs(one.astype(int) - other).max())
