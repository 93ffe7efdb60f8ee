"""Health of a service of docker-compose.yaml; the exit code is the answer.

    healthcheck.py api | scheduler | dag-processor | triggerer | spark-master | spark-worker | spark-history

Standard library only: it runs every few seconds, and Airflow's own `airflow jobs check` takes 2.4 CPU seconds.
"""

import json
import socket
import sys
from typing import Any
from urllib.request import urlopen


def main(service: str) -> bool:
    """Whether the service of this container does its work. Raises OSError where it does not answer."""
    if service == "api":
        return _json("http://localhost:8080/api/v2/monitor/health")["metadatabase"]["status"] == "healthy"
    if service == "scheduler":
        # Airflow answers 503 where its last heartbeat is too old.
        return _get("http://localhost:8974/health").status == 200
    if service in ("dag-processor", "triggerer"):
        # They have no port. The API server knows the age of their last heartbeat.
        health = _json("http://airflow-api-server:8080/api/v2/monitor/health")
        return health[service.replace("-", "_")]["status"] == "healthy"
    if service == "spark-master":
        return _json("http://localhost:8080/json/")["status"] == "ALIVE"
    if service == "spark-worker":
        # A worker that runs, but is not registered, is of no use: so the master is asked.
        here = socket.gethostbyname(socket.gethostname())
        workers = _json("http://spark-master:8080/json/")["workers"]
        return any(worker["host"] == here and worker["state"] == "ALIVE" for worker in workers)
    if service == "spark-history":
        return isinstance(_json("http://localhost:18080/api/v1/applications?limit=1"), list)
    raise SystemExit(f"healthcheck.py: {service!r} is no service that it knows")


def _json(url: str) -> Any:
    return json.load(_get(url))


def _get(url: str) -> Any:
    return urlopen(url, timeout=10)


if __name__ == "__main__":
    try:
        sys.exit(not main(sys.argv[1]))
    except (OSError, ValueError, KeyError) as error:
        sys.exit(f"{type(error).__name__}: {error}")
