"""Secrets of their own (secrets.md, to the end)."""

import datetime
import uuid

import pytest
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError

from policies import create

UTC = datetime.timezone.utc
FIELDS = (
    "id version enabled not_before expires_on created_on updated_on recoverable_days recovery_level "
    "content_type tags managed key_id"
).split()


@pytest.fixture
def name(secrets):
    """An unused name; afterwards nothing of it is left in the vault."""
    given = "py-secret-" + uuid.uuid4().hex[:20]
    yield given
    for tidy in (secrets.begin_delete_secret, secrets.purge_deleted_secret):
        try:
            tidy(given)
        except ResourceNotFoundError:
            pass  # never made, or the test has seen to it


def everything(secret):
    return {field: getattr(secret.properties, field) for field in FIELDS}


def refusal(attempt, *args, **kwargs):
    """Status, code and inner code of a call that must fail, and its message."""
    with pytest.raises(HttpResponseError) as refused:
        attempt(*args, **kwargs)
    error = refused.value.error
    return refused.value.status_code, error.code, (error.innererror or {}).get("code"), error.message


def test_a_secret_is_read_back(secrets, name):
    now = datetime.datetime.now(UTC).replace(microsecond=0)
    value = "line\r\n<&> ä\t \x00"
    made = secrets.set_secret(
        name,
        value,
        content_type="text/plain",
        tags={"team": "a"},
        not_before=now + datetime.timedelta(hours=1),
        expires_on=now + datetime.timedelta(hours=2),
    )
    assert made.value == value
    assert made.properties.content_type == "text/plain"
    assert made.properties.tags == {"team": "a"}
    assert made.properties.not_before == now + datetime.timedelta(hours=1)
    assert made.properties.expires_on == now + datetime.timedelta(hours=2)
    assert not made.properties.managed and made.properties.key_id is None
    for got in (secrets.get_secret(name), secrets.get_secret(name.upper(), made.properties.version)):
        assert got.value == value  # though it is not valid yet
        assert everything(got) == everything(made)


def test_every_set_is_a_version(secrets, name):
    first = secrets.set_secret(name, "one", content_type="a", tags={"a": "b"})
    second = secrets.set_secret(name, "")
    assert second.properties.version != first.properties.version
    assert second.properties.content_type is None and second.properties.tags is None
    assert secrets.get_secret(name).value == ""
    assert secrets.get_secret(name, first.properties.version).value == "one"
    versions = list(secrets.list_properties_of_secret_versions(name))
    assert [v.version for v in versions] == [first.properties.version, second.properties.version]
    assert [v.content_type for v in versions] == ["a", None]
    listed = [s for s in secrets.list_properties_of_secrets() if s.name == name]
    assert len(listed) == 1 and listed[0].version is None and not listed[0].managed
    assert list(secrets.list_properties_of_secret_versions(name + "-none")) == []


def test_update_changes_all_but_the_value(secrets, name):
    first = secrets.set_secret(name, "one")
    secrets.set_secret(name, "two")
    past = datetime.datetime.now(UTC).replace(microsecond=0) - datetime.timedelta(hours=1)
    updated = secrets.update_secret_properties(
        name, first.properties.version, content_type="b", tags={"a": "b"}, expires_on=past
    )
    assert (updated.content_type, updated.tags, updated.expires_on) == ("b", {"a": "b"}, past)
    assert secrets.get_secret(name, first.properties.version).value == "one"  # though it is expired
    assert secrets.get_secret(name).properties.content_type is None

    secrets.update_secret_properties(name, enabled=False)
    assert refusal(secrets.get_secret, name) == (
        403,
        "Forbidden",
        "SecretDisabled",
        "Operation get is not allowed on a disabled secret.",
    )
    assert [s.enabled for s in secrets.list_properties_of_secrets() if s.name == name] == [False]
    secrets.update_secret_properties(name, enabled=True)
    assert secrets.get_secret(name).value == "two"


def test_a_deleted_secret_is_recovered_or_purged(certificates, secrets, name):
    first = secrets.set_secret(name, "one")
    made = secrets.set_secret(name, "two", content_type="t", tags={"a": "b"})
    deletion = secrets.begin_delete_secret(name)
    deleted = deletion.result()
    deletion.wait()
    assert everything(deleted) == everything(made)
    assert deleted.recovery_id.endswith(f"/deletedsecrets/{name}")
    assert deleted.scheduled_purge_date - deleted.deleted_date == datetime.timedelta(
        days=made.properties.recoverable_days
    )
    assert everything(secrets.get_deleted_secret(name)) == everything(deleted)
    assert deleted.recovery_id in [d.recovery_id for d in secrets.list_deleted_secrets()]
    with pytest.raises(ResourceNotFoundError):
        secrets.get_secret(name, first.properties.version)
    with pytest.raises(ResourceExistsError):
        secrets.set_secret(name, "x")
    assert refusal(secrets.set_secret, name, "x")[:3] == (409, "Conflict", "ObjectIsDeletedButRecoverable")
    assert refusal(create, certificates, name)[:2] == (409, "Conflict")

    recovery = secrets.begin_recover_deleted_secret(name)
    assert everything(secrets.get_secret(name)) == everything(made)
    recovery.wait()
    assert secrets.get_secret(name, first.properties.version).value == "one"

    secrets.begin_delete_secret(name).wait()
    secrets.purge_deleted_secret(name)
    with pytest.raises(ResourceNotFoundError):
        secrets.get_deleted_secret(name)
    assert secrets.set_secret(name, "anew").properties.version != made.properties.version


def test_a_disabled_secret_is_deleted_and_recovered(secrets, name):
    made = secrets.set_secret(name, "x", enabled=False)
    assert made.value == "x"
    secrets.begin_delete_secret(name).wait()
    assert secrets.get_deleted_secret(name).properties.enabled is False
    secrets.begin_recover_deleted_secret(name).wait()  # its poller takes the 403 for the end
    assert refusal(secrets.get_secret, name)[2] == "SecretDisabled"


def test_a_backup_restores_every_version(secrets, name):
    first = secrets.set_secret(name, "one")
    made = secrets.set_secret(name, "two", content_type="t", tags={"a": "b"})
    backup = secrets.backup_secret(name)
    status, code, inner, message = refusal(secrets.restore_secret_backup, backup)
    assert (status, code, inner) == (409, "Conflict", None)
    assert message.startswith(f"There was a conflict restoring the secret '{name}/{made.properties.version}'.")
    secrets.begin_delete_secret(name).wait()
    assert refusal(secrets.restore_secret_backup, backup)[:2] == (409, "Conflict")
    secrets.purge_deleted_secret(name)
    restored = secrets.restore_secret_backup(backup)
    assert {f: getattr(restored, f) for f in FIELDS} == everything(made)
    assert secrets.get_secret(name).value == "two"
    assert secrets.get_secret(name, first.properties.version).value == "one"

    altered = bytearray(backup)
    altered[len(altered) // 2] ^= 1
    assert refusal(secrets.restore_secret_backup, bytes(altered))[:2] == (400, "Malformed backup blob")


def test_refusals(certificates, secrets, name):
    status, code, inner, message = refusal(secrets.get_secret, name)
    assert (status, code, inner) == (404, "SecretNotFound", None)
    assert message.startswith(f"A secret with (name/id) {name} was not found in this key vault.")
    assert refusal(secrets.set_secret, name, "a" * 25_601) == (
        400,
        "BadParameter",
        "SecretTooLarge",
        "Secret is beyond the maximum permitted length of 25600 characters.",
    )
    assert refusal(secrets.set_secret, "under_score", "x")[:2] == (400, "BadParameter")
    assert refusal(secrets.set_secret, name, "x", tags={str(i): "x" for i in range(16)})[:2] == (400, "BadParameter")
    assert secrets.set_secret(name, "a" * 25_600).value == "a" * 25_600
    assert refusal(create, certificates, name)[:2] == (409, "Conflict")
