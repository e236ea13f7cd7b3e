package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// credentials are the sign-ins that a user's file keeps, by the address of the server.
type credentials struct {
	Current string                `json:"current"` // the server that was signed in to last
	Servers map[string]credential `json:"servers"`
}

type credential struct {
	Email     string    `json:"email"`
	Token     string    `json:"token"`
	ExpiresAt time.Time `json:"expires_at"`
}

// readCredentials reads the file; one that is not there is empty. A file that others may read is refused: a token in it
// is not a secret any more.
func readCredentials(path string) (credentials, error) {
	kept := credentials{Servers: map[string]credential{}}
	if path == "" {
		return kept, nil
	}
	text, err := os.ReadFile(path) //nolint:gosec // the user's own file
	if errors.Is(err, fs.ErrNotExist) {
		return kept, nil
	}
	if err != nil {
		return kept, fmt.Errorf("read the kept sign-ins: %w", err)
	}
	info, err := os.Stat(path)
	if err != nil {
		return kept, fmt.Errorf("read the kept sign-ins: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return kept, fmt.Errorf("%s is open to others (mode %o): sign out everywhere, then delete it and sign in again, or chmod 600 it", path, info.Mode().Perm())
	}
	if err := json.Unmarshal(text, &kept); err != nil {
		return kept, fmt.Errorf("%s can not be read; delete it and sign in again", path)
	}
	if kept.Servers == nil {
		kept.Servers = map[string]credential{}
	}
	return kept, nil
}

// writeCredentials replaces the file as a whole: a process that is killed leaves the old one.
func writeCredentials(path string, kept credentials) error {
	if path == "" {
		return errors.New("there is no place to keep the sign-in: set HOME or XDG_CONFIG_HOME, or use DATAGUARDIAN_TOKEN")
	}
	text, err := json.MarshalIndent(kept, "", "  ")
	if err != nil {
		return fmt.Errorf("keep the sign-in: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("keep the sign-in: %w", err)
	}
	file, err := os.CreateTemp(filepath.Dir(path), ".credentials-*") // 0600
	if err != nil {
		return fmt.Errorf("keep the sign-in: %w", err)
	}
	_, err = file.Write(append(text, '\n'))
	err = errors.Join(err, file.Sync(), file.Close())
	if err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		_ = os.Remove(file.Name())
		return fmt.Errorf("keep the sign-in: %w", err)
	}
	return nil
}

// serverURL is the address to talk to, in its one form.
func serverURL(cmd *cobra.Command, given, current string) (string, error) {
	if given == "" {
		given = current
	}
	if given == "" {
		return DefaultURL, nil
	}
	u, err := url.Parse(given)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return "", BadUsage(cmd, "the address of the server is not like https://backup.example.com")
	}
	return u.Scheme + "://" + strings.ToLower(u.Host) + strings.TrimRight(u.Path, "/"), nil
}

// inTheClear reports whether what is sent to the address can be read on its way.
func inTheClear(address string) bool {
	u, err := url.Parse(address)
	if err != nil || u.Scheme == "https" {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback())
}
