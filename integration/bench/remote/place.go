package remote

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/recovery"
)

const host = "127.0.0.1"

// Place is a storage location that DataGuardian and rclone share, with a directory of it for each.
type Place struct {
	Objects string // where on this machine DataGuardian's objects lie
	Copies  string // where rclone's lie
	// Location is a file with DataGuardian's location, readable for nobody else.
	Location string
	// Rclone is the place's name for rclone (remote:path), and Config rclone's configuration; both are
	// empty on a local disk.
	Rclone, Config string
	Options        []string // of rclone, that this server needs
	// Syncs says that Sync of DataGuardian's store has everything written to the disk.
	Syncs bool
	// Missing says why DataGuardian can not use the place.
	Missing string

	server *process
}

// Local is a directory of this machine. dir must be there.
func Local(dir string) (*Place, error) {
	p := newPlace(dir)
	p.Syncs = true
	return p, p.describe(dir, recovery.Location{Type: domain.StorageLocal, Config: domain.StorageConfig{Path: p.Objects}})
}

func newPlace(dir string) *Place {
	return &Place{Objects: filepath.Join(dir, "served", "dataguardian"), Copies: filepath.Join(dir, "served", "copies")}
}

// Empty makes a directory anew. The directory itself stays: a bucket's attributes are on it.
func Empty(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	for _, entry := range entries {
		if err := os.RemoveAll(filepath.Join(dir, entry.Name())); err != nil {
			return fmt.Errorf("bench: %w", err)
		}
	}
	return nil
}

// describe writes the file with the location, and makes the directories.
func (p *Place) describe(dir string, location recovery.Location) error {
	for _, served := range []string{p.Objects, p.Copies} {
		if err := Empty(served); err != nil {
			return err
		}
	}
	document, err := json.Marshal(location)
	if err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	p.Location = filepath.Join(dir, "location.json")
	return write(p.Location, string(document))
}

// configure writes rclone's configuration of a remote.
func (p *Place) configure(dir, path string, settings ...string) error {
	const name = "bench"
	p.Rclone, p.Config = name+":"+path, filepath.Join(dir, "rclone.conf")
	return write(p.Config, "["+name+"]\n"+strings.Join(settings, "\n")+"\n")
}

// try opens DataGuardian's store once.
func try(ctx context.Context, location recovery.Location) error {
	store, err := location.Open(ctx)
	if err != nil {
		return err
	}
	return store.Close()
}

// Stop ends the server.
func (p *Place) Stop() {
	if p.server != nil {
		p.server.stop()
	}
}

func write(path, text string) error {
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	return nil
}
