package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strings"
)

// The prefixes of tokens, so that secret scanners and people recognise one.
const (
	TokenPrefix    = "dgs_" // of a session
	APITokenPrefix = "dgt_" // of an API token
)

const tokenBytes = 32 // 256 bits: not to be guessed, so a plain SHA-256 is enough to store it

// TokenHash is the SHA-256 of a token, the only form in which a token is stored.
type TokenHash [sha256.Size]byte

// NewToken makes a session token and the hash to store.
func NewToken() (string, TokenHash, error) { return newToken(TokenPrefix) }

// NewAPIToken makes an API token and the hash to store.
func NewAPIToken() (string, TokenHash, error) { return newToken(APITokenPrefix) }

func newToken(prefix string) (string, TokenHash, error) {
	random := make([]byte, tokenBytes)
	if _, err := rand.Read(random); err != nil {
		return "", TokenHash{}, fmt.Errorf("make a token: %w", err)
	}
	token := prefix + base64.RawURLEncoding.EncodeToString(random)
	return token, sha256.Sum256([]byte(token)), nil
}

// HashToken gives the hash under which a session token is stored, and false for a text that can not be
// one: that need not be looked up.
func HashToken(token string) (TokenHash, bool) { return hashToken(TokenPrefix, token) }

// HashAPIToken is HashToken for API tokens.
func HashAPIToken(token string) (TokenHash, bool) { return hashToken(APITokenPrefix, token) }

func hashToken(prefix, token string) (TokenHash, bool) {
	body, ok := strings.CutPrefix(token, prefix)
	if !ok || len(body) != base64.RawURLEncoding.EncodedLen(tokenBytes) {
		return TokenHash{}, false
	}
	return sha256.Sum256([]byte(token)), true
}

// BearerToken reads the token of an Authorization header: the scheme Bearer in any case, one space
// or more, then the token.
func BearerToken(header string) (string, bool) {
	scheme, token, found := strings.Cut(strings.TrimSpace(header), " ")
	token = strings.TrimSpace(token)
	if !found || !strings.EqualFold(scheme, "Bearer") || token == "" {
		return "", false
	}
	return token, true
}

// MatchesChallenge reports whether challenge is the PKCE challenge (S256) of verifier.
func MatchesChallenge(verifier, challenge string) bool {
	sum := sha256.Sum256([]byte(verifier))
	made := base64.RawURLEncoding.EncodeToString(sum[:])
	return verifier != "" && subtle.ConstantTimeCompare([]byte(made), []byte(challenge)) == 1
}
