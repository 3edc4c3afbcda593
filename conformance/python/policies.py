"""Policies that the tests ask for, and the comparison of what comes back (certificates.md, 16.2, row 5)."""

from azure.keyvault.certificates import (
    CertificateContentType,
    CertificatePolicy,
    KeyCurveName,
    KeyType,
    KeyVaultCertificate,
)

# Every field of a policy that the client models.
FIELDS = (
    "issuer_name",
    "certificate_type",
    "certificate_transparency",
    "exportable",
    "key_type",
    "key_size",
    "key_curve_name",
    "reuse_key",
    "content_type",
    "subject",
    "san_emails",
    "san_dns_names",
    "san_user_principal_names",
    "enhanced_key_usage",
    "key_usage",
    "validity_in_months",
)

PFX, PEM = CertificateContentType.pkcs12, CertificateContentType.pem


def small(issuer="Self", subject="CN=small.example.net", **fields):
    """A policy with a key that is quick to make."""
    fields = {"key_type": KeyType.ec, "key_curve_name": KeyCurveName.p_256, **fields}
    return CertificatePolicy(issuer, subject=subject, **fields)


def plain(policy):
    """The policy as a dictionary that can be compared and printed."""
    fields = {f: getattr(policy, f) for f in FIELDS}
    fields["lifetime_actions"] = [
        (a.action, a.lifetime_percentage, a.days_before_expiry) for a in policy.lifetime_actions or []
    ]
    return fields


def create(client, name, policy=None, **options):
    """Creates a certificate and waits for it.

    The interval spares the five seconds that the client waits by default when the
    certificate is not ready at its first look.
    """
    poller = client.begin_create_certificate(name, policy or small(), _polling_interval=0.2, **options)
    made = poller.result(timeout=60)
    assert isinstance(made, KeyVaultCertificate), f"create ended with {made!r}"
    return made


def begin_unknown(client, name, **fields):
    """Creates with issuer Unknown and returns the operation, which waits for a merge.

    The client takes such a creation as finished at once, and its poller returns nothing.
    """
    client.begin_create_certificate(name, small("Unknown", **fields)).wait()
    operation = client.get_certificate_operation(name)
    assert operation.status == "inProgress"
    return operation
