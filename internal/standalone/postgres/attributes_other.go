//go:build !linux

package postgres

import "syscall"

// serverAttributes gives the server a process group of its own. Without a parent-death signal a
// server outlives a killed parent, and the next start stops it.
func serverAttributes(owner *account) *syscall.SysProcAttr { return toolAttributes(owner) }

// toolAttributes are those of a tool that runs and ends, such as initdb.
func toolAttributes(owner *account) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Credential: owner.credential()}
}
