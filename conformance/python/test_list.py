"""Lists, their pages, versions and what is pending (certificates.md, 2.6, 5.3, 8.4, 8.5)."""

import pytest
from azure.core.exceptions import HttpResponseError
from azure.core.rest import HttpRequest

import outside
from policies import begin_unknown, create, small

# One more than the largest page.
MANY = 26


def fill(certificates, authority, names, **options):
    for name in names:
        key = outside.ec_key()
        certificates.import_certificate(name, outside.pfx(key, [authority.issue(key.public_key())]), **options)


def test_more_than_a_page_of_names(certificates, secrets, keys, authority, new_name):
    names = [new_name() for _ in range(MANY)]
    fill(certificates, authority, names, tags={"many": "yes"})

    pages = [list(page) for page in certificates.list_properties_of_certificates().by_page()]
    assert len(pages) > 1
    assert max(map(len, pages)) == 25
    listed = [c for page in pages for c in page]
    found = [c for c in listed if c.name in names]
    assert [c.name for c in found] == sorted(names)
    assert len({c.name for c in listed}) == len(listed)
    for c in found:
        assert (c.version, c.enabled, c.tags) == (None, True, {"many": "yes"})
        assert len(c.x509_thumbprint) == 20

    small_pages = [[c.name for c in p] for p in certificates.list_properties_of_certificates(max_page_size=7).by_page()]
    assert {len(p) for p in small_pages[:-1]} == {7}
    assert [n for p in small_pages for n in p] == [c.name for c in listed]

    # A page can be fetched again from its token, and the rest of the list from there.
    first = certificates.list_properties_of_certificates(max_page_size=7).by_page()
    next(first)
    resumed = certificates.list_properties_of_certificates(max_page_size=7).by_page(first.continuation_token)
    assert [[c.name for c in p] for p in resumed] == small_pages[1:]

    for managed in (
        {s.name: s.managed for s in secrets.list_properties_of_secrets()},
        {k.name: k.managed for k in keys.list_properties_of_keys()},
    ):
        assert all(managed[name] is True for name in names)

    # What is deleted between two pages is left out or listed, and nothing else moves.
    pages = certificates.list_properties_of_certificates(max_page_size=7).by_page()
    seen = [c.name for c in next(pages)]
    certificates.begin_delete_certificate(names[0]).wait()
    seen += [c.name for page in pages for c in page]
    assert set(names[1:]) <= set(seen)

    for name in names[1:]:
        certificates.begin_delete_certificate(name)
    deleted = [c for c in certificates.list_deleted_certificates() if c.name in names]
    assert sorted(c.name for c in deleted) == sorted(names)
    for c in deleted:
        assert c.recovery_id.endswith("/deletedcertificates/" + c.name)
        assert c.scheduled_purge_date > c.deleted_on
        assert c.properties.recovery_level


def test_more_than_a_page_of_versions(certificates, authority, name):
    fill(certificates, authority, [name] * MANY)
    pages = [list(page) for page in certificates.list_properties_of_certificate_versions(name).by_page()]
    assert [len(page) for page in pages] == [25, 1]
    versions = [v for page in pages for v in page]
    assert len({v.version for v in versions}) == len({v.x509_thumbprint for v in versions}) == MANY
    assert all(v.id.endswith(f"/certificates/{name}/{v.version}") for v in versions)
    assert certificates.get_certificate(name).properties.version in {v.version for v in versions}


def test_versions_of_an_unknown_name_are_an_empty_list(certificates, name):
    assert list(certificates.list_properties_of_certificate_versions(name)) == []


def test_pending_are_listed_when_asked_for(certificates, new_name):
    plain, tagged = new_name(), new_name()
    begin_unknown(certificates, plain)
    certificates.begin_create_certificate(tagged, small("Unknown"), tags={"t": "1"}).wait()

    for option in ({}, {"include_pending": False}):
        assert not {plain, tagged} & {c.name for c in certificates.list_properties_of_certificates(**option)}
    listed = {c.name: c for c in certificates.list_properties_of_certificates(include_pending=True)}
    assert listed[plain].enabled is False
    assert listed[plain].x509_thumbprint is None
    assert listed[tagged].tags == {"t": "1"}
    # The choice survives from page to page.
    paged = certificates.list_properties_of_certificates(include_pending=True, max_page_size=1)
    assert {plain, tagged} <= {c.name for c in paged}
    assert list(certificates.list_properties_of_certificate_versions(plain)) == []

    certificates.begin_delete_certificate(tagged).wait()
    assert tagged not in [c.name for c in certificates.list_deleted_certificates()]
    assert tagged in [c.name for c in certificates.list_deleted_certificates(include_pending=True)]


def test_list_shows_the_current_version(certificates, name):
    create(certificates, name, tags={"v": "1"})
    second = create(certificates, name, tags={"v": "2"}, enabled=False)
    (item,) = [c for c in certificates.list_properties_of_certificates() if c.name == name]
    assert (item.tags, item.enabled) == ({"v": "2"}, False)
    assert item.x509_thumbprint == second.properties.x509_thumbprint


@pytest.mark.parametrize("size", ["0", "26", "-1", "x"])
def test_page_size_out_of_range_is_400(certificates, size):
    with pytest.raises(HttpResponseError) as refused:
        certificates.send_request(HttpRequest("GET", f"/certificates?maxresults={size}")).raise_for_status()
    assert refused.value.status_code == 400


def test_last_page_says_so_with_null(certificates, name):
    create(certificates, name)
    answer = certificates.send_request(HttpRequest("GET", f"/certificates/{name}/versions"))
    body = answer.json()
    assert body["nextLink"] is None
    (item,) = body["value"]
    assert item["subject"] == ""
    assert "tags" not in item
    assert not {"recoveryLevel", "recoverableDays"} & set(item["attributes"])
