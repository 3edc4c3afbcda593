package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"database/sql/driver"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"coffer/internal/fault"
	"coffer/internal/object"
	"coffer/internal/seal"
)

// Every row on which a decision rests carries a tag (seal.RowKeys) over its table and all
// its columns but boxes, which are bound to their place themselves, and wide columns, of
// which it covers the digest: nobody without the root key can make or change one.
//
//	read:  SELECT a, b FROM t WHERE ...   ->  SELECT a, b, <all columns of t>, tag FROM t WHERE ...   -> tag verified
//	write: INSERT INTO t (a, b) VALUES .. ->  INSERT INTO t (a, b, tag) VALUES ...
//	       UPDATE t SET a = .. WHERE pk   ->  the row as it is is verified, unless this transaction has done so -> SET a = .., tag = ..
//	       any other                      ->  ... RETURNING <all columns of t>                          -> UPDATE t SET tag = ...
//
// Statements are not marked for it: each one that reads or writes such a table is made so
// when it is used first, unless it says "unverified:" and why not. Columns that are NULL
// are left out, so that a column that comes later, and may be NULL, leaves tags as they are.

// ErrNotAuthentic reports a row that somebody changed, or put there, who is not the vault.
var ErrNotAuthentic = object.ErrNotAuthentic

// protectedTable is a table whose rows have a tag.
type protectedTable struct {
	name string
	key  []string // the primary key
	cols []string // that the tag covers, the key among them, in the order of their names
	// defaults are those of cols that are not NULL where an INSERT leaves them out.
	defaults map[string]bool
}

// primaryKeys are the tables whose rows have a tag, and their primary keys. What is not
// here: see unprotectedTables.
var primaryKeys = map[string][]string{
	"vaults":                 {"id"},
	"certificates":           {"vault", "name"},
	"certificate_versions":   {"vault", "name", "version"},
	"certificate_operations": {"vault", "name"},
	"keys":                   {"vault", "name"},
	"key_versions":           {"vault", "name", "version"},
	"key_rotation":           {"vault", "name"},
	"secrets":                {"vault", "name"},
	"secret_versions":        {"vault", "name", "version"},
	"contacts":               {"vault"},
	"issuers":                {"vault", "name"},
	"role_assignments":       {"id"},
	"principals":             {"object_id"},
	"credentials":            {"id"},
	"memberships":            {"group_id", "member_id"},
	"signing_keys":           {"id"},
}

// unprotectedTables have no tags, for a reason. A test finds a table that is in neither list.
var unprotectedTables = map[string]string{
	"data_keys":        "what it holds is wrapped by the root key, bound to scope and id",
	"jobs":             "a job says when the vault looks at what is authentic, and not what it finds there",
	"outbox":           "it decides nothing: it is told",
	"audit_heads":      "it is compared with the chain of the log, which it cannot make",
	"installation":     "it is compared with the configuration file",
	"assertions":       "who takes one away can have it shown again, by who has it, within its ten minutes",
	"goose_db_version": "the schema, which the program compares with its own",
}

// uncovered are the columns of protected tables that tags do not cover: boxes, and what is
// wide, of which a column "content" has the digest.
var uncovered = map[string]bool{
	"tag": true, "private": true, "value": true, "password": true, "order_state": true, "leaf": true, "chain": true,
}

// contentOf is the digest of the wide columns of a certificate's version; nil: there is nothing
// in them.
func contentOf(leaf, chain []byte) []byte {
	if leaf == nil && chain == nil {
		return nil
	}
	h := sha256.New()
	for _, b := range [][]byte{leaf, chain} {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(b))))
		h.Write(b)
	}
	return h.Sum(nil)
}

// protection is what a database knows of its protected tables.
type protection struct {
	damage *damage
	tables map[string]*protectedTable
	plans  sync.Map // statement -> *plan; nil for one that is as it is
	keys   atomic.Pointer[seal.RowKeys]
}

// querier is a database that can be asked.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// newProtection reads which columns there are: of one that comes later, nothing need be
// told here.
func newProtection(ctx context.Context, db querier, d dialect, found *damage) (*protection, error) {
	p := &protection{damage: found, tables: map[string]*protectedTable{}}
	rows, err := db.QueryContext(ctx, d.columns)
	if err != nil {
		return nil, fmt.Errorf("reading the schema: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var table, column string
		var byDefault bool
		if err := rows.Scan(&table, &column, &byDefault); err != nil {
			return nil, err
		}
		key := primaryKeys[table]
		if key == nil || uncovered[column] {
			continue
		}
		t := p.tables[table]
		if t == nil {
			t = &protectedTable{name: table, key: key, defaults: map[string]bool{}}
			p.tables[table] = t
		}
		t.cols = append(t.cols, column)
		if byDefault {
			t.defaults[column] = true
		}
	}
	for _, t := range p.tables {
		slices.Sort(t.cols)
	}
	return p, rows.Err()
}

// plan is how a statement is run so that what it reads is verified, and what it writes has
// a tag.
type plan struct {
	text  string
	reads []*protectedTable // of a SELECT: whose columns and tag come after those that were asked for
	each  bool              // a row that fails is left out, and the others are given
	write *protectedTable
	// changes tells that a write changes a row, or may, whose primary key is its first arguments.
	changes bool
	// refused is why it is not run: which row it changes could not be told, to verify it first.
	refused error
	// sets are what an INSERT or UPDATE stores in the columns that it names; text then takes the tag
	// as one argument more. nil: the row is asked for after it is written.
	sets map[string]source
	// first is a query of the statement's first arguments, whose one number is an argument of the
	// statement, before the tag; "": there is none.
	first     string
	firstArgs int
}

// source is where a statement takes the value of a column from.
type source struct {
	arg   int // from 1: that argument; firstNumber: what plan.first gives; 0: value
	value any
}

const firstNumber = -1

var (
	sourceTable = regexp.MustCompile(`(?i)\b(?:FROM|JOIN)\s+(\w+)(?:\s+([a-z])\b)?`)
	writtenTo   = regexp.MustCompile(`(?is)^\s*(INSERT INTO|UPDATE)\s+(\w+)`)
	assigned    = regexp.MustCompile(`(?is)\bSET\s+(\w+)\s*=\s*\$\d+\s+WHERE`)
)

// marks of statements, as comments of SQL.
const (
	unverified = "/* unverified:"
	eachRow    = "/* each row */"
)

// planOf makes the plan of a statement; nil when it runs as it is.
func (p *protection) planOf(query string) *plan {
	if known, ok := p.plans.Load(query); ok {
		return known.(*plan)
	}
	made := p.makePlan(query)
	p.plans.Store(query, made)
	return made
}

func (p *protection) makePlan(query string) *plan {
	if strings.Contains(query, unverified) {
		return nil
	}
	if m := writtenTo.FindStringSubmatch(query); m != nil {
		return p.planWrite(query, m[1], p.tables[m[2]])
	}
	if !strings.HasPrefix(strings.ToUpper(strings.TrimSpace(query)), "SELECT") {
		return nil // rows that are deleted need no tag
	}
	return p.planRead(query)
}

func (p *protection) planWrite(query, verb string, t *protectedTable) *plan {
	if t == nil {
		return nil
	}
	if m := assigned.FindStringSubmatch(query); m != nil && uncovered[m[1]] {
		return nil
	}
	w := &plan{text: query + " RETURNING " + strings.Join(t.cols, ", "), write: t}
	switch {
	case strings.EqualFold(verb, "UPDATE"):
		w.changes = true
		if !strings.Contains(strings.Join(strings.Fields(query), " "), "WHERE "+t.where(1)) {
			w.refused = fmt.Errorf("store: an update of %s does not begin its WHERE with %s", t.name, t.where(1))
		}
		w.planUpdate(query)
	case strings.Contains(query, "DO UPDATE"):
		w.changes = true
	default:
		w.planInsert(query)
	}
	return w
}

var (
	insertion = regexp.MustCompile(`(?is)^\s*INSERT INTO \w+\s*\(([^)]*)\)\s*VALUES\s*\(`)
	updating  = regexp.MustCompile(`(?is)^\s*UPDATE \w+\s+SET\s+(.*?)\s+WHERE\s`)
	parameter = regexp.MustCompile(`\$(\d+)`)
)

// planInsert has the tag stored with the row, where each value is known before.
func (w *plan) planInsert(query string) {
	m := insertion.FindStringSubmatchIndex(query)
	if m == nil {
		return
	}
	columns := splitList(query[m[2]:m[3]])
	end := closing(query, m[1])
	items := splitList(query[m[1]:end])
	next := parameters(query) + 1
	sets := map[string]source{}
	for i, item := range items {
		s, ok := sourceOf(item)
		if !ok && w.first == "" && strings.HasPrefix(item, "(SELECT") {
			w.first, w.firstArgs = unverified+" the order of creation */ "+item[1:len(item)-1], parameters(item)
			items[i] = "$" + strconv.Itoa(next)
			next++
			s, ok = source{arg: firstNumber}, true
		}
		if !ok || i >= len(columns) {
			w.first = ""
			return
		}
		sets[columns[i]] = s
	}
	for c := range w.write.defaults {
		if _, ok := sets[c]; !ok {
			w.first = ""
			return
		}
	}
	w.sets = sets
	w.text = query[:m[3]] + ", tag" + query[m[3]:m[1]] + strings.Join(items, ", ") + ", $" + strconv.Itoa(next) + query[end:]
}

// planUpdate has the tag stored with the columns that change, where each value is known before.
func (w *plan) planUpdate(query string) {
	m := updating.FindStringSubmatchIndex(query)
	if m == nil {
		return
	}
	sets := map[string]source{}
	for _, item := range splitList(query[m[2]:m[3]]) {
		column, value, _ := strings.Cut(item, "=")
		s, ok := sourceOf(strings.TrimSpace(value))
		if !ok {
			return
		}
		sets[strings.TrimSpace(column)] = s
	}
	w.sets = sets
	w.text = query[:m[3]] + ", tag = $" + strconv.Itoa(parameters(query)+1) + query[m[3]:]
}

// sourceOf reads an argument or a literal.
func sourceOf(item string) (source, bool) {
	if m := parameter.FindStringSubmatch(item); m != nil && m[0] == item {
		n, err := strconv.Atoi(m[1])
		return source{arg: n}, err == nil
	}
	switch item {
	case "TRUE", "FALSE":
		return source{value: item == "TRUE"}, true
	case "NULL":
		return source{}, true
	}
	return source{}, false
}

// parameters is the highest parameter of a statement.
func parameters(query string) (n int) {
	for _, m := range parameter.FindAllStringSubmatch(query, -1) {
		k, _ := strconv.Atoi(m[1])
		n = max(n, k)
	}
	return n
}

// closing is where the parenthesis ends that is open at from.
func closing(query string, from int) int {
	depth := 0
	for i := from; i < len(query); i++ {
		switch query[i] {
		case '(':
			depth++
		case ')':
			if depth == 0 {
				return i
			}
			depth--
		}
	}
	return len(query)
}

// splitList splits at commas that are in no parenthesis.
func splitList(text string) (items []string) {
	depth, from := 0, 0
	for i := range len(text) {
		switch text[i] {
		case '(':
			depth++
		case ')':
			depth--
		case ',':
			if depth == 0 {
				items, from = append(items, strings.TrimSpace(text[from:i])), i+1
			}
		}
	}
	return append(items, strings.TrimSpace(text[from:]))
}

// selectRow reads a row by its primary key, which is $1, $2 and so on.
func (t *protectedTable) selectRow() string {
	return "SELECT " + strings.Join(t.cols, ", ") + ", tag FROM " + t.name + " WHERE " + t.where(1)
}

func (t *protectedTable) where(first int) string {
	var b strings.Builder
	for i, c := range t.key {
		if i > 0 {
			b.WriteString(" AND ")
		}
		b.WriteString(c + " = $" + strconv.Itoa(first+i))
	}
	return b.String()
}

func (p *protection) planRead(query string) *plan {
	from := topLevelFrom(query)
	r := &plan{each: strings.Contains(query, eachRow)}
	var more strings.Builder
	for _, m := range sourceTable.FindAllStringSubmatch(query[from:], -1) {
		t := p.tables[m[1]]
		if t == nil {
			continue
		}
		if strings.Count(query[from:from+strings.Index(query[from:], m[0])], "(") != strings.Count(query[from:from+strings.Index(query[from:], m[0])], ")") {
			continue // of a subquery, which gives no columns
		}
		prefix := ""
		if m[2] != "" {
			prefix = m[2] + "."
		}
		for _, c := range append(slices.Clone(t.cols), "tag") {
			more.WriteString(", " + prefix + c)
		}
		r.reads = append(r.reads, t)
	}
	if r.reads == nil {
		return nil
	}
	r.text = query[:from] + more.String() + " " + query[from:]
	return r
}

// topLevelFrom is where the FROM of a SELECT begins that is in no parenthesis.
func topLevelFrom(query string) int {
	depth := 0
	for i := range len(query) {
		switch query[i] {
		case '(':
			depth++
		case ')':
			depth--
		case 'F':
			if depth == 0 && strings.HasPrefix(query[i:], "FROM ") && strings.ContainsAny(query[i-1:i], " \n\t") {
				return i
			}
		}
	}
	return len(query)
}

// message is what a tag is made of: the table, and each column that is not NULL with name, kind
// and value, each with its length.
func (t *protectedTable) message(values []any) ([]byte, error) {
	b := make([]byte, 0, 512)
	text := func(s string) {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	text("coffer row 1")
	text(t.name)
	for i, v := range values {
		if v == nil {
			continue
		}
		text(t.cols[i])
		switch v := v.(type) {
		case bool: // a whole number in SQLite
			n := uint64(0)
			if v {
				n = 1
			}
			b = binary.BigEndian.AppendUint64(append(b, 'i'), n)
		case int64:
			b = binary.BigEndian.AppendUint64(append(b, 'i'), uint64(v))
		case string:
			b = append(b, 't')
			text(v)
		case []byte:
			b = append(b, 'b')
			text(string(v))
		default:
			return nil, fmt.Errorf("store: column %s of %s holds a %T", t.cols[i], t.name, v)
		}
	}
	return b, nil
}

// rowOf names a row by its primary key.
func (t *protectedTable) rowOf(key []any) string {
	var b strings.Builder
	b.WriteString(t.name)
	for i, v := range key {
		sep := byte('/')
		if i == 0 {
			sep = ' '
		}
		b.WriteByte(sep)
		fmt.Fprint(&b, v)
	}
	return b.String()
}

func (t *protectedTable) keyOf(values []any) []any {
	key := make([]any, len(t.key))
	for i, c := range t.key {
		key[i] = values[slices.Index(t.cols, c)]
	}
	return key
}

var errNoKeys = errors.New("store: a protected table is used before the keys that authenticate it are known")

// verify checks the tag of a row of t.
func (p *protection) verify(t *protectedTable, values []any, tag []byte) error {
	keys := p.keys.Load()
	if keys == nil {
		return errNoKeys
	}
	message, err := t.message(values)
	if err != nil {
		return err
	}
	if err := keys.Verify(message, tag); err != nil {
		if fault.Is(err, fault.Unavailable) {
			return err
		}
		return p.forged(t.rowOf(t.keyOf(values)))
	}
	return nil
}

// forged is the error of a row, which is told to the operator.
func (p *protection) forged(row string) error {
	return p.damage.sawForged(row)
}

// verifying is a row of a query whose rows are verified.
type verifying struct {
	rows *sql.Rows
	tx   *Tx
	plan *plan
}

// Scan scans what was asked for, and verifies the rows that it is from.
func (v verifying) Scan(dest ...any) error {
	n := 0
	for _, t := range v.plan.reads {
		n += len(t.cols) + 1
	}
	extra := make([]any, n)
	all := slices.Grow(slices.Clone(dest), n)
	for i := range extra {
		all = append(all, &extra[i])
	}
	if err := v.rows.Scan(all...); err != nil {
		return err
	}
	for _, t := range v.plan.reads {
		values, tag := extra[:len(t.cols)], extra[len(t.cols)]
		extra = extra[len(t.cols)+1:]
		raw, _ := tag.([]byte)
		if err := v.tx.guard.verify(t, values, raw); err != nil {
			return err
		}
		v.tx.trust(t, values)
	}
	return nil
}

// trust notes what a row is known to be, authentically, in this transaction, for the writes
// in it.
func (tx *Tx) trust(t *protectedTable, values []any) {
	if tx.verified != nil {
		tx.verified[t.rowOf(t.keyOf(values))] = values
	}
}

// write runs a statement that writes rows of a protected table, and gives them their tags.
func (tx *Tx) write(ctx context.Context, p *plan, args []any) (n int64, err error) {
	if p.refused != nil {
		return 0, p.refused
	}
	t := p.write
	keys := tx.guard.keys.Load()
	if keys == nil {
		return 0, errNoKeys
	}
	var before []any
	if p.changes {
		if before, err = tx.verifyBefore(ctx, t, args[:len(t.key)]); err != nil {
			return 0, err
		}
	}
	if p.sets != nil {
		return tx.writeTagged(ctx, keys, p, before, args)
	}
	written, err := tx.read(ctx, p.text, args, len(t.cols))
	if err != nil {
		return 0, err
	}
	for _, values := range written {
		if err := tx.tag(ctx, keys, t, values); err != nil {
			return 0, err
		}
	}
	return int64(len(written)), nil
}

// tag gives a row its tag.
func (tx *Tx) tag(ctx context.Context, keys *seal.RowKeys, t *protectedTable, values []any) error {
	message, err := t.message(values)
	if err != nil {
		return err
	}
	tag := keys.Tag(message)
	_, err = tx.session.exec(ctx, "UPDATE "+t.name+" SET tag = $1 WHERE "+t.where(2), append([]any{tag}, t.keyOf(values)...))
	if err != nil {
		return tx.session.translate(err)
	}
	tx.trust(t, values)
	return nil
}

// verifyBefore verifies the row that is to be changed: what somebody else made of it must
// not get a tag.
// It gives what the row is; nil when there is none.
func (tx *Tx) verifyBefore(ctx context.Context, t *protectedTable, key []any) ([]any, error) {
	if known := tx.verified[t.rowOf(key)]; known != nil {
		return known, nil
	}
	rows, err := tx.read(ctx, t.selectRow(), key, len(t.cols)+1)
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	values := rows[0]
	tag, _ := values[len(t.cols)].([]byte)
	values = values[:len(t.cols)]
	if err := tx.guard.verify(t, values, tag); err != nil {
		return nil, err
	}
	tx.trust(t, values)
	return values, nil
}

// writeTagged runs a statement that stores the tag too: what the row will be is known.
func (tx *Tx) writeTagged(ctx context.Context, keys *seal.RowKeys, p *plan, before, args []any) (int64, error) {
	t := p.write
	if p.changes && before == nil {
		return 0, nil // there is no such row to change
	}
	args = slices.Clone(args)
	if p.first != "" {
		rows, err := tx.read(ctx, p.first, args[:p.firstArgs], 1)
		if err != nil {
			return 0, err
		}
		if len(rows) != 1 {
			return 0, fmt.Errorf("store: %d rows for the order of creation", len(rows))
		}
		args = append(args, rows[0][0])
	}
	values := make([]any, len(t.cols))
	copy(values, before)
	for i, c := range t.cols {
		s, ok := p.sets[c]
		if !ok {
			continue
		}
		var err error
		switch s.arg {
		case 0:
			values[i] = s.value
		case firstNumber:
			values[i] = args[len(args)-1]
		default:
			if values[i], err = driver.DefaultParameterConverter.ConvertValue(args[s.arg-1]); err != nil {
				return 0, err
			}
		}
	}
	message, err := t.message(values)
	if err != nil {
		return 0, err
	}
	res, err := tx.session.exec(ctx, p.text, append(args, keys.Tag(message)))
	if err != nil {
		return 0, tx.session.translate(err)
	}
	n, err := res.RowsAffected()
	if n == 1 {
		tx.trust(t, values)
	}
	return n, err
}

// read gives all rows of a statement, n columns each.
func (tx *Tx) read(ctx context.Context, query string, args []any, n int) (all [][]any, err error) {
	rows, err := tx.session.query(ctx, query, args)
	if err != nil {
		return nil, tx.session.translate(err)
	}
	defer rows.Close()
	for rows.Next() {
		values := make([]any, n)
		dest := make([]any, n)
		for i := range values {
			dest[i] = &values[i]
		}
		if err := rows.Scan(dest...); err != nil {
			return nil, err
		}
		all = append(all, values)
	}
	return all, tx.session.translate(rows.Err())
}

// ProtectedTables are the tables whose rows have a tag.
func ProtectedTables() []string { return slices.Sorted(maps.Keys(primaryKeys)) }
