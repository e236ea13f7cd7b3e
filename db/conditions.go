package db

import (
	"strings"
	"time"
)

// conditions are those on the rows r of a statement that is put together; their values are among its arguments.
type conditions struct {
	args *arguments
	all  []string
}

// add adds a condition without a value.
func (c *conditions) add(condition string) { c.all = append(c.all, condition) }

// is adds a condition, whose value and the cast of that are its end, if it holds for what is asked.
func (c *conditions) is(holds bool, condition string, value any, cast string) {
	if holds {
		c.add(condition + c.args.add(value) + cast)
	}
}

// made keeps to rows that were made at or after from and before to, where these are not zero.
func (c *conditions) made(from, to time.Time) {
	c.is(!from.IsZero(), "r.created_at >= ", from, "::timestamptz")
	c.is(!to.IsZero(), "r.created_at < ", to, "::timestamptz")
}

// after keeps to rows behind those of the pages before.
func (c *conditions) after(at position) {
	if at.id != nil {
		c.add("(r.created_at, r.id) < (" + c.args.add(at.createdAt) + "::timestamptz, " + c.args.add(at.id) + "::uuid)")
	}
}

// String is the condition that all of them are.
func (c *conditions) String() string {
	return strings.Join(append([]string{"true"}, c.all...), " AND ")
}
