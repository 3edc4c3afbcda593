package daemon

import (
	"runtime"
	"strings"
	"time"

	"coffer/internal/certificate"
	"coffer/internal/compute"
	"coffer/internal/issuance"
	"coffer/internal/issuer/selfsigned"
	"coffer/internal/jobs"
	"coffer/internal/key"
	"coffer/internal/outbox"
	"coffer/internal/secret"
	"coffer/internal/store"
)

// domain makes what works on objects: the services, the workers, the jobs.
func (d *Daemon) domain() error {
	cores := runtime.GOMAXPROCS(0) // before workers add to it
	d.generator = key.NewGenerator(d.settings.Certificates.KeyWorkers, d.log)
	d.workers = compute.NewPool(cores, d.log)
	objects := d.reads(time.Duration(d.settings.Store.MaxAge))
	var err error
	// Nobody is told of new versions yet, and of what nobody is told no row is kept.
	d.outbox, err = outbox.New(store.For[outbox.DeliveryTx]{DB: d.db},
		outbox.Recipient{Name: "log", Topics: []outbox.Topic{outbox.KeyNearExpiry}, Sink: outbox.Log{Logger: d.log}})
	if err != nil {
		return err
	}
	d.certs, err = certificate.NewService(certificate.Config{
		DB: store.For[certificate.Tx]{DB: d.db}, Sealer: d.sealer, Keys: d.generator, Now: d.now, Logger: d.log,
		Workers:      d.workers,
		Device:       d.device(),
		Issuers:      issuers(),
		SelfDelay:    d.settings.Certificates.Delay(),
		ModernPKCS12: d.settings.Certificates.ModernPKCS12(),
		Wake:         func() { d.runner.Wake() },
		Outbox:       d.outbox,
		Record:       d.recordEnrollment,
	})
	if err != nil {
		return err
	}
	d.keys, err = key.NewService(key.Config{
		DB: store.For[key.Tx]{DB: d.db}, Sealer: d.sealer, Maker: d.generator, Now: d.now, Logger: d.log,
		Workers:  d.workers,
		Device:   d.device(),
		KeepOpen: d.settings.Keys.OpenFor(),
		Fresh:    objects,
		Wake:     func() { d.runner.Wake() },
		Outbox:   d.outbox,
		Record:   d.recordRotation,
	})
	if err != nil {
		return err
	}
	d.secrets, err = secret.NewService(secret.Config{
		DB: store.For[secret.Tx]{DB: d.db}, Sealer: d.sealer, Now: d.now, ToPEM: certificate.SecretToPEM,
		Workers: d.workers, Fresh: objects, Outbox: d.outbox,
	})
	if err != nil {
		return err
	}
	d.runner, err = jobs.NewRunner(jobs.Config{DB: store.For[jobs.WorkTx]{DB: d.db}, Kinds: d.kinds(), Now: d.now, Logger: d.log})
	return err
}

// issuers are the drivers, by provider in lower case.
func issuers() map[string]issuance.Issuer {
	return map[string]issuance.Issuer{strings.ToLower(issuance.Self): selfsigned.Issuer{}}
}
