package key_test

import (
	"bytes"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"coffer/internal/access"
	"coffer/internal/fresh"
	"coffer/internal/key"
	"coffer/internal/object"
)

// signs uses the private key of a name, and tells how many boxes that opened.
func (w *installation) signs(name string) int64 {
	w.Helper()
	before := w.opens.Load()
	_, err := w.use(name, key.Sign, "ES256", make([]byte, 32), nil)
	w.must(err)
	return w.opens.Load() - before
}

func TestKeysStayOpenForATime(t *testing.T) {
	for _, c := range []struct {
		claim  string
		change func(*key.Config)
		again  int64 // boxes opened by the second signature
	}{
		{"a minute", func(*key.Config) {}, 0},
		{"with nothing kept of what was read", func(c *key.Config) { c.Fresh = fresh.Source{} }, 0},
		{"not at all", func(c *key.Config) { c.KeepOpen = 0 }, 1},
	} {
		w := newInstallation(t, c.change)
		w.made("web", "EC")
		if n := w.signs("web"); n != 1 {
			t.Errorf("%s: the first signature opened %d", c.claim, n)
		}
		for range 3 {
			if n := w.signs("web"); n != c.again {
				t.Errorf("%s: another one opened %d", c.claim, n)
			}
		}
	}
}

// What is open belongs to one box: a new version, or a name that was used again,
// is opened anew; a version that may no longer be used is not used.
func TestOpenKeysFollowTheState(t *testing.T) {
	w := newInstallation(t)
	first := w.made("web", "EC").Version.Version
	w.signs("web")
	w.made("web", "EC")
	if n := w.signs("web"); n != 1 {
		t.Errorf("a new version opened %d", n)
	}
	if _, err := w.useWith(w.grant(access.KeySign, "web"), first, key.Sign, "ES256", make([]byte, 32), nil); err != nil {
		t.Error(err)
	}
	_, err := w.update("web", "", key.Given{Enabled: ptr(false)})
	w.must(err)
	if _, err := w.use("web", key.Sign, "ES256", make([]byte, 32), nil); err == nil {
		t.Error("a disabled key signs")
	}
	_, err = w.update("web", "", key.Given{Enabled: ptr(true)})
	w.must(err)
	if n := w.signs("web"); n != 0 {
		t.Errorf("the same box was opened %d times", n)
	}
	// The same version restored has another box.
	blob := w.backup("web")
	w.remove("web")
	if _, err := w.use("web", key.Sign, "ES256", make([]byte, 32), nil); err == nil {
		t.Error("a deleted key signs")
	}
	w.must(w.purge("web"))
	if _, err := w.use("web", key.Sign, "ES256", make([]byte, 32), nil); err == nil {
		t.Error("a purged key signs")
	}
	_, err = w.restore(w.home, blob)
	w.must(err)
	if n := w.signs("web"); n != 1 {
		t.Errorf("after the restore %d were opened", n)
	}
}

// What is read for a use is kept only until something is committed, wherever.
func TestReadsAreNeverStale(t *testing.T) {
	w := newInstallation(t)
	w.made("web", "EC")
	es256, _ := key.ParseAlgorithm("ES256", key.Sign)
	used := func(name string, ver object.Version) (*key.Version, error) {
		u, err := w.service.Sign(t.Context(), w.grant(access.KeySign, name), ver, key.UseParams{Op: key.Sign, Algorithm: es256, Value: make([]byte, 32)})
		if err != nil {
			return nil, err
		}
		return u.Version, nil
	}
	a, err := used("web", "")
	w.must(err)
	if b, err := used("web", ""); a != b || err != nil {
		t.Error("nothing was committed, and it was read again", err)
	}
	w.made("other", "EC")
	if b, err := used("web", ""); err != nil || a == b || b.Version != a.Version {
		t.Error("something was committed, and it was not read again", err)
	}
	for i := range 3000 { // more than are kept
		if _, err := used("web", id(i)); err == nil {
			t.Fatal("found")
		}
	}
	if b, err := used("WEB", ""); err != nil || b.Version != a.Version {
		t.Error("another version", err)
	}
}

func TestManyKeysOpenAtOnceAreBounded(t *testing.T) {
	w := newInstallation(t)
	for i := range 300 {
		w.made(fmt.Sprint("key-", i), "EC")
	}
	for range 2 {
		for i := range 300 {
			w.signs(fmt.Sprint("key-", i))
		}
	}
	if n := key.Opened(w.service); n > 256 || n == 0 {
		t.Errorf("%d keys are open", n)
	}
}

// A key leaves memory when its time is over, though nobody asks for it any more.
func TestOpenKeysAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := key.NewOpened(time.Minute)
		box := []byte("box")
		o.Put("a", box)
		if !o.Has("a", box) || o.Has("a", []byte("bax")) || o.Has("b", box) {
			t.Error("at once")
		}
		time.Sleep(30 * time.Second)
		o.Put("b", box)
		time.Sleep(31 * time.Second)
		if o.Has("a", box) || !o.Has("b", box) {
			t.Error("after a minute")
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := o.Len(); n != 0 {
			t.Errorf("after two minutes there are %d", n)
		}
		o.Put("c", bytes.Clone(box)) // the timer runs anew
		time.Sleep(61 * time.Second)
		synctest.Wait()
		if n := o.Len(); n != 0 {
			t.Errorf("after another there are %d", n)
		}
	})
}
