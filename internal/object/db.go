package object

import "context"

// DB opens transactions of T, the methods that one domain needs of them: each
// domain declares its own and takes a DB of it. store.For makes one.
type DB[T any] interface {
	// View runs fn in a read-only transaction: all that fn reads is one state.
	View(ctx context.Context, fn func(T) error) error
	// Update runs fn in a transaction that is all or nothing, and durable when
	// Update returns nil. An error of fn rolls it back and is returned; another
	// error leaves it open whether it was committed. fn may run again after a
	// conflict.
	Update(ctx context.Context, fn func(T) error) error
}
