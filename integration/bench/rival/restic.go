package rival

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/dataguardian/dataguardian/integration/bench/measure"
)

// ResticPackage is restic's main package.
const ResticPackage = "github.com/restic/restic/cmd/restic"

// Restic is a restic repository: encrypted, as all are, and with the default compression (auto).
type Restic struct {
	program, dir string
	environment  []string
}

// NewRestic makes a repository below dir.
func NewRestic(ctx context.Context, program, dir string) (*Restic, error) {
	r := &Restic{program: program, dir: dir, environment: []string{
		"RESTIC_PASSWORD=bench", "RESTIC_REPOSITORY=" + filepath.Join(dir, "repository"),
		"RESTIC_CACHE_DIR=" + filepath.Join(dir, "cache"), "RESTIC_PROGRESS_FPS=0.1",
	}}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	_, err := r.pipeline("init", "-q").Run(ctx, os.DevNull)
	return r, err
}

func (r *Restic) pipeline(arguments ...string) measure.Pipeline {
	return measure.Pipeline{Commands: [][]string{append([]string{r.program}, arguments...)}, Environment: r.environment}
}

// BackUp stores what dump writes and returns the id of the snapshot. Wall time ends when everything
// is on the disk.
func (r *Restic) BackUp(ctx context.Context, dump []string, environment []string) (measure.Run, string, error) {
	p := r.pipeline("backup", "--stdin", "--stdin-filename", streamName, "--json", "--host", "bench")
	p.Commands = append([][]string{dump}, p.Commands...)
	p.Environment = append(p.Environment, environment...)
	p.Durable = r.dir
	run, told, err := backUp(ctx, p, r.dir)
	if err != nil {
		return run, "", err
	}
	for line := range bytes.Lines(told) {
		var summary struct {
			Type  string `json:"message_type"`
			ID    string `json:"snapshot_id"`
			Added int64  `json:"data_added"`
		}
		if json.Unmarshal(line, &summary) == nil && summary.Type == "summary" {
			run.Added = summary.Added
			return run, summary.ID, nil
		}
	}
	return run, "", fmt.Errorf("bench: restic printed no summary: %.200s", told)
}

// BackUpTree stores a directory, on top of the newest backup of it.
func (r *Restic) BackUpTree(ctx context.Context, tree string) (measure.Run, error) {
	p := r.pipeline("backup", "--json", "--host", "bench", tree)
	p.Durable = r.dir
	run, _, err := backUp(ctx, p, r.dir)
	return run, err
}

// RestoreTree restores the newest backup of a directory into another one.
func (r *Restic) RestoreTree(ctx context.Context, target string) (measure.Run, error) {
	p := r.pipeline("restore", "latest", "-q", "--target", target)
	p.Durable = r.dir
	return p.Run(ctx, os.DevNull)
}

// Read writes a backup to nowhere.
func (r *Restic) Read(ctx context.Context, backup string) (measure.Run, error) {
	return r.pipeline("dump", backup, "/"+streamName).Run(ctx, os.DevNull)
}

// Verify reads everything that is stored, and checks it.
func (r *Restic) Verify(ctx context.Context) (measure.Run, error) {
	return r.pipeline("check", "-q", "--read-data").Run(ctx, os.DevNull)
}

// streamName is what the dump is called in a rival's backup.
const streamName = "bench.dump"

// backUp runs a pipeline whose last program prints what it did, and sees what the directory grew by.
func backUp(ctx context.Context, p measure.Pipeline, dir string) (measure.Run, []byte, error) {
	repository := filepath.Join(dir, "repository")
	before, err := measure.Files(repository)
	if err != nil {
		return measure.Run{}, nil, err
	}
	output := filepath.Join(dir, "output.json")
	run, err := p.Run(ctx, output)
	if err != nil {
		return run, nil, err
	}
	after, err := measure.Files(repository)
	if err != nil {
		return run, nil, err
	}
	run.Stored = measure.Grown(before, after)
	told, err := os.ReadFile(output)
	if err != nil {
		return run, nil, fmt.Errorf("bench: %w", err)
	}
	return run, told, nil
}
