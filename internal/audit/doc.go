// Package audit records every attempt and what came of it: one JSON line each,
// in an append-only file of mode 0600. No record, no operation: who cannot be
// recorded is not served.
//
// An [Entry] is the place of one attempt. What changes state or reveals a secret
// calls [Entry.Intent] first, which is durable on return; [Entry.Finish] then
// writes the one record with the outcome. An intent that a crash left without its
// record is emitted by the next [Open], as "Unknown". Who attempts what, and the
// [Facts] that tell of it, is access.Attempt's business: nobody else has an Entry.
//
// Lines are a chain: each has a number and the hash of the one before, over files and
// crashes. [Log.Run] watches that the file on disk is the one that is written, and
// keeps the head of the chain in the database, where whoever can change the files
// alone cannot; [Verify] walks all of it. Shipping the log elsewhere is left to others.
//
// Records are built from named fields, never from bodies: nothing here can hold
// a secret value, a password, a token or a key. The form is contract
// observability.md, 1 to 3.
package audit
