"""Update of a version: enabled and tags, mirrored to the key and the secret (certificates.md, 7.1, 8.6, 13.1)."""

import pytest
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.core.rest import HttpRequest

from policies import begin_unknown, create


def test_tags_are_replaced_kept_and_cleared(certificates, name):
    create(certificates, name, tags={"a": "1", "b": "2"})
    update = certificates.update_certificate_properties
    assert update(name, tags={"c": "3"}).properties.tags == {"c": "3"}
    assert update(name, enabled=True).properties.tags == {"c": "3"}
    assert not update(name, tags={}).properties.tags
    assert not certificates.get_certificate(name).properties.tags


def test_enabled_is_mirrored_to_key_and_secret(certificates, secrets, keys, name):
    made = create(certificates, name)
    disabled = certificates.update_certificate_properties(name, enabled=False)
    assert disabled.id == made.id
    assert disabled.properties.enabled is False
    assert disabled.policy is not None
    assert keys.get_key(name).properties.enabled is False
    with pytest.raises(HttpResponseError) as refused:
        secrets.get_secret(name)
    assert (refused.value.status_code, refused.value.error.code) == (403, "Forbidden")
    assert refused.value.error.innererror["code"] == "SecretDisabled"

    certificates.update_certificate_properties(name, enabled=True)
    assert secrets.get_secret(name).value
    assert keys.get_key(name).properties.enabled is True


def test_one_version_is_updated(certificates, secrets, name):
    old, new = create(certificates, name), create(certificates, name)
    updated = certificates.update_certificate_properties(name, old.properties.version, enabled=False, tags={"old": "1"})
    assert (updated.id, updated.properties.enabled, updated.properties.tags) == (old.id, False, {"old": "1"})
    current = certificates.get_certificate(name)
    assert (current.id, current.properties.enabled, current.properties.tags) == (new.id, True, None)
    secrets.get_secret(name)
    with pytest.raises(HttpResponseError) as refused:
        secrets.get_secret(name, old.properties.version)
    assert refused.value.status_code == 403


def test_update_moves_updated_only(certificates, name):
    made = create(certificates, name)
    updated = certificates.update_certificate_properties(name)
    assert updated.properties.created_on == made.properties.created_on
    assert updated.properties.updated_on >= made.properties.updated_on
    assert (updated.properties.not_before, updated.properties.expires_on) == (
        made.properties.not_before,
        made.properties.expires_on,
    )


def test_dates_in_an_update_are_ignored(certificates, name):
    made = create(certificates, name)
    answer = certificates.send_request(
        HttpRequest("PATCH", f"/certificates/{name}/", json={"attributes": {"exp": 4781870437, "nbf": 1}})
    )
    answer.raise_for_status()
    now = certificates.get_certificate(name).properties
    assert (now.not_before, now.expires_on) == (made.properties.not_before, made.properties.expires_on)


def test_tags_of_a_placeholder(certificates, name):
    begin_unknown(certificates, name)
    assert certificates.update_certificate_properties(name, tags={"while": "waiting"}).properties.tags == {
        "while": "waiting"
    }


@pytest.mark.parametrize(
    "tags",
    [
        {str(i): "x" for i in range(16)},
        {"n" * 257: "x"},
        {"n": "x" * 257},
    ],
    ids=["16 tags", "long name", "long value"],
)
def test_limits_of_tags(certificates, name, tags):
    create(certificates, name)
    with pytest.raises(HttpResponseError) as refused:
        certificates.update_certificate_properties(name, tags=tags)
    assert (refused.value.status_code, refused.value.error.code) == (400, "BadParameter")


@pytest.mark.parametrize("version", [None, "0" * 32])
def test_update_of_what_is_not_there_is_404(certificates, name, version):
    if version:
        create(certificates, name)
    with pytest.raises(ResourceNotFoundError) as missing:
        certificates.update_certificate_properties(name, version, enabled=True)
    assert missing.value.error.code == "CertificateNotFound"
