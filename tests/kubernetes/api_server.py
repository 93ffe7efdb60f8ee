"""A small API server of Kubernetes: it keeps pods, config maps and services, and each pod is a process on this machine.

What Spark asks of a cluster is here: create, get, list, watch, patch and delete, by name and by labels. Who sends a
token has the rights of a Role. There is no scheduler, and no network of its own.
"""

import asyncio
import json
import os
import signal
import ssl
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aiohttp import WSMsgType, web

_KINDS = {
    "pods": "Pod",
    "configmaps": "ConfigMap",
    "services": "Service",
    "persistentvolumeclaims": "PersistentVolumeClaim",
}
Object = dict[str, Any]


def _selects(selector: str, labels: dict[str, str]) -> bool:
    """Whether labels satisfy a selector of equalities, sets and names."""
    depth, part, parts = 0, "", []
    for character in f"{selector},":
        depth += (character == "(") - (character == ")")
        if character == "," and depth == 0:
            parts.append(part.strip())
            part = ""
        else:
            part += character
    for one in filter(None, parts):
        if " in (" in one:
            name, _, values = one.partition(" in (")
            if labels.get(name) not in [value.strip() for value in values.rstrip(")").split(",")]:
                return False
        elif " notin (" in one:
            name, _, values = one.partition(" notin (")
            if labels.get(name) in [value.strip() for value in values.rstrip(")").split(",")]:
                return False
        elif "!=" in one:
            name, value = one.split("!=")
            if labels.get(name) == value:
                return False
        elif "=" in one:
            name, value = one.replace("==", "=").split("=")
            if labels.get(name) != value:
                return False
        elif one.startswith("!"):
            if one[1:] in labels:
                return False
        elif one not in labels:
            return False
    return True


@dataclass
class Cluster:
    """The objects, the processes of pods, and who watches."""

    command: list[str]
    folder: Path
    objects: dict[tuple[str, str], Object] = field(default_factory=dict)
    processes: dict[str, asyncio.subprocess.Process] = field(default_factory=dict)
    watchers: list[tuple[str, str, "asyncio.Queue[Object]"]] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    #: What those may do who send this token: the rules of a Role. Others are the test itself.
    token: str = ""
    rules: list[Object] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)
    used: set[tuple[str, str]] = field(default_factory=set)
    version: int = 1

    def names(self, kind: str = "pods") -> list[str]:
        return [name for of, name in self.objects if of == kind]

    def kill(self, name: str) -> None:
        """End a pod's processes as the kernel does when memory is short."""
        os.killpg(self.processes[name].pid, signal.SIGKILL)

    def stop(self, name: str) -> None:
        """Begin to end the pod of a name, which is no longer among the objects."""
        process = self.processes.get(name)
        if process and process.returncode is None:
            os.killpg(process.pid, signal.SIGTERM)

    def end(self) -> None:
        """End all pods at once."""
        for process in self.processes.values():
            if process.returncode is None:
                os.killpg(process.pid, signal.SIGKILL)

    def may(self, request: web.Request) -> bool:
        """Whether the sender has the right to its request, as the authorizer for Roles decides."""
        sent = request.headers.get("Authorization")
        if sent is None or not self.rules:
            return True
        kind, one = request.match_info["kind"], "name" in request.match_info
        verb = {"POST": "create", "PUT": "update", "PATCH": "patch"}.get(request.method)
        if request.method == "DELETE":
            verb = "delete" if one else "deletecollection"
        if request.method == "GET":
            watches = request.query.get("watch", "").lower() in ("true", "1")
            verb = "watch" if watches else "get" if one else "list"
        asked = (str(verb), kind)
        granted = any(kind in rule["resources"] and verb in rule["verbs"] for rule in self.rules)
        if granted and sent == f"Bearer {self.token}":
            self.used.add(asked)
            return True
        self.refused.append(asked)
        return False

    def tell(self, event: str, kind: str, known: Object) -> None:
        self.version += 1
        known["metadata"]["resourceVersion"] = str(self.version)
        for of, selector, queue in self.watchers:
            if of == kind and _selects(selector, known["metadata"].get("labels", {})):
                queue.put_nowait({"type": event, "object": json.loads(json.dumps(known))})

    async def start(self, pod: Object) -> None:
        name = pod["metadata"]["name"]
        container = pod["spec"]["containers"][0]
        environment = dict(os.environ)
        for variable in container.get("env", []):
            source = variable.get("valueFrom", {}).get("fieldRef", {}).get("fieldPath")
            of_pod = {"status.podIP": "127.0.0.1", "metadata.name": name}
            environment[variable["name"]] = of_pod[source] if source else variable.get("value", "")
        for volume in pod["spec"].get("volumes", []):
            if "configMap" in volume:
                conf = self.folder / name / "conf"
                conf.mkdir(parents=True)
                # As the kubelet does: a pod waits for the config maps that it mounts.
                while (mounted := ("configmaps", volume["configMap"]["name"])) not in self.objects:
                    await asyncio.sleep(0.05)
                for file, content in self.objects[mounted].get("data", {}).items():
                    (conf / file).write_text(content)
                environment["SPARK_CONF_DIR"] = str(conf)
        local = self.folder / name / "local"
        local.mkdir(parents=True)
        environment["SPARK_LOCAL_DIRS"] = str(local)
        with open(self.folder / f"{name}.log", "wb") as log:
            process = await asyncio.create_subprocess_exec(
                *self.command,
                *container.get("args", []),
                env=environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd=local,
            )
        self.processes[name] = process
        started = {"running": {"startedAt": _now()}}
        self._state(pod, "Running", started)
        code = await process.wait()
        if ("pods", name) in self.objects:
            state = {"terminated": {"exitCode": code if code >= 0 else 128 - code, "finishedAt": _now()}}
            self._state(pod, "Succeeded" if code == 0 else "Failed", state)

    def _state(self, pod: Object, phase: str, state: Object, address: str = "127.0.0.1") -> None:
        status = {
            "name": pod["spec"]["containers"][0]["name"],
            "state": state,
            "ready": phase == "Running",
            "restartCount": 0,
            "image": "i",
            "imageID": "i",
        }
        pod["status"] = {
            "phase": phase,
            "podIP": address,
            "hostIP": "127.0.0.1",
            "startTime": _now(),
            # Executors are asked for when the driver's pod is ready.
            "conditions": [{"type": "Ready", "status": str(phase == "Running")}],
            "containerStatuses": [status],
        }
        self.tell("MODIFIED", "pods", pod)


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _status(code: int, reason: str) -> web.Response:
    body = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure" if code >= 400 else "Success",
        "reason": reason,
        "message": reason,
        "code": code,
    }
    return web.json_response(body, status=code)


def application(cluster: Cluster) -> web.Application:
    tasks: set[asyncio.Task[None]] = set()

    def listing(kind: str, selector: str, name: str = "") -> Object:
        items = [
            one
            for (of, known), one in cluster.objects.items()
            if of == kind and name in ("", known) and _selects(selector, one["metadata"].get("labels", {}))
        ]
        return {
            "kind": f"{_KINDS[kind]}List",
            "apiVersion": "v1",
            "metadata": {"resourceVersion": str(cluster.version)},
            "items": items,
        }

    async def many(request: web.Request) -> web.StreamResponse:
        kind, selector = request.match_info["kind"], request.query.get("labelSelector", "")
        named, _, name = request.query.get("fieldSelector", "").partition("metadata.name=")
        if kind not in _KINDS or named:
            return _status(404, "NotFound")
        if request.query.get("watch", "").lower() not in ("true", "1"):
            return web.json_response(listing(kind, selector, name))
        queue: asyncio.Queue[Object] = asyncio.Queue()
        watcher = (kind, selector, queue)
        cluster.watchers.append(watcher)
        try:
            if request.headers.get("Upgrade", "").lower() == "websocket":
                socket = web.WebSocketResponse(protocols=("v1.kubernetes.io",))
                await socket.prepare(request)
                reading = asyncio.ensure_future(_until_closed(socket))
                while not socket.closed:
                    event = asyncio.ensure_future(queue.get())
                    done, _ = await asyncio.wait([event, reading], return_when=asyncio.FIRST_COMPLETED)
                    if reading in done:
                        event.cancel()
                        break
                    await socket.send_str(json.dumps(event.result()))
                return socket
            response = web.StreamResponse(headers={"Content-Type": "application/json"})
            await response.prepare(request)
            while True:
                await response.write(json.dumps(await queue.get()).encode() + b"\n")
        finally:
            cluster.watchers.remove(watcher)

    async def _until_closed(socket: web.WebSocketResponse) -> None:
        async for message in socket:
            if message.type in (WSMsgType.CLOSE, WSMsgType.ERROR):
                return

    async def create(request: web.Request) -> web.Response:
        kind, made = request.match_info["kind"], await request.json()
        name = made["metadata"].get("name") or made["metadata"]["generateName"] + uuid.uuid4().hex[:5]
        if (kind, name) in cluster.objects:
            return _status(409, "AlreadyExists")
        made.setdefault("kind", _KINDS[kind])
        made.setdefault("apiVersion", "v1")
        made["metadata"] |= {
            "name": name,
            "namespace": request.match_info["ns"],
            "uid": str(uuid.uuid4()),
            "creationTimestamp": _now(),
        }
        cluster.objects[kind, name] = made
        if kind == "pods":
            made["status"] = {"phase": "Pending"}
        cluster.tell("ADDED", kind, made)
        if kind == "pods":
            task = asyncio.ensure_future(cluster.start(made))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        return web.json_response(made, status=201)

    def remove(kind: str, name: str) -> Object:
        gone = cluster.objects.pop((kind, name))
        if kind == "pods":
            cluster.stop(name)
        cluster.tell("DELETED", kind, gone)
        for key, owned in list(cluster.objects.items()):
            if gone["metadata"]["uid"] in [owner["uid"] for owner in owned["metadata"].get("ownerReferences", ())]:
                remove(*key)
        return gone

    async def delete_many(request: web.Request) -> web.Response:
        kind, selector = request.match_info["kind"], request.query.get("labelSelector", "")
        found = listing(kind, selector)
        for one in found["items"]:
            remove(kind, one["metadata"]["name"])
        return web.json_response(found)

    async def one(request: web.Request) -> web.Response:
        kind, name = request.match_info["kind"], request.match_info["name"]
        known = cluster.objects.get((kind, name))
        if request.method == "PATCH" and request.content_type == "application/apply-patch+yaml" and known is None:
            return await create(request)
        if known is None:
            return _status(404, "NotFound")
        if request.method == "DELETE":
            return web.json_response(remove(kind, name))
        if request.method in ("PUT", "PATCH"):
            changed = await request.json()
            if isinstance(changed, list):
                return _status(415, "UnsupportedMediaType")
            _merge(known, changed)
            cluster.tell("MODIFIED", kind, known)
        return web.json_response(known)

    @web.middleware
    async def noted(request: web.Request, handler: Any) -> web.StreamResponse:
        cluster.requests.append(f"{request.method} {request.path_qs}")
        if "kind" in request.match_info and not cluster.may(request):
            return _status(403, "Forbidden")
        return await handler(request)

    app = web.Application(middlewares=[noted])
    many_path = "/api/v1/namespaces/{ns}/{kind}"
    app.router.add_get(many_path, many)
    app.router.add_post(many_path, create)
    app.router.add_delete(many_path, delete_many)
    app.router.add_route("*", many_path + "/{name}", one)
    return app


def _merge(known: Object, changed: Object) -> None:
    for name, value in changed.items():
        if value is None:
            known.pop(name, None)
        elif isinstance(value, dict) and isinstance(known.get(name), dict):
            _merge(known[name], value)
        else:
            known[name] = value


@contextmanager
def served(cluster: Cluster, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """The server's address; at the end all pods end."""
    loop = asyncio.new_event_loop()
    ready: list[int] = []
    began = threading.Event()

    async def run() -> None:
        runner = web.AppRunner(application(cluster))
        await runner.setup()
        site = web.TCPSite(runner, host, 0, ssl_context=tls)
        await site.start()
        ready.append(site._server.sockets[0].getsockname()[1])  # type: ignore[union-attr]
        began.set()

    def serve() -> None:
        asyncio.set_event_loop(loop)
        loop.run_until_complete(run())
        loop.run_forever()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    assert began.wait(30)
    try:
        yield f"{'https' if tls else 'http'}://{host}:{ready[0]}"
    finally:
        cluster.end()
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
