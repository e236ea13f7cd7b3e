package db

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
)

// The number of rows of a page.
const (
	DefaultPageSize = 50
	MaxPageSize     = 500
)

// Page asks for one page of a list, newest first.
type Page struct {
	Cursor string // "" is the first page; else the cursor that came with the page before
	Limit  int    // 0 is DefaultPageSize; more than MaxPageSize is MaxPageSize
}

// size is the number of rows of the page.
func (p Page) size() int {
	switch {
	case p.Limit <= 0:
		return DefaultPageSize
	case p.Limit > MaxPageSize:
		return MaxPageSize
	default:
		return p.Limit
	}
}

// fetch is one row more than the page: whether it comes says whether another page follows.
func (p Page) fetch() int32 { return int32(p.size()) + 1 }

// position is where a page begins: before this row. Both are nil on the first page.
type position struct {
	createdAt *time.Time
	id        *string
}

// position decodes the cursor: base64url of "<microseconds>.<id>", opaque to clients.
func (p Page) position() (position, error) {
	if p.Cursor == "" {
		return position{}, nil
	}
	text, err := base64.RawURLEncoding.DecodeString(p.Cursor)
	if err != nil {
		return position{}, fmt.Errorf("%w: not base64", ErrInvalidCursor)
	}
	micros, id, _ := strings.Cut(string(text), ".")
	at, err := strconv.ParseInt(micros, 10, 64)
	if err != nil {
		return position{}, fmt.Errorf("%w: no time in it", ErrInvalidCursor)
	}
	parsed, err := uuid.Parse(id)
	if err != nil {
		return position{}, fmt.Errorf("%w: no id in it", ErrInvalidCursor)
	}
	id = parsed.String()
	createdAt := time.UnixMicro(at).UTC()
	if createdAt.Year() < 1 || createdAt.Year() > 9999 { // Postgres knows no such time
		return position{}, fmt.Errorf("%w: no time that anything was made at", ErrInvalidCursor)
	}
	return position{createdAt: &createdAt, id: &id}, nil
}

// pageOf cuts the extra row off and returns the cursor of the next page, "" on the last one.
func pageOf[T any](rows []T, p Page, key func(T) (time.Time, string)) ([]T, string) {
	if len(rows) <= p.size() {
		return rows, ""
	}
	rows = rows[:p.size()]
	at, id := key(rows[len(rows)-1])
	text := strconv.FormatInt(at.UnixMicro(), 10) + "." + id
	return rows, base64.RawURLEncoding.EncodeToString([]byte(text))
}
