package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// server is a running vault.
type server struct {
	cmd     *exec.Cmd
	data    string
	env     map[string]string
	client  *http.Client
	token   string
	started time.Duration // from the start of the process to the environment file
}

const apiVersion = "api-version=7.6"

// startVault runs the binary on a folder of data.
func startVault(ctx context.Context, binary, data string, conns int) (*server, error) {
	envFile := filepath.Join(data, "bench.env")
	if err := os.Remove(envFile); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, binary, "dev", "--data", data, "--listen", "127.0.0.1:0", "--env-file", envFile, "--log", "error")
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.Stderr = os.Stderr
	begin := time.Now()
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	s := &server{cmd: cmd, data: data, env: map[string]string{}}
	for {
		if _, err := os.Stat(envFile); err == nil {
			break
		}
		if time.Since(begin) > 30*time.Second {
			return nil, errors.Join(errors.New("the vault did not start"), s.stop())
		}
		time.Sleep(2 * time.Millisecond)
	}
	s.started = time.Since(begin)
	f, err := os.Open(envFile)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), "=")
		s.env[name] = value
	}
	if s.client, err = client(s.env["CA_FILE"], conns); err != nil {
		return nil, err
	}
	return s, s.signIn(ctx)
}

// signIn gets a token as a managed identity does.
func (s *server) signIn(ctx context.Context) error {
	host, err := url.Parse(s.env["VAULT_URL"])
	if err != nil {
		return err
	}
	_, suffix, _ := strings.Cut(host.Host, ".")
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.env["IDENTITY_ENDPOINT"]+"?api-version=2019-08-01&resource="+url.QueryEscape("https://"+suffix), nil)
	if err != nil {
		return err
	}
	req.Header.Set("X-IDENTITY-HEADER", s.env["IDENTITY_HEADER"])
	resp, err := s.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var body struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&body); err != nil || body.AccessToken == "" {
		return fmt.Errorf("no token: %s", resp.Status)
	}
	s.token = body.AccessToken
	return nil
}

func (s *server) stop() error {
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	err := s.cmd.Wait()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return nil
	}
	return err
}

// url is the address of a path of the vault.
func (s *server) url(path string) string {
	sep := "?"
	if strings.Contains(path, "?") {
		sep = "&"
	}
	return s.env["VAULT_URL"] + path + sep + apiVersion
}

func (s *server) get(ctx context.Context, path string) ([]byte, error) {
	return s.send(ctx, http.MethodGet, path, nil)
}

// send makes a request that is answered with 200.
func (s *server) send(ctx context.Context, method, path string, body []byte) ([]byte, error) {
	return exchange(ctx, s.client, s.token, method, s.url(path), body, http.StatusOK)
}

// answers makes a request as send does, and gives the whole answer.
func (s *server) answers(ctx context.Context, method, path string, body []byte) (answer, error) {
	header, out, err := exchangeAll(ctx, s.client, s.token, method, s.url(path), body, http.StatusOK)
	return answer{header, out}, err
}

// importPEM imports a certificate; value is a JSON string body made before.
func (s *server) importPEM(ctx context.Context, name string, body []byte) error {
	_, err := s.send(ctx, http.MethodPost, "/certificates/"+name+"/import", body)
	return err
}

// create makes a self-signed certificate and waits until it is completed.
func (s *server) create(ctx context.Context, name, keyProps string) error {
	body := `{"policy":{"key_props":` + keyProps + `,"x509_props":{"subject":"CN=` + name + `"},"issuer":{"name":"Self"}}}`
	if _, err := exchange(ctx, s.client, s.token, http.MethodPost, s.url("/certificates/"+name+"/create"), []byte(body), http.StatusAccepted); err != nil {
		return err
	}
	for {
		out, err := s.get(ctx, "/certificates/"+name+"/pending")
		if err != nil {
			return err
		}
		var op struct {
			Status string `json:"status"`
		}
		if err := json.Unmarshal(out, &op); err != nil {
			return err
		}
		switch op.Status {
		case "completed":
			return nil
		case "inProgress":
			time.Sleep(50 * time.Millisecond)
		default:
			return errors.New("the operation ended " + op.Status)
		}
	}
}

// memory is the resident memory of the process in bytes.
func (s *server) memory() (int64, error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(raw)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			n, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
			return n << 10, err
		}
	}
	return 0, errors.New("no VmRSS")
}
