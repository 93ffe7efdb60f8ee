"""Measurements of this checkout, started at its top: ``python -m benchmarks.NAME``."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "spark_apps"))
