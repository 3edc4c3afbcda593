//go:build !linux

package key

import "errors"

// lowerPriority cannot act on one thread here; the number of workers still
// bounds what key generation takes.
func lowerPriority() error { return errors.New("thread priorities are not available on this system") }
