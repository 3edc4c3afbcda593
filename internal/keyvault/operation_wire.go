package keyvault

import (
	"net/http"

	"coffer/internal/issuance"
	"coffer/internal/object"
	"coffer/internal/pipeline"
	"coffer/internal/rest"
)

// operationBody is contract certificates.md, 5.5.
type operationBody struct {
	ID            string          `json:"id"`
	Issuer        operationIssuer `json:"issuer"`
	CSR           []byte          `json:"csr"`
	Cancellation  bool            `json:"cancellation_requested"`
	Status        string          `json:"status"`
	StatusDetails string          `json:"status_details,omitempty"` // only in progress
	Error         *errorObject    `json:"error,omitempty"`          // only failed
	Target        string          `json:"target,omitempty"`         // only completed
	PreserveOrder *bool           `json:"preserveCertOrder,omitempty"`
	RequestID     string          `json:"request_id"`
}

// operationIssuer has the name only (recorded).
type operationIssuer struct {
	Name string `json:"name"`
}

// The recorded texts of an operation in progress (contract certificates.md, 9).
const (
	waitsForIssuer = "Pending certificate created. Certificate request is in progress." +
		" This may take some time based on the issuer provider. Please check again later."
	waitsForMerge = "Pending certificate created. Please Perform Merge to complete the request."
)

// pollAfter is what pollers are told to wait, in seconds (recorded).
const pollAfter = 10

func newOperationBody(r pipeline.Request, op *issuance.Operation) operationBody {
	b := operationBody{
		ID: pendingID(r, op.Name), Issuer: operationIssuer{op.Spec.Name}, CSR: op.CSR,
		Cancellation: op.CancellationRequested, Status: string(op.Status), RequestID: op.RequestID,
	}
	switch op.Status {
	case issuance.InProgress:
		b.StatusDetails = waitsForIssuer
		if op.Spec.IsUnknown() {
			b.StatusDetails = waitsForMerge
		}
	case issuance.Completed:
		b.Target = objectID(r, object.Certificates, op.Name, "")
	case issuance.Failed:
		b.Error = &errorObject{Code: issuance.IssuerError, Message: "The issuer encountered an error processing the certificate request."}
		if op.Error != nil {
			b.Error.Code, b.Error.Message = op.Error.Code, op.Error.Message
		}
	}
	if r.Version().Has(preserveCertOrder) {
		b.PreserveOrder = &op.PreserveOrder
	}
	return b
}

// renderCreated tells where to poll. The rules answer a create as in progress
// however fast the issuer is: a poller that saw completed here would never fetch
// the certificate (contract certificates.md, 8.1).
func renderCreated(r pipeline.Request, op *issuance.Operation) rest.Reply {
	return rest.Reply{Status: http.StatusAccepted, Body: newOperationBody(r, op), RetryAfter: pollAfter,
		Location: pendingID(r, op.Name) + "?api-version=" + r.Version().Text() + "&request_id=" + op.RequestID}
}

func renderOperation(r pipeline.Request, op *issuance.Operation) rest.Reply {
	return rest.OK(newOperationBody(r, op))
}

// renderPolled is renderOperation for GET, which alone says when to come back.
func renderPolled(r pipeline.Request, op *issuance.Operation) rest.Reply {
	out := renderOperation(r, op)
	if op.Status == issuance.InProgress {
		out.RetryAfter = pollAfter
	}
	return out
}

// cancellation is the body of PATCH on an operation.
type cancellation struct {
	requestID string // "" fits every operation
	requested bool
}

func parseCancellation(r pipeline.Request, in *rest.Input) cancellation {
	p := cancellation{requestID: requestID(r), requested: in.Is("cancellation_requested")}
	if in.Raw("cancellation_requested") == nil {
		in.Required("cancellation_requested")
	}
	return p
}

func requestID(r pipeline.Request) string { return r.Query().Get("request_id") }
