package identity_test

import (
	"testing"

	"coffer/internal/identity/identitytest"
)

func TestMemoryKeepsWhatTxPromises(t *testing.T) {
	newDB := func(*testing.T) identitytest.DB { return identitytest.NewDB() }
	identitytest.TestDB(t, newDB)
	identitytest.TestConcurrent(t, newDB)
}
