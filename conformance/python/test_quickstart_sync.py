"""The quick start of azure-keyvault-certificates 4.10, as its README and samples walk it."""

import os
import uuid

import pytest
from azure.core.exceptions import ResourceNotFoundError
from azure.identity import DefaultAzureCredential
from azure.keyvault.certificates import CertificateClient, CertificatePolicy


def test_quick_start():
    name = "quick-" + uuid.uuid4().hex[:20]
    credential = DefaultAzureCredential()
    client = CertificateClient(vault_url=os.environ["VAULT_URL"], credential=credential)

    # Create a certificate
    poller = client.begin_create_certificate(certificate_name=name, policy=CertificatePolicy.get_default())
    created = poller.result()
    assert created.name == name
    assert poller.status() == "completed"
    assert client.get_certificate_operation(name).status == "completed"

    # Retrieve a certificate
    certificate = client.get_certificate(name)
    assert certificate.name == name
    assert certificate.properties.version == created.properties.version
    assert certificate.policy.issuer_name == "Self"

    version = client.get_certificate_version(certificate_name=name, version=certificate.properties.version)
    assert version.name == name
    assert version.properties.version == certificate.properties.version
    assert version.policy is None
    assert version.cer == certificate.cer

    # Update properties of an existing certificate
    updated = client.update_certificate_properties(certificate_name=name, enabled=False)
    assert updated.name == name
    assert updated.properties.enabled is False

    # List properties of certificates
    assert name in [c.name for c in client.list_properties_of_certificates()]

    # Delete a certificate
    deleting = client.begin_delete_certificate(name)
    deleted = deleting.result()
    assert deleted.name == name
    assert deleted.deleted_on is not None
    deleting.wait()
    assert name not in [c.name for c in client.list_properties_of_certificates()]

    client.purge_deleted_certificate(name)
    with pytest.raises(ResourceNotFoundError):
        client.get_deleted_certificate(name)

    # Troubleshooting
    with pytest.raises(ResourceNotFoundError) as missing:
        client.get_certificate("which-does-not-exist")
    assert "was not found in this key vault" in missing.value.message

    client.close()
    credential.close()
