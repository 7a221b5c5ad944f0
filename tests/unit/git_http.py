#!/usr/bin/env python3
"""A git server for one unit test: repositories below ROOT over HTTP, by git's own http-backend.

    git_http.py ROOT TOKEN LOG [CERT KEY]

Prints its port and serves on loopback until its stdin ends. Only user
gitlab-ci-token with TOKEN may read. LOG gets a line for each request:
path, password (- if none), user agent, correlation id, separated by tabs. Below
/v0/ the newer protocol is not spoken, so a commit is had by ref only.
"""
import base64
import http.server
import os
import ssl
import subprocess
import sys
import threading

root, token, log = sys.argv[1:4]


class Git(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def answer(self, status, headers, body):
        self.send_response(status)
        for key, value in headers:
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def handle_git(self):
        length = int(self.headers.get("Content-Length") or 0)
        data = self.rfile.read(length)
        kind, _, value = (self.headers.get("Authorization") or "").partition(" ")
        given = base64.b64decode(value).decode() if kind == "Basic" else ""
        with open(log, "a", encoding="utf-8") as f:
            print(self.path, given.partition(":")[2] or "-", self.headers.get("User-Agent"),
                  self.headers.get("X-Gitaly-Correlation-ID", "-"), sep="\t", file=f)
        if given != "gitlab-ci-token:" + token:
            self.answer(401, [("WWW-Authenticate", 'Basic realm="git"')], b"who are you?\n")
            return
        path, _, query = self.path.partition("?")
        env = {
            "PATH": os.environ["PATH"], "GIT_PROJECT_ROOT": root, "GIT_HTTP_EXPORT_ALL": "1", "REQUEST_METHOD": self.command,
            "PATH_INFO": path.removeprefix("/v0"), "QUERY_STRING": query, "REMOTE_USER": "ci", "REMOTE_ADDR": "127.0.0.1",
            "CONTENT_TYPE": self.headers.get("Content-Type", ""), "CONTENT_LENGTH": str(length),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""), "HOME": "/nonexistent",
            "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*",
        }
        if not path.startswith("/v0/"):
            env["GIT_PROTOCOL"] = self.headers.get("Git-Protocol", "")
        out = subprocess.run(["git", "http-backend"], input=data, env=env, stdout=subprocess.PIPE, check=False).stdout
        head, _, body = out.partition(b"\r\n\r\n")
        headers = [tuple(s.strip() for s in h.split(":", 1)) for h in head.decode().split("\r\n") if ":" in h]
        status = next((int(v.split()[0]) for k, v in headers if k == "Status"), 200)
        self.answer(status, [h for h in headers if h[0] != "Status"], body)

    do_GET = do_POST = handle_git


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Git)
server.daemon_threads = True
if len(sys.argv) > 4:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[4], sys.argv[5])
    server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_address[1], flush=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
sys.stdin.read()
