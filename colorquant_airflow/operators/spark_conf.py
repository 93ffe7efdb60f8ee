"""Spark settings of every compression job. The master comes from the Airflow connection.

The environment variable COMPRESSION_SPARK_CONF, a JSON object, adds to them or changes them for one deployment. They
go on spark-submit's command line, which every user of the machine sees: a secret belongs into a file of Spark
properties, which COMPRESSION_SPARK_PROPERTIES names.
"""

import json
import os

from colorquant.spark import LOG4J2


def _of_this_deployment() -> dict[str, str]:
    text = os.environ.get("COMPRESSION_SPARK_CONF", "").strip() or "{}"
    try:
        conf = json.loads(text)
        return {str(name): str(value) for name, value in conf.items()}
    except (ValueError, AttributeError):
        raise ValueError(
            f'COMPRESSION_SPARK_CONF={text!r} is no JSON object of Spark settings like {{"spark.cores.max": "4"}}'
        ) from None


#: Short-lived JVMs: the first compiler tier and the serial collector start faster, and use less CPU.
SHORT_LIVED = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -XX:-UsePerfData"

SPARK_CONF = {
    # A job lives for seconds: a web server for it costs more than anyone gets to see.
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.driver.extraJavaOptions": f"{SHORT_LIVED} -Dlog4j2.configurationFile={LOG4J2.as_uri()}",
    "spark.executor.extraJavaOptions": SHORT_LIVED,
    "spark.driver.memory": "1g",
    # On a standalone cluster an application otherwise takes every core, and all others wait for its end.
    "spark.cores.max": "2",
} | _of_this_deployment()

#: Of the application that compresses a whole library: alone it may have every core.
CORPUS_CONF = {name: value for name, value in SPARK_CONF.items() if name != "spark.cores.max"}

#: Path of the deployment's own Spark properties, which take the place of Spark's conf/spark-defaults.conf.
PROPERTIES_FILE = os.environ.get("COMPRESSION_SPARK_PROPERTIES") or None
