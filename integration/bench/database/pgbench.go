package database

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"github.com/jackc/pgx/v5"
)

// Pgbench makes the tables of pgbench; scale 50 is about 750 MB.
func (s *Server) Pgbench(ctx context.Context, name string, scale int) error {
	return s.fill(ctx, name, func(*pgx.Conn) error {
		address := s.Address(name)
		cmd := exec.CommandContext(ctx, s.Tools.pgBench, append([]string{"-i", "-q", "-s", fmt.Sprint(scale)}, address.Arguments()...)...)
		cmd.Env = append(os.Environ(), address.Environment()...)
		if output, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("pgbench -i: %w: %s", err, strings.TrimSpace(string(output)))
		}
		return nil
	})
}
