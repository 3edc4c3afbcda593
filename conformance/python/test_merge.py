"""Issuer Unknown: the vault makes the request, a CA outside signs it, the client merges (certificates.md, 8.7, 11)."""

import datetime

import pytest
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.keyvault.certificates import CertificateOperation
from cryptography import x509

import outside
from outside import DAY, der, spki
from policies import PEM, begin_unknown, create


def test_create_and_merge_with_the_chain(certificates, secrets, keys, authority, name):
    operation = begin_unknown(
        certificates, name, content_type=PEM, san_dns_names=["shop.example.net"], certificate_transparency=False
    )
    assert isinstance(operation, CertificateOperation)
    assert operation.issuer_name == "Unknown"
    assert "Merge" in operation.status_details

    placeholder = certificates.get_certificate(name)
    assert placeholder.properties.enabled is False
    assert (placeholder.cer, placeholder.key_id, placeholder.secret_id) == (None, None, None)
    properties = placeholder.properties
    assert properties.created_on - properties.not_before == datetime.timedelta(minutes=10)
    assert properties.expires_on - properties.created_on > 364 * DAY

    leaf = authority.sign_request(operation.csr)
    seen = []
    merged = certificates.merge_certificate(
        name,
        [der(c) for c in [leaf, *authority.chain]],
        tags={"ca": "outside"},
        raw_response_hook=lambda r: seen.append(r.http_response),
    )
    assert seen[0].status_code == 201
    assert f"/certificates/{name}?api-version=" in seen[0].headers["Location"]
    assert bytes(merged.cer) == der(leaf)
    assert merged.policy.issuer_name == "Unknown"
    assert merged.policy.certificate_transparency is False
    assert merged.properties.enabled is True
    assert merged.properties.tags == {"ca": "outside"}
    assert merged.properties.version != placeholder.properties.version
    assert (merged.properties.not_before, merged.properties.expires_on) == (
        leaf.not_valid_before_utc,
        leaf.not_valid_after_utc,
    )

    done = certificates.get_certificate_operation(name)
    assert (done.status, done.request_id) == ("completed", operation.request_id)
    assert certificates.get_certificate(name).id == merged.id

    opened = outside.open_pem(secrets.get_secret(name).value)
    assert opened.certificates == [leaf, *authority.chain]
    assert spki(opened.key.public_key()) == spki(leaf.public_key())
    assert keys.get_key(name).key.x == leaf.public_key().public_numbers().x.to_bytes(32, "big")


@pytest.mark.parametrize("curve", ["P-384", "P-521", "P-256K"])
def test_request_of_every_curve_can_be_signed_and_merged(certificates, secrets, authority, name, curve):
    operation = begin_unknown(certificates, name, key_curve_name=curve)
    leaf = authority.sign_request(operation.csr)
    merged = certificates.merge_certificate(name, [der(leaf)])
    assert bytes(merged.cer) == der(leaf)
    opened = outside.open_pfx(secrets.get_secret(name).value)
    assert spki(opened.key.public_key()) == spki(leaf.public_key())


def bundles(authority, leaf):
    chain = [leaf, *authority.chain]
    return {
        "leaf only": ([der(leaf)], [leaf]),
        "leaf last": ([der(c) for c in reversed(chain)], chain),
        "PKCS#7": ([outside.p7b(chain)], chain),
        "PFX without a key": ([certificates_pfx(chain)], chain),
        "PFX with another's key": ([outside.pfx(*with_key(authority, chain))], None),
    }


def certificates_pfx(chain):
    return outside.openssl(
        "pkcs12", "-export", "-nokeys", "-passout", "pass:", data=b"".join(map(outside.pem, chain))
    )


def with_key(authority, chain):
    key = outside.ec_key()
    return key, [authority.issue(key.public_key()), *chain]


@pytest.mark.parametrize("kind", ["leaf only", "leaf last", "PKCS#7", "PFX without a key", "PFX with another's key"])
def test_forms_of_the_merged_certificates(certificates, secrets, authority, name, kind):
    leaf = authority.sign_request(begin_unknown(certificates, name).csr)
    sent, kept = bundles(authority, leaf)[kind]
    merged = certificates.merge_certificate(name, sent)
    assert bytes(merged.cer) == der(leaf)
    opened = outside.open_pfx(secrets.get_secret(name).value)
    assert opened.leaf == leaf
    assert spki(opened.key.public_key()) == spki(leaf.public_key())
    if kept:
        assert opened.certificates == kept


def test_leaf_needs_nothing_but_the_key(certificates, authority, name):
    """Neither subject nor dates are compared with the request (certificates.md, 8.7, rule 4)."""
    request = x509.load_der_x509_csr(bytes(begin_unknown(certificates, name).csr))
    leaf = authority.issue(request.public_key(), cn="of the CA's choosing", start=30 * DAY, end=3650 * DAY)
    merged = certificates.merge_certificate(name, [der(leaf)])
    assert merged.properties.not_before - outside.now() > datetime.timedelta(days=29)
    assert merged.policy.subject == "CN=small.example.net"


def test_leaf_of_another_key_is_refused(certificates, authority, name):
    operation = begin_unknown(certificates, name)
    unrelated = authority.issue(outside.ec_key().public_key())
    with pytest.raises(HttpResponseError) as refused:
        certificates.merge_certificate(name, [der(unrelated)])
    assert (refused.value.status_code, refused.value.error.code) == (400, "BadParameter")
    assert "does not match the public part of the specified private key" in refused.value.message
    # The operation still waits, for the same key.
    waiting = certificates.get_certificate_operation(name)
    assert (waiting.status, waiting.csr) == ("inProgress", operation.csr)
    certificates.merge_certificate(name, [der(authority.sign_request(operation.csr))])


@pytest.mark.parametrize("rubbish", [[], [b"not a certificate"], [b""]])
def test_rubbish_is_refused(certificates, name, rubbish):
    begin_unknown(certificates, name)
    with pytest.raises(HttpResponseError) as refused:
        certificates.merge_certificate(name, rubbish)
    assert (refused.value.status_code, refused.value.error.code) == (400, "BadParameter")


def test_expired_leaf_is_refused(certificates, authority, name):
    request = x509.load_der_x509_csr(bytes(begin_unknown(certificates, name).csr))
    with pytest.raises(HttpResponseError) as refused:
        certificates.merge_certificate(name, [der(authority.issue(request.public_key(), start=-9 * DAY, end=-DAY))])
    assert refused.value.status_code == 400
    assert "expired" in refused.value.message


def test_merge_without_an_operation_is_404(certificates, authority, name):
    with pytest.raises(ResourceNotFoundError) as missing:
        certificates.merge_certificate(name, [der(authority.issue(outside.ec_key().public_key()))])
    assert missing.value.error.code == "PendingCertificateNotFound"


def test_merge_after_completion_is_403(certificates, name):
    made = create(certificates, name)
    with pytest.raises(HttpResponseError) as refused:
        certificates.merge_certificate(name, [bytes(made.cer)])
    assert (refused.value.status_code, refused.value.error.code) == (403, "Forbidden")


def test_next_version_by_merge_leaves_the_current_one_alone(certificates, secrets, authority, name):
    first = create(certificates, name, tags={"kept": "yes"})
    operation = begin_unknown(certificates, name)
    between = certificates.get_certificate(name)
    assert (between.id, between.cer, between.properties.enabled) == (first.id, first.cer, True)
    assert secrets.get_secret(name).properties.version == first.properties.version

    merged = certificates.merge_certificate(name, [der(authority.sign_request(operation.csr))])
    versions = {v.version for v in certificates.list_properties_of_certificate_versions(name)}
    assert versions == {first.properties.version, merged.properties.version}
    assert certificates.get_certificate(name).id == merged.id
