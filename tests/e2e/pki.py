"""Certificates of every kind for tests, made by the openssl program."""

import os
import subprocess

CONFIG = """
[ca]
default_ca = d
[d]
dir = {dir}
database = {dir}/index
new_certs_dir = {dir}
rand_serial = yes
unique_subject = no
email_in_dn = no
copy_extensions = none
policy = p
preserve = yes
[p]
countryName = optional
organizationName = optional
commonName = optional
[req]
distinguished_name = dn
string_mask = nombstr
[dn]
"""


def run(*argv):
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, f"{' '.join(argv)}\n{done.stdout}"
    return done.stdout


class Cert:
    """A certificate: files .crt .key, and .chain (itself and what is above it, without the root)."""

    def __init__(self, base, issuer):
        self.crt, self.key, self.chain = base + ".crt", base + ".key", base + ".chain"
        self.issuer = issuer

    def pem(self):
        with open(self.crt) as f:
            return f.read()


class Pki:
    def __init__(self, folder):
        self.dir = str(folder)
        self.n = 0
        with open(self.path("config"), "w") as f:
            f.write(CONFIG.format(dir=self.dir))
        open(self.path("index"), "w").close()

    def path(self, name):
        return os.path.join(self.dir, name)

    def make_key(self, kind, file):
        if kind.startswith("rsa"):
            run("openssl", "genrsa", "-out", file, kind[3:] or "2048")
        elif kind == "ed25519":
            run("openssl", "genpkey", "-algorithm", "ed25519", "-out", file)
        else:
            run("openssl", "ecparam", "-name", {"ec": "prime256v1"}.get(kind, kind), "-genkey", "-noout", "-out", file)

    def issue(self, subject, issuer=None, key="ec", ext="", start="20200101000000Z", end="20700101000000Z",
              md="sha256", options=(), reuse_key=None):
        """issuer None: self-signed. ext: lines of an extension section."""
        self.n += 1
        c = Cert(self.path(f"c{self.n}"), issuer)
        if reuse_key:
            c.key = reuse_key
        else:
            self.make_key(key, c.key)
        csr, extfile = self.path(f"c{self.n}.csr"), self.path(f"c{self.n}.ext")
        with open(extfile, "w") as f:
            f.write("[x]\n" + ext)
        run("openssl", "req", "-new", "-config", self.path("config"), "-key", c.key, "-subj", subject, "-out", csr)
        sign = ["-selfsign", "-keyfile", c.key] if issuer is None else ["-cert", issuer.crt, "-keyfile", issuer.key]
        for option in options:
            sign += ["-sigopt", option]
        run("openssl", "ca", "-batch", "-notext", "-config", self.path("config"), "-in", csr, "-out", c.crt,
            "-startdate", start, "-enddate", end, "-md", md, "-extfile", extfile, "-extensions", "x", *sign)
        with open(c.chain, "w") as f:
            at = c
            while at is not None and (at.issuer is not None or at is c):
                f.write(at.pem())
                at = at.issuer
        return c

    def ca(self, name, issuer=None, **more):
        ext = more.pop("ext", "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n")
        return self.issue(f"/O=windlass test/CN={name}", issuer, ext=ext, **more)

    def server(self, issuer, san="DNS:localhost", **more):
        ext = more.pop("ext", "basicConstraints=critical,CA:FALSE\nextendedKeyUsage=serverAuth\n")
        if san:
            ext += f"subjectAltName={san}\n"
        return self.issue(more.pop("subject", "/O=windlass test"), issuer, ext=ext, **more)

    def client(self, issuer, **more):
        return self.issue("/O=client", issuer, ext="basicConstraints=critical,CA:FALSE\nextendedKeyUsage=clientAuth\n", **more)
