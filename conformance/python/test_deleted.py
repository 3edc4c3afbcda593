"""Deletion and return: delete, recover, purge, backup, restore (certificates.md, 8.8, 8.9, 8.12, 16.2)."""

import datetime

import pytest
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.core.rest import HttpRequest

import outside
from policies import begin_unknown, create, plain, small


def everything(certificate):
    """A bundle as a dictionary that can be compared: whatever the client models."""
    properties = certificate.properties
    return {
        "id": certificate.id,
        "key_id": certificate.key_id,
        "secret_id": certificate.secret_id,
        "cer": certificate.cer and bytes(certificate.cer),
        "policy": plain(certificate.policy),
        **{
            field: getattr(properties, field)
            for field in (
                "enabled not_before expires_on created_on updated_on recoverable_days recovery_level "
                "tags x509_thumbprint preserve_order"
            ).split()
        },
    }


def raw(certificates, path):
    answer = certificates.send_request(HttpRequest("GET", path))
    answer.raise_for_status()
    return answer.json()


def assert_gone(*attempts):
    for attempt in attempts:
        with pytest.raises(ResourceNotFoundError):
            attempt()


def test_delete_and_recover(certificates, secrets, keys, name):
    create(certificates, name, tags={"a": "1"})
    made = create(certificates, name, tags={"a": "2"})
    got = certificates.get_certificate(name)

    deletion = certificates.begin_delete_certificate(name)
    deleted = deletion.result()
    deletion.wait()
    assert everything(deleted) == everything(got)
    assert deleted.recovery_id.endswith(f"/deletedcertificates/{name}")
    retention = datetime.timedelta(days=made.properties.recoverable_days)
    assert deleted.scheduled_purge_date - deleted.deleted_on == retention
    later = certificates.get_deleted_certificate(name)
    assert everything(later) == everything(deleted)
    assert (later.recovery_id, later.deleted_on, later.scheduled_purge_date) == (
        deleted.recovery_id,
        deleted.deleted_on,
        deleted.scheduled_purge_date,
    )

    assert_gone(
        lambda: certificates.get_certificate(name),
        lambda: certificates.get_certificate_version(name, made.properties.version),
        lambda: certificates.get_certificate_policy(name),
        lambda: certificates.update_certificate_properties(name, enabled=False),
        lambda: certificates.begin_delete_certificate(name),
        lambda: secrets.get_secret(name),
        lambda: keys.get_key(name),
    )
    assert list(certificates.list_properties_of_certificate_versions(name)) == []

    recovery = certificates.begin_recover_deleted_certificate(name)
    recovered = recovery.result()
    recovery.wait()
    assert everything(recovered) == everything(deleted)
    assert len(list(certificates.list_properties_of_certificate_versions(name))) == 2
    opened = outside.open_pfx(secrets.get_secret(name).value)
    assert outside.der(opened.leaf) == bytes(made.cer)
    assert keys.get_key(name).id == made.key_id
    assert_gone(lambda: certificates.get_deleted_certificate(name))


def test_delete_answer_and_deleted_object_are_the_same_bytes(certificates, name):
    create(certificates, name, tags={"a": "1"})
    seen = []
    certificates.begin_delete_certificate(name, raw_response_hook=lambda r: seen.append(r.http_response.json()))
    assert raw(certificates, f"/deletedcertificates/{name}") == seen[0]


def test_deleted_name_is_taken(certificates, secrets, keys, authority, name):
    create(certificates, name)
    certificates.begin_delete_certificate(name).wait()
    key = outside.ec_key()
    attempts = [
        lambda: secrets.set_secret(name, "x"),
        lambda: keys.create_ec_key(name),
        lambda: certificates.begin_create_certificate(name, small()),
        lambda: certificates.import_certificate(name, outside.pfx(key, [authority.issue(key.public_key())])),
    ]
    for attempt in attempts:
        with pytest.raises(ResourceExistsError) as refused:
            attempt()
        assert (refused.value.status_code, refused.value.error.code) == (409, "Conflict")
        assert refused.value.error.innererror["code"] == "ObjectIsDeletedButRecoverable"


def test_purge_frees_the_name(certificates, secrets, keys, name):
    first = create(certificates, name)
    certificates.begin_delete_certificate(name).wait()
    certificates.purge_deleted_certificate(name)
    assert_gone(
        lambda: certificates.get_deleted_certificate(name),
        lambda: certificates.begin_recover_deleted_certificate(name),
        lambda: certificates.purge_deleted_certificate(name),
        lambda: certificates.get_certificate(name),
        lambda: secrets.get_secret(name),
        lambda: keys.get_key(name),
    )
    second = create(certificates, name)
    assert second.properties.version != first.properties.version
    assert [v.version for v in certificates.list_properties_of_certificate_versions(name)] == [
        second.properties.version
    ]


def test_delete_directly_after_create(certificates, name):
    certificates.begin_create_certificate(name, small())
    certificates.begin_delete_certificate(name).wait()
    assert certificates.get_deleted_certificate(name).name == name


def test_delete_and_recover_while_the_operation_waits(certificates, name):
    begin_unknown(certificates, name)
    placeholder = certificates.get_certificate(name)
    deletion = certificates.begin_delete_certificate(name)
    deletion.wait()
    assert everything(deletion.result()) == everything(placeholder)
    recovery = certificates.begin_recover_deleted_certificate(name)
    recovery.wait()
    assert everything(recovery.result()) == everything(placeholder)


def test_backup_and_restore_after_purge(certificates, secrets, keys, name):
    create(certificates, name, tags={"a": "1"})
    create(certificates, name, tags={"a": "2"}, enabled=False)
    made = certificates.update_certificate_properties(name, enabled=True)
    versions = {v.version: v.x509_thumbprint for v in certificates.list_properties_of_certificate_versions(name)}
    value, key = secrets.get_secret(name).value, keys.get_key(name)

    backup = certificates.backup_certificate(name)
    assert outside.der(outside.open_pfx(value).leaf) not in backup, "the backup is not sealed"
    with pytest.raises(ResourceExistsError) as refused:
        certificates.restore_certificate_backup(backup)
    assert (refused.value.status_code, refused.value.error.code) == (409, "Conflict")

    certificates.begin_delete_certificate(name).wait()
    with pytest.raises(ResourceExistsError):
        certificates.restore_certificate_backup(backup)
    certificates.purge_deleted_certificate(name)

    restored = certificates.restore_certificate_backup(backup)
    assert everything(restored) == everything(made)
    assert everything(certificates.get_certificate(name)) == everything(made)
    assert versions == {
        v.version: v.x509_thumbprint for v in certificates.list_properties_of_certificate_versions(name)
    }
    assert secrets.get_secret(name).value == value
    assert keys.get_key(name).key.x == key.key.x
    assert "pending" not in raw(certificates, f"/certificates/{name}")
    with pytest.raises(ResourceNotFoundError):
        certificates.get_certificate_operation(name)


def test_backup_of_a_placeholder(certificates, name):
    begin_unknown(certificates, name)
    placeholder = certificates.get_certificate(name)
    backup = certificates.backup_certificate(name)
    certificates.begin_delete_certificate(name).wait()
    certificates.purge_deleted_certificate(name)
    restored = certificates.restore_certificate_backup(backup)
    assert everything(restored) == everything(placeholder)
    assert restored.properties.enabled is False


def test_altered_backup_is_refused(certificates, name):
    create(certificates, name)
    backup = bytearray(certificates.backup_certificate(name))
    certificates.begin_delete_certificate(name).wait()
    certificates.purge_deleted_certificate(name)
    for altered in (
        bytes(backup[: len(backup) // 2]),
        bytes(backup[:-1]) + bytes([backup[-1] ^ 1]),
        bytes(backup[: len(backup) // 2]) + b"x" + bytes(backup[len(backup) // 2 + 1 :]),
        b"not a backup at all",
    ):
        with pytest.raises(HttpResponseError) as refused:
            certificates.restore_certificate_backup(altered)
        assert refused.value.status_code == 400
    assert_gone(lambda: certificates.get_certificate(name))


def test_what_is_not_there_is_404(certificates, name):
    for attempt in (
        lambda: certificates.begin_delete_certificate(name),
        lambda: certificates.get_deleted_certificate(name),
        lambda: certificates.purge_deleted_certificate(name),
        lambda: certificates.begin_recover_deleted_certificate(name),
        lambda: certificates.backup_certificate(name),
    ):
        with pytest.raises(ResourceNotFoundError) as missing:
            attempt()
        assert missing.value.error.code == "CertificateNotFound"
