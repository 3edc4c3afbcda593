"""Who may come in: every credential that takes its all from the environment, and those turned away."""

import os
import time

import pytest
from azure.core.credentials import AccessToken
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError
from azure.identity import (
    ClientSecretCredential,
    DefaultAzureCredential,
    EnvironmentCredential,
    ManagedIdentityCredential,
)
from azure.keyvault.certificates import CertificateClient
from azure.keyvault.keys import KeyClient
from azure.keyvault.secrets import SecretClient

from policies import create, small


class Token:
    """A credential that hands out one fixed token."""

    def __init__(self, token):
        self._token = AccessToken(token, int(time.time()) + 3600)

    def get_token(self, *scopes, **options):
        return self._token


@pytest.mark.parametrize("kind", [DefaultAzureCredential, EnvironmentCredential, ManagedIdentityCredential])
def test_credential_with_only_the_environment_set(vault_url, kind):
    with kind() as credential, CertificateClient(vault_url, credential) as client:
        next(client.list_properties_of_certificates().by_page())


def test_default_credential_finds_the_managed_identity(vault_url, monkeypatch):
    for variable in ("AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET"):
        monkeypatch.delenv(variable)
    monkeypatch.setenv("AZURE_TOKEN_CREDENTIALS", "ManagedIdentityCredential")
    with DefaultAzureCredential() as credential, SecretClient(vault_url, credential) as client:
        next(client.list_properties_of_secrets().by_page())


def test_wrong_client_secret_gets_no_token(vault_url):
    with ClientSecretCredential(
        os.environ["AZURE_TENANT_ID"], os.environ["AZURE_CLIENT_ID"], "not-the-secret"
    ) as credential:
        with CertificateClient(vault_url, credential) as client, pytest.raises(ClientAuthenticationError) as refused:
            client.get_certificate("any")
    assert "not-the-secret" not in str(refused.value)


@pytest.mark.parametrize(
    "token",
    [
        "garbage",
        "a.b.c",
        # {"alg":"none"} with an empty signature
        "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.",
    ],
)
def test_garbage_token_is_401(vault_url, token):
    with CertificateClient(vault_url, Token(token)) as client, pytest.raises(HttpResponseError) as refused:
        client.get_certificate("any")
    assert refused.value.status_code == 401
    assert refused.value.error.code == "Unauthorized"
    assert refused.value.response.headers["WWW-Authenticate"].startswith("Bearer authorization=")


def test_altered_token_is_401(vault_url, credential):
    scope = "https://" + vault_url.removeprefix("https://").partition(".")[2].rstrip("/") + "/.default"
    head, _, signature = credential.get_token(scope).token.rpartition(".")
    altered = head + "." + signature[:9] + ("A" if signature[9] != "A" else "B") + signature[10:]
    with CertificateClient(vault_url, Token(altered)) as client, pytest.raises(HttpResponseError) as refused:
        client.get_certificate("any")
    assert refused.value.status_code == 401


def test_limited_identity_may_list(limited):
    list(limited.list_properties_of_certificates())


def test_limited_identity_is_refused_all_else(vault_url, limited, certificates, name):
    create(certificates, name)
    attempts = {
        "get": lambda: limited.get_certificate(name),
        "get a missing one": lambda: limited.get_certificate(name + "-missing"),
        "create": lambda: limited.begin_create_certificate(name, small()),
        "import": lambda: limited.import_certificate(name, b"anything"),
        "update": lambda: limited.update_certificate_properties(name, enabled=False),
        "delete": lambda: limited.begin_delete_certificate(name),
        "purge": lambda: limited.purge_deleted_certificate(name),
        "backup": lambda: limited.backup_certificate(name),
        "policy": lambda: limited.get_certificate_policy(name),
        "contacts": limited.get_contacts,
        "issuers": lambda: list(limited.list_properties_of_issuers()),
    }
    for what, attempt in attempts.items():
        with pytest.raises(HttpResponseError) as refused:
            attempt()
        assert (what, refused.value.status_code) == (what, 403)
        assert refused.value.error.code == "Forbidden"
        assert refused.value.error.innererror["code"] in ("ForbiddenByPolicy", "ForbiddenByRbac"), what
    assert certificates.get_certificate(name).properties.enabled is True


def test_permission_on_certificates_is_none_on_keys_and_secrets(vault_url):
    with ClientSecretCredential(
        os.environ["AZURE_TENANT_ID"], os.environ["LIMITED_CLIENT_ID"], os.environ["LIMITED_CLIENT_SECRET"]
    ) as credential:
        with SecretClient(vault_url, credential) as secrets, pytest.raises(HttpResponseError) as refused:
            next(secrets.list_properties_of_secrets())
        assert refused.value.status_code == 403
        with KeyClient(vault_url, credential) as keys, pytest.raises(HttpResponseError) as refused:
            next(keys.list_properties_of_keys())
        assert refused.value.status_code == 403
