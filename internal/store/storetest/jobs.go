package storetest

import (
	"fmt"
	"sync"
	"time"

	"coffer/internal/jobs"
	"coffer/internal/object"
	"coffer/internal/store"
)

// job is due that many seconds after the epoch.
func job(v object.VaultID, id string, kind jobs.Kind, seconds int) jobs.Job {
	return jobs.Job{ID: id, Kind: kind, Vault: v, Name: "web", Ref: "ref-" + id, Due: epoch.Add(time.Duration(seconds) * time.Second)}
}

func leases(s *suite) {
	v := s.vault("one")
	both := []jobs.Kind{"issue", "mail"}
	at := func(seconds int) time.Time { return epoch.Add(time.Duration(seconds) * time.Second) }
	next := func(kinds []jobs.Kind, due, leaseEnds time.Time) {
		s.Helper()
		s.view(func(tx *store.Tx) {
			got, ends, err := tx.NextJobs(s.ctx, kinds)
			same(s, []time.Time{got, ends}, err, []time.Time{due, leaseEnds})
		})
	}
	claim := func(kinds []jobs.Kind, now, until, limit int, want ...jobs.Job) {
		s.Helper()
		s.update(func(tx *store.Tx) {
			got, err := tx.ClaimJobs(s.ctx, kinds, at(now), at(now), at(until), limit)
			same(s, got, err, want)
		})
	}
	attempt := func(j jobs.Job, n int) jobs.Job { j.Attempt = n; return j }
	lost := func(j jobs.Job, failures int) jobs.Job {
		j.Failures, j.LastError = failures, "its worker ended without a result"
		return j
	}
	none := time.Time{}

	late, early, mail := job(v, "a", "issue", 20), job(v, "b", "issue", 10), job("", "c", "mail", 15)
	early.Due = early.Due.Add(7 * time.Millisecond)
	mail.Args = []byte(`{"to":"a\u0000b"}`)
	next(both, none, none)
	next(nil, none, none)
	s.update(func(tx *store.Tx) {
		for _, j := range []jobs.Job{late, early, mail} {
			s.must(tx.EnqueueJob(s.ctx, j))
		}
		s.wantErr(tx.EnqueueJob(s.ctx, late), object.ErrExists)
		long := job(v, "d", "issue", 0)
		long.Args = make([]byte, jobs.MaxArgs+1)
		for _, bad := range []jobs.Job{attempt(job(v, "d", "issue", 0), 1), lost(job(v, "d", "issue", 0), 1), long} {
			if tx.EnqueueJob(s.ctx, bad) == nil {
				s.Error("a new job with a history, or with long arguments, was stored")
			}
		}
		all, err := tx.Jobs(s.ctx)
		same(s, all, err, []jobs.Job{early, mail, late})
	})
	next(both, early.Due, none)
	next([]jobs.Kind{"mail"}, mail.Due, none)

	claim(both, 10, 60, 9) // early is due 7 ms later
	claim(nil, 100, 160, 9)
	claim(both, 15, 60, 1, attempt(early, 1))
	claim(both, 15, 60, 9, attempt(mail, 1))
	claim(both, 19, 60, 9)
	next(both, late.Due, at(60))
	claim([]jobs.Kind{"mail"}, 30, 60, 9)
	claim(both, 30, 50, 9, attempt(late, 1))
	next(both, none, at(50))
	claim(both, 49, 99, 9)

	// late's lease ends without a result: another worker takes over, and the
	// first one's writes fail.
	late = lost(late, 1)
	claim(both, 50, 55, 9, attempt(late, 2))
	s.update(func(tx *store.Tx) {
		s.must(tx.CheckJob(s.ctx, attempt(late, 2)))
		s.wantErr(tx.CheckJob(s.ctx, attempt(late, 1)), object.ErrChanged)
		s.wantErr(tx.CompleteJob(s.ctx, attempt(late, 1)), object.ErrChanged)
		s.wantErr(tx.PostponeJob(s.ctx, attempt(late, 1), at(200)), object.ErrChanged)
		s.wantErr(tx.RenewJob(s.ctx, attempt(late, 1), at(200)), object.ErrChanged)
		s.wantErr(tx.FailJob(s.ctx, attempt(late, 1), at(200), "no"), object.ErrChanged)
		s.wantErr(tx.GiveUpJob(s.ctx, attempt(late, 1), at(200), "no"), object.ErrChanged)
		s.must(tx.RenewJob(s.ctx, attempt(late, 2), at(58)))
	})
	claim(both, 57, 99, 9)
	s.update(func(tx *store.Tx) {
		s.must(tx.PostponeJob(s.ctx, attempt(late, 2), at(70)))
		s.wantErr(tx.RenewJob(s.ctx, attempt(late, 2), at(200)), object.ErrChanged) // it has no lease
		s.must(tx.CompleteJob(s.ctx, attempt(early, 1)))
		s.wantErr(tx.CompleteJob(s.ctx, attempt(early, 1)), object.ErrChanged)
	})
	next(both, at(70), at(60))
	late.Due = at(70)
	mail = lost(mail, 1)
	claim(both, 69, 99, 9, attempt(mail, 2))
	claim(both, 70, 99, 9, attempt(late, 3))

	s.update(func(tx *store.Tx) {
		s.must(tx.DeleteJobs(s.ctx, "issue", "", late.Ref))
		s.must(tx.DeleteJobs(s.ctx, "mail", v, late.Ref))
		all, err := tx.Jobs(s.ctx)
		same(s, len(all), err, 2)
		s.must(tx.DeleteJobs(s.ctx, "issue", v, late.Ref)) // also while leased
		s.must(tx.DeleteJobs(s.ctx, "issue", v, late.Ref))
		all, err = tx.Jobs(s.ctx)
		same(s, all, err, []jobs.Job{attempt(mail, 2)})
		s.must(tx.DeleteJobs(s.ctx, "mail", "", mail.Ref))
	})
	next(both, none, none)
}

// failed: what failed is counted and kept, what is given up is passed over until an
// operator has it run again.
func failedJobs(s *suite) {
	v := s.vault("one")
	issue := []jobs.Kind{"issue"}
	at := func(seconds int) time.Time { return epoch.Add(time.Duration(seconds) * time.Second) }
	claim := func(now int) (got []jobs.Job) {
		s.Helper()
		s.update(func(tx *store.Tx) {
			var err error
			got, err = tx.ClaimJobs(s.ctx, issue, at(now), at(now), at(now+10), 9)
			s.must(err)
		})
		return got
	}
	given := func(limit int) (ids []string) {
		s.Helper()
		s.view(func(tx *store.Tx) {
			list, err := tx.FailedJobs(s.ctx, limit)
			s.must(err)
			for _, j := range list {
				ids = append(ids, j.ID)
			}
		})
		return ids
	}
	a, b := job(v, "a", "issue", 0), job("", "b", "issue", 1)
	s.update(func(tx *store.Tx) {
		s.must(tx.EnqueueJob(s.ctx, a))
		s.must(tx.EnqueueJob(s.ctx, b))
	})
	took := claim(1)
	s.update(func(tx *store.Tx) {
		s.must(tx.FailJob(s.ctx, took[0], at(5), "the first"))
		s.must(tx.GiveUpJob(s.ctx, took[1], at(3), "hopeless"))
	})
	s.view(func(tx *store.Tx) {
		due, ends, err := tx.NextJobs(s.ctx, issue)
		same(s, []time.Time{due, ends}, err, []time.Time{at(5), {}})
	})
	took = claim(6)
	a.Due, a.Attempt, a.Failures, a.LastError = at(5), 2, 1, "the first"
	same(s, took, nil, []jobs.Job{a})
	s.update(func(tx *store.Tx) { s.must(tx.GiveUpJob(s.ctx, took[0], at(2), "the last")) })
	same(s, given(9), nil, []string{"a", "b"})
	same(s, given(1), nil, []string{"a"})
	same(s, len(claim(1000)), nil, 0)
	a.Failures, a.LastError, a.GaveUp = 2, "the last", at(2)
	s.view(func(tx *store.Tx) {
		list, err := tx.FailedJobs(s.ctx, 1)
		same(s, list, err, []jobs.Job{a})
		due, ends, err := tx.NextJobs(s.ctx, issue)
		same(s, []time.Time{due, ends}, err, []time.Time{{}, {}})
	})

	s.update(func(tx *store.Tx) {
		s.wantErr(tx.CheckJob(s.ctx, a), object.ErrChanged)
		s.wantErr(tx.PostponeJob(s.ctx, a, at(50)), object.ErrChanged)
		s.wantErr(tx.RerunJob(s.ctx, "c", at(50)), object.ErrNotFound)
		s.must(tx.RerunJob(s.ctx, "a", at(50)))
		s.wantErr(tx.RerunJob(s.ctx, "a", at(50)), object.ErrNotFound) // it is not given up
	})
	a.Due, a.Attempt, a.Failures, a.GaveUp = at(50), 3, 0, time.Time{}
	same(s, claim(50), nil, []jobs.Job{a})
	same(s, given(9), nil, []string{"b"})
}

// hastened: jobs of one Ref are due sooner, never later.
func hastenedJobs(s *suite) {
	v := s.vault("one")
	at := func(seconds int) time.Time { return epoch.Add(time.Duration(seconds) * time.Second) }
	later, sooner, own, apart := job(v, "a", "issue", 100), job(v, "b", "issue", 10), job("", "c", "issue", 100), job(v, "d", "mail", 100)
	for _, j := range []*jobs.Job{&later, &sooner, &own, &apart} {
		j.Ref = "same"
	}
	s.update(func(tx *store.Tx) {
		for _, j := range []jobs.Job{later, sooner, own, apart} {
			s.must(tx.EnqueueJob(s.ctx, j))
		}
		s.must(tx.HastenJobs(s.ctx, "issue", v, "same", at(50)))
		s.must(tx.HastenJobs(s.ctx, "issue", "", "same", at(60)))
		all, err := tx.Jobs(s.ctx)
		later.Due, own.Due = at(50), at(60)
		same(s, all, err, []jobs.Job{sooner, later, own, apart})
	})
}

// freed: a process that is alone ends the leases of those that were before it.
func freedLeases(s *suite) {
	v := s.vault("one")
	taken, waits := job(v, "a", "issue", 0), job(v, "b", "issue", 100)
	s.update(func(tx *store.Tx) {
		s.must(tx.EnqueueJob(s.ctx, taken))
		s.must(tx.EnqueueJob(s.ctx, waits))
		_, err := tx.ClaimJobs(s.ctx, []jobs.Kind{"issue"}, epoch, epoch, epoch.Add(time.Hour), 9)
		s.must(err)
		s.must(tx.FreeLeases(s.ctx))
		taken.Attempt, taken.Failures, taken.LastError = 1, 1, "its worker ended without a result"
		all, err := tx.Jobs(s.ctx)
		same(s, all, err, []jobs.Job{taken, waits})
		_, ends, err := tx.NextJobs(s.ctx, []jobs.Kind{"issue"})
		same(s, ends, err, time.Time{})
	})
}

// jobClock: processes that share a database have its clock; one that is alone has
// its own.
func jobClock(s *suite) {
	s.view(func(tx *store.Tx) {
		now, err := tx.JobClock(s.ctx)
		s.must(err)
		if shared := s.cfg.Driver == store.Postgres; shared == now.IsZero() {
			s.Errorf("the clock says %v", now)
		} else if shared && time.Since(now).Abs() > time.Minute {
			s.Errorf("the clock of the database says %v", now)
		}
	})
}

// claimers: whoever asks at the same time, each job goes to one.
func claimers(s *suite) {
	v := s.vault("one")
	const n = 40
	s.update(func(tx *store.Tx) {
		for i := range n {
			s.must(tx.EnqueueJob(s.ctx, job(v, fmt.Sprintf("%03d", i), "issue", i)))
		}
	})
	var mu sync.Mutex
	taken := map[string]int{}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range n {
				var got []jobs.Job
				err := s.db.Update(s.ctx, func(tx *store.Tx) (err error) {
					got, err = tx.ClaimJobs(s.ctx, []jobs.Kind{"issue"}, epoch.Add(time.Hour), epoch.Add(time.Hour), epoch.Add(2*time.Hour), 3)
					return err
				})
				if err != nil {
					s.Error(err)
					return
				}
				if len(got) == 0 {
					return
				}
				mu.Lock()
				for _, j := range got {
					taken[j.ID]++
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	// A claimer may pass by what another is still claiming, so that one last
	// look is needed.
	s.update(func(tx *store.Tx) {
		rest, err := tx.ClaimJobs(s.ctx, []jobs.Kind{"issue"}, epoch.Add(time.Hour), epoch.Add(time.Hour), epoch.Add(2*time.Hour), n)
		s.must(err)
		for _, j := range rest {
			taken[j.ID]++
		}
	})
	if len(taken) != n {
		s.Errorf("%d of %d jobs were claimed", len(taken), n)
	}
	for id, times := range taken {
		if times != 1 {
			s.Errorf("job %s was claimed %d times", id, times)
		}
	}
}
