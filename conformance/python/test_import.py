"""Import of PFX and PEM in the forms that people have (certificates.md, 8.2)."""

import base64

import pytest
from azure.core.exceptions import HttpResponseError
from azure.keyvault.certificates import CertificatePolicy
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID

import outside
from outside import DAY, der, spki
from policies import PEM, PFX, plain, small


def material(authority, key=None, **options):
    """A key, its leaf and the chain behind it."""
    key = key or outside.ec_key()
    return key, [authority.issue(key.public_key(), **options), *authority.chain]


def assert_holds(opened, key, chain):
    assert opened.certificates == chain
    assert spki(opened.key.public_key()) == spki(key.public_key())


@pytest.mark.parametrize("password", ["", "pässword 123"], ids=["empty", "password"])
@pytest.mark.parametrize("kind", outside.PFX_KINDS)
def test_pfx(certificates, secrets, authority, name, kind, password):
    key, chain = material(authority)
    data = outside.pfx(key, chain, password, kind)
    imported = certificates.import_certificate(name, data, password=password or None, tags={"kind": kind})
    assert bytes(imported.cer) == der(chain[0])
    assert imported.properties.tags == {"kind": kind}
    assert imported.policy.content_type == PFX
    secret = secrets.get_secret(name)
    assert secret.properties.content_type == PFX
    assert_holds(outside.open_pfx(secret.value), key, chain)


KEYS = {
    "RSA-2048": lambda: outside.rsa_key(2048),
    "RSA-4096": lambda: outside.rsa_key(4096),
    "P-384": lambda: outside.ec_key(ec.SECP384R1()),
    "P-521": lambda: outside.ec_key(ec.SECP521R1()),
    "P-256K": lambda: outside.ec_key(ec.SECP256K1()),
}


@pytest.mark.parametrize("form", ["pfx", "pem"])
@pytest.mark.parametrize("kind", KEYS)
def test_key_types(certificates, secrets, authority, name, kind, form):
    key, chain = material(authority, KEYS[kind]())
    if form == "pfx":
        imported = certificates.import_certificate(name, outside.pfx(key, chain))
        opened = outside.open_pfx(secrets.get_secret(name).value)
    else:
        data = outside.pkcs8(key) + b"".join(map(outside.pem, chain))
        imported = certificates.import_certificate(name, data, policy=CertificatePolicy(content_type=PEM))
        opened = outside.open_pem(secrets.get_secret(name).value)
    assert_holds(opened, key, chain)
    policy = imported.policy
    assert (policy.key_type, policy.key_size) == (kind.partition("-")[0].replace("P", "EC"), key.key_size)
    assert policy.key_curve_name == (kind if kind.startswith("P") else None)


def pem_forms(key, chain):
    private, public = outside.pkcs8(key), b"".join(map(outside.pem, chain))
    sec1 = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    return {
        "key first": (private + public, None),
        "key last": (public + private, None),
        "key in the middle": (outside.pem(chain[0]) + private + b"".join(map(outside.pem, chain[1:])), None),
        "CRLF": ((private + public).replace(b"\n", b"\r\n"), None),
        "EC PRIVATE KEY": (sec1 + public, None),
        "encrypted PKCS#8": (outside.pkcs8(key, "secret") + public, "secret"),
    }


@pytest.mark.parametrize(
    "form", ["key first", "key last", "key in the middle", "CRLF", "EC PRIVATE KEY", "encrypted PKCS#8"]
)
def test_pem(certificates, secrets, authority, name, form):
    key, chain = material(authority)
    data, password = pem_forms(key, chain)[form]
    imported = certificates.import_certificate(
        name, data, password=password, policy=CertificatePolicy(content_type=PEM)
    )
    assert imported.policy.content_type == PEM
    assert_holds(outside.open_pem(secrets.get_secret(name).value), key, chain)


def test_pem_without_a_policy(certificates, secrets, authority, name):
    key, chain = material(authority)
    imported = certificates.import_certificate(name, outside.pkcs8(key) + b"".join(map(outside.pem, chain)))
    assert imported.policy.content_type == PEM
    assert_holds(outside.open_pem(secrets.get_secret(name).value), key, chain)


def test_policy_is_derived_from_the_certificate(certificates, authority, name):
    usage = dict.fromkeys(
        "content_commitment data_encipherment key_agreement key_cert_sign crl_sign encipher_only decipher_only".split(),
        False,
    )
    key, chain = material(
        authority,
        cn="derived.example.net",
        extensions=[
            x509.SubjectAlternativeName([x509.DNSName("derived.example.net"), x509.RFC822Name("a@example.net")]),
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]),
            x509.KeyUsage(digital_signature=True, key_encipherment=True, **usage),
        ],
    )
    policy = certificates.import_certificate(name, outside.pfx(key, chain)).policy
    assert plain(policy) == {
        "issuer_name": "Unknown",
        "certificate_type": None,
        "certificate_transparency": None,
        "exportable": True,
        "key_type": "EC",
        "key_size": 256,
        "key_curve_name": "P-256",
        "reuse_key": False,
        "content_type": PFX,
        "subject": "CN=derived.example.net",
        "san_emails": ["a@example.net"],
        "san_dns_names": ["derived.example.net"],
        "san_user_principal_names": None,  # the client turns [] into None
        "enhanced_key_usage": ["1.3.6.1.5.5.7.3.1"],
        "key_usage": ["digitalSignature", "keyEncipherment"],
        "validity_in_months": 9,  # 266 days
        "lifetime_actions": [("EmailContacts", 80, None)],
    }


def test_disabled_from_the_start(certificates, authority, name):
    imported = certificates.import_certificate(name, outside.pfx(*material(authority)), enabled=False)
    assert imported.properties.enabled is False
    assert imported.key_id and imported.secret_id


def test_not_exportable(certificates, secrets, authority, name):
    key, chain = material(authority)
    locked = CertificatePolicy("Unknown", exportable=False, key_type="EC")
    imported = certificates.import_certificate(name, outside.pfx(key, chain), policy=locked)
    assert imported.policy.exportable is False
    opened = outside.open_pfx(secrets.get_secret(name).value)
    assert opened.key is None
    assert opened.certificates == chain


def test_import_adds_a_version(certificates, authority, name):
    ids = [certificates.import_certificate(name, outside.pfx(*material(authority))).id for _ in range(2)]
    versions = [v.id for v in certificates.list_properties_of_certificate_versions(name)]
    assert sorted(versions) == sorted(ids)
    assert certificates.get_certificate(name).id == ids[-1]


@pytest.mark.parametrize("preserve", [True, False])
def test_order_of_the_chain(certificates, secrets, authority, name, preserve):
    key, chain = material(authority)
    shuffled = [chain[2], chain[0], chain[1]]
    data = outside.pkcs8(key) + b"".join(map(outside.pem, shuffled))
    imported = certificates.import_certificate(name, data, preserve_order=preserve)
    assert imported.properties.preserve_order is preserve
    assert bytes(imported.cer) == der(chain[0])
    opened = outside.open_pem(secrets.get_secret(name).value)
    assert opened.certificates == (shuffled if preserve else chain)


@pytest.mark.parametrize("content_type", [PFX, PEM])
def test_value_of_the_secret_can_be_imported_again(certificates, secrets, authority, new_name, content_type):
    first, second = new_name(), new_name()
    key, chain = material(authority)
    data = outside.pfx(key, chain)
    if content_type == PEM:
        data = outside.pkcs8(key) + b"".join(map(outside.pem, chain))
    imported = certificates.import_certificate(first, data, policy=CertificatePolicy(content_type=content_type))
    value = secrets.get_secret(first).value
    again = base64.b64decode(value) if content_type == PFX else value.encode()
    copied = certificates.import_certificate(second, again, policy=CertificatePolicy(content_type=content_type))
    assert copied.cer == imported.cer


def refusals(authority):
    key, chain = material(authority)
    leaf_pem, other = outside.pem(chain[0]), outside.ec_key()
    expired = material(authority, start=-9 * DAY, end=-DAY)
    as_pem = CertificatePolicy(content_type=PEM)
    return {
        "wrong password": (outside.pfx(key, chain, "right"), {"password": "wrong"}, "PKCS#12"),
        "no password": (outside.pfx(key, chain, "right"), {}, "PKCS#12"),
        "random bytes": (b"\x30\x82\x01\x00" + bytes(60), {}, "PKCS#12"),
        "truncated": (outside.pfx(key, chain)[:-40], {}, "PKCS#12"),
        "PEM without key": (leaf_pem, {"policy": as_pem}, "rivate key is not specified"),
        "PEM without certificate": (outside.pkcs8(key), {"policy": as_pem}, "PEM"),
        "key of another": (outside.pkcs8(other) + leaf_pem, {"policy": as_pem}, "does not match"),
        "expired": (outside.pfx(*expired), {}, "expired"),
        "RSA policy, EC key": (outside.pfx(key, chain), {"policy": CertificatePolicy(key_type="RSA")}, "policy"),
        "RSA of 1024 bits": (outside.pfx(*material(authority, outside.rsa_key(1024))), {}, ""),
    }


@pytest.mark.parametrize(
    "what",
    [
        "wrong password",
        "no password",
        "random bytes",
        "truncated",
        "PEM without key",
        "PEM without certificate",
        "key of another",
        "expired",
        "RSA policy, EC key",
        "RSA of 1024 bits",
    ],
)
def test_refused(certificates, authority, name, what):
    data, options, text = refusals(authority)[what]
    with pytest.raises(HttpResponseError) as refused:
        certificates.import_certificate(name, data, **options)
    assert (refused.value.status_code, refused.value.error.code) == (400, "BadParameter")
    assert text in refused.value.message
    for password in ("right", "wrong"):
        assert f"'{password}'" not in refused.value.message


def test_import_while_an_operation_waits_is_409(certificates, authority, name):
    certificates.begin_create_certificate(name, small("Unknown")).wait()
    with pytest.raises(HttpResponseError) as refused:
        certificates.import_certificate(name, outside.pfx(*material(authority)))
    assert (refused.value.status_code, refused.value.error.code) == (409, "Conflict")
