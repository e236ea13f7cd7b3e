package mysql

import (
	"errors"
	"regexp"
	"strconv"
	"strings"

	"github.com/dataguardian/dataguardian/internal/engine/process"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// errorCode is the number in what the tools say: "ERROR 1064 (42000) at line 14: …", and "mariadb-dump: Got error:
// 1045: "…" when trying to connect", "mysqldump: Couldn't execute '…': … (1146)", "Error 2013: Lost connection …".
var errorCode = regexp.MustCompile(`(?:ERROR |Got error: |Error |error: )(\d{4})\b|\((\d{4})\)$`)

// classifyTool classifies the failure of a client tool by what it said. Errors that are not the
// tool's (a cancelled context, the sink's or the archive's own) pass as they are.
func classifyTool(op string, err error) error {
	var exit *process.ExitError
	if !errors.As(err, &exit) {
		return failure.Wrap(failure.ClassOf(err), op, err, "")
	}
	v := toolVerdict(exit.Stderr)
	return failure.Wrap(v.class, op, rowlessTool(err), v.hint)
}

func toolVerdict(said string) verdict {
	if strings.Contains(said, "No space left on device") || strings.Contains(said, "Got error 28") || strings.Contains(said, "errno: 28") {
		return verdict{failure.StorageFull, hintFull}
	}
	for line := range strings.Lines(said) {
		match := errorCode.FindStringSubmatch(strings.TrimSpace(line))
		if match == nil {
			continue
		}
		number, err := strconv.ParseUint(match[1]+match[2], 10, 16)
		switch {
		case err != nil:
			continue
		case number == 2026:
			return verdict{failure.ConfigInvalid, hintTLS}
		case number == 2059 || number == 1251: // an authentication plugin that the tool lacks
			return verdict{failure.ToolMissing, "Install the client tools of the server's own product and version on the worker."}
		case number >= 2000 && number < 2100: // the client's own: no connection, or a lost one
			return verdict{failure.Unreachable, hintReach}
		}
		if v, found := verdicts[uint16(number)]; found {
			return v
		}
	}
	return verdict{failure.Unknown, ""}
}

// warnings picks a tool's warnings out of what it said while it succeeded.
func warnings(stderr string) []string {
	var found []string
	for line := range strings.Lines(stderr) {
		if line = strings.TrimSpace(line); strings.Contains(strings.ToLower(line), "warning") {
			found = append(found, line)
		}
	}
	return found
}
