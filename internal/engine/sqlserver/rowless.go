package sqlserver

import (
	"regexp"

	mssql "github.com/microsoft/go-mssqldb"
)

// Wordings that several messages have.
var (
	duplicateKey = regexp.MustCompile(`(?s)(duplicate key value is ).*`)
	overflowed   = regexp.MustCompile(`(?s)( value ).*( overflowed )`)
	valueIs      = regexp.MustCompile(`(?s)(value = ).*`)
	identifiedBy = regexp.MustCompile(`(?s)(identified by ).*`)
)

// values are where messages quote values of rows, which those who read executions and logs are not to see: a duplicate key (1505, 2601,
// 2627), a conversion (244, 245, 248, 8114 with a value, 13609), an overflow or truncation (220, 232, 2628), and rows
// that DBCC CHECKDB misses in an index or in their table (8955, 8956).
var values = map[int32]*regexp.Regexp{
	1505:  duplicateKey,
	2601:  duplicateKey,
	2627:  duplicateKey,
	244:   overflowed,
	245:   regexp.MustCompile(`(?s)( value ).*( to data type )`),
	248:   overflowed,
	220:   valueIs,
	232:   valueIs,
	2628:  regexp.MustCompile(`(?s)(Truncated value: ).*`),
	8955:  identifiedBy,
	8956:  identifiedBy,
	13609: regexp.MustCompile(`(?s)(Unexpected character ).*( is found)`),
}

// shownMessage is a message without the values that it quotes. One that is written otherwise, by a server of another language,
// is left out whole.
func shownMessage(e mssql.Error) string {
	pattern := values[e.Number]
	if pattern == nil {
		return e.Message
	}
	if !pattern.MatchString(e.Message) {
		return "a value was refused"
	}
	return pattern.ReplaceAllString(e.Message, "${1}…${2}")
}
