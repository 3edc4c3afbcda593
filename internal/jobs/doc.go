// Package jobs is for work that outlives a request. A job is a row, enqueued in
// the transaction that makes it needed and completed in the one that does it. A
// worker holds a lease on the row and renews it while it works; a lease that ends
// without a result is taken over, and a stale worker's writes fail. How often and
// when a kind of job is tried again, and whether it is ever given up, is the Spec
// of the kind; what was given up stays a row that an operator sees. What jobs do
// is left to who registers a kind.
package jobs
