package rest

import (
	"encoding/json"
	"testing"
)

// TestHalfASurrogatePairIsNoText: the decoder would turn it into U+FFFD, and a
// subject into one that nobody asked for.
func TestHalfASurrogatePairIsNoText(t *testing.T) {
	for raw, want := range map[string]bool{
		`"CN=\ud800"`:          false,
		`"\udc00x"`:            false,
		`"\ud83d\ud83d\ude00"`: false,
		`"\ud83d\ude00"`:       true,
		`"\uFFFD and \ufffd"`:  true,
		"\"\uFFFD\"":           true,
		`"\\ud800"`:            true, // a backslash and text
		`"\\\ud800"`:           false,
		`"plain"`:              true,
	} {
		if _, ok := quotedText(json.RawMessage(raw)); ok != want {
			t.Errorf("%s: %t, want %t", raw, ok, want)
		}
	}
}
