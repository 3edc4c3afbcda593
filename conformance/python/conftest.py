"""What every test gets: the clients, an unused name, and the means to tidy up."""

import os
import uuid

import pytest
from azure.core.exceptions import ResourceNotFoundError
from azure.identity import ClientSecretCredential, DefaultAzureCredential
from azure.keyvault.certificates import CertificateClient
from azure.keyvault.keys import KeyClient
from azure.keyvault.secrets import SecretClient

import outside


@pytest.fixture(scope="session")
def vault_url():
    return os.environ["VAULT_URL"]


@pytest.fixture(scope="session")
def credential():
    with DefaultAzureCredential() as c:
        yield c


@pytest.fixture(scope="session")
def certificates(vault_url, credential):
    with CertificateClient(vault_url, credential) as c:
        yield c


@pytest.fixture(scope="session")
def secrets(vault_url, credential):
    with SecretClient(vault_url, credential) as c:
        yield c


@pytest.fixture(scope="session")
def keys(vault_url, credential):
    with KeyClient(vault_url, credential) as c:
        yield c


@pytest.fixture(scope="session")
def limited_credential():
    """An application that may list certificates and use keys, which it may not read, and nothing else."""
    with ClientSecretCredential(
        os.environ["AZURE_TENANT_ID"], os.environ["LIMITED_CLIENT_ID"], os.environ["LIMITED_CLIENT_SECRET"]
    ) as c:
        yield c


@pytest.fixture(scope="session")
def limited(vault_url, limited_credential):
    with CertificateClient(vault_url, limited_credential) as c:
        yield c


@pytest.fixture(scope="session")
def authority():
    """A CA that the vault knows nothing of: a root and an intermediate."""
    return outside.Authority()


def unused(prefix, delete, purge):
    """Hands out unused names; afterwards nothing of them is left in the vault."""
    given = []

    def new():
        given.append(prefix + uuid.uuid4().hex[:20])
        return given[-1]

    yield new
    for name in given:
        for tidy in (delete, purge):
            try:
                tidy(name)
            except ResourceNotFoundError:
                pass  # never made, or the test has seen to it


@pytest.fixture
def new_name(certificates):
    yield from unused("py-", certificates.begin_delete_certificate, certificates.purge_deleted_certificate)


@pytest.fixture
def new_key_name(keys):
    yield from unused("py-key-", keys.begin_delete_key, keys.purge_deleted_key)


@pytest.fixture
def name(new_name):
    return new_name()


@pytest.fixture
def key_name(new_key_name):
    return new_key_name()
