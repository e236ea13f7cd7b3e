package sqlserver

import (
	"regexp"

	mssql "github.com/microsoft/go-mssqldb"
)

// values are where messages quote values of rows, which those who read executions and logs are not to see: a duplicate key (1505, 2601,
// 2627), a conversion (244, 245, 248, 8114 with a value, 13609), an overflow or truncation (220, 232, 2628), and rows
// that DBCC CHECKDB misses in an index or in their table (8955, 8956).
var values = map[int32]*regexp.Regexp{
	1505:  regexp.MustCompile(`(?s)(duplicate key value is ).*`),
	2601:  regexp.MustCompile(`(?s)(duplicate key value is ).*`),
	2627:  regexp.MustCompile(`(?s)(duplicate key value is ).*`),
	244:   regexp.MustCompile(`(?s)( value ).*( overflowed )`),
	245:   regexp.MustCompile(`(?s)( value ).*( to data type )`),
	248:   regexp.MustCompile(`(?s)( value ).*( overflowed )`),
	220:   regexp.MustCompile(`(?s)(value = ).*`),
	232:   regexp.MustCompile(`(?s)(value = ).*`),
	2628:  regexp.MustCompile(`(?s)(Truncated value: ).*`),
	8955:  regexp.MustCompile(`(?s)(identified by ).*`),
	8956:  regexp.MustCompile(`(?s)(identified by ).*`),
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
