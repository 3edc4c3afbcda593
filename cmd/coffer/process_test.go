package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"coffer/internal/seal"
	"coffer/internal/store"
	"coffer/internal/store/storetest"
)

// folder is a vault's data folder, made by coffer init with the vault "main".
type folder struct {
	t   *testing.T
	dir string
	env []string // of every process
	who administrator
}

// database is a place for a vault's data.
type database struct {
	name string
	// at makes one: the environment of its processes, and what init is told.
	at func(t *testing.T) (env, args []string)
}

// databases are those that every test of durability runs over.
func databases() []database {
	list := []database{{"SQLite", func(*testing.T) ([]string, []string) { return nil, nil }}}
	if !testing.Short() { // -short leaves PostgreSQL out
		list = append(list, database{"Postgres", onPostgres})
	}
	return list
}

func onPostgres(t *testing.T) (env, args []string) {
	return []string{"COFFER_STORE_URL=" + string(storetest.Postgres(t).URL.Reveal())}, []string{"--postgres"}
}

func newFolder(t *testing.T, env []string, args ...string) *folder {
	t.Helper()
	f := &folder{t: t, dir: filepath.Join(t.TempDir(), "data"), env: env}
	f.coffer(append([]string{"init", "--administrator", "file", "--data", f.dir, "--suffix", "vault.test", "--listen", "127.0.0.1:0", "--vault", "main"}, args...)...)
	raw, err := os.ReadFile(filepath.Join(f.dir, administratorFile))
	if err := errors.Join(err, json.Unmarshal(raw, &f.who)); err != nil {
		t.Fatal(err)
	}
	return f
}

func (f *folder) path(name string) string { return filepath.Join(f.dir, name) }

func (f *folder) read(name string) []byte {
	f.t.Helper()
	raw, err := os.ReadFile(f.path(name))
	if err != nil {
		f.t.Fatal(err)
	}
	return raw
}

// settings changes the configuration.
func (f *folder) settings(yaml string) {
	f.t.Helper()
	if err := os.WriteFile(f.path("coffer.yaml"), append(f.read("coffer.yaml"), yaml...), 0o600); err != nil {
		f.t.Fatal(err)
	}
}

// coffer runs an operator's command and answers what it printed.
func (f *folder) coffer(args ...string) string {
	f.t.Helper()
	cmd := exec.Command("coffer", args...)
	cmd.Env = append(os.Environ(), "COFFER_CONFIG="+f.path("coffer.yaml"))
	cmd.Env = append(cmd.Env, f.env...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		f.t.Fatalf("coffer %s: %v: %s", strings.Join(args, " "), err, &stderr)
	}
	if args[0] == "init" {
		for line := range strings.Lines(stderr.String()) { // of an HSM it tells that it is in use
			if !strings.Contains(line, `"level":"INFO"`) {
				f.t.Errorf("a first start warns of something: %s", line)
			}
		}
	}
	return string(out)
}

// process is a running coffer serve.
type process struct {
	*folder
	cmd    *exec.Cmd
	log    string // file of its standard error
	addr   string
	client *http.Client
	token  string
	exited chan error
}

var serving = regexp.MustCompile(`"msg":"serving","address":"([^"]+)"`)

// start serves the folder and signs the administrator in.
func (f *folder) start() *process {
	f.t.Helper()
	log, err := os.CreateTemp(f.t.TempDir(), "log")
	if err != nil {
		f.t.Fatal(err)
	}
	defer log.Close()
	p := &process{folder: f, cmd: exec.Command("coffer", "serve", "--config", f.path("coffer.yaml")), log: log.Name(), exited: make(chan error, 1)}
	p.cmd.Env = append(os.Environ(), f.env...)
	p.cmd.Stderr = log
	if err := p.cmd.Start(); err != nil {
		f.t.Fatal(err)
	}
	go func() { p.exited <- p.cmd.Wait() }()
	f.t.Cleanup(func() {
		_ = p.cmd.Process.Kill() // it has ended, unless the test failed
		if f.t.Failed() {
			f.t.Logf("log of process %d:\n%s", p.cmd.Process.Pid, tail(p.said()))
		}
	})
	until(f.t, "the server", func() bool {
		if m := serving.FindSubmatch(p.said()); m != nil {
			p.addr = string(m[1])
		}
		return p.addr != "" || p.ended()
	})
	if p.addr == "" {
		f.t.Fatalf("the server did not start:\n%s", p.said())
	}
	p.client = p.newClient()
	p.token = p.signIn(f.who.ClientID, f.who.ClientSecret)
	return p
}

func (p *process) ended() bool { return syscall.Kill(p.cmd.Process.Pid, 0) != nil || len(p.exited) > 0 }

func (p *process) said() []byte {
	raw, err := os.ReadFile(p.log)
	if err != nil {
		p.t.Fatal(err)
	}
	return raw
}

// tail is the end of a log, without what went well.
func tail(log []byte) string {
	var lines []string
	for line := range strings.Lines(string(log)) {
		if !strings.Contains(line, `"level":"INFO"`) && !strings.Contains(line, `"level":"DEBUG"`) {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines[max(0, len(lines)-20):], "")
}

// newClient reaches the process whatever host it asks for, and trusts its CA.
func (p *process) newClient() *http.Client {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(p.read("tls/ca.crt"))
	return &http.Client{Timeout: deadline, Transport: &http.Transport{
		TLSClientConfig:     &tls.Config{RootCAs: pool},
		MaxIdleConnsPerHost: 64,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "tcp", p.addr)
		},
	}}
}

// signIn gets a token for the vaults of every process: the public cloud's
// resource, as a site behind one name would.
func (p *process) signIn(id, secret string) string {
	p.t.Helper()
	token, status := p.tryToSignIn(id, secret)
	if status != http.StatusOK || token == "" {
		p.t.Fatalf("signing in: %d", status)
	}
	return token
}

func (p *process) tryToSignIn(id, secret string) (string, int) {
	p.t.Helper()
	form := "grant_type=client_credentials&scope=https%3A%2F%2Fvault.azure.net%2F.default&client_id=" + id + "&client_secret=" + secret
	resp, err := p.client.Post("https://login.vault.test/adfs/oauth2/token", "application/x-www-form-urlencoded", strings.NewReader(form))
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	var body struct {
		Token string `json:"access_token"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&body); err != nil {
		p.t.Fatal(err)
	}
	return body.Token, resp.StatusCode
}

// answer is what came back for a request.
type answer struct {
	status  int
	request string // x-ms-request-id
	body    map[string]any
}

func (a answer) text(name string) string { s, _ := a.body[name].(string); return s }

// do asks the vault main. An error means that no answer came.
func (p *process) do(method, path string, body any) (answer, error) {
	return p.as(p.token, method, path, body)
}

func (p *process) as(token, method, path string, body any) (a answer, err error) {
	var raw []byte
	if body != nil {
		if raw, err = json.Marshal(body); err != nil {
			return a, err
		}
	}
	req, err := http.NewRequest(method, "https://main.vault.test"+path+"?api-version=7.6", bytes.NewReader(raw))
	if err != nil {
		return a, err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	resp, err := p.client.Do(req)
	if err != nil {
		return a, err
	}
	defer resp.Body.Close()
	if raw, err = io.ReadAll(resp.Body); err != nil {
		return a, err
	}
	a = answer{status: resp.StatusCode, request: resp.Header.Get("x-ms-request-id")}
	if len(raw) > 0 {
		if err := json.Unmarshal(raw, &a.body); err != nil {
			return a, fmt.Errorf("%s %s: %w: %.200s", method, path, err, raw)
		}
	}
	return a, nil
}

// must wants that status.
func (p *process) must(status int, method, path string, body any) answer {
	p.t.Helper()
	a, err := p.do(method, path, body)
	if err != nil {
		p.t.Fatal(err)
	}
	if a.status != status {
		p.t.Fatalf("%s %s: %d, want %d: %v", method, path, a.status, status, a.body)
	}
	return a
}

// kill ends the process as a loss of power would.
func (p *process) kill() {
	p.t.Helper()
	if err := p.cmd.Process.Kill(); err != nil {
		p.t.Fatal(err)
	}
	<-p.exited
	p.client.CloseIdleConnections()
}

// stop asks it to end; it must end well.
func (p *process) stop(sig os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(sig); err != nil {
		p.t.Fatal(err)
	}
	p.wait()
}

// wait waits for the end, which must be a good one.
func (p *process) wait() {
	p.t.Helper()
	select {
	case err := <-p.exited:
		if err != nil {
			p.t.Fatalf("the server ended with %v:\n%s", err, tail(p.said()))
		}
	case <-time.After(deadline):
		p.t.Fatal("the server does not end")
	}
	p.client.CloseIdleConnections()
}

// database is the store of the folder, for when no process has it.
func (f *folder) database() store.Config {
	for _, v := range f.env {
		if url, ok := strings.CutPrefix(v, "COFFER_STORE_URL="); ok {
			return store.Config{Driver: store.Postgres, URL: seal.NewValue([]byte(url))}
		}
	}
	return store.Config{Driver: store.SQLite, Path: f.path("coffer.db")}
}
