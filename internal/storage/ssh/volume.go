package ssh

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"regexp"

	"github.com/dataguardian/dataguardian/internal/storage"
	"github.com/dataguardian/dataguardian/internal/storage/ssh/link"
)

// volumeFile holds a random name for the root, which the first Put gives it. SFTP tells no inode, so
// nothing else tells the root from another directory in its place, such as the bare mount point of a disk.
const volumeFile = storage.Reserved + "/volume"

var volumeName = regexp.MustCompile(`^[A-Z2-7]{26,64}$`)

var _ storage.Volumer = (*Store)(nil)

// Volume is the name in .tmp. It outlives the objects; a root that lost .tmp with them can not tell.
func (s *Store) Volume(ctx context.Context) (string, error) {
	var name []byte
	err := s.link.Do(ctx, func(c *link.Conn) error {
		if err := s.checkDir(c, storage.Reserved); err != nil {
			return err
		}
		info, err := c.Lstat(s.path(volumeFile))
		if err != nil || !info.Mode().IsRegular() {
			return err
		}
		file, err := c.Open(s.path(volumeFile))
		if err != nil {
			return err
		}
		name, err = io.ReadAll(io.LimitReader(file, 65))
		return errors.Join(err, file.Close())
	})
	switch {
	case missing(err):
		return "", ctx.Err()
	case err != nil:
		return "", s.classify("name the volume", volumeFile, err)
	case !volumeName.Match(name):
		return "", nil
	}
	return "ssh:" + string(name), nil
}

// nameVolume gives the root a name if it has none. That it can not is no reason to refuse an object; the
// error is that of a connection that broke.
func (s *Store) nameVolume(c *link.Conn) error {
	s.naming.Lock() // many uploads begin at once
	defer s.naming.Unlock()
	if _, err := c.Lstat(s.path(volumeFile)); !errors.Is(err, fs.ErrNotExist) {
		return lost(c, err)
	}
	temp := path.Join(storage.Reserved, tempName())
	file, err := c.OpenFile(s.path(temp), os.O_WRONLY|os.O_CREATE|os.O_EXCL)
	if err != nil {
		return lost(c, err)
	}
	_, err = io.WriteString(file, rand.Text())
	if err = errors.Join(err, file.Close()); err == nil {
		err = c.Rename(s.path(temp), s.path(volumeFile)) // not in place of one that another worker was faster with
	}
	if err != nil {
		s.discard(c, nil, temp)
	}
	return lost(c, err)
}

func lost(c *link.Conn, err error) error {
	if c.Lost(err) {
		return err
	}
	return nil
}
