package daemon

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/KimMachineGun/automemlimit/memlimit"
	"golang.org/x/sync/errgroup"

	"coffer/internal/access"
	"coffer/internal/admin"
	"coffer/internal/audience"
	"coffer/internal/audit"
	"coffer/internal/certificate"
	"coffer/internal/compute"
	"coffer/internal/config"
	"coffer/internal/datadir"
	"coffer/internal/fresh"
	"coffer/internal/health"
	"coffer/internal/hsm"
	"coffer/internal/jobs"
	"coffer/internal/key"
	"coffer/internal/keyvault"
	"coffer/internal/login"
	"coffer/internal/management"
	"coffer/internal/outbox"
	"coffer/internal/pipeline"
	"coffer/internal/seal"
	"coffer/internal/secret"
	"coffer/internal/servercert"
	"coffer/internal/store"
	"coffer/internal/system"
	"coffer/internal/throttle"
	"coffer/internal/tlsprofile"
	"coffer/internal/vault"
)

// ServiceVersion is what x-ms-keyvault-service-version shows: four dotted
// numbers, as the cloud service's own. The last two are this program's.
const ServiceVersion = "1.9.1.0"

// Daemon is a vault that is put together. Open makes one; Serve answers until its
// context ends; Close gives everything back.
type Daemon struct {
	settings *config.Config
	log      *slog.Logger
	now      func() time.Time

	listener   net.Listener // nil: nothing will be served
	lock       *os.File
	db         *store.DB
	audit      *audit.Log
	recorder   *access.Recorder
	gate       *access.Gate
	background *access.Background
	hsm        *hsm.Device // nil: there is none
	root       rootKeeper
	sealer     *seal.Sealer
	generator  *key.Generator
	workers    *compute.Pool
	runner     *jobs.Runner
	outbox     *outbox.Outbox
	vaults     *vault.Registry
	certs      *certificate.Service
	keys       *key.Service
	secrets    *secret.Service
	admin      *admin.Service
	tls        *servercert.Keeper
	well       *health.Checks
	ca         *servercert.Own // nil with a certificate from elsewhere
	handler    http.Handler
}

// ErrRootKeyMissing reports a vault whose root key is not where it should be.
var ErrRootKeyMissing = errors.New("the root key is missing")

// ErrVaultExists reports a database that has a vault, or has sealed something.
var ErrVaultExists = errors.New("the database holds a vault already")

// Create makes what a vault needs before its first start: the data folder, the
// database and the root key. An existing root key is an error (fs.ErrExist), and so is
// a database that is in use (ErrVaultExists). A crash in between leaves nothing that keeps
// the next Create from going on, or a root key that has sealed nothing.
func Create(ctx context.Context, settings *config.Config, now time.Time, log *slog.Logger) error {
	if err := datadir.Make(settings.DataDir()); err != nil {
		return err
	}
	if err := createStore(ctx, settings, log); err != nil {
		return err
	}
	if err := createAuditID(settings); err != nil {
		return err
	}
	return createRoot(ctx, settings, now, log)
}

// RootKeyPath is the file of the root key, unless that is in the HSM.
func RootKeyPath(c *config.Config) string { return c.InData(c.RootKey.Path, "root.key") }

// SocketPath is where a running server answers the command line.
func SocketPath(c *config.Config) string { return filepath.Join(c.DataDir(), "admin.sock") }

// Open puts the vault together: it opens the root key and the database
// (store.ErrInUse when another process has the folder), and only then calls
// listen, which is nil when nothing will be served. It starts nothing that serves.
func Open(ctx context.Context, settings *config.Config, listen func() (net.Listener, error), log *slog.Logger) (_ *Daemon, err error) {
	d := &Daemon{settings: settings, log: log, now: time.Now}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.Close())
		}
	}()
	if err := d.openStorage(ctx); err != nil {
		return nil, err
	}
	address := settings.Listen
	if listen != nil {
		if d.listener, err = listen(); err != nil {
			return nil, err
		}
		address = d.listener.Addr().String()
	}
	if err := d.assemble(address); err != nil {
		return nil, err
	}
	return d, nil
}

// Address is where the vault listens.
func (d *Daemon) Address() net.Addr { return d.listener.Addr() }

func (d *Daemon) assemble(address string) error {
	base, err := d.baseURL(address)
	if err != nil {
		return err
	}
	rights := d.reads(rightsMaxAge)
	who, err := d.identity(base, rights)
	if err != nil {
		return err
	}
	d.vaults = vault.NewRegistry(store.For[vault.Tx]{DB: d.db}, rights)
	assignments := access.NewAssignments(store.For[access.Tx]{DB: d.db}, rights)
	d.recorder = access.NewRecorder(d.audit)
	d.gate = access.NewGate(access.GateConfig{Rules: assignments, TenantID: d.settings.Tenant, Trusted: func(c access.Caller) bool { return d.settings.Trusts(c.ObjectID) }})
	vaultURL := func(v *vault.Vault) string { return d.settings.VaultURL(v.Key(), address) }
	d.background = access.NewBackground(access.BackgroundConfig{
		Gate: d.gate, Recorder: d.recorder, Vault: d.vaultByID, Now: d.now, Logger: d.log,
		URL: vaultURL,
	})
	if err := d.domain(); err != nil {
		return err
	}
	resources, err := management.NewService(management.Config{
		DB: store.For[management.Tx]{DB: d.db}, TenantID: d.settings.Tenant,
		Deleted: func(v *vault.Vault) { d.sealer.Forget(v.ID) },
		Now:     d.now,
	})
	if err != nil {
		return err
	}
	d.well = d.checks()
	d.admin = admin.New(admin.Config{
		Management: resources, Directory: who.dir, Tokens: who.tokens, Gate: d.gate, Recorder: d.recorder, URL: vaultURL,
		Rotate: d.rotate, RotateDataKeys: d.rotateDataKeys, DataKeys: d.dataKeys, Backup: d.backup, AuditHead: d.auditHead, CA: d.caSteps(), Jobs: d.failedJobs, RetryJob: d.retryJob, Health: d.health,
		Now: d.now, Logger: d.log,
	})
	if err := d.listenerCertificate(base); err != nil {
		return err
	}
	return d.doors(base, who)
}

// rightsMaxAge is how long rights that another replica has taken away may still count:
// settings of vaults, role assignments, principals, their credentials and groups, and
// the keys that sign tokens (contract access-control.md, 7: at most 5 s). Each that is
// in use is read twice a second.
const rightsMaxAge = 500 * time.Millisecond

// reads says how long what was read may be used, where replicas share the database.
func (d *Daemon) reads(maxAge time.Duration) fresh.Source {
	return fresh.Source{Commits: d.db.Commits(), MaxAge: maxAge, Now: d.now}
}

// Admin is the operator's door, for a command line without a server.
func (d *Daemon) Admin() *admin.Service { return d.admin }

// Handler answers what comes through the listener.
func (d *Daemon) Handler() http.Handler { return d.handler }

func (d *Daemon) doors(base string, who identity) error {
	tenant := cmp.Or(d.settings.Identity.ChallengeTenant, "adfs")
	budget := pipeline.NewBudget() // of all doors together
	data, err := keyvault.New(keyvault.Config{
		Certificates: d.certs,
		Keys:         d.keys,
		Fresh:        d.reads(time.Duration(d.settings.Store.MaxAge)),
		Secrets:      d.secrets,
		Vaults:       d.vaults,
		Verifier:     who.verifier,
		Gate:         d.gate,
		Sealer:       d.sealer,
		Recorder:     d.recorder,
		Budget:       budget,
		Workers:      d.workers,
		Logger:       d.log,
		Challenge: func(host string, _ *vault.Vault) string {
			return audience.Challenge(base, tenant, audience.Resource(host, nil))
		},
		Renewal:            func() string { return audience.Renewal(base, tenant, d.now()) },
		Audiences:          func(host string) []string { return audience.Of(host, nil) },
		Suffixes:           []string{d.settings.Suffix},
		DefaultVault:       d.settings.DefaultVault,
		Names:              d.hosts().Names,
		ServiceVersion:     ServiceVersion,
		AllowNewerVersions: d.settings.AllowNewerAPIVersions,
		Ready:              d.ready,
		Now:                d.now,
	})
	if err != nil {
		return err
	}
	door, err := login.New(login.Config{
		Directory: who.dir, Tokens: who.tokens, Verifier: who.verifier, BaseURL: base,
		OwnHost:  d.hosts().Have,
		Audience: d.hosts().Serve,
		Recorder: login.Attempts{Recorder: d.recorder},
		Budget:   budget, Now: d.now, Log: d.log,
	})
	if err != nil {
		return err
	}
	d.handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if door.Serves(r.URL.Path) {
			door.ServeHTTP(w, r)
			return
		}
		data.ServeHTTP(w, r)
	})
	return nil
}

// Bounds of the listener. A key of RSA-4096 can take half a minute when others
// wait too, hence the long write timeout.
const (
	readHeaderTimeout = 10 * time.Second
	readTimeout       = time.Minute
	writeTimeout      = 3 * time.Minute
	idleTimeout       = 2 * time.Minute
	shutdownTimeout   = 20 * time.Second
	maxHeaderBytes    = 32 << 10
	maxStreams        = 100 // of one HTTP/2 connection
)

// ready reports whether the vault can serve.
func (d *Daemon) ready() error { return d.well.Ready(context.Background()) }

// Serve answers on the listener and works on jobs until ctx ends; then it
// finishes the requests in flight and the jobs under way.
func (d *Daemon) Serve(ctx context.Context) error {
	limitMemory(memlimit.FromCgroup, d.log)
	sock, err := admin.Listen(SocketPath(d.settings))
	if err != nil {
		return err
	}
	srv := &http.Server{
		Handler:                      d.handler,
		DisableGeneralOptionsHandler: true, // OPTIONS * is answered like any other route
		ReadHeaderTimeout:            readHeaderTimeout, ReadTimeout: readTimeout,
		WriteTimeout: writeTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeaderBytes,
		TLSConfig: tlsprofile.Apply(&tls.Config{GetCertificate: d.tls.Get}),
		HTTP2:     &http.HTTP2Config{MaxConcurrentStreams: maxStreams},
		ErrorLog:  slog.NewLogLogger(d.log.Handler(), slog.LevelDebug), // clients break off handshakes
	}
	if err := d.ensureJobs(ctx); err != nil {
		return err
	}
	// Requests end first, then what they use: a request may wait for a job.
	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	background, failed := errgroup.WithContext(work)
	background.Go(func() error { return d.runner.Run(work) })
	background.Go(func() error { return d.tls.Run(work) })
	background.Go(func() error { return d.sealer.Run(work) })
	background.Go(func() error { return d.audit.Run(work) })
	background.Go(func() error { return d.well.Run(work) })
	background.Go(func() error { return d.verifyPages(work) })
	background.Go(func() error { return d.admin.Serve(work, sock) })
	notifier := system.NewNotifier()
	background.Go(func() error { return d.pulse(work, notifier) })
	served := make(chan error, 1)
	all, perAddress := d.settings.Connections.Limits()
	go func() {
		served <- srv.ServeTLS(throttle.Listen(d.listener, all, perAddress, d.settings.Connections.Balancers()...), "", "")
	}()
	d.tell(notifier, "READY=1") // the listener is open: who connects now is answered
	select {
	case err = <-served:
	case <-failed.Done(): // Wait says why
	case <-ctx.Done():
		d.log.Info("stopping: finishing what is in flight")
	}
	d.tell(notifier, "STOPPING=1")
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	if e := srv.Shutdown(end); e != nil {
		d.log.Warn("requests were cut off", "error", e)
		_ = srv.Close()
	}
	stop()
	return errors.Join(err, background.Wait())
}

// Close gives everything back; it may follow a failed Open.
func (d *Daemon) Close() error {
	var errs []error
	if d.listener != nil {
		if err := d.listener.Close(); !errors.Is(err, net.ErrClosed) { // Serve closes it too
			errs = append(errs, err)
		}
	}
	if d.generator != nil {
		d.generator.Close()
	}
	if d.workers != nil {
		d.workers.Close()
	}
	if d.audit != nil { // it tells the database how far it goes
		errs = append(errs, d.audit.Close())
	}
	if d.db != nil {
		errs = append(errs, d.db.Close())
	}
	if d.hsm != nil {
		errs = append(errs, d.hsm.Close())
	}
	if d.lock != nil {
		errs = append(errs, d.lock.Close())
	}
	return errors.Join(errs...)
}
