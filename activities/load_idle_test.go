package activities

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// slowOpener opens a stream of many single bytes, each a while after the one before.
func slowOpener(bytes int, pause time.Duration) engine.Opener {
	return func(context.Context, string, int64) (io.ReadCloser, error) {
		return io.NopCloser(&slowly{r: strings.NewReader(strings.Repeat("x", bytes)), pause: pause}), nil
	}
}

type slowly struct {
	r     io.Reader
	pause time.Duration
}

func (s *slowly) Read(p []byte) (int, error) {
	time.Sleep(s.pause)
	return s.r.Read(p[:1])
}

func TestALoadThatTakesNoByteEnds(t *testing.T) {
	const limit = 300 * time.Millisecond
	hang := func(ctx context.Context) error { // what an engine makes of the end of its context
		<-ctx.Done()
		return failure.Wrap(failure.ClassOf(ctx.Err()), "load", ctx.Err(), "")
	}
	for name, c := range map[string]struct {
		load  func(ctx context.Context, open engine.Opener) error
		hangs bool
	}{
		"a tool that hangs with data left": {hangs: true, load: func(ctx context.Context, open engine.Opener) error {
			r, err := open(ctx, "dump", 0)
			if err != nil {
				return err
			}
			defer r.Close()
			if _, err := r.Read(make([]byte, 8)); err != nil {
				return err
			}
			return hang(ctx)
		}},
		"one of several tools that hangs when the others have ended": {hangs: true, load: func(ctx context.Context, open engine.Opener) error {
			stuck, err := open(ctx, "stuck", 0)
			if err != nil {
				return err
			}
			defer stuck.Close()
			other, err := open(ctx, "other", 0)
			if err != nil {
				return err
			}
			if _, err := io.Copy(io.Discard, other); err != nil {
				return err
			}
			return errors.Join(other.Close(), hang(ctx))
		}},
		"a slow load that moves": {load: func(ctx context.Context, open engine.Opener) error {
			r, err := open(ctx, "dump", 0)
			if err != nil {
				return err
			}
			defer r.Close()
			_, err = io.Copy(io.Discard, r)
			return err
		}},
		"indexes that are made of data that was read": {load: func(ctx context.Context, open engine.Opener) error {
			r, err := open(ctx, "dump", 0)
			if err != nil {
				return err
			}
			defer r.Close()
			if _, err := io.Copy(io.Discard, r); err != nil {
				return err
			}
			time.Sleep(2 * limit)
			return ctx.Err()
		}},
		"work before the first stream and between two": {load: func(ctx context.Context, open engine.Opener) error {
			for range 2 {
				time.Sleep(2 * limit)
				r, err := open(ctx, "dump", 0)
				if err != nil {
					return err
				}
				if err := r.Close(); err != nil {
					return err
				}
			}
			return ctx.Err()
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := whileLoading(t.Context(), limit, "orders", func(ctx context.Context, through func(engine.Opener) engine.Opener) error {
				return c.load(ctx, through(slowOpener(5, limit/4)))
			})
			if !c.hangs {
				require.NoError(t, err)
				return
			}
			require.Equal(t, failure.Timeout, failure.ClassOf(err))
			require.ErrorContains(t, err, "orders")
			require.Contains(t, failure.HintOf(err), "idle_timeout_minutes")
		})
	}
}

func TestTheIdleTimeoutOfARestoreIsItsOwnOrTheBackups(t *testing.T) {
	r := &restore{backup: &backup{options: domain.BackupOptions{IdleTimeoutMinutes: 15}}}
	require.Equal(t, 15*time.Minute, r.idleTimeout())
	r.options.IdleTimeoutMinutes = 90
	require.Equal(t, 90*time.Minute, r.idleTimeout())
}

// hangingStager takes one byte of the backup and then waits.
type hangingStager struct{ engine.Stager }

func (hangingStager) Stage(ctx context.Context, _ engine.Source, _ engine.StageRequest, open engine.Opener) (engine.StageReport, error) {
	r, err := open(ctx, "dump", 0)
	if err != nil {
		return engine.StageReport{}, err
	}
	defer r.Close()
	if _, err := r.Read(make([]byte, 1)); err != nil {
		return engine.StageReport{}, err
	}
	<-ctx.Done()
	return engine.StageReport{}, ctx.Err()
}

func TestARestoreWhoseToolHangsEndsAfterTheMinutesOfItsOptions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &restore{stager: hangingStager{}, backup: &backup{options: domain.BackupOptions{IdleTimeoutMinutes: 15}}, execution: db.Execution{ID: uuid.NewString()}}
		began := time.Now()
		_, err := r.load(t.Context(), engine.Source{}, nil, slowOpener(2, 0))
		require.Equal(t, failure.Timeout, failure.ClassOf(err))
		require.Equal(t, 15*time.Minute, time.Since(began))
	})
}

func TestProgressIsNeverMoreThanAll(t *testing.T) {
	c := &byteCounter{phase: domain.PhaseLoading}
	c.total.Store(100)
	c.bytes.Store(250) // an index that was read twice
	require.Equal(t, domain.Progress{Phase: domain.PhaseLoading, Bytes: 100, Total: 100}, c.progress())
	c.total.Store(0) // not known
	require.Equal(t, int64(250), c.progress().Bytes)
}
