package db

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/dataguardian/dataguardian/internal/failure"
)

// The outcomes that callers decide on.
var (
	// ErrNotFound: no row has this id.
	ErrNotFound = errors.New("not found")
	// ErrActiveExecution: the job has a backup that is queued or running.
	ErrActiveExecution = errors.New("the job has a queued or running backup")
	// ErrExecutionFinished: the execution has ended, so it can not run.
	ErrExecutionFinished = errors.New("the execution has finished")
	// ErrContended: others change the same at this moment, in another order; nothing was done, and it can be tried again.
	ErrContended = errors.New("others change the same at this moment")
	// ErrSuperseded: a later attempt of the dump has taken over; this one must stop writing.
	ErrSuperseded = errors.New("a later attempt has taken over")
	// ErrDeleting: the backup is being deleted; nothing may read it or build on it any more.
	ErrDeleting = errors.New("the backup is being deleted")
	// ErrSetupDone: the installation has its owner.
	ErrSetupDone = errors.New("the owner exists already")
	// ErrVersionMismatch: the row was changed by somebody else since it was read.
	ErrVersionMismatch = errors.New("it was changed since it was read")
	// ErrInvalidCursor: the text is not a cursor that this list gave out.
	ErrInvalidCursor = errors.New("invalid cursor")
	// ErrSchemaOlder: the migrations of this binary have not been run.
	ErrSchemaOlder = errors.New("the database is older than this binary")
	// ErrSchemaNewer: a newer binary has migrated the database.
	ErrSchemaNewer = errors.New("the database is newer than this binary")
	// ErrWrongMasterKey: the secrets are sealed under another master key.
	ErrWrongMasterKey = errors.New("wrong master key")
)

const databaseURLHint = "Give DATABASE_URL as postgres://user:password@host:5432/database?sslmode=…"

// InUseError refuses a deletion and names what needs the row.
type InUseError struct {
	Holders []string // for example `backup job "nightly"`; the first few
}

// Error lists the holders.
func (e *InUseError) Error() string { return "in use by " + strings.Join(e.Holders, ", ") }

// DuplicateError says that another row has this value already.
type DuplicateError struct {
	Field string // as clients name it, for example "name"
}

// Error names the field.
func (e *DuplicateError) Error() string { return "another one has this " + e.Field + " already" }

// ReferenceError says that a field names a row that does not exist. It Is ErrNotFound.
type ReferenceError struct {
	Field string // as clients name it, for example "datasource_id"
}

// Error names the field.
func (e *ReferenceError) Error() string { return e.Field + " names nothing that exists" }

// Is makes errors.Is(err, ErrNotFound) true.
func (e *ReferenceError) Is(target error) bool { return target == ErrNotFound }

// uniqueConstraints maps an index to the error that its violation means.
var uniqueConstraints = map[string]error{
	"backup_executions_one_active":             ErrActiveExecution,
	"database_sync_executions_one_active":      ErrActiveExecution,
	"restore_drill_executions_one_active":      ErrActiveExecution,
	"backup_executions_one_full_of_generation": &DuplicateError{Field: "generation"},
	"users_one_owner":                          ErrSetupDone,
	"users_email_key":                          &DuplicateError{Field: "email"},
	"age_recipients_recipient_key":             &DuplicateError{Field: "recipient"},
	"storage_locations_one_default":            &DuplicateError{Field: "is_default"},
}

// translate classifies a driver error and puts op, what was tried, in front. It is the catalogue's,
// whatever was being worked on.
func translate(op string, err error) error {
	if err == nil {
		return nil
	}
	return failure.WithSide(classify(op, err), failure.Catalogue)
}

func classify(op string, err error) error {
	if errors.Is(err, pgx.ErrNoRows) || errors.Is(err, ErrNotFound) {
		return &failure.Error{Class: failure.NotFound, Op: op, Cause: ErrNotFound}
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%s: %w", op, err)
	}
	var refused *pgconn.PgError
	if errors.As(err, &refused) {
		return translateRefused(op, refused, err)
	}
	var connect *pgconn.ConnectError
	var network net.Error
	if errors.As(err, &connect) || errors.As(err, &network) {
		return failure.Wrap(failure.Unreachable, op, err, "Check that the metadata database runs and that DATABASE_URL names it.")
	}
	return failure.Wrap(failure.Unknown, op, err, "")
}

// translateRefused reads the server's SQLSTATE (appendix A of the Postgres manual). What is wrong with
// the metadata database itself, a full disk or refused credentials, is Unreachable: its operator
// mends it, and work that waits for it goes on. It must never look like a fault of the datasource
// or storage location that is being worked on.
func translateRefused(op string, refused *pgconn.PgError, err error) error {
	switch {
	case refused.Code == "23505": // unique_violation
		if known, ok := uniqueConstraints[refused.ConstraintName]; ok {
			return fmt.Errorf("%s: %w", op, known)
		}
		return fmt.Errorf("%s: %w", op, &DuplicateError{Field: "name"})
	case refused.Code == "23503": // foreign_key_violation
		field := strings.TrimSuffix(strings.TrimPrefix(refused.ConstraintName, refused.TableName+"_"), "_fkey")
		return &failure.Error{Class: failure.NotFound, Op: op, Cause: &ReferenceError{Field: field}}
	case refused.Code == "40P01" || refused.Code == "40001": // deadlock_detected, serialization_failure
		return failure.Wrap(failure.Unknown, op, fmt.Errorf("%w: %w", ErrContended, err), "Try it again.")
	case strings.HasPrefix(refused.Code, "28"): // invalid authorization
		return failure.Wrap(failure.Unreachable, op, err, "Check the user and password in DATABASE_URL.")
	case refused.Code == "3D000": // invalid_catalog_name
		return failure.Wrap(failure.Unreachable, op, err, "Create the database that DATABASE_URL names.")
	case refused.Code == "53100": // disk_full
		return failure.Wrap(failure.Unreachable, op, err, "Free space on the metadata database's disk.")
	case refused.Code == "57P03" || strings.HasPrefix(refused.Code, "08") || strings.HasPrefix(refused.Code, "57P"):
		return failure.Wrap(failure.Unreachable, op, err, "The metadata database is starting or stopping; try again.")
	default:
		return failure.Wrap(failure.Unknown, op, err, "")
	}
}

// checkID answers ErrNotFound for a text that is no id: clients send such texts in paths, and the
// server's complaint about them would read like a fault of ours.
func checkID(op, id string) error {
	if !isID(id) {
		return translate(op, ErrNotFound)
	}
	return nil
}

// isID accepts the one form that ids are given out in; uuid.Parse knows three more.
func isID(text string) bool {
	_, err := uuid.Parse(text)
	return err == nil && len(text) == 36
}

// newID is a UUIDv7: ids sort by the time they were made.
func newID() (string, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return "", failure.Wrap(failure.Unknown, "make an id", err, "")
	}
	return id.String(), nil
}

// idOr returns id, or a new one when it is empty.
func idOr(id string) (string, error) {
	if id != "" {
		return id, nil
	}
	return newID()
}
