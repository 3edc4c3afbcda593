package backup_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"coffer/internal/backup"
	"coffer/internal/fault"
	"coffer/internal/object"
	"coffer/internal/seal"
)

// plainSealer is a sealer that hides nothing but keeps to its places.
type plainSealer struct{ broken error }

func (g plainSealer) Seal(_ context.Context, p seal.Place, plain seal.Value) (seal.Box, error) {
	return append(fmt.Appendf(nil, "%v\n", p), plain.Reveal()...), g.broken
}

func (g plainSealer) Open(_ context.Context, p seal.Place, b seal.Box) (seal.Value, error) {
	plain, ok := strings.CutPrefix(string(b), fmt.Sprintf("%v\n", p))
	if !ok {
		return seal.Value{}, seal.ErrBox
	}
	return seal.NewValue([]byte(plain)), g.broken
}

type doc struct{ Text string }

func TestABackupOpensForItsKindAndTenant(t *testing.T) {
	kinds := []backup.Kind{backup.Certificate, backup.Key, backup.Secret}
	for i, k := range kinds {
		value, err := k.Seal(t.Context(), plainSealer{}, "Tenant-1", doc{"x"})
		if err != nil {
			t.Fatal(err)
		}
		for j, other := range kinds {
			for _, tenant := range []string{"tenant-1", "tenant-2"} {
				var got doc
				err := other.Open(t.Context(), plainSealer{}, tenant, value, &got)
				if opens := i == j && tenant == "tenant-1"; opens != (err == nil) || opens != (got.Text == "x") {
					t.Errorf("%v as %v for %s: %v, %v", k, other, tenant, got, err)
				}
				var e *fault.Error
				if err != nil && (!errors.As(err, &e) || e.Reason != fault.MalformedBackup || e.Msg != "Backup blob is corrupt.") {
					t.Errorf("%v as %v for %s: %v", k, other, tenant, err)
				}
			}
		}
	}
}

// The largest value that is given fits into the body of a restore, 16 MiB.
func TestTheLargestBackupIsTakenBack(t *testing.T) {
	largest, last := 0, ""
	for n := 12_581_800; n < 12_582_400; n += 100 {
		value, err := backup.Key.Seal(t.Context(), plainSealer{}, "t", doc{strings.Repeat("x", n)})
		if err != nil {
			if !fault.Is(err, fault.Invalid) || err.Error() != "The key is too large to be backed up." {
				t.Error(err)
			}
			break
		}
		largest, last = len(value), value
	}
	if err := backup.Key.Open(t.Context(), plainSealer{}, "t", last, &doc{}); err != nil {
		t.Errorf("%d characters: %v", largest, err)
	}
	if body := largest + len(`{"value":""}`); body < 16<<20-2<<10 || body > 16<<20 {
		t.Errorf("the largest body has %d bytes", body)
	}
}

// What is wrong with the vault is no fault of the backup.
func TestOwnFailuresAreNotTheBackups(t *testing.T) {
	broken := errors.New("the root key is away")
	value, err := backup.Secret.Seal(t.Context(), plainSealer{}, "t", doc{"x"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := backup.Secret.Seal(t.Context(), plainSealer{broken}, "t", doc{}); !errors.Is(err, broken) {
		t.Error(err)
	}
	if err := backup.Secret.Open(t.Context(), plainSealer{broken}, "t", value, &doc{}); !errors.Is(err, broken) || fault.Is(err, fault.Invalid) {
		t.Error(err)
	}
	if err := backup.Secret.Open(t.Context(), plainSealer{}, "t", value, &[]string{}); err == nil || fault.Is(err, fault.Invalid) {
		t.Error(err)
	}
}

func TestTexts(t *testing.T) {
	keep := func(n int) (int, error) { return n, nil }
	if _, err := backup.Pack(backup.Secret, make([]int, 500), keep); err != nil {
		t.Error(err)
	}
	if _, err := backup.Pack(backup.Certificate, make([]int, 501), keep); err == nil || err.Error() != "A certificate with more than 500 versions cannot be backed up." {
		t.Error(err)
	}
	want := "There was a conflict restoring the key 'Web/1'. This can happen if either: a second key with the same name was created after the first key was deleted;" +
		" thus trying to restore a key whose name is already in use. To fix this, rename the second key to something else so that the restore works." +
		" The second probable cause of this exception is when multiple operations are performed in parallel against the key." +
		" To avoid this error, perform operations against a key in a sequential manner."
	if got := backup.Key.Conflict(object.MustName("Web"), "1"); got.Error() != want || !fault.Is(got, fault.Conflict) {
		t.Errorf("got %s\nwant %s", got, want)
	}
}
