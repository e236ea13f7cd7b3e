package postgres

import (
	"os"
	"os/user"
	"strconv"
	"syscall"

	"github.com/dataguardian/dataguardian/internal/failure"
)

// account is the unprivileged user that runs Postgres when we are root.
type account struct {
	name     string
	uid, gid uint32
}

// clusterOwner returns nil unless we are root, whom Postgres refuses to run as: then the package's
// own user, or nobody.
func clusterOwner() (*account, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		found, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, errUID := strconv.ParseUint(found.Uid, 10, 32)
		gid, errGID := strconv.ParseUint(found.Gid, 10, 32)
		if errUID == nil && errGID == nil && uid != 0 {
			return &account{name: name, uid: uint32(uid), gid: uint32(gid)}, nil
		}
	}
	return nil, failure.New(failure.ToolMissing, "find a user to run Postgres as",
		"Postgres does not run as root, and this machine has neither a user postgres nor nobody",
		"Install the Postgres server (apt-get install postgresql makes the user), or run dataguardian as a normal user.")
}

// canEnter reports whether the account may pass through the directory.
func (a account) canEnter(dir os.FileInfo) bool {
	stat, ok := dir.Sys().(*syscall.Stat_t)
	if !ok {
		return true
	}
	switch {
	case stat.Uid == a.uid:
		return dir.Mode()&0o100 != 0
	case stat.Gid == a.gid:
		return dir.Mode()&0o010 != 0
	default:
		return dir.Mode()&0o001 != 0
	}
}

// credential is how a process becomes the account; nil keeps the user we are.
func (a *account) credential() *syscall.Credential {
	if a == nil {
		return nil
	}
	return &syscall.Credential{Uid: a.uid, Gid: a.gid}
}
