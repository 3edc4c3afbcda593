package certificate_test

import (
	"bytes"
	"crypto/sha256"
	"database/sql"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"coffer/internal/access"
	"coffer/internal/certificate"
	"coffer/internal/directory"
	"coffer/internal/fresh"
	"coffer/internal/issuance"
	"coffer/internal/key"
	"coffer/internal/object"
	"coffer/internal/outbox"
	"coffer/internal/seal"
	"coffer/internal/secret"
	"coffer/internal/store"
	"coffer/internal/store/storetest"
	"coffer/internal/token"
	"coffer/internal/vault"
)

// boxes is an installation with boxes in every sealed column, and a way into its database
// beside it.
type boxes struct {
	*installation
	file *sql.DB
	keys *key.Service
}

func newBoxes(t *testing.T, place func(testing.TB) store.Config) *boxes {
	var cfg store.Config
	w, o := newOrdering(t, func(t testing.TB) store.Config { cfg = place(t); return cfg })
	o.polls = 1 << 30 // its orders wait
	b := &boxes{installation: w}
	driver, source := "sqlite", cfg.Path
	if cfg.Driver == store.Postgres {
		driver, source = "pgx", string(cfg.URL.Reveal())
	}
	var err error
	b.file, err = sql.Open(driver, source)
	w.must(err)
	t.Cleanup(func() { _ = b.file.Close() })
	out, err := outbox.New(store.For[outbox.DeliveryTx]{DB: w.db})
	w.must(err)
	b.keys, err = key.NewService(key.Config{DB: store.For[key.Tx]{DB: w.db}, Sealer: w.sealer, Maker: w, Now: w.now, Outbox: out,
		Logger: slog.New(slog.DiscardHandler), Wake: func() {}, Fresh: fresh.Source{Commits: w.db.Commits()},
		Record: func(object.Head, string) (func(*key.Bundle, error), error) { return nil, errors.New("nothing rotates") }})
	w.must(err)
	return b
}

// all are the boxes of a column.
func (b *boxes) all(column string) (list [][]byte) {
	b.Helper()
	table, name, _ := strings.Cut(column, ".")
	rows, err := b.file.Query("SELECT " + name + " FROM " + table + " WHERE " + name + " IS NOT NULL")
	b.must(err)
	defer rows.Close()
	for rows.Next() {
		var box []byte
		b.must(rows.Scan(&box))
		list = append(list, box)
	}
	return list
}

// put writes a box into a row, as somebody does who can write to the database.
func (b *boxes) put(column, row string, box []byte) {
	b.Helper()
	table, name, _ := strings.Cut(column, ".")
	r, err := b.file.Exec("UPDATE "+table+" SET "+name+" = $1 WHERE "+row, box)
	b.must(err)
	if n, err := r.RowsAffected(); err != nil || n != 1 {
		b.Fatalf("%d rows of %s are changed: %v", n, column, err)
	}
	b.db.Commits().Grow(fresh.All) // nothing is served from memory
}

// only is the one box of a column that is not among known.
func (b *boxes) only(column string, known [][]byte) (box []byte) {
	b.Helper()
	for _, x := range b.all(column) {
		if !slices.ContainsFunc(known, func(k []byte) bool { return bytes.Equal(k, x) }) {
			if box != nil {
				b.Fatalf("two new boxes in %s", column)
			}
			box = x
		}
	}
	return box
}

// A box that was copied to another version, name, vault or column opens nowhere, asked by the
// service that reads it; where it belongs it does.
func TestMovedBoxesDoNotOpen(t *testing.T) {
	for name, place := range map[string]func(testing.TB) store.Config{"SQLite": storetest.SQLite, "Postgres": storetest.Postgres} {
		t.Run(name, func(t *testing.T) {
			if name == "Postgres" && testing.Short() {
				return // -short leaves PostgreSQL out
			}
			movedBoxes(t, newBoxes(t, place))
		})
	}
}

func movedBoxes(t *testing.T, b *boxes) {
	ctx := t.Context()
	uses := map[string]func() error{} // by column: one box of it is opened by its service
	target := map[string][]byte{}     // that box
	home := "vault = '" + string(b.home.ID) + "' AND "
	row := map[string]string{ // and its row
		"secret_versions.value":              home + "name = 'app' AND seq = 2",
		"key_versions.private":               home + "name = 'sign' AND seq = 2",
		"certificate_operations.private":     home + "name = 'p2'",
		"certificate_operations.order_state": home + "name = 'o2'",
		"issuers.password":                   home + "name = 'corp'",
		"signing_keys.private":               "TRUE",
	}
	fill := func(column string, make ...func()) { // the last one makes the target
		t.Helper()
		for i, m := range make {
			before := b.all(column)
			m()
			if i == len(make)-1 {
				target[column] = b.only(column, before)
			}
		}
	}
	must2 := func(_ any, err error) { t.Helper(); b.must(err) }

	set := func(v *vault.Vault, n string) func() {
		return func() {
			must2(b.secrets.Set(ctx, b.grantIn(v, access.SecretSet, n), secret.SetParams{Value: seal.NewValue([]byte("x"))}))
		}
	}
	fill("secret_versions.value", set(b.near, "app"), set(b.home, "other"), set(b.home, "app"), set(b.home, "app"))
	uses["secret_versions.value"] = func() error {
		_, err := b.secrets.Get(ctx, b.grant(access.SecretGet, "app"), "", "")
		return err
	}
	makeKey := func(v *vault.Vault, n string) func() {
		return func() {
			must2(b.keys.Create(ctx, b.grantIn(v, access.KeyCreate, n), key.CreateParams{Type: "EC", Curve: ptr("P-256")}))
		}
	}
	fill("key_versions.private", makeKey(b.near, "sign"), makeKey(b.home, "else"), makeKey(b.home, "sign"), makeKey(b.home, "sign"))
	digest := sha256.Sum256(nil)
	es256, _ := key.ParseAlgorithm("ES256", key.Sign)
	uses["key_versions.private"] = func() error {
		_, err := b.keys.Sign(ctx, b.grant(access.KeySign, "sign"), "", key.UseParams{Op: key.Sign, Algorithm: es256, Value: digest[:]})
		return err
	}
	var op *issuance.Operation
	fill("certificate_operations.private", func() { b.begin("p1", policyOf("Unknown")) }, func() { op = b.begin("p2", policyOf("Unknown")) })
	root := newAuthority(t, "root", nil)
	leaf := root.certify(t, op.CSR)
	uses["certificate_operations.private"] = func() error {
		_, err := b.merge("p2", certificate.MergeParams{X5C: x5c(leaf, root.cert)})
		return err
	}
	password := seal.NewValue([]byte("password"))
	issuer := func(v *vault.Vault, n string) func() {
		return func() {
			must2(b.service.SetIssuer(ctx, b.grantIn(v, access.CertificateIssuerSet, ""), object.MustName(n),
				certificate.IssuerParams{Provider: ptr("Orders"), Enabled: ptr(true), Password: &password}))
		}
	}
	fill("issuers.password", issuer(b.near, "corp"), issuer(b.home, "rest"), issuer(b.home, "corp"))
	order := func(n string) func() { // until it waits
		return func() {
			b.begin(n, policyOf("corp"))
			b.must(b.work())
		}
	}
	fill("certificate_operations.order_state", order("o1"), order("o2"))
	ask := func() error { // each is asked once more, and waits
		b.pass(11 * time.Minute)
		return b.work()
	}
	uses["issuers.password"], uses["certificate_operations.order_state"] = ask, ask
	dir, err := directory.New(directory.Config{DB: store.For[directory.Tx]{DB: b.db}, Now: b.now})
	b.must(err)
	tokens := func() *token.Service { // a new process: it has no keys in memory
		tokens, err := token.New(token.Config{DB: store.For[token.Tx]{DB: b.db}, Sealer: b.sealer, Directory: dir,
			TenantID: "7e0b6b7e-0000-4000-8000-000000000001", BaseURL: "https://login.example.net", Now: b.now})
		b.must(err)
		return tokens
	}
	var kid string
	fill("signing_keys.private", func() {
		set, err := tokens().KeySet(ctx)
		b.must(err)
		if len(set.Keys) != 1 {
			t.Fatalf("%d signing keys", len(set.Keys))
		}
		kid = set.Keys[0].KeyID
	})
	uses["signing_keys.private"] = func() error {
		k, err := tokens().PublicKey(ctx, kid)
		if err == nil && k == nil {
			err = errors.New("it is not a key of ours")
		}
		return err
	}

	// Somebody who writes to the database can take the triggers away, too.
	for _, column := range store.SealedColumns() {
		table, name, _ := strings.Cut(column, ".")
		for _, on := range []string{"insert", "update"} {
			query := "DROP TRIGGER " + table + "_" + name + "_" + on
			if _, err := b.file.Exec(query); err != nil {
				if _, err = b.file.Exec(query + " ON " + table); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	tried := 0
	for _, column := range store.SealedColumns() {
		use := uses[column]
		if use == nil {
			t.Errorf("no service is known that reads %s", column)
			continue
		}
		for _, from := range store.SealedColumns() {
			others := b.all(from)
			if len(others) == 0 {
				t.Errorf("there is no box in %s", from)
			}
			for _, box := range others {
				if bytes.Equal(box, target[column]) {
					continue
				}
				tried++
				b.put(column, row[column], box)
				if err := use(); err == nil || column != "signing_keys.private" && !errors.Is(err, seal.ErrBox) {
					t.Errorf("%s with a box of %s: %v", column, from, err)
				}
				b.put(column, row[column], target[column])
			}
		}
	}
	if tried < 80 {
		t.Errorf("only %d boxes were moved", tried)
	}
	for _, column := range store.SealedColumns() {
		if column == "certificate_operations.order_state" || column == "issuers.password" {
			b.pass(11 * time.Minute)
		}
		if err := uses[column](); err != nil {
			t.Errorf("%s with its own box: %v", column, err)
		}
	}
}
