package standalone

import (
	"context"
	"errors"
	"io/fs"
	"os"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/config"
	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/process"
)

// Rekey changes the master key of a data directory that no process uses: all secrets of its
// catalogue, then its key file; the old key stays in master.key.old. It returns how many secrets
// were sealed anew. Interrupted anywhere, it is finished by calling it again, which `up` asks for.
func Rekey(ctx context.Context, cfg *config.Config) (int, error) {
	path := cfg.MasterKeyFile()
	if cfg.MasterKey.Value != "" || cfg.MasterKey.File != "" {
		return 0, failure.New(failure.ConfigInvalid, "change the master key",
			"the key file of a data directory is changed, but DATAGUARDIAN_MASTER_KEY or DATAGUARDIAN_MASTER_KEY_FILE is set",
			"Unset it, or set DATABASE_URL to change the key of that database.")
	}
	now, err := installedKey(cfg)
	if err != nil {
		return 0, err
	}
	unlock, err := lockDataDir(cfg.DataDir)
	if err != nil {
		return 0, err
	}
	defer unlock()
	interrupted := rekeyPending(path)
	next, err := nextKey(cfg.MasterKey.New, now, path+".new")
	if err != nil {
		return 0, err
	}
	url, stop, err := startCatalogue(ctx, cfg.DataDir)
	if err != nil {
		return 0, err
	}
	defer stop()

	count := 0
	if !interrupted || !opens(ctx, url, next) {
		if count, err = db.Rekey(ctx, url, now, next); err != nil {
			return 0, err
		}
	}
	return count, failure.Wrap(failure.ConfigInvalid, "replace the key file", replaceKeyFile(path),
		"The catalogue is sealed under "+path+".new already: rename it to "+path+".")
}

// nextKey writes the given key to path, or one that it makes. A change that was interrupted is finished with the key that it
// was begun with: the catalogue may be sealed under it already.
func nextKey(given config.Secret, now db.MasterKey, path string) (db.MasterKey, error) {
	if given == "" {
		return db.LoadOrCreateKeyFile(path)
	}
	const op = "read DATAGUARDIAN_NEW_MASTER_KEY"
	key, err := db.ParseMasterKey(given.Reveal())
	if err != nil {
		return db.MasterKey{}, failure.Wrap(failure.ConfigInvalid, op, err, "")
	}
	if key.ID() == now.ID() {
		return db.MasterKey{}, failure.New(failure.ConfigInvalid, op, "it is the key that is used now", "Make a new one with `openssl rand -base64 32`.")
	}
	if err := db.CreateKeyFile(path, key); err != nil && !errors.Is(err, fs.ErrExist) {
		return db.MasterKey{}, failure.Wrap(failure.ConfigInvalid, "write the new key file", err, "")
	}
	begun, err := db.LoadOrCreateKeyFile(path)
	if err == nil && begun.ID() != key.ID() {
		return db.MasterKey{}, failure.New(failure.ConfigInvalid, op, "a change to another key was begun and not finished ("+path+" is there)",
			"Unset it and run dataguardian rekey once more, which finishes that change; then change the key again.")
	}
	return begun, err
}

// replaceKeyFile puts the new key file in the place of path, which always has one of the two.
func replaceKeyFile(path string) error {
	if err := os.Remove(path + ".old"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Link(path, path+".old"); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// rekeyPending reports whether a change of the key in path was begun and not finished.
func rekeyPending(path string) bool {
	_, err := os.Stat(path + ".new")
	return !errors.Is(err, fs.ErrNotExist)
}

// opens reports whether key is the one that the catalogue is sealed under.
func opens(ctx context.Context, url string, key db.MasterKey) bool {
	database, err := process.OpenDatabase(ctx, config.Database{URL: config.Secret(url), MaxConns: 2}, key)
	if err != nil {
		return false
	}
	database.Close()
	return true
}
