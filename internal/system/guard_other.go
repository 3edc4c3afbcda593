//go:build !linux

package system

import "errors"

// ErrNotLocked reports memory that may be swapped.
var ErrNotLocked = errors.New("the memory of the process, keys among it, is not locked: this system has no way that Coffer knows")

// Guard does nothing here: it is Linux's.
func Guard() error { return nil }

// Lock is ErrNotLocked here.
func Lock() error { return ErrNotLocked }

// Swaps reports whether the system has somewhere to swap to; here that is not known.
func Swaps() bool { return true }
