package sqlite

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/failure"
)

var tokenPattern = regexp.MustCompile(`^[0-9a-z]{4,32}$`)

// scratchName begins the name of a file that only proves a backup.
const scratchName = "dataguardian_verify"

// sideSuffixes are those of the files that SQLite keeps beside a database. One that is left beside a
// restored file would be applied to it.
var sideSuffixes = []string{"-wal", "-shm", "-journal"}

// place are the files a restore deals with, all in one directory so that they can be renamed.
type place struct {
	target  string // empty for a scratch restore; symbolic links are followed, so that they stay
	staging string // the restored file, checked: it is there or not, never in part
	partial string // while it is written
	aside   string // begins the names of the replaced database's side files until it is replaced
	mark    string // says which restore put the target there
	own     bool   // the target is the datasource's own file
	token   string
}

// placeOf checks the request's names. A target is the datasource's file or one in the same directory: whoever may
// restore must not be able to write anywhere on the worker.
func placeOf(target engine.Source, req engine.StageRequest) (place, error) {
	const op = "name the restored database"
	if !tokenPattern.MatchString(req.Token) {
		return place{}, failure.New(failure.ConfigInvalid, op, fmt.Sprintf("the token %q is not 4 to 32 lower-case letters or digits", req.Token), "")
	}
	file, err := followed(target.Config.FilePath)
	if err != nil {
		return place{}, err
	}
	if req.Scratch {
		staging := filepath.Join(filepath.Dir(file), scratchName+"_"+req.Token+".db")
		return place{staging: staging, partial: staging + ".part", token: req.Token}, nil
	}
	path, err := targetPath(target.Config.FilePath, req.Target)
	if err != nil {
		return place{}, err
	}
	if path, err = followed(path); err != nil {
		return place{}, err
	}
	dir, name := filepath.Split(path)
	return place{
		target:  path,
		staging: path + ".dg-" + req.Token,
		partial: path + ".dg-" + req.Token + ".part",
		aside:   path + ".old-" + req.Token,
		mark:    filepath.Join(dir, "."+name+".dg-restored"),
		own:     path == file,
		token:   req.Token,
	}, nil
}

// targetPath is a path as people give it: the file itself, or the name of one beside the datasource's.
func targetPath(filePath, wanted string) (string, error) {
	const op = "check the target file"
	dir := filepath.Dir(filePath)
	if wanted != "" && !strings.ContainsRune(wanted, '/') {
		wanted = filepath.Join(dir, wanted)
	}
	name := filepath.Base(wanted)
	switch {
	case wanted == "" || strings.ContainsRune(wanted, 0) || !filepath.IsAbs(wanted) || filepath.Clean(wanted) != wanted || name == "..":
		return "", failure.New(failure.ConfigInvalid, op, fmt.Sprintf("%q is no plain absolute path", wanted), "Give target_database the path of a file, or leave it out.")
	case wanted != filePath && filepath.Dir(wanted) != dir:
		return "", failure.New(failure.ConfigInvalid, op, fmt.Sprintf("%s is not in %s", wanted, dir),
			"A restore writes only in the folder of the datasource's file_path; make a datasource for another one.")
	}
	for _, suffix := range sideSuffixes {
		if strings.HasSuffix(name, suffix) {
			return "", failure.New(failure.ConfigInvalid, op, fmt.Sprintf("%s has the name of a file that SQLite keeps beside a database", wanted), "Give another target_database.")
		}
	}
	return wanted, nil
}

// followed is where a path leads. What is not there yet leads to itself, in a directory that is there.
func followed(path string) (string, error) {
	const op = "follow the path of the database"
	resolved, err := filepath.EvalSymlinks(path)
	if err == nil {
		return resolved, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", failure.Wrap(failure.ConfigInvalid, op, err, "Check file_path and the permissions of the folders above it.")
	}
	if info, err := os.Lstat(path); err == nil && info.Mode()&fs.ModeSymlink != 0 {
		return "", failure.New(failure.ConfigInvalid, op, path+" is a symbolic link to nothing", "Remove the link, or make what it points to.")
	}
	dir, err := filepath.EvalSymlinks(filepath.Dir(path))
	if err != nil {
		return "", failure.Wrap(failure.NotFound, op, err, "Make the folder, or give another file_path.")
	}
	return filepath.Join(dir, filepath.Base(path)), nil
}

// sides are the side files of path that exist.
func sides(path string) (found []string) {
	for _, suffix := range sideSuffixes {
		if _, err := os.Lstat(path + suffix); err == nil {
			found = append(found, path+suffix)
		}
	}
	return found
}

// restored reports whether this restore put the target there.
func (p place) restored() bool {
	text, err := os.ReadFile(p.mark)
	return err == nil && strings.TrimSpace(string(text)) == p.token && !exists(p.staging)
}

// unmark takes the mark back, if it is this restore's.
func (p place) unmark() error {
	if text, err := os.ReadFile(p.mark); err != nil || strings.TrimSpace(string(text)) != p.token {
		return nil //nolint:nilerr // no mark of ours
	}
	return removeFile(p.mark)
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// removeFile removes a file; one that is not there is no error.
func removeFile(path string) error {
	if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// syncDir makes the names in a directory durable.
func syncDir(dir string) error {
	d, err := os.Open(dir) //nolint:gosec // the target's own
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
