package mongodb

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"regexp"
	"strings"

	"go.mongodb.org/mongo-driver/mongo"
	"go.mongodb.org/mongo-driver/x/mongo/driver/topology"

	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/engine/process"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// The hints of the troubles that operators meet most.
const (
	hintLogin  = "Check username, password and auth_source of the datasource."
	hintRights = "Grant the user the missing right: backup or read on what is backed up, readWrite and dbAdmin on what is restored."
	hintReach  = "Check host and port, that the server runs, and that the worker can reach it."
	hintTLS    = "Check ssl_mode and ca_certificate against what the server offers."
	hintWire   = "The server is newer or older than this version of DataGuardian can speak to: update DataGuardian, or the server."
	hintFull   = "Free space on the database server's disk."
)

// codes maps the server's error codes to classes and hints.
var codes = map[int]struct {
	class failure.Class
	hint  string
}{
	18:    {failure.AuthFailed, hintLogin}, // AuthenticationFailed
	11:    {failure.AuthFailed, hintLogin}, // UserNotFound
	13:    {failure.ConfigInvalid, hintRights},
	8000:  {failure.AuthFailed, hintLogin}, // Atlas
	26:    {failure.NotFound, ""},          // NamespaceNotFound
	50:    {failure.Timeout, ""},           // MaxTimeMSExpired
	59:    {failure.Unsupported, ""},       // CommandNotFound
	238:   {failure.Unsupported, ""},       // NotImplemented
	73:    {failure.ConfigInvalid, "Give the database another name."},
	91:    {failure.Unreachable, hintReach}, // ShutdownInProgress
	14031: {failure.StorageFull, hintFull},  // OutOfDiskSpace
}

// codeNotImplemented and others are answers that are acted on.
const (
	codeNamespaceNotFound = 26
	codeNamespaceExists   = 48
	codeNotImplemented    = 238
)

func classifyConnect(ctx context.Context, src engine.Source, err error) error {
	op := "connect to " + address(src.Config)
	if src.Config.URI != "" {
		op = "connect to the server of the uri"
	}
	if ctx.Err() != nil {
		return failure.Wrap(failure.ClassOf(ctx.Err()), op, ctx.Err(), "")
	}
	err = redacted(src, err)
	if isAuth(err) {
		return failure.Wrap(failure.AuthFailed, op, err, hintLogin)
	}
	if isTLS(err) {
		return failure.Wrap(failure.ConfigInvalid, op, err, hintTLS)
	}
	if strings.Contains(err.Error(), "wire version") { // neither speaks what the other does
		return failure.Wrap(failure.Unsupported, op, err, hintWire)
	}
	var command mongo.CommandError
	if errors.As(err, &command) {
		return classify(op, err)
	}
	var network net.Error
	if errors.As(err, &network) && network.Timeout() {
		return failure.Wrap(failure.Timeout, op, err, hintReach)
	}
	return failure.Wrap(failure.Unreachable, op, err, hintReach)
}

// redacted is err with no secret in its text.
func redacted(src engine.Source, err error) error {
	return &redactedError{text: failure.Redact(err.Error(), secretsOf(src.Config)...), cause: err}
}

type redactedError struct {
	text  string
	cause error
}

func (e *redactedError) Error() string { return e.text }
func (e *redactedError) Unwrap() error { return e.cause }

func isAuth(err error) bool {
	var command mongo.CommandError
	if errors.As(err, &command) && codes[int(command.Code)].class == failure.AuthFailed {
		return true
	}
	var selection topology.ServerSelectionError
	text := err.Error()
	if errors.As(err, &selection) {
		for _, server := range selection.Desc.Servers {
			if server.LastError != nil {
				text += server.LastError.Error()
			}
		}
	}
	return saysAuth(text)
}

func saysAuth(text string) bool {
	text = strings.ToLower(text)
	for _, part := range []string{"auth error", "authentication failed", "authenticationfailed", "unable to authenticate"} {
		if strings.Contains(text, part) {
			return true
		}
	}
	return false
}

func isTLS(err error) bool {
	var (
		verification *tls.CertificateVerificationError
		record       tls.RecordHeaderError
		authority    x509.UnknownAuthorityError
		hostname     x509.HostnameError
	)
	if errors.As(err, &verification) || errors.As(err, &record) || errors.As(err, &authority) || errors.As(err, &hostname) {
		return true
	}
	text := err.Error()
	return strings.Contains(text, "tls: ") || strings.Contains(text, "x509: ")
}

// classify classifies an error of a command.
func classify(op string, err error) error {
	if err == nil {
		return nil
	}
	var known *failure.Error
	var server mongo.ServerError
	switch {
	case errors.As(err, &known):
		return failure.Wrap(known.Class, op, err, "")
	case errors.As(err, &server):
		err = rowless(err)
		for code, state := range codes {
			if server.HasErrorCode(code) {
				return &failure.Error{Class: state.class, Op: op, Hint: state.hint, Cause: err}
			}
		}
		if saysFull(err.Error()) {
			return failure.Wrap(failure.StorageFull, op, err, hintFull)
		}
		return failure.Wrap(failure.Unknown, op, err, "")
	case mongo.IsNetworkError(err), errors.As(err, new(topology.ServerSelectionError)):
		return failure.Wrap(failure.Unreachable, op, err, hintReach)
	}
	return failure.Wrap(failure.ClassOf(err), op, err, "")
}

func saysFull(text string) bool {
	text = strings.ToLower(text)
	return strings.Contains(text, "no space left") || strings.Contains(text, "outofdiskspace") || strings.Contains(text, "disk is full")
}

// classifyTool classifies what ended the child: its own words are all there is.
func classifyTool(op string, err error) error {
	var known *failure.Error
	var exit *process.ExitError
	if errors.As(err, &known) || !errors.As(err, &exit) {
		return classify(op, err)
	}
	class, hint := failure.Unknown, ""
	text := strings.ToLower(exit.Stderr)
	switch {
	case saysAuth(text):
		class, hint = failure.AuthFailed, hintLogin
	case strings.Contains(text, "not authorized") || strings.Contains(text, "unauthorized"):
		class, hint = failure.ConfigInvalid, hintRights
	case saysFull(text):
		class, hint = failure.StorageFull, hintFull
	case strings.Contains(text, "corruption found in archive") || strings.Contains(text, "does not appear to be a mongodump archive"):
		class = failure.Corrupt
	case strings.Contains(text, "server selection error") || strings.Contains(text, "connection refused"):
		class, hint = failure.Unreachable, hintReach
	}
	return failure.Wrap(class, op, rowless(err), hint)
}

// duplicateKey ends a message with the values of a row, which those who read executions and logs are not to see.
var duplicateKey = regexp.MustCompile(`(?s)(dup key: ).*`)

func rowless(err error) error {
	if text := err.Error(); duplicateKey.MatchString(text) {
		return &redactedError{text: duplicateKey.ReplaceAllString(text, "${1}…"), cause: err}
	}
	return err
}

func hasCode(err error, code int) bool {
	var server mongo.ServerError
	return errors.As(err, &server) && server.HasErrorCode(code)
}
