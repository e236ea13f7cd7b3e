package mysql

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"syscall"

	protocol "github.com/go-sql-driver/mysql"

	"github.com/dataguardian/dataguardian/internal/failure"
)

// The hints of the troubles that operators meet most.
const (
	hintLogin    = "Check username and password of the datasource, and that the server has this user for the worker's address."
	hintDatabase = "Check the database name of the datasource."
	hintRights   = "Grant the user the missing right (docs/operations.md lists them), or connect as a user that has it."
	hintReach    = "Check host and port, that the server runs, and that the worker can reach it."
	hintTLS      = "Check ssl_mode and ca_certificate against what the server offers."
	hintFull     = "Free space on the database server's disk."
	hintReadOnly = "The server or the transaction is read-only; write to a primary."
)

// verdict is the class and the hint of an error number.
type verdict struct {
	class failure.Class
	hint  string
}

// verdicts by the server's error number.
var verdicts = map[uint16]verdict{
	1021: {failure.StorageFull, hintFull},
	1040: {failure.Unreachable, "The server has no free connection; raise max_connections or close others."},
	1044: {failure.ConfigInvalid, hintRights},
	1045: {failure.AuthFailed, hintLogin},
	1049: {failure.NotFound, hintDatabase},
	1053: {failure.Unreachable, "The server is shutting down."},
	1064: {failure.ConfigInvalid, "The server does not understand the statement; is it older than the one the statement was made for?"},
	1114: {failure.StorageFull, hintFull},
	1129: {failure.AuthFailed, "The server blocks the worker's address after too many errors; run FLUSH HOSTS there."},
	1130: {failure.AuthFailed, hintLogin},
	1142: {failure.ConfigInvalid, hintRights},
	1143: {failure.ConfigInvalid, hintRights},
	1153: {failure.ConfigInvalid, "Raise max_allowed_packet of the server: a row is larger than that."},
	1205: {failure.Unknown, "Another session holds the tables; close it or try again."},
	1213: {failure.Unknown, "Another session was in the way; try again."},
	1227: {failure.ConfigInvalid, hintRights},
	1290: {failure.ConfigInvalid, hintReadOnly},
	1370: {failure.ConfigInvalid, hintRights},
	1410: {failure.ConfigInvalid, hintRights},
	1419: {failure.ConfigInvalid, "Set log_bin_trust_function_creators on the server, or restore as a user with SUPER: with a binary log only that may make triggers and functions."},
	1698: {failure.AuthFailed, hintLogin},
	1792: {failure.ConfigInvalid, hintReadOnly},
	1836: {failure.ConfigInvalid, hintReadOnly},
	1969: {failure.Timeout, "The statement took too long."},
	3024: {failure.Timeout, "The statement took too long."},
	3159: {failure.ConfigInvalid, hintTLS},
}

// errorNumber is the server's error number in err's chain, or 0.
func errorNumber(err error) uint16 {
	var server *protocol.MySQLError
	if errors.As(err, &server) {
		return server.Number
	}
	return 0
}

// classify classifies an error of a statement.
func classify(op string, err error) error {
	if err == nil {
		return nil
	}
	if number := errorNumber(err); number != 0 {
		err = rowless(err)
		v, found := verdicts[number]
		if !found {
			v.class = failure.Unknown
			if strings.Contains(err.Error(), "errno: 28") || strings.Contains(err.Error(), "Got error 28") {
				v = verdict{failure.StorageFull, hintFull}
			}
		}
		return failure.Wrap(v.class, op, err, v.hint)
	}
	class := failure.ClassOf(err)
	if class == failure.Unknown && isDisconnect(err) {
		return failure.Wrap(failure.Unreachable, op, err, hintReach)
	}
	return failure.Wrap(class, op, err, "")
}

// classifyConnect classifies an error of opening a connection. Missing rights mean there that the user
// is not let in.
func classifyConnect(ctx context.Context, op string, err error) error {
	switch {
	case errorNumber(err) == 1044:
		return failure.Wrap(failure.AuthFailed, op, err, "Check the database name of the datasource, and that the user has rights in this database.")
	case errorNumber(err) != 0:
		return classify(op, err)
	case ctx.Err() != nil:
		return failure.Wrap(failure.ClassOf(ctx.Err()), op, ctx.Err(), "")
	case isTLS(err):
		return failure.Wrap(failure.ConfigInvalid, op, err, hintTLS)
	}
	class := failure.Unreachable
	var timeout net.Error
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) || (errors.As(err, &timeout) && timeout.Timeout()) {
		class = failure.Timeout
	}
	return failure.Wrap(class, op, err, hintReach)
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
	return errors.Is(err, protocol.ErrNoTLS) || errors.As(err, &verification) || errors.As(err, &record) || errors.As(err, &alert) ||
		errors.As(err, &authority) || errors.As(err, &hostname) || errors.As(err, &invalid)
}

func isDisconnect(err error) bool {
	var network net.Error
	return errors.Is(err, driver.ErrBadConn) || errors.Is(err, protocol.ErrInvalidConn) || errors.Is(err, io.EOF) ||
		errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) ||
		errors.Is(err, net.ErrClosed) || errors.As(err, &network)
}
