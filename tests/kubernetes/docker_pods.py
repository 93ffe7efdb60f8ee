"""Pods that are containers of the project's image on a Docker engine, in a network of their own.

A pod's container gets what the kubelet would give it of its specification: user, capabilities, a read-only root file
system, limits of memory, variables, arguments, and its volumes. No folder of this machine is in it but config maps,
secrets and the token of its account, which are read-only.
"""

import asyncio
import json
import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from tests.kubernetes.api_server import Cluster, Object

_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
_BYTES = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30}


def docker(*arguments: str) -> str:
    """The output of the Docker client."""
    run = subprocess.run(["docker", *arguments], capture_output=True, text=True, timeout=600)
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


def _bytes(quantity: str) -> int:
    number, unit = re.fullmatch(r"(\d+)([kMG]i?)?", quantity).groups("")  # type: ignore[union-attr]
    return int(number) * _BYTES[unit]


@dataclass
class DockerCluster(Cluster):
    """A cluster of one node, the Docker engine."""

    network: str = ""
    subnet: str = ""
    secrets: dict[str, dict[str, str]] = field(default_factory=dict)
    certificate: str = ""
    addresses: int = 1

    def container(self, name: str) -> str:
        return f"{self.network}-{name}"

    def containers(self, *more: str) -> list[str]:
        """The names of pods whose containers the engine has; with ``--filter`` and such, of some of them."""
        names = docker("ps", "--filter", f"network={self.network}", "--format", "{{.Names}}", *more).split()
        return [name.removeprefix(f"{self.network}-") for name in names]

    def log(self, name: str) -> str:
        path = self.folder / f"{name}.log"
        return path.read_text() if path.exists() else ""

    def kill(self, name: str) -> None:
        docker("kill", "--signal=KILL", self.container(name))

    def stop(self, name: str) -> None:
        # As the kubelet does: a signal, and some time.
        subprocess.Popen(["docker", "stop", "--time=30", self.container(name)], stdout=-3, stderr=-3)

    def end(self) -> None:
        for name in docker("ps", "-aq", "--filter", f"network={self.network}").split():
            subprocess.run(["docker", "rm", "--force", name], capture_output=True, timeout=120)

    async def start(self, pod: Object) -> None:
        name = pod["metadata"]["name"]
        self.addresses += 1
        address = self.subnet.replace(".0/24", f".{self.addresses}")
        options = await self._options(pod, address)
        container = pod["spec"]["containers"][0]
        if ("pods", name) not in self.objects:
            return
        started = await _docker(
            *("run", "--detach", f"--name={self.container(name)}", f"--network={self.network}", f"--ip={address}"),
            *(*options, container["image"], *container.get("args", [])),
        )
        if started:
            (self.folder / f"{name}.log").write_text(started)
            self._state(pod, "Failed", {"terminated": {"exitCode": 128, "reason": "StartError"}}, address)
            return
        self._state(pod, "Running", {"running": {}}, address)
        follow = await asyncio.create_subprocess_exec(
            *("docker", "wait", self.container(name)), stdout=asyncio.subprocess.PIPE
        )
        code = int((await follow.communicate())[0] or 137)
        with open(self.folder / f"{name}.log", "wb") as log:
            kept = await asyncio.create_subprocess_exec(
                *("docker", "logs", self.container(name)), stdout=log, stderr=log
            )
            await kept.wait()
        await _docker("rm", "--force", self.container(name))
        if ("pods", name) in self.objects:
            state = {"terminated": {"exitCode": code}}
            self._state(pod, "Failed" if code else "Succeeded", state, address)

    async def _options(self, pod: Object, address: str) -> list[str]:
        spec, container = pod["spec"], pod["spec"]["containers"][0]
        options = []
        context = spec.get("securityContext", {}) | container.get("securityContext", {})
        if "runAsUser" in context:
            options.append(f"--user={context['runAsUser']}:{context.get('runAsGroup', 0)}")
        if "fsGroup" in context:
            options.append(f"--group-add={context['fsGroup']}")
        if context.get("readOnlyRootFilesystem"):
            options.append("--read-only")
        if context.get("allowPrivilegeEscalation") is False:
            options.append("--security-opt=no-new-privileges:true")
        options += [f"--cap-drop={one}" for one in context.get("capabilities", {}).get("drop", ())]
        if memory := container.get("resources", {}).get("limits", {}).get("memory"):
            options.append(f"--memory={_bytes(memory)}")
        mounts = {mount["name"]: mount["mountPath"] for mount in container.get("volumeMounts", ())}
        for volume in spec.get("volumes", ()):
            if (path := mounts.get(volume["name"])) is None:
                continue
            if "emptyDir" in volume:
                limit = volume["emptyDir"].get("sizeLimit")
                size = f",size={_bytes(limit)}" if limit else ""
                options.append(f"--tmpfs={path}:exec,mode=0777{size}")
            elif "configMap" in volume:
                # As the kubelet does: a pod waits for the config maps that it mounts.
                while (key := ("configmaps", volume["configMap"]["name"])) not in self.objects:
                    await asyncio.sleep(0.05)
                options.append(self._files(pod, volume["name"], self.objects[key].get("data", {}), path))
            else:
                files = self.secrets[volume["secret"]["secretName"]]
                options.append(self._files(pod, volume["name"], files, path))
        if spec.get("automountServiceAccountToken") is not False:
            files = {"ca.crt": self.certificate, "token": self.token}
            options.append(self._files(pod, "account", files, _ACCOUNT))
        return options + [f"--env={name}={value}" for name, value in self._variables(pod, address).items()]

    def _files(self, pod: Object, name: str, files: dict[str, str], path: str) -> str:
        folder = self.folder / pod["metadata"]["name"] / name
        folder.mkdir(parents=True)
        for file, content in files.items():
            (folder / file).write_text(content)
        return f"--volume={folder}:{path}:ro"

    def _variables(self, pod: Object, address: str) -> dict[str, str]:
        """The variables of a pod; a value may have earlier ones as ``$(NAME)``."""
        of_pod = {f"metadata.{name}": pod["metadata"].get(name, "") for name in ("name", "namespace")}
        of_pod["status.podIP"] = address
        found: dict[str, str] = {}
        for variable in pod["spec"]["containers"][0].get("env", ()):
            source = variable.get("valueFrom", {})
            if "fieldRef" in source:
                value = of_pod[source["fieldRef"]["fieldPath"]]
            elif "secretKeyRef" in source:
                value = self.secrets[source["secretKeyRef"]["name"]][source["secretKeyRef"]["key"]]
            else:
                value = variable.get("value") or ""
                for name in re.findall(r"\$\((\w+)\)", value):
                    value = value.replace(f"$({name})", found[name])
            found[variable["name"]] = value
        return found


async def _docker(*arguments: str) -> str:
    """What the Docker client says of an error; nothing where it has none."""
    process = await asyncio.create_subprocess_exec(
        "docker", *arguments, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
    )
    said = (await process.communicate())[1].decode()
    return said or "failed" if process.returncode else ""


def make_network(name: str) -> tuple[str, str]:
    """Make a network of this name: its subnet, and the address of this machine in it."""
    for number in range(64, 128):
        subnet = f"10.213.{number}.0/24"
        run = subprocess.run(["docker", "network", "create", f"--subnet={subnet}", name], capture_output=True)
        if run.returncode == 0:
            gateway = json.loads(docker("network", "inspect", name))[0]["IPAM"]["Config"][0].get("Gateway")
            return subnet, gateway or subnet.replace(".0/24", ".1")
    raise AssertionError(run.stderr.decode())


def make_certificate(folder: Path, address: str) -> tuple[Path, Path]:
    """A certificate of the API server, which is its own authority, and its key."""
    certificate, key = folder / "ca.crt", folder / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=api"]
        + ["-addext", f"subjectAltName=IP:{address}", "-keyout", str(key), "-out", str(certificate)],
        check=True,
        capture_output=True,
    )
    return certificate, key
