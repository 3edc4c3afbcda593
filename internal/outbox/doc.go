// Package outbox is for what must be told to somebody outside. A message is a row of
// the transaction that made it true, with a job for each recipient; the job hands it
// to the recipient's sink, at least once, and again by a table until it is taken or
// given up. What is told, and when it is due, is left to the rules; how it is sent, to
// the sinks.
package outbox
