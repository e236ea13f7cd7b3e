package auth

import (
	"context"
	"fmt"
	"runtime"
	"unicode/utf8"

	"github.com/alexedwards/argon2id"

	"github.com/dataguardian/dataguardian/internal/domain"
)

// The password policy: length is what counts, and composition rules only make passwords
// predictable. The upper bound keeps hashing from being fed megabytes.
const (
	MinPasswordLength = 12   // characters
	MaxPasswordLength = 1024 // bytes
)

// CheckPassword finds what the policy refuses in a new password; field is the path to report.
func CheckPassword(field, password string) domain.Invalid {
	var v domain.Invalid
	switch {
	case !utf8.ValidString(password):
		v.Add(field, "is not valid UTF-8")
	case utf8.RuneCountInString(password) < MinPasswordLength:
		v.Add(field, "is too short; give at least %d characters", MinPasswordLength)
	case len(password) > MaxPasswordLength:
		v.Add(field, "is too long; give at most %d bytes", MaxPasswordLength)
	}
	return v
}

// hashing is OWASP's recommendation for argon2id: 19 MiB, two passes, one lane. A hash carries its
// own parameters, so that raising these leaves stored hashes valid.
var hashing = argon2id.Params{Memory: 19 * 1024, Iterations: 2, Parallelism: 1, SaltLength: 16, KeyLength: 32}

// Passwords hashes and compares passwords. As many run at once as there are processors, so that a
// flood of sign-ins takes bounded memory and waits instead.
type Passwords struct {
	slots chan struct{}
	dummy string
}

// NewPasswords returns a Passwords that is ready for concurrent use.
func NewPasswords() (*Passwords, error) {
	p := &Passwords{slots: make(chan struct{}, runtime.GOMAXPROCS(0))}
	secret, _, err := NewToken()
	if err != nil {
		return nil, err
	}
	if p.dummy, err = argon2id.CreateHash(secret, &hashing); err != nil {
		return nil, fmt.Errorf("hash the stand-in password: %w", err)
	}
	return p, nil
}

// Hash returns the argon2id hash of password in its encoded form. It fails only when ctx ends
// before its turn comes, or when the system has no randomness.
func (p *Passwords) Hash(ctx context.Context, password string) (string, error) {
	if err := p.acquire(ctx); err != nil {
		return "", err
	}
	defer p.release()
	hash, err := argon2id.CreateHash(password, &hashing)
	if err != nil {
		return "", fmt.Errorf("hash password: %w", err)
	}
	return hash, nil
}

// Matches reports whether password is the one that hash was made of. An empty hash stands for a
// user who does not exist or has no password: the work is done all the same, against a stand-in,
// so that the time of the answer does not tell who has an account.
func (p *Passwords) Matches(ctx context.Context, password, hash string) (bool, error) {
	if err := p.acquire(ctx); err != nil {
		return false, err
	}
	defer p.release()
	against := hash
	if hash == "" {
		against = p.dummy
	}
	match, err := argon2id.ComparePasswordAndHash(password, against)
	if err != nil {
		return false, fmt.Errorf("compare password: %w", err)
	}
	return match && hash != "", nil
}

func (p *Passwords) acquire(ctx context.Context) error {
	select {
	case p.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait to hash a password: %w", ctx.Err())
	}
}

func (p *Passwords) release() { <-p.slots }
