package activities

import (
	"context"
	"slices"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/archive"
	"github.com/dataguardian/dataguardian/internal/engine"
)

// chunkBatch is how many rows are made at a time: a million chunks must not be in memory twice.
const chunkBatch = 10_000

// settleChunks makes the storage location and the rows say what the recorded manifest says. What
// earlier attempts left, and it does not name, goes. Every chunk that it refers to gets its row
// before the backup can be completed, and with that the pin on its parent ends: whoever counts who
// needs an object counts this backup too. Folders of later attempts are not looked at: should this
// one be overtaken now, they are in use.
func (a *Activities) settleChunks(ctx context.Context, job *backup, manifest *archive.Manifest, attempt int32) error {
	if attempt > 1 {
		// A later attempt may know what this one does not name.
		if err := a.DB.HoldsDump(ctx, job.id(), attempt); err != nil {
			return err
		}
		if err := removeUnnamed(ctx, job, manifest, attempt); err != nil {
			return err
		}
		a.at("dump.leftovers_removed")
	}
	return a.DB.InTx(ctx, func(q *db.Queries) error {
		if err := q.HoldsDump(ctx, job.id(), attempt); err != nil {
			return err
		}
		// What the first attempt stored was recorded as it was stored.
		if attempt > 1 {
			if err := q.DeleteAllChunks(ctx, job.id()); err != nil {
				return err
			}
		}
		return addChunkRows(ctx, q, manifest, func(own bool) bool { return !own || attempt > 1 })
	})
}

// addChunkRows records the chunks that a manifest names as those of its execution: the wanted ones of
// its own and of those that it reuses.
func addChunkRows(ctx context.Context, q *db.Queries, m *archive.Manifest, wanted func(own bool) bool) error {
	rows := make([]db.Chunk, 0, min(chunkBatch, len(m.Objects)))
	for i, o := range m.Objects {
		folder := m.Folder(i)
		own := archive.OwnFolder(folder, m.Generation, m.ExecutionID)
		if wanted(own) {
			rows = append(rows, chunkRow(folder, o.StoredChunk, own))
		}
		if len(rows) == chunkBatch || i == len(m.Objects)-1 {
			if err := q.AddChunks(ctx, m.ExecutionID, rows); err != nil {
				return err
			}
			rows = rows[:0]
		}
	}
	return nil
}

// removeUnnamed deletes the manifests of earlier attempts, and the objects in this execution's own
// folders that the manifest does not name.
func removeUnnamed(ctx context.Context, job *backup, manifest *archive.Manifest, attempt int32) error {
	named := make(map[string]struct{})
	for i := range manifest.Objects {
		if job.ownFolder(manifest.Folder(i)) {
			named[manifest.ObjectKey(i)] = struct{}{}
		}
	}
	unnamed := func(key string) bool { _, found := named[key]; return !found }
	for earlier := int32(1); earlier <= attempt; earlier++ {
		if earlier < attempt {
			if err := job.store.Delete(ctx, job.manifestKey(earlier)); err != nil {
				return err
			}
		}
		folder := archive.ChunkDir(job.directory(), job.folder(earlier)) + "/"
		if err := deleteObjects(ctx, job.store, folder, unnamed); err != nil {
			return err
		}
	}
	return nil
}

// usage is what a backup added to the storage location, and what it shares with earlier ones.
type usage struct {
	added, reused int64 // stored bytes
	reusedChunks  int64
}

func (b *backup) usage(manifest *archive.Manifest) usage {
	var u usage
	for i, o := range manifest.Objects {
		if b.ownFolder(manifest.Folder(i)) {
			u.added += o.StoredBytes
		} else {
			u.reused += o.StoredBytes
			u.reusedChunks++
		}
	}
	return u
}

// ownFolder reports whether this execution stores into a folder of chunks.
func (b *backup) ownFolder(folder string) bool {
	return archive.OwnFolder(folder, b.execution.Generation, b.execution.ID)
}

// warnings are those of the dump, behind the ones that are recorded already.
func (b *backup) warnings(r engine.Report) []string {
	all := slices.Clone(b.execution.Metadata.Warnings)
	for _, warning := range r.Warnings {
		if !slices.Contains(all, warning) {
			all = append(all, warning)
		}
	}
	return all
}
