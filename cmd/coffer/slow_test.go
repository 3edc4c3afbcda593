package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"
)

// TestSlowClientsAreCutOffAndStopNobody: who dawdles over the handshake or the
// header is cut off after ten seconds; hundreds of silent connections leave the
// vault answering.
func TestSlowClientsAreCutOffAndStopNobody(t *testing.T) {
	t.Parallel()
	p := newFolder(t, nil).start()
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(p.read("tls/ca.crt"))

	dial := func() net.Conn {
		c, err := net.Dial("tcp", p.addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	// cut waits until the server closes the connection.
	cut := func(what string, c net.Conn) {
		if err := c.SetReadDeadline(time.Now().Add(deadline / 2)); err != nil {
			t.Error(err)
		}
		if _, err := io.Copy(io.Discard, c); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: still open after %s", what, deadline/2)
		}
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { cut("no handshake", dial()) })
	wg.Go(func() {
		c := tls.Client(dial(), &tls.Config{RootCAs: pool, ServerName: "main.vault.test"})
		if err := c.Handshake(); err != nil {
			t.Error(err)
			return
		}
		if _, err := c.Write([]byte("GET /certificates?api-version=7.6 HTTP/1.1\r\nHost: main.vault.test\r\nX-Long: ")); err != nil {
			t.Error(err)
		}
		go func() { // a byte now and then does not buy more time
			tick := time.NewTicker(200 * time.Millisecond)
			defer tick.Stop()
			for range tick.C {
				if _, err := c.Write([]byte("x")); err != nil {
					return
				}
			}
		}()
		cut("a slow header", c)
	})

	for range 300 {
		dial()
	}
	for range 20 {
		c := p.newClient() // a connection of its own
		req, err := http.NewRequest(http.MethodGet, "https://main.vault.test/certificates?api-version=7.6", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+p.token)
		resp, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		c.CloseIdleConnections()
		if resp.StatusCode != http.StatusOK {
			t.Errorf("%d beside silent connections", resp.StatusCode)
		}
	}
	wg.Wait()
	p.stop(syscall.SIGTERM)
}
