"""Private keys of a TLS server that stay in the vault: keys of tlslite-ng that sign by the client of the keys.

Python's own ssl module wants the private key in a file; tlslite-ng takes an object. What it verifies, it verifies
with the public half that such an object holds, so a signature that is wrong ends the handshake here already.
"""

from azure.keyvault.keys.crypto import SignatureAlgorithm
from cryptography.hazmat.primitives.asymmetric import utils
from tlslite.utils.python_ecdsakey import Python_ECDSAKey
from tlslite.utils.python_rsakey import Python_RSAKey


class RSAKey(Python_RSAKey):
    def __init__(self, client, public):
        numbers = public.public_numbers()
        super().__init__(numbers.n, numbers.e)
        self._client = client

    def sign(self, digest, padding="pkcs1", hashAlg=None, saltLen=None):
        """TLS wants a salt as long as the digest (RFC 8446, section 4.2.3), and so does PS* (keys.md, 8.1)."""
        algorithm = SignatureAlgorithm({"pkcs1": "RS", "pss": "PS"}[padding] + hashAlg.removeprefix("sha"))
        return bytearray(self._client.sign(algorithm, bytes(digest)).signature)


class P256Key(Python_ECDSAKey):
    def __init__(self, client, public):
        numbers = public.public_numbers()
        super().__init__(numbers.x, numbers.y, "NIST256p")
        # TLS 1.2 asks the private key for its curve.
        self.private_key = self.public_key
        self._client = client

    def _sign(self, digest, hash_alg):
        """TLS wants DER, and the vault gives r and s side by side."""
        pair = self._client.sign(SignatureAlgorithm.es256, bytes(digest)).signature
        r, s = (int.from_bytes(half, "big") for half in (pair[:32], pair[32:]))
        return bytearray(utils.encode_dss_signature(r, s))
