package mysql

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/failure"
)

var _ engine.GlobalsRestorer = (*Engine)(nil)

// maxAccounts bounds a list of accounts in bytes.
const maxAccounts = 64 << 20

const accountName = "('(?:[^'\\\\]|''|\\\\.)*'|`(?:[^`]|``)*`)(?:@('(?:[^'\\\\]|''|\\\\.)*'|`(?:[^`]|``)*`))?"

var (
	makesAccount = regexp.MustCompile("(?s)^CREATE (?:USER|ROLE) IF NOT EXISTS " + accountName)
	grantsTo     = regexp.MustCompile("(?s)^GRANT .*? TO " + accountName + "(?:;|\\s(?:WITH|IDENTIFIED|REQUIRE|AS|VIA)\\b.*)$")
	defaultRole  = regexp.MustCompile("(?s)^SET DEFAULT ROLE .* FOR " + accountName + ";$")
)

// RestoreGlobals makes the accounts and roles that the server has not, then grants these their rights. A worker that
// is lost in between leaves accounts that the next attempt finds and leaves as they are: without rights.
func (e *Engine) RestoreGlobals(ctx context.Context, target engine.Source, _ engine.Stream, r io.Reader, tell func(done bool, what string)) error {
	statements, err := readAccounts(r)
	if err != nil {
		return err
	}
	s, err := connect(ctx, target, "")
	if err != nil {
		return err
	}
	defer s.close()
	there, err := s.accounts(ctx)
	if err != nil {
		return classify("list the accounts, which mysql.user has", err)
	}
	existing := make([]string, 0, len(there))
	for _, a := range there {
		existing = append(existing, a.user+"@"+a.host)
	}
	made, err := s.makeAccounts(ctx, statements, existing, tell)
	if err != nil {
		return err
	}
	return s.grantTo(ctx, statements, made, tell)
}

// makeAccounts returns those that it made.
func (s *session) makeAccounts(ctx context.Context, statements, existing []string, tell func(bool, string)) (made []string, err error) {
	for _, statement := range statements {
		match := makesAccount.FindStringSubmatch(statement)
		if match == nil {
			continue
		}
		name := accountKey(match)
		if slices.Contains(existing, name) {
			tell(false, "account "+name+" exists and was left as it is")
			continue
		}
		switch err := s.exec(ctx, statement); {
		case err == nil:
			made = append(made, name)
			tell(true, "account "+name+" was made")
		case errorNumber(err) == 0:
			return made, classify("make account "+name, err)
		default:
			tell(false, "account "+name+" was not made: "+withoutLiterals(err))
		}
	}
	return made, nil
}

// grantTo runs the grants of the accounts that were made.
func (s *session) grantTo(ctx context.Context, statements, made []string, tell func(bool, string)) error {
	for _, statement := range statements {
		match := grantsTo.FindStringSubmatch(statement)
		if match == nil {
			match = defaultRole.FindStringSubmatch(statement)
		}
		if match == nil || !slices.Contains(made, accountKey(match)) {
			continue
		}
		name := accountKey(match)
		switch err := s.exec(ctx, statement); {
		case err == nil:
		case errorNumber(err) == 0:
			return classify("grant rights to account "+name, err)
		default:
			tell(false, "account "+name+" lacks rights that it had: "+withoutLiterals(err))
		}
	}
	return nil
}

// readAccounts splits a list of accounts, which has to be whole.
func readAccounts(r io.Reader) (statements []string, err error) {
	lines := bufio.NewReader(io.LimitReader(r, maxAccounts))
	var text strings.Builder
	first, last := "", ""
	for {
		line, err := lines.ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, failure.Wrap(failure.ClassOf(err), "read the accounts", err, "")
		}
		switch {
		case first == "":
			first = line
		case line != "" && line != accountsEnd:
			text.WriteString(line)
			if strings.HasSuffix(line, ";\n") {
				statements = append(statements, strings.TrimSuffix(text.String(), "\n"))
				text.Reset()
			}
		}
		if line != "" {
			last = line
		}
		if err != nil {
			break
		}
	}
	if first != accountsStart || last != accountsEnd {
		return nil, damaged("it is not a whole list of accounts")
	}
	return statements, nil
}

// accountKey is user@host; a role has no host.
func accountKey(match []string) string {
	host := ""
	if match[2] != "" {
		host = plainName(match[2])
	}
	return plainName(match[1]) + "@" + host
}

func plainName(name string) string {
	inner := name[1 : len(name)-1]
	if name[0] == '\'' {
		return strings.NewReplacer(`\\`, `\`, `\'`, `'`, `''`, `'`).Replace(inner)
	}
	return strings.ReplaceAll(inner, "``", "`")
}

// withoutLiterals is a server's message. One about the text of a statement may show a piece of it, which may be of a
// password.
func withoutLiterals(err error) string {
	switch number := errorNumber(err); number {
	case 1064, 1149, 1372, 1827:
		return fmt.Sprintf("the server does not take its definition (error %d)", number)
	}
	return failure.Message(classify("", err))
}
