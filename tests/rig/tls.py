"""The rig's own certificate authority.

`make_ca` writes run/ca.pem and run/ca-key.pem; `issue` writes run/NAME.pem
(certificate, then the CA's) and run/NAME-key.pem. The keys are P-256, and
the work is openssl's. Both leave what is already there alone.
"""

import os
import subprocess
import sys
import tempfile


def make_ca(run):
    if os.path.exists(os.path.join(run, "ca.pem")):
        return
    _key(os.path.join(run, "ca-key.pem"))
    _openssl("req", "-x509", "-new", "-sha256", "-days", "30",
             "-subj", "/O=rig/CN=rig CA", "-key", os.path.join(run, "ca-key.pem"),
             "-addext", "keyUsage=critical,keyCertSign,cRLSign",
             "-out", os.path.join(run, "ca.pem.new"))
    os.rename(os.path.join(run, "ca.pem.new"), os.path.join(run, "ca.pem"))


def issue(run, name, sans):
    """A server certificate; `sans` are like "DNS:gitlab.rig.test" or "IP:10.1.2.3"."""
    pem, key = os.path.join(run, name + ".pem"), os.path.join(run, name + "-key.pem")
    if os.path.exists(pem) and os.path.exists(key):
        return pem, key
    _key(key)
    with tempfile.TemporaryDirectory(dir=run) as d:
        csr, ext, crt = (os.path.join(d, n) for n in ("csr", "ext", "crt"))
        with open(ext, "w") as f:
            f.write("basicConstraints=critical,CA:FALSE\n"
                    "keyUsage=critical,digitalSignature\n"
                    "extendedKeyUsage=serverAuth\n"
                    f"subjectAltName={','.join(sans)}\n")
        _openssl("req", "-new", "-sha256", "-key", key,
                 "-subj", f"/O=rig/CN={name}", "-out", csr)
        _openssl("x509", "-req", "-sha256", "-days", "30", "-in", csr,
                 "-CA", os.path.join(run, "ca.pem"),
                 "-CAkey", os.path.join(run, "ca-key.pem"),
                 # Random, so that two issuers at once do not share a counter file.
                 "-set_serial", "0x" + os.urandom(15).hex().lstrip("0"),
                 "-extfile", ext, "-out", crt)
        text = open(crt).read() + open(os.path.join(run, "ca.pem")).read()
    with open(pem + ".new", "w") as f:
        f.write(text)
    os.rename(pem + ".new", pem)
    return pem, key


def _key(path):
    old = os.umask(0o077)
    try:
        _openssl("ecparam", "-genkey", "-name", "prime256v1", "-noout", "-out", path)
    finally:
        os.umask(old)


def _openssl(*argv):
    p = subprocess.run(["openssl", *argv], stdin=subprocess.DEVNULL,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if p.returncode != 0:
        sys.exit(f"openssl {argv[0]}: {p.stdout.strip()}")
