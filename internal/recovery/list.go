package recovery

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/dataguardian/dataguardian/internal/archive"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// Entry is one backup as List shows it. Of a manifest that can not be read only Manifest, StartedAt
// (from its key) and Problem are set.
type Entry struct {
	ExecutionID    string                `json:"execution_id"`
	DatasourceID   string                `json:"datasource_id,omitempty"`
	DatasourceName string                `json:"datasource"`
	DatasourceType domain.DatasourceType `json:"type,omitempty"`
	BackupType     domain.BackupType     `json:"backup_type,omitempty"`
	Parent         string                `json:"parent,omitempty"`
	StartedAt      time.Time             `json:"started_at"`
	FinishedAt     *time.Time            `json:"finished_at,omitempty"`
	SizeBytes      int64                 `json:"size_bytes"`   // of the dump
	StoredBytes    int64                 `json:"stored_bytes"` // of all objects it needs, shared ones too
	Recipients     []string              `json:"recipients"`   // empty: not encrypted
	Streams        []StreamEntry         `json:"streams"`
	Manifest       string                `json:"manifest"`
	ManifestSHA256 string                `json:"manifest_sha256,omitempty"`
	Problem        string                `json:"problem,omitempty"` // why it can not be restored as it is
}

// StreamEntry is one stream of a backup.
type StreamEntry struct {
	Name   string `json:"name"`
	Format string `json:"format"`
	Bytes  int64  `json:"bytes"`
}

// List shows every backup, oldest first, and what is wrong with it; damage is no error here. With
// identities it also finds the manifests that were changed and those that none of them opens. One
// manifest is in memory at a time.
func (r *Recovery) List(ctx context.Context, datasource string) ([]Entry, error) {
	names, err := archive.ListManifests(ctx, r.Store)
	if err != nil {
		return nil, err
	}
	entries := []Entry{}
	for _, name := range names {
		if datasource != "" && !isDatasource(name, datasource) {
			continue
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		entries = append(entries, r.entry(ctx, name))
	}
	slices.SortStableFunc(entries, func(a, b Entry) int {
		return cmp.Or(a.StartedAt.Compare(b.StartedAt), cmp.Compare(a.Manifest, b.Manifest))
	})
	return entries, nil
}

func (r *Recovery) entry(ctx context.Context, name archive.ManifestName) Entry {
	e := Entry{DatasourceName: name.DatasourceDir, StartedAt: name.Created, Manifest: name.Key, Recipients: []string{}, Streams: []StreamEntry{}}
	b, err := r.open(ctx, name)
	if err != nil {
		e.Problem = failure.Message(err)
		return e
	}
	m := b.Manifest
	e.ExecutionID, e.DatasourceID, e.DatasourceName, e.DatasourceType = m.ExecutionID, m.DatasourceID, m.DatasourceName, m.DatasourceType
	e.BackupType, e.Parent, e.StartedAt, e.FinishedAt = m.BackupType, m.Parent, m.StartedAt, &m.FinishedAt
	e.SizeBytes, e.StoredBytes, e.ManifestSHA256 = m.PlainBytes(), m.StoredBytes(), b.SHA256
	e.Recipients = append(e.Recipients, m.Recipients...)
	for _, s := range m.Streams {
		e.Streams = append(e.Streams, StreamEntry{Name: s.Name, Format: s.Format, Bytes: s.Bytes})
	}
	if len(r.Identities) > 0 || !m.Encrypted() {
		if err := m.Unseal(r.Identities); err != nil {
			e.Problem = failure.Message(err)
		}
	}
	return e
}
