package report

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"
)

func ratio(a, b time.Duration) float64 { return float64(a) / float64(max(b, 1)) }

func seconds(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) }

// mib shows small amounts with their fractions: an increment may store less than one.
func mib(bytes int64) string {
	if bytes < 10<<20 {
		return fmt.Sprintf("%.2f MiB", float64(bytes)/(1<<20))
	}
	return fmt.Sprintf("%.0f MiB", float64(bytes)/(1<<20))
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return strings.ReplaceAll(line, "|", "\\|")
}

// Machine describes the hardware in words that name no host.
func Machine() string {
	model := "unknown processor"
	if value, ok := procField("/proc/cpuinfo", "model name"); ok {
		model = value
	}
	memory := "unknown memory"
	if value, ok := procField("/proc/meminfo", "MemTotal"); ok {
		var kib int64
		if _, err := fmt.Sscanf(value, "%d kB", &kib); err == nil {
			memory = fmt.Sprintf("%.0f GiB of memory", float64(kib)/(1<<20))
		}
	}
	return fmt.Sprintf("%d cores (%s), %s, %s/%s", runtime.NumCPU(), model, memory, runtime.GOOS, runtime.GOARCH)
}

// Load is the average load of the last minute.
func Load() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	first, _, _ := strings.Cut(string(text), " ")
	return first
}

// procField reads one "name: value" line of a file under /proc.
func procField(path, name string) (string, bool) {
	text, err := os.ReadFile(path)
	if err != nil {
		return "", false
	}
	for line := range strings.Lines(string(text)) {
		key, value, found := strings.Cut(line, ":")
		if found && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value), true
		}
	}
	return "", false
}
