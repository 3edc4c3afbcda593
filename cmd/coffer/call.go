package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/user"
	"strconv"

	"coffer/internal/access"
	"coffer/internal/admin"
	"coffer/internal/config"
	"coffer/internal/daemon"
	"coffer/internal/store"
)

// caller runs calls of the operator's door, wherever it is. out may be nil.
type caller interface {
	call(ctx context.Context, name string, in, out any) error
}

// localCaller is the door in this process.
type localCaller struct{ service *admin.Service }

func (l localCaller) call(ctx context.Context, name string, in, out any) error {
	raw, err := json.Marshal(in)
	if err != nil {
		return err
	}
	res, err := l.service.Call(ctx, access.Operator(operator(), strconv.Itoa(os.Getuid())), name, raw)
	if err != nil || out == nil {
		return err
	}
	if raw, err = json.Marshal(res); err != nil {
		return err
	}
	return json.Unmarshal(raw, out)
}

// socketCaller is the door of a running server.
type socketCaller struct{ client *admin.Client }

func (s socketCaller) call(ctx context.Context, name string, in, out any) error {
	if out == nil {
		out = &json.RawMessage{}
	}
	return s.client.Call(ctx, operator(), name, in, out)
}

// operator is what the user who runs this command is called, for the record.
func operator() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return "?"
}

// with finds the operator's door and hands it to fn: the running server's, or
// one in this process when no server runs.
func (f configFlag) with(ctx context.Context, s streams, fn func(caller) error) error {
	settings, err := f.open(s)
	if err != nil {
		return err
	}
	return withDoor(ctx, settings, s, fn)
}

func withDoor(ctx context.Context, settings *config.Config, s streams, fn func(caller) error) error {
	client, err := admin.Dial(daemon.SocketPath(settings))
	if err == nil {
		return fn(socketCaller{client})
	}
	if !errors.Is(err, admin.ErrNoServer) {
		return err
	}
	settings.Log.Level = "warn" // a command is not a server
	d, err := daemon.Open(ctx, settings, nil, settings.Logger(s.err))
	if errors.Is(err, store.ErrInUse) {
		return fmt.Errorf("%w, but its server does not answer at %s", err, daemon.SocketPath(settings))
	}
	if err != nil {
		return err
	}
	return errors.Join(fn(localCaller{d.Admin()}), d.Close())
}
