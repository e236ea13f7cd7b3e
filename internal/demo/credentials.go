package demo

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// credentials are what the demo makes up at its first run and needs again at the next.
type credentials struct {
	Email          string `json:"email"`
	Password       string `json:"password"`
	SamplePassword string `json:"sample_database_password"`
}

// loadCredentials reads path, or makes new credentials and keeps them there (0600). They are kept
// before anybody uses them: an owner whose password is lost can not be made again.
func loadCredentials(path string) (_ credentials, created bool, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("demo: credentials in %s: %w", path, err)
		}
	}()
	var c credentials
	text, err := os.ReadFile(path)
	switch {
	case err == nil:
		if err := json.Unmarshal(text, &c); err != nil {
			return c, false, err
		}
		if c.Email == "" || c.Password == "" || c.SamplePassword == "" {
			return c, false, errors.New("the file is not complete; delete it together with the data directory")
		}
		return c, false, nil
	case !errors.Is(err, fs.ErrNotExist):
		return c, false, err
	}
	c = credentials{Email: "owner@example.org", Password: rand.Text(), SamplePassword: rand.Text()}
	return c, true, c.save(path)
}

// save writes the file beside its place and renames it, so that a crash leaves all of it or nothing.
func (c credentials) save(path string) error {
	text, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	file, err := os.CreateTemp(filepath.Dir(path), ".credentials-*") // CreateTemp opens with 0600
	if err != nil {
		return err
	}
	_, err = file.Write(append(text, '\n'))
	if err == nil {
		err = file.Sync()
	}
	err = errors.Join(err, file.Close())
	if err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(file.Name()))
	}
	return nil
}
