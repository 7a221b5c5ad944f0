"""A small HTTP/1.1 server whose answers can go wrong on purpose.

A double gives `serve` a function that turns a Request into an Answer. How the
answer is put on the wire is part of it (`wire`), so that a fault is a property
of one answer and not of the server:

    close-before   the connection ends before the request is acted upon
                   (the double must not call its handler; see clouds/double.py)
    close-after    acted upon, but the connection ends without an answer
    reset          the same with a TCP reset
    truncate       half of the body, then the end of the connection
    long-length    Content-Length promises 100 bytes more than come
    short-length   Content-Length is 10 bytes short; the rest follows anyway
    chunked        a correct chunked body
    trickle        one byte a time, with pauses
    gzip           the body compressed, and said so
    close          a correct answer, Connection: close
    html           status 200 and a page instead of JSON
    garbage        bytes that are no HTTP answer
    endless-head   header lines without end, as long as the client takes them
"""

import gzip
import http.server
import json
import os
import socket
import socketserver
import ssl
import struct
import threading
import time
import urllib.parse

BODY_MAX = 8 << 20


class Request:
    def __init__(self, method, target, headers, body, peer):
        self.method = method
        path, _, query = target.partition("?")
        self.target = target
        self.path = urllib.parse.unquote(path)
        self.query = urllib.parse.parse_qsl(query, keep_blank_values=True)
        self.headers = headers
        self.body = body
        self.peer = peer

    def json(self):
        return json.loads(self.body.decode()) if self.body else {}


class Answer:
    def __init__(self, status, body=None, headers=None, wire=None, delay=0.0):
        self.status = status
        self.value = body
        self.headers = dict(headers or {})
        self.wire = wire
        self.delay = delay
        if body is None:
            self.bytes = b""
        elif isinstance(body, bytes):
            self.bytes = body
        else:
            self.bytes = json.dumps(body).encode()
            self.headers.setdefault("Content-Type", "application/json; charset=utf-8")


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "rig"
    sys_version = ""
    # A test that forgets a connection must not keep a thread for ever.
    timeout = 300

    def setup(self):
        super().setup()
        if not isinstance(self.request, ssl.SSLSocket):
            return
        try:
            self.request.do_handshake()
        except (OSError, ssl.SSLError) as e:
            self.server.note(f"TLS handshake with {self.client_address}: {e}")
            raise ConnectionAbortedError from e

    def do(self):
        length = self.headers.get("Content-Length")
        body = b""
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            body = self._read_chunked()
        elif length and length.isdigit():
            if int(length) > BODY_MAX:
                self.close_connection = True
                return
            body = self.rfile.read(int(length))
        peer = self.client_address[0] if self.client_address else ""
        request = Request(self.command, self.path, self.headers, body, peer)
        answer = self.server.answer(request)
        if answer.delay:
            time.sleep(answer.delay)
        try:
            self._send(answer)
        except (BrokenPipeError, ConnectionResetError, ssl.SSLError):
            self.close_connection = True

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_HEAD = do_OPTIONS = do

    def _read_chunked(self):
        body = b""
        while True:
            size = int(self.rfile.readline(64).split(b";")[0], 16)
            if size == 0:
                while self.rfile.readline(4096) not in (b"\r\n", b"\n", b""):
                    pass
                return body
            body += self.rfile.read(size)
            self.rfile.readline(8)
            if len(body) > BODY_MAX:
                raise ConnectionAbortedError

    def _send(self, answer):
        wire = answer.wire
        if wire in ("close-before", "close-after"):
            self._hang_up()
            return
        if wire == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                       struct.pack("ii", 1, 0))
            self.close_connection = True
            # Closing it the usual way would send a FIN first.
            os.close(self.connection.detach())
            return
        if wire == "garbage":
            self.wfile.write(b"\x00\x17 this is not HTTP\r\n" * 3)
            self._hang_up()
            return
        body = answer.bytes
        if wire == "html":
            answer.status, answer.headers = 200, {"Content-Type": "text/html"}
            body = b"<html><body>be back soon</body></html>\n"
        if wire == "gzip" and body:
            body = gzip.compress(body)
            answer.headers["Content-Encoding"] = "gzip"
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if wire == "endless-head":
            self.flush_headers()
            for n in range(200000):
                self.wfile.write(b"X-Filler-%d: %s\r\n" % (n, b"x" * 200))
            self._hang_up()
            return
        if wire in ("close", "truncate", "long-length", "short-length"):
            self.send_header("Connection", "close")
            self.close_connection = True
        if wire == "chunked":
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for i in range(0, len(body), 97):
                piece = body[i:i + 97]
                self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            self.wfile.write(b"0\r\n\r\n")
            return
        length = len(body)
        if wire == "long-length":
            length += 100
        elif wire == "short-length":
            length = max(0, length - 10)
        if answer.status != 304 and not 100 <= answer.status < 200:
            self.send_header("Content-Length", str(length))
        self.end_headers()
        if self.command == "HEAD":
            return
        if wire == "truncate":
            self.wfile.write(body[:len(body) // 2])
            self._hang_up()
        elif wire == "trickle":
            for i in range(len(body)):
                self.wfile.write(body[i:i + 1])
                self.wfile.flush()
                time.sleep(0.02)
        else:
            self.wfile.write(body)

    def _hang_up(self):
        self.close_connection = True
        try:
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def log_message(self, format, *args):
        pass


class Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, address, answer, tls=None, note=lambda text: None):
        """`tls` is (certificate file, key file) or None; `note` takes log lines."""
        self.answer = answer
        self.note = note
        self.context = None
        if tls:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.minimum_version = ssl.TLSVersion.TLSv1_2
            self.context.load_cert_chain(*tls)
        super().__init__(address, _Handler)

    def get_request(self):
        connection, peer = super().get_request()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.context:
            # The handshake waits for the peer: that is the thread's business.
            connection = self.context.wrap_socket(connection, server_side=True,
                                                  do_handshake_on_connect=False)
        return connection, peer

    def handle_error(self, request, client_address):
        import sys
        import traceback
        kind = sys.exc_info()[0]
        if not issubclass(kind, (ConnectionError, TimeoutError, ssl.SSLError)):
            self.note(traceback.format_exc())


class UnixServer(Server):
    """The control socket of a double: same handler, no TLS."""
    address_family = socket.AF_UNIX

    def __init__(self, path, answer, note=lambda text: None):
        if os.path.exists(path):
            os.unlink(path)
        super().__init__(path, answer, note=note)
        os.chmod(path, 0o600)

    def get_request(self):
        connection, _ = self.socket.accept()
        return connection, ("", 0)

    def server_bind(self):
        self.socket.bind(self.server_address)


def start(server):
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.2},
                     daemon=True).start()
    return server
