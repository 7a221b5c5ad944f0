"""
TLS, HTTP and SSH against real peers (OpenSSL, Python's ssl, OpenSSH's sshd)
that are right, wrong and cut short. The client is tests/tools/nettool.
"""

import base64
import fcntl
import hashlib
import os
import pty
import random
import re
import select
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import termios
import threading
import time

import pytest

from pki import Pki

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
NETTOOL = os.environ.get("NETTOOL", os.path.join(TOP, "build/asan/tools/nettool"))
OKAY = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"


def nettool(*argv, env=None, input=None, timeout=60):
    """Runs it; returns (exit status, stdout bytes, stderr text)."""
    clean = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy") and k != "SSL_CERT_FILE"}
    done = subprocess.run([NETTOOL, *map(str, argv)], stdin=subprocess.DEVNULL if input is None else None,
                          input=input, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout,
                          env={**clean, **(env or {})})
    err = done.stderr.decode(errors="replace")
    assert done.returncode in (0, 1), f"{done.returncode}: {err}"
    assert "Sanitizer" not in err and "runtime error" not in err, err
    return done.returncode, done.stdout, err


def good(*argv, **more):
    rc, out, err = nettool(*argv, **more)
    assert rc == 0, err
    return out, err


def bad(*argv, **more):
    rc, out, err = nettool(*argv, **more)
    assert rc == 1, f"it succeeded: {out[:200]!r} {err}"
    return err


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    return Pki(tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="module")
def ca(pki):
    return pki.ca("test CA")


class Server:
    """Accepts connections and gives each, after the TLS handshake, to a function. Errors of the peer are kept, not raised."""

    def __init__(self, talk, cert=None, host="127.0.0.1", context=None, raw=False, **settings):
        self.talk, self.raw = talk, raw
        self.accepted = 0
        self.errors = []
        self.context = context
        if cert is not None and context is None:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.set_ciphers(settings.pop("ciphers", "DEFAULT"))
            self.context.load_cert_chain(settings.pop("chain", cert.chain), cert.key)
            self.context.maximum_version = ssl.TLSVersion.TLSv1_2
            for name, value in settings.items():
                setattr(self.context, name, value)
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.sock = socket.create_server((host, 0), family=family)
        self.port = self.sock.getsockname()[1]
        self.threads = [threading.Thread(target=self.serve, daemon=True)]
        self.threads[0].start()

    def serve(self):
        while True:
            try:
                conn, _ = self.sock.accept()
            except OSError:
                return
            self.accepted += 1
            conn.settimeout(20)
            t = threading.Thread(target=self.one, args=(conn,), daemon=True)
            self.threads.append(t)
            t.start()

    def one(self, conn):
        try:
            if self.context is not None and not self.raw:
                conn = self.context.wrap_socket(conn, server_side=True)
            self.talk(conn)
        except (OSError, ssl.SSLError, ValueError) as e:
            self.errors.append(e)
        finally:
            conn.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.shutdown(socket.SHUT_RDWR)
        self.sock.close()


def read_head(conn):
    head = b""
    while b"\r\n\r\n" not in head:
        piece = conn.recv(65536)
        if not piece:
            raise ValueError("closed in the head")
        head += piece
    head, rest = head.split(b"\r\n\r\n", 1)
    return head, rest


def orderly(conn):
    if isinstance(conn, ssl.SSLSocket):
        try:
            conn.unwrap()
        except (OSError, ssl.SSLError):
            pass


def say_hi(conn):
    while True:
        read_head(conn)
        conn.sendall(OKAY)


def say_once(conn):
    read_head(conn)
    conn.sendall(OKAY)
    orderly(conn)


def url(server, host="localhost", path="/", scheme="https"):
    return f"{scheme}://{host}:{server.port}{path}"


# --- certificates that are right

@pytest.mark.parametrize("key", ["rsa2048", "rsa4096", "ec", "secp384r1", "secp521r1"])
def test_key_types(pki, key):
    own = pki.ca("CA of " + key, key=key, md="sha384")
    with Server(say_hi, pki.server(own, key=key, md="sha512")) as s:
        out, err = good("http", "GET", url(s), "--ca", own.crt)
    assert (out, err) == (b"hi", "status 200\n")


@pytest.mark.parametrize("san,host", [
    ("DNS:localhost", "localhost"), ("DNS:LOCALHOST", "localhost"), ("IP:127.0.0.1", "127.0.0.1"),
    ("DNS:other,IP:10.0.0.1,IP:127.0.0.1", "127.0.0.1"), ("IP:::1", "[::1]"),
])
def test_names_that_fit(pki, ca, san, host):
    where = "::1" if host == "[::1]" else "127.0.0.1"
    with Server(say_hi, pki.server(ca, san=san), host=where) as s:
        assert good("http", "GET", url(s, host), "--ca", ca.crt)[0] == b"hi"


@pytest.mark.parametrize("san,name", [
    ("DNS:*.example.com", "a.example.com"), ("DNS:a.example.com", "a.example.com."),
    ("DNS:runner-7,DNS:localhost,IP:10.0.0.9", "runner-7"),
])
def test_name_to_verify(pki, ca, san, name):
    with Server(say_hi, pki.server(ca, san=san)) as s:
        assert good("http", "GET", url(s, "127.0.0.1"), "--ca", ca.crt, "--name", name)[0] == b"hi"


def test_common_name_without_alternatives(pki, ca):
    with Server(say_hi, pki.server(ca, san="", subject="/CN=localhost")) as s:
        assert good("http", "GET", url(s), "--ca", ca.crt)[0] == b"hi"


def test_sni_is_the_name_and_no_address(pki, ca):
    seen = []
    cert = pki.server(ca, san="DNS:localhost,IP:127.0.0.1")
    with Server(say_hi, cert) as s:
        s.context.sni_callback = lambda sock, name, context: seen.append(name)
        good("http", "GET", url(s), "--ca", ca.crt)
        good("http", "GET", url(s, "127.0.0.1"), "--ca", ca.crt)
    assert seen == ["localhost", None]


def test_chains(pki, ca, tmp_path):
    middle = pki.ca("middle", ca)
    low = pki.ca("low", middle, key="rsa2048")
    leaf = pki.server(low)
    other = pki.ca("leftover")
    order = {
        "as it should be": [leaf, low, middle],
        "with its root": [leaf, low, middle, ca],
        "out of order": [leaf, middle, low],
        "with leftovers": [leaf, other, middle, other, low],
    }
    for name, certs in order.items():
        chain = tmp_path / "chain"
        chain.write_text("".join(c.pem() for c in certs))
        with Server(say_hi, leaf, chain=str(chain)) as s:
            assert good("http", "GET", url(s), "--ca", ca.crt)[0] == b"hi", name
            assert good("http", "GET", url(s), "--ca", middle.crt)[0] == b"hi", name + ", an intermediate is trusted"
    with Server(say_hi, leaf, chain=leaf.crt) as s:
        err = bad("http", "GET", url(s), "--ca", ca.crt)
        assert "tls: GET https://localhost" in err
        assert "issued by an authority that is not trusted: O=windlass test, CN=low" in err


def test_two_authorities_of_one_name(pki, tmp_path):
    old, new = pki.ca("twin"), pki.ca("twin", key="rsa2048")
    both = tmp_path / "both.pem"
    both.write_text("some text\n" + old.pem() + new.pem())
    for one in (old, new):
        with Server(say_hi, pki.server(one)) as s:
            assert good("http", "GET", url(s), "--ca", both)[0] == b"hi"
    with Server(say_hi, pki.server(old)) as s:
        err = bad("http", "GET", url(s), "--ca", new.crt)
        assert "issued by O=windlass test, CN=twin, but not with the key of the trusted authority of that name" in err


def test_trusted_server_certificate(pki):
    """A server's own self-signed certificate in the bundle, authority or not (what many a GitLab has)."""
    for ca_flag in ("TRUE", "FALSE"):
        own = pki.server(None, ext=f"basicConstraints=critical,CA:{ca_flag}\n")
        with Server(say_hi, own) as s:
            assert good("http", "GET", url(s), "--ca", own.crt)[0] == b"hi"
            assert "certificate is for localhost and not for other.test" in \
                bad("http", "GET", url(s), "--ca", own.crt, "--name", "other.test")
    again = pki.server(None, ext="basicConstraints=critical,CA:FALSE\n")
    with Server(say_hi, again) as s:
        bad("http", "GET", url(s), "--ca", own.crt)


def test_authority_of_version_1(pki, tmp_path):
    """Without extensions it cannot say that it is one; being in the bundle says so."""
    key, crt = tmp_path / "v1.key", tmp_path / "v1.crt"
    pki.make_key("ec", str(key))
    csr = tmp_path / "v1.csr"
    subprocess.run(["openssl", "req", "-new", "-config", pki.path("config"), "-key", key, "-subj", "/CN=v1", "-out", csr], check=True)
    subprocess.run(["openssl", "x509", "-req", "-in", csr, "-key", key, "-days", "100", "-out", crt], check=True,
                   stderr=subprocess.DEVNULL)
    own = pki.ca("x")
    own.crt, own.key = str(crt), str(key)
    with Server(say_hi, pki.server(own)) as s:
        assert good("http", "GET", url(s), "--ca", crt)[0] == b"hi"


# --- certificates that are wrong

def test_dates(pki, ca):
    clock = time.strftime("%Y-%m-%dT", time.gmtime())
    with Server(say_hi, pki.server(ca, end="20210203040506Z")) as s:
        err = bad("http", "GET", url(s), "--ca", ca.crt)
        assert f"certificate has expired on 2021-02-03T04:05:06Z (the clock of this host says {clock}" in err
        assert err.startswith("tls: GET https://localhost:")
    with Server(say_hi, pki.server(ca, start="20600203040506Z")) as s:
        err = bad("http", "GET", url(s), "--ca", ca.crt)
        assert "certificate is not valid before 2060-02-03T04:05:06Z" in err and "check the clock" in err
    middle = pki.ca("old middle", ca, end="20220203040506Z")
    with Server(say_hi, pki.server(middle)) as s:
        err = bad("http", "GET", url(s), "--ca", ca.crt)
        assert "certificate of the authority O=windlass test, CN=old middle has expired on 2022-02-03T04:05:06Z" in err
    old = pki.ca("old root", end="20220203040506Z")
    with Server(say_hi, pki.server(old)) as s:
        err = bad("http", "GET", url(s), "--ca", old.crt)
        assert "issued by O=windlass test, CN=old root, a trusted authority that has expired on 2022-02-03T04:05:06Z" in err


@pytest.mark.parametrize("san,name,part", [
    ("DNS:a.test,DNS:b.test", "c.test", "certificate is for a.test, b.test and not for c.test"),
    ("DNS:*.test", "a.b.test", "certificate is for *.test and not for a.b.test"),
    ("DNS:*.test", "test", "certificate is for *.test and not for test"),
    ("DNS:a.test", "10.1.2.3", "certificate is for a.test and not for 10.1.2.3"),
    ("DNS:10.1.2.3", "10.1.2.3", "certificate is for 10.1.2.3 and not for 10.1.2.3"),
    ("IP:10.1.2.3", "10.1.2.4", "certificate is for 10.1.2.3 and not for 10.1.2.4"),
    ("IP:10.1.2.3", "::ffff:10.1.2.3", "certificate is for 10.1.2.3 and not for ::ffff:10.1.2.3"),
    ("IP:fe80::1", "fe80::2", "certificate is for fe80::1 and not for fe80::2"),
    ("IP:10.1.2.3", "localhost", "certificate is for 10.1.2.3 and not for localhost"),
    ("DNS:a,DNS:b,DNS:c,DNS:d,DNS:e,DNS:f,DNS:g", "x", "certificate is for a, b, c, d, e and 2 more and not for x"),
    ("email:root@localhost", "localhost", "and not for localhost"),
    ("", "localhost", "certificate is for no name and not for localhost"),
])
def test_names_that_do_not_fit(pki, ca, san, name, part):
    with Server(say_hi, pki.server(ca, san=san)) as s:
        assert part in bad("http", "GET", url(s, "127.0.0.1"), "--ca", ca.crt, "--name", name)


def test_common_name_counts_only_alone(pki, ca):
    with Server(say_hi, pki.server(ca, san="DNS:a.test", subject="/CN=localhost")) as s:
        assert "certificate is for a.test and not for localhost" in bad("http", "GET", url(s), "--ca", ca.crt)
    with Server(say_hi, pki.server(ca, san="", subject="/CN=127.0.0.1")) as s:
        bad("http", "GET", url(s, "127.0.0.1"), "--ca", ca.crt)


def test_hostile_names_are_escaped(pki, ca):
    with Server(say_hi, pki.server(ca, san="", subject="/CN=a\x1b[31m\"b\\\\c")) as s:
        err = bad("http", "GET", url(s), "--ca", ca.crt)
        assert "\x1b" not in err and "\\x1b[31m" in err


def test_untrusted(pki, ca):
    with Server(say_hi, pki.server(None, ext="", subject="/O=me/CN=localhost")) as s:
        err = bad("http", "GET", url(s), "--ca", ca.crt)
        assert "certificate is self-signed and not among the trusted ones: O=me, CN=localhost" in err
    # A leaf is no authority, whatever it signs.
    leaf = pki.server(ca)
    with Server(say_hi, pki.server(leaf)) as s:
        assert "signed by one that is no authority" in bad("http", "GET", url(s), "--ca", ca.crt)
        bad("http", "GET", url(s), "--ca", leaf.crt)
    # An authority that may not sign certificates.
    weak = pki.ca("weak", ca, ext="basicConstraints=critical,CA:TRUE\nkeyUsage=critical,digitalSignature\n")
    with Server(say_hi, pki.server(weak)) as s:
        assert "key usage forbids" in bad("http", "GET", url(s), "--ca", ca.crt)
    # Longer than its path length allows.
    short = pki.ca("short", ca, ext="basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign\n")
    below = pki.ca("below", short)
    with Server(say_hi, pki.server(below)) as s:
        assert "no authority" in bad("http", "GET", url(s), "--ca", ca.crt)
    # A forged one: right names, wrong signature.
    other = pki.ca("test CA")
    middle = pki.ca("middle", ca)
    fake = pki.ca("middle", other)
    forged = pki.server(fake)
    with open(forged.chain, "w") as f:
        f.write(forged.pem() + middle.pem())
    with Server(say_hi, forged) as s:
        assert "signature in its certificate chain is wrong" in bad("http", "GET", url(s), "--ca", ca.crt)


def test_meant_for_clients(pki, ca):
    """A machine's client certificate must not pass for an engine."""
    with Server(say_hi, pki.server(ca, ext="basicConstraints=critical,CA:FALSE\nextendedKeyUsage=clientAuth\n")) as s:
        assert "certificate is not meant for servers" in bad("http", "GET", url(s), "--ca", ca.crt)
    narrow = pki.ca("narrow", ca, ext="basicConstraints=critical,CA:TRUE\nextendedKeyUsage=clientAuth\n")
    with Server(say_hi, pki.server(narrow)) as s:
        assert "an authority of its chain is not meant for servers" in bad("http", "GET", url(s), "--ca", ca.crt)


# --- what an authority may issue for

CONSTRAINED = [
    # constraints of the authority, the certificate's names, the name asked for, allowed
    ("permitted;DNS:allowed.example", "DNS:localhost", "localhost", False),
    ("permitted;DNS:allowed.example", "DNS:allowed.example", "allowed.example", True),
    ("permitted;DNS:allowed.example", "DNS:git.Allowed.EXAMPLE", "git.allowed.example", True),
    ("permitted;DNS:allowed.example", "DNS:notallowed.example", "notallowed.example", False),
    ("permitted;DNS:.allowed.example", "DNS:git.allowed.example", "git.allowed.example", True),
    ("permitted;DNS:.allowed.example", "DNS:allowed.example", "allowed.example", False),
    ("permitted;DNS:allowed.example", "DNS:*.allowed.example", "git.allowed.example", True),
    ("permitted;DNS:allowed.example", "DNS:*.example", "allowed.example", False),
    ("permitted;DNS:allowed.example", "DNS:git.allowed.example,DNS:other.example", "git.allowed.example", False),
    ("permitted;DNS:a.example,permitted;DNS:b.example", "DNS:b.example,DNS:x.a.example", "b.example", True),
    ("excluded;DNS:bad.example", "DNS:git.bad.example", "git.bad.example", False),
    ("excluded;DNS:bad.example", "DNS:git.good.example", "git.good.example", True),
    ("permitted;DNS:example,excluded;DNS:bad.example", "DNS:git.bad.example", "git.bad.example", False),
    ("excluded;IP:10.0.0.0/255.0.0.0", "DNS:localhost,IP:10.1.2.3", "localhost", False),
    ("excluded;IP:10.0.0.0/255.0.0.0", "DNS:localhost,IP:127.0.0.1", "127.0.0.1", True),
    ("permitted;IP:127.0.0.0/255.0.0.0", "IP:127.0.0.1", "127.0.0.1", True),
    ("permitted;IP:10.0.0.0/255.0.0.0", "IP:127.0.0.1", "127.0.0.1", False),
    ("permitted;IP:10.0.0.0/255.0.0.0", "IP:::1,IP:127.0.0.1", "127.0.0.1", False),
    ("permitted;IP:10.0.0.0/255.0.0.0", "DNS:localhost", "localhost", True),
    ("permitted;DNS:allowed.example", "IP:127.0.0.1", "127.0.0.1", True),
    ("permitted;dirName:dir", "DNS:localhost", "localhost", True),
    ("permitted;dirName:other", "DNS:localhost", "localhost", False),
    ("excluded;dirName:dir", "DNS:localhost", "localhost", False),
    ("excluded;dirName:other", "DNS:localhost", "localhost", True),
    ("permitted;email:example.com", "DNS:localhost", "localhost", True),
    ("permitted;DNS:allowed.example", "", "git.allowed.example", True),       # the common name, when there is nothing else
    ("permitted;DNS:allowed.example", "", "git.other.example", False),
    ("excluded;DNS:other.example", "", "git.other.example", False),
]
DIR_NAMES = "[dir]\nO=windlass test\n[other]\nO=others\n"


def constrained(pki, nc, where, critical, ca, made={}):
    """An authority with these limits: itself trusted, or below the trusted one, or with another below it."""
    key = (pki.dir, nc, where, critical)
    if key not in made:
        ext = ("basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n"
               f"nameConstraints={'critical,' if critical else ''}{nc}\n" + DIR_NAMES)
        made[key] = pki.ca("limited", None if where == "root" else ca, ext=ext, reuse_key=ca.key)
        if where == "below":
            made[key] = pki.ca("below it", made[key], reuse_key=ca.key)
    return made[key]


def curl_takes(cafile, s, name):
    done = subprocess.run(["curl", "-sS", "--cacert", cafile, "--resolve", f"{name}:{s.port}:127.0.0.1", "--max-time", "20",
                           "--tls-max", "1.2", "--noproxy", "*", f"https://{name}:{s.port}/"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode in (0, 60), done.stdout
    return done.returncode == 0


@pytest.mark.parametrize("where,critical,rows", [
    ("middle", False, CONSTRAINED), ("middle", True, CONSTRAINED[:2] + CONSTRAINED[10:12] + CONSTRAINED[15:17]),
    ("root", False, CONSTRAINED[:2]), ("root", True, CONSTRAINED[:2]), ("below", False, CONSTRAINED[:2])])
def test_name_constraints(pki, ca, where, critical, rows):
    """Every row as the authority's limits say, and as curl has it, whether or not they are marked critical."""
    wrong = []
    for nc, san, name, allowed in rows:
        issuer = constrained(pki, nc, where, critical, ca)
        top = issuer if where == "root" else ca
        leaf = pki.server(issuer, san=san, subject="/O=windlass test" + ("" if san else f"/CN={name}"), reuse_key=ca.key)
        with Server(say_once, leaf) as s:
            rc, _, err = nettool("tls", "127.0.0.1", s.port, "--ca", top.crt, "--name", name, "--send", "GET / HTTP/1.0\r\n\r\n")
            theirs = curl_takes(top.crt, s, name)
        if (rc == 0) != allowed or theirs != allowed:
            wrong.append((nc, san, name, allowed, "curl", theirs, err))
        elif not allowed and "is limited by name constraints: " not in err:
            wrong.append((nc, san, err))
    assert not wrong, "\n".join(map(str, wrong))


def test_name_constraints_beyond_curl(pki, ca):
    """A wildcard that reaches an excluded name; kinds of names that are not compared; limits that cannot be read."""
    for nc, san, part in [
            ("excluded;DNS:bad.example", "DNS:*.example,DNS:localhost", "*.example is among the names that it must not issue for"),
            ("permitted;email:example.com", "DNS:localhost,email:a@example.com", "a@example.com is of a kind that its limits name and that is not compared"),
            ("permitted;URI:example.com", "DNS:localhost,URI:https://example.com/", "is of a kind that its limits name and that is not compared"),
            ("DER:30:05:a0:03:01:01:ff", "DNS:localhost", "its limits cannot be read"),
            ("DER:30:10:a0:0e:30:0c:82:07:65:78:61:6d:70:6c:65:80:01:01", "DNS:localhost", "its limits cannot be read")]:
        leaf = pki.server(constrained(pki, nc, "middle", False, ca), san=san, reuse_key=ca.key)
        with Server(say_hi, leaf) as s:
            err = bad("http", "GET", url(s), "--ca", ca.crt)
        assert err.startswith("tls: ") and "the authority O=windlass test, CN=limited is limited by name constraints: " in err and part in err


@pytest.mark.parametrize("bits", [1024, 2040, 2047])
def test_short_rsa_keys(pki, ca, bits):
    long = pki.ca("long", key="rsa2048")
    short = pki.ca("short", key=f"rsa{bits}")
    middle = pki.ca("short middle", long, key=f"rsa{bits}")
    for top, leaf, whose in [
            (long, pki.server(long, key=f"rsa{bits}"), "its certificate"),
            (short, pki.server(short), "the trusted authority O=windlass test, CN=short"),
            (long, pki.server(middle), "the authority O=windlass test, CN=short middle")]:
        with Server(say_hi, leaf, ciphers="DEFAULT:@SECLEVEL=0") as s:
            err = bad("http", "GET", url(s), "--ca", top.crt)
        assert f"{whose} has an RSA key of {bits} bits, which is too short: 2048 are the least" in err
    own = pki.server(None, key=f"rsa{bits}")
    with Server(say_hi, own, ciphers="DEFAULT:@SECLEVEL=0") as s:
        assert f"its certificate has an RSA key of {bits} bits" in bad("http", "GET", url(s), "--ca", own.crt)


def test_algorithms_that_are_not_there(pki, ca):
    for part, cert in {
        "algorithm that is not supported": pki.server(ca, md="sha1"),
        "critical extension": pki.server(ca, ext="basicConstraints=critical,CA:FALSE\n1.2.3.4=critical,ASN1:NULL\n"),
    }.items():
        with Server(say_hi, cert, ciphers="DEFAULT:@SECLEVEL=0") as s:
            assert part in bad("http", "GET", url(s), "--ca", ca.crt)
    rsa = pki.ca("rsa", key="rsa2048")
    with Server(say_hi, pki.server(rsa, options=["rsa_padding_mode:pss"])) as s:
        assert "algorithm that is not supported" in bad("http", "GET", url(s), "--ca", rsa.crt)


def test_bundle_files(pki, ca, tmp_path):
    with Server(say_hi, pki.server(ca)) as s:
        for text, part in [("nothing here", "no certificate in it"),
                           ("-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n", "certificate 1: not a certificate"),
                           (ca.pem()[:-40], "")]:
            f = tmp_path / "bundle.pem"
            f.write_text(text)
            err = bad("http", "GET", url(s), "--ca", f)
            assert err.startswith(f"parse: {f}: ") and part in err
        # CRLF, text around, a key in between.
        with open(pki.server(ca).key) as k:
            f.write_bytes(("# my CA\r\n" + k.read() + ca.pem() + "the end").replace("\n", "\r\n").encode())
        assert good("http", "GET", url(s), "--ca", f)[0] == b"hi"


def test_system_bundles(pki, ca, tmp_path):
    leaf = pki.server(ca)
    with Server(say_hi, leaf) as s:
        assert "not trusted" in bad("http", "GET", url(s), "--system")
        assert good("http", "GET", url(s), "--system", env={"SSL_CERT_FILE": ca.crt})[0] == b"hi"
        err = bad("http", "GET", url(s), "--system", env={"SSL_CERT_FILE": str(tmp_path / "missing")})
        assert "SSL_CERT_FILE cannot be read" in err
        # Without the system's, its variable does not count.
        assert "not trusted" in bad("http", "GET", url(s), env={"SSL_CERT_FILE": ca.crt})
    # The built-in bundle knows this name, and has another key for it.
    isrg = pki.issue("/C=US/O=Internet Security Research Group/CN=ISRG Root X1", None,
                     ext="basicConstraints=critical,CA:TRUE\n")
    with Server(say_hi, pki.server(isrg)) as s:
        empty = tmp_path / "empty"
        empty.write_text("")
        err = bad("http", "GET", url(s), "--system", env={"SSL_CERT_FILE": str(empty)})
        assert "not with the key of the trusted authority of that name" in err
        # A private authority may share the name.
        assert good("http", "GET", url(s), "--system", "--ca", isrg.crt)[0] == b"hi"


# --- a pinned key

@pytest.mark.parametrize("key", ["rsa2048", "ec"])
def test_pin(pki, ca, key):
    cert = pki.server(ca, san="IP:10.9.9.9", key=key, end="20210101000000Z")
    renewed = pki.server(ca, reuse_key=cert.key)
    other = pki.server(ca, key=key, subject="/O=runner-8")
    with Server(say_hi, cert) as s:
        assert good("http", "GET", url(s, "127.0.0.1"), "--pin", cert.crt)[0] == b"hi"
        assert good("http", "GET", url(s, "127.0.0.1"), "--pin", renewed.crt)[0] == b"hi"
    with Server(say_hi, other) as s:
        err = bad("http", "GET", url(s, "127.0.0.1"), "--pin", cert.crt)
        assert err.startswith("tls: ") and "its key is not the pinned one (it presents a certificate of O=runner-8)" in err
    assert "no certificate in it" in bad("http", "GET", "https://127.0.0.1:1/", "--pin", cert.key)


def test_pin_is_proved_and_not_only_shown(pki, ca):
    """A peer that shows the pinned certificate without holding its key: openssl would not do so, so bytes are replaced."""
    real = pki.server(ca, key="ec")
    liar = pki.server(ca, key="ec")

    def der(c):
        return ssl.PEM_cert_to_DER_cert(c.pem())

    # Certificates of equal length, so that lengths around stay right.
    while len(der(liar)) != len(der(real)):
        liar = pki.server(ca, key="ec")
    with Server(say_hi, liar, chain=liar.crt) as s:
        def relay(conn):
            up = socket.create_connection(("127.0.0.1", s.port))
            splice(conn, up, lambda data: data.replace(der(liar), der(real)))
        with Server(relay) as r:
            err = bad("http", "GET", url(r), "--pin", real.crt)
    assert "the server does not hold the private key of its certificate" in err


def splice(a, b, change):
    """Relays both ways until one side closes; what comes from b is changed, whole records at a time."""
    held = b""
    a.settimeout(None)
    with b:
        while True:
            ready, _, _ = select.select([a, b], [], [], 10)
            if not ready:
                return
            if a in ready:
                data = a.recv(65536)
                if not data:
                    return
                b.sendall(data)
            if b in ready:
                data = b.recv(65536)
                held += data
                out = b""
                while len(held) >= 5 and len(held) >= 5 + int.from_bytes(held[3:5], "big"):
                    n = 5 + int.from_bytes(held[3:5], "big")
                    out, held = out + held[:n], held[n:]
                a.sendall(change(out))
                if not data:
                    return


# --- client certificates

@pytest.mark.parametrize("key", ["rsa2048", "ec", "secp384r1"])
def test_client_certificate(pki, ca, key, tmp_path):
    middle = pki.ca("client CA", ca)
    for issuer in (ca, middle):
        client = pki.client(issuer, key=key)
        pkcs8 = tmp_path / "pkcs8.pem"
        subprocess.run(["openssl", "pkcs8", "-topk8", "-nocrypt", "-in", client.key, "-out", pkcs8], check=True)
        with Server(say_hi, pki.server(ca)) as s:
            s.context.verify_mode = ssl.CERT_REQUIRED
            s.context.load_verify_locations(ca.crt)
            for file in (client.key, pkcs8):
                assert good("http", "GET", url(s), "--ca", ca.crt, "--cert", client.chain, "--key", file)[0] == b"hi"


def test_client_certificate_missing_or_wrong(pki, ca):
    stranger = pki.client(pki.ca("stranger"))
    old = pki.client(ca, end="20210101000000Z")
    with Server(say_hi, pki.server(ca)) as s:
        s.context.verify_mode = ssl.CERT_REQUIRED
        s.context.load_verify_locations(ca.crt)
        assert "the server requires a client certificate and none is configured" in bad("http", "GET", url(s), "--ca", ca.crt)
        err = bad("http", "GET", url(s), "--ca", ca.crt, "--cert", stranger.crt, "--key", stranger.key)
        assert "the server refuses our client certificate (alert 48: unknown certificate authority)" in err
        err = bad("http", "GET", url(s), "--ca", ca.crt, "--cert", old.crt, "--key", old.key)
        assert "the server refuses our client certificate (alert 45: certificate expired)" in err
    # Asked for, but not needed.
    with Server(say_hi, pki.server(ca)) as s:
        s.context.verify_mode = ssl.CERT_OPTIONAL
        s.context.load_verify_locations(ca.crt)
        assert good("http", "GET", url(s), "--ca", ca.crt)[0] == b"hi"


def test_identity_files(pki, ca, tmp_path):
    a, b = pki.client(ca), pki.client(ca, key="rsa2048")
    locked = tmp_path / "locked.key"
    old = tmp_path / "old.key"
    subprocess.run(["openssl", "pkcs8", "-topk8", "-passout", "pass:x", "-in", b.key, "-out", locked], check=True)
    subprocess.run(["openssl", "rsa", "-traditional", "-aes128", "-passout", "pass:x", "-in", b.key, "-out", old],
                   check=True, stderr=subprocess.DEVNULL)
    ed = tmp_path / "ed.key"
    pki.make_key("ed25519", str(ed))
    for crt, key, part in [(a.crt, b.key, "the key does not belong to the certificate"),
                           (a.crt, pki.client(ca).key, "the key does not belong to the certificate"),
                           (a.key, a.key, "no certificate in it"), (a.crt, a.crt, "no private key in it"),
                           (b.crt, locked, "the key is encrypted"), (b.crt, old, "the key is encrypted"),
                           (a.crt, ed, "the key cannot be used")]:
        err = bad("http", "GET", "https://127.0.0.1:1/", "--ca", ca.crt, "--cert", crt, "--key", key)
        assert part in err and str(crt) in err


# --- versions and other protocols

def test_versions(pki, ca):
    cert = pki.server(ca)
    with Server(say_hi, cert) as s:
        s.context.maximum_version = ssl.TLSVersion.TLSv1_3
        assert good("http", "GET", url(s), "--ca", ca.crt)[0] == b"hi"


def test_versions_that_are_not_there(pki, ca):
    """The error says what the server speaks and what to change, for each way in which a server says it."""
    cert = pki.server(ca)
    with Server(say_hi, cert, maximum_version=ssl.TLSVersion.TLSv1_3) as s:
        s.context.minimum_version = ssl.TLSVersion.TLSv1_3
        err = bad("http", "GET", url(s), "--ca", ca.crt)
        assert err.startswith("tls: ")
        assert "the server speaks TLS 1.3 only; windlass speaks TLS 1.2: allow TLSv1.2 on localhost" in err
    rsa = pki.ca("rsa", key="rsa2048")
    for version, words in [(ssl.TLSVersion.TLSv1_1, "TLS 1.1"), (ssl.TLSVersion.TLSv1, "TLS 1.0")]:
        with Server(say_hi, pki.server(rsa, key="rsa2048"), ciphers="ALL:@SECLEVEL=0") as s:
            s.context.minimum_version = ssl.TLSVersion.TLSv1
            s.context.maximum_version = version
            err = bad("http", "GET", url(s), "--ca", rsa.crt)
            assert err.startswith("tls: ")
            assert f"the server speaks {words} at most, which is out of use; windlass speaks TLS 1.2: allow TLSv1.2 on localhost" in err

    def hello(version):
        body = version + bytes(32) + b"\x00" + b"\x00\x2f" + b"\x00"
        shake = b"\x02" + len(body).to_bytes(3, "big") + body

        def talk(conn):
            conn.recv(1000)
            conn.sendall(b"\x16" + version + len(shake).to_bytes(2, "big") + shake)
            conn.recv(1000)
        return talk

    for version, words in [(b"\x03\x02", "TLS 1.1"), (b"\x03\x01", "TLS 1.0"), (b"\x03\x00", "SSL 3.0")]:
        with Server(hello(version)) as s:
            assert f"the server speaks {words} at most" in bad("http", "GET", url(s), "--ca", ca.crt)


def test_no_cipher_in_common(pki, ca):
    rsa = pki.ca("rsa", key="rsa2048")
    for cipher in "AES128-GCM-SHA256", "DHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-SHA":
        with Server(say_hi, pki.server(rsa, key="rsa2048"), ciphers=cipher + ":@SECLEVEL=0") as s:
            err = bad("http", "GET", url(s), "--ca", rsa.crt)
            assert err.startswith("tls: ") and "no cipher in common: allow ECDHE with AES-GCM" in err and "ECDHE-ECDSA-AES128-GCM-SHA256" in err


@pytest.mark.parametrize("cipher", [
    "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-ECDSA-AES128-SHA256", "ECDHE-ECDSA-AES256-SHA384",
])
def test_ciphers(pki, ca, cipher):
    with Server(say_hi, pki.server(ca)) as s:
        s.context.set_ciphers(cipher)
        assert good("http", "GET", url(s), "--ca", ca.crt)[0] == b"hi"


def test_not_tls(ca):
    def plain(conn):
        conn.recv(100)
        conn.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\nThis is not the port you want\r\n")

    with Server(plain) as s:
        assert "the server speaks plain HTTP on this port, not TLS" in bad("http", "GET", url(s), "--ca", ca.crt)
    for banner, words in [(b"SSH-2.0-OpenSSH_9.2p1\r\n", "the server speaks SSH on this port, not TLS"),
                          (b"220 mail.example ESMTP\r\n", "the server does not speak TLS on this port")]:
        def talk(conn, banner=banner):
            conn.sendall(banner)
            conn.recv(1000)

        with Server(talk) as s:
            assert words in bad("http", "GET", url(s), "--ca", ca.crt)
    with Server(lambda conn: conn.recv(1000)) as s:
        err = bad("http", "GET", url(s), "--ca", ca.crt)
        assert err.startswith("network: ") and "closed the connection in the TLS handshake" in err

    def silent(conn):
        conn.recv(1000)
        conn.recv(1000)

    with Server(silent) as s:
        start = time.monotonic()
        err = bad("http", "GET", url(s), "--ca", ca.crt, "--timeout", "500ms")
        assert err.startswith("timeout: ") and time.monotonic() - start < 3


# --- streams that are cut, changed, slow, large

def test_truncated(pki, ca):
    """A stream that ends by TCP alone may have been cut by anyone; only close_notify is its end."""
    def cut(conn):
        read_head(conn)
        conn.sendall(b"HTTP/1.1 200 OK\r\n\r\nhalf of it")
        conn.close()

    def whole(conn):
        read_head(conn)
        conn.sendall(b"HTTP/1.1 200 OK\r\n\r\nall of it")
        orderly(conn)

    cert = pki.server(ca)
    with Server(cut, cert) as s:
        err = bad("http", "GET", url(s), "--ca", ca.crt)
        assert err.startswith("network: ") and "was cut" in err
    with Server(whole, cert) as s:
        assert good("http", "GET", url(s), "--ca", ca.crt)[0] == b"all of it"

    def cut_line(conn):
        conn.sendall(b"some lines\n")

    def whole_line(conn):
        conn.sendall(b"some lines\n")
        orderly(conn)

    with Server(cut_line, cert) as s:
        rc, out, err = nettool("tls", "localhost", s.port, "--ca", ca.crt)
        assert (rc, out) == (1, b"some lines\n") and err.startswith("network: the connection was cut")
    with Server(whole_line, cert) as s:
        assert good("tls", "localhost", s.port, "--ca", ca.crt) == (b"some lines\n", "end\n")

    def reset(conn):
        conn.sendall(b"some lines\n")
        conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        time.sleep(0.2)

    with Server(reset, cert) as s:
        rc, out, err = nettool("tls", "localhost", s.port, "--ca", ca.crt)
        assert (rc, out) == (1, b"some lines\n") and "Connection reset" in err


def cutter(port, after):
    """A relay that closes when so many bytes came from the server."""
    count = [0]

    def cut(data):
        data = data[:max(0, after - count[0])]
        count[0] += len(data)
        return data

    def relay(conn):
        up = socket.create_connection(("127.0.0.1", port))
        a, b = conn, up
        with b:
            while count[0] < after:
                ready, _, _ = select.select([a, b], [], [], 10)
                if not ready:
                    return
                for one, other, change in ((a, b, bytes), (b, a, cut)):
                    if one in ready:
                        data = one.recv(65536)
                        if not data:
                            return
                        other.sendall(change(data))
    return relay


def test_cut_anywhere(pki, ca):
    """Wherever the connection breaks, it is an error of the network, and worth another try. (The last 31 bytes are close_notify.)"""
    with Server(say_hi, pki.server(ca)) as s:
        sent = []

        def count(conn):
            splice(conn, socket.create_connection(("127.0.0.1", s.port)), lambda data: sent.append(len(data)) or data)

        with Server(count) as r:
            good("http", "GET", url(r), "--ca", ca.crt)
        total = sum(sent)
        assert total > 500
        for after in [*range(1, total - 60, 53), total - 60, total - 33]:
            with Server(cutter(s.port, after)) as r:
                err = bad("http", "GET", url(r), "--ca", ca.crt)
                assert err.startswith("network: "), f"after {after} of {total}: {err}"


def test_changed_on_the_way(pki, ca):
    body = b"x" * 50000

    def talk(conn):
        read_head(conn)
        conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 50000\r\n\r\n" + body)
        read_head(conn)

    with Server(talk, pki.server(ca)) as s:
        count = [0]

        def flip(data):
            count[0] += len(data)
            if count[0] > 20000 and len(data) > 1000:
                data = data[:500] + bytes([data[500] ^ 1]) + data[501:]
            return data

        def relay(conn):
            splice(conn, socket.create_connection(("127.0.0.1", s.port)), flip)

        with Server(relay) as r:
            err = bad("http", "GET", url(r), "--ca", ca.crt)
            assert err.startswith("tls: ") and "damaged or forged" in err


def test_resume_after_stall(pki, ca):
    """A peer that pauses in the middle of a record, of a body, or of taking one, and then goes on."""
    def send_half(conn):
        read_head(conn)
        conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst")
        time.sleep(1.2)
        conn.sendall(b"later")
        conn.recv(1)

    got = []

    def take_late(conn):
        _, rest = read_head(conn)
        time.sleep(1.2)
        n = len(rest)
        while n < 8 << 20:
            n += len(conn.recv(65536))
        got.append(n)
        conn.sendall(OKAY)
        conn.recv(1)

    cert = pki.server(ca)
    with Server(send_half, cert) as s:
        assert good("http", "GET", url(s), "--ca", ca.crt, "--slow", "5s")[0] == b"firstlater"
        err = bad("http", "GET", url(s), "--ca", ca.crt, "--slow", "400ms")
        assert err.startswith("timeout: ") and "stalled" in err
    with Server(take_late, cert) as s:
        zeros = os.path.join(os.path.dirname(ca.crt), "zeros")
        with open(zeros, "wb") as f:
            f.truncate(8 << 20)
        for stream in ([], ["--stream"]):
            assert good("http", "PUT", url(s), "--ca", ca.crt, "--body", zeros, *stream)[0] == b"hi"
    assert got == [8 << 20, 8 << 20]

    # In the middle of a record.
    with Server(send_half, cert) as s:
        def relay(conn):
            up = socket.create_connection(("127.0.0.1", s.port))
            up.settimeout(0.3)

            def dawdle(data):
                if len(data) > 6:
                    conn.sendall(data[:6])
                    time.sleep(0.3)
                    data = data[6:]
                return data
            splice(conn, up, dawdle)

        with Server(relay) as r:
            assert good("http", "GET", url(r), "--ca", ca.crt)[0] == b"firstlater"


def test_large_both_ways(pki, ca, tmp_path):
    data = random.Random(1).randbytes(20_000_000)
    file = tmp_path / "data"
    file.write_bytes(data)
    sums = []

    def take_and_give(conn):
        head, body = read_head(conn)
        n = int(re.search(rb"Content-Length: (\d+)", head)[1])
        while len(body) < n:
            body += conn.recv(1 << 20)
        sums.append(hashlib.sha256(body).hexdigest())
        conn.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        at, sizes = 0, random.Random(2)
        while at < len(data):
            piece = data[at:at + sizes.choice([1, 7, 100, 4096, 16384, 16385, 100000])]
            at += len(piece)
            conn.sendall(b"%x\r\n%b\r\n" % (len(piece), piece))
        conn.sendall(b"0\r\n\r\n")
        conn.recv(1)

    for cert in (pki.server(ca), None):
        with Server(take_and_give, cert) as s:
            where = url(s, scheme="https" if cert else "http")
            out, _ = good("http", "POST", where, "--ca", ca.crt, "--body", file, "--stream", "--timeout", "60s")
            assert hashlib.sha256(out).hexdigest() == hashlib.sha256(data).hexdigest()
    assert sums == [hashlib.sha256(data).hexdigest()] * 2


def test_early_answer(pki, ca, tmp_path):
    file = tmp_path / "big"
    with open(file, "wb") as f:
        f.truncate(30 << 20)

    def refuse(conn):
        read_head(conn)
        conn.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 7\r\n\r\ntoo big")
        time.sleep(0.3)

    for cert in (pki.server(ca), None):
        with Server(refuse, cert) as s:
            where = url(s, scheme="https" if cert else "http")
            for stream in ([], ["--stream"]):
                out, err = good("http", "POST", where, "--ca", ca.crt, "--body", file, *stream)
                assert (out, err) == (b"too big", "status 413\n")


def test_kept_connection(pki, ca):
    cert = pki.server(ca)
    with Server(say_hi, cert) as s:
        out, err = good("http", "GET", url(s), "--ca", ca.crt, "--repeat", 3)
        assert (out, err) == (b"hihihi", "status 200\nstatus 200 reused\nstatus 200 reused\n")
        assert s.accepted == 1

    def once(conn):
        read_head(conn)
        conn.sendall(OKAY)
        orderly(conn)

    with Server(once, cert) as s:
        out, err = good("http", "POST", url(s), "--ca", ca.crt, "--repeat", 2, "--pause", "300ms")
        assert (out, err) == (b"hihi", "status 200\nstatus 200\n")
        assert s.accepted == 2


def test_chain_for_jobs(pki, ca, tmp_path):
    """What a job's git is given to verify the server with."""
    middle = pki.ca("middle", ca)
    leaf = pki.server(middle)
    with Server(say_hi, leaf) as s:
        out, _ = good("http", "GET", url(s), "--ca", ca.crt, "--chain")
    text = out.decode()
    assert text.count("BEGIN CERTIFICATE") == 3
    assert text.replace("\r", "") == leaf.pem() + middle.pem() + ca.pem()
    file = tmp_path / "chain.pem"
    file.write_text(text)
    subprocess.run(["openssl", "verify", "-CAfile", file, leaf.crt], check=True, stdout=subprocess.DEVNULL)


def test_chain_for_jobs_holds_only_what_was_verified(pki, ca, tmp_path):
    """Certificates that a server sends beside its path would be a job's trusted authorities."""
    middle = pki.ca("middle", ca)
    leaf, direct = pki.server(middle), pki.server(ca)
    forged = pki.ca("test CA")                          # the trusted one's name, another key
    forged_middle = pki.ca("middle", forged)            # signed by nobody that is trusted
    other = pki.ca("other")
    crossed = pki.ca("test CA", other)                  # the same name once more, issued by a stranger
    chain = tmp_path / "chain.pem"
    for sent, want in [
            ([direct, forged], [direct, ca]),
            ([direct, ca, forged], [direct, ca]),
            ([direct, ca, ca, ca], [direct, ca]),
            ([direct, crossed, other], [direct, ca]),
            ([leaf, middle, forged], [leaf, middle, ca]),
            ([leaf, forged_middle, middle, forged], [leaf, middle, ca]),
            ([leaf, forged, other, middle, middle, ca], [leaf, middle, ca]),
            ([leaf, middle, other], [leaf, middle, ca])]:
        chain.write_text("".join(c.pem() for c in sent))
        with Server(say_hi, sent[0], chain=str(chain)) as s:
            out, _ = good("http", "GET", url(s), "--ca", ca.crt, "--chain")
        assert out.decode().replace("\r", "") == "".join(c.pem() for c in want)
    # the host's bundle has it, and so the anchor's own certificate is what is handed on
    chain.write_text(direct.pem() + forged.pem())
    with Server(say_hi, direct, chain=str(chain)) as s:
        out, _ = good("http", "GET", url(s), "--system", "--chain", env={"SSL_CERT_FILE": ca.crt})
    assert out.decode().replace("\r", "") == direct.pem() + ca.pem()
    # a server that is itself the trusted one, and one whose key is pinned
    own = pki.server(None)
    chain.write_text(own.pem() + forged.pem())
    for how in (["--ca", own.crt], ["--pin", own.crt]):
        with Server(say_hi, own, chain=str(chain)) as s:
            out, _ = good("http", "GET", url(s), *how, "--chain")
        assert out.decode().replace("\r", "") == own.pem()


def test_openssl_server(pki, ca, tmp_path):
    """s_server renegotiates, sends small records and closes in its own ways."""
    leaf = pki.server(ca, key="rsa2048")
    (tmp_path / "page").write_bytes(b"x" * 100000)
    p = subprocess.Popen(["openssl", "s_server", "-accept", "127.0.0.1:0", "-cert", leaf.crt, "-key", leaf.key,
                          "-tls1_2", "-WWW", "-split_send_frag", "512", "-max_send_frag", "512"], cwd=tmp_path,
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        for line in p.stdout:
            found = re.match(r"ACCEPT \S*:(\d+)", line)
            if found:
                break
        out, _ = good("http", "GET", f"https://localhost:{found[1]}/page", "--ca", ca.crt)
        assert out == b"x" * 100000
    finally:
        p.kill()
        p.wait()


def test_expiry(pki, ca):
    assert good("expiry", pki.server(ca, end="20300102030405Z").crt)[0] == b"1893553445\n"
    assert good("expiry", pki.server(ca, end="20600102030405Z").crt)[0] == b"2840238245\n"
    assert "no certificate" in bad("expiry", ca.key)


# --- proxies

class Proxy(Server):
    """A proxy that knows CONNECT and wants a password."""

    def __init__(self):
        self.asked = []
        super().__init__(self.connect)

    def connect(self, conn):
        head, _ = read_head(conn)
        self.asked.append(head.decode())
        if "Proxy-Authorization: Basic dXNlcjpwYXNz" not in head.decode():
            conn.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\n\r\n")
            return
        host, port = head.split()[1].decode().rsplit(":", 1)
        up = socket.create_connection(("127.0.0.1" if host.endswith(".test") else host, int(port)))
        conn.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        splice(conn, up, lambda data: data)


def test_proxy(pki, ca):
    with Server(say_hi, pki.server(ca, san="DNS:gitlab.test")) as s, Proxy() as p:
        where = url(s, "gitlab.test")
        env = {"HTTPS_PROXY": f"http://user:pass@127.0.0.1:{p.port}"}
        assert good("http", "GET", where, "--ca", ca.crt, "--proxy", env=env)[0] == b"hi"
        assert p.asked[0].startswith(f"CONNECT gitlab.test:{s.port} HTTP/1.1")
        err = bad("http", "GET", where, "--ca", ca.crt, "--proxy", env={"https_proxy": f"http://user:no@127.0.0.1:{p.port}"})
        assert err.startswith("auth: ") and "status 407" in err and "user" in err and ":no@" not in err
        # NO_PROXY, and what never goes through a proxy.
        with Server(say_hi, pki.server(ca)) as near:
            before = len(p.asked)
            assert good("http", "GET", url(near), "--ca", ca.crt, "--proxy", env=env)[0] == b"hi"
            assert len(p.asked) == before


# --- SSH against OpenSSH's own server

SSHD = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:" + os.environ["PATH"])


class Sshd:
    def __init__(self, folder, *config, hostkeys=("rsa", "ecdsa", "ed25519"), pam="no"):
        assert SSHD, "OpenSSH's server is not installed (apt-get install openssh-server)"
        self.dir = str(folder)
        self.keys = {}
        for kind in ("rsa", "ecdsa", "ed25519"):
            subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", "", "-f", self.path("host_" + kind)], check=True)
        self.authorized = self.path("authorized")
        open(self.authorized, "w").close()
        probe = socket.create_server(("127.0.0.1", 0))
        self.port = probe.getsockname()[1]
        probe.close()
        with open(self.path("config"), "w") as f:
            f.write(f"Port {self.port}\nListenAddress 127.0.0.1\nPidFile none\nUsePAM {pam}\nStrictModes no\n"
                    f"AuthorizedKeysFile {self.authorized}\nPasswordAuthentication no\nPermitRootLogin prohibit-password\n"
                    f"KbdInteractiveAuthentication no\nPrintMotd no\nPrintLastLog no\nMaxStartups 100\n"
                    + "".join(f"HostKey {self.path('host_' + k)}\n" for k in hostkeys) + "".join(c + "\n" for c in config))
        os.makedirs("/run/sshd", mode=0o755, exist_ok=True)
        self.log = open(self.path("log"), "w")
        self.proc = subprocess.Popen([SSHD, "-D", "-e", "-f", self.path("config")], stderr=self.log)
        end = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
                return
            except OSError:
                assert time.monotonic() < end and self.proc.poll() is None, open(self.path("log")).read()
                time.sleep(0.05)

    def path(self, name):
        return os.path.join(self.dir, name)

    def key(self, kind, *options, name=None):
        """A client key that the server accepts."""
        file = self.path(name or "key_" + kind + "".join(options).replace("/", ""))
        if not os.path.exists(file):
            subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", "", "-f", file, *options], check=True)
            self.accept(open(file + ".pub").read())
        return file

    def accept(self, line):
        with open(self.authorized, "a") as f:
            f.write(line.strip() + "\n")

    def host_line(self, kind):
        return " ".join(open(self.path(f"host_{kind}.pub")).read().split()[:2])

    def sessions(self):
        """Pids of the processes that serve connections."""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/stat") as f:
                    if int(f.read().rsplit(")", 1)[1].split()[1]) == self.proc.pid:
                        found.append(int(pid))
            except (OSError, IndexError):
                pass
        return found

    def stop(self):
        for pid in self.sessions():
            os.kill(pid, signal.SIGKILL)
        self.proc.kill()
        self.proc.wait()
        self.log.close()


@pytest.fixture(scope="module")
def sshd(tmp_path_factory):
    s = Sshd(tmp_path_factory.mktemp("sshd"))
    yield s
    s.stop()


@pytest.fixture(scope="module")
def key(sshd):
    return sshd.key("ecdsa")


def ssh(sshd, key, *argv, **more):
    return nettool("ssh", "root", "127.0.0.1", sshd.port, "--key", key, *argv, **more)


def ssh_ok(sshd, key, *argv, **more):
    rc, out, err = ssh(sshd, key, *argv, **more)
    assert rc == 0, err
    return out, err


@pytest.mark.parametrize("kind,options", [
    ("rsa", ()), ("rsa", ("-b", "4096")), ("rsa", ("-m", "PEM")), ("rsa", ("-m", "PKCS8")),
    ("ecdsa", ()), ("ecdsa", ("-m", "PEM")), ("ecdsa", ("-m", "PKCS8")), ("ecdsa", ("-b", "384")), ("ecdsa", ("-b", "521")),
    ("ecdsa", ("-b", "384", "-m", "PEM")), ("ecdsa", ("-b", "521", "-m", "PKCS8")), ("ed25519", ()),
    ("ed25519", ("-C", "me@home \u00fc")),
])
def test_ssh_keys(sshd, kind, options):
    file = sshd.key(kind, *options)
    out, err = ssh_ok(sshd, file, "echo hello")
    assert out == b"hello\n" and err.endswith("status 0\n")
    assert good("pubkey", file)[0].decode().split() == open(file + ".pub").read().split()[:2]


def test_ssh_rsa_is_signed_with_sha2(sshd):
    sshd.log.flush()
    ssh_ok(sshd, sshd.key("rsa"), "true")
    # This server, as all since OpenSSH 8.8, refuses RSA with SHA-1.
    config = subprocess.run([SSHD, "-T", "-f", sshd.path("config")], stdout=subprocess.PIPE, text=True).stdout
    accepted = re.search(r"^pubkeyacceptedalgorithms (.*)$", config, re.M)[1].split(",")
    assert "ssh-rsa" not in accepted


def test_ssh_ed25519_in_pkcs8(sshd, tmp_path):
    pk8 = tmp_path / "ed.pem"
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", pk8], check=True)
    sshd.accept(good("pubkey", pk8)[0].decode())
    assert ssh_ok(sshd, pk8, "echo pkcs8")[0] == b"pkcs8\n"


def test_ssh_key_with_crlf(sshd, tmp_path):
    for kind in ("ed25519", "rsa"):
        file = tmp_path / "crlf"
        file.write_bytes(open(sshd.key(kind), "rb").read().replace(b"\n", b"\r\n"))
        assert ssh_ok(sshd, file, "echo crlf")[0] == b"crlf\n"


def test_ssh_keys_that_cannot_be_used(sshd, key, tmp_path):
    for options in ((), ("-m", "PEM"), ("-m", "PKCS8")):
        locked = tmp_path / ("locked" + "".join(options))
        subprocess.run(["ssh-keygen", "-q", "-t", "rsa", "-N", "secret", "-f", locked, *options], check=True)
        assert "has a passphrase" in ssh(sshd, locked, "true")[2]
    locked = tmp_path / "locked-ed"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "secret", "-f", locked], check=True)
    assert "has a passphrase" in ssh(sshd, locked, "true")[2]
    assert "this is a public SSH key" in ssh(sshd, str(locked) + ".pub", "true")[2]
    text = open(key).read()
    for broken in ("", "hello", text[:200], text.replace("A", "B", 5), open(key + ".pub").read()):
        file = tmp_path / "broken"
        file.write_text(broken)
        rc, _, err = ssh(sshd, file, "true")
        assert rc == 1 and err.startswith("config: ") and "SSH" in err


OFFERED = {
    "kex": "ext-info-c,kex-strict-c-v00@openssh.com,curve25519-sha256,curve25519-sha256@libssh.org,ecdh-sha2-nistp256,ecdh-sha2-nistp384,ecdh-sha2-nistp521,"
           "diffie-hellman-group16-sha512,diffie-hellman-group18-sha512,diffie-hellman-group14-sha256,"
           "diffie-hellman-group-exchange-sha256",
    "host keys": "ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521,ssh-ed25519,rsa-sha2-512,rsa-sha2-256",
    "ciphers": "chacha20-poly1305@openssh.com,aes256-ctr,aes192-ctr,aes128-ctr",
    "macs": "hmac-sha2-256-etm@openssh.com,hmac-sha2-512-etm@openssh.com,hmac-sha2-256,hmac-sha2-512",
}


def test_ssh_offers_on_the_wire(key):
    """S7: what a man in the middle of a first contact may choose from."""
    seen = []

    def listen(conn):
        conn.sendall(b"SSH-2.0-x\r\n")
        data = b""
        while b"\n" not in data or len(data) < data.index(b"\n") + 5 + int.from_bytes(data[data.index(b"\n") + 1:][:4], "big"):
            data += conn.recv(65536)
        seen.append(data[data.index(b"\n") + 1:])

    with Server(listen) as s:
        bad("ssh", "root", "127.0.0.1", s.port, "--key", key, "true")
        bad("ssh", "root", "127.0.0.1", s.port, "--key", key, "--pin", "ssh-ed25519 AAAA", "true")
    for packet, first in zip(seen, ("ecdsa-sha2-nistp256", "ssh-ed25519")):
        assert packet[5] == 20
        left, lists = packet[22:], []
        while len(lists) < 8:
            n = int.from_bytes(left[:4], "big")
            lists.append(left[4:4 + n].decode())
            left = left[4 + n:]
        assert lists[0] == OFFERED["kex"]
        assert sorted(lists[1].split(",")) == sorted(OFFERED["host keys"].split(",")) and lists[1].split(",")[0] == first
        assert lists[2] == lists[3] == OFFERED["ciphers"] and lists[4] == lists[5] == OFFERED["macs"]
        assert lists[6] == lists[7] == "none"
    assert len(seen) == 2


@pytest.mark.parametrize("config,hostkeys", [
    ((), ("ed25519",)),
    (("KexAlgorithms curve25519-sha256",), ("rsa", "ecdsa", "ed25519")),
    (("KexAlgorithms curve25519-sha256@libssh.org",), ("rsa",)),
    (("KexAlgorithms sntrup761x25519-sha512@openssh.com,curve25519-sha256",), ("ed25519",)),
    (("KexAlgorithms ecdh-sha2-nistp521",), ("ecdsa",)), (("KexAlgorithms ecdh-sha2-nistp256",), ("ed25519",)),
    (("KexAlgorithms diffie-hellman-group16-sha512",), ("rsa",)),
    (("KexAlgorithms diffie-hellman-group-exchange-sha256",), ("ed25519",)),
    # ssh-audit's guide for Debian 12, and halves of it
    (("KexAlgorithms sntrup761x25519-sha512@openssh.com,curve25519-sha256,curve25519-sha256@libssh.org,"
      "diffie-hellman-group16-sha512,diffie-hellman-group18-sha512,diffie-hellman-group-exchange-sha256",
      "Ciphers chacha20-poly1305@openssh.com,aes256-gcm@openssh.com,aes128-gcm@openssh.com,aes256-ctr,aes192-ctr,aes128-ctr",
      "MACs hmac-sha2-256-etm@openssh.com,hmac-sha2-512-etm@openssh.com,umac-128-etm@openssh.com",
      "HostKeyAlgorithms ssh-ed25519,rsa-sha2-512,rsa-sha2-256",
      "PubkeyAcceptedAlgorithms ssh-ed25519,rsa-sha2-512,rsa-sha2-256", "MaxAuthTries 1"), ("ed25519", "rsa")),
    (("Ciphers chacha20-poly1305@openssh.com,aes256-gcm@openssh.com",), ("ed25519",)),
    (("Ciphers aes128-ctr", "MACs hmac-sha2-512-etm@openssh.com"), ("ed25519",)),
])
def test_ssh_hosts_that_people_have(tmp_path, config, hostkeys):
    s = Sshd(tmp_path, *config, hostkeys=hostkeys)
    try:
        for kind in ("ed25519", "rsa"):
            out, err = ssh_ok(s, s.key(kind), "echo hello")
            assert out == b"hello\n"
        pin = re.search("^pin (.*)$", err, re.M)[1]
        assert pin in [s.host_line(k) for k in hostkeys]
        # Much data: keys are renewed on the way.
        assert ssh_ok(s, s.key("ed25519"), "--pin", pin, "--size", "head -c 3000000 /dev/zero")[0] == b"3000000\n"
    finally:
        s.stop()


def test_ssh_rekey(tmp_path):
    s = Sshd(tmp_path, "RekeyLimit 100K", "KexAlgorithms curve25519-sha256", hostkeys=("ed25519",))
    try:
        assert ssh_ok(s, s.key("ed25519"), "--size", "head -c 2000000 /dev/zero")[0] == b"2000000\n"
    finally:
        s.stop()


@pytest.mark.parametrize("config,hostkeys,words", [
    (("KexAlgorithms sntrup761x25519-sha512@openssh.com",), ("ed25519",),
     ("no key exchange in common: the host offers sntrup761x25519-sha512@openssh.com; windlass offers curve", "windlass offers curve25519-sha256,")),
    (("KexAlgorithms diffie-hellman-group14-sha1",), ("rsa",),
     ("no key exchange in common: the host offers diffie-hellman-group14-sha1", "windlass offers curve25519-sha256,")),
    (("HostKeyAlgorithms ssh-rsa",), ("rsa",), ("no kind of host key in common: the host offers ssh-rsa;", "windlass offers ecdsa-")),
    (("Ciphers aes256-gcm@openssh.com",), ("rsa",), ("no cipher in common: the host offers aes256-gcm@openssh.com; windlass",)),
    (("Ciphers chacha20-poly1305@openssh.com", "MACs umac-128-etm@openssh.com"), ("ed25519",),
     ("no MAC in common: the host offers umac-128-etm@openssh.com; windlass",)),
    (("Ciphers aes256-ctr", "MACs hmac-sha1,umac-64@openssh.com"), ("rsa",),
     ("no MAC in common: the host offers hmac-sha1,umac-64@openssh.com; windlass offers hmac-sha2-256-etm",)),
])
def test_ssh_nothing_in_common(tmp_path, config, hostkeys, words):
    s = Sshd(tmp_path, *config, hostkeys=hostkeys)
    try:
        start = time.monotonic()
        rc, _, err = ssh(s, s.key("ecdsa"), "true")
        assert rc == 1 and err.startswith("config: ssh root@") and time.monotonic() - start < 5
        for w in words:
            assert w in err
    finally:
        s.stop()


@pytest.fixture
def agent(tmp_path):
    sock = str(tmp_path / "agent")
    p = subprocess.Popen(["ssh-agent", "-D", "-a", sock], stdout=subprocess.DEVNULL)
    end = time.monotonic() + 10
    while not os.path.exists(sock):
        assert time.monotonic() < end and p.poll() is None
        time.sleep(0.02)
    yield sock
    p.kill()
    p.wait()


def with_agent(sshd, sock, home, *argv):
    env = {**os.environ, "HOME": str(home), "SSH_AUTH_SOCK": sock}
    return nettool("ssh", "root", "127.0.0.1", sshd.port, *(argv or ("echo hello",)), env=env)


@pytest.mark.parametrize("kind,options", [("ed25519", ()), ("rsa", ("-b", "3072")), ("ecdsa", ()), ("ecdsa", ("-b", "384")), ("ecdsa", ("-b", "521"))])
def test_ssh_agent(sshd, agent, tmp_path, kind, options):
    file = sshd.key(kind, *options)
    subprocess.run(["ssh-add", "-q", file], check=True, env={**os.environ, "SSH_AUTH_SOCK": agent})
    rc, out, err = with_agent(sshd, agent, tmp_path)
    assert rc == 0 and out == b"hello\n", err


def test_ssh_agent_then_files(sshd, agent, tmp_path):
    """The agent's keys first, then ~/.ssh; what none of them opens is refused with all of them named."""
    env = {**os.environ, "SSH_AUTH_SOCK": agent}
    stranger = tmp_path / "stranger"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "a stranger", "-f", stranger], check=True)
    subprocess.run(["ssh-add", "-q", stranger], check=True, env=env)
    rc, _, err = with_agent(sshd, agent, tmp_path)
    assert rc == 1 and err.startswith("auth: ") and "does not accept our key for user root (the agent's a stranger SHA256:" in err
    os.mkdir(tmp_path / ".ssh")
    for kind in ("rsa", "ecdsa", "ed25519"):
        file = tmp_path / ".ssh" / ("id_" + kind)
        file.write_bytes(open(sshd.key(kind), "rb").read())
        rc, out, err = with_agent(sshd, agent, tmp_path)
        assert rc == 0 and out == b"hello\n", err
        # Without an agent, and with one that is not there.
        for sock in ("", str(tmp_path / "no-agent")):
            assert with_agent(sshd, sock, tmp_path)[0] == 0
        file.unlink()
    (tmp_path / ".ssh" / "id_rsa").write_text("rubbish")
    for sock in ("", str(tmp_path / "no-agent"), str(tmp_path / "stranger")):
        rc, _, err = with_agent(sshd, sock, tmp_path)
        assert rc == 1 and err.startswith("config: no SSH key was named, and none is there to use: ")
        assert "~/.ssh/id_ed25519: not there" in err and "~/.ssh/id_rsa: not a usable SSH private key" in err
        assert "SSH_AUTH_SOCK is not set" in err if not sock else "the agent at " + sock in err


def test_ssh_agent_that_misbehaves(sshd, tmp_path):
    """Lengths that are none, answers to nothing, an agent that refuses to sign or goes away."""
    keyline = open(sshd.key("ed25519") + ".pub").read().split()[1]
    blob = base64.b64decode(keyline)
    keys = b"\x0c" + (1).to_bytes(4, "big") + len(blob).to_bytes(4, "big") + blob + (2).to_bytes(4, "big") + b"me"

    def framed(b):
        return len(b).to_bytes(4, "big") + b

    answers = [
        ([b"\xff\xff\xff\xff"], "config: ", "its answer is malformed"), ([b"\0\0\0\0"], "config: ", "its answer is malformed"),
        ([b""], "config: ", "it closed the connection"), ([framed(b"\x05")], "config: ", "it does not tell its keys"),
        ([framed(b"\x0c\0\0\0\0")], "config: ", "it has no key that can be used"),
        ([framed(b"\x0c\xff\xff\xff\xff" + bytes(40))], "config: ", "it has no key that can be used"),
        ([framed(keys), framed(b"\x05")], "auth: ", "it does not sign (the agent's me)"),
        ([framed(keys), b"\0\0"], "network: ", "it closed the connection"),
        ([framed(keys), framed(b"\x0e" + bytes(4))], "auth: ", "it does not sign"),
        ([framed(keys), framed(b"\x0e" + framed(framed(b"ssh-rsa") + framed(bytes(64))))], "config: ", "it signs with ssh-rsa, not ssh-ed25519"),
        ([framed(keys), framed(b"\x0e" + framed(framed(b"ssh-ed25519") + framed(bytes(64))))], "auth: ", "does not accept our key"),
    ]
    for i, (say, kind, words) in enumerate(answers):
        path = str(tmp_path / f"agent{i}")
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(path)
        listener.listen(1)

        def serve(listener=listener, say=say):
            conn, _ = listener.accept()
            for answer in say:
                n = int.from_bytes(conn.recv(4, socket.MSG_WAITALL), "big")
                conn.recv(n, socket.MSG_WAITALL)
                conn.sendall(answer)
            conn.close()

        t = threading.Thread(target=serve, daemon=True)
        t.start()
        rc, _, err = with_agent(sshd, path, tmp_path)
        assert rc == 1 and err.startswith(kind) and words in err, (say, err)
        t.join(10)
        listener.close()


def delayed(port, hello=0.0, later=0.0, step=1):
    """A way to sshd that is slow: before the first byte from it, and before each further piece."""
    def run(conn):
        with socket.create_connection(("127.0.0.1", port)) as up:
            time.sleep(hello)
            first = True
            while True:
                ready, _, _ = select.select([conn, up], [], [])
                for a, b in ((conn, up), (up, conn)):
                    if a in ready:
                        data = a.recv(65536)
                        if not data:
                            return
                        if a is up and not first:
                            time.sleep(later)
                        first = first and a is not up
                        b.sendall(data)
    return run


def test_ssh_slow_login(sshd, key):
    """Silence is limited, not the whole: each wait below is short, their sum is not."""
    with Server(delayed(sshd.port, hello=1.5, later=1)) as s:
        start = time.monotonic()
        rc, out, err = nettool("ssh", "root", "127.0.0.1", s.port, "--key", key, "--silence", "5s", "--timeout", "60s", "echo slow")
        assert rc == 0 and out == b"slow\n" and time.monotonic() - start > 5, err
    with Server(delayed(sshd.port, hello=20)) as s:
        start = time.monotonic()
        err = bad("ssh", "root", "127.0.0.1", s.port, "--key", key, "--silence", "2s", "--timeout", "60s", "true")
        assert err.startswith("timeout: ") and "has said nothing for 2 s" in err and time.monotonic() - start < 10


def test_ssh_host_says_why(key):
    """sshd's plain line before it begins, for example."""
    with Server(lambda conn: conn.sendall(b"Not allowed at this time\r\n")) as s:
        err = bad("ssh", "root", "127.0.0.1", s.port, "--key", key, "true")
        assert err.startswith("network: ") and "saying: Not allowed at this time" in err


def test_ssh_too_many_keys(tmp_path, agent):
    s = Sshd(tmp_path, "MaxAuthTries 2")
    env = {**os.environ, "SSH_AUTH_SOCK": agent}
    try:
        for i in range(4):
            stranger = tmp_path / f"stranger{i}"
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", f"no-{i}", "-f", stranger], check=True)
            subprocess.run(["ssh-add", "-q", stranger], check=True, env=env)
        rc, _, err = with_agent(s, agent, tmp_path)
        assert rc == 1 and err.startswith("auth: ") and "Too many authentication failures" in err and "no-0" in err
    finally:
        s.stop()


def test_ssh_account_locked(tmp_path):
    """An account that has expired: sshd takes the key and hangs up, having said why."""
    user = f"wl{os.getpid()}"
    subprocess.run(["useradd", "-M", "-d", "/", "-p", "*", "-s", "/bin/sh", user], check=True)
    s = Sshd(tmp_path, pam="yes")
    try:
        os.chmod(s.authorized, 0o644)
        for p in (tmp_path, *tmp_path.parents):
            if str(p).startswith("/tmp/"):
                os.chmod(p, 0o755)
        file = s.key("ed25519")
        assert nettool("ssh", user, "127.0.0.1", s.port, "--key", file, "id -un")[1].decode().strip() == user
        subprocess.run(["chage", "-E", "2000-01-01", user], check=True)
        start = time.monotonic()
        rc, _, err = nettool("ssh", user, "127.0.0.1", s.port, "--key", file, "true")
        assert rc == 1 and err.startswith("auth: ") and time.monotonic() - start < 8, err
        assert "knows our key but ends the connection" in err and "account has expired" in err
    finally:
        s.stop()
        subprocess.run(["userdel", user], check=True)


def test_ssh_made_key(sshd):
    out, _ = good("keygen")
    private, line = out.decode().rsplit("-----\n", 1)
    file = sshd.path("made")
    with open(file, "w", opener=lambda p, f: os.open(p, f, 0o600)) as f:
        f.write(private + "-----\n")
    assert private.startswith("-----BEGIN EC PRIVATE KEY-----")
    assert subprocess.run(["ssh-keygen", "-y", "-f", file], stdout=subprocess.PIPE, text=True).stdout.split()[:2] == line.split()
    sshd.accept(line)
    assert ssh_ok(sshd, file, "echo made")[0] == b"made\n"
    with open(file + ".pub", "w") as f:
        f.write(line)
    shown = subprocess.run(["ssh-keygen", "-lf", file + ".pub", "-E", "md5"], stdout=subprocess.PIPE, text=True).stdout
    assert "MD5:" + good("fingerprint", line.strip())[0].decode().strip() in shown
    assert good("fingerprint", line.strip() + " a comment")[0] == good("fingerprint", line.strip())[0]
    assert "not an SSH public key" in bad("fingerprint", "ssh-rsa")
    assert good("keygen")[0] != out


def test_ssh_run(sshd, key):
    out, err = ssh_ok(sshd, key, "echo out; echo err >&2; exit 7")
    assert sorted(out.split()) == [b"err", b"out"] and err.endswith("status 7\n")
    assert ssh_ok(sshd, key, "kill -TERM $$")[1].endswith("status 143\n")
    assert ssh_ok(sshd, key, "kill -9 $$")[1].endswith("status 137\n")
    assert ssh_ok(sshd, key, "no-such-command 2>/dev/null")[1].endswith("status 127\n")
    out, err = ssh_ok(sshd, key, "echo $((RANDOM)) $SSH_CONNECTION", "--repeat", 5)
    lines = out.decode().splitlines()
    assert len(lines) == 5 and len({line.split()[2] for line in lines}) == 1, "five commands over one connection"


def test_ssh_input(sshd, key, tmp_path):
    data = random.Random(3).randbytes(6_000_000)
    file = tmp_path / "input"
    file.write_bytes(data)
    out, _ = ssh_ok(sshd, key, "--input", file, "cat")
    assert hashlib.sha256(out).digest() == hashlib.sha256(data).digest()
    # A reader that starts late, and one that says more than it takes.
    out, _ = ssh_ok(sshd, key, "--input", file, "sleep 1; sha256sum")
    assert out.split()[0].decode() == hashlib.sha256(data).hexdigest()
    out, _ = ssh_ok(sshd, key, "--input", file, "--size", "tee /dev/stderr")
    assert int(out) == 2 * len(data)
    # A command that does not read is not waited for.
    start = time.monotonic()
    assert ssh_ok(sshd, key, "--input", file, "exit 3")[1].endswith("status 3\n")
    assert ssh_ok(sshd, key, "--input", file, "head -c 100000 | wc -c; exec 0<&-; exit 4")[0] == b"100000\n"
    assert time.monotonic() - start < 5
    # No input is an empty one.
    assert ssh_ok(sshd, key, "cat; echo end")[0] == b"end\n"


def test_ssh_tail(sshd, key):
    out, _ = ssh_ok(sshd, key, "--max", 1000, "seq 1 100000")
    assert out == "".join(f"{i}\n" for i in range(1, 100001)).encode()[-1000:]
    out, _ = ssh_ok(sshd, key, "--max", 1000, "head -c 999 /dev/zero")
    assert out == bytes(999)


def test_ssh_host_key(sshd, key):
    _, err = ssh_ok(sshd, key, "true")
    assert "pin " + sshd.host_line("ecdsa") in err
    for kind in ("ecdsa", "rsa", "ed25519"):
        line = sshd.host_line(kind)
        _, err = ssh_ok(sshd, key, "--pin", line, "true")
        assert "pin " + line in err
        assert ssh_ok(sshd, key, "--pin", line + " a comment", "true")[0] == b""
    # Another machine's key.
    for kind, other in (("ecdsa", sshd.key("ecdsa")), ("rsa", sshd.key("rsa")), ("ed25519", sshd.key("ed25519"))):
        wrong = " ".join(open(other + ".pub").read().split()[:2])
        rc, _, err = ssh(sshd, key, "--pin", wrong, "touch " + sshd.path("must-not-be"))
        assert rc == 1 and err.startswith("tls: ssh root@") and "host key is not the pinned one" in err
        shown = subprocess.run(["ssh-keygen", "-lf", sshd.path(f"host_{kind}.pub")], stdout=subprocess.PIPE, text=True).stdout
        assert shown.split()[1] in err
    wrong = " ".join(open(sshd.key("ecdsa", "-b", "384") + ".pub").read().split()[:2])
    rc, _, err = ssh(sshd, key, "--pin", wrong, "true")
    # A kind that the host has not: what it has instead is named.
    assert rc == 1 and err.startswith("tls: ") and "host key is not the pinned one" in err
    shown = subprocess.run(["ssh-keygen", "-lf", sshd.path("host_ecdsa.pub")], stdout=subprocess.PIPE, text=True).stdout
    assert shown.split()[1] in err
    rc, _, err = ssh(sshd, key, "--pin", "ssh-dss AAAA", "true")
    assert rc == 1 and err.startswith("config: ") and "ssh-dss" in err
    for junk in ("hello", "ssh-rsa", "ecdsa-sha2-nistp256 !!!"):
        assert ssh(sshd, key, "--pin", junk, "true")[0] == 1
    assert not os.path.exists(sshd.path("must-not-be"))


def test_ssh_refused(sshd, key, tmp_path):
    stranger = tmp_path / "stranger"
    subprocess.run(["ssh-keygen", "-q", "-t", "ecdsa", "-N", "", "-f", stranger], check=True)
    rc, _, err = ssh(sshd, stranger, "true")
    assert rc == 1 and err.startswith("auth: ssh root@127.0.0.1") and "does not accept our key for user root" in err
    rc, _, err = nettool("ssh", "nobody-here", "127.0.0.1", sshd.port, "--key", key, "true")
    assert rc == 1 and err.startswith("auth: ")


def test_ssh_not_there(key):
    probe = socket.create_server(("127.0.0.1", 0))
    port = probe.getsockname()[1]
    probe.close()
    err = bad("ssh", "root", "127.0.0.1", port, "--key", key, "true")
    assert err.startswith("network: ") and "Connection refused" in err
    with Server(lambda conn: None) as s:
        assert bad("ssh", "root", "127.0.0.1", s.port, "--key", key, "true").startswith("network: ")
    with Server(lambda conn: conn.sendall(b"SSH-2.0-x\r\n")) as s:
        assert bad("ssh", "root", "127.0.0.1", s.port, "--key", key, "true").startswith("network: ")

    def silent(conn):
        while conn.recv(1000):
            pass

    with Server(silent) as s:
        start = time.monotonic()
        err = bad("ssh", "root", "127.0.0.1", s.port, "--key", key, "--timeout", "500ms", "true")
        assert err.startswith("timeout: ") and time.monotonic() - start < 3


def test_ssh_deadline(sshd, key, tmp_path):
    start = time.monotonic()
    rc, _, err = ssh(sshd, key, "--timeout", "1500ms", "echo begun; sleep 20")
    assert rc == 1 and "timeout: ssh: " in err and time.monotonic() - start < 6
    # Also while the peer takes no more input.
    file = tmp_path / "input"
    with open(file, "wb") as f:
        f.truncate(20 << 20)
    start = time.monotonic()
    rc, _, err = ssh(sshd, key, "--timeout", "1500ms", "--input", file, "sleep 20",
                     env={"ASAN_OPTIONS": "detect_leaks=0"})
    assert rc == 1 and "timeout: ssh: " in err and time.monotonic() - start < 6


def test_ssh_lost(sshd, key):
    """A connection that breaks while a command runs is an error, and never status 0."""
    before = set(sshd.sessions())
    p = subprocess.Popen([NETTOOL, "ssh", "root", "127.0.0.1", str(sshd.port), "--key", key, "--timeout", "20s",
                          "echo begun; exec sleep 15"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert p.stderr.readline().startswith("pin ")
    end = time.monotonic() + 10
    while not set(sshd.sessions()) - before:
        assert time.monotonic() < end
    time.sleep(0.3)
    for pid in set(sshd.sessions()) - before:
        for child in subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], stdout=subprocess.PIPE, text=True).stdout.split():
            os.kill(int(child), signal.SIGKILL)
        os.kill(pid, signal.SIGKILL)
    out, err = p.communicate(timeout=10)
    assert p.returncode == 1 and err.startswith("network: ssh: "), err


def test_ssh_cut_anywhere(sshd, key):
    for after in [1, 10, 21, 30, 100, 500, 1000, 1100, 1200, 1500, 1700, 1900, 2100, 2300, 2400, 2500, 2600, 2700, 2800]:
        with Server(cutter(sshd.port, after)) as r:
            rc, out, err = nettool("ssh", "root", "127.0.0.1", r.port, "--key", key, "head -c 100000 /dev/zero", "--size")
            assert (rc, out) == (1, b"") and err.splitlines()[-1].startswith("network: "), f"after {after}: {err}"


# --- machine ssh, with and without a terminal

def in_terminal(sshd, key, *argv, rows=30, cols=101):
    """nettool shell in a terminal of its own. Returns (pid, fd)."""
    pid, fd = pty.fork()
    if pid == 0:
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))
        os.execve(NETTOOL, [NETTOOL, "shell", "root", "127.0.0.1", str(sshd.port), "--key", key, *argv],
                  {**os.environ, "TERM": "vt100"})
    return pid, fd


def read_until(fd, pattern, timeout=15):
    text, end = "", time.monotonic() + timeout
    while not re.search(pattern, text):
        left = end - time.monotonic()
        assert left > 0, f"no {pattern!r} in {text!r}"
        if select.select([fd], [], [], left)[0]:
            try:
                piece = os.read(fd, 65536)
            except OSError:
                piece = b""
            assert piece, f"closed before {pattern!r}: {text!r}"
            text += piece.decode(errors="replace")
    return text


def test_shell_in_a_terminal(sshd, key):
    pid, fd = in_terminal(sshd, key)
    before = termios.tcgetattr(fd)
    read_until(fd, r"[#$] ")
    assert not termios.tcgetattr(fd)[3] & termios.ICANON, "raw while it lasts"
    os.write(fd, b"stty size; echo $TERM\n")
    assert re.search(r"30 101\s+vt100", read_until(fd, r"vt100"))
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", 41, 77, 0, 0))
    time.sleep(0.3)
    os.write(fd, b"stty size\n")
    read_until(fd, r"41 77")
    os.write(fd, b"sleep 30\n")
    time.sleep(0.3)
    os.write(fd, b"\x03")		# goes to the remote shell, not to us
    os.write(fd, b"echo $((40+2)); exit 7\n")
    read_until(fd, r"status 7\r\n")
    assert termios.tcgetattr(fd) == before, "restored"
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    os.close(fd)


def test_shell_ended_by_a_signal(sshd, key):
    pid, fd = in_terminal(sshd, key)
    before = termios.tcgetattr(fd)
    read_until(fd, r"[#$] ")
    os.kill(pid, signal.SIGTERM)
    read_until(fd, r"status 143\r\n")
    assert termios.tcgetattr(fd) == before
    os.waitpid(pid, 0)
    os.close(fd)


def test_shell_in_a_pipe(sshd, key):
    where = ("root", "127.0.0.1", sshd.port, "--key", key)
    rc, out, err = nettool("shell", *where, "cat; echo err >&2; exit 5", input=b"typed")
    assert (rc, out) == (0, b"typed") and "err\n" in err and err.endswith("status 5\n")
    rc, out, err = nettool("shell", *where, input=b"tty; echo $((6*7)); exit 9\n")
    assert (rc, out) == (0, b"not a tty\n42\n") and err.endswith("status 9\n")
    data = random.Random(4).randbytes(3_000_000)
    rc, out, err = nettool("shell", *where, "cat", input=data)
    assert rc == 0 and out == data
