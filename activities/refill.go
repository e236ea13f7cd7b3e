package activities

import (
	"context"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/archive"
)

// copyIfMuch is copyMissing for a backup whose manifest is damaged, so that nothing else of it was looked
// at. What a check can record is left to the next one, which names it; of a wiped location it could not.
func (h *healer) copyIfMuch(ctx context.Context, c db.Copy, from *source) error {
	opened, err := h.manifest(ctx, c, from)
	if err != nil {
		return err
	}
	missing, err := archive.FindMissing(ctx, h.store, opened.manifest, archive.DamageOptions{})
	if err != nil || missing.Count < db.MaxDamageListed {
		return err
	}
	return h.copyMissing(ctx, c, from)
}

// copyMissing copies what a backup lacks on the location from a copy of it. What is there with its size is
// left: reading it is the next check's work.
func (h *healer) copyMissing(ctx context.Context, c db.Copy, from *source) error {
	opened, err := h.manifest(ctx, c, from)
	if err != nil {
		return err
	}
	done, err := archive.CopyObjects(ctx, from.store, h.store, opened.manifest, archive.CopyOptions{
		Parallel: h.a.Tuning.Uploads,
		Trusted:  func(context.Context, []int) ([]int, error) { return nil, nil },
		Progress: func(int, archive.Copied) { h.a.at("heal.batch_copied") },
	})
	h.result.Healed += done.Copied
	if done.Copied > 0 {
		h.a.log(ctx, c.ExecutionID, "warning", "copied %d missing objects back from storage location %s", done.Copied, quoted(from.name))
	}
	return err
}

// refill is copyMissing from the first copy that can be read. What keeps it from that is noted.
func (h *healer) refill(ctx context.Context, executionID string) error {
	_, err := h.fromCopies(ctx, executionID, func(c db.Copy, from *source) error { return h.copyMissing(ctx, c, from) })
	return err
}
