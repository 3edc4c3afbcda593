//go:build !linux

package compute

import "errors"

// lowerPriority cannot act on one thread here; the number of workers still
// bounds what it takes.
func lowerPriority() error { return errors.New("thread priorities are not available on this system") }
