package main

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"net/http"
	"net/url"
	"runtime"
)

// keyOp is one operation on a key or a secret, as a request and as what it
// computes.
type keyOp struct {
	name   string
	method string
	object string                   // benchRSA, benchEC or benchSecret; "": a new secret each time
	verb   string                   // after the address of the object
	body   func(m *material) []byte // nil: none
	// compute is the same with the standard library; nil where there is next to
	// nothing to compute.
	compute func(m *material) error
	// slow: it takes milliseconds. The client keeps to one processor then, which is
	// more than it needs: those of a Go program that wait for work look for it, and
	// would take that time from the server.
	slow bool
}

// The objects that operations use.
const benchRSA, benchEC, benchSecret = "bench-rsa", "bench-ec", "bench-secret"

var keyOps = []keyOp{
	{"sign ES256", http.MethodPost, benchEC, "/sign",
		func(m *material) []byte { return members("alg", "ES256", "value", raw64(m.digest)) },
		func(m *material) error {
			_, err := ecdsa.SignASN1(rand.Reader, m.ec, m.digest)
			return err
		}, false},
	{"sign RS256", http.MethodPost, benchRSA, "/sign",
		func(m *material) []byte { return members("alg", "RS256", "value", raw64(m.digest)) },
		func(m *material) error {
			_, err := rsa.SignPKCS1v15(nil, m.rsa, crypto.SHA256, m.digest)
			return err
		}, true},
	{"verify RS256", http.MethodPost, benchRSA, "/verify",
		func(m *material) []byte {
			return members("alg", "RS256", "digest", raw64(m.digest), "value", raw64(m.signature))
		},
		func(m *material) error {
			return rsa.VerifyPKCS1v15(&m.rsa.PublicKey, crypto.SHA256, m.digest, m.signature)
		}, false},
	{"wrap RSA-OAEP-256", http.MethodPost, benchRSA, "/wrapkey",
		func(m *material) []byte { return members("alg", "RSA-OAEP-256", "value", raw64(m.plain)) },
		func(m *material) error {
			_, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, &m.rsa.PublicKey, m.plain, nil)
			return err
		}, false},
	{"unwrap RSA-OAEP-256", http.MethodPost, benchRSA, "/unwrapkey",
		func(m *material) []byte { return members("alg", "RSA-OAEP-256", "value", raw64(m.wrapped)) },
		func(m *material) error {
			_, err := rsa.DecryptOAEP(sha256.New(), nil, m.rsa, m.wrapped, nil)
			return err
		}, true},
	{"set secret", http.MethodPut, "", "",
		func(*material) []byte { return members("value", benchValue) }, nil, false},
	{"get secret", http.MethodGet, benchSecret, "", nil, nil, false},
}

// benchValue is the value of a secret: a password.
const benchValue = "correct horse battery staple"

// members is a JSON object of strings.
func members(pairs ...string) []byte {
	object := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		object[pairs[i]] = pairs[i+1]
	}
	text, err := json.Marshal(object)
	if err != nil {
		panic(err) // strings have JSON
	}
	return text
}

func raw64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// addresses are the paths of the objects that operations use.
type addresses map[string]string

// storeObjects puts the keys and a secret into the vault. Keys are addressed by
// version, as clients do.
func (r *run) storeObjects(m *material) (addresses, error) {
	number := func(n *big.Int) string { return raw64(n.Bytes()) }
	point, err := m.ec.PublicKey.Bytes()
	if err != nil {
		return nil, err
	}
	scalar, err := m.ec.Bytes()
	if err != nil {
		return nil, err
	}
	x, y := point[1:33], point[33:]
	paths := addresses{benchSecret: "/secrets/" + benchSecret}
	for name, jwk := range map[string]map[string]string{
		benchRSA: {"kty": "RSA", "n": number(m.rsa.N), "e": number(big.NewInt(int64(m.rsa.E))), "d": number(m.rsa.D),
			"p": number(m.rsa.Primes[0]), "q": number(m.rsa.Primes[1])},
		benchEC: {"kty": "EC", "crv": "P-256", "x": raw64(x), "y": raw64(y), "d": raw64(scalar)},
	} {
		body, err := json.Marshal(map[string]any{"key": jwk})
		if err != nil {
			return nil, err
		}
		out, err := r.vault.send(r.ctx, http.MethodPut, "/keys/"+name, body)
		if err != nil {
			return nil, err
		}
		var stored struct {
			Key struct {
				KID string `json:"kid"`
			} `json:"key"`
		}
		if err := json.Unmarshal(out, &stored); err != nil {
			return nil, err
		}
		id, err := url.Parse(stored.Key.KID)
		if err != nil {
			return nil, err
		}
		paths[name] = id.Path
	}
	_, err = r.vault.send(r.ctx, http.MethodPut, paths[benchSecret], members("value", benchValue))
	return paths, err
}

// at is the path of a request for an operation.
func (paths addresses) at(op keyOp) string {
	if op.object == "" {
		return "/secrets/" + fresh("set")
	}
	return paths[op.object] + op.verb
}

// keys compares each operation on keys and secrets with three limits: a bare
// handler that reads the same bytes and answers the same bytes; that handler when
// it computes the same for each request, which is what a server can reach that
// shares the machine with its clients; and the computation by itself, on all
// cores. They take turns, and ratios are the vault's rate to theirs.
func (r *run) keys() error {
	if err := makeKeys(r.vault.data); err != nil {
		return err
	}
	m, err := loadMaterial(r.vault.data)
	if err != nil {
		return err
	}
	paths, err := r.storeObjects(m)
	if err != nil {
		return err
	}
	heading("operation", "connections", "vault", "p50", "p99", "bare handler", "p50", "p99", "ratio",
		"bare handler that computes it too", "ratio", "in-process", "ratio")
	for _, op := range keyOps {
		if r.op != "" && r.op != op.name {
			continue
		}
		if err := r.keyOp(op, m, paths); err != nil {
			return fmt.Errorf("%s: %w", op.name, err)
		}
	}
	fmt.Println()
	return nil
}

// keyOp prints the rows of one operation.
func (r *run) keyOp(op keyOp, m *material, paths addresses) error {
	var body []byte
	if op.body != nil {
		body = op.body(m)
	}
	recorded, err := r.vault.answers(r.ctx, op.method, paths.at(op), body)
	if err != nil {
		return err
	}
	asking := func(url func() string) action {
		return func(ctx context.Context, _, _ int) error {
			_, err := exchange(ctx, r.vault.client, r.vault.token, op.method, url(), body, http.StatusOK)
			return err
		}
	}
	loads := []action{asking(func() string { return r.vault.url(paths.at(op)) })}
	computes := []string{""}
	if op.compute != nil {
		computes = append(computes, op.name)
	}
	for _, name := range computes {
		b, err := startBare(r.ctx, r.vault.data, recorded, name)
		if err != nil {
			return err
		}
		defer b.stop()
		loads = append(loads, asking(func() string { return b.url }))
	}
	if op.slow {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	}
	for _, n := range connections {
		var windows []window
		for _, do := range loads {
			windows = append(windows, func() (sample, error) { return load(r.ctx, n, r.window, do) })
		}
		if op.compute != nil {
			windows = append(windows, func() (sample, error) {
				rate, err := child(r.ctx, "-compute", op.name, "-keys", r.vault.data, "-window", r.window.String())
				return sample{rate: rate}, err
			})
		}
		s, ratios, err := r.alternate(windows...)
		if err != nil {
			return err
		}
		cells := []any{op.name, n, perSecond(s[0].rate), s[0].p50, s[0].p99, perSecond(s[1].rate), s[1].p50, s[1].p99, ratios[1], "-", "-", "-", "-"}
		for i := 2; i < len(s); i++ {
			cells[5+2*i], cells[6+2*i] = perSecond(s[i].rate), ratios[i]
		}
		row(cells...)
	}
	return nil
}
