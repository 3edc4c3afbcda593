"""Create with issuer Self: what is answered, and what is in the certificate (certificates.md, 8.1, 9, 10)."""

import datetime
from urllib.parse import parse_qs, urlsplit

import pytest
from azure.keyvault.certificates import CertificatePolicy, KeyType, KeyUsageType
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID, NameOID, ObjectIdentifier

from outside import assert_self_signed, spki
from policies import create, small

UPN = ObjectIdentifier("1.3.6.1.4.1.311.20.2.3")


def parsed(certificate):
    return x509.load_der_x509_certificate(bytes(certificate.cer))


def test_create_answer_is_an_operation_in_progress(certificates, name):
    seen = []
    poller = certificates.begin_create_certificate(
        name, small(), preserve_order=True, _polling_interval=0.2, raw_response_hook=lambda r: seen.append(r.http_response)
    )
    answer = seen[0]
    assert answer.status_code == 202
    assert answer.headers["Retry-After"] == "10"

    body = answer.json()
    assert body["status"] == "inProgress"
    assert body["status_details"]
    assert body["cancellation_requested"] is False
    assert body["preserveCertOrder"] is True
    assert body["issuer"] == {"name": "Self"}
    assert body["id"].endswith(f"/certificates/{name}/pending")
    assert len(body["request_id"]) == 32
    assert "error" not in body and "target" not in body

    location = urlsplit(answer.headers["Location"])
    assert location.path == f"/certificates/{name}/pending"
    assert parse_qs(location.query) == {"api-version": ["7.6"], "request_id": [body["request_id"]]}

    made = poller.result(timeout=60)
    assert made.properties.preserve_order is True
    done = certificates.get_certificate_operation(name)
    assert (done.status, done.request_id, done.error) == ("completed", body["request_id"], None)
    assert done.target.endswith(f"/certificates/{name}")


def test_request_is_signed_by_its_own_key(certificates, name):
    made = create(certificates, name, small(subject="CN=csr.example.net", san_dns_names=["csr.example.net"]))
    request = x509.load_der_x509_csr(bytes(certificates.get_certificate_operation(name).csr))
    assert request.is_signature_valid
    assert spki(request.public_key()) == spki(parsed(made).public_key())
    assert request.subject == parsed(made).subject
    # The order in which the service writes them (certificates.md, 10.1).
    assert [e.oid for e in request.extensions] == [
        ExtensionOID.KEY_USAGE,
        ExtensionOID.EXTENDED_KEY_USAGE,
        ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
        ExtensionOID.BASIC_CONSTRAINTS,
    ]


def test_bundle_of_a_new_certificate(certificates, name, vault_url):
    made = create(certificates, name, tags={"env": "prod"})
    base, version = vault_url.rstrip("/"), made.properties.version
    assert len(version) == 32 and set(version) <= set("0123456789abcdef")
    assert made.id == f"{base}/certificates/{name}/{version}"
    assert made.key_id == f"{base}/keys/{name}/{version}"
    assert made.secret_id == f"{base}/secrets/{name}/{version}"
    assert made.properties.tags == {"env": "prod"}
    assert made.properties.enabled is True
    assert made.properties.preserve_order is False
    assert made.properties.x509_thumbprint.hex() == parsed(made).fingerprint(hashes.SHA1()).hex()
    assert made.properties.not_before == parsed(made).not_valid_before_utc
    assert made.properties.expires_on == parsed(made).not_valid_after_utc
    assert made.properties.created_on == made.properties.updated_on
    assert made.properties.recovery_level.endswith("Recoverable+Purgeable")
    assert 7 <= made.properties.recoverable_days <= 90


KEYS = [
    ("RSA-2048", {"key_type": KeyType.rsa, "key_size": 2048}, rsa.RSAPublicKey, 2048),
    ("RSA-3072", {"key_type": KeyType.rsa, "key_size": 3072}, rsa.RSAPublicKey, 3072),
    ("P-256", {"key_type": KeyType.ec, "key_curve_name": "P-256"}, ec.SECP256R1, 256),
    ("P-384", {"key_type": KeyType.ec, "key_curve_name": "P-384"}, ec.SECP384R1, 384),
    ("P-521", {"key_type": KeyType.ec, "key_curve_name": "P-521"}, ec.SECP521R1, 521),
    ("P-256K", {"key_type": KeyType.ec, "key_curve_name": "P-256K"}, ec.SECP256K1, 256),
]


@pytest.mark.parametrize("fields,kind,size", [k[1:] for k in KEYS], ids=[k[0] for k in KEYS])
def test_key_types(certificates, keys, name, fields, kind, size):
    made = create(certificates, name, CertificatePolicy("Self", subject="CN=key.example.net", **fields))
    certificate = parsed(made)
    public = certificate.public_key()
    assert isinstance(public if kind is rsa.RSAPublicKey else public.curve, kind)
    assert public.key_size == size
    assert made.policy.key_size == size
    assert made.policy.key_curve_name == fields.get("key_curve_name")
    assert_self_signed(certificate)

    jwk = keys.get_key(name).key
    if kind is rsa.RSAPublicKey:
        numbers = public.public_numbers()
        assert (int.from_bytes(jwk.n, "big"), int.from_bytes(jwk.e, "big")) == (numbers.n, numbers.e)
    else:
        numbers, width = public.public_numbers(), (size + 7) // 8
        assert jwk.crv == fields["key_curve_name"]
        # RFC 7518, section 6.2.1.2: coordinates have the full width of the field.
        assert (jwk.x, jwk.y) == (numbers.x.to_bytes(width, "big"), numbers.y.to_bytes(width, "big"))
    assert not any(getattr(jwk, private) for private in ("d", "p", "q", "dp", "dq", "qi"))


def test_profile_of_a_self_signed_certificate(certificates, name):
    made = create(
        certificates,
        name,
        CertificatePolicy(
            "Self",
            subject="C=US, ST=WA, L=Redmond, O=Example, CN=profile.example.net",
            key_type="RSA",
            san_dns_names=["profile.example.net", "*.profile.example.net"],
            san_emails=["ana@example.net"],
            san_user_principal_names=["ana@corp.example.net"],
            enhanced_key_usage=["1.3.6.1.5.5.7.3.2", "1.3.6.1.5.5.7.3.4"],
            key_usage=[KeyUsageType.digital_signature, KeyUsageType.data_encipherment],
            validity_in_months=7,
        ),
    )
    certificate = parsed(made)
    assert certificate.version is x509.Version.v3
    assert 0 < certificate.serial_number < 1 << 128
    assert_self_signed(certificate)

    # The text is reversed on its way into DER (certificates.md, 10.3).
    assert [a.oid for a in certificate.subject] == [
        NameOID.COMMON_NAME,
        NameOID.ORGANIZATION_NAME,
        NameOID.LOCALITY_NAME,
        NameOID.STATE_OR_PROVINCE_NAME,
        NameOID.COUNTRY_NAME,
    ]

    find = certificate.extensions.get_extension_for_class
    sans = find(x509.SubjectAlternativeName).value
    assert sans.get_values_for_type(x509.DNSName) == ["profile.example.net", "*.profile.example.net"]
    assert sans.get_values_for_type(x509.RFC822Name) == ["ana@example.net"]
    (other,) = sans.get_values_for_type(x509.OtherName)
    # UTF8String: tag 12, length, text.
    assert (other.type_id, other.value) == (UPN, b"\x0c\x14ana@corp.example.net")
    assert list(find(x509.ExtendedKeyUsage).value) == [
        ExtendedKeyUsageOID.CLIENT_AUTH,
        ExtendedKeyUsageOID.EMAIL_PROTECTION,
    ]
    usage = find(x509.KeyUsage)
    assert usage.critical
    assert (usage.value.digital_signature, usage.value.data_encipherment) == (True, True)
    assert not (usage.value.key_encipherment or usage.value.key_cert_sign or usage.value.crl_sign)
    assert find(x509.BasicConstraints).value.ca is False
    assert (
        find(x509.AuthorityKeyIdentifier).value.key_identifier == find(x509.SubjectKeyIdentifier).value.key_identifier
    )

    # nbf is ten minutes before issuance; the second may turn in between.
    before = made.properties.created_on - certificate.not_valid_before_utc
    assert datetime.timedelta(seconds=600) <= before <= datetime.timedelta(seconds=601)
    months = (certificate.not_valid_after_utc.year - made.properties.created_on.year) * 12
    months += certificate.not_valid_after_utc.month - made.properties.created_on.month
    assert months == 7


def test_defaults_of_the_policy(certificates, name):
    made = create(certificates, name, CertificatePolicy.get_default())
    usage = parsed(made).extensions.get_extension_for_class(x509.KeyUsage).value
    assert (usage.digital_signature, usage.key_encipherment) == (True, True)
    ekus = parsed(made).extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(ekus) == [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    policy = made.policy
    assert (policy.key_type, policy.key_size, policy.key_curve_name) == ("RSA", 2048, None)
    assert (policy.exportable, policy.reuse_key) == (True, False)
    assert policy.content_type == "application/x-pkcs12"
    assert policy.validity_in_months == 12
    (action,) = policy.lifetime_actions
    assert (action.action, action.lifetime_percentage, action.days_before_expiry) == ("AutoRenew", 80, None)


def test_disabled_from_the_start(certificates, name):
    assert create(certificates, name, enabled=False).properties.enabled is False


def test_three_creates_give_three_versions(certificates, name):
    made = [create(certificates, name, tags={"round": str(i)}) for i in range(3)]
    versions = list(certificates.list_properties_of_certificate_versions(name))
    assert {v.version for v in versions} == {m.properties.version for m in made}
    assert len(versions) == len({v.x509_thumbprint for v in versions}) == 3
    assert certificates.get_certificate(name).id == made[-1].id
    for m in made:
        old = certificates.get_certificate_version(name, m.properties.version)
        assert (old.cer, old.properties.tags) == (m.cer, m.properties.tags)


@pytest.mark.parametrize("reuse", [True, False])
def test_next_version_keeps_its_key_if_the_policy_says_so(certificates, name, reuse):
    first, second = (parsed(create(certificates, name, small(reuse_key=reuse))) for _ in range(2))
    assert first.serial_number != second.serial_number
    assert (spki(first.public_key()) == spki(second.public_key())) is reuse


def test_issuer_name_without_regard_to_case(certificates, name):
    assert create(certificates, name, small("self")).policy.issuer_name == "self"
