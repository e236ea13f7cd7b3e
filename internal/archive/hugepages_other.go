//go:build !linux

package archive

// preferHugePages is for Linux, where they have to be asked for.
func preferHugePages([]byte) {}
