package store

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"coffer/internal/certificate"
	"coffer/internal/issuance"
	"coffer/internal/object"
	"coffer/internal/vault"
)

// filled makes a SQLite database of n certificates with a chain of the usual
// size.
func filled(b *testing.B, n int) (*DB, object.VaultID) {
	ctx := b.Context()
	db, err := Open(ctx, Config{Driver: SQLite, Path: filepath.Join(b.TempDir(), "coffer.db")})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { db.Close() })
	v := object.NewVaultID()
	now := object.Second(time.Now())
	later := now.AddDate(1, 0, 0)
	policy := &issuance.Policy{
		Key:         issuance.KeyProps{Type: "RSA", Size: 2048, Exportable: true},
		ContentType: issuance.PKCS12,
		X509: issuance.X509Props{Subject: "CN=web.example.com", SANs: &issuance.SANs{DNSNames: []string{"web.example.com"}},
			EKUs: []string{"1.3.6.1.5.5.7.3.1"}, KeyUsage: []string{"digitalSignature", "keyEncipherment"}, ValidityMonths: 12},
		Actions: []issuance.LifetimeAction{{Percentage: 80, Action: issuance.AutoRenew}},
		Issuer:  issuance.IssuerRef{Name: issuance.Self},
		Enabled: true, Created: now, Updated: now,
	}
	err = db.Update(ctx, func(tx *Tx) error {
		if err := tx.InsertVault(ctx, &vault.Vault{ID: v, Name: "bench", Revision: 1}); err != nil {
			return err
		}
		for i := range n {
			name := object.MustName(fmt.Sprintf("web-%06d", i))
			ver := object.NewVersion()
			err := tx.InsertCertificate(ctx, &certificate.Certificate{
				Head: object.Head{Vault: v, Name: name, Current: ver}, Policy: policy})
			if err != nil {
				return err
			}
			err = tx.InsertVersion(ctx, &certificate.Version{
				Vault: v, Name: name, Version: ver, Completed: true,
				Leaf: make([]byte, 1200), Chain: [][]byte{make([]byte, 1500)}, Thumbprint: make([]byte, 20),
				Attributes: object.Attributes{Enabled: true, NotBefore: &now, Expires: &later, Created: now, Updated: now},
				NextAction: later,
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	return db, v
}

// BenchmarkCurrentCertificate is the reading part of GET certificate.
func BenchmarkCurrentCertificate(b *testing.B) {
	const n = 10_000
	db, v := filled(b, n)
	ctx := context.WithoutCancel(b.Context())
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		i = (i + 7919) % n
		name := object.MustName(fmt.Sprintf("web-%06d", i))
		err := db.View(ctx, func(tx *Tx) error {
			_, _, err := tx.CurrentCertificate(ctx, v, name)
			return err
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}
