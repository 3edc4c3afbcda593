package storetest

import (
	"errors"
	"strings"
	"time"

	"coffer/internal/jobs"
	"coffer/internal/key"
	"coffer/internal/object"
	"coffer/internal/store"
)

// ownKeys checks the keys that no certificate owns: their boxes, which version is
// current, and that the jobs wait for what the policy says.
func (c *checker) ownKeys(v object.VaultID, deleted bool) error {
	read := c.tx.Keys
	if deleted {
		read = c.tx.DeletedKeys
	}
	page := object.Page{Limit: 100}
	for {
		list, err := read(c.ctx, v, page)
		if err != nil || len(list) == 0 {
			return err
		}
		for _, l := range list {
			page.After = l.Head.Name.Key()
			if l.Head.Managed {
				continue
			}
			if err := c.ownKey(l.Head); err != nil {
				return err
			}
		}
	}
}

func (c *checker) ownKey(h object.Head) error {
	at := func(format string, args ...any) {
		c.failf("%s/%s: "+format, append([]any{h.Vault, h.Name}, args...)...)
	}
	versions, err := c.tx.KeyVersions(c.ctx, h.Vault, h.Name, object.Page{})
	if err != nil {
		return err
	}
	for _, ver := range versions {
		c.box(at, key.PrivatePlace(h.Vault, h.Name, ver.Version), ver.Private)
	}
	last := versions[len(versions)-1]
	if last.Version != h.Current {
		at("the current version is %s, the last one %s", h.Current, last.Version)
	}
	var rotate, notice time.Time // when they are to be; zero: never
	p, err := c.tx.RotationPolicy(c.ctx, h.Vault, h.Name)
	if err != nil && !errors.Is(err, object.ErrNotFound) {
		return err
	}
	expires := last.Attributes.Expires
	switch {
	case h.Deletion != nil:
	case err != nil && expires != nil:
		notice = expires.AddDate(0, 0, -30)
	case err == nil:
		if !p.RotateAfterCreate.IsZero() {
			rotate = p.RotateAfterCreate.After(last.Attributes.Created)
		}
		if expires != nil {
			notice = p.NotifyBeforeExpiry.Before(*expires)
			if !p.RotateBeforeExpiry.IsZero() {
				rotate = p.RotateBeforeExpiry.Before(*expires)
			}
		}
	}
	rotations := c.jobsOf(key.RotateJob, h)
	if len(rotations) > 1 || len(rotations) == 1 && rotate.IsZero() || len(rotations) == 0 && !rotate.IsZero() {
		at("it has %d jobs to rotate it, due at %v", len(rotations), rotate)
	}
	// A notice that was given has no job any more.
	notices := c.jobsOf(key.NoticeJob, h)
	if len(notices) > 1 || len(notices) == 1 && notice.IsZero() {
		at("it has %d jobs for a notice, due at %v", len(notices), notice)
	}
	for _, j := range rotations {
		if !j.Due.Equal(rotate) {
			at("it is to be rotated at %v, not at %v", j.Due, rotate)
		}
	}
	for _, j := range notices {
		if !j.Due.Equal(notice) {
			at("its notice is due at %v, not at %v", j.Due, notice)
		}
	}
	return nil
}

func (c *checker) jobsOf(k jobs.Kind, h object.Head) (list []jobs.Job) {
	for _, j := range c.jobs {
		if j.Kind == k && j.Vault == h.Vault && j.Name == h.Name.Key() {
			list = append(list, j)
		}
	}
	return list
}

// keyJobs checks that no job is about a key that is not there.
func (c *checker) keyJobs() error {
	for _, j := range c.jobs {
		if j.Kind != key.RotateJob && j.Kind != key.NoticeJob {
			continue
		}
		n, err := object.ParseName(j.Name)
		if err != nil {
			return err
		}
		h, err := c.tx.KeyHead(c.ctx, j.Vault, n)
		if err != nil && !errors.Is(err, object.ErrNotFound) {
			return err
		}
		if err != nil || h.Managed {
			c.failf("%s/%s: a job %s of no key of its own", j.Vault, j.Name, j.Kind)
		}
	}
	return nil
}

// ownKeyRows: plain keys are listed when deleted, purged when due, and have a
// rotation policy; those of certificates are and have nothing of it by themselves.
func ownKeyRows(s *suite) {
	v, w := s.vault("one"), s.vault("two")
	gone := func(purgeAt time.Time) *object.Deletion { return &object.Deletion{At: epoch, PurgeAt: purgeAt} }
	insert := func(tx *store.Tx, vault object.VaultID, name string, managed bool, d *object.Deletion) object.Head {
		h := object.Head{Vault: vault, Name: object.MustName(name), Managed: managed}
		s.must(tx.InsertKey(s.ctx, h))
		s.must(tx.InsertKeyVersion(s.ctx, newKey(vault, h.Name, versionID(1))))
		s.must(tx.InsertKeyVersion(s.ctx, newKey(vault, h.Name, versionID(2))))
		h.Current, h.Deletion = versionID(2), d
		s.must(tx.UpdateKeyHead(s.ctx, h))
		return h
	}
	var b, a, live, late object.Head
	s.update(func(tx *store.Tx) {
		b = insert(tx, v, "b", false, gone(epoch.Add(time.Hour)))
		a = insert(tx, v, "A", false, gone(epoch.Add(2*time.Hour)))
		late = insert(tx, w, "c", false, gone(epoch.Add(3*time.Hour)))
		live = insert(tx, v, "live", false, nil)
		insert(tx, v, "m", true, gone(epoch))
	})
	s.view(func(tx *store.Tx) {
		item := func(h object.Head) key.Listed {
			return key.Listed{Head: h, Version: *public(newKey(h.Vault, h.Name, versionID(2)))}
		}
		list, err := tx.DeletedKeys(s.ctx, v, object.Page{Limit: 25})
		same(s, list, err, []key.Listed{item(a), item(b)})
		list, err = tx.DeletedKeys(s.ctx, v, object.Page{Limit: 1, After: "a"})
		same(s, list, err, []key.Listed{item(b)})
		list, err = tx.Keys(s.ctx, v, object.Page{Limit: 25})
		same(s, list, err, []key.Listed{item(live)})

		due, err := tx.DueKeyPurges(s.ctx, epoch.Add(2*time.Hour), 25)
		same(s, due, err, []object.Head{b, a})
		due, err = tx.DueKeyPurges(s.ctx, epoch.Add(9*time.Hour), 1)
		same(s, due, err, []object.Head{b})
		due, err = tx.DueKeyPurges(s.ctx, epoch.Add(9*time.Hour), 25)
		same(s, due, err, []object.Head{b, a, late})

		for _, c := range []struct{ ask, want object.Version }{{"", versionID(2)}, {versionID(1), versionID(1)}} {
			h, got, err := tx.Key(s.ctx, v, object.MustName("LIVE"), c.ask)
			same(s, h, err, live)
			same(s, got, nil, newKey(v, live.Name, c.want))
		}
		_, _, err = tx.Key(s.ctx, v, live.Name, versionID(9))
		s.wantErr(err, object.ErrNotFound)
		_, _, err = tx.Key(s.ctx, w, live.Name, "")
		s.wantErr(err, object.ErrNotFound)
	})
	first, err := key.StoredPolicy("P90D", "", "P30D", "P1Y", epoch, epoch)
	s.must(err)
	second, err := key.StoredPolicy("", "P7D", "P1M", "", epoch, epoch.Add(time.Hour))
	s.must(err)
	s.update(func(tx *store.Tx) {
		_, err := tx.RotationPolicy(s.ctx, v, live.Name)
		s.wantErr(err, object.ErrNotFound)
		for _, p := range []*key.RotationPolicy{first, second} {
			s.must(tx.PutRotationPolicy(s.ctx, v, object.MustName("Live"), p))
			got, err := tx.RotationPolicy(s.ctx, v, object.MustName("LIVE"))
			s.must(err)
			if *got != *p {
				s.Errorf("got %+v, want %+v", *got, *p)
			}
		}
		_, err = tx.RotationPolicy(s.ctx, w, live.Name)
		s.wantErr(err, object.ErrNotFound)
		s.must(tx.PurgeKey(s.ctx, v, live.Name))
		_, err = tx.RotationPolicy(s.ctx, v, live.Name)
		s.wantErr(err, object.ErrNotFound)
	})
	s.wantErr(s.db.Update(s.ctx, func(tx *store.Tx) error {
		return tx.PutRotationPolicy(s.ctx, v, object.MustName("nobody"), first)
	}), object.ErrNotFound)
}

// keyCorruptions are those of plain keys; whole leaves what belongs to the name.
func keyCorruptions(s *suite) {
	v := s.vault("one")
	h := object.Head{Vault: v, Name: web, Current: versionID(2)}
	expires := epoch.AddDate(1, 0, 0)
	whole := func(tx *store.Tx) error {
		err := errors.Join(tx.PurgeKey(s.ctx, v, web), tx.DeleteJobs(s.ctx, key.RotateJob, v, web.Key()), tx.DeleteJobs(s.ctx, key.NoticeJob, v, web.Key()),
			tx.InsertKey(s.ctx, h))
		for n := 1; n <= 2; n++ {
			k := newKey(v, web, versionID(n))
			k.Attributes.Expires = &expires
			err = errors.Join(err, tx.InsertKeyVersion(s.ctx, k))
		}
		p, e := key.StoredPolicy("P90D", "", "P30D", "P1Y", epoch, epoch)
		job := func(k jobs.Kind, due time.Time) error {
			return tx.EnqueueJob(s.ctx, jobs.Job{ID: object.NewRequestID(), Kind: k, Vault: v, Name: web.Key(), Ref: web.Key(), Due: due})
		}
		return errors.Join(err, e, tx.UpdateKeyHead(s.ctx, h), tx.PutRotationPolicy(s.ctx, v, web, p),
			job(key.RotateJob, epoch.AddDate(0, 0, 90)), job(key.NoticeJob, expires.AddDate(0, 0, -30)))
	}
	for _, c := range []struct {
		change, want string // "" is whole
		make         func(tx *store.Tx) error
	}{
		{"none", "", func(*store.Tx) error { return nil }},
		{"the notice was given", "", func(tx *store.Tx) error { return tx.DeleteJobs(s.ctx, key.NoticeJob, v, web.Key()) }},
		{"no rotation", "0 jobs to rotate", func(tx *store.Tx) error { return tx.DeleteJobs(s.ctx, key.RotateJob, v, web.Key()) }},
		{"an older version is current", "the last one", func(tx *store.Tx) error {
			return tx.UpdateKeyHead(s.ctx, object.Head{Vault: v, Name: web, Current: versionID(1)})
		}},
		{"deleted with jobs", "1 jobs to rotate", func(tx *store.Tx) error {
			gone := h
			gone.Deletion = &object.Deletion{At: epoch, PurgeAt: epoch}
			return tx.UpdateKeyHead(s.ctx, gone)
		}},
		{"purged with jobs", "of no key of its own", func(tx *store.Tx) error { return tx.PurgeKey(s.ctx, v, web) }},
		{"twice", "2 jobs to rotate", func(tx *store.Tx) error {
			return tx.EnqueueJob(s.ctx, jobs.Job{ID: "x", Kind: key.RotateJob, Vault: v, Name: web.Key(), Ref: web.Key(), Due: epoch})
		}},
		{"another policy", "to be rotated at", func(tx *store.Tx) error {
			p, err := key.StoredPolicy("P91D", "", "P31D", "", epoch, epoch)
			return errors.Join(err, tx.PutRotationPolicy(s.ctx, v, web, p))
		}},
		{"no box", "is empty", func(tx *store.Tx) error {
			k := newKey(v, web, versionID(3))
			k.Private, k.Attributes.Expires = nil, &expires
			return errors.Join(tx.InsertKeyVersion(s.ctx, k), tx.UpdateKeyHead(s.ctx, object.Head{Vault: v, Name: web, Current: versionID(3)}))
		}},
	} {
		s.must(s.db.Update(s.ctx, func(tx *store.Tx) error { return errors.Join(whole(tx), c.make(tx)) }))
		found := errors.Join(CheckVault(s.ctx, s.db)...)
		if c.want == "" && found != nil || c.want != "" && (found == nil || !strings.Contains(found.Error(), c.want)) {
			s.Errorf("%s: found %v, want %q", c.change, found, c.want)
		}
	}
}
