"""Spark settings of every compression job, wherever it runs. The master comes from the Airflow connection."""

from pathlib import Path

_LOG4J = (Path(__file__).resolve().parent.parent / "spark_apps" / "log4j2.properties").as_uri()

SPARK_CONF = {
    # A job lives for seconds: a web server for it costs more than anyone gets to see.
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    # Short-lived JVM: the first compiler tier and the serial collector start faster, and use less CPU.
    "spark.driver.extraJavaOptions": f"-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Dlog4j2.configurationFile={_LOG4J}",
    "spark.driver.memory": "1g",
}
