"""The real registry (docker-registry), filled over its own HTTP API.

It serves plain HTTP on the world's address: machines name it in
`engine-insecure-registry`. Its storage lies in run/registry and starts empty.
"""

import http.client
import os
import shutil

import world as w


def start(world):
    program = shutil.which("docker-registry")
    if not program:
        raise w.Error("no docker-registry in PATH: apt-get install docker-registry")
    port = w.PORTS["registry"]
    config = world.path("registry.yml")
    with open(config, "w") as f:
        f.write("version: 0.1\nlog:\n  level: warn\n  accesslog:\n    disabled: true\n"
                f"storage:\n  filesystem:\n    rootdirectory: {world.path('registry')}\n"
                "  delete:\n    enabled: true\n"
                f"http:\n  addr: {world.address}:{port}\n")
    os.makedirs(world.path("registry"), exist_ok=True)
    world.start_service("registry", [program, "serve", config],
                        lambda: world.listens(port),
                        env={"PATH": os.environ.get("PATH", ""), "OTEL_TRACES_EXPORTER": "none"})


class Client:
    """Just enough of the distribution API to push."""

    def __init__(self, host, port):
        self.connection = http.client.HTTPConnection(host, port, timeout=60)

    def call(self, method, path, body=None, headers=None, expect=()):
        self.connection.request(method, path, body=body, headers=headers or {})
        answer = self.connection.getresponse()
        text = answer.read()
        if expect and answer.status not in expect:
            raise w.Error(f"registry: {method} {path}: status {answer.status}: "
                          + text.decode(errors="replace")[:300])
        return answer.status, dict(answer.getheaders())

    def push_blob(self, repository, digest, path, mount_from=None):
        status, _ = self.call("HEAD", f"/v2/{repository}/blobs/{digest}")
        if status == 200:
            return
        query = f"?mount={digest}&from={mount_from}" if mount_from else ""
        status, headers = self.call("POST", f"/v2/{repository}/blobs/uploads/{query}",
                                    headers={"Content-Length": "0"}, expect=(201, 202))
        if status == 201:
            return
        location = headers["Location"]
        location = location[location.index("/v2/"):]
        joint = "&" if "?" in location else "?"
        with open(path, "rb") as f:
            self.call("PUT", f"{location}{joint}digest={digest}", body=f,
                      headers={"Content-Length": str(os.path.getsize(path)),
                               "Content-Type": "application/octet-stream"}, expect=(201,))

    def push_manifest(self, repository, tag, text):
        self.call("PUT", f"/v2/{repository}/manifests/{tag}", body=text.encode(),
                  headers={"Content-Type":
                           "application/vnd.docker.distribution.manifest.v2+json"},
                  expect=(201,))


def push(world, made, blobs):
    """Pushes what images.get returned."""
    client = Client(world.address, w.PORTS["registry"])
    home = {}
    for image, parts in made.items():
        repository, _, tag = image.partition(":")
        for digest in [*parts["layers"], parts["config"]]:
            client.push_blob(repository, digest, os.path.join(blobs, digest.split(":")[1]),
                             home.get(digest))
            home.setdefault(digest, repository)
        client.push_manifest(repository, tag, parts["manifest"])
