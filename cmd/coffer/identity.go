package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"coffer/internal/admin"
	"coffer/internal/authn"
	"coffer/internal/daemon"
)

type idCmd struct {
	Create      idCreateCmd      `cmd:"" help:"Create an application, a managed identity or a group."`
	List        idListCmd        `cmd:"" help:"List identities."`
	Show        idShowCmd        `cmd:"" help:"Show an identity with its credentials."`
	Enable      idEnableCmd      `cmd:"" help:"Enable an identity."`
	Disable     idDisableCmd     `cmd:"" help:"Disable an identity: its tokens are refused, and stay so when it is enabled again."`
	Revoke      idRevokeCmd      `cmd:"" help:"End the tokens that an identity has (sign it out everywhere); it may sign in again."`
	Delete      idDeleteCmd      `cmd:"" help:"Delete an identity."`
	Secret      idSecretCmd      `cmd:"" help:"Add a client secret to an application; shown once."`
	Header      idHeaderCmd      `cmd:"" help:"Add an IDENTITY_HEADER for a workload; shown once."`
	Certificate idCertificateCmd `cmd:"" help:"Register a certificate that signs an application's assertions."`
	Federated   idFederatedCmd   `cmd:"" help:"Trust another issuer's tokens for an application."`
	Forget      idForgetCmd      `cmd:"" help:"Remove a credential, and end the tokens that it obtained."`
	Join        idJoinCmd        `cmd:"" help:"Put an identity into a group."`
	Leave       idLeaveCmd       `cmd:"" help:"Take an identity out of a group."`
	External    idExternalCmd    `cmd:"" help:"Tell the object id of a subject or group of an external issuer, to give it rights."`
}

type idCreateCmd struct {
	operatorFlags
	Name string `arg:"" help:"Name, for people."`
	Kind string `help:"application, managed or group." enum:"application,managed,group" default:"application"`
}

func (c *idCreateCmd) Run(ctx context.Context, s streams) error {
	return ask(ctx, s, c.operatorFlags, admin.IdentityCreate, admin.NewIdentity{Name: c.Name, Kind: c.Kind}, showIdentity)
}

func showIdentity(s streams, p admin.IdentityView) {
	rows := []string{"name\t" + p.Name, "kind\t" + p.Kind, "client id\t" + p.ClientID, fmt.Sprintf("enabled\t%t", p.Enabled)}
	if p.ValidAfter != nil {
		rows = append(rows, "tokens revoked\t"+p.ValidAfter.Format(time.RFC3339))
	}
	if len(p.Groups) > 0 {
		rows = append(rows, "groups\t"+strings.Join(p.Groups, " "))
	}
	if len(p.Members) > 0 {
		rows = append(rows, "members\t"+strings.Join(p.Members, " "))
	}
	table(s, "object id\t"+p.ObjectID, rows)
	if len(p.Credentials) > 0 {
		var rows []string
		for _, c := range p.Credentials {
			rows = append(rows, credentialRow(c))
		}
		fmt.Fprintln(s.out)
		table(s, credentialHeading, rows)
	}
}

const credentialHeading = "CREDENTIAL\tKIND\tHINT\tCREATED\tEXPIRES"

func credentialRow(c admin.CredentialView) string {
	expires := "never"
	if c.Expires != nil {
		expires = c.Expires.Format(time.RFC3339)
	}
	hint := c.Hint
	if c.Issuer != "" {
		hint = c.Issuer + " " + c.Subject
	}
	return strings.Join([]string{c.ID, c.Kind, hint, c.Created.Format(time.RFC3339), expires}, "\t")
}

func showCredential(s streams, c admin.CredentialView) {
	table(s, credentialHeading, []string{credentialRow(c)})
}

type idListCmd struct{ operatorFlags }

func (c *idListCmd) Run(ctx context.Context, s streams) error {
	return ask(ctx, s, c.operatorFlags, admin.IdentityList, admin.None{}, func(s streams, list []admin.IdentityView) {
		var rows []string
		for _, p := range list {
			rows = append(rows, fmt.Sprintf("%s\t%s\t%s\t%s\t%t", p.Name, p.Kind, p.ObjectID, p.ClientID, p.Enabled))
		}
		table(s, "NAME\tKIND\tOBJECT ID\tCLIENT ID\tENABLED", rows)
	})
}

// identityArg names one identity.
type identityArg struct {
	operatorFlags
	ID string `arg:"" name:"identity" help:"Object id, client id or name."`
}

type idShowCmd struct{ identityArg }

func (c *idShowCmd) Run(ctx context.Context, s streams) error {
	return ask(ctx, s, c.operatorFlags, admin.IdentityShow, admin.ByID{ID: c.ID}, showIdentity)
}

type idEnableCmd struct{ identityArg }

func (c *idEnableCmd) Run(ctx context.Context, s streams) error {
	return ask(ctx, s, c.operatorFlags, admin.IdentityEnable, admin.ByID{ID: c.ID}, showIdentity)
}

type idDisableCmd struct{ identityArg }

func (c *idDisableCmd) Run(ctx context.Context, s streams) error {
	return ask(ctx, s, c.operatorFlags, admin.IdentityDisable, admin.ByID{ID: c.ID}, func(s streams, p admin.IdentityView) {
		showIdentity(s, p)
		fmt.Fprintln(s.err, "It cannot sign in, and the tokens that it had are refused, on other replicas within a second.")
	})
}

type idRevokeCmd struct {
	identityArg
	External bool `help:"The identity is the object id of a user whom only an external issuer knows."`
}

func (c *idRevokeCmd) Run(ctx context.Context, s streams) error {
	return ask(ctx, s, c.operatorFlags, admin.IdentityRevoke, admin.Revocation{ID: c.ID, External: c.External}, func(s streams, p admin.IdentityView) {
		showIdentity(s, p)
		fmt.Fprintln(s.err, "The tokens that it had are refused, on other replicas within a second. Its credentials are good: remove those that"+
			" somebody else may have with 'coffer identity forget'.")
	})
}

type idDeleteCmd struct {
	identityArg
	yesFlag
}

func (c *idDeleteCmd) Run(ctx context.Context, s streams) error {
	return c.with(ctx, s, func(call caller) error {
		var p admin.IdentityView
		if err := call.call(ctx, admin.IdentityShow, admin.ByID{ID: c.ID}, &p); err != nil {
			return err
		}
		if err := c.confirm(s, fmt.Sprintf("this deletes the %s '%s' (%s) for ever, with its credentials; its tokens end, on other replicas within a second", p.Kind, p.Name, p.ObjectID)); err != nil {
			return err
		}
		var out admin.None
		if err := call.call(ctx, admin.IdentityDelete, admin.ByID{ID: p.ObjectID}, &out); err != nil {
			return err
		}
		if c.JSON {
			return printJSON(s.out, out)
		}
		said("deleted %s", c.ID)(s, out)
		return nil
	})
}

// secretFlags are those of random credentials.
type secretFlags struct {
	identityArg
	Lifetime duration `help:"How long it is good, such as 90d or 12h (default: until it is removed)." placeholder:"DURATION"`
}

func (f secretFlags) input() admin.NewSecret {
	in := admin.NewSecret{ID: f.ID}
	if f.Lifetime > 0 {
		in.Expires = time.Now().Add(time.Duration(f.Lifetime))
	}
	return in
}

func showSecret(s streams, v admin.SecretView) {
	fmt.Fprintln(s.out, v.Value)
	fmt.Fprintln(s.err, "This is the only time that it is shown; credential", v.ID)
}

type idSecretCmd struct{ secretFlags }

func (c *idSecretCmd) Run(ctx context.Context, s streams) error {
	return ask(ctx, s, c.operatorFlags, admin.SecretAdd, c.input(), showSecret)
}

type idHeaderCmd struct{ secretFlags }

func (c *idHeaderCmd) Run(ctx context.Context, s streams) error {
	return ask(ctx, s, c.operatorFlags, admin.HeaderAdd, c.input(), showSecret)
}

type idCertificateCmd struct {
	identityArg
	File string `arg:"" help:"Certificate, PEM." type:"existingfile"`
}

func (c *idCertificateCmd) Run(ctx context.Context, s streams) error {
	raw, err := os.ReadFile(c.File)
	if err != nil {
		return err
	}
	return ask(ctx, s, c.operatorFlags, admin.CertificateAdd, admin.NewCertificate{ID: c.ID, PEM: string(raw)}, showCredential)
}

type idFederatedCmd struct {
	identityArg
	Issuer   string   `help:"Issuer of the tokens (https URL)." required:"" placeholder:"URL"`
	Subject  string   `help:"Subject of the tokens." required:"" placeholder:"TEXT"`
	Audience []string `help:"Audience of the tokens (default: api://AzureADTokenExchange)." placeholder:"TEXT"`
}

func (c *idFederatedCmd) Run(ctx context.Context, s streams) error {
	in := admin.NewFederated{ID: c.ID, Issuer: c.Issuer, Subject: c.Subject, Audiences: c.Audience}
	return ask(ctx, s, c.operatorFlags, admin.FederatedAdd, in, showCredential)
}

type idForgetCmd struct {
	identityArg
	Credential string `arg:"" help:"Id of the credential."`
}

func (c *idForgetCmd) Run(ctx context.Context, s streams) error {
	return ask(ctx, s, c.operatorFlags, admin.CredentialRemove, admin.Forget{ID: c.ID, Credential: c.Credential}, said("removed %s; the tokens that it obtained are refused, on other replicas within a second", c.Credential))
}

// memberArgs are a group and one of its members.
type memberArgs struct {
	operatorFlags
	Group  string `arg:"" help:"Object id or name of the group."`
	Member string `arg:"" help:"Object id, client id or name of the member."`
}

type idJoinCmd struct{ memberArgs }

func (c *idJoinCmd) Run(ctx context.Context, s streams) error {
	return ask(ctx, s, c.operatorFlags, admin.MemberAdd, admin.Membership{Group: c.Group, Member: c.Member}, said("%s is in %s", c.Member, c.Group))
}

type idLeaveCmd struct{ memberArgs }

func (c *idLeaveCmd) Run(ctx context.Context, s streams) error {
	return ask(ctx, s, c.operatorFlags, admin.MemberRemove, admin.Membership{Group: c.Group, Member: c.Member}, said("%s is not in %s", c.Member, c.Group))
}

type idExternalCmd struct {
	configFlag
	Issuer  string `help:"The issuer, exactly as in identity.issuers." required:"" placeholder:"URL"`
	Subject string `help:"What its tokens say of the user or workload (sub, or the claim that claims.object_id names)." xor:"who" required:"" placeholder:"TEXT"`
	Group   string `help:"What its tokens say of the group." xor:"who" required:"" placeholder:"TEXT"`
	JSON    bool   `help:"Print JSON."`
}

func (c *idExternalCmd) Run(s streams) error {
	settings, err := c.load()
	if err != nil {
		return err
	}
	issuers, err := daemon.Issuers(settings)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(issuers, func(i authn.Issuer) bool { return i.URL == c.Issuer })
	if i < 0 {
		return fmt.Errorf("%s has no issuer '%s' in identity.issuers, where it must be spelled as in its tokens", c.Config, c.Issuer)
	}
	id := issuers[i].ObjectID(c.Subject+c.Group, c.Group != "")
	if id == "" {
		return errors.New("this issuer's ids are its own (ids: own): give the object id, a GUID, as it stands in its tokens")
	}
	if c.JSON {
		return printJSON(s.out, map[string]string{"objectId": id})
	}
	fmt.Fprintln(s.out, id)
	return nil
}
