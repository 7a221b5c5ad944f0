#!/usr/bin/env python3
"""What a machine finds on its network besides the clouds and GitLab.

    http://ADDRESS/debian/           the archive of base.py, for apt
    http://ADDRESS/install-docker.sh what `engine-install-url` names
    ADDRESS:53 (UDP and TCP)         names: *.rig.test is this address, nothing
                                     else exists, and that is said at once

Usage: infra.py --run DIR
"""

import argparse
import os
import socket
import socketserver
import struct
import sys
import threading

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import base
import web
import world as w

INSTALL = """#!/bin/sh
# Installs Docker Engine from the distribution's packages.
set -e
export DEBIAN_FRONTEND=noninteractive
if command -v dockerd >/dev/null; then
	echo "Docker is installed already"
	exit 0
fi
apt-get -qq update
apt-get -qq install -y docker.io >/dev/null
dockerd --version
"""


def files(repo):
    root = os.path.realpath(repo)

    def answer(request):
        if request.method not in ("GET", "HEAD"):
            return web.Answer(405)
        if request.path == "/install-docker.sh":
            return web.Answer(200, INSTALL.encode(), {"Content-Type": "text/x-sh"})
        if not request.path.startswith("/debian/"):
            return web.Answer(404, b"not here\n")
        path = os.path.realpath(os.path.join(root, request.path[len("/debian/"):]))
        if not path.startswith(root + "/") or not os.path.isfile(path):
            return web.Answer(404, b"not here\n")
        with open(path, "rb") as f:
            return web.Answer(200, f.read(), {"Content-Type": "application/octet-stream"})
    return answer


def resolve(query, address):
    """One DNS query in, its answer out; None for what is no query."""
    if len(query) < 12:
        return None
    ident, flags, questions = struct.unpack("!HHH", query[:6])
    if flags & 0x8000 or questions != 1:
        return None
    labels, at = [], 12
    while at < len(query) and query[at]:
        n = query[at]
        labels.append(query[at + 1:at + 1 + n].decode("ascii", "replace").lower())
        at += 1 + n
    end = at + 5
    if end > len(query):
        return None
    kind, = struct.unpack("!H", query[at + 1:at + 3])
    ours = labels[-2:] == ["rig", "test"]
    record = b""
    if ours and kind == 1:
        record = b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 60, 4) + socket.inet_aton(address)
    # Authoritative, recursion as asked; NXDOMAIN for foreign names.
    head = struct.pack("!HHHHHH", ident, 0x8480 | (flags & 0x0100) | (0 if ours else 3),
                       1, 1 if record else 0, 0, 0)
    return head + query[12:end] + record


class _Udp(socketserver.BaseRequestHandler):
    def handle(self):
        answer = resolve(self.request[0], self.server.own_address)
        if answer:
            self.request[1].sendto(answer, self.client_address)


class _Tcp(socketserver.StreamRequestHandler):
    timeout = 10

    def handle(self):
        while True:
            head = self.rfile.read(2)
            if len(head) < 2:
                return
            answer = resolve(self.rfile.read(struct.unpack("!H", head)[0]),
                             self.server.own_address)
            if not answer:
                return
            self.wfile.write(struct.pack("!H", len(answer)) + answer)


class _UdpServer(socketserver.ThreadingUDPServer):
    daemon_threads = True


class _TcpServer(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True


def main():
    p = argparse.ArgumentParser(description="archive, install script and names for machines")
    p.add_argument("--run", required=True)
    world = w.World(os.path.realpath(p.parse_args().run))
    for kind, handler in ((_UdpServer, _Udp), (_TcpServer, _Tcp)):
        server = kind((world.address, 53), handler)
        server.own_address = world.address
        threading.Thread(target=server.serve_forever, daemon=True).start()
    web.Server((world.address, w.PORTS["http"]), files(base.Trees(world.trees).repo),
               note=lambda t: print(t, flush=True)).serve_forever()


if __name__ == "__main__":
    main()
