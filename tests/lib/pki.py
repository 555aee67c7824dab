# SPDX-License-Identifier: LGPL-2.1-or-later
"""The lab's certificates, made by openssl: an independent judge of what the agent makes and checks."""
import os
import subprocess


def openssl(*args, data=None):
    done = subprocess.run(["openssl", *args], input=data, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"openssl {' '.join(args)}: {done.stderr.decode(errors='replace')}")
    return done.stdout


class Authority:
    """A CA with a P-256 key in folder; issue() returns (certificate path, key path)."""

    def __init__(self, folder, name):
        self.folder, self.name = folder, name
        self.key, self.crt = os.path.join(folder, f"{name}.key"), os.path.join(folder, f"{name}.pem")
        os.makedirs(folder, mode=0o700, exist_ok=True)
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
                "-subj", f"/CN={name}", "-addext", "basicConstraints=critical,CA:TRUE",
                "-addext", "keyUsage=critical,keyCertSign,cRLSign", "-keyout", self.key, "-out", self.crt)

    def issue(self, cn, usage, san=None):
        stem = os.path.join(self.folder, cn.replace("/", "_"))
        lines = ["basicConstraints=critical,CA:FALSE", "keyUsage=critical,digitalSignature",
                 f"extendedKeyUsage={usage}"] + ([f"subjectAltName={san}"] if san else [])
        with open(stem + ".ext", "w", encoding="utf-8") as f:
            f.write("\n".join(lines) + "\n")
        openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                "-subj", f"/CN={cn}", "-keyout", stem + ".key", "-out", stem + ".csr")
        openssl("x509", "-req", "-in", stem + ".csr", "-CA", self.crt, "-CAkey", self.key, "-CAcreateserial",
                "-days", "30", "-extfile", stem + ".ext", "-out", stem + ".pem")
        return stem + ".pem", stem + ".key"


def sign_manifest(path, certificate, key):
    """Detached CMS signature in DER over the bytes of `path`, as a silicon vendor makes it."""
    out = path + ".p7s"
    openssl("cms", "-sign", "-binary", "-in", path, "-signer", certificate, "-inkey", key, "-outform", "DER",
            "-out", out)
    return out
