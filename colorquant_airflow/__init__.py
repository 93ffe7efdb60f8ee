"""How this project runs in Airflow: the operator of its Spark jobs, and a private Airflow for one checkout."""

import sys
from pathlib import Path

# The plan and the report are in the package that the Spark application ships, which lies beside that.
_SPARK_APPS = str(Path(__file__).resolve().parent.parent / "spark_apps")
if _SPARK_APPS not in sys.path:
    sys.path.insert(0, _SPARK_APPS)
