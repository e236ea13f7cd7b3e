// Package oidcserver runs a real OpenID Connect provider for tests. It is built from the module in integration/servers/oidc, whose
// dependencies stay out of ours.
package oidcserver

import (
	"bufio"
	"bytes"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The client that the provider knows, and one of its users.
const (
	ClientID     = "dataguardian"
	ClientSecret = "the secret of the client"

	UserID    = "id2"
	UserName  = "test-user2"
	UserEmail = "test-user2@zitadel.ch"
	password  = "verysecure"
)

// Server is a provider that runs.
type Server struct {
	t      *testing.T
	Issuer string
}

// Start builds and runs the provider for the time of the test. The first time it needs the module proxy.
func Start(t *testing.T, redirectURL string) *Server {
	t.Helper()
	program := filepath.Join(t.TempDir(), "oidc")
	build := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-o", program, ".")
	build.Dir = module(t)
	build.Env = append(build.Environ(), "GOFLAGS=")
	said, err := build.CombinedOutput()
	require.NoError(t, err, "%s", said)

	command := exec.CommandContext(t.Context(), program, ClientID, ClientSecret, redirectURL)
	var problems bytes.Buffer
	command.Stderr = &problems
	stop, err := command.StdinPipe() // it ends with this, however this process ends
	require.NoError(t, err)
	out, err := command.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, command.Start())
	t.Cleanup(func() {
		_ = stop.Close()
		_ = command.Wait() // it may have been killed with the test's context
	})
	issuer, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		_ = stop.Close()
		_ = command.Wait()
		require.NoError(t, err, "the provider did not start: %s", &problems)
	}
	return &Server{t, strings.TrimSpace(issuer)}
}

// module is its directory, in one above that of the test.
func module(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	require.NoError(t, err)
	for {
		found := filepath.Join(dir, "integration", "servers", "oidc")
		if _, err := os.Stat(filepath.Join(found, "go.mod")); err == nil {
			return found
		}
		require.NotEqual(t, filepath.Dir(dir), dir, "there is no integration/servers/oidc above the working directory")
		dir = filepath.Dir(dir)
	}
}

// SetGroups puts the user into groups, and into no others.
func (s *Server) SetGroups(groups ...string) {
	s.t.Helper()
	address := fmt.Sprintf("%stest/groups/%s?%s", s.Issuer, UserID, url.Values{"group": groups}.Encode())
	request, err := http.NewRequestWithContext(s.t.Context(), http.MethodPut, address, nil)
	require.NoError(s.t, err)
	answer, err := http.DefaultClient.Do(request)
	require.NoError(s.t, err)
	require.NoError(s.t, answer.Body.Close())
	require.Equal(s.t, http.StatusOK, answer.StatusCode)
}

// SignIn is the user, who is sent to the provider by an address, fills its form, and is sent back: to the address that it gives.
func (s *Server) SignIn(asked, back string) string {
	s.t.Helper()
	jar, err := cookiejar.New(nil)
	require.NoError(s.t, err)
	browser := http.Client{Jar: jar, CheckRedirect: func(next *http.Request, _ []*http.Request) error {
		if strings.HasPrefix(next.URL.String(), back) {
			return http.ErrUseLastResponse
		}
		return nil
	}}
	request, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, asked, nil)
	require.NoError(s.t, err)
	form, err := browser.Do(request)
	require.NoError(s.t, err)
	require.NoError(s.t, form.Body.Close())
	require.Equal(s.t, http.StatusOK, form.StatusCode, "the provider shows no form at %s", form.Request.URL)
	id := form.Request.URL.Query().Get("authRequestID")
	require.NotEmpty(s.t, id, "%s", form.Request.URL)
	filled := url.Values{"id": {id}, "username": {UserName}, "password": {password}}.Encode()
	request, err = http.NewRequestWithContext(s.t.Context(), http.MethodPost, s.Issuer+"login/username", strings.NewReader(filled))
	require.NoError(s.t, err)
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	answer, err := browser.Do(request)
	require.NoError(s.t, err)
	require.NoError(s.t, answer.Body.Close())
	require.Equal(s.t, http.StatusFound, answer.StatusCode)
	to := answer.Header.Get("Location")
	require.True(s.t, strings.HasPrefix(to, back), "the provider sends people to %s", to)
	return to
}
