"""The key and the secret that belong to a certificate (certificates.md, 7; secrets.md, 6; keys.md, 6)."""

import hashlib

import pytest
from azure.core.exceptions import HttpResponseError, ResourceExistsError
from azure.keyvault.certificates import CertificatePolicy
from azure.keyvault.keys.crypto import EncryptionAlgorithm, KeyWrapAlgorithm, SignatureAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

import outside
from outside import der, spki
from policies import PEM, PFX, create, small


def opened(secrets, name, content_type):
    value = secrets.get_secret(name).value
    return outside.open_pem(value) if content_type == PEM else outside.open_pfx(value)


KEYS = {
    "RSA": {"key_type": "RSA", "key_curve_name": None},
    "P-256": {"key_curve_name": "P-256"},
    "P-384": {"key_curve_name": "P-384"},
    "P-521": {"key_curve_name": "P-521"},
    "P-256K": {"key_curve_name": "P-256K"},
}


@pytest.mark.parametrize("content_type", [PFX, PEM], ids=["pfx", "pem"])
@pytest.mark.parametrize("kind", KEYS)
def test_secret_holds_the_certificate_and_its_key(certificates, secrets, name, kind, content_type):
    made = create(certificates, name, small(content_type=content_type, **KEYS[kind]))
    held = opened(secrets, name, content_type)
    assert [der(c) for c in held.certificates] == [bytes(made.cer)]
    assert spki(held.key.public_key()) == spki(held.leaf.public_key())


@pytest.mark.parametrize("content_type", [PFX, PEM], ids=["pfx", "pem"])
@pytest.mark.parametrize("kind", ["RSA", "P-256", "P-256K"])
def test_secret_of_a_key_that_may_not_leave_holds_none(certificates, secrets, name, kind, content_type):
    made = create(certificates, name, small(content_type=content_type, exportable=False, **KEYS[kind]))
    held = opened(secrets, name, content_type)
    assert held.key is None
    assert [der(c) for c in held.certificates] == [bytes(made.cer)]


@pytest.mark.parametrize("kind", ["RSA", "P-256", "P-256K"])
def test_pfx_is_converted_to_pem_when_asked_for(certificates, secrets, name, kind):
    made = create(certificates, name, small(**KEYS[kind]))
    secret = secrets.get_secret(name, out_content_type=PEM)
    assert secret.properties.content_type == PEM
    held = outside.open_pem(secret.value)
    assert der(held.leaf) == bytes(made.cer)
    assert spki(held.key.public_key()) == spki(held.leaf.public_key())
    assert secrets.get_secret(name, out_content_type=PFX).value == secrets.get_secret(name).value


def test_pem_is_not_converted_to_pfx(certificates, secrets, name):
    create(certificates, name, small(content_type=PEM))
    with pytest.raises(HttpResponseError) as refused:
        secrets.get_secret(name, out_content_type=PFX)
    assert (refused.value.status_code, refused.value.error.code) == (400, "BadParameter")


def test_attributes_mirror_the_certificate(certificates, secrets, keys, name):
    made = create(certificates, name, tags={"only": "here"})
    secret, key = secrets.get_secret(name).properties, keys.get_key(name).properties
    for mirror in (secret, key):
        assert mirror.managed is True
        assert mirror.version == made.properties.version
        assert not mirror.tags
        for field in ("enabled", "not_before", "expires_on", "created_on", "updated_on", "recovery_level"):
            assert (field, getattr(mirror, field)) == (field, getattr(made.properties, field))
    assert secret.key_id == made.key_id
    assert secret.id == made.secret_id
    assert key.id == made.key_id


def test_each_version_has_its_own_secret_and_key(certificates, secrets, keys, name):
    for made in [create(certificates, name) for _ in range(2)]:
        version = made.properties.version
        held = outside.open_pfx(secrets.get_secret(name, version).value)
        assert der(held.leaf) == bytes(made.cer)
        numbers = held.leaf.public_key().public_numbers()
        assert keys.get_key(name, version).key.x == numbers.x.to_bytes(32, "big")
    assert len(list(secrets.list_properties_of_secret_versions(name))) == 2
    assert len(list(keys.list_properties_of_key_versions(name))) == 2


OPERATIONS = {
    "digitalSignature": {"sign", "verify"},
    "keyEncipherment": {"wrapKey", "unwrapKey"},
    "dataEncipherment": {"encrypt", "decrypt"},
    "keyCertSign": {"sign", "verify"},
}


@pytest.mark.parametrize("usage", OPERATIONS)
def test_key_operations_follow_the_key_usage(certificates, keys, name, usage):
    create(certificates, name, small(key_type="RSA", key_curve_name=None, key_usage=[usage]))
    assert set(keys.get_key(name).key_operations) == OPERATIONS[usage]


def test_rsa_key_signs_and_unwraps_under_the_certificate(certificates, keys, name):
    made = create(certificates, name, CertificatePolicy.get_default())
    public = outside.x509.load_der_x509_certificate(bytes(made.cer)).public_key()
    client = keys.get_cryptography_client(name)
    signature = client.sign(SignatureAlgorithm.rs256, hashlib.sha256(b"to be signed").digest()).signature
    public.verify(signature, b"to be signed", padding.PKCS1v15(), hashes.SHA256())

    oaep = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
    wrapped = public.encrypt(bytes(range(32)), oaep)
    assert client.unwrap_key(KeyWrapAlgorithm.rsa_oaep_256, wrapped).key == bytes(range(32))
    with pytest.raises(HttpResponseError) as refused:
        client.decrypt(EncryptionAlgorithm.rsa_oaep_256, wrapped)
    assert (refused.value.status_code, refused.value.error.innererror["code"]) == (403, "KeyOperationForbidden")


@pytest.mark.parametrize(
    "curve,algorithm,hashed",
    [
        ("P-256", SignatureAlgorithm.es256, hashes.SHA256()),
        ("P-384", SignatureAlgorithm.es384, hashes.SHA384()),
        ("P-521", SignatureAlgorithm.es512, hashes.SHA512()),
        ("P-256K", SignatureAlgorithm.es256_k, hashes.SHA256()),
    ],
)
def test_ec_key_signs_under_the_certificate(certificates, keys, name, curve, algorithm, hashed):
    made = create(certificates, name, small(key_curve_name=curve))
    public = outside.x509.load_der_x509_certificate(bytes(made.cer)).public_key()
    digest = hashlib.new(hashed.name, b"to be signed").digest()
    signature = keys.get_cryptography_client(name).sign(algorithm, digest).signature
    half = len(signature) // 2
    assert half == (public.key_size + 7) // 8
    r, s = int.from_bytes(signature[:half], "big"), int.from_bytes(signature[half:], "big")
    public.verify(encode_dss_signature(r, s), b"to be signed", ec.ECDSA(hashed))


def test_key_of_a_disabled_certificate_does_not_sign(certificates, keys, name):
    create(certificates, name)
    client = keys.get_cryptography_client(name)
    assert client.sign(SignatureAlgorithm.es256, bytes(32)).signature
    certificates.update_certificate_properties(name, enabled=False)
    with pytest.raises(HttpResponseError) as refused:
        client.sign(SignatureAlgorithm.es256, bytes(32))
    assert (refused.value.status_code, refused.value.error.code) == (403, "Forbidden")
    assert refused.value.error.innererror["code"] == "KeyDisabled"


def test_secret_cannot_be_changed_on_its_own(certificates, secrets, name):
    create(certificates, name)
    before = secrets.get_secret(name)
    attempts = {
        "set": lambda: secrets.set_secret(name, "other"),
        "update": lambda: secrets.update_secret_properties(name, enabled=False),
        "delete": lambda: secrets.begin_delete_secret(name),
        "backup": lambda: secrets.backup_secret(name),
    }
    for what, attempt in attempts.items():
        with pytest.raises(HttpResponseError) as refused:
            attempt()
        assert (what, refused.value.status_code, refused.value.error.code) == (what, 403, "Forbidden")
        assert refused.value.error.innererror["code"] == "SecretManagedByKeyVault"
    assert secrets.get_secret(name).value == before.value


def test_key_cannot_be_changed_on_its_own(certificates, keys, name):
    create(certificates, name)
    before = keys.get_key(name)
    attempts = {
        "create": lambda: keys.create_ec_key(name),
        "update": lambda: keys.update_key_properties(name, enabled=False),
        "delete": lambda: keys.begin_delete_key(name),
        "rotate": lambda: keys.rotate_key(name),
        "backup": lambda: keys.backup_key(name),
    }
    for what, attempt in attempts.items():
        with pytest.raises(HttpResponseError) as refused:
            attempt()
        assert (what, refused.value.status_code, refused.value.error.code) == (what, 403, "Forbidden")
        assert refused.value.error.innererror["code"] == "KeyManagedByKeyVault"
    assert keys.get_key(name).id == before.id


def test_name_of_a_key_of_its_own_is_taken(certificates, keys, key_name):
    made = keys.create_ec_key(key_name)
    with pytest.raises(ResourceExistsError) as refused:
        certificates.begin_create_certificate(key_name, small())
    assert (refused.value.status_code, refused.value.error.code) == (409, "Conflict")
    assert keys.get_key(key_name).id == made.id
