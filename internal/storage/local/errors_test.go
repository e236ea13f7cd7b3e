package local

import (
	"context"
	"errors"
	"io/fs"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/storage"
)

func TestLeftoversOnADiskThatMayOnlyBeReadAreLeft(t *testing.T) {
	for errno, stays := range map[syscall.Errno]bool{syscall.EROFS: true, syscall.EACCES: true, syscall.EPERM: true, syscall.EIO: false} {
		require.Equal(t, stays, unwritable(&fs.PathError{Op: "removeat", Path: ".tmp/x", Err: errno}), errno)
	}
}

func TestErrorsOfTheFileSystemSayWhatToDo(t *testing.T) {
	for errno, class := range map[syscall.Errno]failure.Class{
		syscall.ENOSPC: failure.StorageFull, syscall.EDQUOT: failure.StorageFull, syscall.EROFS: failure.ConfigInvalid,
		syscall.EACCES: failure.AuthFailed, syscall.EPERM: failure.AuthFailed, syscall.ENAMETOOLONG: failure.ConfigInvalid,
		syscall.ESTALE: failure.Unreachable, syscall.EISDIR: failure.ConfigInvalid,
	} {
		for _, mapping := range []func(op, key string, err error) error{classify, classifyPut} {
			err := mapping("put object", "k", &fs.PathError{Op: "write", Path: "k", Err: errno})
			require.Equal(t, class, failure.ClassOf(err), errno)
			require.NotEmpty(t, failure.HintOf(err), errno)
			require.Equal(t, class == failure.StorageFull, errors.Is(err, storage.ErrFull), errno)
		}
	}
	require.Equal(t, failure.Unknown, failure.ClassOf(classify("get", "k", syscall.EIO)))
	require.Equal(t, failure.Corrupt, failure.ClassOf(classifyRead("get", "k", syscall.EIO)), "what can not be read is lost")
	require.Equal(t, failure.AuthFailed, failure.ClassOf(classifyRead("get", "k", syscall.EACCES)))
	require.Equal(t, failure.Cancelled, failure.ClassOf(classify("get", "k", context.Canceled)))
	require.NoError(t, classify("get", "k", nil))
}
