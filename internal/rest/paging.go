package rest

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"

	"coffer/internal/fault"
	"coffer/internal/object"
	"coffer/internal/seal"
)

// Page is one answer of a list. nextLink is written always: clients take its
// absence for a mistake.
type Page[T any] struct {
	Value    []T     `json:"value"`
	NextLink *string `json:"nextLink"`
}

// The parameters of lists.
const (
	MaxResults = "maxresults"
	SkipToken  = "$skiptoken"
)

// PageSize reads maxresults; given tells whether the caller asked.
func (q Query) PageSize() (n int, given bool, err error) {
	text := q.Get(MaxResults)
	if text == "" {
		return object.DefaultPage, false, nil
	}
	n, err = strconv.Atoi(text)
	if err != nil || n < object.MinPage || n > object.MaxPage {
		return 0, true, fault.InvalidField(MaxResults, "")
	}
	return n, true, nil
}

// Sealer protects continuations.
type Sealer interface {
	Seal(ctx context.Context, p seal.Place, plaintext seal.Value) (seal.Box, error)
	Open(ctx context.Context, p seal.Place, b seal.Box) (seal.Value, error)
}

// Continuation is where the next page of a list begins: on the wire, a sealed box,
// so that nobody can make one up and none fits another vault or list. It does not
// hold the api-version, which some SDKs replace.
type Continuation struct {
	Flag  byte   // the door's own
	After string // the order key that the page starts behind; not empty
}

// maxContinuation is the longest text that is looked at: an order key of at most 127
// bytes with the overhead of box and base64 stays below.
const maxContinuation = 512

// Seal makes the text of a continuation of a list: place binds it to the vault, the
// list and the name that the list is of.
func (c Continuation) Seal(ctx context.Context, s Sealer, place seal.Place) (string, error) {
	place.Kind = "continuation"
	box, err := s.Seal(ctx, place, seal.NewValue(append([]byte{c.Flag}, c.After...)))
	if err != nil {
		return "", fmt.Errorf("sealing a continuation: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(box), nil
}

// OpenContinuation reads what Seal made, of the same place. The error is a
// *fault.Error when the text is none of ours.
func OpenContinuation(ctx context.Context, s Sealer, place seal.Place, text string) (c Continuation, err error) {
	if len(text) > maxContinuation {
		return c, badContinuation()
	}
	box, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return c, badContinuation()
	}
	place.Kind = "continuation"
	value, err := s.Open(ctx, place, box)
	if errors.Is(err, seal.ErrBox) {
		return c, badContinuation()
	}
	if err != nil {
		return c, fmt.Errorf("opening a continuation: %w", err)
	}
	plain := value.Reveal()
	if len(plain) < 2 {
		return c, badContinuation()
	}
	return Continuation{plain[0], string(plain[1:])}, nil
}

func badContinuation() error {
	return &fault.Error{Kind: fault.Invalid, Field: SkipToken, Msg: "Invalid continuation token."}
}
