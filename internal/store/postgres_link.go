package store

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/jackc/pgx/v5"

	"coffer/internal/tlsprofile"
)

// parseURL reads the connection string, with what environment and service files add to it. Unless insecure,
// every way to a server that the driver would try stays on this machine, or verifies the server: what is
// looked at is what it would do, for any of its many sources may say sslmode.
func parseURL(cfg Config) (*pgx.ConnConfig, error) {
	conf, err := pgx.ParseConfig(string(cfg.URL.Reveal()))
	if err != nil {
		return nil, errors.New("url: not a PostgreSQL connection string") // the cause may repeat the password
	}
	if err := checkLink(conf.Host, conf.TLSConfig, cfg.Insecure); err != nil {
		return nil, err
	}
	for _, other := range conf.Fallbacks {
		if err := checkLink(other.Host, other.TLSConfig, cfg.Insecure); err != nil {
			return nil, err
		}
	}
	return conf, nil
}

// ErrUnverified reports a PostgreSQL server elsewhere that the connection would not verify.
var ErrUnverified = errors.New("store: the connection to PostgreSQL would not be verified")

func checkLink(host string, c *tls.Config, insecure bool) error {
	if c != nil {
		tlsprofile.Apply(c)
	}
	verified := c != nil && !c.InsecureSkipVerify && c.ServerName == host
	if insecure || verified || onThisMachine(host) {
		return nil
	}
	hint := ""
	if strings.EqualFold(host, "localhost") {
		hint = "for this machine write 127.0.0.1, ::1 or the folder of the socket, for a name can point elsewhere; "
	}
	return fmt.Errorf("%w: whoever answers for %q could read and change everything; %swrite sslmode=verify-full into the connection string, "+
		"with sslrootcert=FILE when the server's CA is not the system's (no other sslmode will do, nor a connection string that leaves it out), "+
		"or, when something else protects the way, store.insecure: true", ErrUnverified, host, hint)
}

// onThisMachine: a socket, or an address of the loopback interface. A name is neither.
func onThisMachine(host string) bool {
	a, err := netip.ParseAddr(host)
	return strings.HasPrefix(host, "/") || err == nil && a.Zone() == "" && a.IsLoopback()
}
