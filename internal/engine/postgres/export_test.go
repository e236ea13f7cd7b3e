package postgres

import (
	"maps"
	"slices"
	"strconv"
)

// Dump ids of GroupedArchive.
const (
	GroupedTable     = 1
	GroupedFirst     = 2 // makes large objects 4711 and 4712
	GroupedComment   = 3 // of 4711
	GroupedSecond    = 4 // makes large object 4713
	GroupedTableData = 5
)

// GroupedArchive is a custom-format dump as pg_dump 17 writes it (getLOs, dumpLO, dumpLOs of pg_dump.c): archive 1.16 with a table,
// and with large objects in groups, each an entry that makes them, in the section of the data, and one with what is in them.
func GroupedArchive() []byte {
	const sectionData = 3
	w := &archiveWriter{}
	w.head(versionRelKind)
	entries := []entry{
		{id: GroupedTable, kind: tableKind, tag: "notes", namespace: "public", section: sectionPreData, definition: "CREATE TABLE public.notes (id int, v text);\n"},
		{id: GroupedFirst, kind: makeLargeKind, tag: "4711..4712", section: sectionData, definition: "4711\n4712\n"},
		{id: GroupedComment, kind: "COMMENT", tag: "LARGE OBJECT 4711", section: sectionNone, definition: "COMMENT ON LARGE OBJECT 4711 IS 'the first';\n", dependsOn: []int{GroupedFirst}},
		{id: GroupedSecond, kind: makeLargeKind, tag: "4713", section: sectionData, definition: "4713\n"},
		{id: GroupedTableData, kind: tableDataKind, tag: "notes", namespace: "public", section: sectionData, copyInto: "COPY public.notes (id, v) FROM stdin;\n", dependsOn: []int{GroupedTable}, hasData: true},
		{id: 6, kind: largeKind, tag: "4711..4712", section: sectionData, dependsOn: []int{GroupedFirst}, hasData: true},
		{id: 7, kind: largeKind, tag: "4713", section: sectionData, dependsOn: []int{GroupedSecond}, hasData: true},
	}
	w.int(len(entries))
	for _, e := range entries {
		w.entry(e)
	}
	w.WriteByte(blockData)
	w.int(GroupedTableData)
	w.strings("1\tone\n", "2\ttwo\n", endMark)
	w.int(0)
	w.largeObjects(6, map[int]string{4711: "of the first", 4712: "of the second"})
	w.largeObjects(7, map[int]string{4713: "of the third"})
	return w.Bytes()
}

// entry writes an entry of the table of contents of archive 1.16.
func (w *archiveWriter) entry(e entry) {
	w.int(e.id)
	w.int(1)
	w.strings("0", "0", e.tag, e.kind)
	w.int(e.section)
	w.strings(e.definition, "-- dummy", e.copyInto, e.namespace)
	w.null() // tablespace
	w.null() // access method
	w.int(0)
	w.strings("owner", "false")
	for _, id := range e.dependsOn {
		w.strings(strconv.Itoa(id))
	}
	w.null()
	w.WriteByte(map[bool]byte{true: 2, false: offsetNoData}[e.hasData])
	w.Write(make([]byte, 8))
}

// largeObjects writes a block of them, in the order of their oids.
func (w *archiveWriter) largeObjects(id int, content map[int]string) {
	w.WriteByte(blockLarge)
	w.int(id)
	for _, oid := range slices.Sorted(maps.Keys(content)) {
		w.int(oid)
		w.strings(content[oid])
		w.int(0)
	}
	w.int(0)
}

// Blocks is property "blocks" of a dump.
func Blocks(dump []byte) (string, error) {
	found, err := walk(dump, false)
	return writeIndex(found.blocks), err
}
