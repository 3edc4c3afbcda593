package keyvault

import (
	"strings"
	"time"

	"coffer/internal/object"
	"coffer/internal/pipeline"
	"coffer/internal/rest"
	"coffer/internal/vault"
)

// attributes are what objects of all families show, in the service's order.
// Times are seconds since 1970.
type attributes struct {
	Enabled         bool   `json:"enabled"`
	NotBefore       *int64 `json:"nbf,omitempty"`
	Expires         *int64 `json:"exp,omitempty"`
	Created         int64  `json:"created"`
	Updated         int64  `json:"updated"`
	RecoveryLevel   string `json:"recoveryLevel,omitempty"`
	RecoverableDays *int   `json:"recoverableDays,omitempty"`
}

// itemAttributes are those of a list item of certificates, which does not tell
// how the vault recovers (contract certificates.md, 5.3).
func itemAttributes(a object.Attributes) attributes {
	return attributes{
		Enabled: a.Enabled, NotBefore: seconds(a.NotBefore), Expires: seconds(a.Expires),
		Created: a.Created.Unix(), Updated: a.Updated.Unix(),
	}
}

// fullAttributes add what the vault does with deleted objects. customized is the
// rest.Feature that knows the Customized levels: it came to the families at different
// versions.
func fullAttributes(r pipeline.Request, a object.Attributes, customized rest.Feature) attributes {
	out := itemAttributes(a)
	out.RecoveryLevel = recoveryLevel(r.Vault(), r.Version().Has(customized))
	if r.Version().Has(recoverableDays) {
		out.RecoverableDays = &r.Vault().RetentionDays
	}
	return out
}

func recoveryLevel(v *vault.Vault, customized bool) string {
	level := v.RecoveryLevel()
	if !customized {
		level = strings.TrimPrefix(level, "Customized")
	}
	return level
}

func seconds(t *time.Time) *int64 {
	if t == nil {
		return nil
	}
	s := t.Unix()
	return &s
}

// deletion precedes the members of a deleted object.
type deletion struct {
	RecoveryID  string `json:"recoveryId"`
	DeletedDate int64  `json:"deletedDate"`
	PurgeDate   int64  `json:"scheduledPurgeDate"`
}

func newDeletion(r pipeline.Request, f object.Family, h object.Head) deletion {
	d := deletion{RecoveryID: r.Base() + "/deleted" + string(f) + "/" + h.Name.String()}
	if h.Deletion != nil {
		d.DeletedDate, d.PurgeDate = h.Deletion.At.Unix(), h.Deletion.PurgeAt.Unix()
	}
	return d
}

// enabled reads attributes.enabled, the one attribute that callers write here;
// the dates that clients send are ignored (contract certificates.md, 5.2).
func enabled(in *rest.Input) *bool {
	return in.Object("attributes").Boolean("enabled")
}

// written are the attributes that callers give keys and secrets; nil: not given.
type written struct {
	enabled            *bool
	notBefore, expires *time.Time
}

func parseAttributes(in *rest.Input) written {
	a := in.Object("attributes")
	return written{a.Boolean("enabled"), a.Instant("nbf"), a.Instant("exp")}
}

// deref is a text whose absence means "".
func deref(text *string) string {
	if text == nil {
		return ""
	}
	return *text
}
