"""Spark settings of every compression job, wherever it runs. The master comes from the Airflow connection."""

from pathlib import Path

_LOG4J = (Path(__file__).resolve().parent.parent / "spark_apps" / "log4j2.properties").as_uri()

#: Short-lived JVMs: the first compiler tier and the serial collector start faster, and use less CPU.
SHORT_LIVED = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -XX:-UsePerfData"

SPARK_CONF = {
    # A job lives for seconds: a web server for it costs more than anyone gets to see.
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.driver.extraJavaOptions": f"{SHORT_LIVED} -Dlog4j2.configurationFile={_LOG4J}",
    "spark.executor.extraJavaOptions": SHORT_LIVED,
    "spark.driver.memory": "1g",
    # On a standalone cluster an application otherwise takes every core, and all others wait for its end.
    "spark.cores.max": "2",
}
