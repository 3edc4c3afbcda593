"""What every answer has, and how bad requests are refused (certificates.md, 2, 3, 15)."""

import uuid

import pytest
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.core.rest import HttpRequest
from azure.keyvault.certificates import ApiVersion, CertificateClient

from policies import create


@pytest.fixture(scope="module")
def existing(certificates):
    name = "py-" + uuid.uuid4().hex[:20]
    yield create(certificates, name, tags={"env": "prod"})
    certificates.begin_delete_certificate(name).wait()
    certificates.purge_deleted_certificate(name)


def test_headers_of_every_answer(certificates, existing):
    for path, status in ((f"/certificates/{existing.name}", 200), ("/certificates/missing", 404)):
        answer = certificates.send_request(HttpRequest("GET", path))
        assert answer.status_code == status
        assert answer.headers["Cache-Control"] == "no-cache"
        assert answer.headers["Pragma"] == "no-cache"
        assert answer.headers["Expires"] == "-1"
        assert answer.headers["Content-Type"] == "application/json; charset=utf-8"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "max-age=31536000" in answer.headers["Strict-Transport-Security"]
        assert answer.headers["x-ms-keyvault-region"]
        assert answer.headers["x-ms-keyvault-service-version"]
        uuid.UUID(answer.headers["x-ms-request-id"])
        assert answer.headers["x-ms-client-request-id"] == answer.request.headers["x-ms-client-request-id"]


def test_get_by_version_names_subject_issuer_and_serial(certificates, existing):
    body = certificates.send_request(
        HttpRequest("GET", f"/certificates/{existing.name}/{existing.properties.version}")
    ).json()
    assert body["subject"] == body["issuer"] == "CN=small.example.net"
    assert body["serialnumber"] == body["serialnumber"].upper()
    int(body["serialnumber"], 16)


@pytest.mark.parametrize("version", list(ApiVersion))
def test_every_api_version_of_the_client(vault_url, credential, existing, version):
    with CertificateClient(vault_url, credential, api_version=version) as client:
        got = client.get_certificate(existing.name)
        assert got.cer == existing.cer
        assert got.policy.key_type == "EC"
        next(client.list_properties_of_certificates().by_page())
        body = client.send_request(HttpRequest("GET", f"/certificates/{existing.name}")).json()
    assert ("recoverableDays" in body["attributes"]) == (version not in ("2016-10-01", "7.0"))
    assert ("preserveCertOrder" in body) == (version == "7.6")


PATHS = ["/certificates/{n}", "/certificates/{n}/", "/Certificates/{n}", "//certificates//{n}", "/certificates/{N}"]


@pytest.mark.parametrize("path", PATHS)
def test_forms_of_a_path(certificates, existing, path):
    path = path.format(n=existing.name, N=existing.name.upper())
    answer = certificates.send_request(HttpRequest("GET", path))
    assert answer.status_code == 200
    assert answer.json()["id"] == existing.id


@pytest.mark.parametrize("name", ["under_score", "dot.dot", "blank%20blank", "n" * 128, "%2e%2e"])
def test_bad_name_is_400(certificates, name):
    answer = certificates.send_request(HttpRequest("GET", f"/certificates/{name}"))
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "BadParameter"


def test_longest_name(certificates):
    with pytest.raises(ResourceNotFoundError):
        certificates.get_certificate("n" * 127)


@pytest.mark.parametrize("version", ["1999-01-01", "7.6-previous", "9.9"])
def test_unknown_api_version_is_400(certificates, version):
    answer = certificates.send_request(HttpRequest("GET", f"/certificates?api-version={version}"))
    assert answer.status_code == 400
    assert f"The specified version ({version}) is not recognized" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b'"text"', b'{"policy":3}', b'{"policy":{"x509_props":"CN=x"}}', b"{}"],
    ids=lambda body: body.decode() or "nothing",
)
def test_bad_body_is_400(certificates, body):
    answer = certificates.send_request(
        HttpRequest(
            "POST", "/certificates/bad-body/create", content=body, headers={"Content-Type": "application/json"}
        )
    )
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "BadParameter"


def test_value_that_is_too_large_is_refused(certificates):
    answer = certificates.send_request(
        HttpRequest("POST", "/certificates/too-large/import", json={"value": "A" * 300_000})
    )
    assert answer.status_code in (400, 413)


def test_missing_version_is_404(certificates, existing):
    with pytest.raises(ResourceNotFoundError) as missing:
        certificates.get_certificate_version(existing.name, "0" * 32)
    assert missing.value.error.code == "CertificateNotFound"
    assert existing.name in missing.value.message


def test_error_of_a_missing_certificate(certificates):
    with pytest.raises(HttpResponseError) as missing:
        certificates.get_certificate("missing")
    assert missing.value.error.code == "CertificateNotFound"
    assert missing.value.message.startswith("(CertificateNotFound) A certificate with (name/id) missing was not found")
