package admin

import (
	"context"
	"slices"
	"time"

	"coffer/internal/access"
	"coffer/internal/directory"
	"coffer/internal/fault"
	"coffer/internal/guid"
)

// find looks a principal up by object id, client id or name.
func (s *Service) find(ctx context.Context, text string) (*directory.Principal, error) {
	if _, ok := guid.Parse(text); ok {
		return s.cfg.Directory.Principal(ctx, text)
	}
	var found *directory.Principal
	err := s.each(ctx, func(p *directory.Principal) error {
		if p.Name != text {
			return nil
		}
		if found != nil {
			return &fault.Error{Kind: fault.Conflict, Msg: "Several identities are named '" + text + "': give the object id."}
		}
		found = p
		return nil
	})
	if err == nil && found == nil {
		err = &fault.Error{Kind: fault.NotFound, Msg: "There is no identity '" + text + "'."}
	}
	return found, err
}

// each walks the directory.
func (s *Service) each(ctx context.Context, fn func(*directory.Principal) error) error {
	const page = 500
	after := ""
	for {
		list, err := s.cfg.Directory.List(ctx, after, page)
		if err != nil {
			return err
		}
		for _, p := range list {
			if err := fn(p); err != nil {
				return err
			}
		}
		if len(list) < page {
			return nil
		}
		after = list[len(list)-1].ObjectID
	}
}

func (s *Service) createIdentity(ctx context.Context, g access.Grant, in NewIdentity) (IdentityView, error) {
	create := map[string]func(context.Context, string) (*directory.Principal, error){
		"application": s.cfg.Directory.CreateApplication,
		"managed":     s.cfg.Directory.CreateManagedIdentity,
		"group":       s.cfg.Directory.CreateGroup,
	}[in.Kind]
	if create == nil {
		return IdentityView{}, &fault.Error{Kind: fault.Invalid, Field: "kind", Msg: "A kind is application, managed or group."}
	}
	p, err := create(ctx, in.Name)
	if err != nil {
		return IdentityView{}, err
	}
	regarding(g, p)
	return viewIdentity(p), nil
}

func (s *Service) listIdentities(ctx context.Context, g access.Grant, _ None) ([]IdentityView, error) {
	views := []IdentityView{}
	err := s.each(ctx, func(p *directory.Principal) error {
		views = append(views, viewIdentity(p))
		return nil
	})
	return views, err
}

func (s *Service) showIdentity(ctx context.Context, g access.Grant, in ByID) (IdentityView, error) {
	p, err := s.find(ctx, in.ID)
	if err != nil {
		return IdentityView{}, err
	}
	view := viewIdentity(p)
	creds, err := s.cfg.Directory.Credentials(ctx, p.ObjectID)
	if err != nil {
		return view, err
	}
	for _, c := range creds {
		view.Credentials = append(view.Credentials, viewCredential(c))
	}
	if p.Kind == directory.Group {
		if view.Members, err = s.cfg.Directory.Members(ctx, p.ObjectID); err != nil {
			return view, err
		}
	}
	view.Groups, err = s.cfg.Directory.Groups(ctx, p.ObjectID)
	return view, err
}

func (s *Service) enable(ctx context.Context, g access.Grant, in ByID) (IdentityView, error) {
	return s.switched(ctx, g, in.ID, s.cfg.Directory.Enable)
}

func (s *Service) disable(ctx context.Context, g access.Grant, in ByID) (IdentityView, error) {
	return s.switched(ctx, g, in.ID, s.cfg.Directory.Disable)
}

func (s *Service) switched(ctx context.Context, g access.Grant, id string, do func(context.Context, string) error) (IdentityView, error) {
	p, err := s.find(ctx, id)
	if err != nil {
		return IdentityView{}, err
	}
	regarding(g, p)
	if err := do(ctx, p.ObjectID); err != nil {
		return IdentityView{}, err
	}
	return s.showIdentity(ctx, g, ByID{p.ObjectID})
}

func (s *Service) deleteIdentity(ctx context.Context, g access.Grant, in ByID) (None, error) {
	p, err := s.find(ctx, in.ID)
	if err != nil {
		return None{}, err
	}
	regarding(g, p)
	return None{}, s.cfg.Directory.Delete(ctx, p.ObjectID)
}

func (s *Service) addSecret(ctx context.Context, g access.Grant, in NewSecret) (SecretView, error) {
	return s.random(ctx, g, in, s.cfg.Directory.AddSecret)
}

func (s *Service) addHeader(ctx context.Context, g access.Grant, in NewSecret) (SecretView, error) {
	return s.random(ctx, g, in, s.cfg.Directory.AddIdentityHeader)
}

func (s *Service) random(ctx context.Context, g access.Grant, in NewSecret, add func(context.Context, string, time.Time) (*directory.Credential, string, error)) (SecretView, error) {
	p, err := s.find(ctx, in.ID)
	if err != nil {
		return SecretView{}, err
	}
	regarding(g, p)
	c, value, err := add(ctx, p.ObjectID, in.Expires)
	if err != nil {
		return SecretView{}, err
	}
	return SecretView{viewCredential(c), value}, nil
}

func (s *Service) addCertificate(ctx context.Context, g access.Grant, in NewCertificate) (CredentialView, error) {
	p, err := s.find(ctx, in.ID)
	if err != nil {
		return CredentialView{}, err
	}
	regarding(g, p)
	c, err := s.cfg.Directory.AddCertificate(ctx, p.ObjectID, []byte(in.PEM))
	if err != nil {
		return CredentialView{}, err
	}
	return viewCredential(c), nil
}

func (s *Service) addFederated(ctx context.Context, g access.Grant, in NewFederated) (CredentialView, error) {
	p, err := s.find(ctx, in.ID)
	if err != nil {
		return CredentialView{}, err
	}
	regarding(g, p)
	c, err := s.cfg.Directory.AddFederated(ctx, p.ObjectID, in.Issuer, in.Subject, in.Audiences)
	if err != nil {
		return CredentialView{}, err
	}
	return viewCredential(c), nil
}

func (s *Service) forget(ctx context.Context, g access.Grant, in Forget) (None, error) {
	p, err := s.find(ctx, in.ID)
	if err != nil {
		return None{}, err
	}
	regarding(g, p)
	creds, err := s.cfg.Directory.Credentials(ctx, p.ObjectID)
	if err != nil {
		return None{}, err
	}
	// A mistyped id must not read like a removal.
	if !slices.ContainsFunc(creds, func(c *directory.Credential) bool { return c.ID == in.Credential }) {
		return None{}, &fault.Error{Kind: fault.NotFound, Msg: "The identity has no credential '" + in.Credential + "'."}
	}
	return None{}, s.cfg.Directory.RemoveCredential(ctx, p.ObjectID, in.Credential)
}

func (s *Service) join(ctx context.Context, g access.Grant, in Membership) (None, error) {
	return s.member(ctx, g, in, s.cfg.Directory.AddMember)
}

func (s *Service) leave(ctx context.Context, g access.Grant, in Membership) (None, error) {
	return s.member(ctx, g, in, s.cfg.Directory.RemoveMember)
}

func (s *Service) member(ctx context.Context, g access.Grant, in Membership, do func(ctx context.Context, group, member string) error) (None, error) {
	group, err := s.find(ctx, in.Group)
	if err != nil {
		return None{}, err
	}
	regarding(g, group)
	member, err := s.objectID(ctx, in.Member) // users of an external issuer have no row here
	if err != nil {
		return None{}, err
	}
	return None{}, do(ctx, group.ObjectID, member)
}

// regarding names the identity of a call in its record.
func regarding(g access.Grant, p *directory.Principal) {
	g.Attempt().Concerns("identities/" + p.ObjectID)
}
