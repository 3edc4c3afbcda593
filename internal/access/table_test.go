package access

import (
	"bytes"
	"go/ast"
	goparser "go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"coffer/internal/object"
)

// contractRows are contract access-control.md, 4.1 to 4.3, as the document puts
// them: operation, words of a policy, data action, target (V or O), and D where
// state changes, a secret is revealed or something is signed: an intent comes first.
const contractRows = `
CertificateList            list                                  certificates/read              V
CertificateListVersions    list                                  certificates/read              O
CertificateGet             get                                   certificates/read              O
CertificateCreate          create                                certificates/create/action     O D
CertificateImport          import                                certificates/import/action     O D
CertificateUpdate          update                                certificates/update/action     O D
CertificatePolicyGet       get                                   certificates/read              O
CertificatePolicyUpdate    update                                certificates/update/action     O D
CertificatePendingGet      get                                   certificates/read              O
CertificatePendingUpdate   update                                certificates/update/action     O D
CertificatePendingDelete   update                                certificates/update/action     O D
CertificatePendingMerge    create                                certificates/create/action     O D
CertificateDelete          delete                                certificates/delete            O D
CertificateBackup          backup                                certificates/backup/action     O D
CertificateRestore         restore                               certificates/restore/action    O D
CertificateListDeleted     list                                  certificates/read              V
CertificateGetDeleted      get                                   certificates/read              O
CertificateRecover         recover                               certificates/recover/action    O D
CertificatePurge           purge                                 certificates/purge/action      O D
CertificateContactsGet     managecontacts                        certificatecontacts/write      V
CertificateContactsSet     managecontacts                        certificatecontacts/write      V D
CertificateContactsDelete  managecontacts                        certificatecontacts/write      V D
CertificateIssuersList     listissuers,manageissuers,getissuers  certificatecas/read            V
CertificateIssuerGet       getissuers,manageissuers              certificatecas/read            V
CertificateIssuerSet       setissuers,manageissuers              certificatecas/write           V D
CertificateIssuerUpdate    setissuers,manageissuers              certificatecas/write           V D
CertificateIssuerDelete    deleteissuers,manageissuers           certificatecas/delete          V D
KeyList                    list                                  keys/read                      V
KeyListVersions            list                                  keys/read                      O
KeyGet                     get                                   keys/read                      O
KeyGetAttestation          get                                   keys/read                      O
KeyCreate                  create                                keys/create/action             O D
KeyImport                  import                                keys/import/action             O D
KeyUpdate                  update                                keys/update/action             O D
KeyRotate                  rotate                                keys/rotate/action             O D
KeyRotationPolicyGet       getrotationpolicy                     keyrotationpolicies/read       O
KeyRotationPolicySet       setrotationpolicy                     keyrotationpolicies/write      O D
KeyDelete                  delete                                keys/delete                    O D
KeyBackup                  backup                                keys/backup/action             O D
KeyRestore                 restore                               keys/restore/action            O D
KeyListDeleted             list                                  keys/read                      V
KeyGetDeleted              get                                   keys/read                      O
KeyRecover                 recover                               keys/recover/action            O D
KeyPurge                   purge                                 keys/purge/action              O D
KeyEncrypt                 encrypt                               keys/encrypt/action,keys/read  O
KeyDecrypt                 decrypt                               keys/decrypt/action            O D
KeyWrap                    wrapKey                               keys/wrap/action,keys/read     O
KeyUnwrap                  unwrapKey                             keys/unwrap/action             O D
KeySign                    sign                                  keys/sign/action               O D
KeyVerify                  verify                                keys/verify/action,keys/read   O
KeyRelease                 release                               keys/release/action            O D
KeyWrap                    wrapKey                               keys/wrap/action               O
KeyUnwrap                  unwrapKey                             keys/unwrap/action             O D
KeyGetRandomBytes          get                                   keys/read                      V
SecretList                 list                                  secrets/readMetadata/action    V
SecretListVersions         list                                  secrets/readMetadata/action    O
SecretGet                  get                                   secrets/getSecret/action       O D
SecretSet                  set                                   secrets/setSecret/action       O D
SecretUpdate               set                                   secrets/update/action          O D
SecretDelete               delete                                secrets/delete                 O D
SecretBackup               backup                                secrets/backup/action          O D
SecretRestore              restore                               secrets/restore/action         O D
SecretListDeleted          list                                  secrets/readMetadata/action    V
SecretGetDeleted           get                                   secrets/readMetadata/action    O
SecretRecover              recover                               secrets/recover/action         O D
SecretPurge                purge                                 secrets/purge/action           O D
`

// Every word of management.md, 5, and every data action of access-control.md, 6.4.
var (
	allWords = map[object.Family]string{
		object.Keys:         "encrypt decrypt wrapKey unwrapKey sign verify get list create update import delete backup restore recover purge release rotate getrotationpolicy setrotationpolicy",
		object.Secrets:      "get list set delete backup restore recover purge",
		object.Certificates: "get list delete create import update managecontacts getissuers listissuers setissuers deleteissuers manageissuers recover purge backup restore",
	}
	allDataActions = strings.Fields(`certificatecas/read certificatecas/write certificatecas/delete certificatecontacts/write
		certificates/read certificates/delete certificates/backup/action certificates/purge/action certificates/update/action
		certificates/create/action certificates/import/action certificates/recover/action certificates/restore/action
		keyrotationpolicies/read keyrotationpolicies/write keys/read keys/delete keys/update/action keys/create/action keys/import/action
		keys/recover/action keys/restore/action keys/backup/action keys/purge/action keys/encrypt/action keys/decrypt/action
		keys/wrap/action keys/unwrap/action keys/sign/action keys/verify/action keys/release/action keys/rotate/action
		secrets/delete secrets/backup/action secrets/purge/action secrets/update/action secrets/recover/action secrets/restore/action
		secrets/readMetadata/action secrets/getSecret/action secrets/setSecret/action`)
)

type contractRow struct {
	action      Action
	family      object.Family
	words, data []string
	onObject    bool
	durable     bool
}

// contract pairs each row of the document with an action of that name. Secure
// wrap and unwrap share the names of the plain ones and come second.
func contract(t *testing.T) []contractRow {
	t.Helper()
	byName := map[string][]Action{}
	for _, a := range Actions() {
		byName[a.Operation()] = append(byName[a.Operation()], a)
	}
	var rows []contractRow
	for line := range strings.Lines(strings.TrimSpace(contractRows)) {
		f := strings.Fields(line)
		r := contractRow{words: strings.Split(f[1], ","), data: strings.Split(f[2], ","), onObject: f[3] == "O", durable: len(f) == 5}
		switch {
		case strings.HasPrefix(f[0], "Certificate"):
			r.family = object.Certificates
		case strings.HasPrefix(f[0], "Key"):
			r.family = object.Keys
		default:
			r.family = object.Secrets
		}
		left := byName[f[0]]
		if len(left) == 0 {
			t.Fatalf("no action for %s", f[0])
		}
		r.action, byName[f[0]] = left[0], left[1:]
		rows = append(rows, r)
	}
	for name, left := range byName {
		if len(left) > 0 {
			t.Errorf("%s has an action that the contract does not have", name)
		}
	}
	return rows
}

func TestActionsAreTheContractsRows(t *testing.T) {
	for _, r := range contract(t) {
		a := r.action
		if a.Family() != r.family || a.OnObject() != r.onObject || a.Durable() != r.durable {
			t.Errorf("%v: family %s, on object %t, durable %t", a, a.Family(), a.OnObject(), a.Durable())
		}
		if got := a.Permissions(); got[0] != r.words[0] {
			t.Errorf("%v: refusals name %q, want %q", a, got[0], r.words[0])
		}
		if want := "Microsoft.KeyVault/vaults/" + r.data[0]; a.DataAction() != want {
			t.Errorf("%v: data action %q, want %q", a, a.DataAction(), want)
		}
	}
}

// Acceptance check 1 in the model of access policies: each word alone suffices
// for its rows and for no other.
func TestEachPolicyWordAloneGrantsItsRowsOnly(t *testing.T) {
	rows := contract(t)
	for family, words := range allWords {
		for _, word := range strings.Fields(words) {
			rules := policies(entry(family, word))
			for _, r := range rows {
				want := r.family == family && slices.Contains(r.words, word)
				if got := allows(annCaller(), r.action, name("web"), rules); got != want {
					t.Errorf("%v with %s %s alone: %t", r.action, family, word, got)
				}
			}
		}
	}
}

// Its absence alone refuses, whatever else is granted.
func TestEveryOtherPolicyWordDoesNotGrant(t *testing.T) {
	for _, r := range contract(t) {
		e := entry(object.Certificates, strings.Fields(allWords[object.Certificates])...)
		e.Keys, e.Secrets = strings.Fields(allWords[object.Keys]), strings.Fields(allWords[object.Secrets])
		needed := func(w string) bool { return slices.Contains(r.words, w) }
		switch r.family {
		case object.Certificates:
			e.Certificates = slices.DeleteFunc(e.Certificates, needed)
		case object.Keys:
			e.Keys = slices.DeleteFunc(e.Keys, needed)
		case object.Secrets:
			e.Secrets = slices.DeleteFunc(e.Secrets, needed)
		}
		if allows(annCaller(), r.action, name("web"), policies(e)) {
			t.Errorf("%v without %v: allowed", r.action, r.words)
		}
	}
}

// Acceptance check 1 in the model of roles, with each data action alone and with
// all but the needed.
func TestEachDataActionAloneGrantsItsRowsOnly(t *testing.T) {
	rows := contract(t)
	for _, data := range allDataActions {
		rules := roles(at(kv1, custom))
		rules.Roles = []Role{{ID: custom, DataActions: []string{dataPrefix + data}}}
		for _, r := range rows {
			want := slices.Contains(r.data, data)
			d := decide(annCaller(), r.action, name("web"), rules)
			if d.Allowed != want {
				t.Errorf("%v with %s alone: %t", r.action, data, d.Allowed)
			}
			if d.PublicOnly != (want && data != r.data[0]) {
				t.Errorf("%v with %s alone: public only %t", r.action, data, d.PublicOnly)
			}
		}
	}
	for _, r := range rows {
		rules := roles(at(kv1, custom))
		var others []string
		for _, data := range allDataActions {
			if !slices.Contains(r.data, data) {
				others = append(others, dataPrefix+data)
			}
		}
		rules.Roles = []Role{{ID: custom, DataActions: others}}
		if allows(annCaller(), r.action, name("web"), rules) {
			t.Errorf("%v without %v: allowed", r.action, r.data)
		}
	}
}

func TestAllGrantsItsFamilyPurgeIncluded(t *testing.T) {
	for _, family := range []object.Family{object.Certificates, object.Keys, object.Secrets} {
		for _, word := range []string{"all", "All", "ALL"} {
			rules := policies(entry(family, word))
			for _, r := range contract(t) {
				if got := allows(annCaller(), r.action, name("web"), rules); got != (r.family == family) {
					t.Errorf("%v with %s %s: %t", r.action, family, word, got)
				}
			}
		}
	}
}

func TestTheVaultsOwnWorkIsNobodysToAskFor(t *testing.T) {
	all := policies(entry(object.Certificates, "all", ""), entry(object.Keys, "all", ""))
	itself := annCaller()
	itself.kind = ownSelf
	for _, a := range []Action{CertificateEnroll, CertificateRenew, KeyRotateIfDue, CertificatePurgeDue, KeyPurgeDue, SecretPurgeDue, DataKeyReplace, DataKeyDestroy, 0, 255} {
		for _, c := range []Caller{annCaller(), Operator("root", "0")} {
			if allows(c, a, name("web"), all) || allows(c, a, name("web"), roles(at("/", administrator))) {
				t.Errorf("%d %v: allowed", a, a)
			}
		}
		if got, want := allows(itself, a, name("web"), all), a != 0 && a != 255; got != want {
			t.Errorf("%d %v: %t to the vault itself", a, a, got)
		}
	}
	for _, a := range Actions() {
		if allows(itself, a, name("web"), all) {
			t.Errorf("the vault itself may %v", a)
		}
	}
}

// Every name that a record can have is in the catalogue of contract observability.md, 2.
func TestOperationsAreInTheCatalogue(t *testing.T) {
	contract, err := os.ReadFile(filepath.Join("..", "..", "docs", "contract", "observability.md"))
	if err != nil {
		t.Fatal(err)
	}
	named := 0
	for a, r := range rows {
		if r.operation == "" {
			continue
		}
		named++
		if !bytes.Contains(contract, []byte("`"+r.operation+"`")) {
			t.Errorf("the catalogue does not have %s", Action(a))
		}
	}
	if named < 90 {
		t.Errorf("only %d actions have a name", named)
	}
}

// An action without a row would be recorded as nothing and decided about by nobody.
func TestEveryActionHasARow(t *testing.T) {
	file, err := goparser.ParseFile(token.NewFileSet(), "action.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, d := range file.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.CONST {
			continue
		}
		first := -1 // of the block: iota + first
		for i, s := range g.Specs {
			v := s.(*ast.ValueSpec)
			if typ, ok := v.Type.(*ast.Ident); ok && typ.Name == "Action" {
				first, err = strconv.Atoi(v.Values[0].(*ast.BinaryExpr).Y.(*ast.BasicLit).Value)
				if err != nil {
					t.Fatal(err)
				}
			}
			if first < 0 {
				continue
			}
			seen++
			if a := Action(first + i); rows[a].operation == "" || rows[a].plane == noPlane {
				t.Errorf("%s has no row", v.Names[0].Name)
			}
		}
	}
	if want := 27 + 27 + 12; seen < want+20 {
		t.Errorf("%d actions", seen)
	}
}
