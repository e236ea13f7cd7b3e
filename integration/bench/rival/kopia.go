package rival

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/dataguardian/dataguardian/integration/bench/measure"
)

// KopiaPackage is kopia's main package.
const KopiaPackage = "github.com/kopia/kopia"

// Kopia is a kopia repository: encrypted, as all are. kopia's default compresses nothing, so the
// policy asks for zstd-fastest, which is nearest to the others.
type Kopia struct {
	program, dir string
	environment  []string
}

// NewKopia makes a repository below dir.
func NewKopia(ctx context.Context, program, dir string) (*Kopia, error) {
	k := &Kopia{program: program, dir: dir, environment: []string{
		"KOPIA_PASSWORD=bench", "KOPIA_CONFIG_PATH=" + filepath.Join(dir, "config"), "KOPIA_CACHE_DIRECTORY=" + filepath.Join(dir, "cache"),
		"KOPIA_LOG_DIR=" + filepath.Join(dir, "log"), "KOPIA_CHECK_FOR_UPDATES=false",
	}}
	repository := filepath.Join(dir, "repository")
	if err := os.MkdirAll(repository, 0o755); err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	for _, arguments := range [][]string{
		{"repository", "create", "filesystem", "--path", repository},
		{"policy", "set", "--global", "--compression=zstd-fastest"},
	} {
		if _, err := k.pipeline(arguments...).Run(ctx, os.DevNull); err != nil {
			return nil, err
		}
	}
	return k, nil
}

func (k *Kopia) pipeline(arguments ...string) measure.Pipeline {
	return measure.Pipeline{Commands: [][]string{append([]string{k.program}, arguments...)}, Environment: k.environment}
}

// BackUp stores what dump writes and returns the object that Read wants. Wall time ends when
// everything is on the disk. Added stays 0: kopia does not say.
func (k *Kopia) BackUp(ctx context.Context, dump []string, environment []string) (measure.Run, string, error) {
	p := k.pipeline("snapshot", "create", "--no-progress", "--json", "--stdin-file="+streamName, "/bench")
	p.Commands = append([][]string{dump}, p.Commands...)
	p.Environment = append(p.Environment, environment...)
	p.Durable = k.dir
	run, told, err := backUp(ctx, p, k.dir)
	if err != nil {
		return run, "", err
	}
	var snapshot struct {
		Root struct {
			Object string `json:"obj"`
		} `json:"rootEntry"`
	}
	if err := json.Unmarshal(told, &snapshot); err != nil || snapshot.Root.Object == "" {
		return run, "", fmt.Errorf("bench: kopia printed no snapshot: %.200s", told)
	}
	return run, snapshot.Root.Object, nil
}

// BackUpTree stores a directory, on top of the newest backup of it.
func (k *Kopia) BackUpTree(ctx context.Context, tree string) (measure.Run, error) {
	p := k.pipeline("snapshot", "create", "--no-progress", "--json", tree)
	p.Durable = k.dir
	run, _, err := backUp(ctx, p, k.dir)
	return run, err
}

// Read writes a backup to nowhere.
func (k *Kopia) Read(ctx context.Context, backup string) (measure.Run, error) {
	return k.pipeline("show", backup+"/"+streamName).Run(ctx, os.DevNull)
}

// Verify reads everything that the snapshots need, and checks it.
func (k *Kopia) Verify(ctx context.Context) (measure.Run, error) {
	return k.pipeline("snapshot", "verify", "--verify-files-percent=100").Run(ctx, os.DevNull)
}
