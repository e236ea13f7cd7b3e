package notify

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"text/template/parse"

	"github.com/dataguardian/dataguardian/internal/domain"
)

// checker goes through everything that a template holds, branches that are never taken too, and knows what the dot and
// each variable is there. What it lets through can not fail for an event, but for what makes too much.
type checker struct {
	source    string
	event     domain.NotificationType // "" for all
	variables []variable              // in scope, the latest last
	inRange   bool
}

type variable struct {
	name string
	is   kinds
}

// parsedAs is what messages of the parser call the template: it puts the number of the line behind it.
const parsedAs = "line"

// checkSource finds the first thing that is wrong with one part of a template for events of a type, "" for all.
func checkSource(source string, event domain.NotificationType) error {
	if len(source) > maxSource {
		return fmt.Errorf("is %d bytes long; give at most %d", len(source), maxSource)
	}
	all := map[string]*parse.Tree{}
	tree := parse.New(parsedAs)
	tree.Mode = parse.SkipFuncCheck // functions are looked at below
	tree, err := tree.Parse(source, "", "", all)
	if err != nil {
		return errors.New("can not be read: " + withoutName(err))
	}
	if len(all) > 1 || all[parsedAs] != tree {
		return errors.New("defines templates in it, which is not offered")
	}
	c := checker{source: source, event: event, variables: []variable{{"$", anEvent}}}
	return c.list(tree.Root, anEvent)
}

// fail says what is wrong, and where.
func (c *checker) fail(at parse.Node, format string, args ...any) error {
	before := c.source[:min(int(at.Position()), len(c.source))]
	line := before[strings.LastIndex(before, "\n")+1:]
	return fmt.Errorf("%s at line %d, column %d", fmt.Sprintf(format, args...), strings.Count(before, "\n")+1, len([]rune(line))+1)
}

func (c *checker) list(list *parse.ListNode, dot kinds) error {
	if list == nil {
		return nil
	}
	for _, node := range list.Nodes {
		if err := c.node(node, dot); err != nil {
			return err
		}
	}
	return nil
}

func (c *checker) node(node parse.Node, dot kinds) error {
	switch n := node.(type) {
	case *parse.TextNode, *parse.CommentNode, *parse.BreakNode, *parse.ContinueNode:
		return nil
	case *parse.ActionNode:
		return c.action(n, dot)
	case *parse.IfNode:
		return c.branch(&n.BranchNode, dot, false)
	case *parse.WithNode:
		return c.branch(&n.BranchNode, dot, true)
	case *parse.RangeNode:
		return c.each(n, dot)
	default:
		return c.fail(node, "calls a template, which is not offered,")
	}
}

// action shows a value, or gives it a name.
func (c *checker) action(n *parse.ActionNode, dot kinds) error {
	value, err := c.pipe(n.Pipe, dot)
	if err != nil {
		return err
	}
	if len(n.Pipe.Decl) > 0 {
		return c.declare(n.Pipe, value)
	}
	if !value.only(printable) {
		return c.fail(n, "shows %s as a whole, which is not offered (a variable, or range over .Facts),", value)
	}
	return nil
}

// branch is an if or a with: what either side declares ends with it, and in a with the dot is the value.
func (c *checker) branch(b *parse.BranchNode, dot kinds, with bool) error {
	defer c.scope()()
	value, err := c.pipe(b.Pipe, dot)
	if err == nil {
		err = c.declare(b.Pipe, value)
	}
	if err != nil {
		return err
	}
	inside := dot
	if with {
		inside = value
	}
	end := c.scope()
	err = c.list(b.List, inside)
	if end(); err != nil {
		return err
	}
	return c.list(b.ElseList, dot)
}

// each is a range: only over the one list, and once, as a few of them inside each other run for ever.
func (c *checker) each(n *parse.RangeNode, dot kinds) error {
	if c.inRange {
		return c.fail(n, "has a range inside another")
	}
	defer c.scope()()
	value, err := c.pipe(n.Pipe, dot)
	if err != nil {
		return err
	}
	if value != facts {
		return c.fail(n, "ranges over %s; only .Facts is a list,", value)
	}
	if n.Pipe.IsAssign {
		return c.fail(n, "assigns in a range; declare the variable with :=")
	}
	end := c.scope()
	for i, declared := range n.Pipe.Decl {
		is := aFact
		if i == 0 && len(n.Pipe.Decl) == 2 {
			is = aNumber
		}
		c.variables = append(c.variables, variable{declared.Ident[0], is})
	}
	c.inRange = true
	err = c.list(n.List, aFact)
	c.inRange = false
	if end(); err != nil {
		return err
	}
	for _, declared := range n.Pipe.Decl { // where the list is empty they are the list
		c.variables = append(c.variables, variable{declared.Ident[0], facts})
	}
	return c.list(n.ElseList, dot)
}

// scope returns what ends the variables that are declared from now on.
func (c *checker) scope() func() {
	n := len(c.variables)
	return func() { c.variables = c.variables[:n] }
}

// declare notes what a new variable is. One that has a value keeps its kind, whichever branch gives it another value.
func (c *checker) declare(p *parse.PipeNode, value kinds) error {
	for _, declared := range p.Decl {
		name := declared.Ident[0]
		if !p.IsAssign {
			c.variables = append(c.variables, variable{name, value})
			continue
		}
		was, err := c.variable(declared)
		if err != nil {
			return err
		}
		if !value.only(was) {
			return c.fail(declared, "makes %s of %s, which was %s,", value, name, was)
		}
	}
	return nil
}

// variable is what a variable is. The parser lets one through that only the other side of a branch declares.
func (c *checker) variable(n *parse.VariableNode) (kinds, error) {
	for _, v := range slices.Backward(c.variables) {
		if v.name == n.Ident[0] {
			return v.is, nil
		}
	}
	return 0, c.fail(n, "uses %s, which is not declared there,", n.Ident[0])
}

// fields follows the fields of a value.
func (c *checker) fields(at parse.Node, value kinds, path []string) (kinds, error) {
	for _, name := range path {
		next := kinds(0)
		for k := aText; k <= anEvent; k <<= 1 {
			if value&k == 0 {
				continue
			}
			field, err := c.field(at, k, name)
			if err != nil {
				return 0, err
			}
			next |= field
		}
		value = next
	}
	return value, nil
}

func (c *checker) field(at parse.Node, of kinds, name string) (kinds, error) {
	variables := Variables(c.event)
	list := "." + strings.Join(variables, ", .")
	switch {
	case of == aFact && (name == "Name" || name == "Value"):
		return aText, nil
	case of == aFact:
		return 0, c.fail(at, "shows .%s, which a fact does not have (there are .Name and .Value, and $ is the event: $.Title),", name)
	case of != anEvent:
		return 0, c.fail(at, "shows .%s of %s, which has no variables ($ is the event: $.Title),", name, of)
	case slices.Contains(variables, name):
		return fieldKind(reflect.TypeFor[Event](), name), nil
	case slices.Contains(Variables(""), name):
		return 0, c.fail(at, "shows .%s, which an event of type %s never has (there are %s),", name, c.event, list)
	default:
		return 0, c.fail(at, "shows .%s, which does not exist (there are %s),", name, list)
	}
}
