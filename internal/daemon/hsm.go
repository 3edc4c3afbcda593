package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"time"

	"coffer/internal/config"
	"coffer/internal/fault"
	"coffer/internal/hsm"
	"coffer/internal/key"
	"coffer/internal/seal"
)

// rootKeeper keeps the root key: a file, or the HSM.
type rootKeeper interface {
	seal.Keeper
	Rotate(ctx context.Context, now time.Time) error
	Keep(ctx context.Context) error
	Retire(ctx context.Context) error
	CurrentID() string
}

// openHSM opens the HSM of the configuration; nil when there is none. One that
// cannot be used now is logged, and asked again at each use.
func openHSM(c *config.Config, log *slog.Logger) (*hsm.Device, error) {
	h := c.HSM
	if h.Module == "" {
		return nil, nil
	}
	d, err := hsm.Open(hsm.Config{
		Module: c.Path(h.Module), Token: h.Token, Serial: h.Serial, PIN: c.HSMPIN, Sessions: h.Sessions, Logger: log,
	})
	if err != nil {
		return nil, fmt.Errorf("the configured HSM: %w", err)
	}
	return d, nil
}

// openRoot opens the root key where the configuration says it is.
func openRoot(ctx context.Context, c *config.Config, device *hsm.Device) (rootKeeper, error) {
	if c.RootKey.HSM {
		root, err := hsm.OpenRootKey(ctx, device)
		if errors.Is(err, seal.ErrRootKey) {
			return nil, fmt.Errorf("%w: there is none in the HSM %q; bring back the HSM's backup, without which nothing in the database opens", ErrRootKeyMissing, c.HSM.Token)
		}
		if err != nil {
			return nil, fmt.Errorf("the root key is in the HSM, without which nothing can be opened: %w", err)
		}
		return root, nil
	}
	passphrase, err := c.Passphrase()
	if err != nil {
		return nil, err
	}
	root, err := seal.OpenRootFile(RootKeyPath(c), passphrase)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: there is no %s; mount its volume or bring back a copy of it, without which nothing in the database opens."+
			" Do not begin anew beside a database that is to be kept", ErrRootKeyMissing, RootKeyPath(c))
	}
	if err != nil {
		return nil, err
	}
	return root, nil
}

// createRoot makes the root key where the configuration says that it is to be.
func createRoot(ctx context.Context, c *config.Config, now time.Time, log *slog.Logger) (err error) {
	if c.RootKey.HSM {
		device, err := openHSM(c, log)
		if err != nil {
			return err
		}
		_, err = hsm.CreateRootKey(ctx, device)
		return errors.Join(err, device.Close())
	}
	passphrase, err := c.Passphrase()
	if err != nil {
		return err
	}
	_, err = seal.CreateRootFile(RootKeyPath(c), passphrase, now)
	return err
}

// rootName is the root key in messages.
func rootName(c *config.Config) string {
	if c.RootKey.HSM {
		return fmt.Sprintf("the root key in the HSM %q", c.HSM.Token)
	}
	return "the root key file " + RootKeyPath(c)
}

// device is the HSM as the rules use it.
type device struct{ *hsm.Device }

// Secret is that of the HSM, as an interface.
func (d device) Secret(id hsm.ID) key.Secret { return d.Device.Secret(id) }

// device gives nil, and not a device that is none, when there is no HSM.
func (d *Daemon) device() key.Device {
	if d.hsm == nil {
		return nil
	}
	return device{d.hsm}
}

// hsmTimeout is how long a start waits for the HSM.
const hsmTimeout = 2 * time.Second

// checkHSM logs at the start whether keys in the HSM can be used: a vault
// without them serves the others.
func (d *Daemon) checkHSM(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, hsmTimeout)
	defer cancel()
	if err := d.hsm.Ready(ctx); err == nil {
		d.log.InfoContext(ctx, "keys of HSM types are in the HSM", "token", d.settings.HSM.Token)
	} else if !fault.Is(err, fault.Unavailable) { // which has been logged
		d.log.ErrorContext(ctx, "the HSM cannot be used", "token", d.settings.HSM.Token, "error", err)
	}
}
