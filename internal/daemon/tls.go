package daemon

import (
	"context"
	"errors"
	"path/filepath"

	"coffer/internal/access"
	"coffer/internal/admin"
	"coffer/internal/fault"
	"coffer/internal/servercert"
)

// listenerCertificate finds the listener's certificate: in files, or from a CA of the vault's own.
func (d *Daemon) listenerCertificate(base string) (err error) {
	c := d.settings
	var source servercert.Source
	if c.TLS.Certificate != "" {
		source = servercert.Files{Certificate: c.Path(c.TLS.Certificate), Key: c.Path(c.TLS.Key)}
	} else {
		names := []string{"localhost", c.Suffix, "*." + c.Suffix, "127.0.0.1", "::1"}
		if host := hostOf(base); host != "localhost" {
			names = append(names, host)
		}
		d.ca, err = servercert.NewOwn(servercert.Config{
			Dir: filepath.Join(c.DataDir(), "tls"), Names: append(names, c.TLS.Names...), Root: d.root, Now: d.now, Log: d.log,
		})
		if err != nil {
			return err
		}
		source = d.ca
	}
	if d.tls, err = servercert.NewKeeper(source, d.log); err != nil && d.listener == nil {
		d.log.Warn("the listener's certificate is not at hand", "error", err) // nor is it needed: nothing is served
		return nil
	}
	return err
}

// CAFile is the PEM file that clients must trust; "" when the listener's
// certificate comes from elsewhere.
func (d *Daemon) CAFile() string {
	if d.ca == nil {
		return ""
	}
	return d.ca.CAFile()
}

// caSteps are the calls on the listener's CA.
func (d *Daemon) caSteps() admin.CASteps {
	step := func(action access.Action, do func() error) func(context.Context, access.Grant) ([]admin.CAView, error) {
		return func(ctx context.Context, g access.Grant) ([]admin.CAView, error) {
			g.MustEverywhere(action)
			if d.ca == nil {
				return nil, &fault.Error{Kind: fault.Conflict, Msg: "The listener's certificate is that of tls.certificate: there is no CA of Coffer's own."}
			}
			err := do()
			switch {
			case errors.Is(err, servercert.ErrHaveNext):
				return nil, &fault.Error{Kind: fault.Conflict, Msg: "The next CA is there already: give clients tls/ca.crt, then run 'coffer ca switch'.", Err: err}
			case errors.Is(err, servercert.ErrNoNext):
				return nil, &fault.Error{Kind: fault.Conflict, Msg: "There is no next CA: begin with 'coffer ca rotate'.", Err: err}
			case err != nil:
				return nil, err
			}
			if d.tls != nil {
				d.tls.Look(ctx) // a new certificate now, and not in a minute
			}
			return d.authorities()
		}
	}
	return admin.CASteps{
		Show:   step(access.CARead, func() error { return nil }),
		Rotate: step(access.CARotate, func() error { return d.ca.Rotate() }),
		Switch: step(access.CASwitch, func() error { return d.ca.Switch() }),
		Retire: step(access.CARetire, func() error { return d.ca.Retire() }),
	}
}

func (d *Daemon) authorities() (views []admin.CAView, err error) {
	list, err := d.ca.Authorities()
	for _, a := range list {
		views = append(views, admin.CAView{State: a.State, Subject: a.Subject, SHA256: a.Fingerprint, NotAfter: a.NotAfter, Names: a.Names})
	}
	return views, err
}
