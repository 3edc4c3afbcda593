package audit

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func openReserve(t *testing.T) (*reserved, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "intents")
	f, err := openReserved(path)
	if err != nil {
		t.Fatal(err)
	}
	return f.(*reserved), path
}

func content(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestReservedRoomIsZerosBehindTheLines(t *testing.T) {
	f, path := openReserve(t)
	var want strings.Builder
	line := strings.Repeat("x", 1000) + "\n"
	for range 2*reserve/len(line) + 10 { // beyond the first two reserves
		if n, err := f.Write([]byte(line)); n != len(line) || err != nil {
			t.Fatal(n, err)
		}
		want.WriteString(line)
	}
	got := content(t, path)
	if len(got) != 3*reserve || strings.TrimRight(got, "\x00") != want.String() {
		t.Errorf("%d bytes, %d written", len(got), want.Len())
	}
	if err := f.Truncate(int64(len(line))); err != nil || content(t, path) != line {
		t.Errorf("cut: %v, %d bytes", err, len(content(t, path)))
	}
	f.Write([]byte("second\n"))
	if err := f.Close(); err != nil || content(t, path) != line+"second\n" {
		t.Errorf("closed: %v, %d bytes", err, len(content(t, path)))
	}
	again, err := openReserved(path)
	if err != nil {
		t.Fatal(err)
	}
	again.Write([]byte("third\n"))
	if got := strings.TrimRight(content(t, path), "\x00"); got != line+"second\nthird\n" {
		t.Errorf("opened again: %d bytes", len(got))
	}
	if info, _ := os.Stat(path); info.Mode().Perm() != 0o600 {
		t.Errorf("%v", info.Mode())
	}
}

// scarce has room for so many bytes more.
type scarce struct {
	*os.File
	left *int
}

func (f scarce) WriteAt(b []byte, at int64) (int, error) {
	if len(b) <= *f.left {
		*f.left -= len(b)
		return f.File.WriteAt(b, at)
	}
	n, _ := f.File.WriteAt(b[:*f.left], at)
	return n, errFull
}

func TestNoRoomToReserveIsNoFailure(t *testing.T) {
	f, path := openReserve(t)
	left := 100
	f.randomAccess = scarce{f.randomAccess.(*os.File), &left}
	if n, err := f.Write([]byte("line\n")); n != 5 || err != nil || content(t, path) != "line\n" {
		t.Errorf("%d %v", n, err)
	}
	left = 2
	if n, err := f.Write([]byte("another\n")); n != 2 || !errors.Is(err, errFull) {
		t.Errorf("%d %v", n, err)
	}
	left = 8
	if err := f.Truncate(5); err != nil {
		t.Fatal(err)
	}
	if n, err := f.Write([]byte("another\n")); n != 8 || err != nil || content(t, path) != "line\nanother\n" {
		t.Errorf("%d %v %q", n, err, content(t, path))
	}
}

// The process is killed: zeros follow the intents, or a torn one. Every intent is
// emitted once, and no zero comes into the log or beside it.
func TestZerosOfACrashAreCut(t *testing.T) {
	for _, torn := range []string{"", `{"intent":"half`} {
		l := openLog(t, Config{Sync: true})
		done, lost := intended(t, l), intended(t, l)
		finish(t, done, 200)
		path := l.cfg.Path + ".intent"
		data := []byte(content(t, path))
		if len(data) != reserve {
			t.Fatalf("%d bytes", len(data))
		}
		copy(data[len(bytes.TrimRight(data, "\x00")):], torn)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		l = openLog(t, Config{Path: l.cfg.Path, Sync: true})
		for e, want := range map[*Entry]string{done: "Success", lost: "Unknown"} {
			if got := results(t, l.cfg.Path, e.RequestID()); !slices.Equal(got, []string{want}) {
				t.Errorf("%q: %v, want %s", torn, got, want)
			}
		}
		beside, _ := os.ReadFile(path + ".torn")
		if got := strings.TrimSuffix(string(beside), "\n"); got != torn {
			t.Errorf("%q was moved aside as %q", torn, got)
		}
		if strings.Contains(content(t, l.cfg.Path), "\x00") {
			t.Error("zeros in the log")
		}
	}
}

// Compaction with an intent open goes through another file, which has room too.
func TestCompactionReservesAnew(t *testing.T) {
	l := openLog(t, Config{Sync: true})
	open := intended(t, l)
	l.compacts = 1
	finish(t, intended(t, l), 200)
	late := intended(t, l)
	path := l.cfg.Path + ".intent"
	if got := readLines(t, path); len(got) != 2 || got[0]["intent"] != open.RequestID() || got[1]["intent"] != late.RequestID() {
		t.Errorf("%v", got)
	}
	if err := l.Close(); err != nil || strings.Contains(content(t, path), "\x00") {
		t.Errorf("zeros stay after Close: %v", err)
	}
}
