package key

import (
	"encoding/json"
	"testing"
	"time"

	"coffer/internal/backup"
	"coffer/internal/object"
)

// Blobs are kept for years: what they hold of a key is read under these names.
func TestTheFormatOfABackedUpKey(t *testing.T) {
	got, err := json.Marshal(backupVersion{"v", []byte("x"), []Op{Sign}, backup.Attributes{Enabled: true}, object.Tags{"a": "b"}})
	const want = `{"Version":"v","PKCS8":"eA==","Ops":["sign"],"Attributes":{"Enabled":true,"NotBefore":null,"Expires":null,` +
		`"Created":"0001-01-01T00:00:00Z","Updated":"0001-01-01T00:00:00Z"},"Tags":{"a":"b"}}`
	if err != nil || string(got) != want {
		t.Errorf("%v\ngot  %s\nwant %s", err, got, want)
	}
	got, err = json.Marshal(backupPolicy{"a", "b", "c", "d", time.Unix(1, 0).UTC(), time.Unix(2, 0).UTC()})
	const policy = `{"RotateAfterCreate":"a","RotateBeforeExpiry":"b","NotifyBeforeExpiry":"c","ExpiryTime":"d",` +
		`"Created":"1970-01-01T00:00:01Z","Updated":"1970-01-01T00:00:02Z"}`
	if err != nil || string(got) != policy {
		t.Errorf("%v\ngot  %s\nwant %s", err, got, policy)
	}
}
