package mysql

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// version is the version of a server or a tool.
type version struct {
	text         string // as it says itself: "10.11.19-MariaDB-0+deb12u1", "8.0.36"
	mariadb      bool
	major, minor int
}

var leadingVersion = regexp.MustCompile(`^(\d+)\.(\d+)`)

// parseVersion reads what a server answers to select version(). MariaDB says so in it; everything else
// (Percona, Aurora) is MySQL to us.
func parseVersion(text string) version {
	v := version{text: text, mariadb: strings.Contains(text, "MariaDB")}
	v.major, v.minor = seriesOf(text)
	return v
}

func seriesOf(text string) (major, minor int) {
	if match := leadingVersion.FindStringSubmatch(text); match != nil {
		major, _ = strconv.Atoi(match[1])
		minor, _ = strconv.Atoi(match[2])
	}
	return major, minor
}

// atLeast compares the series.
func (v version) atLeast(major, minor int) bool {
	return v.major > major || (v.major == major && v.minor >= minor)
}

func (v version) product() string {
	if v.mariadb {
		return "MariaDB"
	}
	return "MySQL"
}

func (v version) series() string { return fmt.Sprintf("%d.%d", v.major, v.minor) }
