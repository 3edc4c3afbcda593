"""Keys in the HSM of a premium vault (keys.md, 8.3 and 9.2; certificates.md, 5), judged by Python's cryptography."""

import hashlib
import hmac
import json
import os

import pytest
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.keyvault.certificates import CertificateClient
from azure.keyvault.keys import JsonWebKey, KeyClient
from azure.keyvault.keys.crypto import CryptographyClient, EncryptionAlgorithm, KeyWrapAlgorithm, SignatureAlgorithm
from azure.keyvault.secrets import SecretClient
from cryptography import x509
from cryptography.hazmat.primitives import hashes, keywrap, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.padding import PKCS7

import outside
import vaultkeys
from conftest import unused
from policies import begin_unknown, create, small
from servers import HOST, serve

PLAIN = b"attack at dawn"
CURVES = {
    "P-256": (ec.SECP256R1(), "ES256"),
    "P-384": (ec.SECP384R1(), "ES384"),
    "P-521": (ec.SECP521R1(), "ES512"),
    "P-256K": (ec.SECP256K1(), "ES256K"),
}


@pytest.fixture(scope="module")
def premium_url():
    return os.environ["PREMIUM_VAULT_URL"]


@pytest.fixture(scope="module")
def keys(premium_url, credential):
    with KeyClient(premium_url, credential) as c:
        yield c


@pytest.fixture(scope="module")
def certificates(premium_url, credential):
    with CertificateClient(premium_url, credential) as c:
        yield c


@pytest.fixture(scope="module")
def secrets(premium_url, credential):
    with SecretClient(premium_url, credential) as c:
        yield c


@pytest.fixture
def new_key_name(keys):
    yield from unused("py-hsm-", keys.begin_delete_key, keys.purge_deleted_key)


@pytest.fixture
def remote(limited_credential):
    """Opens a client that may use the key and not read it, so that it leaves everything to the vault.

    One that may read a symmetric key, of which the vault tells nothing, would do CBCPAD and A*KW by itself under a
    random key of its own.
    """
    opened = []

    def open_client(key):
        opened.append(CryptographyClient(key.id, limited_credential))
        return opened[-1]

    yield open_client
    for client in opened:
        client.close()


def number(octets):
    return int.from_bytes(octets, "big")


def octets(n):
    return n.to_bytes((n.bit_length() + 7) // 8, "big")


def public(made):
    jwk = made.key
    if jwk.kty == "RSA-HSM":
        return rsa.RSAPublicNumbers(number(jwk.e), number(jwk.n)).public_key()
    assert jwk.kty == "EC-HSM"
    return ec.EllipticCurvePublicNumbers(number(jwk.x), number(jwk.y), CURVES[jwk.crv][0]).public_key()


def assert_signs(client, key, algorithm):
    """The signature of the client verifies under a public key of cryptography's."""
    digest = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}[algorithm.rstrip("K")[-3:]]
    value = hashlib.new(digest.name, b"to be signed").digest()
    signature = client.sign(SignatureAlgorithm(algorithm), value).signature
    if algorithm.startswith("ES"):
        half = len(signature) // 2
        der = utils.encode_dss_signature(number(signature[:half]), number(signature[half:]))
        key.verify(der, value, ec.ECDSA(utils.Prehashed(digest)))
    else:
        pss = padding.PSS(padding.MGF1(digest), digest.digest_size)
        key.verify(signature, value, pss if algorithm.startswith("PS") else padding.PKCS1v15(), utils.Prehashed(digest))
    assert client.verify(SignatureAlgorithm(algorithm), value, signature).is_valid


def refusal(attempt, *args, **kwargs):
    with pytest.raises(HttpResponseError) as refused:
        attempt(*args, **kwargs)
    return refused.value.status_code, refused.value.error.code


@pytest.mark.parametrize("size", [2048, 3072, 4096])
def test_rsa_key_in_the_hsm_signs_and_decrypts(keys, remote, key_name, size):
    made = keys.create_rsa_key(key_name, size=size, hardware_protected=True)
    assert public(made).key_size == size
    assert made.properties.hsm_platform not in (None, "0")
    assert keys.get_key(key_name).key_type == "RSA-HSM"
    for algorithm in ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"):
        assert_signs(remote(made), public(made), algorithm)
    for algorithm, scheme in {
        "RSA1_5": padding.PKCS1v15(),
        "RSA-OAEP": padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA1(), None),
        "RSA-OAEP-256": padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None),
    }.items():
        sealed = public(made).encrypt(PLAIN, scheme)
        assert remote(made).decrypt(EncryptionAlgorithm(algorithm), sealed).plaintext == PLAIN
        wrapped = remote(made).wrap_key(KeyWrapAlgorithm(algorithm), PLAIN).encrypted_key
        assert remote(made).unwrap_key(KeyWrapAlgorithm(algorithm), wrapped).key == PLAIN
        broken = sealed[:-1] + bytes([sealed[-1] ^ 1])
        assert refusal(remote(made).decrypt, EncryptionAlgorithm(algorithm), broken) == (400, "BadParameter")


@pytest.mark.parametrize("curve", CURVES)
def test_ec_key_in_the_hsm_signs(keys, remote, key_name, curve):
    made = keys.create_ec_key(key_name, curve=curve, hardware_protected=True)
    assert_signs(remote(made), public(made), CURVES[curve][1])
    rotated = keys.rotate_key(key_name)
    assert rotated.key.kty == "EC-HSM" and rotated.key.x != made.key.x
    assert_signs(remote(rotated), public(rotated), CURVES[curve][1])
    assert_signs(remote(made), public(made), CURVES[curve][1])


def imported(keys, name, raw):
    """A symmetric key in the HSM of which the test knows the bytes."""
    made = keys.import_key(name, JsonWebKey(kty="oct-HSM", k=raw), hardware_protected=True)
    assert (made.key_type, made.key.k) == ("oct-HSM", None)
    return made


def cbc(raw, iv, plain):
    encryptor = Cipher(algorithms.AES(raw), modes.CBC(iv)).encryptor()
    return encryptor.update(plain) + encryptor.finalize()


@pytest.mark.parametrize("size", [128, 192, 256])
def test_symmetric_key_in_the_hsm_encrypts_as_others_do(keys, remote, key_name, size):
    raw, iv = os.urandom(size // 8), os.urandom(16)
    client = remote(imported(keys, key_name, raw))

    gcm = EncryptionAlgorithm(f"A{size}GCM")
    sealed = client.encrypt(gcm, PLAIN, additional_authenticated_data=b"aad")
    assert (len(sealed.iv), len(sealed.tag)) == (12, 16)
    assert AESGCM(raw).decrypt(sealed.iv, sealed.ciphertext + sealed.tag, b"aad") == PLAIN
    there = AESGCM(raw).encrypt(iv[:12], PLAIN, b"aad")
    given = {"iv": iv[:12], "authentication_tag": there[-16:]}
    opened = client.decrypt(gcm, there[:-16], additional_authenticated_data=b"aad", **given)
    assert opened.plaintext == PLAIN
    wrong = refusal(client.decrypt, gcm, there[:-16], additional_authenticated_data=b"other", **given)
    assert wrong == (400, "BadParameter")

    blocks, padder = bytes(range(32)), PKCS7(128).padder()
    padded = padder.update(PLAIN) + padder.finalize()
    for algorithm, plain, same in ((f"A{size}CBC", blocks, blocks), (f"A{size}CBCPAD", PLAIN, padded)):
        algorithm = EncryptionAlgorithm(algorithm)
        assert client.encrypt(algorithm, plain, iv=iv).ciphertext == cbc(raw, iv, same)
        assert client.decrypt(algorithm, cbc(raw, iv, same), iv=iv).plaintext == plain

    key = os.urandom(32)
    for algorithm in (f"A{size}KW", "CKM_AES_KEY_WRAP"):
        assert client.wrap_key(KeyWrapAlgorithm(algorithm), key).encrypted_key == keywrap.aes_key_wrap(raw, key)
        assert client.unwrap_key(KeyWrapAlgorithm(algorithm), keywrap.aes_key_wrap(raw, key)).key == key
    algorithm, wrapped = KeyWrapAlgorithm("CKM_AES_KEY_WRAP_PAD"), keywrap.aes_key_wrap_with_padding(raw, key[:21])
    assert client.wrap_key(algorithm, key[:21]).encrypted_key == wrapped
    assert client.unwrap_key(algorithm, wrapped).key == key[:21]
    assert refusal(client.unwrap_key, algorithm, wrapped[:-1] + bytes([wrapped[-1] ^ 1])) == (400, "BadParameter")


@pytest.mark.parametrize("size", [128, 192, 256])
def test_symmetric_key_is_made_in_the_hsm(keys, remote, key_name, size):
    made = keys.create_oct_key(key_name, size=size, hardware_protected=True)
    assert (made.key_type, made.key.k) == ("oct-HSM", None)
    sealed = remote(made).encrypt(EncryptionAlgorithm(f"A{size}GCM"), PLAIN)
    opened = remote(made).decrypt(
        sealed.algorithm, sealed.ciphertext, iv=sealed.iv, authentication_tag=sealed.tag
    )
    assert opened.plaintext == PLAIN
    wrapped = remote(made).wrap_key(KeyWrapAlgorithm(f"A{size}KW"), bytes(32)).encrypted_key
    assert remote(made).unwrap_key(KeyWrapAlgorithm(f"A{size}KW"), wrapped).key == bytes(32)


@pytest.mark.parametrize("bits", [256, 384, 512])
def test_symmetric_key_in_the_hsm_authenticates_as_others_do(keys, remote, key_name, bits):
    raw = os.urandom(bits // 8)
    jwk = JsonWebKey(kty="oct-HSM", k=raw, key_ops=["sign", "verify"])
    client = remote(keys.import_key(key_name, jwk, hardware_protected=True))
    algorithm, value = SignatureAlgorithm(f"HS{bits}"), hashlib.new(f"sha{bits}", b"to be signed").digest()
    code = client.sign(algorithm, value).signature
    assert code == hmac.digest(raw, value, f"sha{bits}")
    assert client.verify(algorithm, value, code).is_valid
    assert not client.verify(algorithm, value, code[::-1]).is_valid


def jwk_of(private):
    """A private key as clients import it into the HSM."""
    p = private.private_numbers()
    if isinstance(private, rsa.RSAPrivateKey):
        values = {"d": p.d, "p": p.p, "q": p.q, "dp": p.dmp1, "dq": p.dmq1, "qi": p.iqmp}
        values |= {"n": p.public_numbers.n, "e": p.public_numbers.e}
        return JsonWebKey(kty="RSA", **{member: octets(value) for member, value in values.items()})
    crv = next(crv for crv, (curve, _) in CURVES.items() if curve.name == private.curve.name)
    values = {"x": p.public_numbers.x, "y": p.public_numbers.y, "d": p.private_value}
    return JsonWebKey(kty="EC", crv=crv, **{member: octets(value) for member, value in values.items()})


def transfer(kek, plain):
    """What the tools of an HSM's maker make of a key that is to be brought along (keys.md, 9.2)."""
    aes = os.urandom(32)
    oaep = padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA1(), None)
    wrapped = public(kek).encrypt(aes, oaep) + keywrap.aes_key_wrap_with_padding(aes, plain)
    return json.dumps(
        {
            "schema_version": "1.0.0",
            "header": {"kid": kek.id, "alg": "dir", "enc": "CKM_RSA_AES_KEY_WRAP"},
            "ciphertext": outside.base64.urlsafe_b64encode(wrapped).rstrip(b"=").decode(),
            "generator": "conformance",
        }
    ).encode()


def pkcs8(private):
    return private.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


@pytest.mark.parametrize("kind", ["RSA", *CURVES])
def test_own_key_is_brought_into_the_hsm(keys, remote, new_key_name, kind):
    """In the clear, and wrapped for a key of the HSM."""
    private = outside.rsa_key() if kind == "RSA" else outside.ec_key(CURVES[kind][0])
    kek = keys.create_rsa_key(new_key_name(), hardware_protected=True, key_operations=["import"])
    kty, algorithm = ("RSA-HSM", "PS256") if kind == "RSA" else ("EC-HSM", CURVES[kind][1])
    crv = None if kind == "RSA" else kind
    for jwk in (jwk_of(private), JsonWebKey(kty=kty, crv=crv, t=transfer(kek, pkcs8(private)))):
        made = keys.import_key(new_key_name(), jwk, hardware_protected=True)
        assert public(made).public_numbers() == private.public_key().public_numbers()
        assert_signs(remote(made), private.public_key(), algorithm)


def test_own_symmetric_key_is_brought_into_the_hsm(keys, remote, new_key_name):
    raw = os.urandom(32)
    kek = keys.create_rsa_key(new_key_name(), hardware_protected=True, key_operations=["import"])
    made = keys.import_key(new_key_name(), JsonWebKey(kty="oct-HSM", t=transfer(kek, raw)), hardware_protected=True)
    wrapped = remote(made).wrap_key(KeyWrapAlgorithm.aes_256, PLAIN + b"16").encrypted_key
    assert keywrap.aes_key_unwrap(raw, wrapped) == PLAIN + b"16"
    another = keys.create_rsa_key(new_key_name(), hardware_protected=True, key_operations=["import"])
    header = json.loads(transfer(another, raw)) | {"ciphertext": json.loads(transfer(kek, raw))["ciphertext"]}
    for altered in (json.dumps(header).encode(), transfer(kek, raw)[:-1]):
        jwk = JsonWebKey(kty="oct-HSM", t=altered)
        assert refusal(keys.import_key, new_key_name(), jwk, hardware_protected=True) == (400, "BadParameter")


def test_key_in_the_hsm_is_deleted_recovered_and_purged_and_has_no_backup(keys, remote, key_name):
    made = keys.create_ec_key(key_name, hardware_protected=True)
    assert refusal(keys.backup_key, key_name)[0] == 400
    keys.begin_delete_key(key_name).wait()
    keys.begin_recover_deleted_key(key_name).wait()
    assert_signs(remote(made), public(made), "ES256")
    keys.begin_delete_key(key_name).wait()
    keys.purge_deleted_key(key_name)
    with pytest.raises(ResourceNotFoundError):
        keys.get_key(key_name)
    with pytest.raises(ResourceNotFoundError):
        remote(made).sign(SignatureAlgorithm.es256, bytes(32))


@pytest.mark.parametrize(
    "key_type,fields,kind,offered",
    [
        ("RSA-HSM", {"key_curve_name": None, "key_size": 2048}, vaultkeys.RSAKey, "RSA-PSS+SHA256"),
        ("EC-HSM", {}, vaultkeys.P256Key, "ECDSA+SHA256"),
    ],
)
def test_server_with_a_certificate_whose_key_is_in_the_hsm(
    certificates, secrets, credential, name, tmp_path, key_type, fields, kind, offered
):
    made = create(certificates, name, small(key_type=key_type, exportable=False, san_dns_names=[HOST], **fields))
    assert made.policy.key_type == key_type
    leaf = x509.load_der_x509_certificate(bytes(made.cer))
    outside.assert_self_signed(leaf)
    held = outside.open_pfx(secrets.get_secret(name).value)
    assert (held.key, held.certificates) == (None, [leaf])
    with CryptographyClient(made.key_id, credential) as client:
        serve(leaf, kind(client, leaf.public_key()), "tls1_3", offered, tmp_path)


def test_request_is_signed_in_the_hsm_and_merged(certificates, authority, keys, name):
    operation = begin_unknown(certificates, name, key_type="EC-HSM", exportable=False)
    leaf = authority.sign_request(operation.csr)
    merged = certificates.merge_certificate(name, [outside.der(leaf), outside.der(authority.intermediate)])
    assert bytes(merged.cer) == outside.der(leaf)
    key = keys.get_key(name)
    assert (key.key_type, key.id) == ("EC-HSM", merged.key_id)
    assert_signs(keys.get_cryptography_client(name), leaf.public_key(), "ES256")


def test_key_in_the_hsm_cannot_be_exportable(certificates, name):
    policy = small(key_type="RSA-HSM", key_curve_name=None, exportable=True)
    assert refusal(certificates.begin_create_certificate, name, policy) == (400, "BadParameter")
