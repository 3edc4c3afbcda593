"""The quick starts of the asynchronous clients of certificates, keys and secrets."""

import asyncio
import hashlib
import os
import uuid

import pytest
from azure.core.exceptions import ResourceNotFoundError
from azure.identity.aio import DefaultAzureCredential
from azure.keyvault.certificates import CertificatePolicy
from azure.keyvault.certificates.aio import CertificateClient
from azure.keyvault.keys.aio import KeyClient
from azure.keyvault.keys.crypto import EncryptionAlgorithm, SignatureAlgorithm
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


@pytest.mark.asyncio
async def test_quick_start_of_keys():
    name = "quick-" + uuid.uuid4().hex[:20]
    async with DefaultAzureCredential() as credential, KeyClient(VAULT_URL, credential) as client:
        created = await client.create_rsa_key(name, size=2048)
        assert (await client.get_key(name)).id == created.id
        updated = await client.update_key_properties(name, tags={"a": "b"})
        assert updated.properties.tags == {"a": "b"}
        cryptography = client.get_cryptography_client(name)  # shares the client's connection, and is closed with it
        sealed = await cryptography.encrypt(EncryptionAlgorithm.rsa_oaep_256, b"plaintext")
        opened = await cryptography.decrypt(sealed.algorithm, sealed.ciphertext)
        assert opened.plaintext == b"plaintext"
        digest = hashlib.sha256(b"plaintext").digest()
        signed = await cryptography.sign(SignatureAlgorithm.ps256, digest)
        assert (await cryptography.verify(signed.algorithm, digest, signed.signature)).is_valid
        rotated = await client.rotate_key(name)
        assert {v.version async for v in client.list_properties_of_key_versions(name)} == {
            created.properties.version,
            rotated.properties.version,
        }
        backup = await client.backup_key(name)
        deleted = await client.delete_key(name)
        assert deleted.recovery_id in [k.recovery_id async for k in client.list_deleted_keys()]
        assert (await client.recover_deleted_key(name)).id == rotated.id
        await client.delete_key(name)
        await client.purge_deleted_key(name)
        assert (await client.restore_key_backup(backup)).id == rotated.id
        await client.delete_key(name)
        await client.purge_deleted_key(name)


@pytest.mark.asyncio
async def test_quick_start_of_secrets():
    name = "quick-" + uuid.uuid4().hex[:20]
    async with DefaultAzureCredential() as credential, SecretClient(VAULT_URL, credential) as client:
        made = await client.set_secret(name, "value")
        assert (await client.get_secret(name)).value == "value"
        updated = await client.update_secret_properties(name, content_type="text/plain")
        assert updated.content_type == "text/plain"
        assert name in [s.name async for s in client.list_properties_of_secrets()]
        assert [v.version async for v in client.list_properties_of_secret_versions(name)] == [made.properties.version]
        backup = await client.backup_secret(name)
        deleted = await client.delete_secret(name)
        assert deleted.recovery_id in [s.recovery_id async for s in client.list_deleted_secrets()]
        assert (await client.recover_deleted_secret(name)).id == made.id
        await client.delete_secret(name)
        await client.purge_deleted_secret(name)
        assert (await client.restore_secret_backup(backup)).id == made.id
        await client.delete_secret(name)
        await client.purge_deleted_secret(name)
