package db

import (
	"context"
	"time"

	"github.com/dataguardian/dataguardian/db/dbgen"
)

// ComparedSchedule is what a schedule was when it was last compared with Temporal.
type ComparedSchedule struct {
	Fingerprint string
	Trusted     bool // it was compared not long ago
}

// ComparedSchedules reads all of them, by the schedules' ids. Those that were compared within trusted, by the database's clock, are trusted.
func (q *Queries) ComparedSchedules(ctx context.Context, trusted time.Duration) (map[string]ComparedSchedule, error) {
	rows, err := q.q.ComparedSchedules(ctx, trusted.Seconds())
	if err != nil {
		return nil, translate("read which schedules were compared", err)
	}
	out := make(map[string]ComparedSchedule, len(rows))
	for _, row := range rows {
		out[row.ScheduleID] = ComparedSchedule{Fingerprint: row.Fingerprint, Trusted: row.IsTrusted}
	}
	return out, nil
}

// SetComparedSchedule notes that a schedule has just been compared, and what it is.
func (q *Queries) SetComparedSchedule(ctx context.Context, id, fingerprint string) error {
	return translate("note the comparison of schedule "+id, q.q.SetComparedSchedule(ctx, dbgen.SetComparedScheduleParams{ScheduleID: id, Fingerprint: fingerprint}))
}

// ForgetComparedSchedule is for a schedule that is no more.
func (q *Queries) ForgetComparedSchedule(ctx context.Context, id string) error {
	return translate("forget the comparison of schedule "+id, q.q.ForgetComparedSchedule(ctx, id))
}
