package lifecycle

import (
	"context"

	"coffer/internal/object"
)

// List reads a page; more tells that other items follow it. read is asked for one
// item more than the page holds.
func List[T, I any](ctx context.Context, db object.DB[T], page object.Page,
	read func(T, object.Page) ([]I, error)) (items []I, more bool, err error) {
	err = db.View(ctx, func(tx T) (err error) {
		items, err = read(tx, object.Page{Limit: page.Limit + 1, After: page.After})
		return err
	})
	if len(items) > page.Limit {
		items, more = items[:page.Limit], true
	}
	return items, more, err
}
