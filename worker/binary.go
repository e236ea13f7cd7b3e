package worker

import (
	"debug/elf"
	"os"
	"strings"
	"sync"

	sdk "go.temporal.io/sdk/worker"
)

// nameBinary tells Temporal's SDK which program this is, which histories show. By itself it would read the whole program at each
// start and take its MD5, which takes a third of a second.
var nameBinary = sync.OnceFunc(func() {
	path, err := os.Executable()
	if err != nil {
		return
	}
	if id := contentID(path); id != "" {
		sdk.SetBinaryChecksum(id)
	}
})

// contentID is the hash of an ELF program's contents that Go's linker has written into it: the last part of the build id (`go tool
// buildid`), base64. It is "" where there is none.
func contentID(path string) string {
	file, err := elf.Open(path)
	if err != nil {
		return ""
	}
	defer func() { _ = file.Close() }()
	section := file.Section(".note.go.buildid")
	if section == nil {
		return ""
	}
	note, err := section.Data()
	// An ELF note: the lengths of the name and of what is noted, its type, the name ("Go" and zeros), what is noted.
	const header, name = 12, 4
	if err != nil || len(note) < header+name {
		return ""
	}
	length := file.ByteOrder.Uint32(note[4:])
	if uint64(length) > uint64(len(note)-header-name) {
		return ""
	}
	id := string(note[header+name:][:length])
	return id[strings.LastIndexByte(id, '/')+1:]
}
