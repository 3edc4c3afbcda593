"""The policy: every field round trip, replaced by create, merged by update (certificates.md, 6, 8.10, 16.2)."""

import pytest
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.core.rest import HttpRequest
from azure.keyvault.certificates import CertificatePolicy, LifetimeAction

from policies import begin_unknown, create, plain, small

FULL = {
    "RSA": CertificatePolicy(
        "Unknown",
        subject="CN=full.example.net, O=Example, C=DE",
        certificate_type="OV-SSL",
        certificate_transparency=False,
        exportable=True,
        key_type="RSA",
        key_size=3072,
        reuse_key=True,
        content_type="application/x-pem-file",
        san_emails=["a@example.net", "b@example.net"],
        san_dns_names=["full.example.net", "*.full.example.net"],
        san_user_principal_names=["u@corp.example.net"],
        enhanced_key_usage=["1.3.6.1.5.5.7.3.1", "1.3.6.1.4.1.311.20.2.2"],
        # In alphabetical order, which is how the service answers.
        key_usage=["cRLSign", "dataEncipherment", "digitalSignature", "keyAgreement", "keyCertSign", "nonRepudiation"],
        validity_in_months=24,
        lifetime_actions=[LifetimeAction("EmailContacts", days_before_expiry=60)],
    ),
    "EC": CertificatePolicy(
        "Unknown",
        subject="CN=full.example.net",
        certificate_transparency=True,
        exportable=False,
        key_type="EC",
        key_size=384,
        key_curve_name="P-384",
        reuse_key=False,
        content_type="application/x-pkcs12",
        enhanced_key_usage=["1.3.6.1.5.5.7.3.2"],
        key_usage=["digitalSignature"],
        validity_in_months=1,
        lifetime_actions=[LifetimeAction("AutoRenew", lifetime_percentage=50)],
    ),
    "P-256K": CertificatePolicy(
        "Unknown",
        subject="CN=full.example.net",
        exportable=True,
        key_type="EC",
        key_size=256,
        key_curve_name="P-256K",
        reuse_key=False,
        content_type="application/x-pkcs12",
        enhanced_key_usage=["1.3.6.1.5.5.7.3.2"],
        key_usage=["digitalSignature", "nonRepudiation"],
        validity_in_months=120,
        lifetime_actions=[LifetimeAction("AutoRenew", lifetime_percentage=99)],
    ),
}


@pytest.mark.parametrize("kind", FULL)
def test_create_keeps_every_field(certificates, name, kind):
    certificates.begin_create_certificate(name, FULL[kind]).wait()
    assert plain(certificates.get_certificate_policy(name)) == plain(FULL[kind])
    assert plain(certificates.get_certificate(name).policy) == plain(FULL[kind])


def test_update_sets_every_field(certificates, name):
    create(certificates, name)
    for policy in FULL.values():
        answer = certificates.update_certificate_policy(name, policy)
        # A list that is not sent stays as it was.
        for san in ("san_emails", "san_dns_names", "san_user_principal_names"):
            if not getattr(policy, san):
                setattr(policy, "_" + san, getattr(answer, san))
        assert plain(answer)["lifetime_actions"] == plain(policy)["lifetime_actions"]
        assert plain(certificates.get_certificate_policy(name)) == plain(answer)
        for field, sent in plain(policy).items():
            if sent is not None:
                assert (field, plain(answer)[field]) == (field, sent)


MERGES = {
    "subject": {"subject": "CN=other.example.net"},
    "validity_in_months": {"validity_in_months": 6},
    "key_usage": {"key_usage": ["keyAgreement"]},
    "enhanced_key_usage": {"enhanced_key_usage": ["1.3.6.1.5.5.7.3.3"]},
    "san_dns_names": {"san_dns_names": ["only.example.net"]},
    "content_type": {"content_type": "application/x-pkcs12"},
    "reuse_key": {"reuse_key": False, "exportable": True},
    "lifetime_actions": {"lifetime_actions": [LifetimeAction("AutoRenew", lifetime_percentage=90)]},
    "certificate_type": {"certificate_type": "EV-SSL"},
}


@pytest.mark.parametrize("what", MERGES)
def test_update_leaves_alone_what_is_not_sent(certificates, name, what):
    certificates.begin_create_certificate(name, FULL["RSA"]).wait()
    change = dict(MERGES[what])
    before = certificates.get_certificate_policy(name)
    after = certificates.update_certificate_policy(name, CertificatePolicy(**change))
    expected = plain(before) | {k: v for k, v in plain(CertificatePolicy(**change)).items() if v}
    expected |= {k: v for k, v in change.items() if v is False}
    assert plain(after) == expected
    assert plain(certificates.get_certificate(name).policy) == expected


def test_update_from_rsa_to_another_kind_of_key(certificates, name):
    """key_usage is not checked against the kind of key (certificates.md, 6.9)."""
    certificates.begin_create_certificate(
        name,
        CertificatePolicy("Unknown", subject="CN=x", key_type="RSA", key_usage=["dataEncipherment"]),
    ).wait()
    before = certificates.get_certificate_policy(name)
    change = CertificatePolicy(key_type="EC", key_curve_name="P-256K", key_size=256, exportable=True, reuse_key=False)
    after = certificates.update_certificate_policy(name, change)
    assert plain(after) == plain(before) | {"key_type": "EC", "key_curve_name": "P-256K", "key_size": 256}


def test_key_usage_is_answered_in_canonical_spelling_and_order(certificates, name):
    begin_unknown(certificates, name, key_usage=["nonRepudiation", "crlSign", "keyCertSign"])
    assert certificates.get_certificate_policy(name).key_usage == ["cRLSign", "keyCertSign", "nonRepudiation"]


def test_update_moves_updated_and_keeps_created(certificates, name):
    begin_unknown(certificates, name)
    before = certificates.get_certificate_policy(name)
    after = certificates.update_certificate_policy(name, CertificatePolicy(validity_in_months=3))
    assert after.created_on == before.created_on
    assert after.updated_on >= before.updated_on
    assert after.enabled is True


def test_next_create_with_a_policy_replaces_it(certificates, name):
    create(certificates, name, small(san_dns_names=["a.example.net"], validity_in_months=3, reuse_key=True))
    made = create(certificates, name, small(subject="CN=second.example.net"))
    assert made.policy.subject == "CN=second.example.net"
    assert (made.policy.san_dns_names, made.policy.validity_in_months, made.policy.reuse_key) == (None, 12, False)


def test_existing_version_is_untouched_by_update(certificates, secrets, name):
    made = create(certificates, name)
    certificates.update_certificate_policy(name, CertificatePolicy(exportable=False, key_type="EC"))
    certificates.update_certificate_policy(name, CertificatePolicy(content_type="application/x-pem-file"))
    assert certificates.get_certificate(name).cer == made.cer
    assert secrets.get_secret(name).properties.content_type == "application/x-pkcs12"


def test_default_action_follows_the_issuer(certificates, new_name):
    own, unknown = new_name(), new_name()
    create(certificates, own)
    begin_unknown(certificates, unknown)
    actions = [plain(certificates.get_certificate_policy(n))["lifetime_actions"] for n in (own, unknown)]
    assert actions == [[("AutoRenew", 80, None)], [("EmailContacts", 80, None)]]


def test_no_field_is_invented(certificates, name):
    create(certificates, name, CertificatePolicy("Self", subject="CN=bare.example.net", key_type="RSA"))
    body = certificates.send_request(HttpRequest("GET", f"/certificates/{name}/policy")).json()
    assert body["key_props"] == {"exportable": True, "kty": "RSA", "key_size": 2048, "reuse_key": False}
    assert body["issuer"] == {"name": "Self"}
    # The client sends an empty object, and gets it back (certificates.md, 6.4).
    assert body["x509_props"]["sans"] == {}
    assert body["x509_props"]["basic_constraints"] == {"ca": False}
    assert body["id"].endswith(f"/certificates/{name}/policy")


REFUSED = {
    "unknown key size": {"key_type": "RSA", "key_size": 1000, "key_curve_name": None},
    "curve and size at odds": {"key_curve_name": "P-256", "key_size": 384},
    "symmetric key": {"key_type": "oct", "key_curve_name": None},
    "exportable key of an HSM": {"key_type": "RSA-HSM", "exportable": True, "key_curve_name": None},
    "content type": {"content_type": "text/plain"},
    "key usage": {"key_usage": ["everything"]},
    "extended key usage": {"enhanced_key_usage": ["not.an.oid"]},
    "subject": {"subject": "no equals sign"},
    "subject of 201 characters": {"subject": "CN=" + "x" * 198},
    "validity": {"validity_in_months": -1},
    "two actions": {
        "lifetime_actions": [LifetimeAction("AutoRenew", 80), LifetimeAction("EmailContacts", days_before_expiry=9)]
    },
    "action with both triggers": {"lifetime_actions": [LifetimeAction("AutoRenew", 80, 9)]},
    "action with no trigger": {"lifetime_actions": [LifetimeAction("AutoRenew")]},
    "percentage of 100": {"lifetime_actions": [LifetimeAction("AutoRenew", 100)]},
    "too many days before expiry": {
        "lifetime_actions": [LifetimeAction("AutoRenew", days_before_expiry=28)],
        "validity_in_months": 1,
    },
}


@pytest.mark.parametrize("what", REFUSED)
def test_refused_at_create_and_at_update(certificates, name, what):
    fields = REFUSED[what]
    with pytest.raises(HttpResponseError) as refused:
        certificates.begin_create_certificate(name, small("Unknown", **fields))
    assert (refused.value.status_code, refused.value.error.code) == (400, "BadParameter")
    with pytest.raises(ResourceNotFoundError):
        certificates.get_certificate(name)

    begin_unknown(certificates, name)
    before = plain(certificates.get_certificate_policy(name))
    with pytest.raises(HttpResponseError) as refused:
        certificates.update_certificate_policy(name, small("Unknown", **fields))
    assert (refused.value.status_code, refused.value.error.code) == (400, "BadParameter")
    assert plain(certificates.get_certificate_policy(name)) == before


def test_policy_of_an_unknown_name_is_404(certificates, name):
    for attempt in (
        lambda: certificates.get_certificate_policy(name),
        lambda: certificates.update_certificate_policy(name, CertificatePolicy(validity_in_months=1)),
    ):
        with pytest.raises(ResourceNotFoundError) as missing:
            attempt()
        assert missing.value.error.code == "CertificateNotFound"
