package failure

import "errors"

// Side is where an error comes from. It decides what may be done instead: another storage location
// helps against a failure of the storage, and against no other.
type Side string

// The sides. An error of none has the empty one.
const (
	Datasource Side = "datasource"
	Storage    Side = "storage"
	Catalogue  Side = "catalogue" // the metadata database
)

// Subject names what an error is about, for example `storage location "disk"`, and its side.
type Subject struct {
	Side Side
	Name string
}

// WithSubject names what the error is about: text, or a Subject, which tells the side too. An error
// that is not classified yet gets the class that ClassOf finds. A subject already there stays, and so
// does an error of another side: it was told where it happened.
func WithSubject[S string | Subject](err error, about S) error {
	if err == nil {
		return nil
	}
	var subject Subject
	switch about := any(about).(type) {
	case Subject:
		subject = about
	case string:
		subject.Name = about
	}
	var known *Error
	if errors.As(err, &known) && known.Subject != "" {
		return err
	}
	if side := SideOf(err); side != "" && side != subject.Side {
		return err
	}
	return &Error{Class: ClassOf(err), Subject: subject.Name, Side: subject.Side, Hint: HintOf(err), Cause: err}
}

// WithSide says where an error comes from, without a name. A side already there stays.
func WithSide(err error, side Side) error {
	if err == nil || SideOf(err) != "" {
		return err
	}
	return &Error{Class: ClassOf(err), Side: side, Hint: HintOf(err), Cause: err}
}

// SideOf finds the side that is told in err's tree, or "".
func SideOf(err error) Side {
	if known, ok := err.(*Error); ok && known.Side != "" { //nolint:errorlint // the tree is walked here
		return known.Side
	}
	switch wrapper := err.(type) { //nolint:errorlint // see above
	case interface{ Unwrap() error }:
		return SideOf(wrapper.Unwrap())
	case interface{ Unwrap() []error }:
		for _, one := range wrapper.Unwrap() {
			if side := SideOf(one); side != "" {
				return side
			}
		}
	}
	return ""
}
