package spelling

import (
	"strings"
	"unicode/utf8"
)

// maxWord bounds the words that are compared, in bytes: what is longer is no slip.
const maxWord = 100

// Suggest is " Did you mean 'X'?" for the known word nearest to the one given, without
// regard to case, and empty where none is near: one that differs in more than a third
// of its letters was not meant.
func Suggest(word string, known []string) string {
	best, least := "", len(word)/3+1
	for _, k := range known {
		if d := distance(strings.ToLower(word), strings.ToLower(k), least); d < least {
			best, least = k, d
		}
	}
	if best == "" {
		return ""
	}
	return " Did you mean '" + best + "'?"
}

// distance is how many letters must be put in, left out, replaced or swapped with the
// next to make b of a (optimal string alignment), or limit when they are more.
func distance(a, b string, limit int) int {
	if len(a) > maxWord || len(b) > maxWord || !utf8.ValidString(a) {
		return limit
	}
	x, y := []rune(a), []rune(b)
	before, row := make([]int, len(y)+1), make([]int, len(y)+1)
	for j := range row {
		row[j] = j
	}
	for i := range x {
		last := row
		row = make([]int, len(y)+1)
		row[0] = i + 1
		for j := range y {
			replace := last[j]
			if x[i] != y[j] {
				replace++
			}
			row[j+1] = min(replace, last[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && x[i] == y[j-1] && x[i-1] == y[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before = last
	}
	return min(row[len(y)], limit)
}
