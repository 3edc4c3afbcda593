package pipeline_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"coffer/internal/access"
	"coffer/internal/object"
	"coffer/internal/pipeline"
	"coffer/internal/rest"
	"coffer/internal/vault"
)

// half is a body that stays half-sent until it is let go.
type half struct {
	first io.Reader
	done  chan struct{}
}

func (h *half) Read(p []byte) (int, error) {
	if n, err := h.first.Read(p); err == nil {
		return n, nil
	}
	<-h.done
	return 0, io.ErrUnexpectedEOF
}

// hold sends half of a body of n bytes as the caller, and answers when the vault
// waits for the rest, or with the status of a refusal.
func (d *door) hold(t *testing.T, caller string, n int64, done chan struct{}, wg *sync.WaitGroup) int {
	t.Helper()
	reading, answered := make(chan struct{}), make(chan int, 1)
	body := &half{io.MultiReader(strings.NewReader(`{"color":"`), signal(reading)), done}
	r := httptest.NewRequest("POST", "https://toys.test/toy/ball", body)
	r.ContentLength = n
	r.Header.Set("Authorization", "Bearer "+caller)
	wg.Go(func() {
		rec := httptest.NewRecorder()
		d.ServeHTTP(rec, r)
		answered <- rec.Code
	})
	select {
	case <-reading:
		return 0
	case status := <-answered:
		return status
	}
}

// signal is a reader without bytes that tells when it is reached.
type signal chan struct{}

func (s signal) Read([]byte) (int, error) {
	close(s)
	return 0, io.EOF
}

// One who holds many half-sent bodies cannot have more than a share of what all of
// them may take; others still pass.
func TestHalfSentBodiesHaveAShare(t *testing.T) {
	for _, length := range []int64{60_000, -1} { // announced, and in pieces of 64 KiB
		d := newDoor(t)
		d.MaxBody = 64 << 10
		d.Budget = pipeline.NewBudgetOf(300_000, 150_000, 2, 1)
		d.mount(t)
		done, wg := make(chan struct{}), &sync.WaitGroup{}
		for i, want := range []int{0, 0, 429, 429} {
			if got := d.hold(t, "ann", length, done, wg); got != want {
				t.Errorf("%d: Ann's body %d: %d, want %d", length, i, got, want)
			}
		}
		if rec := d.do("POST", "/toy/ball", `{"color":"red"}`, "ben"); rec.Code != 200 {
			t.Errorf("%d: Ben: %d %s", length, rec.Code, rec.Body)
		}
		if rec := d.do("GET", "/toy/robot", "", "ann"); rec.Code != 200 {
			t.Errorf("%d: what has no body: %d %s", length, rec.Code, rec.Body)
		}
		for i, want := range []int{0, 0} {
			if got := d.hold(t, "ben", length, done, wg); got != want {
				t.Errorf("%d: Ben's body %d: %d, want %d", length, i, got, want)
			}
		}
		rec := d.do("POST", "/toy/ball", strings.Repeat("x", 64<<10), "carl")
		if rec.Code != 403 {
			t.Errorf("%d: who may nothing is told so first: %d", length, rec.Code)
		}
		close(done)
		wg.Wait()
		for range 10 { // what was held is given back
			if rec := d.do("POST", "/toy/ball", `{"color":"`+strings.Repeat("x", 50_000)+`"}`, "ann"); rec.Code != 200 {
				t.Errorf("%d: afterwards: %d %s", length, rec.Code, rec.Body)
			}
		}
	}
}

// TestWhoMayNothingHoldsNoBody: a body that names the object is not read of somebody who
// is refused whatever it names.
func TestWhoMayNothingHoldsNoBody(t *testing.T) {
	d := newDoor(t)
	d.Routes = []pipeline.Route{pipeline.NewRoute("/toy/{name}", pipeline.Method{Verb: "POST", Do: pipeline.NamedInBody(access.SecretRestore,
		func(in *rest.Input) string { return in.NeedText("color") },
		func(_ context.Context, _ *vault.Vault, text string) (named, error) { return named(text), nil },
		func(context.Context, access.Grant, named) (string, error) { return "", nil },
		func(pipeline.Request, string) rest.Reply { return rest.OK("") })})}
	d.mount(t)
	done, wg := make(chan struct{}), &sync.WaitGroup{}
	for range 40 {
		if got := d.hold(t, "carl", 500, done, wg); got != 403 {
			t.Fatalf("got %d: his body is being read", got)
		}
	}
	if got := d.hold(t, "ann", 500, done, wg); got != 0 {
		t.Errorf("whoever may do something there: %d before the body came", got)
	}
	close(done)
	wg.Wait()
}

type named string

func (n named) Name() object.Name { return object.MustName(string(n)) }

func TestWhenNothingIsLeftNobodyIsToBlame(t *testing.T) {
	d := newDoor(t)
	d.MaxBody, d.Budget = 64<<10, pipeline.NewBudgetOf(100_000, 100_000, 2, 1)
	d.mount(t)
	done, wg := make(chan struct{}), &sync.WaitGroup{}
	if got := d.hold(t, "ann", 60_000, done, wg); got != 0 {
		t.Fatal(got)
	}
	rec := d.do("POST", "/toy/ball", `{"color":"`+strings.Repeat("x", 50_000)+`"}`, "ben")
	if rec.Code != http.StatusServiceUnavailable || rec.Header().Get("Retry-After") != "1" {
		t.Errorf("%d %v %s", rec.Code, rec.Header(), rec.Body)
	}
	close(done)
	wg.Wait()
}

// Who leaves while waiting for a slot takes none.
func TestCostlyRequestsWaitForASlot(t *testing.T) {
	d := newDoor(t)
	d.Budget = pipeline.NewBudgetOf(1<<20, 1<<20, 2, 1)
	running, finish := make(chan struct{}), make(chan struct{})
	d.Routes = []pipeline.Route{pipeline.NewRoute("/toy/{name}", pipeline.Method{Verb: "POST", Do: pipeline.WithBody(access.SecretSet, parseToy,
		func(_ context.Context, _ access.Grant, color string) (string, error) {
			running <- struct{}{}
			<-finish
			return color, nil
		}, show).Heavy()})}
	d.mount(t)
	var wg sync.WaitGroup
	start := func(ctx context.Context, caller string, status chan int) {
		r := httptest.NewRequest("POST", "https://toys.test/toy/ball", strings.NewReader(`{"color":"red"}`)).WithContext(ctx)
		r.Header.Set("Authorization", "Bearer "+caller)
		wg.Go(func() {
			rec := httptest.NewRecorder()
			d.ServeHTTP(rec, r)
			status <- rec.Code
		})
	}
	first, second, other := make(chan int, 1), make(chan int, 1), make(chan int, 1)
	start(t.Context(), "ann", first)
	<-running
	ctx, leave := context.WithCancel(t.Context())
	start(ctx, "ann", second)
	start(t.Context(), "ben", other)
	<-running // Ben's
	leave()
	if got := <-second; got != http.StatusServiceUnavailable {
		t.Errorf("who left: %d", got)
	}
	finish <- struct{}{}
	finish <- struct{}{}
	if a, b := <-first, <-other; a != 200 || b != 200 {
		t.Errorf("%d, %d", a, b)
	}
	start(t.Context(), "ann", first)
	<-running
	finish <- struct{}{}
	if got := <-first; got != 200 {
		t.Errorf("afterwards: %d", got)
	}
	wg.Wait()
}

// One caller's keys do not take every place; what is answered gives its place back.
func TestKeysInTheMakingHaveAShare(t *testing.T) {
	d := newDoor(t)
	d.Budget = pipeline.NewBudgetOf(1<<20, 1<<20, 2, 1)
	running, finish := make(chan struct{}), make(chan struct{})
	d.Routes = []pipeline.Route{pipeline.NewRoute("/toy/{name}", pipeline.Method{Verb: "POST", Do: pipeline.WithBody(access.SecretSet, parseToy,
		func(_ context.Context, _ access.Grant, color string) (string, error) {
			if color == "slow" {
				running <- struct{}{}
				<-finish
			}
			return color, nil
		}, show).MakesKey()})}
	d.mount(t)
	done := make(chan int)
	go func() { done <- d.do("POST", "/toy/ball", `{"color":"slow"}`, "ann").Code }()
	<-running
	rec := d.do("POST", "/toy/ball", `{"color":"red"}`, "ann")
	if rec.Code != http.StatusTooManyRequests || rec.Header().Get("Retry-After") == "" {
		t.Errorf("a second key of one caller: %d %v", rec.Code, rec.Header())
	}
	if rec := d.do("POST", "/toy/ball", `{"color":"red"}`, "ben"); rec.Code != http.StatusOK {
		t.Errorf("another's: %d", rec.Code)
	}
	finish <- struct{}{}
	if code := <-done; code != http.StatusOK {
		t.Errorf("the first: %d", code)
	}
	if rec := d.do("POST", "/toy/ball", `{"color":"red"}`, "ann"); rec.Code != http.StatusOK {
		t.Errorf("afterwards: %d", rec.Code)
	}
}
