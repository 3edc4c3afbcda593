package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// connections are the numbers of concurrent clients.
var connections = []int{1, 16, 64}

const maxConns = 128

// names makes every name of a run different.
var names atomic.Int64

func fresh(kind string) string { return fmt.Sprintf("%s-%d", kind, names.Add(1)) }

// run is one measurement in progress.
type run struct {
	plan
	ctx    context.Context
	binary string
	dir    string
	vault  *server
	pem    []byte // body of an import
}

func measure(ctx context.Context, p plan) (err error) {
	dir, err := os.MkdirTemp("", "coffer-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	r := &run{plan: p, ctx: ctx, dir: dir, binary: p.binary}
	if r.binary == "" {
		r.binary = filepath.Join(dir, "coffer")
		if out, err := exec.CommandContext(ctx, "go", "build", "-o", r.binary, "./cmd/coffer").CombinedOutput(); err != nil {
			return fmt.Errorf("building: %w\n%s", err, out)
		}
	}
	if r.pem, err = importBody(); err != nil {
		return err
	}
	data := filepath.Join(dir, "data")
	if err := os.Mkdir(data, 0o700); err != nil {
		return err
	}
	if r.vault, err = startVault(ctx, r.binary, data, maxConns); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.vault.stop()) }()
	fmt.Printf("%d processors, %s; window %s, %d rounds, medians\n\n", runtime.NumCPU(), runtime.Version(), p.window, p.rounds)
	if p.against != "" {
		return r.against(p.against)
	}
	for _, part := range []struct {
		name string
		run  func() error
	}{{"reads", r.reads}, {"writes", r.writes}, {"mixed", r.mixed}, {"hostile", r.hostile}, {"scale", r.scale}, {"keys", r.keys}} {
		if p.only == "" || p.only == part.name {
			if err := part.run(); err != nil {
				return fmt.Errorf("%s: %w", part.name, err)
			}
		}
	}
	return nil
}

// importBody is the body of an import of an EC certificate with its key.
func importBody() ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	t := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "bench"}, NotBefore: time.Now(), NotAfter: time.Now().AddDate(1, 0, 0)}
	der, err := x509.CreateCertificate(rand.Reader, t, t, key.Public(), key)
	if err != nil {
		return nil, err
	}
	pk, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	text := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pk})) + string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	return json.Marshal(map[string]string{"value": text})
}

// fill imports n certificates.
func (r *run) fill(n int) error {
	var left atomic.Int64
	left.Store(int64(n))
	errDone := errors.New("done")
	_, err := load(r.ctx, 16, time.Hour, func(ctx context.Context, _, _ int) error {
		if left.Add(-1) < 0 {
			return errDone
		}
		return r.vault.importPEM(ctx, fresh("fill"), r.pem)
	})
	if errors.Is(err, errDone) {
		return nil
	}
	return err
}

func heading(columns ...string) {
	fmt.Println("| " + strings.Join(columns, " | ") + " |")
	fmt.Println("|" + strings.Repeat("---|", len(columns)))
}

func row(cells ...any) {
	text := make([]string, len(cells))
	for i, c := range cells {
		switch v := c.(type) {
		case float64:
			text[i] = fmt.Sprintf("%.2f", v)
		case time.Duration:
			text[i] = fmt.Sprintf("%.2f ms", float64(v.Microseconds())/1000)
		default:
			text[i] = fmt.Sprint(v)
		}
	}
	fmt.Println("| " + strings.Join(text, " | ") + " |")
}

func perSecond(v float64) string {
	if v < 100 {
		return fmt.Sprintf("%.1f/s", v)
	}
	return fmt.Sprintf("%.0f/s", v)
}

// reads compares each read with a bare handler that answers the same bytes.
func (r *run) reads() error {
	if err := r.fill(1000); err != nil {
		return err
	}
	if err := r.vault.create(r.ctx, "read", `{"kty":"RSA"}`); err != nil {
		return err
	}
	heading("read", "connections", "vault", "p50", "p99", "bare handler", "p50", "p99", "ratio")
	for _, op := range []struct{ name, path string }{
		{"get certificate", "/certificates/read"},
		{"list 25 of 1,000", "/certificates?maxresults=25"},
		{"get secret (PFX)", "/secrets/read"},
	} {
		recorded, err := r.vault.answers(r.ctx, http.MethodGet, op.path, nil)
		if err != nil {
			return err
		}
		b, err := startBare(r.ctx, r.vault.data, recorded, "")
		if err != nil {
			return err
		}
		for _, n := range connections {
			ours, limit, ratio, err := r.pair(n, func(ctx context.Context, _, _ int) error {
				_, err := r.vault.get(ctx, op.path)
				return err
			}, func(ctx context.Context, _, _ int) error {
				_, err := exchange(ctx, r.vault.client, r.vault.token, http.MethodGet, b.url, nil, http.StatusOK)
				return err
			})
			if err != nil {
				b.stop()
				return err
			}
			row(op.name, n, perSecond(ours.rate), ours.p50, ours.p99, perSecond(limit.rate), limit.p50, limit.p99, ratio)
		}
		b.stop()
	}
	fmt.Println()
	return nil
}

type action func(ctx context.Context, worker, turn int) error

// window measures once.
type window func() (sample, error)

// alternate takes turns between windows; ratios are the medians of the ratios of
// the first to each, round by round.
func (r *run) alternate(windows ...window) (medians []sample, ratios []float64, err error) {
	all, quotients := make([][]sample, len(windows)), make([][]float64, len(windows))
	for range r.rounds {
		for i, measure := range windows {
			s, err := measure()
			if err != nil {
				return nil, nil, err
			}
			all[i] = append(all[i], s)
			quotients[i] = append(quotients[i], all[0][len(all[0])-1].rate/s.rate)
		}
	}
	for i := range windows {
		slices.Sort(quotients[i])
		medians, ratios = append(medians, median(all[i])), append(ratios, quotients[i][r.rounds/2])
	}
	return medians, ratios, nil
}

// pair alternates between two loads.
func (r *run) pair(n int, a, b action) (ours, other sample, ratio float64, err error) {
	s, ratios, err := r.alternate(
		func() (sample, error) { return load(r.ctx, n, r.window, a) },
		func() (sample, error) { return load(r.ctx, n, r.window, b) })
	if err != nil {
		return ours, other, 0, err
	}
	return s[0], s[1], ratios[1], nil
}

// rampUp is for what waits a second before it completes: see steady.
const rampUp = 3 * time.Second

// writes measures what changes the vault.
func (r *run) writes() error {
	heading("write", "connections", "vault", "p50", "p99")
	for _, op := range []struct {
		name string
		warm time.Duration
		do   action
	}{
		{"import EC PEM", 0, func(ctx context.Context, _, _ int) error { return r.vault.importPEM(ctx, fresh("imp"), r.pem) }},
		{"create EC until completed", rampUp, func(ctx context.Context, _, _ int) error { return r.vault.create(ctx, fresh("ec"), `{"kty":"EC"}`) }},
	} {
		for _, n := range connections {
			var all []sample
			for range r.rounds {
				s, err := steady(r.ctx, n, op.warm, max(r.window, 3*time.Second), op.do)
				if err != nil {
					return err
				}
				all = append(all, s)
			}
			m := median(all)
			row(op.name, n, perSecond(m.rate), m.p50, m.p99)
		}
	}
	fmt.Println()

	heading("create RSA-2048 until completed", "connections", "vault", "p50", "p99", "the same workers in-process", "ratio")
	window := max(5*r.window, 15*time.Second) // a key takes a large part of a second
	for _, n := range []int{16, 64} {
		var all []sample
		var limits, ratios []float64
		for range r.rounds {
			s, err := steady(r.ctx, n, rampUp, window, func(ctx context.Context, _, _ int) error {
				return r.vault.create(ctx, fresh("rsa"), `{"kty":"RSA","key_size":2048}`)
			})
			if err != nil {
				return err
			}
			limit, err := child(r.ctx, "-keygen", window.String())
			if err != nil {
				return err
			}
			all, limits, ratios = append(all, s), append(limits, limit), append(ratios, s.rate/limit)
		}
		slices.Sort(limits)
		slices.Sort(ratios)
		m := median(all)
		row("", n, perSecond(m.rate), m.p50, m.p99, perSecond(limits[len(limits)/2]), ratios[len(ratios)/2])
	}
	fmt.Println()
	return nil
}

// mixed reads while creates saturate the generation of keys.
func (r *run) mixed() error {
	return r.beside("16 others create RSA-2048", func(ctx context.Context, _, _ int) error {
		return r.vault.create(ctx, fresh("load"), `{"kty":"RSA","key_size":2048}`)
	})
}

// beside reads with and without others who do something else, on connections of their
// own.
func (r *run) beside(what string, others action) error {
	if err := r.vault.create(r.ctx, fresh("mixed"), `{"kty":"EC"}`); err != nil {
		return err
	}
	name := fresh("mixed")
	if err := r.vault.create(r.ctx, name, `{"kty":"EC"}`); err != nil {
		return err
	}
	read := func(ctx context.Context, _, _ int) error {
		_, err := r.vault.get(ctx, "/certificates/"+name)
		return err
	}
	var idle, busy []sample
	var ratios, tails []float64
	for range r.rounds {
		a, err := load(r.ctx, 16, r.window, read)
		if err != nil {
			return err
		}
		ctx, stop := context.WithCancel(r.ctx)
		done := make(chan error, 1)
		go func() {
			_, err := load(ctx, 16, time.Hour, func(ctx context.Context, worker, turn int) error {
				err := others(ctx, worker, turn)
				if ctx.Err() != nil {
					return nil
				}
				return err
			})
			done <- err
		}()
		time.Sleep(500 * time.Millisecond) // until the workers are busy
		b, err := load(r.ctx, 16, r.window, read)
		stop()
		if err := errors.Join(err, <-done); err != nil {
			return err
		}
		idle, busy = append(idle, a), append(busy, b)
		ratios, tails = append(ratios, b.rate/a.rate), append(tails, float64(b.p99)/float64(a.p99))
	}
	slices.Sort(ratios)
	slices.Sort(tails)
	heading("get certificate, 16 connections", "rate", "p50", "p99")
	i, b := median(idle), median(busy)
	row("idle", perSecond(i.rate), i.p50, i.p99)
	row("while "+what, perSecond(b.rate), b.p50, b.p99)
	fmt.Printf("\nthroughput kept: %.2f; p99: %.1f times the idle one\n\n", ratios[len(ratios)/2], tails[len(tails)/2])
	return nil
}

// scale looks at what grows with the number of certificates.
func (r *run) scale() error {
	list := func(ctx context.Context, _, _ int) error {
		_, err := r.vault.get(ctx, "/certificates?maxresults=25")
		return err
	}
	if err := r.fill(1000); err != nil {
		return err
	}
	small, err := load(r.ctx, 16, r.window, list)
	if err != nil {
		return err
	}
	if err := r.fill(r.objects); err != nil {
		return err
	}
	large, err := load(r.ctx, 16, r.window, list)
	if err != nil {
		return err
	}
	mem, err := r.vault.memory()
	if err != nil {
		return err
	}
	if err := r.vault.stop(); err != nil {
		return err
	}
	if r.vault, err = startVault(r.ctx, r.binary, r.vault.data, maxConns); err != nil {
		return err
	}
	idle, err := r.vault.memory()
	if err != nil {
		return err
	}
	heading("with more certificates", "value")
	row("first page of 25, with about 1,000", perSecond(small.rate))
	row(fmt.Sprintf("first page of 25, with %d more", r.objects), perSecond(large.rate))
	row("resident memory after importing them", fmt.Sprintf("%d MB", mem>>20))
	row("resident memory after a restart", fmt.Sprintf("%d MB", idle>>20))
	row("start until the environment file is there", r.vault.started)
	fmt.Println()
	return nil
}
