// Package rival runs the programs that DataGuardian is compared with: restic and kopia, built from
// the module proxy, each with a throw-away repository on the same disk.
package rival

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Module is the directory, below the repository, of the module that pins the rivals' versions: their
// dependencies stay out of ours.
const Module = "integration/bench/peers"

// ServersModule is the one that pins the servers that are stored on, and GatewayPackage the main package of
// its S3 server.
const (
	ServersModule  = "integration/servers"
	GatewayPackage = "github.com/versity/versitygw/cmd/versitygw"
)

// Build builds a main package of a module into dir and returns the program's path. It needs the module
// proxy the first time.
func Build(ctx context.Context, module, dir, mainPackage string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("bench: %w", err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("bench: %w", err)
	}
	program := filepath.Join(dir, filepath.Base(mainPackage))
	cmd := exec.CommandContext(ctx, "go", "build", "-C", module, "-o", program, mainPackage)
	if output, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build %s: %w: %s", mainPackage, err, strings.TrimSpace(string(output)))
	}
	return program, nil
}
