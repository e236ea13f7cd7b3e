package files_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/engine/enginetest"
	"github.com/dataguardian/dataguardian/internal/engine/files"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// staged is a restore over a target with one file, loaded and not promoted.
type staged struct {
	engine        *files.Engine
	req           engine.StageRequest
	place, target string
	staging       string
}

func stage(t *testing.T, e *files.Engine) staged {
	t.Helper()
	root := filepath.Join(t.TempDir(), "source")
	write(t, root, "restored", "from the backup")
	s := staged{engine: e, place: t.TempDir()}
	s.target = filepath.Join(s.place, "target")
	write(t, s.target, "original", "of the target")
	b := dump(t, source(root), nil)
	s.req = b.Request("abcd", s.target)
	s.req.DropExisting = true
	report, err := e.Stage(context.Background(), source(s.target), s.req, b.Opener())
	require.NoError(t, err)
	s.staging = report.Staging
	return s
}

func (s staged) promote() error {
	_, err := s.engine.Promote(context.Background(), source(s.target), s.req)
	return err
}

func (s staged) discard() error {
	return s.engine.Discard(context.Background(), source(s.target), s.req)
}

func TestASwapInTwoStepsReplacesTheTargetAndLeavesNothing(t *testing.T) {
	s := stage(t, files.WithoutExchange(files.New(files.Options{})))
	for range 2 {
		require.NoError(t, s.promote())
	}
	require.NoError(t, s.discard())
	require.Equal(t, []string{"restored"}, list(t, s.target))
	require.Equal(t, []string{"target"}, list(t, s.place))
}

// A worker that dies between the two steps leaves no target, and whoever uses it makes it again.
func TestWhatTheTargetWasIsNotRemovedWhenSomebodyMadeTheTargetAgain(t *testing.T) {
	for name, exchange := range map[string]bool{"with an exchange of names": true, "in two steps": false} {
		t.Run(name, func(t *testing.T) {
			e := files.New(files.Options{})
			if !exchange {
				e = files.WithoutExchange(e)
			}
			s := stage(t, e)
			old := s.staging + "-old"
			require.NoError(t, os.Rename(s.target, old))
			write(t, s.target, "new", "of an application")
			for _, step := range []func() error{s.promote, s.discard, s.promote, s.discard} {
				err := step()
				enginetest.RequireClass(t, failure.ConfigInvalid, err)
				require.Contains(t, failure.Message(err), filepath.Base(s.staging))
				require.Equal(t, "of the target", read(t, filepath.Join(old, "original")))
				require.Equal(t, "of an application", read(t, filepath.Join(s.target, "new")))
			}
		})
	}
}

func TestWhatTheTargetWasGetsItsNameBack(t *testing.T) {
	for name, crash := range map[string]func(t *testing.T, s staged){
		"when it was moved aside": func(t *testing.T, s staged) {
			require.NoError(t, os.Rename(s.target, s.staging+"-old"))
		},
		"when it was moved aside and an empty directory made": func(t *testing.T, s staged) {
			require.NoError(t, os.Rename(s.target, s.staging+"-old"))
			require.NoError(t, os.Mkdir(s.target, 0o700))
		},
		"when names were exchanged and the restored target is gone": func(t *testing.T, s staged) {
			require.NoError(t, unix.Renameat2(unix.AT_FDCWD, s.staging, unix.AT_FDCWD, s.target, unix.RENAME_EXCHANGE))
			require.NoError(t, os.RemoveAll(s.target))
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := stage(t, files.WithoutExchange(files.New(files.Options{})))
			crash(t, s)
			for range 2 {
				require.NoError(t, s.discard())
			}
			require.Equal(t, "of the target", read(t, filepath.Join(s.target, "original")))
			require.Equal(t, []string{"target"}, list(t, s.place))
		})
	}
}

func TestAStagingThatWasNotFinishedIsNoTarget(t *testing.T) {
	for name, token := range map[string]string{"half loaded": "abcd:begun", "made and not marked": ""} {
		t.Run(name, func(t *testing.T) {
			s := stage(t, files.New(files.Options{}))
			require.NoError(t, os.RemoveAll(s.target))
			require.NoError(t, unix.Removexattr(s.staging, "user.dataguardian.restore"))
			if token == "" {
				require.NoError(t, os.Remove(filepath.Join(s.staging, "restored")))
			} else {
				require.NoError(t, unix.Setxattr(s.staging, "user.dataguardian.restore", []byte(token), 0))
			}
			enginetest.RequireClass(t, failure.NotFound, s.promote())
			require.NoError(t, s.discard())
			require.Empty(t, list(t, s.place))
		})
	}
}

// An attempt that was given up may come back when the next one has made another staging of the same name.
func TestAnAttemptThatComesBackRemovesNothingOfTheNext(t *testing.T) {
	s := stage(t, files.New(files.Options{}))
	root := filepath.Join(t.TempDir(), "source")
	write(t, root, "restored", "from the backup")
	b := dump(t, source(root), nil)
	opened := 0
	_, err := s.engine.Stage(context.Background(), source(s.target), s.req, func(ctx context.Context, name string, offset int64) (io.ReadCloser, error) {
		if opened++; opened == 1 { // the index
			return b.Opener()(ctx, name, offset)
		}
		require.NoError(t, os.RemoveAll(s.staging))
		write(t, s.staging, "of the next attempt", "")
		return nil, errors.New("the mount is back")
	})
	require.ErrorContains(t, err, "the mount is back")
	require.Equal(t, []string{"of the next attempt"}, list(t, s.staging))
}

// A worker that is not root may not set the attribute of a directory that was restored read-only: a file says it then.
func TestAReadOnlyDirectoryThatKeptTheMarkOfItsBeginningIsMarked(t *testing.T) {
	s := stage(t, files.New(files.Options{}))
	var st unix.Stat_t
	require.NoError(t, unix.Lstat(s.staging, &st))
	if err := unix.Setxattr(s.staging, "user.dataguardian.restore", []byte(s.req.Token+":begun"), 0); err != nil {
		require.ErrorIs(t, err, unix.ENOTSUP) // the file is all there is
	}
	require.NoError(t, os.WriteFile(files.MarkFile(s.engine, s.req), fmt.Appendf(nil, "%d:%d", st.Dev, st.Ino), 0o600))
	require.NoError(t, s.promote())
	require.Equal(t, []string{"restored"}, list(t, s.target))
}
