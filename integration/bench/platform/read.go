package platform

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/dataguardian/dataguardian/integration/bench/measure"
)

// Identity writes the recovery kit, which is an age identity file, and returns its path.
func (p *Platform) Identity(ctx context.Context) (string, error) {
	path := filepath.Join(p.dir, "recovery-kit")
	cmd := exec.CommandContext(ctx, p.binary, "recovery-kit")
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + p.dir}, p.environment...)
	var told bytes.Buffer
	cmd.Stderr = &told
	kit, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("bench: dataguardian recovery-kit: %w: %s", err, told.String())
	}
	if err := os.WriteFile(path, kit, 0o600); err != nil {
		return "", fmt.Errorf("bench: %w", err)
	}
	return path, nil
}

// Read reads a backup back to nowhere as a process of its own, with nothing but the storage
// location and the identity.
func (j *Job) Read(ctx context.Context, identity, backup string) (measure.Run, error) {
	command := []string{j.platform.binary, "recover", "dump", "--storage", "local:" + j.dir, "--identity", identity, backup}
	return measure.Pipeline{Commands: [][]string{command}}.Run(ctx, os.DevNull)
}
