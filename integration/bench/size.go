package main

import (
	"fmt"
	"strconv"
	"strings"
)

// byteSize is a flag: a number with an optional unit, kB, MB, GB (thousands) or KiB, MiB, GiB.
type byteSize int64

const gigabyte byteSize = 1e9

var units = []struct {
	name  string
	bytes int64
}{{"KIB", 1 << 10}, {"MIB", 1 << 20}, {"GIB", 1 << 30}, {"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"B", 1}, {"", 1}}

// String is the size in the largest unit of thousands that has no fraction.
func (b *byteSize) String() string {
	for _, unit := range []string{"GB", "MB", "KB"} {
		for _, u := range units {
			if u.name == unit && *b > 0 && int64(*b)%u.bytes == 0 {
				return fmt.Sprintf("%d%s", int64(*b)/u.bytes, unit)
			}
		}
	}
	return fmt.Sprintf("%dB", int64(*b))
}

// Set parses the flag.
func (b *byteSize) Set(text string) error {
	upper := strings.ToUpper(strings.TrimSpace(text))
	for _, unit := range units {
		number, found := strings.CutSuffix(upper, unit.name)
		if !found {
			continue
		}
		value, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
		if err != nil || value < 1 {
			return fmt.Errorf("%q is not a size like 100MB or 2GB", text)
		}
		*b = byteSize(value * float64(unit.bytes))
		return nil
	}
	return fmt.Errorf("%q is not a size like 100MB or 2GB", text)
}
