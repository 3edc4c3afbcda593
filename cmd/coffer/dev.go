package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"coffer/internal/admin"
	"coffer/internal/config"
	"coffer/internal/daemon"
	"coffer/internal/guid"
)

// What coffer dev sets up.
const (
	devSuffix = "vault.localhost"
	devVault  = "dev"

	// defaultData is the folder of a vault that is not told another.
	defaultData = "coffer-data"
)

type devCmd struct {
	Data        string   `help:"Folder of the vault; made on the first start." type:"path" default:"coffer-data"`
	Listen      string   `help:"Address of the TLS listener (default: as before, at first 127.0.0.1:8443). Port 0 takes a free one." placeholder:"HOST:PORT"`
	EnvFile     string   `help:"Write the environment for clients to this file once the vault answers." type:"path" placeholder:"FILE"`
	Certificate string   `help:"Issue a first certificate for this DNS name and show it." placeholder:"DNS-NAME"`
	Log         string   `help:"Lowest level of the log: debug, info, warn, error." enum:"debug,info,warn,error" default:"warn"`
	Command     []string `arg:"" optional:"" passthrough:"" help:"Run this command with the environment of a client, then stop with its exit code."`
}

// Validate looks at the command before a vault is made for it.
func (c *devCmd) Validate() error {
	if len(c.Command) > 0 && c.Command[0] == "--" {
		c.Command = c.Command[1:]
		if len(c.Command) == 0 {
			return errors.New("there is no command after --")
		}
	}
	return nil
}

func (c *devCmd) Run(ctx context.Context, s streams) error {
	settings, err := c.settings(ctx)
	if err != nil {
		return err
	}
	log := settings.Logger(s.err)
	if err := guard(settings, log); err != nil {
		return err
	}
	d, err := daemon.Open(ctx, settings, func() (net.Listener, error) { return c.listen(settings.Listen) }, log)
	if err != nil {
		return err
	}
	who, err := keepAdministrator(ctx, localCaller{d.Admin()}, filepath.Join(c.Data, administratorFile))
	if err == nil {
		err = makeVault(ctx, localCaller{d.Admin()}, admin.NewVault{Name: devVault}, who)
	}
	if err != nil {
		return errors.Join(err, d.Close())
	}

	ctx, stop := context.WithCancel(ctx)
	defer stop()
	served := make(chan error, 1)
	go func() {
		defer stop() // nothing waits for a vault that has failed
		served <- d.Serve(ctx)
	}()
	env, err := c.environment(settings, d, who)
	if err == nil {
		err = c.ready(ctx, s, d.Address().String(), env)
	}
	if err != nil || len(c.Command) > 0 {
		stop()
	}
	return errors.Join(err, <-served, d.Close(), os.RemoveAll(filepath.Join(c.Data, devEnvironment)))
}

// environment is that of the vault's clients, with the file of CAs that it names.
func (c *devCmd) environment(settings *config.Config, d *daemon.Daemon, who *administrator) ([]variable, error) {
	ca := d.CAFile()
	if ca == "" {
		return environment(settings, d.Address(), "", "", who), nil
	}
	bundle := filepath.Join(filepath.Dir(ca), "bundle.pem")
	return environment(settings, d.Address(), ca, bundle, who), writeBundle(bundle, ca)
}

// listen opens the listener. The folder is ours by now, so that an environment
// file that is there is one of an earlier run: it goes, for it would mislead who
// waits for the new one.
func (c *devCmd) listen(address string) (net.Listener, error) {
	if c.EnvFile != "" {
		info, err := os.Lstat(c.EnvFile)
		if err == nil && !info.Mode().IsRegular() {
			return nil, fmt.Errorf("--env-file: %s is not a file that can be replaced", c.EnvFile)
		}
		if err == nil {
			err = os.Remove(c.EnvFile)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("--env-file: %w", err)
		}
	}
	l, err := listen(address)
	if err != nil {
		return nil, fmt.Errorf("%w (choose another address with --listen)", err)
	}
	return l, nil
}

// settings are those of the folder, made on the first start.
func (c *devCmd) settings(ctx context.Context) (*config.Config, error) {
	path := filepath.Join(c.Data, config.FileName)
	settings, err := config.Load(path)
	if errors.Is(err, fs.ErrNotExist) {
		settings = &config.Config{Listen: "127.0.0.1:8443", Suffix: devSuffix, Tenant: guid.New(), DefaultVault: devVault}
		if c.Listen != "" && !strings.HasSuffix(c.Listen, ":0") {
			settings.Listen = c.Listen
		}
		err = initialize(ctx, settings, path, slog.New(slog.DiscardHandler)) // there is no token yet
	} else if err == nil && settings.Suffix != devSuffix {
		err = fmt.Errorf("%s was made by 'coffer init': run 'coffer serve --config %s'", path, path)
	}
	if err != nil {
		return nil, err
	}
	if c.Listen != "" {
		settings.Listen = c.Listen
	}
	settings.Log = config.Log{Level: c.Log, Format: "text"}
	return settings, nil
}

// ready tells how to use the vault once it answers, and does what was asked for
// the first moment.
func (c *devCmd) ready(ctx context.Context, s streams, address string, env []variable) error {
	values := map[string]string{}
	for _, v := range env {
		values[v.name] = v.value
	}
	if err := waitUntilReady(ctx, values["AZURE_AUTHORITY_HOST"], values["CA_FILE"], address); err != nil {
		return err
	}
	for _, path := range []string{filepath.Join(c.Data, devEnvironment), c.EnvFile} {
		if path == "" {
			continue
		}
		if err := writePrivate(path, plain(env)); err != nil {
			return err
		}
	}
	if len(c.Command) == 0 {
		c.greet(s.out, env, values["VAULT_URL"])
	}
	if c.Certificate != "" {
		v := vaultFlags{VaultURL: values["VAULT_URL"], CAFile: values["CA_FILE"], direct: address, env: values}
		err := firstCertificate(ctx, s.out, v, c.Certificate, c.Data)
		if err != nil {
			return err
		}
	}
	if len(c.Command) == 0 {
		fmt.Fprintln(s.out, "\nThe vault is running. Ctrl-C stops it.")
		return nil
	}
	return c.execute(ctx, s, env)
}

// greet says how clients find the vault. Who has asked for a file gets no secret on
// the terminal.
func (c *devCmd) greet(w io.Writer, env []variable, vaultURL string) {
	if c.EnvFile != "" {
		fmt.Fprintf(w, "# The vault %s answers. The environment of a client is in %s; for a shell:\n#   eval \"$(coffer env %s)\"\n", vaultURL, c.EnvFile, c.EnvFile)
	} else {
		fmt.Fprintf(w, "# The environment of a client, for sh (secrets: do not share it; other shells: coffer env --help)\n%s", forShell("sh", env))
	}
	host := strings.TrimPrefix(vaultURL, "https://")
	host, _, _ = net.SplitHostPort(host)
	if _, err := net.LookupHost(host); err != nil {
		fmt.Fprintf(w, "\n# %s does not resolve here. Add this line to /etc/hosts:\n#   127.0.0.1 %s\n# (https://localhost reaches the vault too, for clients that switch the check of the challenge's resource off)\n", host, host)
	}
}

// commandGrace is how long a command may take to end once it has been told to.
const commandGrace = 10 * time.Second

// execute runs the command and takes its exit code over.
func (c *devCmd) execute(ctx context.Context, s streams, env []variable) error {
	cmd := exec.CommandContext(ctx, c.Command[0], c.Command[1:]...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = commandGrace
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, s.out, s.err
	cmd.Env = os.Environ()
	for _, v := range env {
		cmd.Env = append(cmd.Env, v.name+"="+v.value)
	}
	err := cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exitCode(max(exit.ExitCode(), 1))
	}
	return err
}
