package cli

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"github.com/dataguardian/dataguardian/internal/client"
)

// The exit codes of the commands that talk to the API.
const (
	exitFailed      = 1 // the API refused it, or what was started failed
	exitUsage       = 2 // the command line can not be run as it is
	exitForbidden   = 3 // not signed in, or without the permission
	exitNotFound    = 4
	exitUnreachable = 5 // no answer, or one that says to come back later
)

// Error is an error with the code that the process ends with.
type Error struct {
	error
	Code int
}

// Unwrap gives the cause.
func (e Error) Unwrap() error { return e.error }

// ExitCode is the code that the process ends with.
func (e Error) ExitCode() int { return e.Code }

// BadUsage says what is wrong with the command line of cmd.
func BadUsage(cmd *cobra.Command, format string, args ...any) error {
	return Error{fmt.Errorf("%s\nRun '%s --help' for usage", fmt.Sprintf(format, args...), cmd.CommandPath()), exitUsage}
}

// failed is an operation that was made and did not succeed.
func failed(format string, args ...any) error { return Error{fmt.Errorf(format, args...), exitFailed} }

func notFound(format string, args ...any) error {
	return Error{fmt.Errorf(format, args...), exitNotFound}
}

// explained turns what the client says into what a person is told, with the exit code.
func explained(err error) error {
	var coded Error
	if err == nil || errors.As(err, &coded) {
		return err
	}
	var p *client.Problem
	var down *url.Error
	var needed *client.ApprovalNeeded
	switch {
	case errors.As(err, &needed):
		id := clean(needed.Approval.ID)
		return failed("nothing is done yet: another person who holds %s must approve it ('dataguardian approval approve %s'); then repeat the command with --approval %s",
			clean(needed.Approval.Permission), id, id)
	case errors.As(err, &p):
		return Error{problemText{p}, codeOf(p.Status)}
	case errors.As(err, &down):
		return Error{fmt.Errorf("%s does not answer: %w. Check that DataGuardian runs there, or give another address with --url", originOf(down.URL), rootOf(down.Err)), exitUnreachable}
	}
	return Error{err, exitFailed}
}

func codeOf(status int) int {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return exitForbidden
	case http.StatusNotFound:
		return exitNotFound
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return exitUnreachable
	default:
		return exitFailed
	}
}

// problemText is an error answer without the request's address, which says nothing to a person.
type problemText struct{ *client.Problem }

// Error reads: detail, the wrong fields each on a line, what to do.
func (p problemText) Error() string {
	var text strings.Builder
	detail := p.Detail
	if len(p.Fields) > 0 { // the detail may list them as well
		if before, _, repeated := strings.Cut(detail, ": "+p.Fields[0].Location+": "); repeated {
			detail = before + ":"
		}
	}
	text.WriteString(detail)
	if text.Len() == 0 {
		text.WriteString(p.Title)
	}
	for _, f := range p.Fields {
		fmt.Fprintf(&text, "\n  %s: %s", clean(f.Location), clean(f.Message))
	}
	if p.RetryAfter > 0 {
		fmt.Fprintf(&text, "\nTry again in %s.", p.RetryAfter)
	}
	if p.Status == http.StatusUnauthorized {
		text.WriteString("\nSign in with 'dataguardian login', or set DATAGUARDIAN_TOKEN.")
	}
	return text.String()
}

// Unwrap gives the answer.
func (p problemText) Unwrap() error { return p.Problem }

// originOf is the server of an address, without what may be private in it.
func originOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "the server"
	}
	return u.Scheme + "://" + u.Host
}

// rootOf drops the addresses that the net package repeats around a cause.
func rootOf(err error) error {
	var op *net.OpError
	if errors.As(err, &op) && op.Err != nil {
		return op.Err
	}
	return err
}
