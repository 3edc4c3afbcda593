// Package health keeps what is known of whether this process can serve: which checks
// fail, since when, and whether it can serve all the same. What is checked, and who is
// told how much of it, is left to those who make the checks and ask for them.
package health
