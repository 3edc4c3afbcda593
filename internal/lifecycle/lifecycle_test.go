package lifecycle_test

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"testing"

	"coffer/internal/fault"
	"coffer/internal/lifecycle"
	"coffer/internal/object"
)

// The rules are tested where they are used, over the real store: in key, secret and
// certificate. Here is what all of them rely on.

// rows is a database of its one transaction.
type rows []string

func (r rows) View(_ context.Context, fn func(rows) error) error { return fn(r) }
func (r rows) Update(context.Context, func(rows) error) error    { return errors.New("read only") }

func TestListTellsWhetherMoreFollows(t *testing.T) {
	stored := rows{"a", "b", "c"}
	read := func(r rows, p object.Page) ([]string, error) {
		at := slices.Index(r, p.After) + 1
		return r[at:min(len(r), at+p.Limit)], nil
	}
	for _, tc := range []struct {
		page object.Page
		want rows
		more bool
	}{
		{object.Page{Limit: 2}, rows{"a", "b"}, true},
		{object.Page{Limit: 2, After: "b"}, rows{"c"}, false},
		{object.Page{Limit: 3}, rows{"a", "b", "c"}, false},
		{object.Page{Limit: 2, After: "c"}, rows{}, false},
	} {
		got, more, err := lifecycle.List[rows](t.Context(), stored, tc.page, read)
		if err != nil || more != tc.more || !slices.Equal(got, tc.want) {
			t.Errorf("%v: got %v, %v, %v", tc.page, got, more, err)
		}
	}
	broken := errors.New("broken")
	if _, _, err := lifecycle.List(t.Context(), stored, object.Page{}, func(rows, object.Page) ([]string, error) { return nil, broken }); !errors.Is(err, broken) {
		t.Error(err)
	}
}

// What a name is fit for, by its head: 0 for nothing, or the kind of the failure.
func TestHeadsTellWhatANameIsFitFor(t *testing.T) {
	n, deletion := object.MustName("Web"), &object.Deletion{}
	for name, tc := range map[string]struct {
		head       object.Head
		err        error
		live, free fault.Kind
	}{
		"absent":                  {object.Head{}, object.ErrNotFound, fault.NotFound, 0},
		"live":                    {object.Head{Name: n, Current: "1"}, nil, 0, 0},
		"without a version":       {object.Head{Name: n}, nil, fault.NotFound, 0},
		"deleted":                 {object.Head{Name: n, Current: "1", Deletion: deletion}, nil, fault.NotFound, fault.Conflict},
		"a certificate's":         {object.Head{Name: n, Current: "1", Managed: true}, nil, 0, fault.Forbidden},
		"a deleted certificate's": {object.Head{Name: n, Current: "1", Managed: true, Deletion: deletion}, nil, fault.NotFound, fault.Conflict},
	} {
		heads := lifecycle.Heads{Subject: fault.Key, Read: func(context.Context, object.VaultID, object.Name) (object.Head, error) { return tc.head, tc.err }}
		_, err := heads.Live(t.Context(), "", n, "")
		expect(t, name+": live", err, tc.live)
		got, err := heads.Free(t.Context(), "", n, "create")
		expect(t, name+": free", err, tc.free)
		if err == nil && got != tc.head {
			t.Errorf("%s: %v", name, got)
		}
	}
	broken := errors.New("broken")
	heads := lifecycle.Heads{Read: func(context.Context, object.VaultID, object.Name) (object.Head, error) { return object.Head{}, broken }}
	if _, err := heads.Live(t.Context(), "", n, ""); !errors.Is(err, broken) {
		t.Error(err)
	}
	if _, err := heads.Free(t.Context(), "", n, ""); !errors.Is(err, broken) {
		t.Error(err)
	}
}

func expect(t *testing.T, what string, err error, kind fault.Kind) {
	t.Helper()
	if kind == 0 && err != nil || kind != 0 && !fault.Is(err, kind) {
		t.Errorf("%s: %v, want kind %s", what, err, strconv.Itoa(int(kind)))
	}
}
