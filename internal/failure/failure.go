// Package failure classifies errors once, at the edge where they happen, so that everything above
// can decide whether to retry and what to tell the operator without looking at driver errors again.
package failure

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// Class says what kind of trouble an error is. Its string is the Temporal application error type
// and the word clients see in an execution's metadata.
type Class string

// The classes. Those that IsPermanent reports do not go away by trying again.
const (
	AuthFailed    Class = "AuthFailed"    // the peer refused the credentials
	ConfigInvalid Class = "ConfigInvalid" // the configuration can not work as it is
	ToolMissing   Class = "ToolMissing"   // a client program this worker needs is not installed
	NotFound      Class = "NotFound"      // the named thing does not exist
	StorageFull   Class = "StorageFull"   // no space, or a quota is reached
	Corrupt       Class = "Corrupt"       // stored bytes are not what was written
	Unsupported   Class = "Unsupported"   // the peer or this version can not do it
	Unreachable   Class = "Unreachable"   // no connection; trying again may help
	Timeout       Class = "Timeout"       // no answer in time; trying again may help
	Cancelled     Class = "Cancelled"     // somebody asked to stop
	WorkflowLost  Class = "WorkflowLost"  // Temporal does not know the workflow any more
	Unknown       Class = "Unknown"       // not classified; treated as passing
)

// Permanent lists the classes that are never retried.
func Permanent() []Class {
	return []Class{AuthFailed, ConfigInvalid, ToolMissing, NotFound, StorageFull, Corrupt, Unsupported}
}

// IsPermanent reports whether an error of class c stays however often the work is tried again.
func IsPermanent(c Class) bool {
	for _, p := range Permanent() {
		if c == p {
			return true
		}
	}
	return false
}

// Error is a classified error. Subject names the datasource or storage location as the operator
// named it, Side says which of them it is; Op is what was tried ("dump", "put chunk"); Hint is what to
// do about it. None of them may hold a secret.
type Error struct {
	Class   Class
	Op      string
	Subject string
	Side    Side
	Hint    string
	Cause   error
}

// New returns a classified error with a message of its own and an operator hint ("" for none).
func New(class Class, op, message, hint string) *Error {
	return &Error{Class: class, Op: op, Hint: hint, Cause: errors.New(message)}
}

// Wrap classifies cause. It returns nil for a nil cause, and keeps the class, subject and hint of a
// cause that is classified already (the edge knows best), only putting op in front.
func Wrap(class Class, op string, cause error, hint string) error {
	if cause == nil {
		return nil
	}
	var known *Error
	if errors.As(cause, &known) {
		return &Error{Class: known.Class, Op: op, Subject: known.Subject, Hint: known.Hint, Cause: cause}
	}
	return &Error{Class: class, Op: op, Hint: hint, Cause: cause}
}

// Error reads: subject: op: cause. The hint is left to HintOf, so that nested errors do not repeat it.
func (e *Error) Error() string {
	parts := make([]string, 0, 3)
	if e.Subject != "" {
		parts = append(parts, e.Subject)
	}
	if e.Op != "" {
		parts = append(parts, e.Op)
	}
	if e.Cause != nil {
		parts = append(parts, e.Cause.Error())
	}
	return strings.Join(parts, ": ")
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Cause }

// ClassOf finds the class of err: that of the outermost classified error in its chain, Cancelled
// and Timeout for the context errors, else Unknown.
func ClassOf(err error) Class {
	var known *Error
	switch {
	case errors.As(err, &known):
		return known.Class
	case errors.Is(err, context.Canceled):
		return Cancelled
	case errors.Is(err, context.DeadlineExceeded):
		return Timeout
	default:
		return Unknown
	}
}

// HintOf finds the operator hint in err's chain, or "".
func HintOf(err error) string {
	for err != nil {
		var known *Error
		if !errors.As(err, &known) {
			return ""
		}
		if known.Hint != "" {
			return known.Hint
		}
		err = known.Cause
	}
	return ""
}

// Message is what a person is shown: the error and, where there is one, what to do.
func Message(err error) string {
	if err == nil {
		return ""
	}
	if hint := HintOf(err); hint != "" {
		return fmt.Sprintf("%s. %s", strings.TrimRight(err.Error(), "."), hint)
	}
	return err.Error()
}
