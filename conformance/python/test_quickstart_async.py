"""The quick start of azure-keyvault-certificates 4.10 with its asynchronous clients."""

import asyncio
import os
import uuid

import pytest
from azure.core.exceptions import ResourceNotFoundError
from azure.identity.aio import DefaultAzureCredential
from azure.keyvault.certificates import CertificatePolicy
from azure.keyvault.certificates.aio import CertificateClient
from azure.keyvault.keys.aio import KeyClient
from azure.keyvault.secrets.aio import SecretClient

from policies import small

VAULT_URL = os.environ.get("VAULT_URL", "")


@pytest.mark.asyncio
async def test_quick_start():
    name = "quick-" + uuid.uuid4().hex[:20]
    credential = DefaultAzureCredential()
    client = CertificateClient(vault_url=VAULT_URL, credential=credential)

    # Create a certificate
    created = await client.create_certificate(certificate_name=name, policy=CertificatePolicy.get_default())
    assert created.name == name

    # Retrieve a certificate
    certificate = await client.get_certificate(name)
    assert certificate.properties.version == created.properties.version
    assert certificate.policy.issuer_name == "Self"
    version = await client.get_certificate_version(name, certificate.properties.version)
    assert version.cer == certificate.cer

    # Update properties of an existing certificate
    updated = await client.update_certificate_properties(name, enabled=False)
    assert updated.properties.enabled is False

    # List properties of certificates
    assert name in [c.name async for c in client.list_properties_of_certificates()]

    # Delete a certificate
    deleted = await client.delete_certificate(name)
    assert deleted.name == name
    assert deleted.deleted_on is not None
    assert (await client.get_deleted_certificate(name)).recovery_id == deleted.recovery_id

    recovered = await client.recover_deleted_certificate(name)
    assert recovered.id == created.id
    await client.delete_certificate(name)
    await client.purge_deleted_certificate(name)
    with pytest.raises(ResourceNotFoundError):
        await client.get_certificate(name)

    await client.close()
    await credential.close()


@pytest.mark.asyncio
async def test_clients_as_context_managers_share_a_credential():
    """All three clients at once, several requests in flight at a time."""
    names = ["quick-" + uuid.uuid4().hex[:20] for _ in range(4)]
    async with DefaultAzureCredential() as credential:
        async with (
            CertificateClient(VAULT_URL, credential) as certificates,
            SecretClient(VAULT_URL, credential) as secrets,
            KeyClient(VAULT_URL, credential) as keys,
        ):
            made = await asyncio.gather(
                *(certificates.create_certificate(n, small(), _polling_interval=0.2) for n in names)
            )
            for certificate in made:
                secret, key = await asyncio.gather(
                    secrets.get_secret(certificate.name), keys.get_key(certificate.name)
                )
                assert secret.properties.version == key.properties.version == certificate.properties.version
            await asyncio.gather(*(certificates.delete_certificate(n) for n in names))
            await asyncio.gather(*(certificates.purge_deleted_certificate(n) for n in names))
