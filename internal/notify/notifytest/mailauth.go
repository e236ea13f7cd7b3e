package notifytest

import (
	"crypto/hmac"
	"crypto/md5" //nolint:gosec // CRAM-MD5 is made of it
	"encoding/hex"
	"errors"
	"strings"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
	"github.com/xdg-go/scram"
)

// Mechanisms are the ways of signing in that the mail server knows, those first that a client should prefer.
var Mechanisms = []string{"SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-1", "CRAM-MD5", sasl.Plain, sasl.Login}

// Offer is what the mail server offers from now on; a name that it does not know is a refusal.
func (m *MailServer) Offer(mechanisms ...string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.offers = mechanisms
}

// SignedIn are the mechanisms by which clients have signed in.
func (m *MailServer) SignedIn() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]string(nil), m.signedIn...)
}

var errCredentials = &smtp.SMTPError{Code: 535, EnhancedCode: smtp.EnhancedCode{5, 7, 8}, Message: "Authentication credentials invalid"}

// AuthMechanisms is what go-smtp asks for.
func (s *session) AuthMechanisms() []string {
	s.server.mu.Lock()
	defer s.server.mu.Unlock()
	return s.server.offers
}

// Auth checks the account.
func (s *session) Auth(mechanism string) (sasl.Server, error) {
	done := func(ok bool) error {
		if !ok {
			return errCredentials
		}
		s.signedIn = true
		s.server.mu.Lock()
		defer s.server.mu.Unlock()
		s.server.signedIn = append(s.server.signedIn, mechanism)
		return nil
	}
	switch mechanism {
	case sasl.Plain:
		return sasl.NewPlainServer(func(_, user, password string) error { return done(user == MailUser && password == MailPassword) }), nil
	case sasl.Login:
		return &steps{ask: []string{"Username:", "Password:"}, done: func(said []string) error {
			return done(said[0] == MailUser && said[1] == MailPassword)
		}}, nil
	case "CRAM-MD5":
		const challenge = "<1896.697170952@mail.example>"
		return &steps{ask: []string{challenge}, done: func(said []string) error {
			mac := hmac.New(md5.New, []byte(MailPassword))
			mac.Write([]byte(challenge))
			return done(said[0] == MailUser+" "+hex.EncodeToString(mac.Sum(nil)))
		}}, nil
	default:
		return s.scram(mechanism, done)
	}
}

// steps asks one thing after the other.
type steps struct {
	ask, said []string
	done      func(said []string) error
}

// Next is what go-smtp calls: first with nothing, as clients of these send nothing along.
func (s *steps) Next(response []byte) (challenge []byte, done bool, err error) {
	if response != nil {
		s.said = append(s.said, string(response))
	}
	if len(s.said) < len(s.ask) {
		return []byte(s.ask[len(s.said)]), false, nil
	}
	return nil, true, s.done(s.said)
}

func (s *session) scram(mechanism string, done func(bool) error) (sasl.Server, error) {
	bare, plus := strings.CutSuffix(mechanism, "-PLUS")
	hash, known := map[string]scram.HashGeneratorFcn{"SCRAM-SHA-1": scram.SHA1, "SCRAM-SHA-256": scram.SHA256}[bare]
	if !known {
		return nil, smtp.ErrAuthUnknownMechanism
	}
	client, err := hash.NewClient(MailUser, MailPassword, "")
	if err != nil {
		return nil, err
	}
	server, err := hash.NewServer(func(user string) (scram.StoredCredentials, error) {
		if user != MailUser {
			return scram.StoredCredentials{}, errors.New("nobody has that name")
		}
		return client.GetStoredCredentialsWithError(scram.KeyFactors{Salt: "salt of the test", Iters: 4096})
	})
	if err != nil || !plus {
		return &scramServer{talk: server.NewConversation(), done: done}, err
	}
	state, _ := s.conn.TLSConnectionState()
	binding, err := scram.NewTLSExporterBinding(&state)
	return &scramServer{talk: server.NewConversationWithChannelBindingRequired(binding), done: done}, err
}

// scramServer speaks SCRAM as SMTP carries it.
type scramServer struct {
	talk *scram.ServerConversation
	done func(bool) error
}

// Next is what go-smtp calls.
func (s *scramServer) Next(response []byte) (challenge []byte, done bool, err error) {
	if response == nil {
		return nil, false, nil
	}
	if s.talk.Done() { // the client has checked the server's proof
		return nil, true, s.done(s.talk.Valid())
	}
	answer, err := s.talk.Step(string(response))
	if err != nil {
		return nil, false, errCredentials
	}
	return []byte(answer), false, nil
}
