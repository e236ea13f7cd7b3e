package postgres

import "syscall"

// serverAttributes gives the server a process group of its own, so that Ctrl-C in a terminal
// reaches us and not it, and a fast shutdown when we are killed.
func serverAttributes(owner *account) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Credential: owner.credential(), Pdeathsig: syscall.SIGINT}
}

// toolAttributes are those of a tool that runs and ends, such as initdb.
func toolAttributes(owner *account) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Credential: owner.credential()}
}
