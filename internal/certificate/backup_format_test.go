package certificate

import (
	"encoding/json"
	"testing"

	"coffer/internal/backup"
	"coffer/internal/key"
	"coffer/internal/object"
)

// Blobs are kept for years: what they hold of a version is read under these names.
func TestTheFormatOfABackedUpCertificate(t *testing.T) {
	const attributes = `{"Enabled":true,"NotBefore":null,"Expires":null,"Created":"0001-01-01T00:00:00Z","Updated":"0001-01-01T00:00:00Z"}`
	for _, tc := range []struct {
		version backupVersion
		want    string
	}{
		{backupVersion{"v", true, []byte("l"), [][]byte{[]byte("c")}, true, backup.Attributes{Enabled: true}, object.Tags{"a": "b"},
			[]key.Op{key.Sign}, true, "t", []byte("p"), []byte("s"), "w"},
			`{"Version":"v","Completed":true,"Leaf":"bA==","Chain":["Yw=="],"PreserveOrder":true,"Attributes":` + attributes +
				`,"Tags":{"a":"b"},"Ops":["sign"],"Exportable":true,"ContentType":"t","PKCS8":"cA==","Secret":"cw==","Previous":"w"}`},
		{backupVersion{Version: "v", Attributes: backup.Attributes{Enabled: true}},
			`{"Version":"v","Completed":false,"Chain":null,"PreserveOrder":false,"Attributes":` + attributes + `,"Tags":null,"Exportable":false}`},
	} {
		if got, err := json.Marshal(tc.version); err != nil || string(got) != tc.want {
			t.Errorf("%v\ngot  %s\nwant %s", err, got, tc.want)
		}
	}
}
