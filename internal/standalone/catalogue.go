package standalone

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/dataguardian/dataguardian/db"
	"github.com/dataguardian/dataguardian/internal/config"
	"github.com/dataguardian/dataguardian/internal/failure"
	"github.com/dataguardian/dataguardian/internal/process"
	"github.com/dataguardian/dataguardian/internal/standalone/postgres"
)

// catalogueFile, in the data directory with mode 0600, is the URL of the private Postgres that runs
// now, so that a command beside a running `up` can reach it.
const catalogueFile = "catalogue.url"

// publishCatalogue writes catalogueFile. It is whole or not there.
func publishCatalogue(dir, url string) error {
	path := filepath.Join(dir, catalogueFile)
	temporary := path + ".tmp"
	if err := os.WriteFile(temporary, []byte(url+"\n"), 0o600); err != nil {
		return failure.Wrap(failure.ConfigInvalid, "write into the data directory", err, "")
	}
	return failure.Wrap(failure.ConfigInvalid, "write into the data directory", os.Rename(temporary, path), "")
}

// OpenCatalogue opens the catalogue for a command beside `up`: DATABASE_URL, else that of the data
// directory, through the running `up` or, where none runs, by starting the private Postgres.
// The caller calls the returned function when it is done.
func OpenCatalogue(ctx context.Context, cfg *config.Config) (_ *db.DB, closeIt func(), err error) {
	if cfg.Database.URL != "" {
		key, err := process.MasterKey(cfg.MasterKey)
		if err != nil {
			return nil, nil, err
		}
		database, err := process.OpenDatabase(ctx, cfg.Database, key)
		if err != nil {
			return nil, nil, err
		}
		return database, database.Close, nil
	}
	key, err := installedKey(cfg)
	if err != nil {
		return nil, nil, err
	}
	url, release, err := reachCatalogue(ctx, cfg.DataDir)
	if err != nil {
		return nil, nil, err
	}
	database, err := process.OpenDatabase(ctx, config.Database{URL: config.Secret(url), MaxConns: cfg.Database.MaxConns}, key)
	if err != nil {
		release()
		return nil, nil, err
	}
	return database, func() { database.Close(); release() }, nil
}

// CatalogueURL is OpenCatalogue for a command that needs no secret of the catalogue, and so no master key:
// the URL of its database.
func CatalogueURL(ctx context.Context, cfg *config.Config) (url string, release func(), err error) {
	if cfg.Database.URL != "" {
		return cfg.Database.URL.Reveal(), func() {}, nil
	}
	if err := requireInstallation(cfg); err != nil {
		return "", nil, err
	}
	return reachCatalogue(ctx, cfg.DataDir)
}

// requireInstallation refuses a data directory that holds none, where Postgres would be started on nothing.
func requireInstallation(cfg *config.Config) error {
	if _, err := os.Stat(filepath.Join(cfg.DataDir, "postgres")); errors.Is(err, fs.ErrNotExist) {
		return failure.New(failure.NotFound, "open the catalogue", "there is no installation in "+cfg.DataDir,
			"Give its directory with --data-dir, or set DATABASE_URL and DATAGUARDIAN_MASTER_KEY.")
	}
	return nil
}

// reachCatalogue gives the URL of the data directory's catalogue, starting Postgres if need be.
func reachCatalogue(ctx context.Context, dir string) (url string, release func(), err error) {
	unlock, err := lockDataDir(dir)
	if err != nil { // an `up` runs here
		text, readErr := os.ReadFile(filepath.Join(dir, catalogueFile))
		if readErr != nil {
			return "", nil, errors.Join(err, readErr)
		}
		return strings.TrimSpace(string(text)), func() {}, nil
	}
	url, stop, err := startCatalogue(ctx, dir)
	if err != nil {
		unlock()
		return "", nil, err
	}
	return url, func() { stop(); unlock() }, nil
}

// startCatalogue starts the private Postgres of a data directory that this process has locked.
func startCatalogue(ctx context.Context, dir string) (url string, stop func(), err error) {
	server, err := postgres.Start(ctx, postgres.Options{DataDir: filepath.Join(dir, "postgres")})
	if err != nil {
		return "", nil, err
	}
	stop = func() { _ = server.Stop(context.WithoutCancel(ctx)) }
	if url, err = server.EnsureDatabase(ctx, catalogueDatabase); err != nil {
		stop()
		return "", nil, err
	}
	return url, stop, nil
}

// installedKey reads the master key of an installation that must be there.
func installedKey(cfg *config.Config) (db.MasterKey, error) {
	if err := requireInstallation(cfg); err != nil {
		return db.MasterKey{}, err
	}
	if cfg.MasterKey.Value != "" || cfg.MasterKey.File != "" {
		return process.MasterKey(cfg.MasterKey)
	}
	if err := requireKeyFile(cfg.MasterKeyFile()); err != nil {
		return db.MasterKey{}, err
	}
	return db.LoadOrCreateKeyFile(cfg.MasterKeyFile())
}

// requireKeyFile refuses to go on where an installation lost its key: a new one would not open it.
func requireKeyFile(path string) error {
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return failure.New(failure.ConfigInvalid, "read the master key",
		path+" is missing, and the catalogue beside it can only be opened with it",
		"Put the file back, or set DATAGUARDIAN_MASTER_KEY to the key that was in it.")
}
