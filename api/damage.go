package api

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"time"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/auth"
)

// DamagedObject is a stored object that is not what was stored.
type DamagedObject struct {
	Key      string          `json:"key" doc:"Below the root of the storage location"`
	ChunkID  string          `json:"chunk_id,omitempty" doc:"In hex; left out for a manifest"`
	Reason   string          `json:"reason"`
	FoundAt  time.Time       `json:"found_at"`
	HealedAt *time.Time      `json:"healed_at" doc:"null while it is damaged"`
	NeededBy []NeedingBackup `json:"needed_by" nullable:"false" doc:"The kept backups that can not be restored whole without it, oldest first"`
}

// NeedingBackup is a backup that needs a damaged object.
type NeedingBackup struct {
	ExecutionID  string    `json:"execution_id" format:"uuid"`
	DatasourceID *string   `json:"datasource_id"`
	JobID        *string   `json:"job_id"`
	JobName      string    `json:"job_name,omitempty"`
	CreatedAt    time.Time `json:"created_at"`
}

type listDamageInput struct {
	ByID
	Paging
	Healed bool `query:"healed" doc:"Also what is whole again"`
}

func (s *server) registerDamage() {
	register(s, requires(auth.StorageRead), huma.Operation{
		OperationID: "list-damage", Method: http.MethodGet, Path: "/api/storage-locations/{id}/damage", Tags: []string{"Storage locations"},
		Summary:     "Damaged objects, and the backups that need them",
		Description: "What verifications and the scrub found, by key. A backup that needs a damaged object is not restored, nor built on, until the object is healed.",
		Errors:      []int{http.StatusNotFound},
	}, s.listDamage)
}

func (s *server) listDamage(ctx context.Context, in *listDamageInput) (*body[page[DamagedObject]], error) {
	after, err := base64.RawURLEncoding.DecodeString(in.Cursor)
	if err != nil || !utf8.Valid(after) || bytes.ContainsRune(after, 0) {
		err = db.ErrInvalidCursor
	}
	limit := in.page().Limit
	if limit <= 0 {
		limit = db.DefaultPageSize
	}
	var rows []db.DamagedObject
	if err == nil {
		rows, err = s.db.PageDamage(ctx, in.ID, string(after), limit+1, in.Healed)
	}
	if err := parentSeen(ctx, len(rows), func() error { _, err := s.db.GetStorageLocation(ctx, in.ID); return err }); err != nil {
		return nil, missing(err, "storage location", in.ID)
	}
	if err != nil {
		return nil, err
	}
	next := ""
	if len(rows) > limit {
		rows = rows[:limit]
		next = base64.RawURLEncoding.EncodeToString([]byte(rows[limit-1].Key))
	}
	needed, err := s.db.BackupsThatNeedAll(ctx, in.ID, rows)
	if err != nil {
		return nil, err
	}
	return pageOf(rows, next, func(row db.DamagedObject) DamagedObject { return viewDamage(row, needed[row.Key]) }), nil
}

func viewDamage(row db.DamagedObject, needed []db.NeedingBackup) DamagedObject {
	out := DamagedObject{Key: row.Key, Reason: row.Reason, FoundAt: row.FoundAt, HealedAt: row.HealedAt, NeededBy: []NeedingBackup{}}
	if row.ChunkID != nil {
		out.ChunkID = hex.EncodeToString(row.ChunkID[:])
	}
	for _, b := range needed {
		out.NeededBy = append(out.NeededBy, NeedingBackup(b))
	}
	return out
}
