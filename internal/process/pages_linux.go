package process

import (
	"bufio"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// ReleasePages gives back the pages of the program's own file that its start has touched. The program holds Temporal's
// server too, whose packages touch some 100 MB while they are initialised, and a worker never looks at most of that
// again. The pages are clean and stay in the page cache, so what is needed after all comes back without reading; what
// matters is that a worker's resident size is what its work takes. On failure it does nothing.
func ReleasePages() {
	for _, m := range programMappings() {
		_, _, _ = unix.Syscall(unix.SYS_MADVISE, m.begin, m.end-m.begin, unix.MADV_DONTNEED) // a hint
	}
}

// mapping is a range of addresses.
type mapping struct{ begin, end uintptr }

// programMappings are the read-only mappings of the program's file: its code and constants.
func programMappings() (found []mapping) {
	program, err := os.Executable()
	if err != nil {
		return nil
	}
	maps, err := os.Open("/proc/self/maps")
	if err != nil {
		return nil
	}
	defer func() { _ = maps.Close() }() // was only read
	lines := bufio.NewScanner(maps)
	for lines.Scan() {
		// address perms offset dev inode pathname, see proc_pid_maps(5)
		fields := strings.Fields(lines.Text())
		if len(fields) != 6 || fields[5] != program || !strings.HasPrefix(fields[1], "r-") {
			continue // what can be written to would be lost
		}
		begin, end, _ := strings.Cut(fields[0], "-")
		from, errFrom := strconv.ParseUint(begin, 16, 64)
		to, errTo := strconv.ParseUint(end, 16, 64)
		if errFrom == nil && errTo == nil && from < to {
			found = append(found, mapping{uintptr(from), uintptr(to)})
		}
	}
	return found
}
