package key

import (
	"coffer/internal/access"
	"coffer/internal/audit"
)

// describe puts on record which version came to be, and what kind of key it is.
func describe(g access.Grant, v *Version) {
	p := &audit.KeyProperties{Type: v.Type(), Size: v.Spec.Size, Curve: string(v.Spec.Curve)}
	for _, op := range v.Ops {
		p.Ops = append(p.Ops, string(op))
	}
	g.Attempt().ObjectVersion(v.Version)
	g.Attempt().Describe(audit.Details{Key: p})
}
