package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"coffer/internal/key"
	"coffer/internal/pki"
	"coffer/internal/seal"
	"coffer/internal/servercert"
)

// answer is what the vault has answered once.
type answer struct {
	Header http.Header
	Body   []byte
}

// serveBare reads every request and gives it the answer of the file "answer" in
// dir, header and all, over TLS with the vault's own certificate: the limit of what
// net/http can do here. For each it computes what the operation of a name does; "":
// nothing.
func serveBare(ctx context.Context, dir, name string) error {
	compute, err := computing(dir, name)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(filepath.Join(dir, "answer"))
	if err != nil {
		return err
	}
	var a answer
	if err := json.Unmarshal(text, &a); err != nil {
		return err
	}
	a.Header.Del("Date") // net/http sets it
	cert, err := certificate(dir)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	srv := &http.Server{
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{*cert}, MinVersion: tls.VersionTLS12},
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if _, err := io.ReadAll(r.Body); err != nil {
				return
			}
			if err := compute(); err != nil {
				w.WriteHeader(http.StatusInternalServerError)
				return
			}
			h := w.Header()
			for name, values := range a.Header {
				h[name] = values
			}
			_, _ = w.Write(a.Body)
		}),
	}
	fmt.Println(l.Addr().(*net.TCPAddr).Port)
	go func() { <-ctx.Done(); _ = srv.Close() }()
	_ = srv.ServeTLS(l, "", "")
	return nil
}

// certificate is that of the development vault of a folder, whose key its root key opens.
func certificate(dir string) (*tls.Certificate, error) {
	root, err := seal.OpenRootFile(filepath.Join(dir, "root.key"), seal.Value{})
	if err != nil {
		return nil, err
	}
	own, err := servercert.NewOwn(servercert.Config{Dir: filepath.Join(dir, "tls"), Root: root, Now: time.Now, Log: slog.Default(),
		Names: []string{"localhost", "vault.localhost", "*.vault.localhost", "127.0.0.1", "::1"}})
	if err != nil {
		return nil, err
	}
	return own.Load()
}

// bare is a running bare handler.
type bare struct {
	cmd *exec.Cmd
	url string
}

// startBare runs this program as a bare handler that gives an answer and computes
// what the operation of a name does; "": nothing.
func startBare(ctx context.Context, data string, a answer, name string) (*bare, error) {
	text, err := json.Marshal(a)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(data, "answer"), text, 0o600); err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self, "-bare", data, "-compute", name)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	line := make([]byte, 16)
	n, err := out.Read(line)
	if err != nil {
		return nil, err
	}
	return &bare{cmd, "https://localhost:" + strings.TrimSpace(string(line[:n])) + "/"}, nil
}

func (b *bare) stop() {
	_ = b.cmd.Process.Signal(syscall.SIGKILL)
	_ = b.cmd.Wait()
}

// generateKeys prints how many RSA-2048 keys a second the vault's own workers
// make when nothing else runs.
func generateKeys(ctx context.Context, window time.Duration) error {
	g := key.NewGenerator(0, slog.New(slog.DiscardHandler))
	defer g.Close()
	s, err := load(ctx, 2*key.DefaultWorkers(), window, func(ctx context.Context, _, _ int) error {
		_, err := g.Generate(ctx, pki.KeySpec{Algorithm: pki.RSA, Size: 2048})
		return err
	})
	fmt.Println(s.rate)
	return err
}

// child runs this program with other flags and gives the number that it prints.
func child(ctx context.Context, flags ...string) (float64, error) {
	self, err := os.Executable()
	if err != nil {
		return 0, err
	}
	cmd := exec.CommandContext(ctx, self, flags...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return 0, err
	}
	return strconv.ParseFloat(strings.TrimSpace(string(out)), 64)
}
