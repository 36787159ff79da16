"""A real OpenID provider: the npm package oidc-provider on loopback (tests/e2e/oidc)."""

import base64
import hashlib
import hmac
import json
import os
import shutil
import signal
import urllib.error
import urllib.parse
import urllib.request

from . import authserver, postfix, proc

SOURCE = os.path.join(authserver.ROOT, "tests", "e2e", "oidc")
CLIENT = ("authd", "authd-s3cret/+&")  # introspects
APP = ("mail app", "app-s3cret=&")  # gets tokens


def installed():
    """The directory with the packages of the lock file; made once for a build directory."""
    with open(os.path.join(SOURCE, "package-lock.json"), "rb") as f:
        digest = hashlib.sha256(f.read()).hexdigest()[:12]
    where = os.path.join(authserver.BUILD, "oidc-" + digest)
    if not os.path.exists(os.path.join(where, "complete")):
        shutil.rmtree(where, ignore_errors=True)
        os.makedirs(where)
        for name in ("package.json", "package-lock.json", ".npmrc"):
            shutil.copy(os.path.join(SOURCE, name), where)
        made = proc.run(["npm", "ci", "--ignore-scripts"], cwd=where, timeout=180)
        if made.returncode != 0:
            raise RuntimeError("npm ci: %s%s" % (made.stdout, made.stderr))
        open(os.path.join(where, "complete"), "w").close()
    return where


class Provider:
    def __init__(self, users):
        self.dir = proc.new_dir("o")
        self.port, self.tls_port = proc.free_port(), proc.free_port()
        self.url = "http://127.0.0.1:%d" % self.port
        self.daemon = None
        os.symlink(os.path.join(installed(), "node_modules"), os.path.join(self.dir, "node_modules"))
        shutil.copy(os.path.join(SOURCE, "provider.mjs"), self.dir)
        shutil.copy(os.path.join(SOURCE, "package.json"), self.dir)
        postfix.make_certificate(self.dir, "localhost")
        with open(os.path.join(self.dir, "users.json"), "w") as f:
            json.dump(users, f)

    def start(self, kid="first"):
        """New keys at each start; opaque tokens of before are forgotten."""
        log = os.path.join(self.dir, "provider.log")
        self.daemon = proc.Daemon(["node", "provider.mjs", str(self.port), str(self.tls_port), kid], log, cwd=self.dir)
        proc.wait_for("the provider", lambda: proc.port_open(self.port) or not self.daemon.running(), 60)
        if not self.daemon.running():
            with open(log) as f:
                raise RuntimeError("the provider did not start:\n" + f.read())
        return self

    def pause(self):
        self.daemon.popen.send_signal(signal.SIGSTOP)

    def go_on(self):
        self.daemon.popen.send_signal(signal.SIGCONT)

    def stop(self):
        if self.daemon:
            self.daemon.stop()
            self.daemon = None

    def post(self, path, client, **form):
        form.update(client_id=client[0], client_secret=client[1])
        data = urllib.parse.urlencode(form).encode()
        with urllib.request.urlopen(self.url + path, data, timeout=20) as answer:
            return answer.read()

    def token(self, user, password, **form):
        """scope, expires_in; resource_server="AUDIENCE ALG" for a signed token."""
        answer = self.post("/token", APP, grant_type="password", username=user, password=password, **form)
        return json.loads(answer)["access_token"]

    def revoke(self, token):
        self.post("/token/revocation", APP, token=token)

    def jwks(self):
        with urllib.request.urlopen(self.url + "/jwks", timeout=20) as answer:
            return answer.read()


def b64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def hs256(claims, key, **header):
    """A token signed with a shared secret, in HS256 unless the header says otherwise."""
    head = dict({"alg": "HS256", "typ": "JWT"}, **header)
    signed = b64url(json.dumps(head).encode()) + "." + b64url(json.dumps(claims).encode())
    return signed + "." + b64url(hmac.new(key, signed.encode(), "sha256").digest())
