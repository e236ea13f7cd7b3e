package postgres

import (
	"errors"
	"regexp"
	"strings"

	"github.com/dataguardian/dataguardian/internal/engine/process"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// complaint recognises what pg_dump and pg_restore say (they run with LC_ALL=C, so in English).
type complaint struct {
	pattern *regexp.Regexp
	class   failure.Class
	hint    string
}

// complaints in the order in which they are tried: the sharper message first, because a tool
// repeats it inside a vaguer one.
var complaints = []complaint{
	{regexp.MustCompile(`no matching (?:tables|schemas|extensions) were found`), failure.ConfigInvalid,
		"Correct include_tables: every pattern has to match a table (names are folded to lower case unless quoted)."},
	{regexp.MustCompile(`server version mismatch|unsupported version \(.*\) in file header`), failure.ToolMissing,
		"Install the client tools of the newer major version on the worker: apt-get install postgresql-client-<major>."},
	{regexp.MustCompile(`No space left on device|[Dd]isk quota exceeded|could not extend file`), failure.StorageFull, hintFull},
	{regexp.MustCompile(`password authentication failed|no password supplied|no pg_hba\.conf entry|authentication failed|FATAL:\s+role ".*" does not exist|is not permitted to log in`),
		failure.AuthFailed, hintLogin},
	{regexp.MustCompile(`FATAL:\s+database ".*" does not exist`), failure.NotFound, hintDatabase},
	{regexp.MustCompile(`certificate verify failed|SSL error|server does not support SSL|root certificate file`), failure.ConfigInvalid, hintTLS},
	{regexp.MustCompile(`permission denied|must be owner of|must be superuser|must be able to SET ROLE|query would be affected by row-level security`),
		failure.ConfigInvalid, hintRights},
	{regexp.MustCompile(`extension ".*" is not available|could not open extension control file`), failure.ConfigInvalid,
		"Install the extension's package on the target server."},
	{regexp.MustCompile(`role ".*" does not exist`), failure.ConfigInvalid, "Create the missing role on the target server."},
	{regexp.MustCompile(`unrecognized configuration parameter`), failure.ConfigInvalid,
		"The target server is older than the one the backup was made from, or lacks a module it loads; restore into the same or a newer version."},
	{regexp.MustCompile(`does not appear to be a valid archive|could not read from input file|unexpected end of file|could not find block ID|unrecognized data block type|found unexpected block ID|corrupt`),
		failure.Corrupt, "The dump is damaged; restore another backup."},
	{regexp.MustCompile(`timeout expired`), failure.Timeout, hintReach},
	{regexp.MustCompile(`could not translate host name|Connection refused|No route to host|Network is unreachable|could not connect|connection to server|terminating connection|the database system is (?:starting|shutting)`),
		failure.Unreachable, hintReach},
}

// classifyTool classifies the failure of a client tool by what it said. Errors that are not the
// tool's (a cancelled context, the sink's or the archive's own) pass as they are.
func classifyTool(op string, err error) error {
	var exit *process.ExitError
	if !errors.As(err, &exit) {
		return failure.Wrap(failure.ClassOf(err), op, err, "")
	}
	for _, c := range complaints {
		if c.pattern.MatchString(exit.Stderr) {
			return failure.Wrap(c.class, op, rowlessTool(err), c.hint)
		}
	}
	return failure.Wrap(failure.Unknown, op, rowlessTool(err), "")
}

// warnings picks a tool's warnings out of what it said while it succeeded.
func warnings(stderr string) []string {
	var found []string
	for line := range strings.Lines(stderr) {
		if line = strings.TrimSpace(line); strings.Contains(line, "warning:") {
			found = append(found, line)
		}
	}
	return found
}
