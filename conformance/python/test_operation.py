"""The pending operation: watched, cancelled, deleted, in the way of others (certificates.md, 8.11, 9)."""

import pytest
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.core.rest import HttpRequest

import outside
from policies import begin_unknown, create, small


def test_operation_stays_the_same_at_each_look(certificates, name):
    begun = begin_unknown(certificates, name)
    for _ in range(3):
        seen = certificates.get_certificate_operation(name)
        assert (seen.request_id, seen.csr, seen.status) == (begun.request_id, begun.csr, "inProgress")
        assert seen.status_details == begun.status_details
        assert seen.cancellation_requested is False


def test_retry_after_only_while_in_progress(certificates, name):
    def answer():
        return certificates.send_request(HttpRequest("GET", f"/certificates/{name}/pending"))

    begin_unknown(certificates, name)
    assert answer().headers["Retry-After"] == "10"
    certificates.delete_certificate_operation(name)
    create(certificates, name)
    assert answer().json()["status"] == "completed"
    assert "Retry-After" not in answer().headers


def test_cancel_then_delete(certificates, name):
    begin_unknown(certificates, name)
    cancelled = certificates.cancel_certificate_operation(name)
    assert (cancelled.cancellation_requested, cancelled.status) == (True, "inProgress")
    seen = certificates.get_certificate_operation(name)
    # Nobody works on an Unknown one: it stays in progress with the flag set.
    assert (seen.cancellation_requested, seen.status) == (True, "inProgress")

    deleted = certificates.delete_certificate_operation(name)
    assert deleted.request_id == seen.request_id
    with pytest.raises(ResourceNotFoundError) as missing:
        certificates.get_certificate_operation(name)
    assert missing.value.error.code == "PendingCertificateNotFound"
    placeholder = certificates.get_certificate(name)
    assert (placeholder.properties.enabled, placeholder.cer) == (False, None)


def test_cancelled_operation_can_still_be_merged(certificates, authority, name):
    operation = begin_unknown(certificates, name)
    certificates.cancel_certificate_operation(name)
    leaf = authority.sign_request(operation.csr)
    assert bytes(certificates.merge_certificate(name, [outside.der(leaf)]).cer) == outside.der(leaf)


def test_cancel_of_a_self_signed_one_ends_in_a_final_state(certificates, name):
    poller = certificates.begin_create_certificate(name, small(), _polling_interval=0.2)
    try:
        assert certificates.cancel_certificate_operation(name).cancellation_requested is True
    except HttpResponseError as too_late:
        assert too_late.status_code == 403
    poller.result(timeout=60)
    assert certificates.get_certificate_operation(name).status in ("cancelled", "completed")
    certificates.get_certificate(name)


def test_cancel_of_a_finished_one_is_403(certificates, name):
    create(certificates, name)
    with pytest.raises(HttpResponseError) as refused:
        certificates.cancel_certificate_operation(name)
    assert (refused.value.status_code, refused.value.error.code) == (403, "Forbidden")
    assert "must be in progress" in refused.value.message


def test_delete_of_a_finished_one_leaves_the_certificate(certificates, name):
    made = create(certificates, name)
    assert certificates.delete_certificate_operation(name).status == "completed"
    assert certificates.get_certificate(name).cer == made.cer
    with pytest.raises(ResourceNotFoundError):
        certificates.get_certificate_operation(name)


def test_deleted_operation_discards_its_key(certificates, authority, name):
    first = begin_unknown(certificates, name)
    certificates.delete_certificate_operation(name)
    second = begin_unknown(certificates, name)
    assert second.csr != first.csr
    assert second.request_id != first.request_id
    with pytest.raises(HttpResponseError) as refused:
        certificates.merge_certificate(name, [outside.der(authority.sign_request(first.csr))])
    assert refused.value.status_code == 400


def test_second_create_while_one_waits_is_409(certificates, authority, name):
    operation = begin_unknown(certificates, name)
    with pytest.raises(ResourceExistsError) as refused:
        certificates.begin_create_certificate(name, small("Unknown"))
    assert (refused.value.status_code, refused.value.error.code) == (409, "Conflict")
    # The key that waits is still the first one.
    assert certificates.get_certificate_operation(name).csr == operation.csr
    certificates.merge_certificate(name, [outside.der(authority.sign_request(operation.csr))])


def test_request_id_filters(certificates, name):
    operation = begin_unknown(certificates, name)

    def status(request_id):
        query = f"?request_id={request_id}"
        return certificates.send_request(HttpRequest("GET", f"/certificates/{name}/pending{query}")).status_code

    assert status(operation.request_id) == 200
    assert status("0" * 32) == 404


def test_bundle_names_its_operation_while_there_is_one(certificates, name):
    def bundle(path=""):
        return certificates.send_request(HttpRequest("GET", f"/certificates/{name}{path}")).json()

    version = create(certificates, name).properties.version
    assert bundle()["pending"]["id"].endswith(f"/certificates/{name}/pending")
    assert not {"pending", "policy"} & set(bundle("/" + version))
    certificates.delete_certificate_operation(name)
    assert "pending" not in bundle()


def test_operation_of_an_unknown_name_is_404(certificates, name):
    for attempt in (
        certificates.get_certificate_operation,
        certificates.cancel_certificate_operation,
        certificates.delete_certificate_operation,
    ):
        with pytest.raises(ResourceNotFoundError) as missing:
            attempt(name)
        assert missing.value.error.code == "PendingCertificateNotFound"
