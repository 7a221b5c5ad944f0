"""A TLS proxy before one machine's Docker Engine that can be told to misbehave.

It shows the machine's own certificate (its key lies in the store) and asks for
the client's, as dockerd does. What windlass says passes through; what
the engine answers is spoilt as the faults say. One thread a connection, HTTP by
the letter, nothing kept.

    proxy = EngineProxy(store, machine)
    proxy.redirect()                  # the machine's config.json now names the proxy
    proxy.fault("reset", "GET /containers/[^/]+/logs", after=400)
    proxy.refuse(10)

Faults are taken in the order they were given, each `count` times (1) after `skip`
fitting calls were let through. CALL is a pattern over "METHOD /path?query" without the API's version.
`effect` says whether the engine hears of the call at all.

    reset          the connection is reset after `after` bytes of the answer's body; -1: before its head
    close          the same, but as an orderly end of TLS and TCP
    truncated      an orderly end within a chunk
    bad-chunk      no chunk size where one must be
    bad-frame      a frame of the log stream that is none
    wrong-length   Content-Length is off by `delta`
    trickle        byte by byte, every `interval` seconds
    stall          nothing comes for `seconds`, then a reset
    status         `code` with `body` (effect: no)
    non-json       a web page with status `code` (effect: no)
    rubbish        no HTTP
    tls-garbage    bytes that are no TLS record, after `after` bytes of the body
    huge-head      a header of `size` bytes
"""

import itertools
import json
import os
import re
import select
import socket
import ssl
import struct
import threading
import time

PIECE = 16384
# Addresses of the loopback network, a new one for each proxy of this process: the port is always 2376.
_next = itertools.count(1)


class Gone(Exception):
    """A side of the connection is over."""


class Fault:
    DEFAULT_EFFECT = {"status": False, "non-json": False}

    def __init__(self, what, call, how):
        self.what, self.call, self.how = what, re.compile(call), how
        self.skip, self.left, self.hits = how.get("skip", 0), how.get("count", 1), 0

    def effect(self):
        return self.how.get("effect", self.DEFAULT_EFFECT.get(self.what, True))


class Side:
    """One side of a connection: bytes with a buffer."""

    def __init__(self, sock):
        self.sock, self.buf = sock, b""

    def fill(self):
        try:
            data = self.sock.recv(PIECE)
        except (OSError, ValueError) as e:
            raise Gone(str(e)) from e
        if not data:
            raise Gone("closed")
        self.buf += data

    def line(self):
        while b"\n" not in self.buf:
            self.fill()
        line, _, self.buf = self.buf.partition(b"\n")
        return line + b"\n"

    def some(self, most):
        if not self.buf:
            self.fill()
        data, self.buf = self.buf[:most], self.buf[most:]
        return data

    def head(self):
        """(first line, fields) of a message; the fields as they came."""
        first, fields = self.line(), []
        while True:
            line = self.line()
            if line == b"\r\n":
                return first, fields
            fields.append(line)

    def send(self, data):
        try:
            self.sock.sendall(data)
        except (OSError, ValueError) as e:
            raise Gone(str(e)) from e


def field(fields, name):
    for line in fields:
        key, _, value = line.partition(b":")
        if key.lower() == name:
            return value.strip()
    return None


def body_pieces(side, fields, bare):
    """The raw bytes of a body as they come: ("size" | "data" | "end", bytes)."""
    length = field(fields, b"content-length")
    if bare:
        return
    if (field(fields, b"transfer-encoding") or b"").lower() == b"chunked":
        while True:
            line = side.line()
            yield "size", line
            left = int(line.split(b";")[0], 16)
            if left == 0:
                while (line := side.line()) != b"\r\n":
                    yield "end", line
                yield "end", line
                return
            while left > 0:
                data = side.some(min(left, PIECE))
                left -= len(data)
                yield "data", data
            yield "end", side.line()
    elif length is not None:
        left = int(length)
        while left > 0:
            data = side.some(min(left, PIECE))
            left -= len(data)
            yield "data", data
    else:
        while True:
            try:
                yield "data", side.some(PIECE)
            except Gone:
                return


def point_to(machine_dir, address):
    """Writes another address into a machine's config.json, whole or not at all."""
    path = os.path.join(machine_dir, "config.json")
    with open(path) as f:
        config = json.load(f)
    config["Driver"]["IPAddress"] = address
    with open(path + ".proxy", "w") as f:
        json.dump(config, f, indent=4)
    os.chmod(path + ".proxy", 0o600)
    os.rename(path + ".proxy", path)


class EngineProxy:
    def __init__(self, store, machine, pem=None, key=None):
        self.dir = os.path.join(store, "machines", machine)
        n = next(_next)
        self.address = f"127.{os.getpid() % 200 + 20}.{n >> 8}.{n & 255}"
        with open(os.path.join(self.dir, "config.json")) as f:
            self.engine = json.load(f)["Driver"]["IPAddress"]
        self.client_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.client_side.load_cert_chain(pem or self.path("server.pem"), key or self.path("server-key.pem"))
        self.client_side.load_verify_locations(self.path("ca.pem"))
        self.client_side.verify_mode = ssl.CERT_REQUIRED
        self.engine_side = ssl.create_default_context(cafile=self.path("ca.pem"))
        self.engine_side.check_hostname = False
        self.engine_side.load_cert_chain(self.path("cert.pem"), self.path("key.pem"))
        self.lock = threading.Lock()
        self.faults, self.calls, self.open, self.handshakes = [], [], set(), []
        self.listener, self.stopped = None, False
        self.listen()

    def path(self, name):
        return os.path.join(self.dir, name)

    def redirect(self, address=None):
        """From now on executors come here."""
        point_to(self.dir, address or self.address)

    def restore(self):
        self.redirect(self.engine)

    def fault(self, what, call=".", **how):
        fault = Fault(what, call, how)
        with self.lock:
            self.faults.append(fault)
        return fault

    def clear(self):
        with self.lock:
            self.faults.clear()

    # -- connections

    def listen(self):
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((self.address, 2376))
        sock.listen(64)
        self.listener = sock
        threading.Thread(target=self.accept, args=(sock,), daemon=True).start()

    def accept(self, listener):
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(sock,), daemon=True).start()

    def unlisten(self):
        sock, self.listener = self.listener, None
        if sock is not None:
            # close() alone leaves the accept() of the other thread, and the port, as they are.
            sock.shutdown(socket.SHUT_RDWR)
            sock.close()

    def cut(self):
        """Resets every connection."""
        with self.lock:
            socks = list(self.open)
        for sock in socks:
            try:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                socket.socket.shutdown(sock, socket.SHUT_RDWR)
            except OSError:
                pass

    def refuse(self, seconds):
        """Connection refused for so long; what is open is reset. Returns at once."""
        self.unlisten()
        self.cut()
        threading.Timer(seconds, lambda: self.stopped or self.listen()).start()

    def stop(self):
        self.stopped = True
        self.unlisten()
        self.cut()

    def serve(self, raw):
        raw.settimeout(300)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        up = None
        sock = raw
        try:
            try:
                sock = self.client_side.wrap_socket(raw, server_side=True)
            except (OSError, ValueError) as e:
                self.handshakes.append(str(e))
                return
            with self.lock:
                self.open.add(sock)
            client = Side(sock)
            while True:
                first, fields = client.head()
                if up is None:
                    tcp = socket.create_connection((self.engine, 2376), 20)
                    tcp.settimeout(300)
                    up = Side(self.engine_side.wrap_socket(tcp))
                if not self.one(client, up, first, fields):
                    return
        except (Gone, OSError, ValueError):
            pass
        finally:
            with self.lock:
                self.open.discard(sock)
            for s in (sock, up.sock if up else None):
                if s is not None:
                    try:
                        s.close()
                    except OSError:
                        pass

    def pick(self, call):
        with self.lock:
            for f in self.faults:
                if f.left <= 0 or not f.call.search(call):
                    continue
                if f.skip > 0:
                    f.skip -= 1
                    continue
                f.left -= 1
                f.hits += 1
                return f
        return None

    def one(self, client, up, first, fields):
        """One exchange; False ends the connection."""
        method, target, _ = first.decode("latin-1").split(" ", 2)
        call = f"{method} {re.sub(r'^/v1[.][0-9]+', '', target)}"
        fault = self.pick(call)
        with self.lock:
            self.calls.append((round(time.monotonic(), 2), call, fault.what if fault else ""))
        if fault is None or fault.effect():
            up.send(first + b"".join(fields) + b"\r\n")
        for _, piece in body_pieces(client, fields, field(fields, b"content-length") is None
                                    and field(fields, b"transfer-encoding") is None):
            if fault is None or fault.effect():
                up.send(piece)
        if fault is None:
            return self.answer(client, up, method)
        return getattr(self, "do_" + fault.what.replace("-", "_"))(client, up, method, fault.how)

    @staticmethod
    def engine_head(up, method):
        while True:
            first, fields = up.head()
            status = int(first.split(b" ")[1])
            if status >= 200 or status == 101:
                return first, fields, method == "HEAD" or status in (204, 304)

    @staticmethod
    def end_writing(sock):
        """TLS's word that nothing more is written, while what comes is read as before."""
        sock.settimeout(0)
        try:
            sock.unwrap()
        except (OSError, ValueError):
            pass        # the peer's own end is not here yet, or its data is
        sock.settimeout(300)

    def tunnel(self, client, up, after=None, interval=0):
        """Both directions of an attach until the engine ends it, or has said `after` bytes; by the byte with an interval."""
        reading, left = {client.sock: (client, up), up.sock: (up, client)}, after
        while up.sock in reading and left != 0:
            ready = [s for s in reading if reading[s][0].buf or s.pending()] or select.select(list(reading), [], [], 300)[0]
            if not ready:
                return
            for sock in ready:
                side, other = reading[sock]
                try:
                    data = side.some(PIECE if sock is client.sock or left is None else min(left, PIECE))
                except Gone:
                    del reading[sock]
                    if sock is client.sock:
                        self.end_writing(up.sock)
                    continue
                if sock is up.sock and left is not None:
                    left -= len(data)
                if not interval or sock is client.sock:
                    other.send(data)
                    continue
                for i in range(len(data)):
                    other.send(data[i:i + 1])
                    time.sleep(interval)

    def answer(self, client, up, method):
        first, fields, bare = self.engine_head(up, method)
        client.send(first + b"".join(fields) + b"\r\n")
        if b" 101 " in first:
            self.tunnel(client, up)
            return self.close(client)
        for _, piece in body_pieces(up, fields, bare):
            client.send(piece)
        return (field(fields, b"content-length") is not None or field(fields, b"transfer-encoding") is not None or bare) \
            and (field(fields, b"connection") or b"").lower() != b"close"

    # -- the ways to misbehave

    def until(self, client, up, method, after):
        """The answer's head and `after` bytes of its body; the rest of it is the caller's."""
        if after < 0:
            return iter(())
        first, fields, bare = self.engine_head(up, method)
        client.send(first + b"".join(fields) + b"\r\n")
        if b" 101 " in first:
            self.tunnel(client, up, after)
            return iter(())
        pieces = body_pieces(up, fields, bare)
        left = after
        for kind, piece in pieces:
            if kind == "data" and len(piece) >= left:
                client.send(piece[:left])
                return itertools.chain([(kind, piece[left:])], pieces)
            client.send(piece)
            left -= len(piece) if kind == "data" else 0
        return iter(())

    @staticmethod
    def reset(client):
        # What was sent is to arrive before the reset throws it away.
        time.sleep(0.05)
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.sock.close()
        return False

    @staticmethod
    def close(client):
        try:
            client.sock.settimeout(0.3)
            client.sock.unwrap()
        except (OSError, ValueError):
            pass
        return False

    def do_reset(self, client, up, method, how):
        self.until(client, up, method, how.get("after", -1))
        return self.reset(client)

    def do_close(self, client, up, method, how):
        self.until(client, up, method, how.get("after", -1))
        return self.close(client)

    def do_truncated(self, client, up, method, how):
        for kind, piece in self.until(client, up, method, how.get("after", 0)):
            if kind == "data" and len(piece) > 1:
                client.send(piece[:len(piece) // 2])
                break
            client.send(piece)
        return self.close(client)

    def do_bad_chunk(self, client, up, method, how):
        for kind, piece in self.until(client, up, method, how.get("after", 0)):
            if kind == "size":
                client.send(b"five\r\nbytes\r\n")
                break
            client.send(piece)
        client.sock.settimeout(5)
        return self.close(client)

    def do_bad_frame(self, client, up, method, how):
        for kind, piece in self.until(client, up, method, how.get("after", 0)):
            if kind == "size":
                client.send(b"10\r\n\x4d\x4d\x4d\x4d\xff\xff\xff\xff not log\r\n")
                break
            client.send(piece)
        client.sock.settimeout(5)
        return self.close(client)

    def do_tls_garbage(self, client, up, method, how):
        self.until(client, up, method, how.get("after", 0))
        # Below TLS: the plain socket of the same descriptor.
        plain = socket.socket(fileno=os.dup(client.sock.fileno()))
        plain.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 20)
        plain.close()
        return self.reset(client)

    def do_wrong_length(self, client, up, method, how):
        first, fields, bare = self.engine_head(up, method)
        body = b"".join(p for k, p in body_pieces(up, fields, bare) if k == "data")
        fields = [f for f in fields if not f.lower().startswith((b"content-length:", b"transfer-encoding:"))]
        fields.append(b"Content-Length: %d\r\n" % max(0, len(body) + how.get("delta", 10)))
        client.send(first + b"".join(fields) + b"\r\n" + body)
        return self.close(client)

    def do_trickle(self, client, up, method, how):
        first, fields, bare = self.engine_head(up, method)

        def slowly(data):
            for i in range(len(data)):
                client.send(data[i:i + 1])
                time.sleep(how.get("interval", 0.01))
        slowly(first + b"".join(fields) + b"\r\n")
        if b" 101 " in first:
            self.tunnel(client, up, None, how.get("interval", 0.01))
            return self.close(client)
        for _, piece in body_pieces(up, fields, bare):
            slowly(piece)
        return False

    def do_stall(self, client, up, method, how):
        end = time.monotonic() + how.get("seconds", 3600)
        client.sock.settimeout(0.5)
        while time.monotonic() < end:
            try:
                if client.sock.recv(1) == b"":
                    return False
            except TimeoutError:
                continue
            except (OSError, ValueError):
                return False
        return self.reset(client)

    def instead(self, client, up, method, how, data):
        """`data` in place of the engine's answer, which is read when there is one."""
        if how.get("effect"):
            _, fields, bare = self.engine_head(up, method)
            for _ in body_pieces(up, fields, bare):
                pass
        client.send(data)

    def do_status(self, client, up, method, how):
        body = how.get("body", json.dumps({"message": how.get("message", "the proxy says no")})).encode()
        self.instead(client, up, method, how, b"HTTP/1.1 %d Spoilt\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (
            how.get("code", 500), len(body), body))
        return True

    def do_non_json(self, client, up, method, how):
        body = how.get("body", "<html><body>Sign in</body></html>\n").encode()
        self.instead(client, up, method, how, b"HTTP/1.1 %d OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n%s" % (
            how.get("code", 200), len(body), body))
        return True

    def do_rubbish(self, client, up, method, how):
        self.instead(client, up, method, how, bytes(range(256)) * 4)
        return self.close(client)

    def do_huge_head(self, client, up, method, how):
        first, fields, bare = self.engine_head(up, method)
        client.send(first + b"X-Huge: " + b"h" * how.get("size", 200000) + b"\r\n" + b"".join(fields) + b"\r\n")
        for _, piece in body_pieces(up, fields, bare):
            client.send(piece)
        return self.close(client)
