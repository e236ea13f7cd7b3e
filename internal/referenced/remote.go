package referenced

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/sshdial"
)

// server is an SSH server that files are read from by SFTP. It is not asked to run anything.
type server struct {
	address string
	client  *ssh.Client
	sftp    *sftp.Client
	ahead   *bufio.Reader // of the file that is open; a large read of it is many requests at a time
	done    chan struct{}
	unwatch func() bool
}

// readAhead is how much of a file is asked for at a time, in bytes.
const readAhead = 1 << 20

// dialServer connects. The connection ends with ctx.
func dialServer(ctx context.Context, login domain.SSHTunnel) (*server, error) {
	dialer, err := sshdial.New(sshdial.Options{
		Op: "connect to the server of the referenced files", Host: login.Host, Port: login.Port, User: login.Username,
		Password: login.Password, PrivateKey: login.PrivateKey, Passphrase: login.Passphrase, HostKey: login.HostKey,
	})
	if err != nil {
		return nil, err
	}
	s := &server{address: dialer.Address(), done: make(chan struct{}), ahead: bufio.NewReaderSize(nil, readAhead)}
	s.client, err = dialer.Dial(ctx, func(client *ssh.Client) (err error) {
		if s.sftp, err = sftp.NewClient(client); err != nil {
			return failure.Wrap(failure.ConfigInvalid, storing, fmt.Errorf("%s gives no SFTP session: %w", s.address, err),
				"Enable the sftp subsystem for this user, and let the user's shell start-up files print nothing.")
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	s.unwatch = context.AfterFunc(ctx, func() { _ = s.client.Close() })
	go dialer.Keepalive(s.done, func() bool { return sshdial.Probe(s.client) })
	return s, nil
}

func (s *server) close() {
	s.unwatch()
	close(s.done)
	_ = s.sftp.Close()
	_ = s.client.Close()
}

// broken classifies an error that is the connection's, and returns any other as it is: that is an answer about a file.
func (s *server) broken(err error) error {
	var answer *sftp.StatusError
	if err == nil || errors.As(err, &answer) || errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) || errors.Is(err, errOutside) || errors.Is(err, errIrregular) {
		return err
	}
	return failure.Wrap(failure.Unreachable, storing, fmt.Errorf("the connection to %s broke: %w", s.address, err), sshdial.UnreachableHint)
}

// openTree finds where a base directory really is.
func (s *server) openTree(dir string) (tree, error) {
	real, err := s.sftp.RealPath(dir)
	if err == nil {
		var info fs.FileInfo
		if info, err = s.sftp.Stat(real); err == nil && !info.IsDir() {
			err = fs.ErrNotExist
		}
	}
	if err := s.broken(err); err != nil {
		return nil, failure.Wrap(failure.NotFound, storing, fmt.Errorf("base directory %q on %s: %w", dir, s.address, err), "Correct base_directories, or let the user of the SSH server read the directory.")
	}
	return &remote{server: s, dir: path.Clean(real), plain: map[string]bool{}}, nil
}

// remote is a directory of an SSH server. SFTP opens files by their paths alone, which are therefore resolved before: by the server,
// and, as not every server resolves links, each part of the outcome must not be one. What the server's own users
// change in between is looked for after it, and can not be ruled out: the login should be one that may read nothing else.
type remote struct {
	*server
	dir   string
	plain map[string]bool // directories below dir that are no links
}

func (r *remote) close() {}

func (r *remote) open(relative string) (io.ReadCloser, fs.FileInfo, error) {
	file, info, err := r.openPlain(path.Join(r.dir, relative))
	if err := r.broken(err); err != nil {
		return nil, nil, err
	}
	return file, info, nil
}

func (r *remote) openPlain(wanted string) (*content, fs.FileInfo, error) {
	real, err := r.resolve(wanted)
	if err != nil {
		return nil, nil, err
	}
	before, err := r.sftp.Lstat(real) // before it is opened: a pipe would wait for its other end
	if err != nil {
		return nil, nil, err
	}
	if !before.Mode().IsRegular() {
		return nil, nil, errIrregular
	}
	file, err := r.sftp.Open(real)
	if err != nil {
		return nil, nil, err
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errIrregular
	}
	if err == nil {
		var again string
		if again, err = r.resolve(real); err == nil && again != real {
			err = errOutside
		}
	}
	if err != nil {
		_ = file.Close()
		return nil, nil, err
	}
	r.ahead.Reset(file)
	return &content{file, r.server}, info, nil
}

// resolve is the path without links, which is below dir.
func (r *remote) resolve(wanted string) (string, error) {
	real, err := r.sftp.RealPath(wanted)
	if err != nil {
		return "", err
	}
	real = path.Clean(real)
	prefix := strings.TrimSuffix(r.dir, "/") + "/"
	if !strings.HasPrefix(real, prefix) {
		return "", errOutside
	}
	return real, r.checkPlain(path.Dir(real))
}

// checkPlain refuses a path, dir or below it, on which there is a link.
func (r *remote) checkPlain(at string) error {
	if len(at) <= len(r.dir) || r.plain[at] {
		return nil
	}
	if err := r.checkPlain(path.Dir(at)); err != nil {
		return err
	}
	info, err := r.sftp.Lstat(at)
	switch {
	case err != nil:
		return err
	case !info.IsDir():
		return errOutside
	}
	r.plain[at] = true
	return nil
}

// content is a file of the server that is read, one at a time.
type content struct {
	file   *sftp.File
	server *server
}

// Close closes the file.
func (c *content) Close() error { return c.file.Close() }

// Read tells the connection's errors from the file's. An end is only one if the server is still there.
func (c *content) Read(p []byte) (int, error) {
	n, err := c.server.ahead.Read(p)
	if err == io.EOF { //nolint:errorlint // io.Reader's contract; a connection's error has one inside
		if _, gone := c.file.Stat(); gone != nil {
			err = fmt.Errorf("look whether the file ends here: %w", gone)
		}
	}
	if err != nil && err != io.EOF { //nolint:errorlint // as above
		err = failure.Wrap(failure.Unknown, storing, c.server.broken(err), "")
	}
	return n, err
}
