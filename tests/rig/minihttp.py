"""HTTP/1.1 for the doubles of the rig, and the ways in which they misbehave.

The standard library's http.server forgives too much and streams too little
for a double that must find a client's mistakes: here a request is parsed by
the letter, what is wrong with it is told to the caller, bodies are read as
they come, and an answer is bytes that a fault may still spoil on their way.

One thread per connection. TLS is spoken when the server has a context.
"""

import collections
import fnmatch
import http.client
import json
import os
import random
import re
import resource
import select
import socket
import ssl
import struct
import threading
import time
import urllib.parse

HEAD_MAX = 64 * 1024
REASONS = {
    100: "Continue", 103: "Early Hints", 200: "OK", 201: "Created", 202: "Accepted",
    204: "No Content", 301: "Moved Permanently", 302: "Found", 303: "See Other",
    304: "Not Modified", 307: "Temporary Redirect", 308: "Permanent Redirect",
    400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found",
    405: "Method Not Allowed", 408: "Request Timeout", 409: "Conflict", 410: "Gone",
    411: "Length Required", 412: "Precondition Failed", 413: "Payload Too Large",
    415: "Unsupported Media Type", 416: "Range Not Satisfiable",
    422: "Unprocessable Entity", 429: "Too Many Requests",
    431: "Request Header Fields Too Large", 500: "Internal Server Error",
    501: "Not Implemented", 502: "Bad Gateway", 503: "Service Unavailable",
    504: "Gateway Timeout", 505: "HTTP Version Not Supported",
}
TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+\Z")


class BadRequest(Exception):
    """The peer broke HTTP; it is answered with `status` and cut off."""

    def __init__(self, status, text):
        super().__init__(text)
        self.status = status


class Gone(Exception):
    """The connection is over: the peer left, or we cut it."""


class Headers:
    """Header fields in the order they came, looked up without case."""

    def __init__(self, items=()):
        self.items = list(items)

    def get(self, name, default=None):
        name = name.lower()
        for key, value in self.items:
            if key.lower() == name:
                return value
        return default

    def all(self, name):
        name = name.lower()
        return [v for k, v in self.items if k.lower() == name]

    def __contains__(self, name):
        return self.get(name) is not None

    def set(self, name, value):
        low = name.lower()
        self.items = [(k, v) for k, v in self.items if k.lower() != low]
        self.items.append((name, str(value)))


class Request:
    def __init__(self, method, target, version, headers, body):
        self.method = method
        self.target = target
        self.version = version
        self.headers = headers
        self.body = body
        path, _, query = target.partition("?")
        self.path = urllib.parse.unquote(path)
        self.raw_path = path
        self.query_string = query
        self.query = dict(urllib.parse.parse_qsl(query, keep_blank_values=True))
        self.received = time.time()

    def content_type(self):
        return (self.headers.get("Content-Type") or "").split(";")[0].strip().lower()

    def keep_alive(self):
        words = [w.strip().lower() for v in self.headers.all("Connection") for w in v.split(",")]
        if self.version == "HTTP/1.0":
            return "keep-alive" in words
        return "close" not in words


class Answer:
    """What is to be sent."""

    def __init__(self, status, body=b"", headers=(), content_type=None):
        if isinstance(body, (dict, list)):
            body = json.dumps(body).encode()
            content_type = content_type or "application/json"
        elif isinstance(body, str):
            body = body.encode()
        self.status = status
        self.body = body                # bytes, or an open file to send whole
        self.headers = Headers()
        for key, value in headers:
            self.headers.items.append((key, str(value)))
        if content_type and "Content-Type" not in self.headers:
            self.headers.set("Content-Type", content_type)
        self.close = False
        self.stream = None              # an iterator of bytes, sent chunked


class Body:
    """A request's body, read as it comes: sized, chunked or none."""

    def __init__(self, conn, length, chunked, expect):
        self.conn = conn
        self.left = 0 if chunked else (length or 0)
        self.length = length
        self.chunked = chunked
        self.expect = expect
        self.done = not chunked and not length
        self.trailers = []
        self.total = 0

    def read(self, size=65536):
        """Up to `size` bytes; b"" only at the end."""
        if self.done:
            return b""
        if self.expect:
            self.expect = False
            self.conn.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        if self.chunked and self.left == 0:
            line = self.conn.read_line(1024)
            digits = line.split(b";")[0].strip()
            if not re.match(rb"[0-9a-fA-F]{1,15}\Z", digits):
                raise BadRequest(400, "bad chunk size %r" % line[:40])
            self.left = int(digits, 16)
            if self.left == 0:
                while True:
                    line = self.conn.read_line(8192)
                    if not line:
                        break
                    self.trailers.append(line)
                self.done = True
                return b""
        data = self.conn.read_some(min(size, self.left))
        self.left -= len(data)
        self.total += len(data)
        if self.left == 0:
            if self.chunked:
                if self.conn.read_line(2) != b"":
                    raise BadRequest(400, "chunk longer than its size")
            else:
                self.done = True
        return data

    def read_all(self, limit):
        parts = []
        size = 0
        while True:
            data = self.read()
            if not data:
                return b"".join(parts)
            size += len(data)
            if size > limit:
                raise BadRequest(413, "body above %d bytes" % limit)
            parts.append(data)

    def drain(self, limit):
        """Reads what is left, so that the connection can be used again."""
        size = 0
        try:
            while not self.done:
                size += len(self.read())
                if size > limit:
                    return False
        except BadRequest:
            return False
        return True


def readable(things, seconds):
    """Those of `things` (descriptors, sockets) that can be read. poll, since
    select refuses descriptors above 1023."""
    poller = select.poll()
    by_fd = {}
    for thing in things:
        fd = thing if isinstance(thing, int) else thing.fileno()
        if fd < 0:
            raise ValueError("closed")
        by_fd[fd] = thing
        poller.register(fd, select.POLLIN)
    return [by_fd[fd] for fd, _ in poller.poll(max(0, seconds) * 1000)]


class Conn:
    """One accepted connection."""

    def __init__(self, sock, peer):
        self.sock = sock
        self.peer = peer
        self.buf = bytearray()
        self.memo = {}                  # what the server remembers of this connection
        self.requests = 0
        self.tls = None
        self.sni = None
        self.dead = False
        sock.settimeout(60)
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError:
            pass                        # a unix socket

    def fill(self):
        try:
            data = self.sock.recv(65536)
        except (OSError, ValueError) as e:
            raise Gone(str(e)) from e
        if not data:
            raise Gone("closed by the peer")
        self.buf += data

    def read_line(self, limit):
        """A line without its CRLF."""
        while True:
            i = self.buf.find(b"\n")
            if i >= 0:
                line = bytes(self.buf[:i])
                del self.buf[:i + 1]
                if not line.endswith(b"\r"):
                    raise BadRequest(400, "a line ends with LF alone")
                if len(line) > limit:
                    raise BadRequest(431, "a line above %d bytes" % limit)
                return line[:-1]
            if len(self.buf) > limit + 2:
                raise BadRequest(431, "a line above %d bytes" % limit)
            self.fill()

    def read_some(self, size):
        if not self.buf:
            self.fill()
        data = bytes(self.buf[:size])
        del self.buf[:size]
        return data

    def read_request(self, idle):
        """The next request's head, or None when the peer is done with us."""
        if not self.buf:
            try:
                self.sock.settimeout(idle)
                self.fill()
            except Gone:
                return None
            finally:
                if not self.dead:
                    self.sock.settimeout(60)
        line = self.read_line(HEAD_MAX)
        parts = line.split(b" ")
        if len(parts) != 3 or not TOKEN.match(parts[0]) or not parts[1]:
            raise BadRequest(400, "bad request line %r" % line[:80])
        version = parts[2].decode("latin-1")
        if version not in ("HTTP/1.0", "HTTP/1.1"):
            raise BadRequest(505, "bad version %r" % version[:20])
        items = []
        size = 0
        while True:
            line = self.read_line(HEAD_MAX)
            if not line:
                break
            size += len(line)
            if size > HEAD_MAX:
                raise BadRequest(431, "head above %d bytes" % HEAD_MAX)
            name, colon, value = line.partition(b":")
            if not colon or not TOKEN.match(name):
                raise BadRequest(400, "bad header line %r" % line[:60])
            value = value.strip(b" \t")
            if re.search(rb"[\x00-\x08\x0a-\x1f\x7f]", value):
                raise BadRequest(400, "control character in header %r" % name)
            items.append((name.decode("latin-1"), value.decode("latin-1")))
        headers = Headers(items)
        try:
            method, target = parts[0].decode("ascii"), parts[1].decode("ascii")
        except UnicodeDecodeError:
            raise BadRequest(400, "request line is not ASCII") from None
        hosts = headers.all("Host")
        if version == "HTTP/1.1" and (len(hosts) != 1 or not hosts[0]):
            raise BadRequest(400, "needs one Host header, has %d" % len(hosts))
        lengths = headers.all("Content-Length")
        encodings = headers.all("Transfer-Encoding")
        length = None
        if lengths:
            if len(set(lengths)) != 1 or not re.match(r"[0-9]{1,15}\Z", lengths[0]):
                raise BadRequest(400, "bad Content-Length %r" % lengths)
            length = int(lengths[0])
        chunked = False
        if encodings:
            if length is not None:
                raise BadRequest(400, "both Content-Length and Transfer-Encoding")
            if [e.strip().lower() for e in encodings] != ["chunked"]:
                raise BadRequest(501, "Transfer-Encoding %r" % encodings)
            chunked = True
        expect = (headers.get("Expect") or "").lower() == "100-continue"
        body = Body(self, length, chunked, expect)
        self.requests += 1
        return Request(method, target, version, headers, body)

    def send(self, data):
        try:
            self.sock.sendall(data)
        except (OSError, ValueError) as e:
            raise Gone(str(e)) from e

    def readable(self):
        """True when the peer sent something, or left."""
        if self.buf:
            return True
        try:
            if isinstance(self.sock, ssl.SSLSocket) and self.sock.pending():
                return True
            return bool(readable([self.sock], 0))
        except (OSError, ValueError):
            return True

    def wait_gone(self, seconds):
        """Waits until the peer leaves or the time is over."""
        end = time.monotonic() + seconds
        while not self.dead and time.monotonic() < end:
            try:
                if readable([self.sock], min(0.5, max(0, end - time.monotonic()))):
                    self.fill()
            except (Gone, OSError, ValueError):
                return

    def drop_rest(self, seconds=0.5):
        """Before the close of a connection that still has bytes for us: were
        they not read, the kernel would send a reset, and the peer might lose
        the answer that tells it why."""
        end = time.monotonic() + seconds
        try:
            self.sock.settimeout(seconds)
            while time.monotonic() < end and self.sock.recv(1 << 16):
                pass
        except (OSError, ValueError):
            pass

    def linger_off(self):
        try:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        except OSError:
            pass

    def abort(self):
        """Ends the connection with a reset."""
        self.dead = True
        self.linger_off()
        try:
            self.sock.close()
        except OSError:
            pass

    def kill(self):
        """As abort, but from another thread than the connection's own: wakes
        that thread, whose close then sends the reset."""
        self.dead = True
        self.linger_off()
        try:
            # Not SSLSocket's own shutdown: it forgets the TLS state, and
            # what its thread sends next would go out in clear.
            socket.socket.shutdown(self.sock, socket.SHUT_RDWR)
        except OSError:
            pass

    def close(self):
        if self.dead:
            self.abort()
            return
        self.dead = True
        try:
            if isinstance(self.sock, ssl.SSLSocket):
                self.sock.settimeout(0.2)
                self.sock.unwrap()
        except (OSError, ValueError):
            pass
        try:
            self.sock.close()
        except OSError:
            pass


def http_date(when):
    return time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(when))


def head_bytes(answer, length, version="HTTP/1.1"):
    lines = ["%s %d %s" % (version, answer.status, REASONS.get(answer.status, "Status"))]
    lines += ["%s: %s" % item for item in answer.headers.items]
    if length is not None:
        lines.append("Content-Length: %d" % length)
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def send_answer(conn, answer, method="GET"):
    """Sends an answer as it should be sent."""
    if answer.stream is not None:
        answer.headers.set("Transfer-Encoding", "chunked")
        conn.send(head_bytes(answer, None))
        for piece in answer.stream:
            if piece:
                conn.send(b"%x\r\n" % len(piece) + piece + b"\r\n")
        conn.send(b"0\r\n\r\n")
        return
    if answer.status in (204, 304):
        conn.send(head_bytes(answer, None))
        return
    if isinstance(answer.body, bytes):
        body = b"" if method == "HEAD" else answer.body
        conn.send(head_bytes(answer, len(answer.body)) + body)
        return
    with answer.body as f:
        conn.send(head_bytes(answer, os.fstat(f.fileno()).st_size))
        while method != "HEAD":
            data = f.read(1 << 18)
            if not data:
                break
            conn.send(data)


# --- Faults -----------------------------------------------------------------

# What takes effect by default although the client does not get a right
# answer (True), and what happens before the request is looked at (False).
FAULTS = {
    # name:         (effect, parameters)
    "status":       (False, "code, headers, body, content_type, retry_after, reset_in"),
    "redirect":     (False, "code, location"),
    "rubbish":      (False, "size or text"),
    "stall":        (False, "delay: seconds until the connection is cut"),
    "non-json":     (False, "code, content_type, body"),
    "trickle":      (True, "bytes, interval"),
    "reset":        (True, "after: bytes of the answer sent before the reset; when: request"),
    "wrong-length": (True, "delta: how much Content-Length is above (or below) the truth"),
    "header":       (True, "size of one header, or many: number of headers"),
    "close":        (True, "-: the answer is lost"),
    "truncated":    (True, "keep: bytes of the body, Content-Length agrees"),
    "slow":         (True, "delay; when: before or after the request took effect"),
    "chunked":      (True, "piece: bytes per chunk (a right answer)"),
    "split":        (True, "piece: bytes per segment (a right answer)"),
    "interim":      (True, "-: a 103 comes first (a right answer)"),
    "close-header": (True, "-: Connection: close (a right answer)"),
    "http10":       (True, "-: HTTP/1.0 without a length (a right answer)"),
}
# Those that hit a connection before any request.
CONN_FAULTS = {
    "tls-garbage":  "text or size: sent instead of a handshake",
    "tls-close":    "-: closed after the client's first bytes",
    "accept-stall": "delay: accepted, then nothing",
    "accept-reset": "-: accepted, then reset",
    "down":         "mode: refuse (the listener is closed), reset, stall",
    "cert":         "pem, key: another certificate (files in the run directory)",
}


class Fault:
    def __init__(self, number, spec):
        self.id = number
        self.spec = spec
        self.what = spec["what"]
        self.path = spec.get("path", "*")
        self.skip = int(spec.get("skip", 0))
        self.count = spec.get("count")
        seconds = spec.get("seconds")
        self.until = time.monotonic() + float(seconds) if seconds is not None else None
        if self.count is None and seconds is None and self.what not in ("down", "cert"):
            self.count = 1
        self.hits = 0
        self.random = random.Random(spec.get("seed", 1))

    def live(self):
        if self.until is not None and time.monotonic() >= self.until:
            return False
        return self.count is None or self.hits < self.count

    def effect(self):
        return bool(self.spec.get("effect", FAULTS[self.what][0]))

    def show(self):
        d = dict(self.spec, id=self.id, hits=self.hits, live=self.live())
        if self.until is not None:
            d["seconds_left"] = round(max(0, self.until - time.monotonic()), 1)
        return d


class Faults:
    """The list of faults asked for; the first live one that fits is applied."""

    def __init__(self):
        self.lock = threading.Lock()
        self.list = []
        self.next = 1

    def add(self, spec):
        what = spec.get("what")
        if what not in FAULTS and what not in CONN_FAULTS:
            raise ValueError("unknown fault %r; known: %s" % (
                what, " ".join(sorted([*FAULTS, *CONN_FAULTS]))))
        with self.lock:
            fault = Fault(self.next, spec)
            self.next += 1
            self.list.append(fault)
        return fault

    def pick(self, method, path, **tags):
        """The fault for this request, counted as used; None if there is none."""
        with self.lock:
            for f in self.list:
                if f.what in CONN_FAULTS or not f.live():
                    continue
                if not path_fits(f.path, method, path):
                    continue
                if "job" in f.spec and str(f.spec["job"]) != str(tags.get("job")):
                    continue
                if "chance" in f.spec and f.random.random() >= float(f.spec["chance"]):
                    continue
                if f.skip > 0:
                    f.skip -= 1
                    continue
                f.hits += 1
                return f
        return None

    def pick_conn(self):
        with self.lock:
            for f in self.list:
                if f.what in CONN_FAULTS and f.live():
                    if f.skip > 0:
                        f.skip -= 1
                        continue
                    f.hits += 1
                    return f
        return None

    def refusing(self):
        """The live fault that wants the listener closed, if any."""
        with self.lock:
            for f in self.list:
                if f.what == "down" and f.spec.get("mode", "refuse") == "refuse" and f.live():
                    return f
        return None

    def clear(self, number=None):
        with self.lock:
            self.list = [f for f in self.list if number is not None and f.id != number]

    def show(self):
        with self.lock:
            return [f.show() for f in self.list]


def path_fits(pattern, method, path):
    """`pattern` is a glob over the path, or "METHOD glob"."""
    if " " in pattern:
        verb, _, pattern = pattern.partition(" ")
        if verb != method:
            return False
    return fnmatch.fnmatchcase(path.lstrip("/"), pattern.lstrip("/"))


def rubbish(spec, rng):
    if "text" in spec:
        return spec["text"].encode("latin-1", "replace")
    return rng.randbytes(int(spec.get("size", 512)))


def fault_answer(fault):
    """The answer of a fault that needs none of ours, or None."""
    spec = fault.spec
    if fault.what == "status":
        code = int(spec.get("code", 503))
        headers = list((spec.get("headers") or {}).items())
        if "retry_after" in spec:
            headers.append(("Retry-After", int(spec["retry_after"])))
        if "reset_in" in spec:
            headers.append(("RateLimit-ResetTime", http_date(time.time() + float(spec["reset_in"]))))
        body = spec.get("body", {"message": "%d %s" % (code, REASONS.get(code, "Status"))})
        return Answer(code, body, headers, spec.get("content_type"))
    if fault.what == "redirect":
        return Answer(int(spec.get("code", 302)), "moved", [("Location", spec.get("location", "/"))],
                      "text/html")
    if fault.what == "non-json":
        return Answer(int(spec.get("code", 200)),
                      spec.get("body", "<html><body>Sign in</body></html>\n"),
                      content_type=spec.get("content_type", "text/html"))
    return None


def send_with_fault(conn, answer, fault):
    """Sends `answer` spoilt as `fault` says; True if the connection lives on."""
    spec, what = fault.spec, fault.what
    if what == "rubbish":
        conn.send(rubbish(spec, fault.random))
        return False
    if what == "stall":
        conn.wait_gone(float(spec.get("delay", 3600)))
        conn.abort()
        return False
    if what == "close":
        return False
    if not isinstance(answer.body, bytes):
        with answer.body as f:
            answer.body = f.read()
    if answer.stream is not None:
        answer.body, answer.stream = b"".join(answer.stream), None
    body = answer.body
    bare = answer.status in (204, 304)
    if what == "truncated":
        body = body[:int(spec.get("keep", len(body) // 2))]
    if what == "header":
        if "many" in spec:
            for i in range(int(spec["many"])):
                answer.headers.items.append(("X-Many-%d" % i, "v" * 20))
        else:
            answer.headers.items.append(("X-Huge", "h" * int(spec.get("size", 65536))))
    if what == "interim":
        conn.send(b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n")
    if what == "close-header":
        answer.headers.set("Connection", "close")
        conn.send(head_bytes(answer, None if bare else len(body)) + body)
        return False
    if what == "http10":
        answer.headers.set("Connection", "close")
        conn.send(head_bytes(answer, None, "HTTP/1.0") + body)
        return False
    if what == "chunked" and not bare:
        answer.headers.set("Transfer-Encoding", "chunked")
        conn.send(head_bytes(answer, None))
        piece = int(spec.get("piece", 7))
        for i in range(0, len(body), piece):
            part = body[i:i + piece]
            conn.send(b"%X;ext=1\r\n" % len(part) + part + b"\r\n")
        conn.send(b"0\r\nX-Trailer: end\r\n\r\n")
        return True
    length = None if bare else len(body)
    if what == "wrong-length":
        length = max(0, len(body) + int(spec.get("delta", 10)))
    raw = head_bytes(answer, length) + body
    if what == "reset":
        after = int(spec.get("after", len(raw) // 2))
        if after > 0:
            conn.send(raw[:after])
            time.sleep(0.05)            # let it leave before the reset throws it away
        conn.abort()
        return False
    if what == "trickle":
        step = int(spec.get("bytes", 1))
        for i in range(0, len(raw), step):
            conn.send(raw[i:i + step])
            time.sleep(float(spec.get("interval", 0.05)))
        return True
    if what == "split":
        step = int(spec.get("piece", 3))
        for i in range(0, len(raw), step):
            conn.send(raw[i:i + step])
        return True
    conn.send(raw)
    return not (what == "wrong-length" and length > len(body))


# --- Servers ----------------------------------------------------------------

def unix_address(directory, name):
    """An address for a unix socket that fits even when the directory's name
    is longer than the 107 bytes the kernel takes. Returns (address, fd): the
    descriptor, where there is one, must stay open while the address is used."""
    path = os.path.join(directory, name)
    if len(os.fsencode(path)) <= 100:
        return path, None
    fd = os.open(directory, os.O_PATH | os.O_DIRECTORY)
    return "/proc/self/fd/%d/%s" % (fd, name), fd


def big_process():
    """Room for a thousand connections, each with its thread."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    want = 16384 if hard == resource.RLIM_INFINITY else min(16384, hard)
    if soft < want:
        resource.setrlimit(resource.RLIMIT_NOFILE, (want, hard))
    threading.stack_size(512 * 1024)


class Server:
    """Accepts connections and gives each a thread that runs `serve(conn)`.

    A `down` fault of mode refuse closes the listener and resets what is
    open, until the fault is over.
    """

    def __init__(self, make_socket, serve, faults=None, backlog=512):
        self.make_socket = make_socket
        self.serve = serve
        self.faults = faults
        self.backlog = backlog
        self.conns = set()
        self.lock = threading.Lock()
        self.wake_r, self.wake_w = os.pipe()
        self.stopping = False
        self.sock = None

    def open(self):
        self.sock = self.make_socket()
        self.sock.listen(self.backlog)
        self.sock.setblocking(False)

    def kick(self):
        os.write(self.wake_w, b"x")

    def stop(self):
        self.stopping = True
        self.kick()

    def kill_all(self):
        with self.lock:
            conns = list(self.conns)
        for conn in conns:
            conn.kill()

    def run(self):
        while not self.stopping:
            refusing = self.faults.refusing() if self.faults else None
            if refusing and self.sock:
                self.sock.close()
                self.sock = None
                self.kill_all()
            if not refusing and self.sock is None:
                self.open()
            watch = [self.wake_r] + ([self.sock] if self.sock else [])
            ready = readable(watch, 0.1 if self.sock is None else 1.0)
            if self.wake_r in ready:
                os.read(self.wake_r, 4096)
                continue
            if self.sock not in ready:
                continue
            try:
                sock, peer = self.sock.accept()
            except OSError:
                continue
            sock.setblocking(True)
            conn = Conn(sock, peer)
            with self.lock:
                self.conns.add(conn)
            threading.Thread(target=self.one, args=(conn,), daemon=True).start()
        if self.sock:
            self.sock.close()
        self.kill_all()

    def one(self, conn):
        try:
            self.serve(conn)
        except Gone:
            pass
        finally:
            conn.close()
            with self.lock:
                self.conns.discard(conn)


def tcp_listener(address, port):
    def make():
        sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((address, port))
        return sock
    return make


def unix_listener(directory, name):
    def make():
        path = os.path.join(directory, name)
        try:
            os.unlink(path)
        except FileNotFoundError:
            pass
        address, fd = unix_address(directory, name)
        sock = socket.socket(socket.AF_UNIX)
        mask = os.umask(0o077)
        try:
            sock.bind(address)
        finally:
            os.umask(mask)
            if fd is not None:
                os.close(fd)
        return sock
    return make


def serve_simple(handle):
    """A connection loop for well-behaved peers: the control sockets."""
    def serve(conn):
        while True:
            try:
                req = conn.read_request(idle=600)
                if req is None:
                    return
                answer = handle(req)
                req.body.drain(1 << 26)
            except BadRequest as e:
                send_answer(conn, Answer(e.status, {"error": str(e)}))
                return
            send_answer(conn, answer, req.method)
            if not req.keep_alive():
                return
    return serve


def unix_request(directory, name, method, path, body=None, timeout=60):
    """One request to a control socket. Returns (status, bytes)."""
    address, fd = unix_address(directory, name)
    conn = http.client.HTTPConnection("control", timeout=timeout)
    conn.sock = socket.socket(socket.AF_UNIX)
    try:
        conn.sock.settimeout(timeout)
        try:
            conn.sock.connect(address)
        finally:
            if fd is not None:
                os.close(fd)
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        conn.request(method, path, body, {"Content-Type": "application/json", "Connection": "close"})
        answer = conn.getresponse()
        return answer.status, answer.read()
    except http.client.HTTPException as e:
        raise OSError("control socket %s: %r" % (name, e)) from e
    finally:
        conn.close()


class Ring:
    """The last entries of a log, kept in memory and appended to a file."""

    def __init__(self, path, size=20000):
        self.lock = threading.Lock()
        self.items = collections.deque(maxlen=size)
        self.file = open(path, "a", encoding="utf-8")

    def add(self, item):
        with self.lock:
            self.items.append(item)
            self.file.write(json.dumps(item) + "\n")
            self.file.flush()

    def show(self):
        with self.lock:
            return list(self.items)
