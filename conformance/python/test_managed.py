"""The key and the secret that belong to a certificate (certificates.md, 7; secrets.md, 6; keys.md, 6)."""

import pytest
from azure.core.exceptions import HttpResponseError

import outside
from outside import der, spki
from policies import PEM, PFX, create, small


def opened(secrets, name, content_type):
    value = secrets.get_secret(name).value
    return outside.open_pem(value) if content_type == PEM else outside.open_pfx(value)


KEYS = {
    "RSA": {"key_type": "RSA", "key_curve_name": None},
    "P-256": {"key_curve_name": "P-256"},
    "P-384": {"key_curve_name": "P-384"},
    "P-521": {"key_curve_name": "P-521"},
    "P-256K": {"key_curve_name": "P-256K"},
}


@pytest.mark.parametrize("content_type", [PFX, PEM], ids=["pfx", "pem"])
@pytest.mark.parametrize("kind", KEYS)
def test_secret_holds_the_certificate_and_its_key(certificates, secrets, name, kind, content_type):
    made = create(certificates, name, small(content_type=content_type, **KEYS[kind]))
    held = opened(secrets, name, content_type)
    assert [der(c) for c in held.certificates] == [bytes(made.cer)]
    assert spki(held.key.public_key()) == spki(held.leaf.public_key())


@pytest.mark.parametrize("content_type", [PFX, PEM], ids=["pfx", "pem"])
@pytest.mark.parametrize("kind", ["RSA", "P-256", "P-256K"])
def test_secret_of_a_key_that_may_not_leave_holds_none(certificates, secrets, name, kind, content_type):
    made = create(certificates, name, small(content_type=content_type, exportable=False, **KEYS[kind]))
    held = opened(secrets, name, content_type)
    assert held.key is None
    assert [der(c) for c in held.certificates] == [bytes(made.cer)]


@pytest.mark.parametrize("kind", ["RSA", "P-256", "P-256K"])
def test_pfx_is_converted_to_pem_when_asked_for(certificates, secrets, name, kind):
    made = create(certificates, name, small(**KEYS[kind]))
    secret = secrets.get_secret(name, out_content_type=PEM)
    assert secret.properties.content_type == PEM
    held = outside.open_pem(secret.value)
    assert der(held.leaf) == bytes(made.cer)
    assert spki(held.key.public_key()) == spki(held.leaf.public_key())
    assert secrets.get_secret(name, out_content_type=PFX).value == secrets.get_secret(name).value


def test_pem_is_not_converted_to_pfx(certificates, secrets, name):
    create(certificates, name, small(content_type=PEM))
    with pytest.raises(HttpResponseError) as refused:
        secrets.get_secret(name, out_content_type=PFX)
    assert (refused.value.status_code, refused.value.error.code) == (400, "BadParameter")


def test_attributes_mirror_the_certificate(certificates, secrets, keys, name):
    made = create(certificates, name, tags={"only": "here"})
    secret, key = secrets.get_secret(name).properties, keys.get_key(name).properties
    for mirror in (secret, key):
        assert mirror.managed is True
        assert mirror.version == made.properties.version
        assert not mirror.tags
        for field in ("enabled", "not_before", "expires_on", "created_on", "updated_on", "recovery_level"):
            assert (field, getattr(mirror, field)) == (field, getattr(made.properties, field))
    assert secret.key_id == made.key_id
    assert secret.id == made.secret_id
    assert key.id == made.key_id


def test_each_version_has_its_own_secret_and_key(certificates, secrets, keys, name):
    for made in [create(certificates, name) for _ in range(2)]:
        version = made.properties.version
        held = outside.open_pfx(secrets.get_secret(name, version).value)
        assert der(held.leaf) == bytes(made.cer)
        numbers = held.leaf.public_key().public_numbers()
        assert keys.get_key(name, version).key.x == numbers.x.to_bytes(32, "big")
    assert len(list(secrets.list_properties_of_secret_versions(name))) == 2
    assert len(list(keys.list_properties_of_key_versions(name))) == 2


OPERATIONS = {
    "digitalSignature": {"sign", "verify"},
    "keyEncipherment": {"wrapKey", "unwrapKey"},
    "dataEncipherment": {"encrypt", "decrypt"},
    "keyCertSign": {"sign", "verify"},
}


@pytest.mark.parametrize("usage", OPERATIONS)
def test_key_operations_follow_the_key_usage(certificates, keys, name, usage):
    create(certificates, name, small(key_type="RSA", key_curve_name=None, key_usage=[usage]))
    assert set(keys.get_key(name).key_operations) == OPERATIONS[usage]


def test_secret_cannot_be_changed_on_its_own(certificates, secrets, name):
    create(certificates, name)
    before = secrets.get_secret(name)
    attempts = {
        "set": lambda: secrets.set_secret(name, "other"),
        "update": lambda: secrets.update_secret_properties(name, enabled=False),
        "delete": lambda: secrets.begin_delete_secret(name),
        "backup": lambda: secrets.backup_secret(name),
    }
    for what, attempt in attempts.items():
        with pytest.raises(HttpResponseError) as refused:
            attempt()
        assert (what, refused.value.status_code, refused.value.error.code) == (what, 403, "Forbidden")
        assert refused.value.error.innererror["code"] == "SecretManagedByKeyVault"
    assert secrets.get_secret(name).value == before.value


def test_key_cannot_be_changed_on_its_own(certificates, keys, name):
    create(certificates, name)
    before = keys.get_key(name)
    attempts = {
        "create": lambda: keys.create_ec_key(name),
        "update": lambda: keys.update_key_properties(name, enabled=False),
        "delete": lambda: keys.begin_delete_key(name),
        "rotate": lambda: keys.rotate_key(name),
        "backup": lambda: keys.backup_key(name),
    }
    for what, attempt in attempts.items():
        with pytest.raises(HttpResponseError) as refused:
            attempt()
        assert (what, refused.value.status_code, refused.value.error.code) == (what, 403, "Forbidden")
        assert refused.value.error.innererror["code"] == "KeyManagedByKeyVault"
    assert keys.get_key(name).id == before.id
