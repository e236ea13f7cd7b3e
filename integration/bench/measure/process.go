package measure

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// peakOf is the largest resident size of an ended process, or of the largest of its descendants
// when that was larger, in bytes.
func peakOf(state *os.ProcessState) int64 {
	usage, ok := state.SysUsage().(*syscall.Rusage)
	if !ok {
		return 0
	}
	return usage.Maxrss * 1024 // Linux counts in KiB
}

// PeakRSS is the largest resident size that a running process had since it began, or since
// ForgetPeak, in bytes.
func PeakRSS(pid int) (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, fmt.Errorf("bench: peak RSS: did the process end? %w", err)
	}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(line, ":")
		var kib int64
		if name != "VmHWM" {
			continue
		}
		if _, err := fmt.Sscanf(strings.TrimSpace(value), "%d kB", &kib); err != nil {
			return 0, fmt.Errorf("bench: peak RSS: %w", err)
		}
		return kib * 1024, nil
	}
	return 0, errors.New("bench: the peak RSS can not be read; did the process end?")
}

// ForgetPeak makes PeakRSS count from now, so that one run's peak is not charged to the next.
func ForgetPeak(pid int) error {
	const resetPeak = "5" // proc(5), clear_refs
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte(resetPeak), 0); err != nil {
		return fmt.Errorf("bench: reset the peak RSS: %w", err)
	}
	return nil
}

// CPU is the user and system time of a process and of the children it waited for.
func CPU(pid int) (time.Duration, error) {
	const ticksPerSecond = 100 // USER_HZ, the same on every Linux
	fields, err := stat(pid)
	if err != nil {
		return 0, err
	}
	var ticks int64
	for _, field := range fields[11:15] {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("bench: CPU time: %w", err)
		}
		ticks += n
	}
	return time.Duration(ticks) * time.Second / ticksPerSecond, nil
}

// stat is /proc/pid/stat from field 3 (the state) on.
func stat(pid int) ([]string, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil, fmt.Errorf("bench: CPU time: %w", err)
	}
	// The name, field 2, may hold spaces; it ends at the last parenthesis. utime is field 14.
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	if len(fields) < 15 {
		return nil, errors.New("bench: CPU time: /proc/pid/stat is too short")
	}
	return fields, nil
}

// TreeCPU is CPU of a process and its direct children that still run, as those of a Postgres server.
func TreeCPU(pid int) (time.Duration, error) {
	total, err := CPU(pid)
	if err != nil {
		return 0, err
	}
	paths, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return 0, fmt.Errorf("bench: CPU time: %w", err)
	}
	for _, path := range paths {
		child, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err != nil {
			continue
		}
		fields, err := stat(child)
		if err != nil || fields[1] != strconv.Itoa(pid) {
			continue // another's child, or one that has just ended: it is counted as waited for
		}
		if spent, err := CPU(child); err == nil {
			total += spent
		}
	}
	return total, nil
}
