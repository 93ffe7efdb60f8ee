"""The manifests and Helm values of ``deploy/kubernetes``, and the pod of a driver that they make."""

import json
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).resolve().parents[2] / "deploy" / "kubernetes"
EXECUTORS = ("celery", "kubernetes")
#: The oldest and the newest version that the manifests are for.
VERSIONS = ("1.33", "1.37")
Object = dict[str, Any]


def manifests() -> list[Object]:
    """What is applied, and the volume that may be, and the template of executors."""
    files = [path for path in sorted(FOLDER.glob("*.yaml")) if not path.name.startswith(("values", "kustomization"))]
    return [one for path in files for one in yaml.safe_load_all(path.read_text())]


def manifest(kind: str, name: str | None) -> Object:
    """The object of a kind and a name; the template of pods has none."""
    return next(one for one in manifests() if (one["kind"], one["metadata"].get("name")) == (kind, name))


def values(executor: str) -> Object:
    """The values of one executor, merged as Helm merges several files."""
    merged: Object = {}
    for name in ("values", f"values-{executor}"):
        _merge(merged, yaml.safe_load((FOLDER / f"{name}.yaml").read_text()))
    return merged


def _merge(into: Object, other: Object) -> None:
    for name, value in other.items():
        if isinstance(value, dict) and isinstance(into.get(name), dict):
            _merge(into[name], value)
        else:
            into[name] = value


def driver_pod(executor: str) -> Object:
    """The pod that the chart makes of these values for a task, as far as they decide it."""
    given = values(executor)
    worker = given["workers"][executor]
    image = f"{given['defaultAirflowRepository']}:{given['defaultAirflowTag']}"
    # The chart's templates are rendered in strings: these are all that the values use.
    extra = given["extraEnv"].replace("{{ .Values.defaultAirflowRepository }}:{{ .Values.defaultAirflowTag }}", image)
    assert "{{" not in extra
    secrets = [
        {
            "name": one["envName"],
            "valueFrom": {"secretKeyRef": {"name": one["secretName"], "key": one["secretKey"]}},
        }
        for one in given["secret"]
    ]
    container = {
        "name": "base",
        "image": image,
        "env": secrets + yaml.safe_load(extra),
        "securityContext": given["securityContexts"]["containers"],
        "volumeMounts": given["volumeMounts"] + worker["extraVolumeMounts"],
        "resources": worker["resources"],
    }
    spec = {
        "serviceAccountName": worker["serviceAccount"]["name"],
        "restartPolicy": "Never",
        "securityContext": given["securityContexts"]["pod"],
        "containers": [container],
        "volumes": given["volumes"] + worker["extraVolumes"],
    }
    labels = {"tier": "airflow", "component": "worker"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "driver", "labels": labels}, "spec": spec}


def spark_settings(pod: Object) -> Object:
    """COMPRESSION_SPARK_CONF of a driver's pod, before Kubernetes fills in its name and address."""
    variables = {one["name"]: one.get("value", "") for one in pod["spec"]["containers"][0]["env"]}
    settings: Object = json.loads(variables["COMPRESSION_SPARK_CONF"])
    return settings


def spark_properties() -> dict[str, str]:
    """The settings of ``spark.properties``."""
    lines = (FOLDER / "spark.properties").read_text().splitlines()
    return dict(line.split(None, 1) for line in lines if line and not line.startswith("#"))
