package postgres

import (
	"fmt"
	"strings"

	"github.com/dataguardian/dataguardian/internal/engine"
	"github.com/dataguardian/dataguardian/internal/failure"
)

// maxIndex bounds property "blocks", in bytes: a hundred thousand tables. A dump with more is
// restored by one job.
const maxIndex = 4 << 20

// writeIndex is the text of property "blocks": a line "dump-id offset length" for each data block
// of a custom-format dump in its order, with " large" behind the one that holds large objects. It is
// "" when it would be too long.
func writeIndex(blocks []dataBlock) string {
	var text strings.Builder
	for _, b := range blocks {
		fmt.Fprintf(&text, "%d %d %d", b.id, b.offset, b.size)
		if b.large {
			text.WriteString(" large")
		}
		text.WriteByte('\n')
		if text.Len() > maxIndex {
			return ""
		}
	}
	return text.String()
}

// readIndex reads property "blocks"; known is false when the dump has none.
func readIndex(s engine.Stream) (blocks []dataBlock, known bool, err error) {
	text, known := s.Properties[propBlocks]
	end := int64(0)
	for line := range strings.Lines(text) {
		var b dataBlock
		line, b.large = strings.CutSuffix(strings.TrimSuffix(line, "\n"), " large")
		_, err := fmt.Sscanf(line, "%d %d %d", &b.id, &b.offset, &b.size)
		if err != nil || b.offset < end || b.size < 1 {
			return nil, false, failure.New(failure.Corrupt, "read property "+propBlocks+" of the backup", fmt.Sprintf("%.80q is no block", line), "")
		}
		end = b.offset + b.size
		blocks = append(blocks, b)
	}
	return blocks, known, nil
}
