package mysql

import (
	"bytes"
	"errors"
	"io"

	"github.com/dataguardian/dataguardian/internal/failure"
)

// endMarker is the last line of a dump that the tools wrote to its end (--skip-dump-date leaves the time out).
const endMarker = "\n-- Dump completed\n"

// headers begin a dump, after a line that switches the client's sandbox on.
var headers = [][]byte{[]byte("-- MariaDB dump "), []byte("-- MySQL dump ")}

// sandboxLine is the first line of newer MariaDB tools. Only MariaDB's own clients understand it.
var sandboxLine = []byte(`/*M!999999\- enable the sandbox mode */`)

// followed is a dump that is read through a script. Its last Read gives an error of class Corrupt
// instead of io.EOF when the dump is not whole.
type followed struct {
	r      io.Reader
	script *script
	head   []byte // the first bytes
	tail   []byte // the last bytes
}

const headBytes = 256

func follow(r io.Reader) *followed { return &followed{r: r, script: newScript()} }

func (f *followed) Read(p []byte) (int, error) {
	n, err := f.r.Read(p)
	if n > 0 {
		if checkErr := f.look(p[:n]); checkErr != nil {
			return 0, checkErr
		}
	}
	if errors.Is(err, io.EOF) {
		if checkErr := f.end(); checkErr != nil {
			return 0, checkErr
		}
	}
	return n, err
}

func (f *followed) look(p []byte) error {
	if missing := headBytes - len(f.head); missing > 0 {
		f.head = append(f.head, p[:min(missing, len(p))]...)
		if len(f.head) == headBytes {
			if err := f.checkHead(); err != nil {
				return err
			}
		}
	}
	if len(p) >= len(endMarker) {
		f.tail = append(f.tail[:0], p[len(p)-len(endMarker):]...)
	} else {
		f.tail = append(f.tail, p...)
		f.tail = f.tail[max(0, len(f.tail)-len(endMarker)):]
	}
	_, err := f.script.Write(p)
	return err
}

func (f *followed) checkHead() error {
	head := f.head
	if bytes.HasPrefix(head, sandboxLine) {
		head = bytes.TrimLeft(head[len(sandboxLine):], " \r\n")
	}
	for _, known := range headers {
		if bytes.HasPrefix(head, known) {
			return nil
		}
	}
	return damaged("it does not begin like a dump of mysqldump or mariadb-dump")
}

func (f *followed) end() error {
	if len(f.head) < headBytes {
		if err := f.checkHead(); err != nil {
			return err
		}
	}
	if string(f.tail) != endMarker {
		return damaged("it ends too early: its last line is not \"-- Dump completed\"")
	}
	return nil
}

func damaged(message string) error {
	return failure.New(failure.Corrupt, "check the structure of the dump", message, "The dump is damaged; restore another backup.")
}
