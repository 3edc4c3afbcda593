package main

import (
	"context"
	"crypto/tls"
	"fmt"
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
)

// serveBare answers every request with the bytes of the file "body" in dir, over
// TLS with the vault's own certificate: the limit of what net/http can do here.
func serveBare(ctx context.Context, dir string) error {
	body, err := os.ReadFile(filepath.Join(dir, "body"))
	if err != nil {
		return err
	}
	cert, err := tls.LoadX509KeyPair(filepath.Join(dir, "tls", "server.crt"), filepath.Join(dir, "tls", "server.key"))
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	srv := &http.Server{
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12},
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json; charset=utf-8")
			_, _ = w.Write(body)
		}),
	}
	fmt.Println(l.Addr().(*net.TCPAddr).Port)
	go func() { <-ctx.Done(); _ = srv.Close() }()
	_ = srv.ServeTLS(l, "", "")
	return nil
}

// bare is a running bare handler.
type bare struct {
	cmd *exec.Cmd
	url string
}

// startBare runs this program as a bare handler that answers body.
func startBare(ctx context.Context, data string, body []byte) (*bare, error) {
	if err := os.WriteFile(filepath.Join(data, "body"), body, 0o600); err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self, "-bare", data)
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

// inProcessKeys runs generateKeys in a process of its own.
func inProcessKeys(ctx context.Context, window time.Duration) (float64, error) {
	self, err := os.Executable()
	if err != nil {
		return 0, err
	}
	out, err := exec.CommandContext(ctx, self, "-keygen", window.String()).Output()
	if err != nil {
		return 0, err
	}
	return strconv.ParseFloat(strings.TrimSpace(string(out)), 64)
}
