package engine

import (
	"encoding/json"

	"github.com/dataguardian/dataguardian/internal/failure"
)

// PropRows is the property of a stream that says how many rows of each table it holds.
const PropRows = "rows"

// maxRows bounds the property, in bytes: some fifty thousand tables. A dump with more says nothing.
const maxRows = 4 << 20

// SetRows records the rows of a stream's tables in its properties.
func SetRows(properties map[string]string, rows map[string]int64) {
	text, err := json.Marshal(rows)
	if err == nil && len(text) <= maxRows {
		properties[PropRows] = string(text)
	}
}

// RowsOf reads what SetRows recorded; known is false where there is nothing.
func RowsOf(s Stream) (rows map[string]int64, known bool, err error) {
	text, known := s.Properties[PropRows]
	if !known {
		return nil, false, nil
	}
	if err := json.Unmarshal([]byte(text), &rows); err != nil {
		return nil, false, failure.Wrap(failure.Corrupt, "read the rows that the backup recorded", err, "")
	}
	return rows, true, nil
}
