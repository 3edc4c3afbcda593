package admin

import (
	"context"
	"time"

	"coffer/internal/access"
	"coffer/internal/directory"
	"coffer/internal/fault"
	"coffer/internal/seal"
)

// find resolves what a person wrote, and names it in the record of a call.
func (s *Service) find(ctx context.Context, g access.Grant, text string) (*directory.Principal, error) {
	p, err := s.cfg.Directory.Resolve(ctx, text)
	if err == nil {
		g.Attempt().Concerns("identities/" + p.ObjectID)
	}
	return p, err
}

func (s *Service) createIdentity(ctx context.Context, g access.Grant, in NewIdentity) (IdentityView, error) {
	create := map[string]func(context.Context, access.Grant, string) (*directory.Principal, error){
		"application": s.cfg.Directory.CreateApplication,
		"managed":     s.cfg.Directory.CreateManagedIdentity,
		"group":       s.cfg.Directory.CreateGroup,
	}[in.Kind]
	if create == nil {
		return IdentityView{}, &fault.Error{Kind: fault.Invalid, Field: "kind", Msg: "A kind is application, managed or group."}
	}
	p, err := create(ctx, g, in.Name)
	if err != nil {
		return IdentityView{}, err
	}
	g.Attempt().Concerns("identities/" + p.ObjectID)
	return viewIdentity(p), nil
}

func (s *Service) listIdentities(ctx context.Context, g access.Grant, _ None) ([]IdentityView, error) {
	const page = 500
	views := []IdentityView{}
	for after := ""; ; {
		list, err := s.cfg.Directory.List(ctx, g, after, page)
		if err != nil {
			return nil, err
		}
		for _, p := range list {
			views = append(views, viewIdentity(p))
		}
		if len(list) < page {
			return views, nil
		}
		after = list[len(list)-1].ObjectID
	}
}

func (s *Service) showIdentity(ctx context.Context, g access.Grant, in ByID) (IdentityView, error) {
	p, err := s.find(ctx, g, in.ID)
	if err != nil {
		return IdentityView{}, err
	}
	d, err := s.cfg.Directory.Detail(ctx, g, p.ObjectID)
	if err != nil {
		return IdentityView{}, err
	}
	view := viewIdentity(d.Principal)
	for _, c := range d.Credentials {
		view.Credentials = append(view.Credentials, viewCredential(c))
	}
	view.Members, view.Groups = d.Members, d.Groups
	return view, nil
}

func (s *Service) enable(ctx context.Context, g access.Grant, in ByID) (IdentityView, error) {
	return s.switched(ctx, g, in.ID, s.cfg.Directory.Enable)
}

func (s *Service) disable(ctx context.Context, g access.Grant, in ByID) (IdentityView, error) {
	return s.switched(ctx, g, in.ID, s.cfg.Directory.Disable)
}

func (s *Service) switched(ctx context.Context, g access.Grant, id string, do func(context.Context, access.Grant, string) error) (IdentityView, error) {
	p, err := s.find(ctx, g, id)
	if err != nil {
		return IdentityView{}, err
	}
	if err := do(ctx, g, p.ObjectID); err != nil {
		return IdentityView{}, err
	}
	return s.showIdentity(ctx, g, ByID{p.ObjectID})
}

// revoke names what the directory does not know by the id alone.
func (s *Service) revoke(ctx context.Context, g access.Grant, in Revocation) (IdentityView, error) {
	id := in.ID
	p, err := s.find(ctx, g, in.ID)
	switch {
	case err == nil:
		id = p.ObjectID
	case !in.External || !fault.Is(err, fault.NotFound):
		return IdentityView{}, err
	}
	if err := s.cfg.Directory.Revoke(ctx, g, id, in.External); err != nil {
		return IdentityView{}, err
	}
	return s.showIdentity(ctx, g, ByID{id})
}

func (s *Service) deleteIdentity(ctx context.Context, g access.Grant, in ByID) (None, error) {
	p, err := s.find(ctx, g, in.ID)
	if err != nil {
		return None{}, err
	}
	return None{}, s.cfg.Directory.Delete(ctx, g, p.ObjectID)
}

func (s *Service) addSecret(ctx context.Context, g access.Grant, in NewSecret) (SecretView, error) {
	return s.random(ctx, g, in, s.cfg.Directory.AddSecret)
}

func (s *Service) addHeader(ctx context.Context, g access.Grant, in NewSecret) (SecretView, error) {
	return s.random(ctx, g, in, s.cfg.Directory.AddIdentityHeader)
}

func (s *Service) random(ctx context.Context, g access.Grant, in NewSecret, add func(context.Context, access.Grant, string, time.Time) (*directory.Credential, seal.Value, error)) (SecretView, error) {
	p, err := s.find(ctx, g, in.ID)
	if err != nil {
		return SecretView{}, err
	}
	c, value, err := add(ctx, g, p.ObjectID, in.Expires)
	if err != nil {
		return SecretView{}, err
	}
	return SecretView{viewCredential(c), string(value.Reveal())}, nil
}

func (s *Service) addCertificate(ctx context.Context, g access.Grant, in NewCertificate) (CredentialView, error) {
	p, err := s.find(ctx, g, in.ID)
	if err != nil {
		return CredentialView{}, err
	}
	c, err := s.cfg.Directory.AddCertificate(ctx, g, p.ObjectID, []byte(in.PEM))
	if err != nil {
		return CredentialView{}, err
	}
	return viewCredential(c), nil
}

func (s *Service) addFederated(ctx context.Context, g access.Grant, in NewFederated) (CredentialView, error) {
	p, err := s.find(ctx, g, in.ID)
	if err != nil {
		return CredentialView{}, err
	}
	c, err := s.cfg.Directory.AddFederated(ctx, g, p.ObjectID, in.Issuer, in.Subject, in.Audiences)
	if err != nil {
		return CredentialView{}, err
	}
	return viewCredential(c), nil
}

func (s *Service) forget(ctx context.Context, g access.Grant, in Forget) (None, error) {
	p, err := s.find(ctx, g, in.ID)
	if err != nil {
		return None{}, err
	}
	return None{}, s.cfg.Directory.RemoveCredential(ctx, g, p.ObjectID, in.Credential)
}

func (s *Service) join(ctx context.Context, g access.Grant, in Membership) (None, error) {
	return s.member(ctx, g, in, s.cfg.Directory.AddMember)
}

func (s *Service) leave(ctx context.Context, g access.Grant, in Membership) (None, error) {
	return s.member(ctx, g, in, s.cfg.Directory.RemoveMember)
}

func (s *Service) member(ctx context.Context, g access.Grant, in Membership, do func(ctx context.Context, g access.Grant, group, member string) error) (None, error) {
	group, err := s.find(ctx, g, in.Group)
	if err != nil {
		return None{}, err
	}
	member, err := s.objectID(ctx, in.Member) // users of an external issuer have no row here
	if err != nil {
		return None{}, err
	}
	return None{}, do(ctx, g, group.ObjectID, member)
}
