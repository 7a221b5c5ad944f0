#!/usr/bin/env python3
"""Hundreds of Docker Engines in one process: stand-ins for machines where the machine does not matter.

    manyengines.py --dir DIR --count N [--net 77]

Each listens with TLS on 127.NET.x.y:2376 with the one certificate DIR/engine.pem, which every machine's directory of the
store has as its server.pem. They know as much of the Engine API as a job with neither services nor sources needs: a helper's
container ends at once; a build container prints one line and runs until it is killed, removed, or named on standard input
("end N": the N oldest end with exit code 0). What was asked is counted, not checked.
"""

import argparse
import asyncio
import itertools
import json
import os
import re
import ssl
import struct
import sys
import time

NOW = "2026-01-01T00:00:00Z"


def address(net, i):
    return f"127.{net}.{i // 250}.{i % 250 + 1}"


class Container:
    ids = itertools.count(1)

    def __init__(self, engine, name, body):
        self.id = f"{next(self.ids):064x}"
        self.engine, self.name = engine, name
        labels = body.get("Labels") or {}
        self.labels = labels
        self.build = labels.get("com.gitlab.gitlab-runner.type") == "build"
        self.image = body.get("Image", "")
        self.state, self.code, self.started_at = "created", 0, "0001-01-01T00:00:00Z"
        self.log = b""
        self.ended = asyncio.Event()

    def start(self):
        self.state, self.started_at = "running", time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime()) + f".{time.time_ns() % 10**9:09d}Z"
        self.ended.clear()
        if self.build:
            text = f"{self.started_at} begun\n".encode()
            self.log += struct.pack(">BxxxI", 1, len(text)) + text
            RUNNING.append(self)
        else:
            self.end(0)

    def end(self, code):
        if self.state == "running":
            self.state, self.code = "exited", code
            self.ended.set()
        if self in RUNNING:
            RUNNING.remove(self)

    def show(self):
        return {"Id": self.id, "Name": "/" + self.name, "Image": "sha256:1", "Created": NOW,
                "State": {"Status": self.state, "Running": self.state == "running", "ExitCode": self.code, "OOMKilled": False,
                          "StartedAt": self.started_at, "Error": ""},
                "Config": {"Image": self.image, "Labels": self.labels}, "HostConfig": {"Memory": 0}, "Mounts": []}


RUNNING = []


class Engine:
    def __init__(self, number):
        self.number = number
        self.containers = {}

    def find(self, word):
        return next((c for c in self.containers.values() if word in (c.id, c.name)), None)

    async def answer(self, method, path, body, writer):
        """Status and what goes with it; None when the answer was written already."""
        path, _, query = re.sub(r"^/v1\.\d+", "", path).partition("?")
        parts = path.strip("/").split("/")
        if path == "/_ping":
            return 200, b"OK"
        if path == "/info":
            return 200, {"Architecture": "x86_64", "OSType": "linux", "ServerVersion": "20.10.24"}
        if path == "/version":
            return 200, {"Version": "20.10.24", "ApiVersion": "1.41"}
        if path == "/networks/bridge":
            return 200, {"Id": f"{self.number:064x}", "Name": "bridge"}
        if path == "/volumes/create":
            return 201, {"Name": json.loads(body).get("Name")}
        if parts[0] in ("volumes", "networks"):
            return (201, {"Id": "1"}) if method == "POST" else (204, b"")
        if parts[0] == "images":
            return 200, {"Id": "sha256:1", "RepoTags": [], "RepoDigests": [], "Config": {"User": "", "Env": []}, "Os": "linux",
                         "Architecture": "amd64"}
        if path == "/containers/json":
            return 200, [{"Id": c.id, "Labels": c.labels, "State": c.state} for c in self.containers.values()]
        if path == "/containers/create":
            name = re.search(r"name=([^&]*)", query)[1]
            if self.find(name):
                return 409, {"message": "in use"}
            c = Container(self, name, json.loads(body))
            self.containers[c.id] = c
            return 201, {"Id": c.id, "Warnings": []}
        if parts[0] == "containers":
            return await self.container(method, parts[1], "/".join(parts[2:]), query, writer)
        return 404, {"message": f"no {path} here"}

    async def container(self, method, ident, what, query, writer):
        c = self.find(ident)
        if c is None:
            return 404, {"message": f"No such container: {ident}"}
        if method == "DELETE":
            c.end(137)
            del self.containers[c.id]
            return 204, b""
        if what == "json":
            return 200, c.show()
        if what == "archive":
            return 200, b""
        if what == "start":
            c.start()
            return 204, b""
        if what == "kill":
            c.end(137)
            return 204, b""
        if what == "exec":
            c.end(143)
            return 201, {"Id": c.id}
        if what == "wait":
            await c.ended.wait()
            return 200, {"StatusCode": c.code}
        if what == "logs":
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
            if c.log:
                writer.write(b"%x\r\n%s\r\n" % (len(c.log), c.log))
            await writer.drain()
            if "follow=1" in query or "follow=true" in query:
                await c.ended.wait()
            writer.write(b"0\r\n\r\n")
            await writer.drain()
            return None
        return 404, {"message": f"no {what} here"}

    async def serve(self, reader, writer):
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                first, *fields = head.decode("latin-1").split("\r\n")
                method, path, _ = first.split(" ")
                length = next((int(f.split(":")[1]) for f in fields if f.lower().startswith("content-length:")), 0)
                body = await reader.readexactly(length)
                if path.startswith("/exec/"):
                    answer = 200, b""
                else:
                    answer = await self.answer(method, path, body, writer)
                if answer is None:
                    continue
                status, data = answer
                kind = b"text/plain" if isinstance(data, bytes) else b"application/json"
                if not isinstance(data, bytes):
                    data = json.dumps(data).encode()
                length = b"" if status == 204 else b"Content-Length: %d\r\n" % len(data)
                writer.write(b"HTTP/1.1 %d Fine\r\nApi-Version: 1.41\r\nContent-Type: %s\r\n%s\r\n%s" % (status, kind, length, data))
                await writer.drain()
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError, ssl.SSLError):
            pass
        finally:
            writer.close()


def ordered(line):
    words = line.split()
    if len(words) == 2 and words[0] == "end":
        for c in RUNNING[:int(words[1])]:
            c.end(0)
    print(len(RUNNING), flush=True)


async def main():
    p = argparse.ArgumentParser()
    p.add_argument("--dir", required=True)
    p.add_argument("--count", type=int, required=True)
    p.add_argument("--net", type=int, default=77)
    args = p.parse_args()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(os.path.join(args.dir, "engine.pem"), os.path.join(args.dir, "engine-key.pem"))
    for i in range(args.count):
        await asyncio.start_server(Engine(i).serve, address(args.net, i), 2376, ssl=context, backlog=64)
    print("ready", flush=True)
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        ordered(line)


if __name__ == "__main__":
    asyncio.run(main())
