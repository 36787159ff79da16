"""The client's part of mechanisms that compute, from their RFCs: bytes in, bytes out."""

import base64
import hashlib
import hmac
import re


def cram_md5(challenge, user, password, upper=False):
    digest = hmac.new(password.encode(), challenge, hashlib.md5).hexdigest()
    return ("%s %s" % (user, digest.upper() if upper else digest)).encode()


class Scram:
    """RFC 5802. name: SHA-1, SHA-256 or SHA-512; gs2: the header, with its comma at the end."""

    def __init__(self, name, user, password, gs2="n,,", binding=b""):
        self.hash = name.lower().replace("-", "")
        self.user, self.password, self.gs2, self.binding = user, password, gs2, binding
        self.nonce = "fyko+d2lbbFgONRv9qkxdawL"
        self.signature = self.salt = self.rounds = None

    def hmac(self, key, text):
        return hmac.new(key, text, self.hash).digest()

    def first(self):
        name = self.user.replace("=", "=3D").replace(",", "=2C")
        self.bare = "n=%s,r=%s" % (name, self.nonce)
        return (self.gs2 + self.bare).encode()

    def final(self, server_first):
        text = server_first.decode()
        fields = dict(f.split("=", 1) for f in text.split(","))
        assert fields["r"].startswith(self.nonce) and len(fields["r"]) > len(self.nonce) + 16
        self.salt, self.rounds = base64.b64decode(fields["s"]), int(fields["i"])
        salted = hashlib.pbkdf2_hmac(self.hash, self.password.encode(), self.salt, self.rounds)
        key = self.hmac(salted, b"Client Key")
        head = base64.b64encode(self.gs2.encode() + self.binding).decode()
        without = "c=%s,r=%s" % (head, fields["r"])
        message = ",".join([self.bare, text, without]).encode()
        proof = self.hmac(hashlib.new(self.hash, key).digest(), message)
        proof = bytes(x ^ y for x, y in zip(key, proof))
        self.signature = self.hmac(self.hmac(salted, b"Server Key"), message)
        return ("%s,p=%s" % (without, base64.b64encode(proof).decode())).encode()

    def server_is_right(self, server_final):
        return server_final == b"v=" + base64.b64encode(self.signature)


class DigestMd5:
    """RFC 2831, qop=auth."""

    def __init__(self, user, password, realm="", authzid="", uri="smtp/localhost"):
        self.user, self.password, self.realm = user, password, realm
        self.authzid, self.uri = authzid, uri
        self.expected = None

    def value(self, a1, a2):
        def md5(data):
            return hashlib.md5(data.encode() if isinstance(data, str) else data).hexdigest()
        return md5("%s:%s:00000001:%s:auth:%s" % (md5(a1), self.nonce, self.cnonce, md5(a2)))

    def answer(self, challenge, **more):
        self.nonce = re.search(r'nonce="([^"]*)"', challenge.decode()).group(1)
        self.cnonce = "OA6MHXh6VqTrRk"
        secret = "%s:%s:%s" % (self.user, self.realm, self.password)
        a1 = hashlib.md5(secret.encode()).digest()
        a1 += (":%s:%s" % (self.nonce, self.cnonce)).encode()
        if self.authzid:
            a1 += (":" + self.authzid).encode()
        self.expected = "rspauth=" + self.value(a1, ":" + self.uri)
        fields = ['username="%s"' % self.user, 'realm="%s"' % self.realm, 'nonce="%s"' % self.nonce,
                  'cnonce="%s"' % self.cnonce, "nc=00000001", "qop=auth",
                  'digest-uri="%s"' % self.uri, "charset=utf-8",
                  "response=" + self.value(a1, "AUTHENTICATE:" + self.uri)]
        if self.authzid:
            fields.append('authzid="%s"' % self.authzid)
        return ",".join(fields).encode()

    def server_is_right(self, server_final):
        return server_final.decode() == self.expected
