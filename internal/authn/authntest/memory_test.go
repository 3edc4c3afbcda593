package authntest_test

import (
	"testing"

	"coffer/internal/authn/authntest"
	"coffer/internal/object"
)

func TestMemoryKeepsWhatTxPromises(t *testing.T) {
	newDB := func(*testing.T) object.DB[authntest.Tx] { return authntest.For[authntest.Tx]{DB: authntest.NewDB()} }
	authntest.TestDB(t, newDB)
	authntest.TestConcurrent(t, newDB)
}
