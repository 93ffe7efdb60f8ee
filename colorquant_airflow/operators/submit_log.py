"""Why spark-submit failed, from the lines that it printed: the line that matters, and what to do."""

import re
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

# The first lines say why a JVM does not start, the last ones why an application ended.
_FIRST, _LAST = 50, 500
_MAX_CHARACTERS = 400

# What stands before an error in a line: the thread, the time, the package of its class.
_NOISE = re.compile(
    r'^(?:Caused by: |Exception in thread "[^"]*" |Error: |\S+ (?:\S+ )?(?:ERROR|WARN) \w+: )*'
    r"(?:(?:[a-z_]\w*\.)+(?=[A-Z]))?"
)
_ERROR = re.compile(
    r"(?:Caused by: |Exception in thread \"[^\"]*\" |Error: )?(?:[a-z_]\w*\.)*[A-Z]\w*(?:Error|Exception)\b.*"
    r"|Error: .*|Error occurred during initialization of VM.*"
)

_OPTIONS = "The JVM's options are those of COMPRESSION_SPARK_CONF, of Spark's properties, and of JAVA_TOOL_OPTIONS."
# What a line contains, what to do, and whether a retry may help. The first one that any line contains decides.
_KNOWN = [
    (re.compile(pattern), remedy, retryable)
    for pattern, remedy, retryable in [
        (
            r"HADOOP_CONF_DIR or YARN_CONF_DIR must be set",
            "The Airflow connection names the master yarn: change its host, or set HADOOP_CONF_DIR.",
            False,
        ),
        (
            r"Could not parse Master URL|[Mm]aster must either be yarn or start with",
            "Correct the host of the Airflow connection: local[2], or spark://host:7077, for example.",
            False,
        ),
        (
            r"All masters are unresponsive",
            "The Spark master of the Airflow connection does not answer: start it, or correct the connection.",
            True,
        ),
        (r"(?:Conflicting|Multiple) (?:garbage )?collector", f"Name one. {_OPTIONS}", False),
        (
            r"Unrecognized (?:VM )?option|Invalid (?:maximum|initial) heap size|Error opening zip file or JAR manifest"
            r"|Could not find agent library|Incompatible minimum and maximum heap|larger value than the maximum heap"
            r"|is experimental and must be enabled",
            f"Correct it. {_OPTIONS}",
            False,
        ),
        (
            r"Could not reserve enough space|Cannot allocate memory|insufficient memory for the Java Runtime",
            "Free memory, or lower the number of slots of Airflow's pool spark, or spark.driver.memory in "
            "COMPRESSION_SPARK_CONF.",
            True,
        ),
        (
            r"UnsupportedClassVersionError",
            "Spark needs Java 17 or newer: correct JAVA_HOME or the PATH of Airflow's workers.",
            False,
        ),
        (
            r"JAVA_HOME is not set|: java: (?:command )?not found|bin/java: No such file",
            "Spark needs Java 17 or newer: install it on Airflow's workers, or correct JAVA_HOME.",
            False,
        ),
        (
            r"UnknownHostException|Temporary failure in name resolution",
            "DNS does not know this host: correct the name where it is set (the connection, Hadoop's settings), "
            "or add the host to /etc/hosts.",
            False,
        ),
        (
            r"BindException: Cannot assign requested address",
            "This machine does not have the address: correct SPARK_LOCAL_IP, or spark.driver.bindAddress in "
            "COMPRESSION_SPARK_CONF.",
            False,
        ),
        (r"BindException", "Free a port, or correct spark.driver.port in COMPRESSION_SPARK_CONF.", True),
        (
            r"Failed to create any local dir",
            "Correct SPARK_LOCAL_DIRS, or spark.local.dir in COMPRESSION_SPARK_CONF: folders that the user of the jobs "
            "can write.",
            False,
        ),
        (
            r"Too many open files",
            "Raise the limit of open files for Airflow's workers to 1024 or more (ulimit -n, LimitNOFILE).",
            False,
        ),
        (r"Failed to find Spark jars directory|Could not find valid SPARK_HOME", "Install PySpark again.", False),
        (r"Could not find or load main class", "Spark's jars are not whole: install PySpark again.", False),
        (r"No space left on device", "Free space in the output folder and in the folder for temporary files.", True),
    ]
]


@dataclass(frozen=True)
class SubmitFailure:
    """Why spark-submit failed, as one sentence, and whether a retry may help."""

    reason: str
    retryable: bool = True


@dataclass
class SubmitLog:
    """The first and the last lines of spark-submit's output."""

    _first: list[str] = field(default_factory=list)
    _last: "deque[str]" = field(default_factory=lambda: deque(maxlen=_LAST))

    def keep(self, lines: Iterable[str]) -> Iterator[str]:
        """Pass lines on, and remember them."""
        for line in lines:
            (self._first if len(self._first) < _FIRST else self._last).append(line.rstrip("\n"))
            yield line

    def failure(self, exit_code: int | None) -> SubmitFailure:
        """What the lines say of a failure; the exit code where they say nothing."""
        lines = [*self._first, *self._last]
        for pattern, remedy, retryable in _KNOWN:
            for line in lines:
                if pattern.search(line):
                    return SubmitFailure(f"spark-submit: {_short(line)}. {remedy}", retryable)
        said = [line for line in lines if _ERROR.match(line)]
        # Spark wraps the cause of an error in others, and ends with its own.
        causes = [line for line in said if line.startswith("Caused by: ")] or said
        if causes:
            return SubmitFailure(f"spark-submit ended with exit code {exit_code}: {_short(causes[-1])}")
        return SubmitFailure(f"spark-submit ended with exit code {exit_code}; its last lines are above")


def _short(line: str) -> str:
    return _NOISE.sub("", line.strip())[:_MAX_CHARACTERS].rstrip(".")
