"""Keys of their own (keys.md, to the end), judged by Python's cryptography."""

import datetime
import hashlib

import pytest
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.keyvault.keys import (
    ApiVersion,
    JsonWebKey,
    KeyClient,
    KeyRotationLifetimeAction,
    KeyRotationPolicy,
    KeyRotationPolicyAction,
)
from azure.keyvault.keys.crypto import EncryptionAlgorithm, KeyWrapAlgorithm, SignatureAlgorithm
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils

import outside

UTC = datetime.timezone.utc
CURVES = {"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1(), "P-521": ec.SECP521R1(), "P-256K": ec.SECP256K1()}


@pytest.fixture
def new_name(new_key_name):
    return new_key_name


def number(octets):
    return int.from_bytes(octets, "big")


def public(key):
    """The public key of a key of the vault, by another library."""
    jwk = key.key
    if jwk.kty == "RSA":
        return rsa.RSAPublicNumbers(number(jwk.e), number(jwk.n)).public_key()
    return ec.EllipticCurvePublicNumbers(number(jwk.x), number(jwk.y), CURVES[jwk.crv]).public_key()


def refusal(attempt, *args, **kwargs):
    """Status, code and inner code of a call that must fail, and its message."""
    with pytest.raises(HttpResponseError) as refused:
        attempt(*args, **kwargs)
    error = refused.value.error
    return refused.value.status_code, error.code, (error.innererror or {}).get("code"), error.message


def octets(n):
    return n.to_bytes((n.bit_length() + 7) // 8, "big")


def jwk_of(private):
    """A private key as clients import it."""
    if isinstance(private, rsa.RSAPrivateKey):
        p = private.private_numbers()
        return JsonWebKey(
            kty="RSA",
            key_ops=["encrypt", "decrypt", "sign", "verify", "wrapKey", "unwrapKey"],
            n=octets(p.public_numbers.n),
            e=octets(p.public_numbers.e),
            d=octets(p.d),
            p=octets(p.p),
            q=octets(p.q),
            dp=octets(p.dmp1),
            dq=octets(p.dmq1),
            qi=octets(p.iqmp),
        )
    p = private.private_numbers()
    crv = next(c for c, curve in CURVES.items() if curve.name == private.curve.name)
    # As the command line does, without leading zeros.
    return JsonWebKey(
        kty="EC",
        crv=crv,
        key_ops=["sign", "verify"],
        x=octets(p.public_numbers.x),
        y=octets(p.public_numbers.y),
        d=octets(p.private_value),
    )


def test_a_key_is_made_read_and_updated(keys, name):
    until = datetime.datetime.now(UTC).replace(microsecond=0) + datetime.timedelta(days=400)
    made = keys.create_rsa_key(name, size=3072, key_operations=["verify", "sign"], expires_on=until, tags={"a": "b"})
    assert public(made).key_size == 3072
    assert (made.key_type, made.key_operations, made.properties.tags) == ("RSA", ["verify", "sign"], {"a": "b"})
    assert made.properties.expires_on == until and made.properties.enabled and not made.properties.managed
    assert keys.get_key(name).id == keys.get_key(name, made.properties.version).id == made.id

    second = keys.create_ec_key(name, curve="P-256K")
    assert keys.get_key(name).id == second.id
    changed = keys.update_key_properties(name, made.properties.version, key_operations=["verify"], enabled=False)
    assert (changed.key_operations, changed.properties.enabled, changed.properties.expires_on) == (["verify"], False, until)
    assert keys.get_key(name).properties.enabled
    versions = {p.version for p in keys.list_properties_of_key_versions(name)}
    assert versions == {made.properties.version, second.properties.version}
    assert [p.version for p in keys.list_properties_of_keys() if p.name == name] == [None]


@pytest.mark.parametrize("curve", CURVES)
def test_a_key_on_every_curve_signs(keys, name, curve):
    made = keys.create_ec_key(name, curve=curve)
    algorithm, digest = {
        "P-256": (SignatureAlgorithm.es256, hashes.SHA256()),
        "P-384": (SignatureAlgorithm.es384, hashes.SHA384()),
        "P-521": (SignatureAlgorithm.es512, hashes.SHA512()),
        "P-256K": (SignatureAlgorithm.es256_k, hashes.SHA256()),
    }[curve]
    value = hashlib.new(digest.name, b"to be signed").digest()
    client = keys.get_cryptography_client(name)
    signature = client.sign(algorithm, value).signature
    half = len(signature) // 2
    assert half == (public(made).key_size + 7) // 8
    der = utils.encode_dss_signature(number(signature[:half]), number(signature[half:]))
    public(made).verify(der, value, ec.ECDSA(utils.Prehashed(digest)))
    assert client.verify(algorithm, value, signature).is_valid
    with pytest.raises(InvalidSignature):
        public(made).verify(der, value[::-1], ec.ECDSA(utils.Prehashed(digest)))


RSA_SIGNATURES = {
    "RS256": (hashes.SHA256(), padding.PKCS1v15()),
    "RS384": (hashes.SHA384(), padding.PKCS1v15()),
    "RS512": (hashes.SHA512(), padding.PKCS1v15()),
    "PS256": (hashes.SHA256(), padding.PSS(padding.MGF1(hashes.SHA256()), 32)),
    "PS384": (hashes.SHA384(), padding.PSS(padding.MGF1(hashes.SHA384()), 48)),
    "PS512": (hashes.SHA512(), padding.PSS(padding.MGF1(hashes.SHA512()), 64)),
}


def test_an_rsa_key_signs(keys, name):
    made = keys.create_rsa_key(name)
    client = keys.get_cryptography_client(name)
    for algorithm, (digest, scheme) in RSA_SIGNATURES.items():
        value = hashlib.new(digest.name, b"to be signed").digest()
        signature = client.sign(SignatureAlgorithm(algorithm), value).signature
        public(made).verify(signature, value, scheme, utils.Prehashed(digest))
        assert client.verify(SignatureAlgorithm(algorithm), value, signature).is_valid


ENCRYPTIONS = {
    "RSA1_5": padding.PKCS1v15(),
    "RSA-OAEP": padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA1(), None),
    "RSA-OAEP-256": padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None),
}


@pytest.mark.parametrize("algorithm", ENCRYPTIONS)
def test_an_imported_key_decrypts_what_was_encrypted_elsewhere(keys, name, algorithm):
    private = outside.rsa_key()
    made = keys.import_key(name, jwk_of(private))
    assert public(made).public_numbers() == private.public_key().public_numbers()
    assert made.key.d is None and made.key.p is None
    client = keys.get_cryptography_client(name)
    there = private.public_key().encrypt(b"attack at dawn", ENCRYPTIONS[algorithm])
    assert client.decrypt(EncryptionAlgorithm(algorithm), there).plaintext == b"attack at dawn"
    assert client.unwrap_key(KeyWrapAlgorithm(algorithm), there).key == b"attack at dawn"
    here = client.encrypt(EncryptionAlgorithm(algorithm), b"attack at dawn").ciphertext
    assert private.decrypt(here, ENCRYPTIONS[algorithm]) == b"attack at dawn"
    broken = there[:-1] + bytes([there[-1] ^ 1])
    status, code, inner, _ = refusal(client.decrypt, EncryptionAlgorithm(algorithm), broken)
    assert (status, code, inner) == (400, "BadParameter", None)


@pytest.mark.parametrize("curve", CURVES)
def test_an_imported_key_is_the_same_on_every_curve(keys, name, curve):
    private = outside.ec_key(CURVES[curve])
    made = keys.import_key(name, jwk_of(private))
    assert public(made).public_numbers() == private.public_key().public_numbers()
    assert len(made.key.x) == len(made.key.y) == (private.curve.key_size + 7) // 8


def test_what_does_not_make_up_a_key_is_refused(keys, name):
    one, other = jwk_of(outside.ec_key()), jwk_of(outside.ec_key())
    one.d = other.d
    assert refusal(keys.import_key, name, one)[:2] == (400, "BadParameter")
    assert refusal(keys.import_key, name, JsonWebKey(kty="RSA"))[:2] == (400, "BadParameter")


def test_deletion_recovery_and_backup(keys, name):
    made = keys.create_ec_key(name)
    blob = keys.backup_key(name)
    gone = keys.begin_delete_key(name).result()
    assert gone.id == made.id and gone.recovery_id.endswith("/deletedkeys/" + name)
    assert gone.scheduled_purge_date - gone.deleted_date == datetime.timedelta(days=made.properties.recoverable_days)
    assert keys.get_deleted_key(name).recovery_id == gone.recovery_id
    assert name in [k.name for k in keys.list_deleted_keys()]
    assert refusal(keys.create_ec_key, name)[:3] == (409, "Conflict", "ObjectIsDeletedButRecoverable")
    with pytest.raises(ResourceNotFoundError):
        keys.get_key(name)
    assert keys.begin_recover_deleted_key(name).result().id == made.id
    with pytest.raises(ResourceExistsError):
        keys.restore_key_backup(blob)
    keys.begin_delete_key(name).wait()
    keys.purge_deleted_key(name)
    with pytest.raises(ResourceNotFoundError):
        keys.get_deleted_key(name)
    restored = keys.restore_key_backup(blob)
    assert (restored.id, restored.key.x, restored.properties.created_on) == (made.id, made.key.x, made.properties.created_on)
    assert refusal(keys.restore_key_backup, blob[:-1] + b"?")[:2] == (400, "Malformed backup blob")


def test_what_a_key_may_not_do_the_vault_refuses(keys, name):
    """The client checks the key that it looked at first; the vault checks the one that it has."""
    made = keys.create_rsa_key(name)
    client = keys.get_cryptography_client(name)
    digest = hashlib.sha256(b"").digest()
    assert client.sign(SignatureAlgorithm.rs256, digest).signature

    def sign_after(**properties):
        keys.update_key_properties(name, made.properties.version, **properties)
        return refusal(client.sign, SignatureAlgorithm.rs256, digest)[:3]

    past = [datetime.datetime(year, 1, 1, tzinfo=UTC) for year in (2000, 2001)]
    later = datetime.datetime.now(UTC) + datetime.timedelta(hours=1)
    assert sign_after(key_operations=["verify"]) == (403, "Forbidden", "KeyOperationForbidden")
    assert sign_after(not_before=later) == (403, "Forbidden", "KeyNotYetValid")
    assert sign_after(not_before=past[0], expires_on=past[1]) == (403, "Forbidden", "KeyExpired")
    assert sign_after(enabled=False) == (403, "Forbidden", "KeyDisabled")


def test_rotation_and_its_policy(keys, name):
    made = keys.create_ec_key(name, tags={"a": "b"})
    default = keys.get_key_rotation_policy(name)
    assert [(a.action, a.time_before_expiry) for a in default.lifetime_actions] == [("Notify", "P30D")]
    action = KeyRotationLifetimeAction(KeyRotationPolicyAction.rotate, time_after_create="P60D")
    policy = keys.update_key_rotation_policy(name, KeyRotationPolicy(), expires_in="P90D", lifetime_actions=[action])
    assert (policy.expires_in, policy.id.endswith(f"/keys/{name}/rotationpolicy")) == ("P90D", True)
    assert [a.action for a in policy.lifetime_actions] == ["Rotate", "Notify"]
    assert keys.get_key_rotation_policy(name).updated_on == policy.updated_on
    rotated = keys.rotate_key(name)
    assert rotated.id != made.id and rotated.key.x != made.key.x and rotated.properties.tags == {"a": "b"}
    assert rotated.properties.expires_on - rotated.properties.created_on == datetime.timedelta(days=90)
    assert refusal(keys.update_key_rotation_policy, name, KeyRotationPolicy(), expires_in="P1D")[:2] == (400, "BadParameter")


@pytest.mark.parametrize("version", [v.value for v in ApiVersion])
def test_every_version_of_the_client_makes_and_reads_keys(vault_url, credential, new_name, version):
    with KeyClient(vault_url, credential, api_version=version) as client:
        made = client.create_ec_key(new_name())
        assert client.get_key(made.name).key.x == made.key.x


def test_random_bytes_and_hardware_types(keys, new_name):
    assert len(keys.get_random_bytes(count=128)) == 128
    assert refusal(keys.get_random_bytes, count=129)[:2] == (400, "BadParameter")
    for create in (keys.create_rsa_key, keys.create_ec_key, keys.create_oct_key):
        assert refusal(create, new_name(), hardware_protected=True)[:2] == (403, "Forbidden")
    assert refusal(keys.create_oct_key, new_name())[:3] == (400, "BadParameter", "KeyTypeNotSupported")
