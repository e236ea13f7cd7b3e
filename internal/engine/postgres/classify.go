package postgres

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/dataguardian/dataguardian/internal/failure"
)

// The hints of the troubles that operators meet most.
const (
	hintLogin    = "Check username and password of the datasource, and that pg_hba.conf lets this user in from the worker's address."
	hintDatabase = "Check the database name of the datasource."
	hintRights   = "Grant the user the missing right, or connect as a user that has it."
	hintReach    = "Check host and port, that the server runs, and that the worker can reach it."
	hintTLS      = "Check ssl_mode and ca_certificate against what the server offers."
	hintFull     = "Free space on the database server's disk."
)

// states maps SQLSTATE codes to classes and hints.
var states = map[string]struct {
	class failure.Class
	hint  string
}{
	"28P01": {failure.AuthFailed, hintLogin},
	"28000": {failure.AuthFailed, hintLogin},
	"3D000": {failure.NotFound, hintDatabase},
	"42501": {failure.ConfigInvalid, hintRights},
	"53100": {failure.StorageFull, hintFull},
	"53300": {failure.Unreachable, "The server has no free connection; raise max_connections or close others."},
	"55006": {failure.Unknown, "Close the sessions and prepared transactions of the database, or let a superuser restore it: only superusers end sessions of superusers."},
	"55P03": {failure.Unknown, "Another session holds the database; try again."},
	"57014": {failure.Timeout, "The server cancelled the statement; look at its statement_timeout."},
	"57P01": {failure.Unreachable, hintReach},
	"57P02": {failure.Unreachable, hintReach},
	"57P03": {failure.Unreachable, "The server is starting up or shutting down."},
	"0A000": {failure.Unsupported, ""},
	"25006": {failure.ConfigInvalid, "The server or the session is read-only; restore into a primary."},
}

// classifyConnect classifies an error of opening a connection. Missing rights mean there that the
// user is not let in.
func classifyConnect(ctx context.Context, op string, err error) error {
	var server *pgconn.PgError
	if errors.As(err, &server) {
		if server.Code == "42501" {
			return failure.Wrap(failure.AuthFailed, op, &serverError{server.Message, server}, hintLogin)
		}
		return classify(op, err)
	}
	if ctx.Err() != nil {
		return failure.Wrap(failure.ClassOf(ctx.Err()), op, ctx.Err(), "")
	}
	if isTLS(err) {
		return failure.Wrap(failure.ConfigInvalid, op, cause(err), hintTLS)
	}
	class := failure.Unreachable
	var timeout net.Error
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) || (errors.As(err, &timeout) && timeout.Timeout()) {
		class = failure.Timeout
	}
	return failure.Wrap(class, op, cause(err), hintReach)
}

// classify classifies an error of a statement. The message is the server's own where it answered.
func classify(op string, err error) error {
	if err == nil {
		return nil
	}
	var known *failure.Error
	if errors.As(err, &known) {
		return failure.Wrap(known.Class, op, err, "")
	}
	var server *pgconn.PgError
	if errors.As(err, &server) {
		if aboutValues(server.Code) {
			errors.As(rowless(server), &server)
		}
		message := server.Message
		if server.Detail != "" {
			message += " (" + server.Detail + ")"
		}
		state, found := states[server.Code]
		if !found {
			state.class = failure.Unknown
			if strings.HasPrefix(server.Code, "08") {
				state.class, state.hint = failure.Unreachable, hintReach
			}
		}
		return &failure.Error{Class: state.class, Op: op, Hint: state.hint, Cause: &serverError{message, server}}
	}
	class := failure.ClassOf(err)
	if class == failure.Unknown && isDisconnect(err) {
		return failure.Wrap(failure.Unreachable, op, err, hintReach)
	}
	return failure.Wrap(class, op, err, "")
}

// serverError shows the server's message alone and keeps the whole answer for errors.As.
type serverError struct {
	message string
	answer  *pgconn.PgError
}

func (e *serverError) Error() string { return e.message + " (SQLSTATE " + e.answer.Code + ")" }
func (e *serverError) Unwrap() error { return e.answer }

// sqlState is the SQLSTATE in err's chain, or "".
func sqlState(err error) string {
	var server *pgconn.PgError
	if errors.As(err, &server) {
		return server.Code
	}
	return ""
}

// cause takes away what pgconn puts in front: user, database and each address, which the operation
// names already.
func cause(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		return op
	}
	var dns *net.DNSError
	if errors.As(err, &dns) {
		return dns
	}
	return err
}

func isTLS(err error) bool {
	var (
		verification *tls.CertificateVerificationError
		record       tls.RecordHeaderError
		alert        tls.AlertError
		authority    x509.UnknownAuthorityError
		hostname     x509.HostnameError
		invalid      x509.CertificateInvalidError
	)
	return errors.As(err, &verification) || errors.As(err, &record) || errors.As(err, &alert) || errors.As(err, &authority) ||
		errors.As(err, &hostname) || errors.As(err, &invalid) || strings.Contains(err.Error(), "server refused TLS connection")
}

func isDisconnect(err error) bool {
	var network net.Error
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) ||
		errors.Is(err, syscall.EPIPE) || errors.Is(err, net.ErrClosed) || errors.As(err, &network)
}
