package mysql

import (
	"errors"
	"regexp"
	"slices"
	"strconv"
	"strings"

	protocol "github.com/go-sql-driver/mysql"

	"github.com/dataguardian/dataguardian/internal/engine/process"
)

// quoting are the errors whose messages quote values of rows, and what is told in their place.
var quoting = map[uint16]string{
	1062: "duplicate entry", 1139: "error in a regular expression", 1292: "incorrect or truncated value",
	1366: "incorrect value for a column", 1367: "illegal value", 1411: "incorrect value for a function", 1416: "no geometry object",
	1525: "incorrect value", 1586: "duplicate entry", 1690: "value out of range", 1761: "duplicate entry in a child table",
	1762: "duplicate entry in a child table", 1859: "duplicate unknown entry", 3140: "invalid JSON text", 3141: "invalid JSON text in a function",
	3143: "invalid JSON path", 3146: "invalid JSON value", 3156: "invalid JSON value for a cast", 3854: "a string can not be converted",
	1300: "invalid character string", 4038: "invalid JSON text",
}

// plainValues are errors about values whose messages name tables, columns and constraints only.
var plainValues = []uint16{1048, 1216, 1217, 1264, 1364, 1365, 1406, 1451, 1452, 3819, 4025}

const (
	unknownError = 1105
	syntaxError  = 1064
)

// keyName ends the message about a duplicate entry; what stands before it is the entry.
var keyName = regexp.MustCompile(` for key '([\w.$-]+)'$`)

// shownMessage is a message of the server without the values of rows that it may quote, which those who read executions and logs
// are not to see.
func shownMessage(number uint16, state, message string) string {
	text, quotes := quoting[number]
	if number == unknownError && strings.HasPrefix(message, "XPATH") { // proxies tell most of their troubles by this number
		text, quotes = "error in an XPath expression", true
	}
	if !quotes && !slices.Contains(plainValues, number) {
		switch {
		case strings.HasPrefix(state, "22"):
			text, quotes = "data exception", true
		case strings.HasPrefix(state, "23"):
			text, quotes = "integrity constraint violation", true
		}
	}
	if !quotes {
		return message
	}
	if name := keyName.FindStringSubmatch(message); name != nil {
		text += " for key '" + name[1] + "'"
	}
	return text
}

func rowless(err error) error {
	var server *protocol.MySQLError
	if !errors.As(err, &server) {
		return err
	}
	shown := *server
	shown.Message = shownMessage(server.Number, string(server.SQLState[:]), server.Message)
	return &shown
}

// serverSays is a line in which a tool repeats an error of the server.
var serverSays = regexp.MustCompile(`(?m)\b(ERROR (\d{4}) \((\w{5})\)(?: at line \d+)?(?: in file: '[^'\n]*')?: )(.*)$`)

// rowlessTool takes values out of what a tool said: all that follows an error that quotes one, which may have line breaks.
func rowlessTool(err error) error {
	var exit *process.ExitError
	if !errors.As(err, &exit) {
		return err
	}
	shown := *exit
	if at := serverSays.FindStringSubmatchIndex(exit.Stderr); at != nil {
		number, _ := strconv.ParseUint(exit.Stderr[at[4]:at[5]], 10, 16) // four digits
		message := exit.Stderr[at[8]:]
		if text := shownMessage(uint16(number), exit.Stderr[at[6]:at[7]], strings.TrimSpace(message)); text != strings.TrimSpace(message) {
			shown.Stderr = exit.Stderr[:at[8]] + text
		} else if begin, _, quotes := strings.Cut(message, " near '"); quotes && number == syntaxError { // of a dump: of its rows
			shown.Stderr = exit.Stderr[:at[8]] + begin
		}
	}
	return &shown
}
