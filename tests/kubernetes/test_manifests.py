"""The files of ``deploy/kubernetes`` against the schemas of Kubernetes, and against each other."""

import copy
from typing import Any

import kubernetes_validate
import pytest
import yaml

from tests.kubernetes.deployment import (
    EXECUTORS,
    FOLDER,
    VERSIONS,
    Object,
    driver_pod,
    manifest,
    manifests,
    spark_properties,
    spark_settings,
    values,
)


def _validate(one: Object, version: str) -> None:
    kubernetes_validate.validate(one, version, strict=True)


def _objects() -> list[Object]:
    return [*manifests(), *map(driver_pod, EXECUTORS)]


@pytest.mark.parametrize("version", VERSIONS)
def test_manifests_are_of_these_versions_of_kubernetes(version: str) -> None:
    kinds = [one["kind"] for one in _objects()]
    assert kinds.count("Pod") == 3 and {"Role", "NetworkPolicy", "PersistentVolumeClaim"} < set(kinds)
    for one in _objects():
        _validate(one, version)


def _paths(one: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where there are mappings whose keys the schema knows."""
    inner: list[tuple[Any, ...]] = []
    for key, value in one.items() if isinstance(one, dict) else enumerate(one) if isinstance(one, list) else ():
        if key not in ("labels", "matchLabels", "requests", "limits"):
            inner += _paths(value, (*path, key))
    return ([path] if isinstance(one, dict) else []) + inner


@pytest.mark.parametrize("version", VERSIONS)
def test_a_mistyped_key_is_refused_wherever_it_is(version: str) -> None:
    for one in [*manifests()[:4], *manifests()[-4:], driver_pod("kubernetes")]:
        for path in _paths(one):
            mistyped = copy.deepcopy(one)
            place: Any = mistyped
            for key in path:
                place = place[key]
            place["mistyped"] = "x"
            with pytest.raises(kubernetes_validate.ValidationError):
                _validate(mistyped, version)


def test_everything_but_the_volume_and_the_template_is_applied() -> None:
    kustomization = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())
    assert set(kustomization["resources"]) == {"accounts.yaml", "network.yaml"}
    assert (FOLDER / "volume.yaml").exists()
    assert kustomization["namespace"] and "namespace" not in (FOLDER / "accounts.yaml").read_text()


@pytest.mark.parametrize("executor", EXECUTORS)
def test_pods_have_the_accounts_secrets_and_volumes_that_there_are(executor: str) -> None:
    template = manifest("Pod", None)
    accounts = {one["metadata"]["name"] for one in manifests() if one["kind"] == "ServiceAccount"}
    for pod in (driver_pod(executor), template):
        spec = pod["spec"]
        assert spec["serviceAccountName"] in accounts
        volumes = {volume["name"] for volume in spec["volumes"]}
        assert volumes == {mount["name"] for mount in spec["containers"][0]["volumeMounts"]}
        assert spec["securityContext"]["runAsNonRoot"] and spec["securityContext"]["runAsUser"] == 50000
        assert spec["containers"][0]["securityContext"]["readOnlyRootFilesystem"]
        secret = next(one for one in spec["containers"][0]["volumeMounts"] if one["name"] == "spark-secret")
        assert spark_properties()["spark.authenticate.secret.file"] == f"{secret['mountPath']}/secret"
    binding = manifest("RoleBinding", "spark-driver")
    assert [one["name"] for one in binding["subjects"]] == [driver_pod(executor)["spec"]["serviceAccountName"]]
    assert template["spec"]["automountServiceAccountToken"] is False
    assert values(executor)["executor"].lower().startswith(executor)


def test_spark_listens_where_the_network_policies_let_it() -> None:
    conf = spark_properties() | spark_settings(driver_pod("kubernetes"))
    tries = 16  # of Spark, spark.port.maxRetries
    listened = {int(conf[name]) for name in ("spark.driver.port", "spark.blockManager.port")}
    opened = {
        port["port"]
        for name in ("spark-driver", "spark-executor")
        for rule in manifest("NetworkPolicy", name)["spec"]["ingress"]
        for port in rule["ports"]
        if port.get("endPort") == port["port"] + tries
    }
    assert opened == listened
    template = manifest("Pod", None)
    selected = manifest("NetworkPolicy", "spark-executor")["spec"]["podSelector"]["matchLabels"]
    assert selected.items() <= template["metadata"]["labels"].items()
    assert conf["spark.kubernetes.executor.podTemplateFile"] == "/opt/kmeans/deploy/kubernetes/executor.yaml"
