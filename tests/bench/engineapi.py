"""
A machine's Docker Engine by plain API calls over TLS: what a job start costs without windlass in it.

The certificate is checked by address, as the docker client does: docker-machine's certificates name the address and localhost,
not the machine.
"""

import contextlib
import http.client
import json
import os
import socket
import ssl
import time


class _Connection(http.client.HTTPConnection):
    def __init__(self, address, context):
        super().__init__(address, 2376, timeout=60)
        self.context = context

    def connect(self):
        plain = socket.create_connection((self.host, self.port), self.timeout)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = self.context.wrap_socket(plain, server_hostname=self.host)


class Engine:
    """The engine of a machine in the store, with the store's client certificate."""

    def __init__(self, store, name):
        where = os.path.join(store, "machines", name)
        with open(os.path.join(where, "config.json")) as f:
            address = json.load(f)["Driver"]["IPAddress"]
        context = ssl.create_default_context(cafile=os.path.join(where, "ca.pem"))
        context.load_cert_chain(os.path.join(where, "cert.pem"), os.path.join(where, "key.pem"))
        self.http = _Connection(address, context)
        self.call("GET", "/_ping")

    def call(self, method, path, body=None):
        self.http.request(method, path, json.dumps(body) if body is not None else None,
                          {"Content-Type": "application/json"})
        answer = self.http.getresponse()
        data = answer.read()
        if answer.status >= 400:
            raise OSError(f"engine: {method} {path}: {answer.status} {data[:200].decode(errors='replace')}")
        with contextlib.suppress(ValueError):
            return json.loads(data)
        return data

    def close(self):
        self.http.close()


def like(inspected):
    """A create call's body for a container like this one, which runs a shell that says a word and ends."""
    config, host = inspected["Config"], inspected["HostConfig"]
    body = {k: config.get(k) for k in ("Image", "Env", "Entrypoint", "User", "WorkingDir")}
    body["Cmd"] = ["sh", "-c", "echo up"]
    body["HostConfig"] = {k: host.get(k) for k in ("LogConfig", "NetworkMode", "Privileged", "SecurityOpt", "ShmSize",
                                                   "CapAdd", "CapDrop", "Memory", "NanoCpus")}
    # The same places, on volumes of its own.
    body["HostConfig"]["Binds"] = [f"bench-{i}:{m['Destination']}" for i, m in enumerate(inspected.get("Mounts") or ())]
    if not str(host.get("NetworkMode", "")) in ("default", "bridge", "host", "none"):
        body["HostConfig"]["NetworkMode"] = "default"
    return body


def job_containers(engine, job):
    """What the containers of a running job look like, the helper first."""
    label = json.dumps({"label": [f"com.gitlab.gitlab-runner.job.id={job}"]})
    found = engine.call("GET", "/containers/json?all=1&filters=" + label.replace('"', "%22").replace(" ", ""))
    found.sort(key=lambda c: c["Labels"].get("com.gitlab.gitlab-runner.type") == "build")
    return [engine.call("GET", f"/containers/{c['Id']}/json") for c in found]


def create_and_start(engine, bodies):
    """Seconds that the engine takes to create and start containers, one after the other; they are removed afterwards."""
    made = []
    begun = time.monotonic()
    try:
        for body in bodies:
            made.append(engine.call("POST", "/containers/create", body)["Id"])
            engine.call("POST", f"/containers/{made[-1]}/start")
        return time.monotonic() - begun
    finally:
        for ident in made:
            engine.call("DELETE", f"/containers/{ident}?force=1&v=1")
