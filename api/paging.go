package api

import (
	"context"

	"github.com/dataguardian/dataguardian/db"
)

// Paging holds the query parameters of every list that may be long.
type Paging struct {
	Cursor string `query:"cursor" doc:"next_cursor of the page before" maxLength:"512"`
	Limit  int    `query:"limit" doc:"Items a page" minimum:"1" maximum:"200" default:"50"`
}

func (p Paging) page() db.Page { return db.Page{Cursor: p.Cursor, Limit: p.Limit} }

// page is one page of a list, newest first.
type page[T any] struct {
	Items      []T    `json:"items" nullable:"false"`
	NextCursor string `json:"next_cursor" doc:"Pass it as cursor for the next page; empty at the end"`
}

// pageOf turns a page of rows into what clients see.
func pageOf[R, T any](rows []R, next string, view func(R) T) *body[page[T]] {
	items := make([]T, len(rows))
	for i, row := range rows {
		items[i] = view(row)
	}
	return &body[page[T]]{page[T]{Items: items, NextCursor: next}}
}

// parentSeen checks by get that what the rows of a page belong to is there for the caller. For who sees everything, rows say so
// themselves, which spares most pages a statement.
func parentSeen(ctx context.Context, rows int, get func() error) error {
	if rows > 0 && !db.Scoped(ctx) {
		return nil
	}
	return get()
}

// versioned is an answer with the version of the row as its ETag.
type versioned[T any] struct {
	ETag string `header:"ETag"`
	Body T
}

// created is versioned with the address of what was made.
type created[T any] struct {
	Location string `header:"Location"`
	ETag     string `header:"ETag"`
	Body     T
}

// patchOf is the input of a PATCH.
type patchOf[T any] struct {
	ID      string `path:"id" format:"uuid" doc:"Its id"`
	IfMatch string `header:"If-Match" maxLength:"128" doc:"ETag of the answer that the change starts from; another version is 412"`
	Body    Patch[T]
}

// DeleteInput is the input of a DELETE of a resource that has versions. It is exported because huma does
// not look into embedded types that are not.
type DeleteInput struct {
	ID      string `path:"id" format:"uuid" doc:"Its id"`
	IfMatch string `header:"If-Match" maxLength:"128" doc:"ETag of the answer that the decision to delete was made on; another version is 412"`
}

// deletable gives a row to delete when it still has the version that the client asked for. The row is
// held in q's transaction before it is read, so that no change falls between the two.
func deletable[R any](ctx context.Context, q *db.Queries, in *DeleteInput, table db.VersionedTable,
	get func(context.Context, string) (R, error), version func(R) int64,
) (R, error) {
	var row R
	wanted, err := ifMatch(in.IfMatch)
	if err != nil {
		return row, err
	}
	if err := q.HoldRow(ctx, table, in.ID); err != nil {
		return row, err
	}
	if row, err = get(ctx, in.ID); err != nil {
		return row, err
	}
	return row, checkVersion(wanted, version(row))
}
