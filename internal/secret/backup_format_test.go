package secret

import (
	"encoding/json"
	"testing"

	"coffer/internal/backup"
	"coffer/internal/object"
)

// Blobs are kept for years: what they hold of a version is read under these names.
func TestTheFormatOfABackedUpSecret(t *testing.T) {
	got, err := json.Marshal(backupVersion{"v", "text/plain", []byte("x"), backup.Attributes{Enabled: true}, object.Tags{"a": "b"}})
	const want = `{"Version":"v","ContentType":"text/plain","Value":"eA==","Attributes":{"Enabled":true,"NotBefore":null,"Expires":null,` +
		`"Created":"0001-01-01T00:00:00Z","Updated":"0001-01-01T00:00:00Z"},"Tags":{"a":"b"}}`
	if err != nil || string(got) != want {
		t.Errorf("%v\ngot  %s\nwant %s", err, got, want)
	}
}
