package health

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestChecksTellWhatFailsAndWhetherItServes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var disk, hsm, pages error
		asked := 0
		var log bytes.Buffer
		c := New(time.Now, slog.New(slog.NewTextHandler(&log, nil)),
			Check{Name: "the disk", Ask: func(context.Context) error { return disk }},
			Check{Name: "the HSM", Ask: func(context.Context) error { return hsm }, Serves: true},
			Check{Name: "the pages", Slow: func(context.Context) (time.Duration, error) { asked++; return time.Hour, pages }},
		)
		ctx, stop := context.WithCancel(t.Context())
		go c.Run(ctx)
		synctest.Wait()
		if err := c.Ready(ctx); err != nil || asked != 1 {
			t.Errorf("well: %v, asked %d", err, asked)
		}
		hsm = errors.New("away")
		if err := c.Ready(ctx); err != nil {
			t.Errorf("it serves without the HSM: %v", err)
		}
		disk = errors.New("full")
		if err := c.Ready(ctx); err == nil || err.Error() != "the disk: full" {
			t.Errorf("a full disk: %v", err)
		}
		since := time.Now()
		pages = errors.New("torn")
		time.Sleep(30 * time.Minute) // a slow check is not asked before its time
		if got := c.Findings(ctx); len(got) != 2 || got[0] != (Finding{"the disk", "full", since, false}) || got[1].Check != "the HSM" || !got[1].Serves {
			t.Errorf("%+v", got)
		}
		time.Sleep(31 * time.Minute)
		synctest.Wait()
		if err := c.Ready(ctx); err == nil || !strings.Contains(err.Error(), "the pages: torn") || asked != 2 {
			t.Errorf("%v, asked %d", err, asked)
		}
		disk, pages = nil, nil
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		if err := c.Ready(ctx); err != nil {
			t.Errorf("well again: %v", err)
		}
		// Each change is told once, however often it is asked.
		for what, n := range map[string]int{"the disk fails": 1, "the disk is well again": 1, "the HSM fails": 1, "the pages fails": 1} {
			if got := strings.Count(log.String(), what); got != n {
				t.Errorf("%q is told %d times", what, got)
			}
		}
		stop()
		synctest.Wait()
	})
}
