"""Spark settings of every compression job. The Airflow connection names the master.

The environment variable COMPRESSION_SPARK_CONF, a JSON object, adds settings or changes them for one deployment.
Every user of the machine can see them on spark-submit's command line, so put secrets into a file of Spark properties
and name it with COMPRESSION_SPARK_PROPERTIES.
"""

import json
import os

from colorquant_airflow.applications import LOG4J_CONFIGURATION
from colorquant_airflow.environment import SHORT_LIVED
from colorquant_airflow.spark_master import properties_file


def _of_deployment() -> dict[str, str]:
    text = os.environ.get("COMPRESSION_SPARK_CONF", "").strip() or "{}"
    try:
        conf = json.loads(text)
    except ValueError:
        conf = None
    if not isinstance(conf, dict) or not all(map(_is_setting, conf, conf.values())):
        raise ValueError(
            f"COMPRESSION_SPARK_CONF={text!r} is not a JSON object of Spark settings; write for example "
            '{"spark.cores.max": "4"}'
        )
    return {name: json.dumps(value) if isinstance(value, bool) else str(value) for name, value in conf.items()}


def _is_setting(name: str, value: object) -> bool:
    # spark-submit ignores all other names, and only warns.
    return name.startswith("spark.") and isinstance(value, (str, int, float))


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

#: Path of the deployment's own Spark properties; None without any.
PROPERTIES_FILE = properties_file()
