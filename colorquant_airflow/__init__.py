"""How this project runs in Airflow.

- ``dag``: what a DAG file is made of: parameters, schedules, the Python tasks, notices of failure.
- ``operators``: submit the Spark applications, and end every process of a stopped task.
- ``pages``: the plugin of Airflow's UI that shows runs, reports, and each image next to its original.
- ``checkout``: the private Airflow of a checkout, for ``make run`` and ``make ui``.

What several of them need stands directly in the package: ``applications`` (where the Spark applications are),
``storage_connection`` (credentials of object stores), ``xcoms`` (what tasks tell), ``links`` (addresses of the pages),
``processes`` (ending them), and ``private`` (every name of Airflow and its Spark provider that is not public).

Imports go one way: the operators know ``dag``; ``dag``, ``pages`` and ``checkout`` do not know each other. The tests
hold this (``tests/colorquant_airflow/test_imports.py``).
"""

import sys
from pathlib import Path

# In a checkout the package `colorquant` is in spark_apps/. Installed, both packages are in the same folder.
_SPARK_APPS = Path(__file__).resolve().parent.parent / "spark_apps"
if _SPARK_APPS.is_dir() and str(_SPARK_APPS) not in sys.path:
    sys.path.insert(0, str(_SPARK_APPS))
