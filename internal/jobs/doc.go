// Package jobs is for work that outlives a request. A job is a row, enqueued in
// the transaction that makes it needed and completed in the one that does it.
// A worker holds a lease on the row; a lease that ends without a result is taken
// over, and a stale worker's writes fail.
package jobs
