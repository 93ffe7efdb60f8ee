"""Adds the pages of ``colorquant_airflow.pages`` to Airflow's UI in a checkout.

An installed ``colorquant_airflow`` does the same by its entry point. Airflow reports a second plugin of one name as an
error, so this file then adds nothing.
"""

import sys
from importlib.metadata import entry_points
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
if str(PROJECT) not in sys.path:  # The checkout works whatever the PYTHONPATH.
    sys.path.insert(0, str(PROJECT))

if not any(point.value.startswith("colorquant_airflow.") for point in entry_points(group="airflow.plugins")):
    from colorquant_airflow.pages import ImageCompressionPlugin

    __all__ = ["ImageCompressionPlugin"]
