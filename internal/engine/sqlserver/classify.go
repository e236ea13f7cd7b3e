package sqlserver

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"

	mssql "github.com/microsoft/go-mssqldb"

	"github.com/dataguardian/dataguardian/internal/failure"
)

// The hints of the troubles that operators meet most.
const (
	hintLogin    = "Check username and password of the datasource, and that the server allows SQL Server authentication."
	hintDatabase = "Check the database name of the datasource, and that the login has a user in that database."
	hintRights   = "Grant the login the missing right: db_backupoperator in the database for backups, dbcreator on the server for restores."
	hintReach    = "Check host and port, that the server runs, and that the worker can reach it."
	hintTLS      = "Check ssl_mode and ca_certificate against what the server offers."
	hintFull     = "Free space on the database server's disk."
	hintDevice   = "Check backup_directory, that the server's service account may read and write there, and that worker_directory is the same directory."
	hintDamaged  = "The backup is damaged; restore another one."
	hintInUse    = "Close the sessions of the database, and try again."
)

type class struct {
	class failure.Class
	hint  string
}

// numbers maps SQL Server's error numbers to classes and hints.
var numbers = map[int32]class{
	18456: {failure.AuthFailed, hintLogin},
	18452: {failure.AuthFailed, hintLogin},
	18470: {failure.AuthFailed, "The login is disabled; enable it: ALTER LOGIN … ENABLE."},
	18486: {failure.AuthFailed, "The login is locked; unlock it: ALTER LOGIN … WITH PASSWORD = … UNLOCK."},
	18487: {failure.AuthFailed, "The login's password has expired; give it a new one."},
	18488: {failure.AuthFailed, "The login's password has to be changed first."},
	4060:  {failure.NotFound, hintDatabase},
	911:   {failure.NotFound, hintDatabase},
	916:   {failure.ConfigInvalid, hintDatabase},
	229:   {failure.ConfigInvalid, hintRights},
	230:   {failure.ConfigInvalid, hintRights},
	262:   {failure.ConfigInvalid, hintRights},
	297:   {failure.ConfigInvalid, hintRights},
	300:   {failure.ConfigInvalid, hintRights},
	5011:  {failure.ConfigInvalid, hintRights},
	7983:  {failure.ConfigInvalid, "Grant the login db_owner in the restored database, which its restorer has by default."},
	3110:  {failure.ConfigInvalid, hintRights},
	15247: {failure.ConfigInvalid, hintRights},
	102:   {failure.ConfigInvalid, "Correct the statement."},
	156:   {failure.ConfigInvalid, "Correct the statement."},
	207:   {failure.ConfigInvalid, "Check the column's name."},
	208:   {failure.ConfigInvalid, "Check the table's name."},
	3201:  {failure.ConfigInvalid, hintDevice},
	3202:  {failure.Unknown, "Look at the server's error log: a disk or share that is full or gone is the usual reason."},
	112:   {failure.StorageFull, hintFull},
	1101:  {failure.StorageFull, hintFull},
	1105:  {failure.StorageFull, hintFull},
	3257:  {failure.StorageFull, "Free space on the volume of the server's default data or log directory: the restored files need it."},
	5149:  {failure.StorageFull, hintFull},
	9002:  {failure.StorageFull, "The transaction log is full; back the log up, or enlarge it."},
	3169:  {failure.Unsupported, "The backup comes from a newer SQL Server; restore it into one of that version or a later one."},
	3035:  {failure.Unsupported, "The server has no full backup that a differential can build on; make a full backup."},
	3102:  {failure.Unknown, hintInUse},
	3101:  {failure.Unknown, hintInUse},
	5030:  {failure.Unknown, hintInUse},
	5061:  {failure.Unknown, hintInUse},
	5064:  {failure.Unknown, hintInUse},
	5070:  {failure.Unknown, hintInUse},
	924:   {failure.Unknown, "The database is in single-user mode and somebody uses it; end that session, and try again."},
	1205:  {failure.Unknown, "The server chose this session to end a deadlock; try again."},
	1222:  {failure.Timeout, "Another session holds a lock; try again."},
	3203:  {failure.Corrupt, hintDamaged},
	3241:  {failure.Corrupt, hintDamaged},
	3242:  {failure.Corrupt, hintDamaged},
	3243:  {failure.Corrupt, hintDamaged},
	3183:  {failure.Corrupt, hintDamaged},
	3187:  {failure.Corrupt, hintDamaged},
	3189:  {failure.Corrupt, hintDamaged},
	3256:  {failure.Corrupt, hintDamaged},
	3270:  {failure.Corrupt, hintDamaged},
	3136:  {failure.Corrupt, "The differential builds on another full than the backup holds; restore another backup."},
	3043:  {failure.Corrupt, "The database has pages with wrong checksums; run DBCC CHECKDB."},
	824:   {failure.Corrupt, "The database has damaged pages; run DBCC CHECKDB."},
	6005:  {failure.Unreachable, "The server is shutting down."},
	17142: {failure.Unreachable, "The server is paused."},
	18401: {failure.Unreachable, "The server is starting up; try again."},
	927:   {failure.ConfigInvalid, "The database is being restored; wait until that has ended."},
	942:   {failure.ConfigInvalid, "The database is offline; bring it online."},
}

// answers are the errors that the server gave, from first to last.
func answers(err error) []mssql.Error {
	var last mssql.Error
	var pointer *mssql.Error
	switch {
	case errors.As(err, &last):
	case errors.As(err, &pointer):
		last = *pointer
	default:
		return nil
	}
	if len(last.All) > 0 {
		return last.All
	}
	return []mssql.Error{last}
}

// numbered reports whether the server's answer has one of the numbers.
func numbered(err error, wanted ...int32) bool {
	for _, one := range answers(err) {
		for _, number := range wanted {
			if one.Number == number {
				return true
			}
		}
	}
	return false
}

// classify classifies an error of a statement. The message is the server's own where it answered: of
// several errors the first is the reason, the others (3013, 18456) say what did not happen therefore.
func classify(op string, err error) error {
	if err == nil {
		return nil
	}
	var known *failure.Error
	if errors.As(err, &known) {
		return failure.Wrap(known.Class, op, err, "")
	}
	if all := answers(err); len(all) > 0 {
		found := class{class: failure.Unknown}
		for _, one := range all {
			if entry, ok := numbers[one.Number]; ok {
				found = entry
				break
			}
		}
		if found.class == failure.ConfigInvalid || found.class == failure.Unknown {
			if diskFull(all) {
				found = class{failure.StorageFull, hintFull}
			}
		}
		return &failure.Error{Class: found.class, Op: op, Hint: found.hint, Cause: &serverError{all}}
	}
	kind := failure.ClassOf(err)
	if kind == failure.Unknown && isDisconnect(err) {
		return failure.Wrap(failure.Unreachable, op, err, hintReach)
	}
	return failure.Wrap(kind, op, err, "")
}

// diskFull looks into the operating system's error, which SQL Server puts into the text of 3201, 3202 and
// 5123: 112 is Windows' and 28 Linux' number for a full disk.
func diskFull(all []mssql.Error) bool {
	for _, one := range all {
		if strings.Contains(one.Message, "error 112(") || strings.Contains(one.Message, "error 28(") || strings.Contains(one.Message, "error: 112(") {
			return true
		}
	}
	return false
}

// classifyConnect classifies an error of opening a connection.
func classifyConnect(ctx context.Context, op string, err error) error {
	if len(answers(err)) > 0 {
		return classify(op, err)
	}
	if ctx.Err() != nil {
		return failure.Wrap(failure.ClassOf(ctx.Err()), op, ctx.Err(), "")
	}
	if isTLS(err) {
		return failure.Wrap(failure.ConfigInvalid, op, err, hintTLS)
	}
	kind := failure.Unreachable
	var timeout net.Error
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) || (errors.As(err, &timeout) && timeout.Timeout()) {
		kind = failure.Timeout
	}
	return failure.Wrap(kind, op, cause(err), hintReach)
}

// serverError shows the server's messages alone and keeps the whole answer for errors.As.
type serverError struct{ all []mssql.Error }

func (e *serverError) Error() string {
	texts := make([]string, 0, len(e.all))
	for _, one := range e.all {
		texts = append(texts, fmt.Sprintf("%s (error %d)", strings.TrimPrefix(shownMessage(one), "login error: "), one.Number))
	}
	return strings.Join(texts, "; ")
}

func (e *serverError) Unwrap() error {
	last := e.all[len(e.all)-1]
	last.All = e.all
	return last
}

// cause takes away what the driver puts in front.
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

// isTLS knows what the driver says, too: it keeps no more than the text of an error of the handshake.
func isTLS(err error) bool {
	var (
		verification *tls.CertificateVerificationError
		authority    x509.UnknownAuthorityError
		hostname     x509.HostnameError
	)
	text := err.Error()
	return errors.As(err, &verification) || errors.As(err, &authority) || errors.As(err, &hostname) ||
		strings.Contains(text, "TLS Handshake failed") || strings.Contains(text, "server does not support encryption")
}

func isDisconnect(err error) bool {
	var network net.Error
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, driver.ErrBadConn) ||
		errors.Is(err, syscall.EPIPE) || errors.Is(err, net.ErrClosed) || errors.As(err, &network)
}
