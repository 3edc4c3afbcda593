package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"coffer/internal/access"
	"coffer/internal/audit"
	"coffer/internal/directory"
	"coffer/internal/fault"
	"coffer/internal/management"
	"coffer/internal/seal"
	"coffer/internal/store"
	"coffer/internal/store/storetest"
	"coffer/internal/token"
	"coffer/internal/vault"
)

const (
	operator = "root"
	tenant   = "8c2f6b1e-0000-4000-8000-000000000000"
)

// installation is one over a real database and a real audit log.
type installation struct {
	t       *testing.T
	service *Service
	db      *store.DB
	dir     string
	full    atomic.Bool // the audit log cannot be written
	log     bytes.Buffer
}

// fullFile is a file on a disk that is full while installation.full is set.
type fullFile struct {
	*os.File
	full *atomic.Bool
}

var errFull = errors.New("no space left on device")

func (f fullFile) Write(p []byte) (int, error) {
	if f.full.Load() {
		return 0, errFull
	}
	return f.File.Write(p)
}

func newInstallation(t *testing.T) *installation {
	t.Helper()
	w := &installation{t: t, dir: t.TempDir()}
	db, err := store.Open(t.Context(), store.Config{Driver: store.SQLite, Path: filepath.Join(w.dir, "coffer.db"), Create: true})
	if err != nil {
		t.Fatal(err)
	}
	storetest.Authenticate(db)
	records, err := audit.Open(audit.Config{Path: filepath.Join(w.dir, "audit.jsonl"), OpenFile: func(path string) (audit.File, error) {
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
		return fullFile{f, &w.full}, err
	}})
	if err != nil {
		t.Fatal(err)
	}
	dir, err := directory.New(directory.Config{DB: store.For[directory.Tx]{DB: db}})
	if err != nil {
		t.Fatal(err)
	}
	root, err := seal.CreateRootFile(filepath.Join(w.dir, "root.key"), seal.Value{}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	tokens, err := token.New(token.Config{
		DB: store.For[token.Tx]{DB: db}, Sealer: seal.NewSealer(root, store.For[seal.Tx]{DB: db}, time.Now), Directory: dir, TenantID: tenant, BaseURL: "https://login.test",
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(records.Close(), db.Close()); err != nil {
			t.Error(err)
		}
	})
	rules, err := management.NewService(management.Config{
		DB: store.For[management.Tx]{DB: db}, TenantID: tenant, Deleted: func(*vault.Vault) {}, Now: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	w.db = db
	w.service = New(Config{
		Management: rules,
		Directory:  dir,
		Tokens:     tokens,
		URL:        func(v *vault.Vault) string { return "https://" + v.Key() + ".example.net" },
		Gate:       access.NewGate(access.GateConfig{TenantID: tenant}), Recorder: access.NewRecorder(records),
		Rotate: func(context.Context, access.Grant, bool) (Rotated, error) {
			return Rotated{RootKey: "0123456789abcdef", DataKeys: 3}, nil
		},
		RotateDataKeys: func(_ context.Context, _ access.Grant, r DataKeyRotation) (DataKeysRotated, error) {
			return DataKeysRotated{DataKeys: len(r.Vault), Boxes: 7}, nil
		},
		DataKeys: func(context.Context, access.Grant) ([]DataKeyView, error) {
			return []DataKeyView{{Scope: "main", ID: "0011223344556677", State: "replaced", Left: 3, Total: 8}}, nil
		},
		CA:     CASteps{caStep("current"), caStep("next"), caStep("former"), caStep("retired")},
		Backup: func(ctx context.Context, _ access.Grant, path string) error { return db.Backup(ctx, path) },
		Health: func(context.Context, access.Grant) (HealthView, error) {
			return HealthView{Ready: true, Findings: []HealthFinding{{Check: "the HSM", What: "away", Serves: true}}}, nil
		},
		AuditHead: func(context.Context, access.Grant) (AuditHead, error) {
			return AuditHead{Sequence: 7, Hash: "00ff"}, nil
		},
		Jobs: func(context.Context, access.Grant) ([]JobView, error) {
			return []JobView{{ID: "job-1", Kind: "deliver", Error: "away"}}, nil
		},
		RetryJob: func(_ context.Context, _ access.Grant, id string) error {
			if id != "job-1" {
				return &fault.Error{Kind: fault.NotFound, Msg: "There is no job " + id}
			}
			return nil
		},
		Now: time.Now, Logger: slog.New(slog.NewTextHandler(&w.log, nil)),
	})
	return w
}

// door is one of the two ways to the calls.
type door interface {
	call(name string, in any) (json.RawMessage, error)
}

type here struct{ w *installation }

func (h here) call(name string, in any) (json.RawMessage, error) {
	raw, err := json.Marshal(in)
	if err != nil {
		return nil, err
	}
	out, err := h.w.service.Call(h.w.t.Context(), access.Operator(operator, strconv.Itoa(os.Getuid())), name, raw)
	if err != nil {
		return nil, err
	}
	return json.Marshal(out)
}

type socket struct{ client *Client }

func (s socket) call(name string, in any) (out json.RawMessage, err error) {
	err = s.client.Call(context.Background(), operator, name, in, &out)
	return out, err
}

// serve opens the socket of the installation until the test ends.
func (w *installation) serve() (path string, d socket) {
	w.t.Helper()
	path = filepath.Join(w.dir, "admin.sock")
	l, err := Listen(path)
	if err != nil {
		w.t.Fatal(err)
	}
	return path, w.on(l, path)
}

func (w *installation) on(l net.Listener, path string) socket {
	w.t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- w.service.Serve(ctx, l) }()
	w.t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			w.t.Error(err)
		}
	})
	c, err := Dial(path)
	if err != nil {
		w.t.Fatal(err)
	}
	return socket{c}
}

// recorded is what the tests read of a line of the audit log.
type recorded struct {
	ResourceID  string `json:"resourceId"`
	Operation   string `json:"operationName"`
	Result      string `json:"resultType"`
	Description string `json:"resultDescription"`
	Identity    struct {
		Claim struct {
			UPN string `json:"http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn"`
			UID string `json:"uid"`
		} `json:"claim"`
	} `json:"identity"`
	Properties struct {
		ID     string          `json:"id"`
		Vault  map[string]any  `json:"vaultProperties"`
		RBAC   *bool           `json:"enableRbacAuthorization"`
		Before json.RawMessage `json:"before"`
	} `json:"properties"`
}

func (w *installation) records() (all []recorded) {
	w.t.Helper()
	f, err := os.Open(filepath.Join(w.dir, "audit.jsonl"))
	if err != nil {
		w.t.Fatal(err)
	}
	defer f.Close()
	for dec := json.NewDecoder(f); ; {
		var r recorded
		if err := dec.Decode(&r); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			w.t.Fatal(err)
		}
		all = append(all, r)
	}
}

// caStep answers one CA in that state.
func caStep(state string) CAStep {
	return func(context.Context, access.Grant) ([]CAView, error) { return []CAView{{State: state}}, nil }
}
