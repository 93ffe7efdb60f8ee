"""SHA-256 of what this version makes of the bundled images, for ``test_bundled_outputs.py``.

    PYTHONPATH=spark_apps python -m tests.bundled_outputs

writes the list, after a change that raises ``settings.ALGORITHM_VERSION``.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from colorquant.compress import compress_image
from colorquant.jobs import WeightsFile
from colorquant.quantizer import PixelSource
from colorquant.settings import ALGORITHM_VERSION, Settings
from tests.conftest import PROJECT

LIST = Path(__file__).with_name("bundled_outputs.json")
IMAGES = sorted((PROJECT / "include" / "images").glob("*.[jp][pn]g"))
KS = (4, 16, 64, 256)
VARIANTS_K = 16
# Every setting at a second value; the first is the default of all of them, which is made at each k.
VARIANTS: list[dict[str, Any]] = [
    {},
    {"seed": 1},
    {"color_space": "oklab"},
    {"rate": 0.1},
    {"dither": "blue-noise"},
    {"objective": "perceptual", "dither": "direct-search"},
    {"format": "webp"},
    {"metadata": "copyright"},
    {"keep": "#ffffff,#d62728"},
    {"palette": "#000000,#ffffff,#d62728,#1f77b4,#7f7f7f"},
    {"weights": "itself"},
]


def outputs_of(image: Path, folder: Path) -> dict[str, str]:
    """SHA-256 of outputs at each k, and at one k for each variant of the settings, by what tells them apart."""
    found = {}
    for k, variant in [(k, VARIANTS[0]) for k in KS] + [(VARIANTS_K, variant) for variant in VARIANTS[1:]]:
        settings = Settings(**variant)
        output = folder / f"output.{settings.format}"
        # What is light in an image counts more.
        weights = WeightsFile(path=str(image)) if settings.weights else None
        compress_image(str(image), k, str(output), None, settings, PixelSource, weights=weights)
        name = " ".join([image.name, f"k={k}", *(f"{key}={value}" for key, value in variant.items())])
        found[name] = hashlib.sha256(output.read_bytes()).hexdigest()
    return found


def main() -> None:
    """Write the list."""
    import tempfile

    outputs: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as folder:
        for image in IMAGES:
            outputs |= outputs_of(image, Path(folder))
    LIST.write_text(json.dumps({"algorithm_version": ALGORITHM_VERSION, "outputs": outputs}, indent=1) + "\n")


if __name__ == "__main__":
    main()
