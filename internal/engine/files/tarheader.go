package files

import (
	"archive/tar"
	"bytes"
	"encoding/binary"
	"fmt"
	"path"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// tarEnd ends an archive: two blocks of zeros.
var tarEnd [2 * blockSize]byte

// hugeID is the first user or group id that ustar can not hold.
const hugeID = 0o7777777 + 1

// appendHeader appends the headers of an entry whose data is size bytes. A PAX header is added where
// ustar can not say it: times in ns, attributes, names that are long or not ASCII.
func appendHeader(to []byte, e *entry, size int64, attributes map[string]string, sparse *sparseMap) ([]byte, error) {
	h := &tar.Header{
		Name: e.path(), Mode: int64(e.mode), Uid: int(e.uid), Gid: int(e.gid), Size: size,
		ModTime: time.Unix(0, e.mtime), Format: tar.FormatPAX, PAXRecords: map[string]string{},
	}
	for name, value := range attributes {
		h.PAXRecords["SCHILY.xattr."+name] = value
	}
	switch e.kind {
	case kindFile:
		h.Typeflag = tar.TypeReg
	case kindDir:
		h.Typeflag, h.Name = tar.TypeDir, h.Name+"/"
	case kindSymlink:
		h.Typeflag, h.Linkname = tar.TypeSymlink, e.link
	case kindHardlink:
		h.Typeflag, h.Linkname, h.PAXRecords = tar.TypeLink, e.link, nil
	}
	if sparse != nil {
		return appendSparseHeader(to, h, e, sparse)
	}
	buffer := bytes.NewBuffer(to) // which it goes on with where there is room
	if err := tar.NewWriter(buffer).WriteHeader(h); err != nil {
		return nil, fmt.Errorf("make the tar header of %s: %w", printable(e.path()), err)
	}
	return buffer.Bytes(), nil
}

// appendSparseHeader writes what package tar reads and does not write: GNU's sparse format 1.0. Its
// records say the real name and size, the header behind them the size of map and data.
func appendSparseHeader(to []byte, h *tar.Header, e *entry, sparse *sparseMap) ([]byte, error) {
	records := map[string]string{
		"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": h.Name, "GNU.sparse.realsize": strconv.FormatInt(e.size, 10),
		"mtime": paxTime(e.mtime), "size": strconv.FormatInt(h.Size, 10),
	}
	for name, value := range h.PAXRecords {
		records[name] = value
	}
	if h.Uid >= hugeID {
		records["uid"], h.Uid = strconv.Itoa(h.Uid), 0
	}
	if h.Gid >= hugeID {
		records["gid"], h.Gid = strconv.Itoa(h.Gid), 0
	}
	var pax []byte
	names := make([]string, 0, len(records))
	for name := range records {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		pax = append(pax, paxRecord(name, records[name])...)
	}
	extended := &tar.Header{Name: "PaxHeaders.0/sparse", Mode: 0o644, Size: int64(len(pax)), Typeflag: tar.TypeReg, Format: tar.FormatUSTAR}
	block, err := ustarBlock(extended, 'x')
	if err != nil {
		return nil, err
	}
	to = append(append(append(to, block...), pax...), make([]byte, padded(int64(len(pax)))-int64(len(pax)))...)
	plain := *h
	plain.Name, plain.Format, plain.PAXRecords = path.Join("GNUSparseFile.0", strconv.FormatUint(e.inode, 10)), tar.FormatUSTAR, nil
	plain.ModTime = time.Unix(max(0, e.mtime/1e9), 0)
	if plain.Size >= 1<<33 { // the record has it
		plain.Size = 0
	}
	if block, err = ustarBlock(&plain, tar.TypeReg); err != nil {
		return nil, err
	}
	return append(append(to, block...), sparse.text()...), nil
}

// ustarBlock is one header block of the type.
func ustarBlock(h *tar.Header, typeflag byte) ([]byte, error) {
	var buffer bytes.Buffer
	if err := tar.NewWriter(&buffer).WriteHeader(h); err != nil {
		return nil, fmt.Errorf("make a tar header: %w", err)
	}
	block := buffer.Bytes()[:blockSize]
	const checksum = 148
	block[156] = typeflag
	copy(block[checksum:], "        ")
	sum := 0
	for _, b := range block {
		sum += int(b)
	}
	copy(block[checksum:], fmt.Sprintf("%06o\x00 ", sum))
	return block, nil
}

// paxRecord is "length name=value\n", where the length counts itself.
func paxRecord(name, value string) string {
	rest := len(name) + len(value) + 3
	length := rest + len(strconv.Itoa(rest))
	if n := rest + len(strconv.Itoa(length)); n != length {
		length = n
	}
	return strconv.Itoa(length) + " " + name + "=" + value + "\n"
}

// paxTime is a time in seconds with its fraction.
func paxTime(ns int64) string {
	seconds, fraction := ns/1e9, ns%1e9
	if fraction == 0 {
		return strconv.FormatInt(seconds, 10)
	}
	sign := ""
	if ns < 0 {
		sign, seconds, fraction = "-", -seconds, -fraction
	}
	return fmt.Sprintf("%s%d.%09d", sign, seconds, fraction)
}

// attributesOf reads the extended attributes of an open file, or of a path that is not followed. File
// systems without any have none.
func attributesOf(fd int, path string) (map[string]string, error) {
	list, get := func(b []byte) (int, error) { return unix.Flistxattr(fd, b) }, func(n string, b []byte) (int, error) { return unix.Fgetxattr(fd, n, b) }
	if fd < 0 {
		list, get = func(b []byte) (int, error) { return unix.Llistxattr(path, b) }, func(n string, b []byte) (int, error) { return unix.Lgetxattr(path, n, b) }
	}
	names, err := attribute(list)
	if err != nil || len(names) == 0 {
		return nil, err
	}
	all := map[string]string{}
	for name := range bytes.SplitSeq(bytes.TrimSuffix(names, []byte{0}), []byte{0}) {
		if string(name) == markAttribute {
			continue
		}
		value, err := attribute(func(b []byte) (int, error) { return get(string(name), b) })
		if err != nil {
			return all, err
		}
		all[string(name)] = string(value)
	}
	return all, nil
}

// attribute calls get with a buffer that is large enough.
func attribute(get func([]byte) (int, error)) ([]byte, error) {
	var buffer [1024]byte
	n, err := get(buffer[:])
	if err == unix.ERANGE { //nolint:errorlint // an errno
		large := make([]byte, 64<<10)
		if n, err = get(large); err == nil {
			return large[:n], nil
		}
	}
	if err == unix.ENOTSUP || err == unix.ENODATA || err == unix.ENOSYS { //nolint:errorlint // errnos
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return bytes.Clone(buffer[:n]), nil
}

// attributesHash tells sets of attributes apart; it is 0 for none, and FNV-1a otherwise.
func attributesHash(all map[string]string) uint64 {
	if len(all) == 0 {
		return 0
	}
	names := make([]string, 0, len(all))
	for name := range all {
		names = append(names, name)
	}
	slices.Sort(names)
	hash := uint64(14695981039346656037)
	for _, name := range names {
		text := binary.LittleEndian.AppendUint32([]byte(name), uint32(len(all[name]))) //nolint:gosec // an attribute is 64 KiB at most
		for _, b := range append(text, all[name]...) {
			hash = (hash ^ uint64(b)) * 1099511628211
		}
	}
	return max(hash, 1)
}
