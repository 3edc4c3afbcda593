package daemon

import (
	"bytes"
	"log/slog"
	"math"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

func TestMemoryFollowsTheCgroup(t *testing.T) {
	before := debug.SetMemoryLimit(-1)
	defer debug.SetMemoryLimit(before)
	start := func(limit memlimit.Provider) (set int64, said string) {
		var b bytes.Buffer
		limitMemory(limit, slog.New(slog.NewTextHandler(&b, nil)))
		return debug.SetMemoryLimit(-1), b.String()
	}
	if got, said := start(memlimit.Limit(1000 << 20)); got != 900<<20 || !strings.Contains(said, "bytes=943718400") || !strings.Contains(said, "by=\"the cgroup\"") {
		t.Errorf("%d, %q", got, said)
	}
	if got, said := start(func() (uint64, error) { return 0, memlimit.ErrNoLimit }); got != math.MaxInt64 || !strings.Contains(said, "not limited") {
		t.Errorf("%d, %q", got, said)
	}
	debug.SetMemoryLimit(77 << 20)
	t.Setenv("GOMEMLIMIT", "77MiB")
	if got, said := start(memlimit.Limit(1000 << 20)); got != 77<<20 || !strings.Contains(said, "by=GOMEMLIMIT") {
		t.Errorf("what the operator set is not kept: %d, %q", got, said)
	}
}
