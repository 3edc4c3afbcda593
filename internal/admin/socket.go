package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"coffer/internal/access"
	"coffer/internal/fault"
)

// maxCall bounds the input and the answer of a call.
const maxCall = 16 << 20

// answer is what the socket sends: Result, or Error with its kind.
type answer struct {
	Result json.RawMessage `json:"result,omitempty"`
	Error  string          `json:"error,omitempty"`
	Kind   fault.Kind      `json:"kind,omitempty"` // 0 when only the operator of the server can act on it
}

// maxSocketPath is how long the path of a socket can be, in bytes: one less than
// the system takes (unix(7)), because it is made under a name of one more.
const maxSocketPath = 106

// Listen opens the socket at path for its own user only. A socket that is left
// over from a crash is replaced: whoever calls this holds the folder's lock, and
// the folder has mode 0700.
func Listen(path string) (net.Listener, error) {
	if len(path) > maxSocketPath {
		return nil, fmt.Errorf("the socket for the command line: the path %s has more than %d bytes: choose a data folder with a shorter one", path, maxSocketPath)
	}
	// It gets its name once its mode is right: nobody else may open it in between.
	fresh := path + "~"
	for _, p := range []string{path, fresh} {
		if err := os.Remove(p); err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: fresh, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("the socket for the command line: %w", err)
	}
	l.SetUnlinkOnClose(false) // by then it has another name
	if err := errors.Join(os.Chmod(fresh, 0o600), os.Rename(fresh, path)); err != nil {
		return nil, errors.Join(err, l.Close(), os.Remove(fresh))
	}
	return &namedSocket{l, path}, nil
}

// namedSocket is a listener that takes its name away when it closes.
type namedSocket struct {
	net.Listener
	path string
}

func (s *namedSocket) Close() error {
	err := s.Listener.Close()
	if e := os.Remove(s.path); e != nil && !errors.Is(e, os.ErrNotExist) {
		err = errors.Join(err, e)
	}
	return err
}

// Serve answers calls until ctx ends. The folder of the socket is the lock on
// this door: it must have mode 0700.
func (s *Service) Serve(ctx context.Context, l net.Listener) error {
	srv := &http.Server{
		Handler:           s,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       time.Minute,
		ConnContext:       withPeer,
		ErrorLog:          slog.NewLogLogger(s.cfg.Logger.Handler(), slog.LevelWarn),
	}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(l) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	err := srv.Shutdown(end)
	<-done
	return err
}

func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	in, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxCall))
	var out any
	if err == nil {
		out, err = s.Call(r.Context(), peer(r), strings.TrimPrefix(r.URL.Path, "/"), in)
	}
	var a answer
	if err == nil {
		a.Result, err = json.Marshal(out)
	}
	if err != nil {
		a = answer{Error: err.Error()}
		var f *fault.Error
		if errors.As(err, &f) {
			a.Kind = f.Kind
		} else {
			s.cfg.Logger.ErrorContext(r.Context(), "a call of the command line failed", "call", r.URL.Path, "error", err)
		}
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(a)
}

// operatorHeader is the name that the caller gives itself.
const operatorHeader = "X-Coffer-Operator"

// uidKey is where the context of a connection keeps who opened it: a text.
type uidKey struct{}

// withPeer notes who opened a connection.
func withPeer(ctx context.Context, c net.Conn) context.Context {
	uid, ok := peerUID(c)
	if !ok {
		return ctx
	}
	return context.WithValue(ctx, uidKey{}, strconv.Itoa(uid))
}

// peer is who calls: under its own name, and with the uid that the system knows it by.
func peer(r *http.Request) access.Caller {
	uid, _ := r.Context().Value(uidKey{}).(string)
	return access.Operator(r.Header.Get(operatorHeader), uid)
}

// Client calls a server's socket.
type Client struct{ http http.Client }

// ErrNoServer reports that nobody answers at the socket.
var ErrNoServer = errors.New("no server is running")

// Dial makes a client for the socket at path; ErrNoServer when none listens.
func Dial(path string) (*Client, error) {
	conn, err := net.DialTimeout("unix", path, time.Second)
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrNoServer, err)
	}
	if err := conn.Close(); err != nil {
		return nil, err
	}
	return &Client{http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", path)
		},
	}}}, nil
}

// Call runs one call and decodes its answer into out.
func (c *Client) Call(ctx context.Context, operator, name string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://coffer/"+name, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set(operatorHeader, operator)
	resp, err := c.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var a answer
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxCall)).Decode(&a); err != nil {
		return fmt.Errorf("the server's answer cannot be read: %w", err)
	}
	if a.Error != "" {
		return &fault.Error{Kind: a.Kind, Msg: a.Error}
	}
	return json.Unmarshal(a.Result, out)
}
