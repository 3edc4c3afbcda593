package access

import "strings"

// Condition is a parsed condition of a role assignment (contract
// access-control.md, 6.5). The zero Condition never holds.
type Condition struct{ root node }

// attribute is something that a condition can ask about.
type attribute uint8

const (
	vaultName attribute = iota
	secretName
	roleDefinitionID
	principalID
	principalType
	attributeCount
)

// attributes maps the type and name in a condition, in lower case, to an
// attribute. requestable ones may be asked of @Request, all of @Resource.
var attributes = map[string]struct {
	attribute   attribute
	requestable bool
}{
	"microsoft.keyvault/vaults:name":                           {vaultName, false},
	"microsoft.keyvault/vaults/secrets:name":                   {secretName, true},
	"microsoft.authorization/roleassignments:roledefinitionid": {roleDefinitionID, true},
	"microsoft.authorization/roleassignments:principalid":      {principalID, true},
	"microsoft.authorization/roleassignments:principaltype":    {principalType, true},
}

// facts are what a condition is evaluated over.
type facts struct {
	action            string
	resource, request [attributeCount]string // "": absent
}

// holds evaluates the condition.
func (c Condition) holds(f *facts) bool { return c.root != nil && c.root.holds(f) }

// holds tells whether the stored text of a condition is true. No text always is;
// a malformed one never.
func holds(text string, f *facts) bool {
	if text == "" {
		return true
	}
	c, err := ParseCondition(text)
	return err == nil && c.holds(f)
}

type node interface{ holds(*facts) bool }

type (
	allOf  []node
	anyOf  []node
	negate struct{ node }
	action struct{ pattern string }
)

func (n allOf) holds(f *facts) bool {
	for _, x := range n {
		if !x.holds(f) {
			return false
		}
	}
	return true
}

func (n anyOf) holds(f *facts) bool {
	for _, x := range n {
		if x.holds(f) {
			return true
		}
	}
	return false
}

func (n negate) holds(f *facts) bool { return !n.node.holds(f) }

func (n action) holds(f *facts) bool { return matches(n.pattern, f.action) }

// comparison compares an attribute with values; it is true when one of them
// satisfies the operator. Attributes have one value each, so that "any of" and
// "all of" the attribute's values are the same.
type comparison struct {
	ofRequest bool
	attribute attribute
	operator  operator
	values    []string
}

// holds is false when the attribute is absent, for the Not operators too: what
// is not known satisfies nothing (6.5).
func (n comparison) holds(f *facts) bool {
	have := f.resource[n.attribute]
	if n.ofRequest {
		have = f.request[n.attribute]
	}
	if have == "" {
		return false
	}
	for _, v := range n.values {
		if n.operator.compare(have, v) {
			return true
		}
	}
	return false
}

// relation is what an operator looks at.
type relation uint8

const (
	equals relation = iota
	startsWith
	like
	guidEquals
)

type operator struct {
	relation relation
	not      bool
	fold     bool // ASCII letters compare without case
}

// operators are all there are; each but GuidEquals has an IgnoreCase twin.
var operators = map[string]operator{
	"StringEquals":        {equals, false, false},
	"StringNotEquals":     {equals, true, false},
	"StringStartsWith":    {startsWith, false, false},
	"StringNotStartsWith": {startsWith, true, false},
	"StringLike":          {like, false, false},
	"StringNotLike":       {like, true, false},
	"GuidEquals":          {guidEquals, false, true},
}

// operatorNamed finds an operator by its name.
func operatorNamed(name string) (operator, bool) {
	op, ok := operators[name]
	if ok {
		return op, true
	}
	base, folds := strings.CutSuffix(name, "IgnoreCase")
	op, ok = operators[base]
	if !ok || !folds || op.relation == guidEquals {
		return operator{}, false
	}
	op.fold = true
	return op, true
}

// The bytes that stand for * and ? in a compiled pattern of Like. No value holds
// them, for the parser refuses control characters.
const (
	likeStar = 1
	likeOne  = 2
)

// compileLike replaces the wildcards by their bytes; \* and \? are literal.
func compileLike(pattern string) string {
	out := make([]byte, 0, len(pattern))
	for i := 0; i < len(pattern); i++ {
		switch c := pattern[i]; {
		case c == '\\' && i+1 < len(pattern) && (pattern[i+1] == '*' || pattern[i+1] == '?'):
			i++
			out = append(out, pattern[i])
		case c == '*':
			out = append(out, likeStar)
		case c == '?':
			out = append(out, likeOne)
		default:
			out = append(out, c)
		}
	}
	return string(out)
}

func (o operator) compare(have, want string) bool {
	w := wild{fold: o.fold}
	var is bool
	switch o.relation {
	case equals, guidEquals:
		is = len(have) == len(want) && glob(want, have, w)
	case startsWith:
		is = len(have) >= len(want) && glob(want, have[:len(want)], w)
	case like:
		w.star, w.one = likeStar, likeOne
		is = glob(want, have, w)
	}
	return is != o.not
}
