package postgres

import (
	"os"
	"strconv"
)

// stdoutBuffer is how much pg_dump collects before it writes to its standard output. Into a pipe
// the C library would write every 4 KiB, which costs pg_dump a third of its time.
const stdoutBuffer = 256 << 10

// stdbufLibraries are where coreutils keeps the library behind stdbuf(1).
var stdbufLibraries = []string{"/usr/libexec/coreutils/libstdbuf.so", "/usr/lib/coreutils/libstdbuf.so"}

// withLargeBuffer adds to the environment of a tool what `stdbuf -o` would set. Where coreutils
// are not installed the tool writes in small pieces, and everything else is the same.
func withLargeBuffer(vars []string) []string {
	for _, library := range stdbufLibraries {
		if info, err := os.Stat(library); err == nil && info.Mode().IsRegular() {
			return append(vars, "LD_PRELOAD="+library, "_STDBUF_O="+strconv.Itoa(stdoutBuffer))
		}
	}
	return vars
}
