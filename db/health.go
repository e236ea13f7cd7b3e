package db

import (
	"context"
	"time"

	"github.com/dataguardian/dataguardian/db/dbgen"
	"github.com/dataguardian/dataguardian/internal/domain"
)

// DatasourceHealth is one check of a datasource, and the status that follows from it.
type DatasourceHealth struct {
	DatasourceID     string
	Status           domain.HealthCheckStatus
	DatasourceStatus domain.DatasourceStatus
	Latency          time.Duration
	ServerVersion    string
	Message          string    // what went wrong, "" when nothing did
	CheckedAt        time.Time // zero is now
	// Judge, where it is set, decides on the status instead, and on what people are told.
	Judge func(domain.HealthState) (domain.DatasourceStatus, domain.HealthState, *Notification)
}

// StorageHealth is one check of a storage location, and the status that follows from it.
type StorageHealth struct {
	StorageLocationID string
	Status            domain.HealthCheckStatus
	LocationStatus    domain.StorageLocationStatus
	Latency           time.Duration
	AvailableSpaceGB  *float64 // nil unknown: the last known value stays
	UsedBytes         *int64   // nil unknown
	Message           string
	CheckedAt         time.Time
	// Judge, where it is set, decides on what people are told.
	Judge func(domain.HealthState) (domain.HealthState, *Notification)
}

// RecordDatasourceHealth adds the check to the history and sets the datasource's status, unless a
// newer check did. It does not change the row's version. Errors: ErrNotFound.
func (q *Queries) RecordDatasourceHealth(ctx context.Context, h DatasourceHealth) error {
	op := "record the health of datasource " + h.DatasourceID
	id, err := newID()
	if err != nil {
		return err
	}
	if err := checkID(op, h.DatasourceID); err != nil {
		return err
	}
	latency := h.Latency.Milliseconds()
	return q.inTx(ctx, func(q *Queries) error {
		if h.Judge != nil {
			if err := q.MoveHealth(ctx, domain.CheckedDatasource, h.DatasourceID, func(s domain.HealthState) (next domain.HealthState, tell *Notification) {
				h.DatasourceStatus, next, tell = h.Judge(s)
				return next, tell
			}); err != nil {
				return err
			}
		}
		at := checkedAt(h.CheckedAt) // in the order in which checks that end together are judged
		if err := q.q.AddHealthCheck(ctx, dbgen.AddHealthCheckParams{
			ID: id, DatasourceID: h.DatasourceID, Status: h.Status, LatencyMS: &latency,
			ServerVersion: h.ServerVersion, ErrorMessage: cleanText(h.Message), CheckedAt: at,
		}); err != nil {
			return translate(op, err)
		}
		_, err := q.q.SetDatasourceHealth(ctx, dbgen.SetDatasourceHealthParams{ID: h.DatasourceID, Status: h.DatasourceStatus, CheckedAt: &at})
		return translate(op, err)
	})
}

// RecordStorageHealth adds the check to the history and sets the location's status and space. It
// does not change the row's version. Errors: ErrNotFound.
func (q *Queries) RecordStorageHealth(ctx context.Context, h StorageHealth) error {
	op := "record the health of storage location " + h.StorageLocationID
	id, err := newID()
	if err != nil {
		return err
	}
	if err := checkID(op, h.StorageLocationID); err != nil {
		return err
	}
	latency := h.Latency.Milliseconds()
	return q.inTx(ctx, func(q *Queries) error {
		if err := q.q.AddStorageHealthCheck(ctx, dbgen.AddStorageHealthCheckParams{
			ID: id, StorageLocationID: h.StorageLocationID, Status: h.Status, LocationStatus: h.LocationStatus, LatencyMS: &latency,
			AvailableSpaceGB: h.AvailableSpaceGB, UsedBytes: h.UsedBytes, ErrorMessage: cleanText(h.Message), CheckedAt: checkedAt(h.CheckedAt),
		}); err != nil {
			return translate(op, err)
		}
		if h.Judge != nil {
			if err := q.MoveHealth(ctx, domain.CheckedStorage, h.StorageLocationID, h.Judge); err != nil {
				return err
			}
		}
		_, err := q.q.SetStorageLocationHealth(ctx, dbgen.SetStorageLocationHealthParams{
			ID: h.StorageLocationID, Status: h.LocationStatus, AvailableSpaceGB: h.AvailableSpaceGB,
		})
		return translate(op, err)
	})
}

func checkedAt(at time.Time) time.Time {
	if at.IsZero() {
		return time.Now()
	}
	return at
}
