//go:build !linux

package process

// ReleasePages does nothing here.
func ReleasePages() {}
