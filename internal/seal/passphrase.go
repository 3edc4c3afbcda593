package seal

import (
	"errors"
	"unicode/utf8"

	"github.com/trustelem/zxcvbn"
)

// What a new passphrase must have: whoever has a copy of the root key file guesses as fast as machines can be
// paid for. zxcvbn (Wheeler, USENIX Security 2016) tells how many guesses a passphrase stands, by dictionaries
// of common words, names and passwords and by patterns; its highest score is 10^10, and Argon2id makes each of
// them cost 64 MiB and a tenth of a second.
const (
	minPassphrase = 12 // characters
	minStrength   = 4  // of zxcvbn's 0 to 4
	// judged is how many characters are looked at: the cost grows faster than the length.
	judged = 64
)

var (
	errShortPassphrase = errors.New("the passphrase for the root key is too short: it needs 12 characters or more, such as five words drawn at random")
	errWeakPassphrase  = errors.New("the passphrase for the root key is easily guessed: it may not be a common password, a name, a date, a" +
		" keyboard row or a repetition, nor made of few common words; draw five words at random, or run openssl rand -base64 24")
)

// checkNewPassphrase refuses one that is too weak to begin with; an empty one says that there is to be none.
// Those of existing files are never asked.
func checkNewPassphrase(v Value) error {
	raw := v.Reveal()
	if len(raw) == 0 {
		return nil
	}
	if !utf8.Valid(raw) { // bytes of a generator, which have no words
		if len(raw) < minPassphrase {
			return errShortPassphrase
		}
		return nil
	}
	text := []rune(string(raw))
	if len(text) < minPassphrase {
		return errShortPassphrase
	}
	if zxcvbn.PasswordStrength(string(text[:min(len(text), judged)]), []string{"coffer", "vault", "passphrase"}).Score < minStrength {
		return errWeakPassphrase
	}
	return nil
}
