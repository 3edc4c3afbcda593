package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"os"
	"slices"
	"sync"
	"time"
)

// sample is what one window of load gave.
type sample struct {
	rate     float64 // a second
	p50, p99 time.Duration
}

// median is the sample of the middle rate, with the median of each latency.
func median(s []sample) sample {
	mid := func(of func(sample) float64) float64 {
		v := make([]float64, len(s))
		for i := range s {
			v[i] = of(s[i])
		}
		slices.Sort(v)
		return v[len(v)/2]
	}
	return sample{
		rate: mid(func(x sample) float64 { return x.rate }),
		p50:  time.Duration(mid(func(x sample) float64 { return float64(x.p50) })),
		p99:  time.Duration(mid(func(x sample) float64 { return float64(x.p99) })),
	}
}

// load runs do on so many workers, each as fast as it is answered, for the
// window and counts what ends within it. worker and turn number the calls.
func load(ctx context.Context, workers int, window time.Duration, do func(ctx context.Context, worker, turn int) error) (sample, error) {
	return steady(ctx, workers, 0, window, do)
}

// steady is load with a time before the window, in which what takes long gets
// going: without it the first answers of every worker are missing in the count.
func steady(ctx context.Context, workers int, warm, window time.Duration, do func(ctx context.Context, worker, turn int) error) (sample, error) {
	var mu sync.Mutex
	var all []time.Duration
	var failed error
	start := time.Now().Add(warm)
	end := start.Add(window)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			var mine []time.Duration
			for turn := 0; ; turn++ {
				before := time.Now()
				if before.After(end) || ctx.Err() != nil {
					break
				}
				if err := do(ctx, w, turn); err != nil {
					mu.Lock()
					failed = err
					mu.Unlock()
					break
				}
				if after := time.Now(); after.After(start) && after.Before(end) {
					mine = append(mine, after.Sub(before))
				}
			}
			mu.Lock()
			all = append(all, mine...)
			mu.Unlock()
		})
	}
	wg.Wait()
	if failed != nil {
		return sample{}, failed
	}
	slices.Sort(all)
	at := func(q float64) time.Duration {
		if len(all) == 0 {
			return 0
		}
		return all[min(int(math.Ceil(q*float64(len(all))))-1, len(all)-1)]
	}
	return sample{float64(len(all)) / window.Seconds(), at(0.50), at(0.99)}, nil
}

// client is an HTTP/1.1 client that keeps its connections to loopback, whatever
// the name in the URL.
func client(caFile string, conns int) (*http.Client, error) {
	pem, err := os.ReadFile(caFile)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no certificate", caFile)
	}
	return &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: pool}, MaxIdleConns: conns, MaxIdleConnsPerHost: conns, MaxConnsPerHost: conns,
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			_, port, err := net.SplitHostPort(addr)
			if err != nil {
				return nil, err
			}
			var d net.Dialer
			return d.DialContext(ctx, network, net.JoinHostPort("127.0.0.1", port))
		},
	}}, nil
}

// exchange sends one request and gives the body; another status is an error.
func exchange(ctx context.Context, c *http.Client, token, method, url string, body []byte, want int) ([]byte, error) {
	_, out, err := exchangeAll(ctx, c, token, method, url, body, want)
	return out, err
}

// exchangeAll is exchange that gives the header too.
func exchangeAll(ctx context.Context, c *http.Client, token, method, url string, body []byte, want int) (http.Header, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return nil, nil, err
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	out, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, nil, err
	}
	if resp.StatusCode != want {
		return nil, nil, fmt.Errorf("%s %s: %s: %.300s", method, url, resp.Status, out)
	}
	return resp.Header, out, nil
}
