package config

import "time"

const (
	maxHSMSessions = 1024
	// maxStoreAge is how long a right that was taken away may still count where
	// replicas share a database: what is answered of objects is not older either.
	maxStoreAge = 2 * time.Second
)

// Store says where the data is.
type Store struct {
	Driver  string `yaml:"driver,omitempty"`   // sqlite (zero) or postgres
	Path    string `yaml:"path,omitempty"`     // sqlite: the database file; zero: coffer.db in the data folder
	URLFile string `yaml:"url_file,omitempty"` // postgres: a file that holds the connection string; zero: $COFFER_STORE_URL

	// Insecure allows a PostgreSQL on another machine that is not verified: something else must protect the way.
	Insecure bool `yaml:"insecure,omitempty"`

	// MaxAge is, with postgres, how old an answer about an object may be when another
	// replica has changed it. Zero: reads are of now.
	MaxAge Duration `yaml:"max_age,omitempty"`
}

func (s Store) check(m *mistakes) {
	switch s.Driver {
	case "", "sqlite":
		m.unless(s.URLFile == "", "store.url_file", "goes with driver postgres only")
		m.unless(!s.Insecure, "store.insecure", "goes with driver postgres only")
		m.unless(s.MaxAge == 0, "store.max_age", "goes with driver postgres only: with sqlite every read is of now")
	case "postgres":
		m.unless(s.Path == "", "store.path", "goes with driver sqlite only")
		m.unless(s.MaxAge >= 0 && time.Duration(s.MaxAge) <= maxStoreAge, "store.max_age", "must be 0s to 2s")
	default:
		m.add("store.driver", "must be sqlite or postgres")
	}
}

// RootKey says who keeps the root key.
type RootKey struct {
	Path           string `yaml:"path,omitempty"`            // zero: root.key in the data folder
	PassphraseFile string `yaml:"passphrase_file,omitempty"` // zero: $COFFER_PASSPHRASE; without either the file is not sealed by a passphrase
	HSM            bool   `yaml:"hsm,omitempty"`             // the root key is in the HSM of hsm, and there is no file
}

func (k RootKey) check(m *mistakes, hsm HSM) {
	if k.HSM {
		m.unless(hsm.Module != "", "root_key.hsm", "needs an HSM in hsm")
		m.unless(k.Path == "" && k.PassphraseFile == "", "root_key.hsm", "goes without path and passphrase_file: there is no file")
	}
}

// HSM names the PKCS#11 HSM that keeps keys of HSM types. Zero: there is none.
type HSM struct {
	Module   string `yaml:"module,omitempty"`   // the maker's PKCS#11 library
	Token    string `yaml:"token,omitempty"`    // the HSM's label (PKCS#11: token label)
	Serial   string `yaml:"serial,omitempty"`   // its serial number, where labels repeat; zero: any
	PINFile  string `yaml:"pin_file,omitempty"` // zero: $COFFER_HSM_PIN; read at each login
	Sessions int    `yaml:"sessions,omitempty"` // most operations at one time; zero: 16
}

func (h HSM) check(m *mistakes) {
	m.unless(h.Module != "" || h == HSM{}, "hsm.module", "is the path of the HSM's PKCS#11 library; without it there is no HSM")
	m.unless(h.Module == "" || h.Token != "", "hsm.token", "must be the token label of the HSM")
	m.within("hsm.sessions", h.Sessions, maxHSMSessions)
}
