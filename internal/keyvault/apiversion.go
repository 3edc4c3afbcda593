package keyvault

import "coffer/internal/rest"

// apiVersions are the versions that are accepted, oldest first; a preview comes
// before its stable release (contract certificates.md, 3; keys.md, 3;
// secrets.md, 2; errors.md, 5). Every operation runs under each of them; they
// differ in the members that are shown and read.
var apiVersions = []string{
	"2015-06-01", "2016-10-01",
	"7.0-preview", "7.0", "7.1-preview", "7.1", "7.2-preview", "7.2", "7.3-preview", "7.3",
	"7.4-preview.1", "7.4", "7.5-preview.1", "7.5", "7.6-preview.1", "7.6-preview.2", "7.6",
	"2025-06-01-preview", "2025-07-01",
	"2026-01-01-preview", "2026-03-01-preview", "2026-04-01", "2026-05-01-preview", "2026-07-01-preview",
}

// recommendedVersion is named by the recorded refusal.
const recommendedVersion = "2025-07-01"

func from(version string) rest.Feature { return rest.Since(apiVersions, version) }

// What the versions brought.
var (
	modernNames       = from("7.0") // P-256K instead of SECP256K1; includePending, cert_transparency
	customizedKeys    = from("7.0") // the Customized recovery levels in keys and secrets (keys.md, 3; secrets.md, 2)
	customizedLevels  = from("7.1") // and in certificates (certificates.md, 13.3)
	recoverableDays   = from("7.1")
	exportableKeys    = from("7.3")
	hsmPlatform       = from("7.5")
	preserveCertOrder = from("7.6-preview.2")
	uriAndIPNames     = from("2025-06-01-preview") // read from then on, shown always
	secretConversion  = from("2025-06-01-preview") // outContentType, previousVersion
	octKeySize        = from("2026-01-01-preview") // key_size in the attributes of symmetric keys
	platformManaged   = from("2026-03-01-preview")
)
