"""The cryptography client: what it does by itself and what it leaves to the vault fit together (keys.md, 5.1, 8, 11).

A client that may read the key encrypts, wraps and verifies by itself; one that may not sends everything to the vault.
"""

import datetime
import hashlib

import pytest
from azure.core.exceptions import HttpResponseError
from azure.keyvault.keys.crypto import CryptographyClient, EncryptionAlgorithm, KeyWrapAlgorithm, SignatureAlgorithm
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

import outside

ENCRYPTIONS = ["RSA1_5", "RSA-OAEP", "RSA-OAEP-256"]
RSA_SIGNATURES = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"]
EC_SIGNATURES = {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512", "P-256K": "ES256K"}
PLAIN = b"attack at dawn"


def digest(algorithm):
    return hashlib.new("sha" + algorithm.removesuffix("K")[-3:], b"to be signed").digest()


@pytest.fixture
def remote_only(limited_credential):
    """Opens a client that may use the key and not read it."""
    opened = []

    def open_client(key):
        opened.append(CryptographyClient(key.id, limited_credential))
        return opened[-1]

    yield open_client
    for client in opened:
        client.close()


def assert_signatures_fit(algorithms, *clients):
    """Each verifies what the first and the last sign, and nothing else."""
    for name in algorithms:
        algorithm, value = SignatureAlgorithm(name), digest(name)
        for signer in (clients[0], clients[-1]):
            signature = signer.sign(algorithm, value).signature
            broken = signature[:9] + bytes([signature[9] ^ 1]) + signature[10:]
            for client in clients:
                assert (name, client.verify(algorithm, value, signature).is_valid) == (name, True)
                assert (name, client.verify(algorithm, value, broken).is_valid) == (name, False)


def test_what_one_client_encrypts_another_decrypts(keys, remote_only, key_name):
    made = keys.create_rsa_key(key_name)
    local, reader, remote = CryptographyClient.from_jwk(made.key), keys.get_cryptography_client(key_name), remote_only(made)
    for name in ENCRYPTIONS:
        for client in (local, reader, remote):
            sealed = client.encrypt(EncryptionAlgorithm(name), PLAIN).ciphertext
            wrapped = client.wrap_key(KeyWrapAlgorithm(name), PLAIN).encrypted_key
            for opener in (reader, remote):
                assert opener.decrypt(EncryptionAlgorithm(name), sealed).plaintext == PLAIN
                assert opener.unwrap_key(KeyWrapAlgorithm(name), wrapped).key == PLAIN


def test_what_one_client_signs_with_rsa_all_verify(keys, remote_only, key_name):
    made = keys.create_rsa_key(key_name)
    local, reader = CryptographyClient.from_jwk(made.key), keys.get_cryptography_client(key_name)
    assert_signatures_fit(RSA_SIGNATURES, reader, local, remote_only(made), keys.get_cryptography_client(key_name))


@pytest.mark.parametrize("curve", EC_SIGNATURES)
def test_what_one_client_signs_on_a_curve_all_verify(keys, remote_only, key_name, curve):
    made = keys.create_ec_key(key_name, curve=curve)
    local, reader = CryptographyClient.from_jwk(made.key), keys.get_cryptography_client(key_name)
    assert_signatures_fit([EC_SIGNATURES[curve]], reader, local, remote_only(made))


def test_plaintext_that_is_too_long_is_refused(keys, remote_only, key_name):
    """2048 bits less what the padding takes (keys.md, 8.1)."""
    client = remote_only(keys.create_rsa_key(key_name))
    for name, most in (("RSA1_5", 245), ("RSA-OAEP", 214), ("RSA-OAEP-256", 190)):
        assert client.encrypt(EncryptionAlgorithm(name), bytes(most)).ciphertext
        with pytest.raises(HttpResponseError) as refused:
            client.encrypt(EncryptionAlgorithm(name), bytes(most + 1))
        assert (refused.value.status_code, refused.value.error.code) == (400, "BadParameter")


def test_an_expired_key_opens_and_verifies_what_it_closed_and_signed(keys, remote_only, key_name):
    made = keys.create_rsa_key(key_name)
    client, value = remote_only(made), digest("RS256")
    sealed = client.encrypt(EncryptionAlgorithm.rsa_oaep_256, PLAIN).ciphertext
    wrapped = client.wrap_key(KeyWrapAlgorithm.rsa_oaep_256, PLAIN).encrypted_key
    signature = client.sign(SignatureAlgorithm.rs256, value).signature
    past = [datetime.datetime(year, 1, 1, tzinfo=datetime.timezone.utc) for year in (2000, 2001)]
    keys.update_key_properties(key_name, not_before=past[0], expires_on=past[1])
    assert client.decrypt(EncryptionAlgorithm.rsa_oaep_256, sealed).plaintext == PLAIN
    assert client.unwrap_key(KeyWrapAlgorithm.rsa_oaep_256, wrapped).key == PLAIN
    assert client.verify(SignatureAlgorithm.rs256, value, signature).is_valid
    for attempt in (
        lambda: client.encrypt(EncryptionAlgorithm.rsa_oaep_256, PLAIN),
        lambda: client.wrap_key(KeyWrapAlgorithm.rsa_oaep_256, PLAIN),
        lambda: client.sign(SignatureAlgorithm.rs256, value),
    ):
        with pytest.raises(HttpResponseError) as refused:
            attempt()
        assert (refused.value.status_code, refused.value.error.innererror["code"]) == (403, "KeyExpired")


def test_private_key_of_the_client_serves_as_one_of_cryptography(keys, key_name):
    private = keys.get_cryptography_client(keys.create_rsa_key(key_name).name).create_rsa_private_key()
    public = private.public_key().public_numbers().public_key()
    for scheme in (padding.PKCS1v15(), padding.PSS(padding.MGF1(hashes.SHA384()), padding.PSS.DIGEST_LENGTH)):
        public.verify(private.sign(b"to be signed", scheme, hashes.SHA384()), b"to be signed", scheme, hashes.SHA384())
    oaep = padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA1(), None)
    assert private.decrypt(public.encrypt(PLAIN, oaep), oaep) == PLAIN
    name = outside.common_name("vault.example.net")
    outside.assert_self_signed(outside.build(name, public, name).sign(private, hashes.SHA256()))
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(private, hashes.SHA256())
    outside.openssl("req", "-verify", "-noout", data=outside.pem(request))
