package main

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"coffer/internal/seal"
	"coffer/internal/store"
	"coffer/internal/store/storetest"
)

// expected is what a certificate must be, by the answers that came.
type expected struct {
	name       string
	state      string // "pending" of Self, "merge" of Unknown, "live", "deleted", "purged"
	id         string // of the operation, or of the version
	thumbprint string // of an imported or merged version
	key        []byte // SubjectPublicKeyInfo of an imported version
	inFlight   bool   // one more change was asked for and not answered
}

// load runs changes from several workers at one time and remembers what was
// answered.
type load struct {
	p  *process
	ca *outsideCA

	mu      sync.Mutex
	certs   []*expected
	acked   []string // request ids of changes that were answered with success
	wrong   []string // answers that should not be
	changes int
	enough  chan struct{} // closed after that many changes
	target  int
	ending  bool // answers may fail from here on

	// mayRefuse allows answers of 500 and above: a disk is full, or PostgreSQL has
	// refused a transaction for its neighbours too often.
	mayRefuse bool
}

func newLoad(p *process, ca *outsideCA, changes int) *load {
	return &load{p: p, ca: ca, enough: make(chan struct{}), target: changes}
}

// run works until the server is gone, or ctx ends.
func (l *load) run(ctx context.Context, round, workers int) *sync.WaitGroup {
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				name := fmt.Sprintf("r%d-w%d-%d", round, w, i)
				if !l.one(name, (w+i)%5) && !l.goesOn() {
					return
				}
			}
		})
	}
	return &wg
}

// one walks one certificate through a life of that kind; false when no answer
// came.
func (l *load) one(name string, kind int) bool {
	e := &expected{name: name}
	l.mu.Lock()
	l.certs = append(l.certs, e)
	l.mu.Unlock()
	switch kind {
	case 0: // created, and signed by the vault after a second
		return l.create(e, "Self", "pending")
	case 1: // imported and deleted
		return l.imported(e) && l.change(e, http.StatusOK, "deleted", http.MethodDelete, "/certificates/"+name, nil)
	case 2: // imported, deleted, purged
		return l.imported(e) && l.change(e, http.StatusOK, "deleted", http.MethodDelete, "/certificates/"+name, nil) &&
			l.change(e, http.StatusNoContent, "purged", http.MethodDelete, "/deletedcertificates/"+name, nil)
	case 3: // requested, signed elsewhere, merged
		return l.create(e, "Unknown", "merge") && l.merge(e)
	default:
		return l.imported(e)
	}
}

// change asks for one change; afterwards the certificate is in that state.
func (l *load) change(e *expected, status int, state, method, path string, body any) bool {
	_, ok := l.ask(e, status, state, method, path, body)
	return ok
}

func (l *load) ask(e *expected, status int, state, method, path string, body any) (answer, bool) {
	l.mu.Lock()
	e.inFlight = true
	l.mu.Unlock()
	a, err := l.p.do(method, path, body)
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		if !l.ending {
			l.wrong = append(l.wrong, err.Error())
		}
		return a, false
	}
	if a.status >= http.StatusInternalServerError && l.mayRefuse {
		return a, false // the answer leaves it open
	}
	e.inFlight = false
	if a.status != status {
		l.wrong = append(l.wrong, fmt.Sprintf("%s %s: %d, want %d: %v", method, path, a.status, status, a.body))
		return a, false
	}
	e.state = state
	l.acked = append(l.acked, a.request)
	if l.changes++; l.changes == l.target {
		close(l.enough)
	}
	return a, true
}

// goesOn reports whether a worker may try another certificate.
func (l *load) goesOn() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mayRefuse && !l.ending
}

// over says that answers may fail from here on.
func (l *load) over() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ending = true
}

func creation(name, issuer string) map[string]any {
	return map[string]any{"policy": map[string]any{
		"key_props":    map[string]any{"kty": "EC", "crv": "P-256"},
		"secret_props": map[string]any{"contentType": "application/x-pem-file"},
		"x509_props":   map[string]any{"subject": "CN=" + name},
		"issuer":       map[string]any{"name": issuer},
	}}
}

func (l *load) create(e *expected, issuer, state string) bool {
	a, ok := l.ask(e, http.StatusAccepted, state, http.MethodPost, "/certificates/"+e.name+"/create", creation(e.name, issuer))
	e.id = a.text("request_id")
	return ok
}

func (l *load) imported(e *expected) bool {
	var text string
	_, text, e.key = selfSignedPEM(e.name)
	body := map[string]any{"value": text, "policy": map[string]any{"secret_props": map[string]any{"contentType": "application/x-pem-file"}}}
	a, ok := l.ask(e, http.StatusOK, "live", http.MethodPost, "/certificates/"+e.name+"/import", body)
	e.thumbprint = a.text("x5t")
	return ok
}

func (l *load) merge(e *expected) bool {
	a, err := l.p.do(http.MethodGet, "/certificates/"+e.name+"/pending", nil)
	if err != nil || a.status >= http.StatusInternalServerError && l.mayRefuse {
		return false
	}
	csr, _ := base64.StdEncoding.DecodeString(a.text("csr"))
	leaf, err := l.ca.sign(csr)
	if err != nil {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.wrong = append(l.wrong, fmt.Sprintf("%s: the request cannot be signed: %v: %v", e.name, err, a.body))
		return false
	}
	a, ok := l.ask(e, http.StatusCreated, "live", http.MethodPost, "/certificates/"+e.name+"/pending/merge", map[string]any{"x5c": [][]byte{leaf}})
	e.thumbprint = a.text("x5t")
	return ok
}

// check asks p whether everything that was answered is there. What was asked for
// and not answered may have happened or not, but not half.
func (l *load) check(p *process) {
	p.t.Helper()
	for _, text := range l.wrong {
		p.t.Error(text)
	}
	var wg sync.WaitGroup
	slots := make(chan struct{}, 8)
	for _, e := range l.certs {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			if err := l.look(p, e); err != nil {
				p.t.Errorf("%s (%s, in flight %v): %v", e.name, e.state, e.inFlight, err)
			}
		})
	}
	wg.Wait()
}

func (l *load) look(p *process, e *expected) error {
	live, err := p.do(http.MethodGet, "/certificates/"+e.name+"/", nil)
	if err != nil {
		return err
	}
	deleted, err := p.do(http.MethodGet, "/deletedcertificates/"+e.name, nil)
	if err != nil {
		return err
	}
	there := live.status == http.StatusOK
	gone := live.status == http.StatusNotFound
	binned := deleted.status == http.StatusOK
	if !there && !gone || there && binned {
		return fmt.Errorf("live %d, deleted %d", live.status, deleted.status)
	}
	ok := false
	switch e.state {
	case "": // nothing was answered
		ok = e.inFlight
	case "pending":
		ok = there
	case "merge":
		ok = there
	case "live":
		ok = there || e.inFlight && binned
	case "deleted":
		ok = binned || e.inFlight && gone
	case "purged":
		ok = gone && !binned
	}
	if !ok {
		return fmt.Errorf("live %d, deleted %d", live.status, deleted.status)
	}
	if e.state == "pending" || e.state == "merge" {
		if err := l.finish(p, e); err != nil {
			return err
		}
		live = p.must(http.StatusOK, http.MethodGet, "/certificates/"+e.name+"/", nil)
	}
	if !there || e.state == "" { // what was not answered is checked in the database
		return nil
	}
	if e.thumbprint != "" && live.text("x5t") != e.thumbprint {
		return fmt.Errorf("its thumbprint is %s, want %s", live.text("x5t"), e.thumbprint)
	}
	return whole(p, e, live)
}

// finish brings a pending operation to its end: the vault signs, or the outside
// CA does. A merge that was not answered may have happened.
func (l *load) finish(p *process, e *expected) error {
	op := p.must(http.StatusOK, http.MethodGet, "/certificates/"+e.name+"/pending", nil)
	if op.text("request_id") != e.id {
		return fmt.Errorf("the operation is %s, want %s", op.text("request_id"), e.id)
	}
	if e.state == "merge" && op.text("status") == "inProgress" {
		again := &load{p: p, ca: l.ca, enough: make(chan struct{})}
		if !again.merge(e) {
			return fmt.Errorf("it cannot be merged: %v", again.wrong)
		}
		return nil
	}
	for end := time.Now().Add(deadline); op.text("status") == "inProgress"; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			return fmt.Errorf("the operation does not go on: %v", op.body)
		}
		op = p.must(http.StatusOK, http.MethodGet, "/certificates/"+e.name+"/pending", nil)
	}
	if op.text("status") != "completed" {
		return fmt.Errorf("the operation ended %v", op.body)
	}
	return nil
}

// whole wants the key and the secret of a certificate, and all three of one key.
func whole(p *process, e *expected, live answer) error {
	version := live.text("id")[strings.LastIndex(live.text("id"), "/")+1:]
	cer, err := base64.StdEncoding.DecodeString(live.text("cer"))
	if err != nil {
		return err
	}
	leaf, err := x509.ParseCertificate(cer)
	if err != nil {
		return err
	}
	if e.key != nil && !bytes.Equal(leaf.RawSubjectPublicKeyInfo, e.key) {
		return fmt.Errorf("it has another key than the one imported")
	}
	key := p.must(http.StatusOK, http.MethodGet, "/keys/"+e.name+"/"+version, nil)
	jwk, _ := key.body["key"].(map[string]any)
	point := leaf.PublicKey.(*ecdsa.PublicKey)
	raw, err := point.Bytes() // 4, x, y
	if err != nil || jwk["x"] != base64.RawURLEncoding.EncodeToString(raw[1:33]) || jwk["y"] != base64.RawURLEncoding.EncodeToString(raw[33:]) {
		return fmt.Errorf("its key is another: %v", jwk)
	}
	secret := p.must(http.StatusOK, http.MethodGet, "/secrets/"+e.name+"/"+version, nil)
	block, rest := pem.Decode([]byte(secret.text("value")))
	if block == nil {
		return fmt.Errorf("its secret is not PEM")
	}
	private, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return err
	}
	if !point.Equal(private.(crypto.Signer).Public()) {
		return fmt.Errorf("its secret has another key")
	}
	if block, _ = pem.Decode(rest); block == nil || !bytes.Equal(block.Bytes, cer) {
		return fmt.Errorf("its secret has another certificate")
	}
	return nil
}

// selfSignedPEM is a certificate with a fresh P-256 key.
func selfSignedPEM(cn string) (key *ecdsa.PrivateKey, text string, spki []byte) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	t := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: cn},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(240 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, t, t, key.Public(), key)
	if err != nil {
		panic(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		panic(err)
	}
	if spki, err = x509.MarshalPKIXPublicKey(key.Public()); err != nil {
		panic(err)
	}
	return key, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})) +
		string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), spki
}

// outsideCA signs requests for certificates of the issuer Unknown.
type outsideCA struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newOutsideCA(t *testing.T) *outsideCA {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Outside"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &outsideCA{cert, key}
}

func (ca *outsideCA) sign(csr []byte) ([]byte, error) {
	req, err := x509.ParseCertificateRequest(csr)
	if err == nil {
		err = req.CheckSignature()
	}
	if err != nil {
		return nil, err
	}
	t := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: req.Subject,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(12 * time.Hour)}
	return x509.CreateCertificate(rand.Reader, t, ca.cert, req.PublicKey, ca.key)
}

// checkVault walks the audit log of a stopped vault, and opens its database and walks
// all of it, with every box.
// authenticate gives a database the keys of its own installation.
func authenticate(t *testing.T, db *store.DB, sealer *seal.Sealer) {
	t.Helper()
	keys, err := sealer.RowKeys(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	db.Authenticate(keys)
}

func (f *folder) checkVault() {
	f.t.Helper()
	if said, well := f.verify(); !well {
		f.t.Errorf("the audit log: %s", said)
	}
	db, err := store.Open(f.t.Context(), f.database())
	if err != nil {
		f.t.Fatal(err)
	}
	defer db.Close()
	root, err := seal.OpenRootFile(f.path("root.key"), seal.Value{})
	if err != nil {
		f.t.Fatal(err)
	}
	sealer := seal.NewSealer(root, store.For[seal.Tx]{DB: db}, time.Now)
	authenticate(f.t, db, sealer)
	boxes := 0
	for _, err := range storetest.CheckVault(f.t.Context(), db, func(p seal.Place, b seal.Box) error {
		boxes++
		_, err := sealer.Open(f.t.Context(), p, b)
		return err
	}) {
		f.t.Error(err)
	}
	if boxes == 0 {
		f.t.Error("the check opened no box")
	}
}

// record is what the tests read of a line of the audit log.
type record struct {
	Operation  string `json:"operationName"`
	Result     string `json:"resultType"`
	Properties struct {
		RequestID string `json:"requestId"`
	} `json:"properties"`
}

// records are those of the audit log, which must be whole lines.
func (f *folder) records() (all []record) {
	f.t.Helper()
	for line := range bytes.Lines(f.read("audit.jsonl")) {
		var r record
		if err := json.Unmarshal(line, &r); err != nil || line[len(line)-1] != '\n' {
			f.t.Fatalf("a line of the audit log is torn: %v: %.200s", err, line)
		}
		all = append(all, r)
	}
	return all
}

// checkRecords wants a record of success for each request that was answered
// with it.
func (f *folder) checkRecords(requests []string) {
	f.t.Helper()
	seen := map[string]bool{}
	for _, r := range f.records() {
		seen[r.Properties.RequestID] = seen[r.Properties.RequestID] || r.Result == "Success"
	}
	for _, id := range requests {
		if !seen[id] {
			f.t.Errorf("the request %q was answered with success and has no such record", id)
		}
	}
}
