package tdsserver

import (
	"math/big"
	"strings"
	"time"
)

// Kind is the type of a column: its token in MS-TDS, and in the byte above that the length of a value where a token has several.
type Kind uint16

// The types that the server answers with. Each may be null, as they are in a table of SQL Server.
const (
	NVarChar       Kind = 0xE7
	VarBinary      Kind = 0xA5
	TinyInt        Kind = 0x0126
	SmallInt       Kind = 0x0226
	Int            Kind = 0x0426
	BigInt         Kind = 0x0826
	Bit            Kind = 0x0168
	GUID           Kind = 0x1024
	Numeric        Kind = 0x6C // of 20 digits
	Decimal        Kind = 0x6A // of 38 digits, decimalScale of them behind the point
	SmallMoney     Kind = 0x046E
	Money          Kind = 0x086E
	Real           Kind = 0x046D
	Float          Kind = 0x086D
	Date           Kind = 0x28
	Time           Kind = 0x29
	DateTime2      Kind = 0x2A
	DateTimeOffset Kind = 0x2B
	SmallDateTime  Kind = 0x046F
	DateTime       Kind = 0x086F
)

const (
	decimalScale  = 10
	fractionScale = 7 // of a second, in the types that came with SQL Server 2008
)

func (k Kind) token() byte { return byte(k & 0xFF) }

func (k Kind) length() byte { return byte(k >> 8) }

// wide are the types whose values have a length of two bytes.
func (k Kind) wide() bool { return k == NVarChar || k == VarBinary }

// Column is a column of an answer.
type Column struct {
	Name string
	Kind Kind
}

func (t *tokens) table(columns []Column, rows [][]any) {
	t.WriteByte(0x81)
	t.number(uint16(len(columns))) //nolint:gosec // few
	for _, column := range columns {
		t.number(uint32(0))
		t.number(uint16(1)) // nullable
		t.kind(column.Kind)
		t.short(column.Name)
	}
	for _, row := range rows {
		t.WriteByte(0xD1)
		for i, value := range row {
			t.value(columns[i].Kind, value) //nolint:gosec // a row has as many values as there are columns
		}
	}
	t.done(doneCount, len(rows))
}

// kind is the TYPE_INFO of a column.
func (t *tokens) kind(k Kind) {
	t.WriteByte(k.token())
	switch k {
	case NVarChar:
		t.number(uint16(8000))
		t.Write([]byte{9, 4, 0xD0, 0, 0x34}) // its collation
	case VarBinary:
		t.number(uint16(8000))
	case Numeric:
		t.Write([]byte{13, 20, 0})
	case Decimal:
		t.Write([]byte{17, 38, decimalScale})
	case Date: // has nothing more
	case Time, DateTime2, DateTimeOffset:
		t.WriteByte(fractionScale)
	default:
		t.WriteByte(k.length())
	}
}

// value is one of a row: a string of a Decimal is its number, of NVarChar a text; an int64 of money counts ten thousandths.
func (t *tokens) value(kind Kind, value any) {
	if value == nil {
		if kind.wide() {
			t.number(uint16(0xFFFF))
		} else {
			t.WriteByte(0)
		}
		return
	}
	var data tokens
	switch v := value.(type) {
	case string:
		if kind == Decimal {
			data.decimal(v)
		} else {
			data.Write(bytes16(v))
		}
	case []byte:
		data.Write(v)
	case int64:
		data.integer(kind, v)
	case float64:
		if kind == Real {
			data.number(float32(v))
		} else {
			data.number(v)
		}
	case bool:
		data.WriteByte(map[bool]byte{false: 0, true: 1}[v])
	case time.Time:
		data.time(kind, v)
	}
	if kind.wide() {
		t.number(uint16(data.Len())) //nolint:gosec // short texts
	} else {
		t.WriteByte(byte(data.Len()))
	}
	t.Write(data.Bytes())
}

func (t *tokens) integer(kind Kind, v int64) {
	switch kind {
	case Numeric:
		t.WriteByte(1) // positive
		t.number(v)
		t.number(uint32(0))
	case Money: // its upper half comes first
		t.number(int32(v >> 32)) //nolint:gosec // half of it
		t.number(uint32(v))      //nolint:gosec // as above
	default:
		t.little(uint64(v), int(kind.length())) //nolint:gosec // its bits
	}
}

// little are the lowest bytes of a number.
func (t *tokens) little(v uint64, length int) {
	for i := range length {
		t.WriteByte(byte(v >> (8 * i)))
	}
}

// decimal is a sign, and the digits as one number.
func (t *tokens) decimal(text string) {
	digits, negative := strings.CutPrefix(text, "-")
	whole, fraction, _ := strings.Cut(digits, ".")
	number, _ := new(big.Int).SetString(whole+fraction+strings.Repeat("0", decimalScale-len(fraction)), 10)
	t.WriteByte(map[bool]byte{true: 0, false: 1}[negative])
	bytes := number.FillBytes(make([]byte, 16))
	for i := range bytes {
		t.WriteByte(bytes[len(bytes)-1-i])
	}
}

func (t *tokens) time(kind Kind, v time.Time) {
	_, offset := v.Zone()
	if kind == DateTimeOffset {
		v = v.UTC()
	}
	year, month, day := v.Date()
	midnight := time.Date(year, month, day, 0, 0, 0, 0, v.Location())
	passed, days := v.Sub(midnight), time.Date(year, month, day, 0, 0, 0, 0, time.UTC).Unix()/86400
	const from1, from1900 = 719162, 25567 // days from the first of the years 1 and 1900 to that of 1970
	switch kind {
	case DateTime:
		t.number(int32(days + from1900))                                    //nolint:gosec // days
		t.number(uint32((passed.Nanoseconds()*3 + 5_000_000) / 10_000_000)) //nolint:gosec // of 300 a second, below those of a day
		return
	case SmallDateTime:
		t.number(uint16(days + from1900))      //nolint:gosec // days
		t.number(uint16(passed / time.Minute)) //nolint:gosec // of a day
		return
	}
	if kind != Date {
		t.little(uint64(passed/100), 5) //nolint:gosec // not negative
	}
	if kind != Time {
		t.little(uint64(days+from1), 3) //nolint:gosec // not negative
	}
	if kind == DateTimeOffset {
		t.number(int16(offset / 60)) //nolint:gosec // minutes
	}
}
