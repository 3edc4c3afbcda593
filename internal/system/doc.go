// Package system is what this process asks of its system, and tells it: nobody else of the same user reads its memory, no
// core is written, nothing of it is swapped; the service manager learns when it serves. What is done with what is so guarded
// is left to others.
package system
