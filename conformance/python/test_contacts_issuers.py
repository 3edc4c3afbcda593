"""Contacts and issuers of the vault (certificates.md, 8.13, 8.14, 16.2 rows 9 and 10)."""

import pytest
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.core.rest import HttpRequest
from azure.keyvault.certificates import AdministratorContact, CertificateContact

from policies import small


def plain(contacts):
    return [(c.email, c.name, c.phone) for c in contacts]


@pytest.fixture
def no_contacts(certificates):
    """The list belongs to the whole vault; the suites run one after the other."""

    def clear():
        try:
            certificates.delete_contacts()
        except ResourceNotFoundError:
            pass

    clear()
    yield
    clear()


def test_contacts(certificates, no_contacts):
    with pytest.raises(ResourceNotFoundError) as missing:
        certificates.get_contacts()
    assert missing.value.error.code == "ContactsNotFound"

    sent = [
        CertificateContact(email="z@example.net", name="Zoe", phone="1111111111"),
        CertificateContact(email="a@example.net", name="Ana", phone="2222222222"),
        CertificateContact(email="only@example.net"),
    ]
    assert plain(certificates.set_contacts(sent)) == plain(sent)
    assert plain(certificates.get_contacts()) == plain(sent)
    assert plain(certificates.set_contacts(sent[1:2])) == plain(sent[1:2])
    assert plain(certificates.get_contacts()) == plain(sent[1:2])
    assert plain(certificates.delete_contacts()) == plain(sent[1:2])
    for attempt in (certificates.get_contacts, certificates.delete_contacts):
        with pytest.raises(ResourceNotFoundError):
            attempt()


def whole(issuer):
    admins = [(a.first_name, a.last_name, a.email, a.phone) for a in issuer.admin_contacts or []]
    fields = "id name provider enabled created_on updated_on account_id password organization_id".split()
    return {"admin_contacts": admins, **{field: getattr(issuer, field) for field in fields}}


@pytest.fixture
def issuer_name(certificates, new_name):
    name = new_name()
    yield name
    try:
        certificates.delete_issuer(name)
    except ResourceNotFoundError:
        pass


def test_issuer(certificates, issuer_name):
    with pytest.raises(ResourceNotFoundError) as missing:
        certificates.get_issuer(issuer_name)
    assert missing.value.error.code == "CertificateIssuerNotFound"

    made = certificates.create_issuer(
        issuer_name,
        "Test",
        account_id="keyvaultuser",
        password="pass-of-the-account",
        organization_id="corp",
        admin_contacts=[
            AdministratorContact("John", "Doe", "admin@example.net", "4255555555"),
            AdministratorContact("Jane", "Roe", "second@example.net", "4255550100"),
        ],
    )
    assert (made.name, made.provider, made.account_id, made.organization_id, made.enabled) == (
        issuer_name,
        "Test",
        "keyvaultuser",
        "corp",
        True,
    )
    assert [a.email for a in made.admin_contacts] == ["admin@example.net", "second@example.net"]
    assert made.password is None
    assert whole(certificates.get_issuer(issuer_name)) == whole(made)
    (listed,) = [i for i in certificates.list_properties_of_issuers() if i.name == issuer_name]
    assert (listed.id, listed.provider) == (made.id, "Test")

    updated = certificates.update_issuer(
        issuer_name, enabled=False, admin_contacts=[AdministratorContact("Jill", "Poe", "third@example.net", "1")]
    )
    assert (updated.enabled, updated.provider, updated.account_id) == (False, "Test", "keyvaultuser")
    assert [a.email for a in updated.admin_contacts] == ["third@example.net"]
    assert updated.created_on == made.created_on
    assert whole(certificates.get_issuer(issuer_name)) == whole(updated)

    assert whole(certificates.delete_issuer(issuer_name)) == whole(updated)
    for attempt in (certificates.get_issuer, certificates.delete_issuer, certificates.update_issuer):
        with pytest.raises(ResourceNotFoundError) as missing:
            attempt(issuer_name)
        assert missing.value.error.code == "CertificateIssuerNotFound"


def test_password_of_an_issuer_never_comes_back(certificates, issuer_name):
    secret, answers = "never-to-be-seen-again", []

    def hook(response):
        answers.append(response.http_response.text())

    certificates.create_issuer(issuer_name, "Test", account_id="a", password=secret, raw_response_hook=hook)
    certificates.update_issuer(issuer_name, password=secret + "2", raw_response_hook=hook)
    certificates.get_issuer(issuer_name, raw_response_hook=hook)
    certificates.delete_issuer(issuer_name, raw_response_hook=hook)
    assert len(answers) == 4
    assert all(secret not in answer for answer in answers)


def test_issuer_without_details(certificates, issuer_name):
    certificates.create_issuer(issuer_name, "Test")
    body = certificates.send_request(HttpRequest("GET", f"/certificates/issuers/{issuer_name}")).json()
    assert body["provider"] == "Test"
    assert body["org_details"]["zip"] == 0
    assert set(body["attributes"]) == {"enabled", "created", "updated"}


def test_second_set_replaces_the_issuer(certificates, issuer_name):
    first = certificates.create_issuer(issuer_name, "Test", account_id="a", organization_id="o")
    second = certificates.create_issuer(issuer_name, "Other")
    assert (second.provider, second.account_id, second.organization_id) == ("Other", None, None)
    assert second.created_on == first.created_on


@pytest.mark.parametrize("reserved", ["Self", "Unknown", "self"])
def test_built_in_issuers_cannot_be_set(certificates, reserved):
    with pytest.raises(HttpResponseError) as refused:
        certificates.create_issuer(reserved, "Test")
    assert refused.value.status_code == 400


def test_create_with_an_issuer_that_is_not_there_is_404(certificates, name):
    with pytest.raises(ResourceNotFoundError) as missing:
        certificates.begin_create_certificate(name, small("no-such-issuer"))
    assert missing.value.error.code == "CertificateIssuerNotFound"
    with pytest.raises(ResourceNotFoundError):
        certificates.get_certificate(name)


def test_create_with_a_provider_that_is_not_there_fails(certificates, issuer_name, name):
    """The operation fails, and the placeholder stays (certificates.md, 9, 11).

    It is read as JSON, for no version of the client up to 4.10 can read a failed
    operation: it takes for granted that every error has an inner error.
    """
    certificates.create_issuer(issuer_name, "NoSuchProvider")
    poller = certificates.begin_create_certificate(name, small(issuer_name), _polling_interval=0.2)
    with pytest.raises(AttributeError, match="has no attribute 'code'"):
        poller.result(timeout=60)
    operation = certificates.send_request(HttpRequest("GET", f"/certificates/{name}/pending")).json()
    assert operation["status"] == "failed"
    assert operation["error"]["code"] == "Certificate issuer error"
    assert "NoSuchProvider" in operation["error"]["message"]
    assert certificates.get_certificate(name).properties.enabled is False
