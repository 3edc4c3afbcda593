package main

import (
	"context"
	"fmt"
	"time"

	"coffer/internal/admin"
)

type jobsCmd struct {
	List  jobsListCmd  `cmd:"" help:"List jobs that were given up, with their last error."`
	Retry jobsRetryCmd `cmd:"" help:"Have a job that was given up run again, with all its attempts."`
}

type jobsListCmd struct{ operatorFlags }

func (c *jobsListCmd) Run(ctx context.Context, s streams) error {
	return ask(ctx, s, c.operatorFlags, admin.JobList, admin.None{}, func(s streams, list []admin.JobView) {
		var rows []string
		for _, j := range list {
			rows = append(rows, fmt.Sprintf("%s\t%s\t%s\t%d\t%s\t%s", j.ID, j.Kind, j.Name, j.Failures, j.GaveUp.Format(time.RFC3339), j.Error))
		}
		table(s, "ID\tKIND\tNAME\tFAILURES\tGAVE UP\tLAST ERROR", rows)
	})
}

type jobsRetryCmd struct {
	operatorFlags
	ID string `arg:"" help:"Id of the job, as listed."`
}

func (c *jobsRetryCmd) Run(ctx context.Context, s streams) error {
	return ask(ctx, s, c.operatorFlags, admin.JobRetry, admin.ByID{ID: c.ID}, said("%s is due now", c.ID))
}
