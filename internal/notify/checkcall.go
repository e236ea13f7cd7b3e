package notify

import (
	"slices"
	"strings"
	"text/template/parse"
)

// pipe is what a pipeline makes.
func (c *checker) pipe(p *parse.PipeNode, dot kinds) (value kinds, err error) {
	for i, command := range p.Cmds {
		if value, err = c.command(command, dot, value, i > 0); err != nil {
			return 0, err
		}
	}
	return value, nil
}

// command is a value, or a call; piped is the last argument of one that is not the first of its pipeline.
func (c *checker) command(n *parse.CommandNode, dot, piped kinds, hasPiped bool) (kinds, error) {
	function, ok := n.Args[0].(*parse.IdentifierNode)
	if !ok {
		if len(n.Args) > 1 || hasPiped {
			return 0, c.fail(n.Args[0], "gives arguments to %s, which is no function,", n.Args[0])
		}
		return c.value(n.Args[0], dot)
	}
	if !slices.Contains(callable, function.Ident) {
		return 0, c.fail(function, "calls %s, which does not exist (there are %s),", function.Ident, strings.Join(callable, ", "))
	}
	var given []kinds
	for _, argument := range n.Args[1:] {
		value, err := c.value(argument, dot)
		if err != nil {
			return 0, err
		}
		given = append(given, value)
	}
	if hasPiped {
		given = append(given, piped)
	}
	return c.call(function, given)
}

// value is what one operand is.
func (c *checker) value(node parse.Node, dot kinds) (kinds, error) {
	switch n := node.(type) {
	case *parse.DotNode:
		return dot, nil
	case *parse.FieldNode:
		return c.fields(n, dot, n.Ident)
	case *parse.VariableNode:
		value, err := c.variable(n)
		if err != nil {
			return 0, err
		}
		return c.fields(n, value, n.Ident[1:])
	case *parse.ChainNode:
		value, err := c.value(n.Node, dot)
		if err != nil {
			return 0, err
		}
		return c.fields(n, value, n.Field)
	case *parse.PipeNode:
		return c.pipe(n, dot)
	case *parse.IdentifierNode:
		return c.command(&parse.CommandNode{NodeType: parse.NodeCommand, Pos: n.Pos, Args: []parse.Node{n}}, dot, 0, false)
	case *parse.StringNode:
		return aText, nil
	case *parse.BoolNode:
		return aTruth, nil
	case *parse.NumberNode:
		return c.number(n)
	default:
		return 0, c.fail(node, "uses %s, which has no place here,", node)
	}
}

// number is whole or decimal by how it is written, as text/template reads it: 1e3 is a decimal number.
func (c *checker) number(n *parse.NumberNode) (kinds, error) {
	whole := strings.HasPrefix(n.Text, "'") || strings.HasPrefix(strings.ToLower(n.Text), "0x") && !strings.ContainsAny(n.Text, "pP")
	switch {
	case n.IsComplex, n.IsFloat && !whole && strings.ContainsAny(n.Text, ".eEpP"):
		return aDecimal, nil
	case n.IsInt:
		return aNumber, nil
	default:
		return 0, c.fail(n, "has the number %s, which is too large,", n.Text)
	}
}

// signatures are what functions take, one for each argument, and what they make.
var signatures = map[string]struct {
	takes []kinds
	makes kinds
}{
	"upper":    {[]kinds{aText}, aText},
	"lower":    {[]kinds{aText}, aText},
	"trim":     {[]kinds{aText}, aText},
	"truncate": {[]kinds{aNumber, aText}, aText},
	"default":  {[]kinds{aText, aText}, aText},
	"bytes":    {[]kinds{aNumber}, aText},
	"duration": {[]kinds{aNumber}, aText},
	"date":     {[]kinds{aText, aMoment}, aText},
	"len":      {[]kinds{aText | facts}, aNumber},
	"not":      {[]kinds{aText | aNumber | aDecimal | aTruth | aMoment | aFact | facts | anEvent}, aTruth},
}

// call is what a function makes of what it is given.
func (c *checker) call(function *parse.IdentifierNode, given []kinds) (kinds, error) {
	name := function.Ident
	switch name {
	case "and", "or": // one of them
		value := kinds(0)
		for _, g := range given {
			value |= g
		}
		if len(given) == 0 {
			return 0, c.fail(function, "calls %s without an argument", name)
		}
		return value, nil
	case "eq", "ne", "lt", "le", "gt", "ge":
		return aTruth, c.comparison(function, given)
	}
	takes := signatures[name].takes
	if len(given) != len(takes) {
		return 0, c.fail(function, "calls %s with %d arguments; it takes %d,", name, len(given), len(takes))
	}
	for i, g := range given {
		if !g.only(takes[i]) {
			return 0, c.fail(function, "gives %s to %s, whose argument %d is %s,", g, name, i+1, takes[i])
		}
	}
	return signatures[name].makes, nil
}

// comparison compares texts with texts and whole numbers with whole numbers; for eq and ne also what is true or false.
func (c *checker) comparison(function *parse.IdentifierNode, given []kinds) error {
	name := function.Ident
	if len(given) < 2 || (len(given) > 2 && name != "eq") {
		return c.fail(function, "calls %s with %d arguments; it takes 2,", name, len(given))
	}
	for _, all := range []kinds{aText, aNumber, aTruth} {
		if all == aTruth && name != "eq" && name != "ne" {
			continue
		}
		if !slices.ContainsFunc(given, func(g kinds) bool { return g != all }) {
			return nil
		}
	}
	names := make([]string, len(given))
	for i, g := range given {
		names[i] = g.String()
	}
	return c.fail(function, "compares %s with %s,", names[0], strings.Join(names[1:], " and "))
}
