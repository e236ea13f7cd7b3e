package archive

import "golang.org/x/sys/unix"

// preferHugePages asks for pages of 2 MiB: a decoder copies from all over a chunk, and with pages of
// 4 KiB it spends half of its time on looking up where they are, on a virtual machine above all. It is
// advice; a kernel without huge pages declines it.
func preferHugePages(memory []byte) { _ = unix.Madvise(memory, unix.MADV_HUGEPAGE) }
