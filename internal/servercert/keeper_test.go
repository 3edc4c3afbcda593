package servercert

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// copyPair puts the listener's certificate of an own CA into dir, with times of
// modification far in the past, as cp -p and mv do.
func copyPair(t *testing.T, from, to string, files ...string) {
	t.Helper()
	for _, name := range files {
		raw, err := os.ReadFile(filepath.Join(from, name))
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(to, name)
		if err := os.WriteFile(path, raw, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, begin, begin); err != nil {
			t.Fatal(err)
		}
	}
}

// lines is a log that is written and read by two goroutines.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer // guarded by mu
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (l *lines) Reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.b.Reset()
}

// serving is the certificate that a client is shown.
func serving(t *testing.T, k *Keeper) []byte {
	t.Helper()
	c, err := k.Get(nil)
	if err != nil {
		t.Fatal(err)
	}
	return c.Certificate[0]
}

// TestFilesAreReadAgain: a renewed pair is used within a minute, whatever the
// times of its files; while the pair does not fit, the old one stays.
func TestFilesAreReadAgain(t *testing.T) {
	dir := t.TempDir()
	old, fresh := filepath.Join(dir, "old"), filepath.Join(dir, "fresh")
	c := &clock{begin}
	first := load(t, newOwn(t, old, c, names...))
	second := load(t, newOwn(t, fresh, c, names...))
	live := t.TempDir()
	copyPair(t, old, live, "server.crt", "server.key")
	synctest.Test(t, func(t *testing.T) {
		var log lines
		k, err := NewKeeper(Files{filepath.Join(live, "server.crt"), filepath.Join(live, "server.key")}, slog.New(slog.NewTextHandler(&log, nil)))
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- k.Run(ctx) }()
		pass := func() {
			time.Sleep(checkPeriod) // of fake time
			synctest.Wait()
		}
		pass()
		if log.String() != "" || !bytes.Equal(serving(t, k), first.Raw) {
			t.Errorf("nothing has changed: %s", &log)
		}
		copyPair(t, fresh, live, "server.crt")
		pass()
		if !bytes.Equal(serving(t, k), first.Raw) || !strings.Contains(log.String(), "cannot be loaded; the old one stays") {
			t.Errorf("half a renewal: %s", &log)
		}
		copyPair(t, fresh, live, "server.key")
		pass()
		if !bytes.Equal(serving(t, k), second.Raw) || !strings.Contains(log.String(), "the listener has a new certificate") {
			t.Errorf("a whole renewal: %s", &log)
		}
		log.Reset()
		if err := os.Remove(filepath.Join(live, "server.key")); err != nil {
			t.Fatal(err)
		}
		pass()
		if !bytes.Equal(serving(t, k), second.Raw) || !strings.Contains(log.String(), "no such file") {
			t.Errorf("a key that is gone: %s", &log)
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// TestOwnCertificateIsRenewedWhileServing: a minute after a third of its life is
// left, the listener has another one.
func TestOwnCertificateIsRenewedWhileServing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tls")
	synctest.Test(t, func(t *testing.T) {
		var passed atomic.Int64 // more than the keeper's ticks tell: a look a minute would cost a minute
		now := func() time.Time { return begin.Add(time.Duration(passed.Load())) }
		own, err := NewOwn(Config{Dir: dir, Names: names, Now: now, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		k, err := NewKeeper(own, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- k.Run(ctx) }()
		for step, renewed := range []bool{false, false, true, false, false, true} {
			before := serving(t, k)
			passed.Add(int64(leafLife/4 - time.Hour))
			if renewed {
				passed.Add(int64(4 * time.Hour))
			}
			time.Sleep(checkPeriod)
			synctest.Wait()
			after, err := x509.ParseCertificate(serving(t, k))
			if err != nil {
				t.Fatal(err)
			}
			if left := after.NotAfter.Sub(now()); left < renewLeft || bytes.Equal(before, after.Raw) == renewed {
				t.Errorf("step %d: %v are left, renewed %v, want %v", step, left, !renewed, renewed)
			}
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func TestKeeperNeedsACertificate(t *testing.T) {
	if _, err := NewKeeper(Files{"none.crt", "none.key"}, slog.New(slog.DiscardHandler)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

// TestHandshake: the callback is what crypto/tls wants of it.
func TestHandshake(t *testing.T) {
	o := newOwn(t, filepath.Join(t.TempDir(), "tls"), &clock{time.Now()}, names...)
	k, err := NewKeeper(o, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	a, b := net.Pipe()
	go func() { _ = tls.Server(a, &tls.Config{GetCertificate: k.Get}).HandshakeContext(t.Context()) }()
	ca, err := o.current()
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(ca.root)
	c := tls.Client(b, &tls.Config{RootCAs: roots, ServerName: "main.vault.test"})
	if err := c.HandshakeContext(t.Context()); err != nil {
		t.Error(err)
	}
}
