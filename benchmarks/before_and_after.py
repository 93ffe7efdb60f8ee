"""Draws the picture of the README: an image and its output side by side, with their bytes.

    .venv/bin/python -m benchmarks.before_and_after

Both halves show the same crop, pixel for pixel. The sizes are those of the whole files.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from matplotlib import font_manager
from PIL import Image, ImageDraw, ImageFont

PROJECT = Path(__file__).resolve().parents[1]
ORIGINAL = PROJECT / "include" / "images" / "coffee.png"
K = 64
CROP = (30, 40, 450, 370)
GAP, CAPTION = 8, 34


def _half(image: Path, caption: str) -> Image.Image:
    crop = Image.open(image).convert("RGB").crop(CROP)
    half = Image.new("RGB", (crop.width, crop.height + CAPTION), "white")
    half.paste(crop, (0, CAPTION))
    font = ImageFont.truetype(font_manager.findfont("DejaVu Sans"), 16)
    ImageDraw.Draw(half).text((4, 6), f"{caption}: {image.stat().st_size:,} bytes", fill="black", font=font)
    return half


def draw() -> None:
    """Compress the image, and write ``docs/pictures/before_and_after.webp``."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "colorquant", str(ORIGINAL), "--k", str(K), "--output", folder, "--quiet"]
        subprocess.run(command, env=os.environ | {"PYTHONPATH": str(PROJECT / "spark_apps")}, check=True)
        output = Path(folder) / ORIGINAL.name
        halves = [_half(ORIGINAL, f"original {ORIGINAL.name}"), _half(output, f"{K} colors, PNG")]
    picture = Image.new("RGB", (2 * halves[0].width + GAP, halves[0].height), "white")
    for number, half in enumerate(halves):
        picture.paste(half, (number * (half.width + GAP), 0))
    picture.save(PROJECT / "docs" / "pictures" / "before_and_after.webp", quality=92, method=6)


if __name__ == "__main__":
    draw()
