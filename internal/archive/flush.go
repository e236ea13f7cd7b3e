package archive

import (
	"context"
	"time"
)

// reportRegularly reports what is stored also while no chunk comes, because the dump tool waits for a
// lock for example: should this worker be lost then, the next one need not send it again. It returns
// when cut is closed; what comes after that is reported with the last chunks or by Commit.
func (w *Writer) reportRegularly(ctx context.Context, cut <-chan struct{}) error {
	ticker := time.NewTicker(w.opts.ReportEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-cut:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
		if err := w.reportIfDue(ctx, 0); err != nil {
			return err
		}
	}
}
