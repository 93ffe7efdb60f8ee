"""Spark settings of every compression job. The Airflow connection names the master.

The environment variable COMPRESSION_SPARK_CONF, a JSON object, adds settings or changes them for one deployment.
Every user of the machine can see them on spark-submit's command line, so put secrets into a file of Spark properties
and name it with COMPRESSION_SPARK_PROPERTIES.
"""

import json
import os

from colorquant_airflow.applications import LOG4J_CONFIGURATION
from colorquant_airflow.environment import SHORT_LIVED


def _of_deployment() -> dict[str, str]:
    text = os.environ.get("COMPRESSION_SPARK_CONF", "").strip() or "{}"
    try:
        conf = json.loads(text)
        return {str(name): str(value) for name, value in conf.items()}
    except (ValueError, AttributeError):
        raise ValueError(
            f"COMPRESSION_SPARK_CONF={text!r} is not a JSON object of Spark settings; write for example "
            '{"spark.cores.max": "4"}'
        ) from None


SPARK_CONF = {
    # A job takes seconds, so nobody would look at its web server.
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.driver.extraJavaOptions": f"{SHORT_LIVED} -Dlog4j2.configurationFile={LOG4J_CONFIGURATION}",
    "spark.executor.extraJavaOptions": SHORT_LIVED,
    "spark.driver.memory": "1g",
    # On a standalone cluster an application otherwise takes every core, and all others wait until it ends.
    "spark.cores.max": "2",
} | _of_deployment()

#: Settings of the application that compresses a whole library: it runs alone and may use every core.
CORPUS_CONF = {name: value for name, value in SPARK_CONF.items() if name != "spark.cores.max"}

#: Path of the deployment's own Spark properties, which replace Spark's conf/spark-defaults.conf; None without any.
PROPERTIES_FILE = os.environ.get("COMPRESSION_SPARK_PROPERTIES") or None
