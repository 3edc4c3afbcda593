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
	next := func(kinds []jobs.Kind, want time.Time) {
		s.Helper()
		s.view(func(tx *store.Tx) {
			got, err := tx.NextJob(s.ctx, kinds)
			same(s, got, err, want)
		})
	}
	claim := func(kinds []jobs.Kind, now, until, limit int, want ...jobs.Job) {
		s.Helper()
		s.update(func(tx *store.Tx) {
			got, err := tx.ClaimJobs(s.ctx, kinds, at(now), at(until), limit)
			same(s, got, err, want)
		})
	}
	attempt := func(j jobs.Job, n int) jobs.Job { j.Attempt = n; return j }

	late, early, mail := job(v, "a", "issue", 20), job(v, "b", "issue", 10), job("", "c", "mail", 15)
	early.Due = early.Due.Add(7 * time.Millisecond)
	next(both, time.Time{})
	next(nil, time.Time{})
	s.update(func(tx *store.Tx) {
		for _, j := range []jobs.Job{late, early, mail} {
			s.must(tx.EnqueueJob(s.ctx, j))
		}
		s.wantErr(tx.EnqueueJob(s.ctx, late), object.ErrExists)
		if tx.EnqueueJob(s.ctx, attempt(job(v, "d", "issue", 0), 1)) == nil {
			s.Error("a new job with an attempt was stored")
		}
		all, err := tx.Jobs(s.ctx)
		same(s, all, err, []jobs.Job{early, mail, late})
	})
	next(both, early.Due)
	next([]jobs.Kind{"mail"}, mail.Due)

	claim(both, 10, 60, 9) // early is due 7 ms later
	claim(nil, 100, 160, 9)
	claim(both, 15, 60, 1, attempt(early, 1))
	claim(both, 15, 60, 9, attempt(mail, 1))
	claim(both, 19, 60, 9)
	next(both, late.Due)
	claim([]jobs.Kind{"mail"}, 30, 60, 9)
	claim(both, 30, 50, 9, attempt(late, 1))
	next(both, at(50)) // the end of the first lease
	claim(both, 49, 99, 9)

	// late's lease ends without a result: another worker takes over, and the
	// first one's writes fail.
	claim(both, 50, 100, 9, attempt(late, 2))
	s.update(func(tx *store.Tx) {
		s.wantErr(tx.CompleteJob(s.ctx, attempt(late, 1)), object.ErrChanged)
		s.wantErr(tx.RetryJob(s.ctx, attempt(late, 1), at(200)), object.ErrChanged)
		s.must(tx.RetryJob(s.ctx, attempt(late, 2), at(70)))
		s.must(tx.CompleteJob(s.ctx, attempt(early, 1)))
		s.wantErr(tx.CompleteJob(s.ctx, attempt(early, 1)), object.ErrChanged)
	})
	next(both, at(60)) // mail's lease
	late.Due = at(70)
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
	next(both, time.Time{})
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
					got, err = tx.ClaimJobs(s.ctx, []jobs.Kind{"issue"}, epoch.Add(time.Hour), epoch.Add(2*time.Hour), 3)
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
		rest, err := tx.ClaimJobs(s.ctx, []jobs.Kind{"issue"}, epoch.Add(time.Hour), epoch.Add(2*time.Hour), n)
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
