package conformance

import (
	"bytes"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azcertificates"
)

var cancel = azcertificates.UpdateCertificateOperationParameter{CancellationRequested: to.Ptr(true)}

func TestCancelThenDeleteAnOperation(t *testing.T) {
	t.Parallel()
	v := open(t)
	ctx, name := t.Context(), v.name()
	begun := v.begin(name, small("Unknown"))
	cancelled, err := v.UpdateCertificateOperation(ctx, name, cancel, nil)
	check(t, err)
	if !*cancelled.CancellationRequested || *cancelled.Status != "inProgress" {
		t.Errorf("got %+v", cancelled.CertificateOperation)
	}
	// Nobody works on an Unknown one: it stays in progress with the flag set.
	seen := v.operation(name)
	if !*seen.CancellationRequested || *seen.Status != "inProgress" || *seen.RequestID != *begun.RequestID {
		t.Errorf("got %+v", seen)
	}
	deleted, err := v.DeleteCertificateOperation(ctx, name, nil)
	check(t, err)
	equal(t, "request_id", *deleted.RequestID, *begun.RequestID)
	_, err = v.GetCertificateOperation(ctx, name, nil)
	refused(t, err, 404, "PendingCertificateNotFound")
	if *v.get(name).Attributes.Enabled {
		t.Error("the placeholder is enabled")
	}
}

func TestCancelOfASelfSignedOneEndsInAFinalState(t *testing.T) {
	t.Parallel()
	v := open(t)
	name := v.name()
	v.begin(name, small("Self"))
	_, err := v.UpdateCertificateOperation(t.Context(), name, cancel, nil)
	if err != nil {
		refused(t, err, 403, "Forbidden") // too late
	}
	if status := *v.wait(name).Status; status != "cancelled" && status != "completed" {
		t.Errorf("ended as %s", status)
	}
	v.get(name)
}

func TestFinishedOperation(t *testing.T) {
	t.Parallel()
	v := open(t)
	ctx, name := t.Context(), v.name()
	made := v.create(name, azcertificates.CreateCertificateParameters{})
	_, err := v.UpdateCertificateOperation(ctx, name, cancel, nil)
	refused(t, err, 403, "Forbidden", "must be in progress")
	_, err = v.DeleteCertificateOperation(ctx, name, nil)
	check(t, err)
	equal(t, "cer", v.get(name).CER, made.CER)
	_, err = v.DeleteCertificateOperation(ctx, name, nil)
	refused(t, err, 404, "PendingCertificateNotFound")
}

func TestSecondCreateWhileOneWaitsIs409(t *testing.T) {
	t.Parallel()
	v, ca := open(t), newAuthority(t)
	name := v.name()
	begun := v.begin(name, small("Unknown"))
	_, err := v.CreateCertificate(t.Context(), name, azcertificates.CreateCertificateParameters{CertificatePolicy: small("Self")}, nil)
	refused(t, err, 409, "Conflict")
	if !bytes.Equal(v.operation(name).CSR, begun.CSR) {
		t.Fatal("the second create has replaced the key that waits")
	}
	_, err = v.merge(name, ca.signRequest(t, begun.CSR))
	check(t, err)
}

func TestDeletedOperationDiscardsItsKey(t *testing.T) {
	t.Parallel()
	v, ca := open(t), newAuthority(t)
	name := v.name()
	first := v.begin(name, small("Unknown"))
	_, err := v.DeleteCertificateOperation(t.Context(), name, nil)
	check(t, err)
	second := v.begin(name, small("Unknown"))
	if *second.RequestID == *first.RequestID || bytes.Equal(second.CSR, first.CSR) {
		t.Error("the second operation is the first")
	}
	_, err = v.merge(name, ca.signRequest(t, first.CSR))
	refused(t, err, 400, "BadParameter")
}

func TestOperationOfAnUnknownNameIs404(t *testing.T) {
	t.Parallel()
	v := open(t)
	ctx, name := t.Context(), v.name()
	_, err := v.GetCertificateOperation(ctx, name, nil)
	refused(t, err, 404, "PendingCertificateNotFound")
	_, err = v.UpdateCertificateOperation(ctx, name, cancel, nil)
	refused(t, err, 404, "PendingCertificateNotFound")
	_, err = v.DeleteCertificateOperation(ctx, name, nil)
	refused(t, err, 404, "PendingCertificateNotFound")
}
