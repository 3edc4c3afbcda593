// Package fresh holds the one rule of how long what was read from the database may
// be used without reading it again, and a bounded map to keep it in. What is read,
// and what is made of it, is the business of who asks; so is not changing a value
// that was kept.
//
// A database that this process alone commits to is known: what was read is right
// until this process commits something else in the same area. In a database that
// other processes commit to as well, it is used for at most an age that its owner
// states, measured from before it was read, and never after a commit of this
// process. An age of zero keeps nothing.
package fresh
