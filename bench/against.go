package main

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
)

// against compares the vault with another build of it, in alternating windows: what
// a change has cost or gained.
func (r *run) against(other string) (err error) {
	data := filepath.Join(r.dir, "other")
	if err := os.Mkdir(data, 0o700); err != nil {
		return err
	}
	before, err := startVault(r.ctx, other, data, maxConns)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, before.stop()) }()
	if err := r.fill(1000); err != nil {
		return err
	}
	here := r.vault
	r.vault = before
	err = r.fill(1000)
	r.vault = here
	if err != nil {
		return err
	}
	var paths [2]map[string]string
	for i, v := range []*server{r.vault, before} {
		if paths[i], err = v.objects(r.ctx); err != nil {
			return err
		}
	}
	heading("operation", "connections", "this", "p50", "p99", "other", "p50", "p99", "ratio")
	for _, op := range []struct {
		name string
		do   func(v *server, paths map[string]string) action
	}{
		{"get certificate", reading("certificate")},
		{"list 25 of 1,000", reading("list")},
		{"get secret (PFX)", reading("PFX")},
		{"get secret", reading("secret")},
		{"sign ES256", posting("sign", `{"alg":"ES256","value":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}`)},
		{"set secret", func(v *server, _ map[string]string) action {
			return func(ctx context.Context, _, _ int) error {
				_, err := v.send(ctx, http.MethodPut, "/secrets/"+fresh("set"), []byte(`{"value":"a short value"}`))
				return err
			}
		}},
		{"import EC PEM", func(v *server, _ map[string]string) action {
			return func(ctx context.Context, _, _ int) error { return v.importPEM(ctx, fresh("imp"), r.pem) }
		}},
	} {
		if r.op != "" && r.op != op.name {
			continue
		}
		for _, n := range connections {
			ours, theirs, ratio, err := r.pair(n, op.do(r.vault, paths[0]), op.do(before, paths[1]))
			if err != nil {
				return err
			}
			row(op.name, n, perSecond(ours.rate), ours.p50, ours.p99, perSecond(theirs.rate), theirs.p50, theirs.p99, ratio)
		}
	}
	return nil
}

// objects makes one object of each kind and answers their paths, by what is done
// with them.
func (s *server) objects(ctx context.Context) (map[string]string, error) {
	if err := s.create(ctx, "read", `{"kty":"RSA"}`); err != nil {
		return nil, err
	}
	if _, err := s.send(ctx, http.MethodPut, "/secrets/plain", []byte(`{"value":"a short value"}`)); err != nil {
		return nil, err
	}
	out, err := s.send(ctx, http.MethodPost, "/keys/signer/create", []byte(`{"kty":"EC","crv":"P-256"}`))
	if err != nil {
		return nil, err
	}
	var made struct {
		Key struct {
			KID string `json:"kid"`
		} `json:"key"`
	}
	if err := json.Unmarshal(out, &made); err != nil {
		return nil, err
	}
	return map[string]string{
		"certificate": "/certificates/read", "list": "/certificates?maxresults=25", "PFX": "/secrets/read", "secret": "/secrets/plain",
		"sign": made.Key.KID[len(s.env["VAULT_URL"]):] + "/sign",
	}, nil
}

func reading(what string) func(*server, map[string]string) action {
	return func(v *server, paths map[string]string) action {
		return func(ctx context.Context, _, _ int) error {
			_, err := v.get(ctx, paths[what])
			return err
		}
	}
}

func posting(what, body string) func(*server, map[string]string) action {
	return func(v *server, paths map[string]string) action {
		return func(ctx context.Context, _, _ int) error {
			_, err := v.send(ctx, http.MethodPost, paths[what], []byte(body))
			return err
		}
	}
}
