//go:build !hsm

package main

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"
)

// A configured HSM that this binary cannot speak to stops the start, and leaves
// nothing behind.
func TestAnHSMNeedsItsTag(t *testing.T) {
	for _, more := range [][]string{nil, {"--root-key-in-hsm"}} {
		dir := filepath.Join(t.TempDir(), "data")
		var stdout, stderr bytes.Buffer
		args := append([]string{"init", "--data", dir, "--suffix", "vault.test", "--hsm-module", "/x.so", "--hsm-token", "t"}, more...)
		if code := run(t.Context(), args, &stdout, &stderr); code != 1 || !strings.Contains(stderr.String(), "go build -tags hsm ./cmd/coffer") {
			t.Errorf("%v: exit code %d, %s", more, code, &stderr)
		}
		if left, _ := filepath.Glob(filepath.Join(dir, "*.yaml")); len(left) > 0 {
			t.Errorf("%v: left %v", more, left)
		}
		if left, _ := filepath.Glob(filepath.Join(dir, "root.key")); len(left) > 0 {
			t.Errorf("%v: left %v", more, left)
		}
	}
}
