package domain

import "time"

// BackedUpFile is an entry of a files backup.
type BackedUpFile struct {
	Name       string    `json:"name"`
	Path       string    `json:"path" doc:"From the root of the backup, as include_paths of a restore takes it: a byte that is not UTF-8 is written \\xNN"`
	Type       string    `json:"type" enum:"file,folder,symlink,hardlink"`
	Size       *int64    `json:"size" doc:"In bytes; null for what is no file"`
	ModifiedAt time.Time `json:"modified_at"`
	Mode       string    `json:"mode" doc:"Permission bits, octal" example:"0644"`
	Target     string    `json:"target,omitempty" doc:"Of a symlink what it points to, of a hardlink the path of the file"`
}

// BackedUpFiles is a part of a folder of a files backup.
type BackedUpFiles struct {
	Items      []BackedUpFile `json:"items" nullable:"false"`
	NextCursor string         `json:"next_cursor" doc:"Pass it as cursor for the next page; empty at the end"`
}
