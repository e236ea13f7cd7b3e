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

// programMappings are the mappings of the program's file that hold nothing but what is in the file: its code and constants.
// What the dynamic linker has changed and then made read-only has pages of its own, which would be lost.
func programMappings() (found []mapping) {
	program, err := os.Executable()
	if err != nil {
		return nil
	}
	maps, err := os.Open("/proc/self/smaps") // see proc_pid_smaps(5)
	if err != nil {
		return nil
	}
	defer func() { _ = maps.Close() }() // was only read
	var candidate *mapping
	lines := bufio.NewScanner(maps)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		switch {
		case len(fields) >= 5 && !strings.HasSuffix(fields[0], ":"): // address perms offset dev inode pathname
			candidate = nil
			if len(fields) == 6 && fields[5] == program && (fields[1] == "r--p" || fields[1] == "r-xp") {
				candidate = parseMapping(fields[0])
			}
		case candidate != nil && len(fields) == 3 && fields[0] == "Anonymous:":
			if fields[1] == "0" {
				found = append(found, *candidate)
			}
			candidate = nil
		}
	}
	return found
}

// parseMapping reads an address range, nil if it is none.
func parseMapping(addresses string) *mapping {
	begin, end, _ := strings.Cut(addresses, "-")
	from, errFrom := strconv.ParseUint(begin, 16, 64)
	to, errTo := strconv.ParseUint(end, 16, 64)
	if errFrom != nil || errTo != nil || from >= to {
		return nil
	}
	return &mapping{uintptr(from), uintptr(to)}
}
