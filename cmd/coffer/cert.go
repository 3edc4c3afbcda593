package main

import (
	"context"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azcertificates"
)

type certCmd struct {
	Create certCreateCmd `cmd:"" help:"Create a certificate and wait until it is issued."`
	List   certListCmd   `cmd:"" help:"List certificates."`
	Show   certShowCmd   `cmd:"" help:"Show a certificate."`
}

type certCreateCmd struct {
	vaultFlags
	Name    string   `arg:"" help:"Name of the certificate in the vault."`
	Subject string   `help:"X.500 subject (default: CN= and the first DNS name)." placeholder:"DN"`
	DNS     []string `help:"DNS name." name:"dns" placeholder:"NAME"`
	Issuer  string   `help:"Issuer: Self, or the name of an issuer of the vault." default:"Self"`
	KeyType string   `help:"Key type." enum:"RSA,EC" default:"EC"`
	Months  int32    `help:"Validity in months." default:"12"`
	Out     string   `help:"Write the certificate to this PEM file." type:"path" placeholder:"FILE"`
}

func (c *certCreateCmd) Run(ctx context.Context, s streams) error {
	f, err := c.find(s)
	if err != nil {
		return err
	}
	if c.Subject == "" && len(c.DNS) > 0 {
		c.Subject = "CN=" + c.DNS[0]
	}
	policy := azcertificates.CertificatePolicy{
		IssuerParameters:          &azcertificates.IssuerParameters{Name: &c.Issuer},
		KeyProperties:             &azcertificates.KeyProperties{KeyType: ptr(azcertificates.KeyType(c.KeyType))},
		X509CertificateProperties: &azcertificates.X509CertificateProperties{Subject: &c.Subject, ValidityInMonths: &c.Months},
	}
	if len(c.DNS) > 0 {
		sans := &azcertificates.SubjectAlternativeNames{}
		for _, n := range c.DNS {
			sans.DNSNames = append(sans.DNSNames, &n)
		}
		policy.X509CertificateProperties.SubjectAlternativeNames = sans
	}
	shown, err := createCertificate(ctx, f, c.Name, policy, c.Out)
	if err != nil {
		return err
	}
	return shown.print(s.out, c.JSON)
}

func ptr[T any](v T) *T { return &v }

// pollPeriod is how often a create is looked at; the vault signs after about a
// second.
const pollPeriod = 250 * time.Millisecond

// issueTimeout is how long an issuer may take while someone waits at a terminal.
const issueTimeout = 10 * time.Minute

// createCertificate creates, waits for the end of the operation, and reads what
// was issued.
func createCertificate(ctx context.Context, f vaultFlags, name string, policy azcertificates.CertificatePolicy, out string) (*shownCertificate, error) {
	client, err := f.client()
	if err != nil {
		return nil, err
	}
	created, err := client.CreateCertificate(ctx, name, azcertificates.CreateCertificateParameters{CertificatePolicy: &policy}, nil)
	if err != nil {
		return nil, err
	}
	if strings.EqualFold(*policy.IssuerParameters.Name, "Unknown") {
		csr := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: created.CSR})
		return nil, fmt.Errorf("the certificate waits for a CA of yours to sign its request; merge what it gives you:\n%s", csr)
	}
	ctx, cancel := context.WithTimeout(ctx, issueTimeout)
	defer cancel()
	for {
		op, err := client.GetCertificateOperation(ctx, name, nil)
		if err != nil {
			return nil, err
		}
		if *op.Status == "inProgress" {
			select {
			case <-ctx.Done():
				return nil, ctx.Err()
			case <-time.After(pollPeriod):
			}
			continue
		}
		if *op.Status != "completed" {
			if op.Error != nil {
				return nil, fmt.Errorf("the certificate was not issued: %s", op.Error.Error())
			}
			return nil, fmt.Errorf("the certificate was not issued: the operation is %s", *op.Status)
		}
		break
	}
	return showCertificate(ctx, client, name, out)
}

// shownCertificate is what a person wants to know of a certificate.
type shownCertificate struct {
	ID         string    `json:"id"`
	Subject    string    `json:"subject"`
	Names      []string  `json:"names"`
	Thumbprint string    `json:"thumbprint"` // SHA-1, hex
	NotBefore  time.Time `json:"notBefore"`
	Expires    time.Time `json:"expires"`
	PEM        string    `json:"pem,omitempty"` // file
}

func showCertificate(ctx context.Context, client *azcertificates.Client, name, out string) (*shownCertificate, error) {
	got, err := client.GetCertificate(ctx, name, "", nil)
	if err != nil {
		return nil, err
	}
	if len(got.CER) == 0 {
		return nil, errors.New("the certificate has not been issued yet")
	}
	shown := &shownCertificate{ID: string(*got.ID), Thumbprint: strings.ToUpper(hex.EncodeToString(got.X509Thumbprint)), Names: []string{}}
	if cert, err := x509.ParseCertificate(got.CER); err == nil { // not of P-256K
		shown.Subject = cert.Subject.String()
		shown.Names = append(shown.Names, cert.DNSNames...)
		for _, ip := range cert.IPAddresses {
			shown.Names = append(shown.Names, ip.String())
		}
	}
	if a := got.Attributes; a != nil && a.Expires != nil && a.NotBefore != nil {
		shown.NotBefore, shown.Expires = a.NotBefore.UTC(), a.Expires.UTC()
	}
	if out != "" {
		block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: got.CER})
		if err := os.WriteFile(out, block, 0o644); err != nil {
			return nil, err
		}
		shown.PEM = out
	}
	return shown, nil
}

func (c *shownCertificate) print(w io.Writer, asJSON bool) error {
	if asJSON {
		return printJSON(w, c)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, row := range [][2]string{
		{"certificate", c.ID}, {"subject", c.Subject}, {"names", strings.Join(c.Names, ", ")},
		{"thumbprint", c.Thumbprint}, {"expires", c.Expires.Format(time.RFC3339)}, {"PEM", c.PEM},
	} {
		if row[1] != "" {
			fmt.Fprintf(t, "%s\t%s\n", row[0], row[1])
		}
	}
	return t.Flush()
}

func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// firstCertificate shows a certificate of that name, and issues it before where there
// is none that is good now: a restart makes no new version.
func firstCertificate(ctx context.Context, w io.Writer, f vaultFlags, dnsName, dir string) error {
	name := strings.NewReplacer(".", "-", "*", "wildcard").Replace(dnsName)
	file := filepath.Join(dir, name+".pem")
	client, err := f.client()
	if err != nil {
		return err
	}
	got, err := client.GetCertificate(ctx, name, "", nil)
	if err == nil && len(got.CER) > 0 && got.Attributes.Expires != nil && time.Now().Before(*got.Attributes.Expires) {
		fmt.Fprintf(w, "\n# The certificate of an earlier start\n")
		shown, err := showCertificate(ctx, client, name, file)
		if err != nil {
			return err
		}
		return shown.print(w, false)
	}
	policy := azcertificates.CertificatePolicy{
		IssuerParameters: &azcertificates.IssuerParameters{Name: ptr("Self")},
		KeyProperties:    &azcertificates.KeyProperties{KeyType: ptr(azcertificates.KeyTypeEC)},
		X509CertificateProperties: &azcertificates.X509CertificateProperties{
			Subject:                 ptr("CN=" + dnsName),
			SubjectAlternativeNames: &azcertificates.SubjectAlternativeNames{DNSNames: []*string{&dnsName}},
		},
	}
	fmt.Fprintf(w, "\n# A first certificate, issued over the wire\n")
	shown, err := createCertificate(ctx, f, name, policy, file)
	if err != nil {
		return err
	}
	return shown.print(w, false)
}

type certListCmd struct{ vaultFlags }

func (c *certListCmd) Run(ctx context.Context, s streams) error {
	client, err := c.open(s)
	if err != nil {
		return err
	}
	type row struct {
		Name    string     `json:"name"`
		Enabled bool       `json:"enabled"`
		Expires *time.Time `json:"expires,omitempty"`
	}
	rows := []row{}
	pager := client.NewListCertificatePropertiesPager(nil)
	for pager.More() {
		page, err := pager.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, item := range page.Value {
			rows = append(rows, row{item.ID.Name(), *item.Attributes.Enabled, item.Attributes.Expires})
		}
	}
	if c.JSON {
		return printJSON(s.out, rows)
	}
	t := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "NAME\tENABLED\tEXPIRES")
	for _, r := range rows {
		expires := ""
		if r.Expires != nil {
			expires = r.Expires.UTC().Format(time.RFC3339)
		}
		fmt.Fprintf(t, "%s\t%t\t%s\n", r.Name, r.Enabled, expires)
	}
	return t.Flush()
}

type certShowCmd struct {
	vaultFlags
	Name string `arg:"" help:"Name of the certificate."`
	Out  string `help:"Write the certificate to this PEM file." type:"path" placeholder:"FILE"`
}

func (c *certShowCmd) Run(ctx context.Context, s streams) error {
	client, err := c.open(s)
	if err != nil {
		return err
	}
	shown, err := showCertificate(ctx, client, c.Name, c.Out)
	if err != nil {
		return err
	}
	return shown.print(s.out, c.JSON)
}
