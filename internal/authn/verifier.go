package authn

import (
	"cmp"
	"context"
	"crypto"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/json"

	"coffer/internal/access"
	"coffer/internal/audience"
	"coffer/internal/directory"
	"coffer/internal/fresh"
	"coffer/internal/guid"
	"coffer/internal/object"
	"coffer/internal/token"
)

const (
	// maxToken bounds a compact token. Entra's with 200 groups have about 10 KB.
	maxToken = 16 << 10
	// maxVerified bounds the tokens that are remembered as verified; one takes
	// about a kilobyte.
	maxVerified = 10_000
	// maxForeign bounds the issuers of federated credentials whose keys are held.
	maxForeign = 100
	// maxOverages bounds the principals that a log line about their groups was
	// written for.
	maxOverages = 1000
)

// Config is what a Verifier is built from.
type Config struct {
	Directory *directory.Directory // who is in the tenant
	Tokens    *token.Service       // whose tokens are good beside those of Issuers
	DB        object.DB[Tx]        // remembers the assertions that were used
	Issuers   []Issuer             // at most 50
	Skew      time.Duration        // zero: 5 minutes; at most an hour

	// Entries are the object ids that access policies and role assignments name, in
	// lower case. Asked for once a minute at most, to tell of rights that are given to
	// an id which a claim stood for in earlier versions. nil: nothing is told.
	Entries func(ctx context.Context) (map[string]bool, error)

	// HTTP fetches the keys of issuers, over https and without redirects. The
	// rule of which addresses may be dialled is in its transport. nil: no keys
	// are fetched, so that only the directory's tokens are good.
	HTTP *http.Client

	Now func() time.Time // nil: time.Now
	Log *slog.Logger     // nil: silent
}

// Verifier turns bearer tokens into callers. It is safe for concurrent use.
type Verifier struct {
	dir     *directory.Directory
	db      object.DB[Tx]
	issuers []*issuer // in order of configuration, the built-in one first
	skew    time.Duration
	client  *http.Client
	now     func() time.Time
	log     *slog.Logger

	verified *fresh.Map[[sha256.Size]byte, *verified]
	foreign  *fresh.Map[string, *keySet] // by issuer
	overages *fresh.Map[string, bool]
	former   former
}

// New makes a Verifier; it fetches nothing yet.
func New(c Config) (*Verifier, error) {
	v := &Verifier{
		dir: c.Directory, db: c.DB, skew: c.Skew, now: c.Now, log: c.Log,
		verified: fresh.NewMap[[sha256.Size]byte, *verified](maxVerified, nil),
		foreign:  fresh.NewMap[string, *keySet](maxForeign, nil),
		overages: fresh.NewMap[string, bool](maxOverages, nil),
		former:   former{entries: c.Entries, told: fresh.NewMap[string, bool](maxFormer, nil)},
	}
	if v.skew == 0 {
		v.skew = token.DefaultSkew
	}
	if v.now == nil {
		v.now = time.Now
	}
	if v.log == nil {
		v.log = slog.New(slog.DiscardHandler)
	}
	switch {
	case c.Directory == nil || c.Tokens == nil || c.DB == nil:
		return nil, errors.New("authn: Directory, Tokens and DB are required")
	case v.skew < 0 || v.skew > time.Hour:
		return nil, errors.New("authn: Skew is 0 to 1 hour")
	case len(c.Issuers) > maxIssuers:
		return nil, fmt.Errorf("authn: more than %d issuers", maxIssuers)
	case c.HTTP == nil && slices.ContainsFunc(c.Issuers, func(i Issuer) bool { return i.HTTP == nil }):
		return nil, errors.New("authn: Issuers need HTTP")
	}
	if c.HTTP != nil {
		v.client = direct(c.HTTP)
	}
	v.issuers = append(v.issuers, builtIn(c.Tokens))
	if err := CheckIssuers(c.Issuers); err != nil {
		return nil, err
	}
	for n, i := range c.Issuers {
		if i.URL == c.Tokens.Issuer() {
			return nil, fmt.Errorf("identity.issuers[%d].url: it is this server", n)
		}
		made, err := newIssuer(i)
		if err != nil {
			return nil, err
		}
		made.keysOf(v.newKeySet(i))
		v.issuers = append(v.issuers, made)
	}
	return v, nil
}

func (v *Verifier) newKeySet(i Issuer) *keySet {
	k := &keySet{issuer: i.URL, jwksURI: i.JWKSURI, client: v.client, now: v.now, log: v.log}
	if i.HTTP != nil {
		k.client = direct(i.HTTP)
	}
	return k
}

func (v *Verifier) issuer(url string) *issuer {
	for _, i := range v.issuers {
		if i.url == url {
			return i
		}
	}
	return nil
}

// verified is a token whose signature and claims are good. What time and the
// directory can change is looked at again at every use.
type verified struct {
	issuer   *issuer
	id       keyID
	key      crypto.PublicKey
	audience []string
	times    times
	caller   access.Caller // Groups are those of the token
	overage  bool
	former   []formerID // what its claims stood for in earlier versions

	validAfter int64 // of the principal when a token of ours was asked for
}

// Verify answers who sent an Authorization header. audiences are those that the
// request's host stands for, its resource first (see Audiences); tenant is that
// of the vault. A token that is not good is a *Refusal; any other error means
// that it could not be decided now.
func (v *Verifier) Verify(ctx context.Context, authorization string, audiences []string, tenant string) (access.Caller, error) {
	token, refusal := bearer(authorization)
	if refusal != nil {
		return access.Caller{}, refusal
	}
	sum := sha256.Sum256([]byte(token))
	t, ok := v.verified.Get(sum)
	if ok {
		key, err := t.issuer.key(ctx, t.id)
		if err != nil {
			return access.Caller{}, err
		}
		ok = key == t.key // else the issuer has changed its keys
	}
	if !ok {
		var err error
		if t, err = v.check(ctx, token); err != nil {
			return access.Caller{}, err
		}
	}
	switch now := v.now(); {
	case t.times.over(now, v.skew):
		return access.Caller{}, &Refusal{Code: Expired, Msg: "Error validating token: IDX10223."}
	case t.times.long(now, v.skew):
		return access.Caller{}, &Refusal{Code: TooLong, Msg: "The token is good for longer than 24 hours" + t.times.tell() + ". Have its issuer issue shorter ones."}
	case t.times.early(now, v.skew):
		return access.Caller{}, &Refusal{Code: NotYetValid, Msg: "Error validating token: IDX10222."}
	}
	if !ok {
		v.verified.Put(sum, t)
		v.tellFormer(ctx, t)
	}
	if !t.serves(audiences) {
		return access.Caller{}, t.wrongAudience(audiences)
	}
	if !strings.EqualFold(t.issuer.tenant, tenant) {
		return access.Caller{}, v.wrongIssuer(t.issuer.url, tenant)
	}
	return v.admit(ctx, t)
}

// bearer takes the token out of the header value.
func bearer(authorization string) (string, *Refusal) {
	scheme, token, _ := strings.Cut(strings.TrimSpace(authorization), " ")
	token = strings.TrimLeft(token, " ")
	if !strings.EqualFold(scheme, "Bearer") || token == "" {
		return "", &Refusal{Code: NoToken, Msg: "Request is missing a Bearer or PoP token."}
	}
	if len(token) > maxToken {
		return "", malformed("it is too long")
	}
	return token, nil
}

// check verifies the signature and reads the claims. Nothing but iss is looked
// at before the signature is good, and only that issuer's keys are tried.
func (v *Verifier) check(ctx context.Context, token string) (*verified, error) {
	jws, err := jose.ParseSignedCompact(token, asymmetric)
	if err != nil || len(jws.Signatures) != 1 {
		return nil, malformed("it is not a compact JWS with an accepted algorithm") // which an issuer could be allowed
	}
	var peek struct {
		Issuer string `json:"iss"`
	}
	if json.Unmarshal(jws.UnsafePayloadWithoutVerification(), &peek) != nil {
		return nil, malformed("its payload is not a JSON object")
	}
	i := v.issuer(peek.Issuer)
	if i == nil {
		return nil, v.wrongIssuer(peek.Issuer, "")
	}
	if alg := jws.Signatures[0].Header.Algorithm; !slices.Contains(i.algorithms, jose.SignatureAlgorithm(alg)) {
		return nil, i.wrongAlgorithm(alg)
	}
	t := &verified{issuer: i, id: idOf(jws)}
	key, payload, err := i.verify(ctx, jws)
	switch {
	case err != nil:
		return nil, err
	case key == nil:
		first, _, _ := strings.Cut(token, ".")
		return nil, i.unknownKey(first)
	case payload == nil:
		return nil, &Refusal{Code: WrongSigner, Msg: "The signature of the token is invalid."}
	}
	t.key = key
	c, err := parseClaims(payload)
	if err == nil {
		err = t.read(c)
	}
	if err != nil {
		return nil, malformed(err.Error())
	}
	if tid, err := c.text("tid"); err != nil || i.entra && tid == "" || tid != "" && !strings.EqualFold(tid, i.tid) {
		return nil, i.wrongTenant(tid)
	}
	return t, nil
}

func idOf(jws *jose.JSONWebSignature) keyID {
	h := jws.Signatures[0].Header
	id := keyID{kid: h.KeyID, alg: jose.SignatureAlgorithm(h.Algorithm)}
	id.x5t, _ = h.ExtraHeaders["x5t"].(string)
	return id
}

// verify gives the issuer's key that signed, and what was signed: no key when the
// issuer has none of that id, no payload when the signature is not good.
func (i *issuer) verify(ctx context.Context, jws *jose.JSONWebSignature) (crypto.PublicKey, []byte, error) {
	key, err := i.key(ctx, idOf(jws))
	if err != nil || key == nil {
		return nil, nil, err
	}
	if payload, err := jws.Verify(key); err == nil {
		return key, payload, nil
	}
	if i.renewed != nil {
		if again := i.renewed(ctx, idOf(jws)); again != nil && again != key {
			if payload, err := jws.Verify(again); err == nil {
				return again, payload, nil
			}
		}
	}
	return key, nil, nil
}

// read fills t from claims that were signed.
func (t *verified) read(c claims) (err error) {
	if t.times, err = c.times(); err != nil {
		return err
	}
	if t.audience, err = c.texts("aud"); err != nil {
		return err
	}
	subject, app, groups := []string{"sub"}, []string{"azp", "client_id"}, t.issuer.claims.Groups
	if m := t.issuer.claims; m.ObjectID != "" {
		subject = []string{m.ObjectID}
	}
	if m := t.issuer.claims; m.AppID != "" {
		app = []string{m.AppID}
	}
	if t.issuer.entra {
		subject, app, groups = []string{"oid", "sub"}, []string{"appid", "azp"}, "groups"
	}
	var errs [9]error
	caller := access.Caller{TenantID: t.issuer.tenant, Issuer: t.issuer.url}
	var oid, scope, kind string
	oid, errs[0] = c.text(subject...)
	caller.AppID, errs[1] = c.text(app...)
	scope, errs[2] = c.text("scp")
	kind, errs[3] = c.text("idtyp")
	caller.UPN, errs[4] = c.text("upn", "unique_name", "preferred_username")
	caller.TokenID, errs[5] = c.text("uti", "jti")
	caller.Groups, errs[6] = c.texts(groups)
	if t.issuer.builtIn {
		caller.Credential, errs[7] = c.text("coffer_credential")
		t.validAfter, errs[8] = c.number("coffer_valid_after")
	}
	if err := errors.Join(errs[:]...); err != nil {
		return err
	}
	if oid == "" {
		return errors.New(subject[0] + " is required")
	}
	var ok bool
	if caller.ObjectID, ok = t.issuer.subject(oid); !ok {
		return errors.New(subject[0] + " is not a GUID, as an object id of its issuer is")
	}
	if id, ok := guid.Parse(caller.AppID); ok {
		caller.AppID = id
	}
	t.former = formerIDs(t.issuer, oid, caller.Groups)
	caller.Groups = t.issuer.groups(caller.Groups)
	caller.TokenGroups = len(caller.Groups)
	caller.AppID, caller.UPN, caller.TokenID = quoted(caller.AppID, 128), quoted(caller.UPN, 256), quoted(caller.TokenID, 128)
	caller.KeyID = quoted(cmp.Or(t.id.kid, t.id.x5t), 128)
	caller.Delegated = scope != "" && kind != "app"
	t.caller, t.overage = caller, c.overage()
	return nil
}

// serves reports whether the token was made for one of the audiences. The
// public cloud's names count for the directory's own tokens only: a token that
// another issuer made for them opens real vaults too, and should not be
// collected here unless the operator says so (contract identity.md, 8 and 10).
func (t *verified) serves(audiences []string) bool {
	if t.issuer.builtIn {
		return intersect(t.audience, audiences)
	}
	if intersect(t.audience, t.issuer.audiences) {
		return true
	}
	return slices.ContainsFunc(t.audience, func(a string) bool {
		return slices.Contains(audiences, a) && !slices.Contains(audience.Public, a)
	})
}

// revoked tells whether a token is one of before its principal's were revoked. One of
// ours also ends with the credential that obtained it.
func (t *verified) revoked(s directory.Standing) bool {
	if t.issuer.builtIn {
		return t.validAfter != s.Principal.ValidAfter || !slices.Contains(s.Credentials, t.caller.Credential)
	}
	// Whole seconds: of a token of the same second nobody knows. One that does not
	// say when it was issued is none of after.
	return s.Principal != nil && s.Principal.ValidAfter > 0 && t.times.start().UnixMilli() <= s.Principal.ValidAfter
}

// admit asks the directory. Its own tokens are good while their principal is
// there and enabled. An external issuer names users and its own workloads, but
// not the principals that prove themselves here. Groups come from the directory
// when it knows the caller, else from the token (contract access-control.md, 3).
func (v *Verifier) admit(ctx context.Context, t *verified) (access.Caller, error) {
	s, err := v.dir.Standing(ctx, t.caller.ObjectID)
	if err != nil {
		return access.Caller{}, fmt.Errorf("looking up the caller: %w", err)
	}
	caller := t.caller
	p := s.Principal
	if t.issuer.builtIn && p == nil || p != nil && (!p.Enabled || p.Kind == directory.Group || !t.issuer.builtIn && p.Kind != directory.User) {
		return access.Caller{}, &Refusal{Code: Barred, Msg: "The principal of the token is disabled or unknown."}
	}
	if t.revoked(s) {
		return access.Caller{}, &Refusal{Code: Barred, Msg: "The token is revoked: sign in again.", Renew: true}
	}
	if p != nil && p.Kind != directory.User || len(s.Groups) > 0 {
		caller.Groups = slices.Clone(s.Groups)
		return caller, nil
	}
	if t.overage {
		caller.Groups, caller.TokenGroups = nil, 0
		if _, logged := v.overages.Get(caller.ObjectID); !logged {
			v.overages.Put(caller.ObjectID, true)
			v.log.WarnContext(ctx, "the token leaves out the caller's groups because there are too many; none are counted",
				"oid", caller.ObjectID, "iss", caller.Issuer)
		}
	}
	caller.Groups, err = v.foreignGroups(ctx, t.issuer, caller.Groups)
	return caller, err
}

// foreignGroups are the groups that the token names and the directory does not: its own
// principals, groups too, are nobody's to name.
func (v *Verifier) foreignGroups(ctx context.Context, i *issuer, named []string) (groups []string, err error) {
	if !i.ownIDs { // a name space apart
		return slices.Clone(named), nil
	}
	for _, g := range named {
		s, err := v.dir.Standing(ctx, g)
		if err != nil {
			return nil, fmt.Errorf("looking up a group: %w", err)
		}
		if s.Principal == nil {
			groups = append(groups, g)
		}
	}
	return groups, nil
}
