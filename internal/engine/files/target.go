package files

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// names are the places of a restore. A staging has a name that the walk of a backup leaves out.
type names struct {
	token  string
	target string
	beside string // the staging that becomes the target, in the directory that the target is in
	inside string // the staging whose files are moved into the target, in the target itself
	old    string // what the target was, while it is removed

	renameat2 func(olddir int, from string, newdir int, to string, flags uint) error
}

var tokenShape = regexp.MustCompile(`^[0-9a-f]{4,64}$`)

func (e *Engine) namesOf(req engine.StageRequest) (names, error) {
	const op = "restore files"
	if !tokenShape.MatchString(req.Token) {
		return names{}, failure.New(failure.ConfigInvalid, op, "the token is not lower-case hexadecimal", "")
	}
	n := names{token: req.Token, renameat2: e.renameat2}
	name := stagingPrefix + req.Token
	if req.Scratch {
		n.beside = filepath.Join(e.opts.ScratchDir, name)
		return n, nil
	}
	target := filepath.Clean(req.Target)
	if !filepath.IsAbs(req.Target) || target == "/" || strings.ContainsRune(target, 0) {
		return names{}, failure.New(failure.ConfigInvalid, op, "the target "+printable(req.Target)+" is not the absolute path of a directory below /", "Name the directory that the files are restored to.")
	}
	n.target = target
	n.beside = filepath.Join(filepath.Dir(target), name)
	n.inside = filepath.Join(target, name)
	n.old = n.beside + "-old"
	return n, nil
}

func (n names) markFile() string { return n.beside + ".mark" }

// CheckTarget refuses a target that can not be replaced, or merged into when only some paths are restored.
func (e *Engine) CheckTarget(_ context.Context, _ engine.Source, req engine.StageRequest) error {
	n, err := e.namesOf(req)
	if err != nil {
		return err
	}
	if _, err := chosenPaths(req.IncludePaths); err != nil {
		return err
	}
	if req.Scratch {
		return nil
	}
	return n.check(req)
}

// check looks at the target.
func (n names) check(req engine.StageRequest) error {
	op := "look at the target " + n.target
	info, err := os.Lstat(n.target)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return writable(filepath.Dir(n.target))
	case err != nil:
		return classify(op, err)
	case !info.IsDir():
		return failure.New(failure.ConfigInvalid, op, "it is not a directory", "Name another target, or remove what is there.")
	}
	if len(req.IncludePaths) > 0 {
		return n.checkMerge(req)
	}
	if n.marked(n.target) { // an earlier attempt has replaced it
		return nil
	}
	if !req.DropExisting {
		empty, err := isEmpty(n.target)
		if err != nil {
			return classify(op, err)
		}
		if !empty {
			return failure.New(failure.ConfigInvalid, op, "the directory is not empty", "Set drop_existing to replace everything in it, or restore to another directory.")
		}
	}
	if isMount(n.target) {
		return failure.New(failure.ConfigInvalid, op, "a file system is mounted there, which can not be exchanged as a whole",
			"Restore to a directory in it, or name what is restored in include_paths: that is moved into the target file by file.")
	}
	return writable(filepath.Dir(n.target))
}

// checkMerge refuses to replace files without being asked. The directory itself is written to.
func (n names) checkMerge(req engine.StageRequest) error {
	if err := writable(n.target); err != nil || req.DropExisting {
		return err
	}
	paths, err := chosenPaths(req.IncludePaths)
	if err != nil {
		return err
	}
	for _, path := range paths {
		at := filepath.Join(n.target, path)
		info, err := os.Lstat(at)
		if err != nil {
			continue // there is nothing to replace
		}
		empty := false
		if info.IsDir() {
			empty, _ = isEmpty(at)
		}
		if !empty && !n.marked(n.target) {
			return failure.New(failure.ConfigInvalid, "look at the target "+n.target, printable(path)+" is there already",
				"Set drop_existing to replace it; everything that include_paths does not name stays as it is.")
		}
	}
	return nil
}

// writable refuses a directory in which the staging can not be made.
func writable(directory string) error {
	op := "write to the directory " + directory
	if err := unix.Access(directory, unix.W_OK|unix.X_OK); err != nil {
		class, hint := failure.ConfigInvalid, "A restore is made beside its target and then given its name: the worker needs the right to write to the directory that the target is in."
		if errors.Is(err, unix.ENOENT) {
			hint = "Make the directory first, or name another target."
		}
		return failure.Wrap(class, op, err, hint)
	}
	return nil
}

// isMount reports whether a directory is the root of something mounted.
func isMount(directory string) bool {
	var st unix.Statx_t
	err := unix.Statx(unix.AT_FDCWD, directory, unix.AT_SYMLINK_NOFOLLOW, unix.STATX_BASIC_STATS, &st)
	return err == nil && st.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0
}

// isEmpty looks whether a directory holds anything but what restores leave.
func isEmpty(directory string) (bool, error) {
	d, err := os.Open(directory) //nolint:gosec // the operator's own target
	if err != nil {
		return false, err
	}
	defer func() { _ = d.Close() }()
	for {
		found, err := d.Readdirnames(16)
		for _, name := range found {
			if !strings.HasPrefix(name, stagingPrefix) {
				return false, nil
			}
		}
		if errors.Is(err, io.EOF) {
			return true, nil
		}
		if err != nil {
			return false, err
		}
	}
}

// chosenPaths are the include paths, which may be escaped, as paths of the index. Nothing of them leads out of the root.
func chosenPaths(include []string) ([]string, error) {
	paths := make([]string, 0, len(include))
	for _, given := range include {
		path := filepath.Clean(strings.TrimLeft(unescapePath(given), "/"))
		if path == "." && strings.Trim(given, "/.") == "" {
			return nil, nil // everything
		}
		if !localPath(path) {
			return nil, failure.New(failure.ConfigInvalid, "read include_paths", printable(given)+" is not a path in the backup", "Give paths as they are below the directory that was backed up.")
		}
		paths = append(paths, path)
	}
	return paths, nil
}

// removeTree removes a directory whatever the rights of those in it.
func removeTree(directory string) error {
	err := os.RemoveAll(directory)
	if err == nil || !errors.Is(err, os.ErrPermission) {
		return err
	}
	_ = filepath.WalkDir(directory, func(path string, entry os.DirEntry, _ error) error {
		if entry != nil && entry.IsDir() {
			_ = os.Chmod(path, 0o700) //nolint:gosec // a directory that is being removed
		}
		return nil // what can not be removed is told by the removal
	})
	return os.RemoveAll(directory)
}
