"""JSON web tokens that the vault signs, verified in another language by a library that knows nothing of it."""

import hashlib
import json
import pathlib
import subprocess
import time

import pytest
from azure.keyvault.keys.crypto import SignatureAlgorithm

from outside import base64

ISSUER = "https://issuer.example.net"
JAVASCRIPT = pathlib.Path(__file__).parent.parent / "javascript"


def encode(octets):
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def jwk(made):
    """The public key of an answer as JSON."""
    key = made.key
    if key.kty == "RSA":
        numbers = {"n": encode(key.n), "e": encode(key.e)}
    else:
        numbers = {"crv": key.crv, "x": encode(key.x), "y": encode(key.y)}
    return {"kty": key.kty, "kid": made.id, "use": "sig", **numbers}


def verify(token, made, algorithm):
    """Lets the library jose verify the token in Node, by the keys of its issuer."""
    given = {"token": token, "keys": [jwk(made)], "algorithm": algorithm, "issuer": ISSUER}
    return subprocess.run(
        ["node", JAVASCRIPT / "verify-token.js"],
        input=json.dumps(given), capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


@pytest.mark.parametrize("algorithm", ["RS256", "PS256", "ES256"])
def test_a_token_of_the_vault_is_verified_elsewhere(keys, key_name, algorithm):
    made = keys.create_ec_key(key_name) if algorithm == "ES256" else keys.create_rsa_key(key_name)
    def signed_part(claims):
        header = {"alg": algorithm, "kid": made.id, "typ": "JWT"}
        return ".".join(encode(json.dumps(part).encode()) for part in (header, claims))

    claims = {"iss": ISSUER, "sub": "someone", "exp": int(time.time()) + 60}
    signed = signed_part(claims)
    digest = hashlib.sha256(signed.encode()).digest()
    signature = keys.get_cryptography_client(key_name).sign(SignatureAlgorithm(algorithm), digest).signature
    verified = verify(f"{signed}.{encode(signature)}", made, algorithm)
    assert verified.returncode == 0, verified.stderr
    assert json.loads(verified.stdout) == claims

    forged = verify(f"{signed_part({**claims, 'sub': 'another'})}.{encode(signature)}", made, algorithm)
    assert forged.returncode == 1 and "ERR_JWS_SIGNATURE_VERIFICATION_FAILED" in forged.stderr
