package config

import (
	"fmt"
	"time"

	"go.yaml.in/yaml/v3"

	"coffer/internal/fips"
)

// Certificates steers issuance.
type Certificates struct {
	SelfSignedDelay *Duration `yaml:"self_signed_delay,omitempty"` // how long an operation of Self can be cancelled; absent: 1s
	PKCS12          string    `yaml:"pkcs12,omitempty"`            // legacy (zero: as the cloud service writes it) or modern (AES-256, SHA-256)
	KeyWorkers      int       `yaml:"key_workers,omitempty"`       // workers that generate keys; zero: one less than the processors
}

// Delay is the self_signed_delay in force.
func (c Certificates) Delay() time.Duration {
	if c.SelfSignedDelay == nil {
		return time.Second
	}
	return time.Duration(*c.SelfSignedDelay)
}

// ModernPKCS12 reports whether PFX files are written with AES-256 and SHA-256. In FIPS mode there is no other way.
func (c Certificates) ModernPKCS12() bool { return c.PKCS12 == "modern" || fips.Enforced() }

func (c Certificates) check(m *mistakes) {
	m.unless(c.PKCS12 != "legacy" || !fips.Enforced(), "certificates.pkcs12", fips.Excludes("legacy")+": write modern")
	m.unless(c.Delay() >= 0 && c.Delay() <= time.Minute, "certificates.self_signed_delay", "must be 0s to 1m")
	m.oneOf("certificates.pkcs12", c.PKCS12, "legacy", "modern")
	m.within("certificates.key_workers", c.KeyWorkers, 256)
}

// Keys steers the use of keys.
type Keys struct {
	KeepOpen *Duration `yaml:"keep_open,omitempty"` // how long a private key that was used stays open in memory; absent: 1m, 0s: not at all
}

// OpenFor is the keep_open in force.
func (k Keys) OpenFor() time.Duration {
	if k.KeepOpen == nil {
		return time.Minute
	}
	return time.Duration(*k.KeepOpen)
}

func (k Keys) check(m *mistakes) {
	m.unless(k.OpenFor() >= 0 && k.OpenFor() <= time.Hour, "keys.keep_open", "must be 0s to 1h")
}

// Duration is a time.Duration written as "1s" or "250ms".
type Duration time.Duration

// UnmarshalYAML reads the text form. Its error is one of the decoder's own, so
// that it stands among the others.
func (d *Duration) UnmarshalYAML(n *yaml.Node) error {
	v, err := time.ParseDuration(n.Value)
	if err != nil {
		return &yaml.TypeError{Errors: []string{fmt.Sprintf("line %d: %q is not a duration such as 1s or 250ms", n.Line, n.Value)}}
	}
	*d = Duration(v)
	return nil
}

// MarshalYAML writes the text form.
func (d Duration) MarshalYAML() (any, error) { return time.Duration(d).String(), nil }
