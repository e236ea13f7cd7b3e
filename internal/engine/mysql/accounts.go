package mysql

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// AccountsName is the stream of the accounts and grants of a server; AccountsFormat is its format: SQL that any client
// runs.
const (
	AccountsName   = "accounts.sql"
	AccountsFormat = "mysql-accounts"
)

const (
	accountsStart = "-- Accounts and grants, by DataGuardian\n"
	accountsEnd   = "-- Accounts completed\n"
)

// ownAccounts are made by the server itself.
var ownAccounts = []string{"mysql.sys", "mysql.session", "mysql.infoschema", "mariadb.sys", "PUBLIC"}

// Databases lists what the user may see of the server's databases, without the server's own.
func (e *Engine) Databases(ctx context.Context, src engine.Source) ([]string, error) {
	s, err := connect(ctx, src, src.Config.Database)
	if err != nil {
		return nil, err
	}
	defer s.close()
	return s.databases(ctx)
}

func (s *session) databases(ctx context.Context) ([]string, error) {
	found, err := s.queryColumn(ctx, "select schema_name from information_schema.schemata")
	if err != nil {
		return nil, classify("list the databases", err)
	}
	found = slices.DeleteFunc(found, isReserved)
	slices.Sort(found)
	return found, nil
}

var _ engine.GlobalsDumper = (*Engine)(nil)

// DumpGlobals hands the accounts, roles and grants of the server to sink as one stream of SQL. Who may not read them
// gets the user's own.
func (e *Engine) DumpGlobals(ctx context.Context, src engine.Source, sink engine.Sink) (warnings []string, err error) {
	s, err := connect(ctx, src, "")
	if err != nil {
		return nil, err
	}
	defer s.close()
	accounts, err := s.accounts(ctx)
	if number := errorNumber(err); number == 1142 || number == 1143 {
		if accounts, err = s.ownAccount(ctx); err != nil {
			return warnings, err
		}
		warnings = append(warnings, fmt.Sprintf("of the accounts only that of user %s is in the backup, who may not read the others: grant SELECT on mysql.*", src.Config.Username))
	}
	if err != nil {
		return nil, classify("list the accounts", err)
	}
	text, unknown, err := s.accountStatements(ctx, accounts)
	if err != nil {
		return nil, err
	}
	if len(unknown) > 0 {
		warnings = append(warnings, "the server does not use these accounts and does not tell of them (skip_name_resolve is on): "+strings.Join(unknown, ", "))
	}
	stream := engine.Stream{Name: AccountsName, Format: AccountsFormat, Properties: map[string]string{propServerVersion: s.version.text}}
	return warnings, sink(ctx, stream, strings.NewReader(text))
}

// account is a user or, in MariaDB, a role.
type account struct {
	user, host string
	role       bool
}

// String is the account as SQL has it.
func (a account) String() string {
	if a.role {
		return quoted(a.user)
	}
	return quoted(a.user) + "@" + quoted(a.host)
}

func (s *session) accounts(ctx context.Context) ([]account, error) {
	query := "select user, host, 'N' from mysql.user order by user, host"
	if s.version.mariadb {
		query = "select user, host, is_role from mysql.user order by user, host"
	}
	rows, err := s.queryRows(ctx, query)
	if err != nil {
		return nil, err
	}
	var accounts []account
	for _, row := range rows {
		if !slices.Contains(ownAccounts, row[0]) {
			accounts = append(accounts, account{user: row[0], host: row[1], role: row[2] == "Y"})
		}
	}
	return accounts, nil
}

// ownAccount is that of the connected user, as the server knows it.
func (s *session) ownAccount(ctx context.Context) ([]account, error) {
	text, err := queryOne[string](ctx, s, "select current_user()")
	if err != nil {
		return nil, classify("ask for the user", err)
	}
	at := strings.LastIndex(text, "@")
	return []account{{user: text[:at], host: text[at+1:]}}, nil
}

// accountStatements makes every account before the first grant: grants name roles.
func (s *session) accountStatements(ctx context.Context, accounts []account) (text string, unknown []string, err error) {
	var made, granted strings.Builder
	if !s.version.mariadb && s.version.atLeast(8, 0) {
		// Hashes of caching_sha2_password are binary.
		if err := s.exec(ctx, "SET SESSION print_identified_with_as_hex = ON"); err != nil {
			return "", nil, classify("prepare for reading accounts", err)
		}
	}
	for _, a := range accounts {
		if a.role {
			fmt.Fprintf(&made, "CREATE ROLE IF NOT EXISTS %s;\n", a)
		} else {
			create, err := s.queryColumn(ctx, "SHOW CREATE USER "+a.String())
			if errorNumber(err) == 1133 { // an account for a host's name, where the server resolves none
				unknown = append(unknown, a.String())
				continue
			}
			if err != nil {
				return "", nil, classify("read account "+a.String(), err)
			}
			for _, statement := range create {
				fmt.Fprintf(&made, "%s;\n", strings.Replace(statement, "CREATE USER ", "CREATE USER IF NOT EXISTS ", 1))
			}
		}
		grants, err := s.queryColumn(ctx, "SHOW GRANTS FOR "+a.String())
		if err != nil {
			return "", nil, classify("read the grants of account "+a.String(), err)
		}
		for _, statement := range grants {
			fmt.Fprintf(&granted, "%s;\n", statement)
		}
	}
	return accountsStart + made.String() + granted.String() + accountsEnd, unknown, nil
}

// inspectAccounts reads a dump of accounts to its end. It lists no table.
func inspectAccounts(r io.Reader) error {
	lines := bufio.NewReader(r)
	first, last := "", ""
	for {
		line, err := lines.ReadString('\n')
		if first == "" {
			first = line
		}
		if line != "" {
			last = line
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return failure.Wrap(failure.ClassOf(err), "read the accounts", err, "")
		}
	}
	if first != accountsStart || last != accountsEnd {
		return damaged("it is not a whole list of accounts")
	}
	return nil
}
