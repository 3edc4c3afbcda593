package daemon

import (
	"log/slog"
	"math"
	"os"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

// limitMemory has Go collect garbage early enough to stay below what limit says that the
// system lets the process have (of its cgroup, of version 1 or 2), of which a tenth is
// left to what Go does not count: SQLite's and the HSM's. What GOMEMLIMIT in the
// environment says, goes first.
func limitMemory(limit memlimit.Provider, log *slog.Logger) {
	from := "the cgroup"
	if _, set := os.LookupEnv("GOMEMLIMIT"); set {
		from = "GOMEMLIMIT"
	}
	bytes, err := memlimit.Set(memlimit.WithProvider(limit))
	switch {
	case err != nil: // of a system without cgroups, for one
		log.Info("memory is not limited", "reason", err)
	case bytes == math.MaxInt64:
		log.Info("memory is not limited")
	default:
		log.Info("memory is limited", "bytes", bytes, "by", from)
	}
}
