package notify

import (
	"fmt"
	"reflect"
	"strings"
	"time"
)

// kinds is what a value in a template may be: one kind, or several where `and` and `or` choose.
type kinds uint

const (
	aText    kinds = 1 << iota
	aNumber        // whole
	aDecimal       // only written as a constant
	aTruth
	aMoment
	aFact
	facts
	anEvent
)

// printable are the kinds that a template can show as they are.
const printable = aText | aNumber | aDecimal | aTruth | aMoment

// only reports whether a value is of one of the kinds in all cases.
func (k kinds) only(of kinds) bool { return k != 0 && k&^of == 0 }

// String names the kinds for people.
func (k kinds) String() string {
	var names []string
	for i, name := range []string{"a text", "a whole number", "a decimal number", "true or false", "a time", "a fact", "the list of facts", "the event"} {
		if k&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, " or ")
}

// kindOf is the kind of a field of an event or a fact.
func kindOf(t reflect.Type) kinds {
	switch {
	case t == reflect.TypeFor[time.Time]():
		return aMoment
	case t == reflect.TypeFor[[]Fact]():
		return facts
	case t.Kind() == reflect.String:
		return aText
	case t.Kind() == reflect.Int, t.Kind() == reflect.Int64:
		return aNumber
	case t.Kind() == reflect.Bool:
		return aTruth
	default:
		panic(fmt.Sprintf("no kind for %s: templates can not show it", t))
	}
}

func fieldKind(of reflect.Type, name string) kinds {
	field, _ := of.FieldByName(name) // it is one of those that are listed
	return kindOf(field.Type)
}
