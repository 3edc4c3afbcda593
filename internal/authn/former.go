package authn

import (
	"context"
	"sync"
	"time"

	"coffer/internal/fresh"
	"coffer/internal/guid"
)

const (
	// maxFormer bounds the former ids that a log line was written for.
	maxFormer = 1000
	// entriesAge is how long what the entries name is used.
	entriesAge = time.Minute
)

// formerID is an object id that a claim of an issuer stood for before each issuer had
// a name space of its own: a GUID as it was, and a group's name among the subjects.
type formerID struct{ claim, was, is string }

// formerIDs are those of a token, where they differ from what its claims stand for now.
func formerIDs(i *issuer, subject string, groups []string) (ids []formerID) {
	if i.ownIDs {
		return nil
	}
	if was, ok := guid.Parse(subject); ok {
		is, _ := i.subject(subject)
		ids = append(ids, formerID{"subject", was, is})
	}
	for _, g := range groups {
		was, ok := guid.Parse(g)
		if !ok {
			was = guid.OfSubject(i.url, g)
		}
		is, _ := i.group(g)
		ids = append(ids, formerID{"group", was, is})
	}
	return ids
}

// former tells of rights that are still given to former ids.
type former struct {
	entries func(context.Context) (map[string]bool, error) // nil: nothing is told
	told    *fresh.Map[string, bool]

	mu    sync.Mutex
	named map[string]bool // guarded by mu: what the entries name, as of read
	read  time.Time       // guarded by mu
}

// tellFormer logs, once for each id, that a token would have had rights which it does
// not have any more.
func (v *Verifier) tellFormer(ctx context.Context, t *verified) {
	if len(t.former) == 0 || v.former.entries == nil {
		return
	}
	named := v.entries(ctx)
	for _, f := range t.former {
		key := t.issuer.url + " " + f.was
		if _, told := v.former.told.Get(key); told || !named[f.was] {
			continue
		}
		v.former.told.Put(key, true)
		v.log.WarnContext(ctx, "an access policy or role assignment names an id that this claim stood for in earlier versions, and no longer does:"+
			" if it is meant, give the right to the new id", "iss", t.issuer.url, "claim", f.claim, "was", f.was, "is", f.is)
	}
}

// entries are the object ids that policies and assignments name, as of at most a minute
// ago. When they cannot be read, there are none: it is for a line in the log.
func (v *Verifier) entries(ctx context.Context) map[string]bool {
	f := &v.former
	f.mu.Lock()
	defer f.mu.Unlock()
	if now := v.now(); f.read.IsZero() || now.Sub(f.read) >= entriesAge || now.Before(f.read) {
		f.read = now
		named, err := f.entries(ctx)
		if err != nil {
			v.log.DebugContext(ctx, "reading the entries for the notice of former ids", "err", err)
		}
		f.named = named
	}
	return f.named
}
