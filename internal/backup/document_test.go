package backup_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"coffer/internal/backup"
	"coffer/internal/fault"
	"coffer/internal/object"
)

type version struct{ Text string }

func sealed(t *testing.T, doc any) string {
	t.Helper()
	value, err := backup.Key.Seal(t.Context(), plainSealer{}, "t", doc)
	if err != nil {
		t.Fatal(err)
	}
	return value
}

// Blobs are kept for years: what they hold is read under these names.
func TestTheFormatOfADocument(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	end := at.AddDate(1, 0, 0)
	doc := backup.Document[version, backup.Attributes]{Name: "Web", Policy: &version{"p"},
		Versions: []backup.Attributes{backup.Attributes(object.Attributes{Enabled: true, NotBefore: &at, Expires: &end, Created: at, Updated: end}), {}}}
	const want = `{"Name":"Web","Policy":{"Text":"p"},"Versions":[{"Enabled":true,"NotBefore":"2026-01-02T03:04:05Z","Expires":"2027-01-02T03:04:05Z",` +
		`"Created":"2026-01-02T03:04:05Z","Updated":"2027-01-02T03:04:05Z"},` +
		`{"Enabled":false,"NotBefore":null,"Expires":null,"Created":"0001-01-01T00:00:00Z","Updated":"0001-01-01T00:00:00Z"}]}`
	got, err := json.Marshal(doc)
	if err != nil || string(got) != want {
		t.Errorf("%v\ngot  %s\nwant %s", err, got, want)
	}
	got, _ = json.Marshal(backup.Document[version, version]{Name: "a"})
	if string(got) != `{"Name":"a","Versions":null}` {
		t.Errorf("%s", got)
	}
}

func TestADocumentComesBackForItsName(t *testing.T) {
	b, err := backup.Read[version, version](t.Context(), backup.Key, plainSealer{}, "t",
		sealed(t, backup.Document[version, version]{Name: "Web", Policy: &version{"p"}, Versions: []version{{"1"}, {"2"}}}))
	if err != nil || b.Name().String() != "Web" {
		t.Fatal(b, err)
	}
	text := func(v *version) (string, error) { return v.Text, nil }
	u, err := backup.Unpack(b, object.MustName("wEB"), text)
	if err != nil || u.Policy.Text != "p" || strings.Join(u.Versions, " ") != "1 2" {
		t.Error(u, err)
	}
	if _, err := backup.Unpack(b, object.MustName("other"), text); err == nil {
		t.Error("restored under another name than the one granted")
	}
	broken := errors.New("broken")
	if _, err := backup.Unpack(b, b.Name(), func(*version) (string, error) { return "", broken }); !errors.Is(err, broken) {
		t.Error(err)
	}
	if _, err := backup.Pack(backup.Key, []int{1}, func(int) (version, error) { return version{}, broken }); !errors.Is(err, broken) {
		t.Error(err)
	}
}

// A blob that opens and does not hold what it should is no fault of who restores it.
func TestADocumentIsReadWhole(t *testing.T) {
	for name, doc := range map[string]any{
		"no versions":  backup.Document[version, version]{Name: "a"},
		"no name":      backup.Document[version, version]{Versions: []version{{}}},
		"a new member": map[string]any{"Name": "a", "Versions": []map[string]string{{"Text": "1", "Later": "x"}}},
	} {
		_, err := backup.Read[version, version](t.Context(), backup.Key, plainSealer{}, "t", sealed(t, doc))
		if err == nil || fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
