package pipeline_test

import (
	"bufio"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// TestRepeatedHeaders: of two values a proxy before the vault might believe the other
// one, so that none is believed.
func TestRepeatedHeaders(t *testing.T) {
	d := newDoor(t)
	srv := httptest.NewServer(d)
	t.Cleanup(srv.Close)
	const get, host = "GET /toy/robot HTTP/1.1\r\n", "Host: toys.test\r\n"
	const ann, post = "Authorization: Bearer ann\r\n", "POST /toy/ball HTTP/1.1\r\n"
	for _, tt := range []struct {
		name, send string
		want       int
	}{
		{"one of each", get + host + ann, 200},
		// The toy's verifier knows everybody but "bad": what it is given is not Ann's token.
		{"the same token twice", get + host + ann + ann, 403},
		{"a good token before another", get + host + ann + "Authorization: Bearer bad\r\n", 403},
		{"a good token after another", get + host + "Authorization: Bearer bad\r\n" + ann, 403},
		{"a token after an empty one", get + host + "Authorization:\r\n" + ann, 401},
		{"two hosts", get + host + "Host: other.test\r\n" + ann, 400},
		{"the same host twice", get + host + host + ann, 400},
		{"no host", get + ann, 400},
		{"two lengths", post + host + ann + "Content-Length: 15\r\nContent-Length: 2\r\n", 400},
		{"a length and chunks", post + host + ann + "Content-Length: 2\r\nTransfer-Encoding: chunked, chunked\r\n", 501},
	} {
		c, err := net.Dial("tcp", srv.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Write([]byte(tt.send + "Connection: close\r\n\r\n")); err != nil {
			t.Fatal(err)
		}
		answer, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
		} else if answer.StatusCode != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, answer.StatusCode, tt.want)
		}
		c.Close()
	}
}
