package identity_test

import (
	"testing"

	"coffer/internal/identity"
	"coffer/internal/identity/identitytest"
)

func TestMemoryKeepsWhatTxPromises(t *testing.T) {
	newDB := func(*testing.T) identity.DB { return identitytest.NewDB() }
	identitytest.TestDB(t, newDB)
	identitytest.TestConcurrent(t, newDB)
}
