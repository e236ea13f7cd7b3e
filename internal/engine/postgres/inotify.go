package postgres

import (
	"bytes"
	"encoding/binary"
	"os"

	"golang.org/x/sys/unix"
)

// fileEvent is something that became of a file of a watched directory.
type fileEvent struct {
	name   string
	closed bool // by who wrote it; otherwise it is new
}

// watch tells of new files in a directory and of those whose writer has closed them, until the
// watching ends by close. When the kernel drops events, because there are too many, what they told is missing.
type watch struct {
	file   *os.File
	events chan fileEvent
	quit   chan struct{}
}

func newWatch(dir string) (*watch, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, tempFailure(err)
	}
	w := &watch{file: os.NewFile(uintptr(fd), "inotify"), events: make(chan fileEvent, 64), quit: make(chan struct{})}
	if _, err := unix.InotifyAddWatch(fd, dir, unix.IN_CREATE|unix.IN_CLOSE_WRITE); err != nil {
		w.file.Close()
		return nil, tempFailure(err)
	}
	go w.read()
	return w, nil
}

func (w *watch) close() {
	close(w.quit)
	w.file.Close()
}

// read parses struct inotify_event: watch, mask, cookie and length, four bytes each, and the name.
func (w *watch) read() {
	defer close(w.events)
	buffer := make([]byte, 64<<10)
	for {
		n, err := w.file.Read(buffer)
		if err != nil {
			return
		}
		for rest := buffer[:n]; len(rest) >= unix.SizeofInotifyEvent; {
			mask := binary.NativeEndian.Uint32(rest[4:])
			length := int(binary.NativeEndian.Uint32(rest[12:]))
			name, _, _ := bytes.Cut(rest[unix.SizeofInotifyEvent:unix.SizeofInotifyEvent+length], []byte{0})
			rest = rest[unix.SizeofInotifyEvent+length:]
			if len(name) == 0 {
				continue
			}
			select {
			case w.events <- fileEvent{name: string(name), closed: mask&unix.IN_CLOSE_WRITE != 0}:
			case <-w.quit:
				return
			}
		}
	}
}
