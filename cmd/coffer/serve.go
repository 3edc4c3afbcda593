package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"

	"coffer/internal/admin"
	"coffer/internal/config"
	"coffer/internal/daemon"
	"coffer/internal/datadir"
	"coffer/internal/guid"
	"coffer/internal/system"
)

// configFlag finds the configuration of an existing vault.
type configFlag struct {
	Config string `short:"c" help:"Configuration file (default: $$COFFER_CONFIG, then coffer-data/coffer.yaml)." type:"path" placeholder:"FILE"`

	found string // where it was found, if nobody named it here
}

// AfterApply finds the configuration where the command line names none.
func (f *configFlag) AfterApply() error {
	if f.Config != "" {
		return nil
	}
	f.Config, f.found = os.Getenv("COFFER_CONFIG"), "$COFFER_CONFIG"
	if f.Config == "" {
		f.Config, f.found = filepath.Join(defaultData, config.FileName), "this folder"
	}
	return nil
}

// open is load for the commands of an operator, who is told which vault it is where
// the command line does not say so.
func (f configFlag) open(s streams) (*config.Config, error) {
	c, err := f.load()
	if err == nil && f.found != "" {
		fmt.Fprintf(s.err, "coffer: the vault of %s, found by %s\n", f.Config, f.found)
	}
	return c, err
}

func (f configFlag) load() (*config.Config, error) {
	c, err := config.Load(f.Config)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s does not exist: run 'coffer init' or 'coffer dev' first, or name the file with --config", f.Config)
	}
	return c, err
}

type serveCmd struct {
	configFlag
	Check bool `help:"Look at the configuration and at all that it names, change nothing, and stop. A server may run."`
}

func (c *serveCmd) Run(ctx context.Context, s streams) error {
	settings, err := c.load()
	if err != nil {
		return err
	}
	if c.Check {
		return check(ctx, settings, c.Config, s)
	}
	log := settings.Logger(s.err)
	if err := guard(settings, log); err != nil {
		return err
	}
	for {
		err := c.serve(ctx, settings, log)
		if !datadir.Full(err) || ctx.Err() != nil {
			return err
		}
		log.Warn("the disk is full: the start waits for room", "error", err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(roomPeriod):
		}
	}
}

// roomPeriod is how often a start on a full disk looks for room.
const roomPeriod = 5 * time.Second

func (c *serveCmd) serve(ctx context.Context, settings *config.Config, log *slog.Logger) error {
	d, err := daemon.Open(ctx, settings, func() (net.Listener, error) { return listen(settings.Listen) }, log)
	if err != nil {
		return err
	}
	hangups, stop := context.WithCancel(ctx)
	defer stop()
	reopenOnHangup(hangups, d, log)
	log.Info("serving", "address", d.Address().String(), "vaults", settings.VaultURL("{vault}", d.Address().String()), "version", version(), "config", c.Config)
	return errors.Join(d.Serve(ctx), d.Close())
}

// guard is what a process does before it holds keys for long: they are not swapped where that can be had, and what it was
// given in the environment is not passed on.
func guard(settings *config.Config, log *slog.Logger) error {
	settings.TakeEnvironment()
	if settings.Memory.Lock == "off" {
		return nil
	}
	err := system.Lock()
	switch {
	case err == nil:
	case settings.Memory.Lock == "on":
		return fmt.Errorf("memory.lock is on: %w", err)
	case system.Swaps():
		log.Warn("keys may be swapped to disk: let this user lock memory, encrypt the swap or do without, or set memory.lock to off", "error", err)
	}
	return nil
}

func listen(address string) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("cannot listen on %s: %w", address, err)
	}
	return l, nil
}

type initCmd struct {
	Data     string   `help:"Folder for the configuration and the state." type:"path" default:"coffer-data"`
	Listen   string   `help:"Address of the TLS listener." default:":8443" placeholder:"HOST:PORT"`
	Suffix   string   `help:"DNS suffix of the vaults: https://{vault}.SUFFIX" required:"" placeholder:"NAME"`
	URL      string   `help:"Address of the login door as clients reach it (default: https://login.SUFFIX and the port)." placeholder:"URL"`
	Vault    string   `help:"First vault to create." placeholder:"NAME"`
	RBAC     bool     `help:"The first vault decides by roles instead of access policies." name:"rbac"`
	SKU      string   `help:"Of the first vault: standard, or premium, which may have keys in the HSM." name:"sku" enum:"standard,premium" default:"standard"`
	Postgres bool     `help:"Keep the data in PostgreSQL; the connection string is in --postgres-url-file or $$COFFER_STORE_URL."`
	URLFile  string   `help:"File with PostgreSQL's connection string." name:"postgres-url-file" type:"path" placeholder:"FILE"`
	Insecure bool     `help:"Do not verify a PostgreSQL on another machine: something else protects the way." name:"postgres-insecure"`
	Seal     string   `help:"File with the passphrase that seals the root key (or set $$COFFER_PASSPHRASE)." name:"passphrase-file" type:"path" placeholder:"FILE"`
	Module   string   `help:"PKCS#11 library of an HSM that keeps the keys of HSM types." name:"hsm-module" type:"path" placeholder:"FILE"`
	Token    string   `help:"Token label of the HSM." name:"hsm-token" placeholder:"LABEL"`
	Serial   string   `help:"Serial number of the HSM, where labels repeat." name:"hsm-serial" placeholder:"NUMBER"`
	PINFile  string   `help:"File with the HSM's PIN (or set $$COFFER_HSM_PIN)." name:"hsm-pin-file" type:"path" placeholder:"FILE"`
	RootHSM  bool     `help:"Keep the root key in the HSM too." name:"root-key-in-hsm"`
	Admin    string   `help:"Where the administrator's credentials go: file (administrator.json), print (shown this once, and in no file), or auto: print when a passphrase or the HSM keeps the root key." name:"administrator" enum:"auto,file,print" default:"auto"`
	AdminEnd duration `help:"How long they are good; 0s: for ever." name:"administrator-lifetime" placeholder:"90d" default:"90d"`
	TLSCert  string   `help:"PEM file with the listener's certificate (default: Coffer's own CA)." name:"tls-certificate" type:"path" placeholder:"FILE"`
	TLSKey   string   `help:"PEM file with its key." name:"tls-key" type:"path" placeholder:"FILE"`
	Names    []string `help:"Further names and addresses in the listener's own certificate." name:"tls-name" placeholder:"NAME"`
}

func (c *initCmd) Run(ctx context.Context, s streams) error {
	settings := &config.Config{
		Listen: c.Listen, URL: c.URL, Suffix: strings.ToLower(c.Suffix), Tenant: guid.New(), DefaultVault: c.Vault,
		TLS:     config.TLS{Certificate: c.TLSCert, Key: c.TLSKey, Names: c.Names},
		RootKey: config.RootKey{PassphraseFile: c.Seal, HSM: c.RootHSM},
		HSM:     config.HSM{Module: c.Module, Token: c.Token, Serial: c.Serial, PINFile: c.PINFile},
	}
	if c.Postgres || c.URLFile != "" || c.Insecure {
		settings.Store = config.Store{Driver: "postgres", URLFile: c.URLFile, Insecure: c.Insecure}
	}
	if c.URL == "" {
		settings.URL = "https://login." + settings.Suffix
		if _, port, err := net.SplitHostPort(c.Listen); err == nil && port != "443" {
			settings.URL += ":" + port
		}
	}
	path := filepath.Join(c.Data, config.FileName)
	log := settings.Logger(s.err)
	if err := initialize(ctx, settings, path, log); err != nil {
		return err
	}
	d, err := daemon.Open(ctx, settings, nil, log)
	if err != nil { // nothing is sealed by the new root key yet: the next try begins anew
		return errors.Join(err, os.Remove(path), forgetRootKey(settings))
	}
	who, shown, err := c.administrator(ctx, localCaller{d.Admin()}, settings)
	if err == nil && c.Vault != "" {
		err = makeVault(ctx, localCaller{d.Admin()}, admin.NewVault{Name: c.Vault, RBAC: c.RBAC, SKU: c.SKU}, who)
	}
	if err := errors.Join(err, d.Close()); err != nil {
		return err
	}
	root := "in " + c.Data + ": keep a copy apart from the database's"
	if c.RootHSM {
		root = "in the HSM " + c.Token + ": back the HSM up with its maker's tools"
	}
	fmt.Fprintf(s.out, "configuration  %s\nroot key       %s\nadministrator  %s\n", path, root, shown)
	if ca := d.CAFile(); ca != "" {
		fmt.Fprintf(s.out, "trust          %s\n", ca)
	}
	fmt.Fprintf(s.out, "\nStart it with: coffer serve --config %s\nClients sign in at %s", path, settings.URL)
	if c.Vault != "" {
		fmt.Fprintf(s.out, " and reach the vault at %s", settings.VaultURL(c.Vault, c.Listen))
	}
	fmt.Fprintln(s.out, ".")
	return nil
}

// administrator makes the administrator, and says where the credentials are: beside a root key that is sealed nothing lies in
// clear, unless it was asked for.
func (c *initCmd) administrator(ctx context.Context, call caller, settings *config.Config) (who *administrator, shown string, err error) {
	var expires time.Time
	until := "good until they are removed"
	if c.AdminEnd > 0 {
		expires = time.Now().Add(time.Duration(c.AdminEnd)).UTC().Truncate(time.Second)
		until = "good until " + expires.Format(time.DateOnly) + "; for the next: coffer identity secret administrator --lifetime 90d"
	}
	if who, err = makeAdministrator(ctx, call, expires); err != nil {
		return nil, "", err
	}
	passphrase, err := settings.Passphrase()
	if err != nil {
		return nil, "", err
	}
	sealed := c.RootHSM || len(passphrase.Reveal()) > 0
	if c.Admin == "print" || c.Admin == "auto" && sealed {
		raw, err := who.text()
		return who, "shown this once, " + until + "\n" + string(raw), err
	}
	path := filepath.Join(c.Data, administratorFile)
	return who, fmt.Sprintf("%s (client id %s; its secrets are there, for its owner only, %s)", path, who.ClientID, until), who.write(path)
}

// initialize makes the database and the root key, then the configuration, which says
// that the vault is there. It never touches an existing one. A crash in between leaves
// a root key that has sealed nothing, and the next run says so.
func initialize(ctx context.Context, settings *config.Config, path string, log *slog.Logger) error {
	if err := settings.Check(); err != nil {
		return fmt.Errorf("the settings have mistakes:\n%w", err)
	}
	if _, err := os.Lstat(path); err == nil {
		return fmt.Errorf("%s exists already: start it with 'coffer serve', or choose another folder with --data", path)
	}
	if err := settings.At(path); err != nil {
		return err
	}
	rootKey := daemon.RootKeyPath(settings)
	err := daemon.Create(ctx, settings, time.Now(), log)
	if errors.Is(err, daemon.ErrVaultExists) {
		return fmt.Errorf("there is no %s, but %w", path, err)
	}
	if errors.Is(err, fs.ErrExist) && settings.RootKey.HSM {
		return fmt.Errorf("%w: if it is another vault's, use another HSM; if the first start was interrupted,"+
			" remove it (its label is coffer-root) with the HSM's own tools and try again;"+
			" if the configuration was lost, write it again, with the tenant of the vault", err)
	}
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s is there, but no %s: if the first start was interrupted, remove it and try again; "+
			"if the configuration was lost, write it again, with the tenant of the vault", rootKey, path)
	}
	if err != nil {
		return err
	}
	if err := settings.Save(path); err != nil {
		return errors.Join(err, forgetRootKey(settings))
	}
	return nil
}

// forgetRootKey removes a root key that has sealed nothing. One in the HSM stays:
// only its owner should be able to remove such a thing.
func forgetRootKey(settings *config.Config) error {
	if settings.RootKey.HSM {
		return fmt.Errorf("the new root key (its label is coffer-root) stays in the HSM %q: remove it with the HSM's own tools", settings.HSM.Token)
	}
	return os.Remove(daemon.RootKeyPath(settings))
}

type versionCmd struct{}

func (versionCmd) Run(s streams) error {
	fmt.Fprintln(s.out, "coffer", version())
	return nil
}

// release is the version of a build that knows it: -ldflags "-X main.release=1.2.3".
var release string

// version is the release or the module's version, and the commit it was built from, as
// far as the toolchain recorded them.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	v := cmp.Or(release, info.Main.Version)
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			v += " " + s.Value
		}
	}
	return v + " " + info.GoVersion
}
