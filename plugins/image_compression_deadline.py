"""Lets Airflow's triggerer find the notice of a late run in a checkout: it parses no DAG file, and knows this folder.

Airflow also loads this file as a plugin, which adds nothing.
"""

import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
if str(PROJECT) not in sys.path:  # The checkout works whatever the PYTHONPATH.
    sys.path.insert(0, str(PROJECT))

from colorquant_airflow.dag import notify_of_late_run

__all__ = ["notify_of_late_run"]
