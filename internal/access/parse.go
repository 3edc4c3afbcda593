package access

import (
	"coffer/internal/guid"
	"fmt"
	"strings"
)

// Bounds of a condition: as many bytes as the service allows, and far deeper
// than people write.
const (
	maxConditionBytes = 8 << 10
	maxConditionDepth = 64
)

// ParseCondition parses the text of a condition. The error says what was
// expected, and where, in characters from the start.
//
//	expr   := term { (OR | '||') term }      term := factor { (AND | '&&') factor }
//	factor := ('!' | NOT) factor | '(' expr ')' | call | cmp
//	call   := ActionMatches '{' 'pattern' '}'
//	cmp    := attr op value | attr op '{' value {',' value} '}'
//	attr   := ('@Resource' | '@Request') '[' type ':' name ']'
//
// AND and OR do not mix without parentheses. Unknown attributes and operators
// are errors: a comparison that is never true would let a negation be always.
func ParseCondition(text string) (Condition, error) {
	if len(text) > maxConditionBytes {
		return Condition{}, fmt.Errorf("a condition has at most %d bytes", maxConditionBytes)
	}
	p := parser{text: text}
	root, err := p.expr(0)
	if err != nil {
		return Condition{}, err
	}
	if p.space(); p.at < len(p.text) {
		return Condition{}, p.expected("AND, OR or the end")
	}
	return Condition{root}, nil
}

type parser struct {
	text string
	at   int
}

func (p *parser) expected(what string) error {
	return fmt.Errorf("condition, at character %d: expected %s", p.at+1, what)
}

func (p *parser) space() {
	for p.at < len(p.text) && strings.IndexByte(" \t\r\n", p.text[p.at]) >= 0 {
		p.at++
	}
}

// take skips space and s, if s comes next.
func (p *parser) take(s string) bool {
	p.space()
	if !strings.HasPrefix(p.text[p.at:], s) {
		return false
	}
	p.at += len(s)
	return true
}

// word is the letters and colons that come next, without taking them.
func (p *parser) word() string {
	p.space()
	end := p.at
	for end < len(p.text) && (isLetter(p.text[end]) || p.text[end] == ':') {
		end++
	}
	return p.text[p.at:end]
}

func (p *parser) takeWord(w string) bool {
	if p.word() != w {
		return false
	}
	p.at += len(w)
	return true
}

func isLetter(c byte) bool { c = lower(c); return 'a' <= c && c <= 'z' }

// expr parses one level: factors joined by AND only, or by OR only.
func (p *parser) expr(depth int) (node, error) {
	first, err := p.factor(depth)
	if err != nil {
		return nil, err
	}
	nodes := []node{first}
	var and, or bool
	for {
		p.space()
		before := p.at
		switch {
		case p.takeWord("AND") || p.take("&&"):
			and = true
		case p.takeWord("OR") || p.take("||"):
			or = true
		default:
			switch {
			case and:
				return allOf(nodes), nil
			case or:
				return anyOf(nodes), nil
			}
			return first, nil
		}
		if and && or {
			p.at = before
			return nil, p.expected("parentheses where AND and OR mix")
		}
		next, err := p.factor(depth)
		if err != nil {
			return nil, err
		}
		nodes = append(nodes, next)
	}
}

func (p *parser) factor(depth int) (node, error) {
	if depth == maxConditionDepth {
		return nil, p.expected(fmt.Sprintf("at most %d levels", maxConditionDepth))
	}
	switch {
	case p.take("!") || p.takeWord("NOT"):
		n, err := p.factor(depth + 1)
		return negate{n}, err
	case p.take("("):
		n, err := p.expr(depth + 1)
		if err == nil && !p.take(")") {
			err = p.expected("a closing parenthesis")
		}
		return n, err
	case p.takeWord("ActionMatches"):
		return p.call()
	case p.take("@Resource"):
		return p.comparison(false)
	case p.take("@Request"):
		return p.comparison(true)
	}
	return nil, p.expected("a comparison, ActionMatches, NOT or an opening parenthesis")
}

func (p *parser) call() (node, error) {
	if !p.take("{") {
		return nil, p.expected("an opening brace")
	}
	pattern, err := p.quoted()
	if err == nil && !p.take("}") {
		err = p.expected("a closing brace")
	}
	return action{pattern}, err
}

func (p *parser) comparison(ofRequest bool) (node, error) {
	a, err := p.attribute(ofRequest)
	if err != nil {
		return nil, err
	}
	word := p.word()
	name, each := strings.CutPrefix(word, "ForAnyOfAnyValues:")
	if !each {
		name, each = strings.CutPrefix(word, "ForAllOfAnyValues:")
	}
	op, ok := operatorNamed(name)
	if !ok {
		return nil, p.expected("an operator")
	}
	p.at += len(word)
	n := comparison{ofRequest: ofRequest, attribute: a, operator: op}
	if !p.take("{") {
		v, err := p.value(op)
		n.values = []string{v}
		return n, err
	}
	for {
		v, err := p.value(op)
		if err != nil {
			return nil, err
		}
		n.values = append(n.values, v)
		if p.take("}") {
			break
		}
		if !p.take(",") {
			return nil, p.expected("a comma or a closing brace")
		}
	}
	if len(n.values) > 1 && !each {
		return nil, p.expected("ForAnyOfAnyValues: or ForAllOfAnyValues: before an operator with several values")
	}
	return n, nil
}

func (p *parser) attribute(ofRequest bool) (attribute, error) {
	if !p.take("[") {
		return 0, p.expected("an opening bracket")
	}
	name, _, closed := strings.Cut(p.text[p.at:], "]")
	known, ok := attributes[strings.ToLower(strings.TrimSpace(name))]
	if !closed || !ok {
		return 0, p.expected("a known attribute and a closing bracket")
	}
	if ofRequest && !known.requestable {
		return 0, p.expected("an attribute that a request has; this one is of the resource")
	}
	p.at += len(name) + 1
	return known.attribute, nil
}

// value is what an operator compares with: quoted text, or a GUID.
func (p *parser) value(op operator) (string, error) {
	p.space()
	start := p.at
	if op.relation != guidEquals {
		text, err := p.quoted()
		if op.relation == like {
			text = compileLike(text)
		}
		return text, err
	}
	var text string
	if strings.HasPrefix(p.text[p.at:], "'") {
		var err error
		if text, err = p.quoted(); err != nil {
			return "", err
		}
	} else {
		text = p.text[p.at:min(p.at+guid.Bytes, len(p.text))]
		p.at += len(text)
	}
	if !guid.Valid(text) {
		p.at = start
		return "", p.expected("a GUID")
	}
	return text, nil
}

// quoted is text between single quotes, which cannot stand within.
func (p *parser) quoted() (string, error) {
	if !p.take("'") {
		return "", p.expected("text in single quotes")
	}
	text, _, closed := strings.Cut(p.text[p.at:], "'")
	if !closed {
		return "", p.expected("a closing quote")
	}
	for i := range len(text) {
		if text[i] < ' ' {
			p.at += i
			return "", p.expected("text without control characters")
		}
	}
	p.at += len(text) + 1
	return text, nil
}
