package keyvault

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"coffer/internal/fault"
	"coffer/internal/rest"
)

// TestKindsOnTheWire is the table of contract errors.md, 9.
func TestKindsOnTheWire(t *testing.T) {
	inside := errors.New("disk on fire")
	for _, tc := range []struct {
		err         error
		status      int
		code, inner string
		retryAfter  int
		message     string
	}{
		{&fault.Error{Kind: fault.Invalid, Msg: "m"}, 400, "BadParameter", "", 0, "m"},
		{&fault.Error{Kind: fault.Invalid, Reason: fault.KeySizeNotSupported, Msg: "m"}, 400, "BadParameter", "KeySizeNotSupported", 0, "m"},
		{&fault.Error{Kind: fault.Invalid, Reason: fault.MalformedBackup, Msg: "m"}, 400, "Malformed backup blob", "", 0, "m"},
		{&fault.Error{Kind: fault.Unsupported, Msg: "m"}, 400, "NotSupported", "", 0, "m"},
		{&fault.Error{Kind: fault.Forbidden, Msg: "m"}, 403, "Forbidden", "", 0, "m"},
		{&fault.Error{Kind: fault.Forbidden, Reason: fault.KeyDisabled, Msg: "m"}, 403, "Forbidden", "KeyDisabled", 0, "m"},
		{&fault.Error{Kind: fault.NotFound, Subject: fault.Certificate, Msg: "m"}, 404, "CertificateNotFound", "", 0, "m"},
		{&fault.Error{Kind: fault.NotFound, Subject: fault.PendingCertificate, Msg: "m"}, 404, "PendingCertificateNotFound", "", 0, "m"},
		{&fault.Error{Kind: fault.NotFound, Subject: fault.CertificateIssuer, Msg: "m"}, 404, "CertificateIssuerNotFound", "", 0, "m"},
		{&fault.Error{Kind: fault.NotFound, Subject: fault.Contacts, Msg: "m"}, 404, "ContactsNotFound", "", 0, "m"},
		{&fault.Error{Kind: fault.NotFound, Subject: fault.Key, Msg: "m"}, 404, "KeyNotFound", "", 0, "m"},
		{&fault.Error{Kind: fault.NotFound, Subject: fault.Secret, Msg: "m"}, 404, "SecretNotFound", "", 0, "m"},
		{&fault.Error{Kind: fault.NotFound, Subject: fault.Vault, Msg: "m"}, 404, "VaultNotFound", "", 0, "m"},
		{&fault.Error{Kind: fault.NotFound}, 404, "NotFound", "", 0, "Not Found"},
		{&fault.Error{Kind: fault.Conflict, Msg: "m"}, 409, "Conflict", "", 0, "m"},
		{&fault.Error{Kind: fault.Conflict, Reason: fault.ObjectIsDeletedButRecoverable, Msg: "m"}, 409, "Conflict", "ObjectIsDeletedButRecoverable", 0, "m"},
		{&fault.Error{Kind: fault.TooLarge, Msg: "m"}, 413, "RequestTooLarge", "", 0, "m"},
		{&fault.Error{Kind: fault.Busy, Msg: "m"}, 429, "Throttled", "", 1, "m"},
		{&fault.Error{Kind: fault.Busy, RetryAfter: 1500 * time.Millisecond, Msg: "m"}, 429, "Throttled", "", 2, "m"},
		{&fault.Error{Kind: fault.Unavailable, RetryAfter: time.Hour, Msg: "m"}, 503, "ServiceUnavailable", "", 10, "m"},
		{fmt.Errorf("reading: %w", &fault.Error{Kind: fault.Conflict, Msg: "m", Err: inside}), 409, "Conflict", "", 0, "m"},
		{context.DeadlineExceeded, 504, "Timeout", "", 0, "The request took too long."},
		{fmt.Errorf("asking: %w", context.Canceled), 503, "ServiceUnavailable", "", 1, "The request was cancelled."},
		{inside, 500, "InternalServerError", "", 0, "An internal error occurred. Request id: some-id"},
		{&fault.Error{Msg: "of no kind"}, 500, "InternalServerError", "", 0, "An internal error occurred. Request id: some-id"},
	} {
		f := rest.FailureOf(tc.err, "some-id", codes)
		if f.Status != tc.status || f.Code != tc.code || f.Inner != tc.inner || f.RetryAfter != tc.retryAfter || f.Message != tc.message {
			t.Errorf("%v gives %+v", tc.err, f)
		}
		if f.Status >= 500 && f.Internal == nil && f.Status != 503 {
			t.Errorf("%v: nothing is left for the log", tc.err)
		}
	}
}
