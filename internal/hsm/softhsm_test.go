//go:build hsm

package hsm

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"coffer/internal/fault"
	"coffer/internal/pki"
	"coffer/internal/seal"
)

const (
	softHSMPath = "/usr/lib/softhsm/libsofthsm2.so"
	pin         = "2468"
)

// testHSM is a SoftHSM in a folder of the test. SoftHSM reads SOFTHSM2_CONF when
// it is initialized, so that tests of this package are not parallel.
type testHSM struct {
	t   testing.TB
	dir string
	pin string // what the PIN source gives
	log syncBuffer

	mu  sync.Mutex
	now time.Time // guarded by mu
}

func newHSM(t testing.TB) *testHSM {
	t.Helper()
	k := &testHSM{t: t, dir: folder(t), pin: pin, now: time.Date(2026, 1, 31, 0, 0, 0, 0, time.UTC)}
	k.run("../../scripts/softhsm", k.dir, "coffer-test", pin)
	t.Setenv("SOFTHSM2_CONF", filepath.Join(k.dir, "softhsm2.conf"))
	return k
}

// folder is a folder of the test; in memory where there is such a thing, for SoftHSM
// waits for the disk at each object.
func folder(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "coffer-hsm-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func (k *testHSM) run(name string, args ...string) []byte {
	k.t.Helper()
	return run(k.t, nil, name, args...)
}

// run gives what a program prints.
func run(t testing.TB, in []byte, name string, args ...string) []byte {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Stdin = bytes.NewReader(in)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s%s", name, err, out, stderr.Bytes())
	}
	return out
}

func (k *testHSM) config() Config {
	return Config{
		Module: softHSMPath, Token: "coffer-test", Sessions: 4,
		PIN:    func() (seal.Value, error) { return seal.NewValue([]byte(k.pin)), nil },
		Logger: slog.New(slog.NewTextHandler(&k.log, nil)),
		Now: func() time.Time {
			k.mu.Lock()
			defer k.mu.Unlock()
			return k.now
		},
	}
}

// pass moves the clock on.
func (k *testHSM) pass(d time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.now = k.now.Add(d)
}

func (k *testHSM) open() *Device {
	k.t.Helper()
	d, err := Open(k.config())
	if err != nil {
		k.t.Fatal(err)
	}
	k.t.Cleanup(func() {
		if err := d.Close(); err != nil {
			k.t.Error(err)
		}
	})
	return d
}

// remove takes the HSM away, as if it were pulled out; put brings it back.
func (k *testHSM) remove() { k.rename("tokens", "away") }
func (k *testHSM) put()    { k.rename("away", "tokens") }

func (k *testHSM) rename(from, to string) {
	k.t.Helper()
	if err := os.Rename(filepath.Join(k.dir, from), filepath.Join(k.dir, to)); err != nil {
		k.t.Fatal(err)
	}
}

// objects is what pkcs11-tool sees in the HSM.
func (k *testHSM) objects() string {
	k.t.Helper()
	return string(k.run("pkcs11-tool", "--module", softHSMPath, "--token-label", "coffer-test", "--login", "--pin", pin, "--list-objects"))
}

// lines counts the log's lines that hold word.
func (k *testHSM) lines(word string) int {
	n := 0
	for line := range strings.Lines(k.log.String()) {
		if strings.Contains(line, word) {
			n++
		}
	}
	return n
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

var _ io.Writer = (*syncBuffer)(nil)

// unavailable checks that err is a failure of the device that says so.
func unavailable(t testing.TB, err error, c *condition) {
	t.Helper()
	if !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), c.msg) {
		t.Errorf("got %v, want: %s", err, c.msg)
	}
}

var (
	rsa2048 = pki.KeySpec{Algorithm: pki.RSA, Size: 2048}
	ecSpecs = []pki.KeySpec{
		{Algorithm: pki.EC, Size: 256, Curve: pki.P256},
		{Algorithm: pki.EC, Size: 384, Curve: pki.P384},
		{Algorithm: pki.EC, Size: 521, Curve: pki.P521},
		{Algorithm: pki.EC, Size: 256, Curve: pki.P256K},
	}
)

func octSpec(bits int) pki.KeySpec { return pki.KeySpec{Algorithm: pki.Oct, Size: bits} }

func generate(t testing.TB, d *Device, spec pki.KeySpec) (ID, crypto.PublicKey) {
	t.Helper()
	id := NewID()
	public, err := d.Generate(t.Context(), id, spec)
	if err != nil {
		t.Fatalf("%v: %v", spec, err)
	}
	return id, public
}

func random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}
